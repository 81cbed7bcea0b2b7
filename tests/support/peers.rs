//! The real programs that `tests/peers/build.sh` builds: SPIRE's server and agent, Tekton's entrypoint and verifier.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The folder the peers are built into.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers")
}

/// The peer `name`, or `None` with a line on stderr that says which test is skipped. With `CI=true` absence is a failure:
/// a run that tested nothing must not look like one that passed.
pub fn require(name: &str) -> Option<PathBuf> {
    let peer = folder().join(name);
    if peer.is_file() {
        return Some(peer);
    }
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let wanted = format!("{test}: needs {name} in {}; build it with `make peers`", folder().display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{wanted}");
    // Not eprintln: that is shown only when a test fails.
    let _ = writeln!(io::stderr(), "skipped: {wanted}");
    None
}
