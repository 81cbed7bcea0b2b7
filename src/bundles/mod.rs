//! Where a trust domain's bundle is published, and what is kept of it.
//!
//! * [`endpoint`]: a SPIFFE bundle endpoint, in both profiles; [`spiffe_tls`]: TLS with a server that shows an X509-SVID.
//! * [`workload_api`]: the agent of this machine.
//! * [`store`]: every authority that was ever seen, so that an archive can be verified after SPIRE has pruned its authorities; [`lock`]:
//!   its folder is changed by one process at a time.

pub mod endpoint;
#[allow(missing_docs, unreachable_pub, clippy::use_self, reason = "generated from proto/bundles.proto")]
#[rustfmt::skip]
mod generated;
pub mod lock;
pub(crate) mod spiffe_tls;
pub mod store;
pub mod workload_api;
