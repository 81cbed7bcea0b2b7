//! The step's program: its command and environment, the process, its streams and signals.

pub mod command;
pub mod environment;
pub mod events;
pub mod hermetic;
pub mod process;
pub mod streams;
pub mod sys;
