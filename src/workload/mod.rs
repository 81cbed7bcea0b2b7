//! SPIFFE: identities, X509-SVIDs and bundles that are checked on construction, and the Workload API client.

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::as_conversions, clippy::too_many_lines, reason = "generated from proto/workload.proto")]
#[rustfmt::skip]
pub mod generated;
pub mod address;
pub mod bundle;
pub mod chain;
pub mod class;
pub mod client;
pub mod fetch;
pub mod id;
pub mod identity;
pub mod retry;
pub mod select;
mod socket;
pub mod svid;
pub mod svid_rules;
mod watch;
