//! Where TaskRuns come from, and the walk that judges each of them.
//!
//! * [`source`]: what a source hands over and why it may not; [`walk`]: judging all of it on all cores.
//! * [`files`]: files, folders and standard input.

pub mod files;
pub mod source;
pub mod walk;
