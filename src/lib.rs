//! svidence: Tekton's step entrypoint with signed results, and their verifier.
//!
//! The two binaries and the tests use this library; nothing else is public API.
//!
//! * [`step`]: one step's life inside the pod (`entrypoint`).
//! * [`workload`]: SPIFFE identities, the Workload API client, SVIDs and bundles.
//! * [`evidence`]: what is signed and how it is carried. No I/O, no clock.
//! * `verify`, `cli`, `devagent`: only in `svidence` (feature `cli`).

pub mod evidence;
pub mod io_error;
pub mod parser_words;
pub mod step;
pub mod workload;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod devagent;
#[cfg(feature = "cli")]
pub mod verify;
