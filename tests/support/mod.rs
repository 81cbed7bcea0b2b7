//! What the tests share: the real peers, a SPIRE of one's own, a pod's files, and TaskRuns made from them.
// Every test file compiles this for itself and uses a part of it.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod barred;
#[cfg(feature = "cli")]
pub mod command;
#[cfg(feature = "cli")]
pub mod corpus;
pub mod credentials;
pub mod documents;
#[cfg(feature = "cli")]
pub mod endpoint;
#[cfg(feature = "cli")]
pub mod fleet;
#[cfg(feature = "cli")]
pub mod kubelet;
pub mod modes;
#[cfg(feature = "cli")]
pub mod packed;
pub mod peers;
#[cfg(feature = "cli")]
pub mod pod;
pub mod private;
pub mod readers;
#[cfg(feature = "cli")]
pub mod signed;
pub mod skip;
pub mod slow;
pub mod small;
pub mod spire;
pub mod step;
#[cfg(feature = "cli")]
pub mod taskrun;
#[cfg(feature = "cli")]
pub mod unsigned;
