//! Tekton's own data, which the step writes and the verifier reads: one home for each of its rules.
//!
//! * [`termination`]: the termination message; [`message`]: what the controller leaves of it in the status.
//! * [`value`]: result values as Tekton decodes them; [`artifacts`]: a step's artifacts; [`references`]: `$(steps…)`.
//! * [`chains`]: what Tekton Chains makes of runs; [`image_id`]: the image that a step ran in.
//! * [`taskrun`], [`pipelinerun`]: runs; [`strict`]: reading them so that nobody can read them otherwise; [`names`]: those that Tekton
//!   gives to what it makes.

pub mod artifacts;
pub(crate) mod canonical;
#[cfg(feature = "cli")]
pub mod chains;
#[cfg(feature = "cli")]
pub mod image_id;
#[cfg(feature = "cli")]
pub(crate) mod message;
pub mod names;
pub(crate) mod null;
#[cfg(feature = "cli")]
pub(crate) mod object_name;
#[cfg(feature = "cli")]
pub mod pipelinerun;
pub(crate) mod references;
pub mod result_kind;
#[cfg(feature = "cli")]
pub mod run;
#[cfg(feature = "cli")]
pub mod strict;
#[cfg(feature = "cli")]
pub mod taskrun;
pub mod termination;
#[cfg(feature = "cli")]
pub mod unsuitable;
pub mod value;
