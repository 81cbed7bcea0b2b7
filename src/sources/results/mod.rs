//! Tekton Results: the archive of runs that outlive their objects in the cluster, read over its API v1alpha2.
//!
//! * [`address`], [`caller`], [`question`]: where it is, who asks, and what for; checked before anything is sent.
//! * [`archive`]: what is asked of the API, over [`grpc`] or [`rest`]; [`connection`]: why there may be none.
//! * [`pages`]: page after page, until all that the archive counts has come; [`children`]: what belongs to the PipelineRuns among
//!   it; [`source`]: into the walk.

mod address;
mod archive;
mod caller;
mod children;
mod connection;
mod error;
#[allow(missing_docs, unreachable_pub, clippy::use_self, reason = "generated from proto/results.proto")]
#[rustfmt::skip]
mod generated;
mod grpc;
mod pages;
mod question;
mod rest;
mod source;
mod tunnel;

pub use address::{ResultsAddress, ResultsAddressError};
pub use caller::{Caller, TokenSource};
pub use error::ResultsError;
pub use question::{Parent, Question, Window};
pub use source::Results;
