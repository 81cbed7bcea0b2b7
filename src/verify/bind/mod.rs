//! Binding proven steps to one run: that they belong together, that none is missing, and what was tried before.

pub(super) mod attempt;
pub(super) mod coverage;
pub(super) mod declared_task;
pub(super) mod retries;
pub(super) mod run;
