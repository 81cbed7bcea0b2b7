//! The program as it is released: how large it is, and how long it takes to start.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::report::{Program, median};

const STARTS: usize = 201;

/// `None` where `make release` has not built it.
pub(super) fn measured() -> Option<Program> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/svidence");
    let bytes = fs::metadata(&program).ok()?.len();
    eprintln!("measuring: its start");
    let starts = (0..STARTS)
        .map(|_| {
            let start = Instant::now();
            let status = Command::new(&program).arg("version").stdout(Stdio::null()).status();
            assert!(status.expect("it starts").success());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    Some(Program { bytes, start: median(starts) })
}
