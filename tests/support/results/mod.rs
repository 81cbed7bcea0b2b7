//! A real Tekton Results: its API server with PostgreSQL behind it, in a network namespace of its own, since the server listens on
//! every interface.
//!
//! Not part of `support`: only tests about Tekton Results use it.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

pub mod database;
pub mod kubernetes;
pub mod server;
