//! Points in time: [`UnixSeconds`], as certificates and Kubernetes have them, and [`UnixMillis`], as a step signs them.
//!
//! What lies between two of them is a [`std::time::Duration`]. All conversions are here. Nothing overflows: what would lie beyond the first or
//! the last time there is becomes that one.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(not(test), warn(clippy::too_many_lines))]
#![deny(clippy::as_conversions)]

mod millis;
mod seconds;
#[cfg(test)]
mod tests;

pub use millis::{UnixMillis, whole_milliseconds};
pub use seconds::UnixSeconds;
