//! Time stamps: a run that is verified gets a token of each of its steps' attestations from a time-stamp authority (TSA), while their
//! certificates are valid.
//!
//! * [`trusted`]: the TSAs that count; [`due`]: a run that lacks tokens.
//! * [`queue`]: which run comes next; [`places`]: how many may wait.
//! * [`run`]: the loop, in a thread of its own: no verdict waits for a TSA.

pub mod due;
pub mod places;
pub mod queue;
pub mod run;
pub mod trusted;
