//! Signing what the step produced: who signs, which facts, under which settings, and what is written.

pub mod config;
mod emit;
pub mod facts;
pub mod given;
pub mod position;
pub mod sign;
