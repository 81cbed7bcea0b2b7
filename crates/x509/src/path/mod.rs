//! The certification path from an end entity to a trust anchor, built after RFC 4158 and validated after RFC 5280 6.1.
//!
//! Policies are not processed: the user-initial-policy-set is any-policy and initial-explicit-policy is not set, so only a critical
//! policy extension matters, and that is refused as unknown. There is no revocation.
//!
//! Signatures are checked from the trust anchors downwards: a key that no trust anchor vouches for, which anybody can have made as
//! large as they like, checks nothing.

mod builder;
mod error;
mod links;
mod query;
mod search;

pub use error::{PathError, PathRule};
pub use query::{Limits, Search};
