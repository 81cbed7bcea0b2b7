//! Which registration entries there should be. No input or output, no clock.
//!
//! * [`entry`]: an entry, and how it is sent; [`desired`]: those that a pod should have; [`difference`]: what has to change.

pub mod desired;
pub mod difference;
pub mod entry;
