//! Judging: each TaskRun and PipelineRun that has ended is verified as `svidence verify` does it, and its verdict noted on it.
//!
//! * [`ended`]: what a watch says of a run that has ended; [`backlog`]: which of them have no verdict; [`turns`]:
//!   which of those is next; [`run_id`]: which run it is.
//! * [`authorities`]: by what they are judged; [`judge`]: judging one; [`verdict`]: what is said of it, in its [`annotation`] for one, and
//!   [`note`] notes it.
//! * [`run`]: the loop around it, in a thread of its own: neither SPIRE nor registration holds it up, nor the other way round.

pub mod annotation;
pub mod authorities;
pub mod backlog;
pub mod ended;
pub mod judge;
pub mod note;
pub mod run;
pub mod run_id;
pub mod turns;
pub mod verdict;
