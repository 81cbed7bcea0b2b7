//! `--from results` with the real Tekton Results.

#![cfg(feature = "cli")]

mod archive;
#[path = "../support/cluster.rs"]
mod cluster;
mod kubernetes;
mod overlap;
mod pod;
#[path = "../support/results/mod.rs"]
mod results;
#[path = "../support/rights.rs"]
mod rights;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tsa.rs"]
mod tsa;
