//! A step's turn: it waits for the step before it, stops at breakpoints, and tells the others how it ended.

pub mod breakpoint;
pub mod post;
pub mod told;
pub mod wait;
