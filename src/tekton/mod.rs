//! Tekton's own data, which the step writes and the verifier reads: one home for each of its rules.
//!
//! * [`termination`]: the termination message; [`message`]: what the controller leaves of it in the status.
//! * [`value`]: result values as Tekton decodes them; [`artifacts`]: a step's artifacts; [`references`]: `$(steps…)`.
//! * [`taskrun`]: the TaskRun; [`strict`]: reading it so that nobody can read it otherwise.

pub mod artifacts;
pub(crate) mod canonical;
#[cfg(feature = "cli")]
pub(crate) mod message;
pub(crate) mod references;
pub mod result_kind;
#[cfg(feature = "cli")]
pub mod strict;
#[cfg(feature = "cli")]
pub mod taskrun;
pub mod termination;
#[cfg(feature = "cli")]
pub mod unsuitable;
pub mod value;
