//! What judging one family of PipelineRuns may take. Whoever wrote them chose how often a long result is put into texts, and what CEL
//! is asked to compute; a few bytes of that can stand for hours.

use std::cell::Cell;

use crate::tekton::value::ResultValue;

/// Bytes that are copied or compared where values are put in: of an honest family, even a large one, a few MiB.
const BYTES: u64 = 256 << 20;
/// Steps of CEL ([`cel::evaluate_counted`]): a few seconds. A when expression takes some dozens.
const STEPS: u64 = 10_000_000;
/// Bytes that count for each value, run or task that is looked at, however short it is.
const EACH: usize = 64;

/// What a PipelineRun is told whose values took too much.
pub(crate) const TOO_MUCH: &str = "it and the pipelines in it put results and parameters into texts and matrices so often that it takes more than \
     256 MiB to derive what they must be: pass large data in another way than as results";

/// What a PipelineRun is told whose conditions took too much.
pub(crate) const TOO_MANY_STEPS: &str =
    "the expressions in CEL of it and of the pipelines in it take more than 10000000 steps";

/// What is left for a family: a PipelineRun, those that own it, and what else they own.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    bytes: Cell<u64>,
    steps: Cell<u64>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self::of(BYTES, STEPS)
    }
}

impl Allowance {
    /// So many bytes, and so many steps of CEL.
    pub(crate) fn of(bytes: u64, steps: u64) -> Self {
        Self { bytes: Cell::new(bytes), steps: Cell::new(steps) }
    }

    /// Takes what copying or comparing so many bytes takes, or all that is left; whether there was that much.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let cost = u64::try_from(bytes.saturating_add(EACH)).unwrap_or(u64::MAX);
        let left = self.bytes.get().checked_sub(cost);
        self.bytes.set(left.unwrap_or_default());
        left.is_some()
    }

    /// The same for so many copies of a value.
    pub(crate) fn take_copies(&self, count: usize, value: &ResultValue) -> bool {
        let size = match value {
            ResultValue::String(text) => text.len(),
            ResultValue::Array(items) => items.iter().map(|item| item.len() + EACH).sum(),
            ResultValue::Object(members) => {
                members.iter().map(|(key, text)| key.len() + text.len() + 2 * EACH).sum()
            }
        };
        self.take(count.saturating_mul(size))
    }

    /// The same for looking at so many values, runs or tasks.
    pub(crate) fn take_looks(&self, count: usize) -> bool {
        self.take(count.saturating_mul(EACH))
    }

    /// Whether there was not enough, so that something that is known was not put in.
    pub(crate) fn is_used_up(&self) -> bool {
        self.bytes.get() == 0
    }

    /// Whether there are steps of CEL left.
    pub(crate) fn has_steps(&self) -> bool {
        self.steps.get() > 0
    }

    /// Takes steps of CEL.
    pub(crate) fn take_steps(&self, steps: u64) {
        self.steps.set(self.steps.get().saturating_sub(steps));
    }
}
