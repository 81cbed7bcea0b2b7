//! The SPIRE server, as an administrator's client: its Entry API.
//!
//! * [`client`]: the calls; [`dial`]: connections on which both sides show their SVIDs; [`error`]: why there is no answer.

pub mod client;
mod dial;
pub mod error;
#[allow(missing_docs, unreachable_pub, clippy::all)]
#[rustfmt::skip]
pub mod generated;
