//! The path from a certificate to a trust anchor, built and validated after RFC 5280 6.1 and RFC 4158.
//!
//! Policies are not processed: the initial policy set is any-policy and no explicit policy is asked for, so only a critical
//! policy extension matters, and that is refused as unknown. There is no revocation.
//!
//! Signatures are checked from the trust anchors downwards: a key that no trust anchor vouches for, which anybody can have made as
//! large as they like, checks nothing.

mod climb;
mod error;
mod links;
mod query;
mod search;

pub use error::{PathError, PathRule};
pub use query::{Limits, Search};
