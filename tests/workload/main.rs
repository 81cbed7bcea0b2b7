//! SPIFFE IDs, certificates and the Workload API.

#[cfg(feature = "cli")]
mod certificate_classes;
mod certificates;
#[cfg(feature = "cli")]
mod client;
#[cfg(feature = "cli")]
mod corpus_svids;
mod ids;
#[path = "../pki/mod.rs"]
mod pki;
mod select;
#[cfg(feature = "cli")]
mod spire_real;
#[cfg(feature = "cli")]
#[path = "../support/mod.rs"]
mod support;
