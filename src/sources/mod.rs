//! Where TaskRuns come from, and the walk that judges each of them.
//!
//! * [`source`]: what a source hands over and why it may not; [`walk`]: judging all of it on all cores.
//! * [`files`]: files, folders and standard input.

mod failure;
pub mod files;
mod not_read;
mod sink;
pub mod source;
pub mod walk;
pub use not_read::{NotRead, Unnamed};
