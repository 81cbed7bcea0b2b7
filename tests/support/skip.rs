//! Tests that cannot run here: they pass, so somebody has to count them.
//!
//! Test files without `support` take it with a path of its own, for `peers` and `tsa` too.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    path::Path,
};

/// Says on stderr that `test`, or a part of it, is skipped and why. A line with both goes to the file that `SVIDENCE_SKIPPED`
/// names: `make test` counts those.
pub fn skip(test: &str, why: &str) {
    // Not eprintln: that is shown only when a test fails.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
    let Some(file) = std::env::var_os("SVIDENCE_SKIPPED") else { return };
    // A thread that a test starts has no name; a section of several tests has one name for all of them.
    let name = std::thread::current().name().filter(|name| *name != "main").unwrap_or(test).to_owned();
    let line = format!("{}::{name}\t{why}\n", env!("CARGO_CRATE_NAME"));
    let file = OpenOptions::new().create(true).append(true).open(file);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("SVIDENCE_SKIPPED names a file");
}

/// True if the programs under test are for another processor than this machine's own, so that an emulator runs them.
pub fn is_emulated() -> bool {
    // e_machine of the ELF header.
    let machine = |program: &Path| {
        let mut header = [0; 20];
        File::open(program).unwrap().read_exact(&mut header).unwrap();
        [header[18], header[19]]
    };
    machine(Path::new("/bin/sh")) != machine(&std::env::current_exe().unwrap())
}

/// True if [`is_emulated`] and `test`, or a part of it, asks for what emulators do not do; it is skipped then ([`skip`]).
pub fn emulated(test: &str, why: &str) -> bool {
    let emulated = is_emulated();
    if emulated {
        skip(test, &format!("under an emulator {why}"));
    }
    emulated
}

/// [`skip`], but with `CI=true` a failure: a run that tested nothing must not look like one that passed.
pub fn lacks(test: &str, what: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: {what}");
    skip(test, what);
}
