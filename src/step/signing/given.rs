//! What the step was given to run, for the attestation: taken before anything is put into it and before it runs.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use crate::{
    evidence::{
        Sha256,
        program::{Program, Start, When, is_script_name},
    },
    step::{args::Args, log, roots::Roots, when::WhenExpression},
};

/// No Kubernetes object has room for a longer script.
const LONGEST_SCRIPT: u64 = 16 << 20;

/// The digest of the program, `None` if it cannot be told: no command, a text that is not UTF-8, an unreadable script.
pub fn digest(command: &[OsString], when: &[WhenExpression], args: &Args, roots: &Roots) -> Option<[u8; 32]> {
    let (first, arguments) = command.split_first()?;
    let start = match is_script(Path::new(first), roots) {
        true => Start::Script(
            script(Path::new(first))
                .inspect_err(|error| {
                    log::line(&format!(
                        "signing: what ran is not attested: the script cannot be read: {error}"
                    ));
                })
                .ok()?,
        ),
        false => Start::Command(first.to_str()?),
    };
    let when: Vec<When<'_>> = when.iter().map(expression).collect::<Option<_>>()?;
    let program = Program {
        start,
        arguments: texts(arguments)?,
        continues: args.on_error_continue(),
        timeout: args.timeout,
        when,
    };
    Some(program.digest())
}

fn expression(when: &WhenExpression) -> Option<When<'_>> {
    Some(When {
        cel: when.cel.to_str()?,
        input: when.input.to_str()?,
        operator: &when.operator,
        values: texts(&when.values)?,
    })
}

fn texts(texts: &[OsString]) -> Option<Vec<&str>> {
    texts.iter().map(|text| text.to_str()).collect()
}

/// Whether it is a file that the controller's `place-scripts` writes.
fn is_script(program: &Path, roots: &Roots) -> bool {
    program.parent() == Some(&roots.scripts())
        && program.file_name().and_then(OsStr::to_str).is_some_and(is_script_name)
}

/// SHA-256 of the script's bytes, as they are now: directly before the command may start.
fn script(path: &Path) -> io::Result<[u8; 32]> {
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    hash(file)
}

fn hash(file: File) -> io::Result<[u8; 32]> {
    let mut hashing = Sha256::default();
    let mut file = file.take(LONGEST_SCRIPT + 1);
    let mut piece = [0; 8192];
    loop {
        match file.read(&mut piece) {
            Ok(0) if file.limit() == 0 => return Err(io::ErrorKind::FileTooLarge.into()),
            Ok(0) => return Ok(hashing.finish()),
            Ok(length) => hashing.update(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
