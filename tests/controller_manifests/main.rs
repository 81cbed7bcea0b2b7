//! What `config/` says of the controller agrees with what the controller is. No cluster is needed; tests/controller/rights.rs has a real API
//! server take it.
//!
//! * [`kustomize`]: what the folders of config/ consist of; [`agreement`]: their objects, with each other and with the program.
//! * [`chart`]: the Helm chart, which makes the same objects.
//! * [`telling`]: metrics and Events, in the code, in docs/operations.md and in the dashboard.

#![cfg(feature = "cli")]

#[path = "../support/skip.rs"]
mod skip;
#[allow(unreachable_pub)]
#[path = "../support/tree.rs"]
mod tree;

mod agreement;
mod chart;
mod kustomize;
mod telling;

/// A file of this repository.
fn text(file: &str) -> String {
    let path = tree::root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}
