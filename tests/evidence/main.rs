//! The form of the evidence: leaves, values, and a second implementation.

mod leaf;
#[cfg(feature = "cli")]
mod second;
#[cfg(feature = "cli")]
#[path = "../support/mod.rs"]
mod support;
mod values;
