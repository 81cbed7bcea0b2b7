//! Putting the termination message together, with Tekton's rules for what does not fit (docs/tekton-contract.md 3.10 to 3.12).
//!
//! Tekton writes up to three times: the task's results, the step's results, the rest; each round is refused as a whole.
//! Here it is written once, but what is kept and what is refused stays the same.

use go::text::utf8;

use crate::{
    step::output::results::RawResult,
    tekton::{
        result_kind::ResultKind,
        termination::{Encoding, Entry, EntryType, MAX_MESSAGE, TooLarge},
    },
};

/// The entries of a message, in the groups between which evidence is put.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    encoding: Encoding,
    task: Vec<Entry>,
    step: Vec<Entry>,
    /// `StartedAt`, then `Reason` or `ExitCode`, then artifacts.
    tail: Vec<Entry>,
}

impl Message {
    /// An empty message that will be written like this.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, ..Self::default() }
    }

    /// Adds one round of results, all of one kind. A round that does not fit is left out as a whole.
    pub fn add_results(&mut self, results: &[RawResult]) -> Result<(), TooLarge> {
        let mut invalid = 0;
        let (mut task, mut step) = (Vec::new(), Vec::new());
        for result in results {
            invalid += result.raw.utf8_chunks().map(|chunk| chunk.invalid().len()).sum::<usize>();
            let value = utf8(&result.raw).0;
            match result.kind {
                ResultKind::Task => task.push(Entry::new(&result.name, value, EntryType::TaskResult)),
                ResultKind::Step => step.push(Entry::new(&result.name, value, EntryType::StepResult)),
            }
        }
        let with_round: Vec<Entry> =
            self.task.iter().chain(&self.step).chain(&task).chain(&step).cloned().collect();
        // Tekton measures a round with six bytes for each invalid byte, of which three remain. Compressed they do not count.
        let measured_more = if self.encoding == Encoding::Json { 3 * invalid } else { 0 };
        if self.encoding.fit(&with_round)?.len() + measured_more > MAX_MESSAGE {
            return Err(TooLarge);
        }
        self.task.extend(task);
        self.step.extend(step);
        Ok(())
    }

    /// Sets what comes after the results. If it does not fit it is left out as a whole.
    pub fn set_tail(&mut self, tail: Vec<Entry>) -> Result<(), TooLarge> {
        self.tail = tail;
        let fitting = self.encoding.fit(&self.entries()).map(drop);
        if fitting.is_err() {
            self.tail.clear();
        }
        fitting
    }

    /// Takes the `ExitCode` entry out again.
    pub fn drop_exit_code(&mut self) {
        self.tail.retain(|entry| !(entry.kind == EntryType::Internal && entry.key == "ExitCode"));
    }

    /// All entries without evidence.
    pub fn entries(&self) -> Vec<Entry> {
        self.task.iter().chain(&self.step).chain(&self.tail).cloned().collect()
    }

    /// True if there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.task.is_empty() && self.step.is_empty() && self.tail.is_empty()
    }

    /// The final order: task results, TEP-0089 entries, step results, attestation, the rest.
    pub fn with_evidence(&self, tep0089: &[Entry], attestation: &[Entry]) -> Result<Vec<Entry>, TooLarge> {
        let groups = [&self.task[..], tep0089, &self.step, attestation, &self.tail];
        let entries = groups.concat();
        self.encoding.fit(&entries)?;
        Ok(entries)
    }
}
