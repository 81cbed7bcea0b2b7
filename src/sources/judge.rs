//! Who judges what a walk reads.

use crate::tekton::run::Run;

/// The judge of one worker.
pub trait Judge<R> {
    /// What a first look at a JSON document says, without reading it strictly; `None`: it has to be read and judged.
    fn glance(&mut self, json: &[u8]) -> Option<R>;
    /// Judges a run.
    fn judge(&mut self, run: Run) -> R;
}

/// Judges every run, and passes none over.
pub(super) struct EveryRun<J>(pub(super) J);

impl<R, J: FnMut(Run) -> R> Judge<R> for EveryRun<J> {
    fn glance(&mut self, _json: &[u8]) -> Option<R> {
        None
    }

    fn judge(&mut self, run: Run) -> R {
        (self.0)(run)
    }
}
