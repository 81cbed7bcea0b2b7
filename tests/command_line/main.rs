//! The subcommands of `svidence`, as people and gates run them.

#![cfg(feature = "cli")]

mod arguments;
mod bundles;
mod config;
mod demo;
mod gates;
mod inspect;
#[path = "../support/one_step.rs"]
mod one_step;
#[path = "../pki/mod.rs"]
mod pki;
#[path = "../support/mod.rs"]
mod support;
mod timestamp;
mod timestamp_authorities;
#[path = "../support/token.rs"]
mod token;
#[path = "../support/tsa.rs"]
mod tsa;
