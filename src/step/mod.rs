//! One step's life, in order (docs/architecture.md 3.1, 4).
//!
//! [`run::main`] reads like the table of contents; every other module is one chapter. Rules taken over from Tekton name
//! the Go file they come from and the heading of docs/tekton-contract.md.

pub mod args;
pub mod artifacts;
pub mod beneath;
pub mod breakpoint;
pub mod cel;
pub mod clock;
pub mod collect;
pub mod command;
pub mod config;
pub mod credentials;
pub mod directories;
mod emit;
pub mod environment;
pub mod events;
pub mod go_text;
pub mod hermetic;
pub mod init;
pub mod log;
pub mod logged;
pub mod lookup;
pub mod message;
pub mod outcome;
pub mod position;
pub mod post;
pub mod process;
pub mod program;
pub mod results;
pub mod roots;
pub mod run;
pub mod sign;
pub mod stood;
pub mod streams;
pub mod substitute;
pub mod sys;
pub mod termination;
pub mod told;
pub mod wait;
pub mod when;
