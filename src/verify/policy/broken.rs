//! How a rule tells that it is broken, and by what.

use crate::verify::{facts::Detail, verdict::Breach};

/// What a broken demand is about.
pub(crate) enum DemandSubject<'a> {
    TaskRun,
    Step(&'a str),
    /// A result of the task.
    Result(&'a str),
}

/// Takes the kind of demand, what is demanded, what was found, and what that means.
pub(crate) type Broken<'a> = dyn FnMut(Detail, String, String, Breach) + 'a;

/// The same, after what it is about.
pub(crate) type BrokenOf<'a> = dyn FnMut(DemandSubject<'_>, Detail, String, String, Breach) + 'a;
