//! The real programs that `tests/peers/build.sh` builds: SPIRE's server and agent, Tekton's entrypoint and verifier.

use std::path::{Path, PathBuf};

use super::skip;

/// The folder the peers are built into.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers")
}

/// The peer `name`, or `None` and the test is skipped ([`skip::lacks`]).
pub fn require(name: &str) -> Option<PathBuf> {
    let peer = folder().join(name);
    if peer.is_file() {
        return Some(peer);
    }
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    skip::lacks(&test, &format!("needs {name} in {}; build it with `make peers`", folder().display()));
    None
}
