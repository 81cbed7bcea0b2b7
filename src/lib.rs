//! svidence: Tekton's step entrypoint with signed results, and their verifier.
//!
//! The two binaries and the tests use this library; nothing else is public API.
//!
//! * [`step`]: one step's life inside the pod (`entrypoint`).
//! * [`workload`]: SPIFFE identities, the Workload API client, SVIDs and bundles.
//! * [`evidence`]: what is signed and how it is carried. No I/O, no clock.
//! * [`tekton`]: Tekton's own data.
//! * `verify`, `sources`, `bundles`, `http`, `report`, `standin`, `tsa`, `controller`, `cli`: only in `svidence` (feature `cli`).
//!
//! docs/architecture.md says which of them may use which.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(not(test), warn(clippy::too_many_lines))]
#![deny(clippy::as_conversions)]

pub mod evidence;
pub mod io_error;
pub mod step;
pub mod surroundings;
pub mod tekton;
pub mod workload;

#[cfg(feature = "cli")]
pub mod bundles;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod controller;
#[cfg(feature = "cli")]
pub mod http;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "cli")]
pub mod sources;
#[cfg(feature = "cli")]
pub mod standin;
#[cfg(feature = "cli")]
mod tls;
#[cfg(feature = "cli")]
pub mod tsa;
#[cfg(feature = "cli")]
pub mod verify;
