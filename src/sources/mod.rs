//! Where TaskRuns come from, and the walk that judges each of them.
//!
//! * [`source`]: the ways in; [`sink`]: what each of them hands over; [`error`]: why it may not.
//! * [`files`]: files, folders and standard input; [`kubernetes`]: the API server of a cluster; [`results`]: the archive of Tekton Results;
//!   [`oci`]: what lies beside images in a registry.
//! * [`run_name`]: a run that is asked for by name; [`impersonation`]: for whom a server is asked; [`token`]: by whose right; [`authorities`]:
//!   who vouches for it; [`loopback`]: whether it is this machine.
//! * [`walk`]: judging all of it on all cores, by a [`judge`] for each; [`shard`]: a part of it.

pub mod authorities;
mod budget;
pub mod error;
mod failure;
pub mod files;
pub mod impersonation;
pub mod judge;
pub mod kubernetes;
mod loopback;
mod not_read;
pub mod oci;
pub mod results;
pub mod run_name;
pub mod shard;
mod sink;
pub mod source;
pub mod token;
pub mod walk;
pub use not_read::{NotRead, UnnamedFiles};
