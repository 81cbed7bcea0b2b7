//! One step's life, in order (docs/architecture.md 3.1, 4).
//!
//! [`run::main`] reads like the table of contents; every other module is one chapter. Rules taken over from Tekton name
//! the Go file they come from and the heading of docs/tekton-contract.md.

pub mod args;
pub mod credentials;
pub mod init;
pub mod log;
pub mod outcome;
pub mod output;
pub mod program;
pub mod roots;
pub mod run;
pub mod signing;
pub mod stack;
pub mod substitute;
pub mod turn;
pub mod when;
