//! How many runs got which verdict, in one line.

use std::fmt;

use crate::{
    report::Item,
    sources::{error::SourceError, walk::Place},
    verify::Verdict,
};

/// Counts of a walk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    verified: u64,
    accepted: u64,
    weak: u64,
    absent: u64,
    unchecked: u64,
    invalid: u64,
    /// Of all these, PipelineRuns.
    pipeline_runs: u64,
    files_not_read: u64,
    objects_not_read: u64,
    /// TaskRuns that have not finished and were not judged.
    pub(crate) left_out: u64,
    /// Unreadable, and so far the only thing in this file.
    lone: Option<String>,
}

impl Tally {
    /// Counts one item, in the order of the walk.
    pub(crate) fn count(&mut self, item: &Item<'_>) {
        match item.outcome {
            Ok(report) => {
                let count = match (report.verdict, report.accepted) {
                    (Verdict::Weak, true) => &mut self.accepted,
                    (Verdict::Verified, _) => &mut self.verified,
                    (Verdict::Weak, false) => &mut self.weak,
                    (Verdict::Absent, _) => &mut self.absent,
                    (Verdict::Unchecked, _) => &mut self.unchecked,
                    (Verdict::Invalid, _) => &mut self.invalid,
                };
                *count += 1;
                self.pipeline_runs += u64::from(report.pipeline.is_some());
                self.is_not_alone(item.place);
            }
            Err(error) if error.verdict() == Verdict::Absent => {
                self.absent += 1;
                self.is_not_alone(item.place);
            }
            Err(error) => self.not_read(item.place, error),
        }
    }

    fn not_read(&mut self, place: Place<'_>, error: &SourceError) {
        self.is_not_alone(place);
        match (error, place.index) {
            (SourceError::Unnamed { unnamed, .. }, _) => self.files_not_read += unnamed.count(),
            (_, 1) => {
                self.files_not_read += 1;
                self.lone = Some(place.path.to_owned());
            }
            _ => self.objects_not_read += 1,
        }
    }

    /// Something else is in the file: then what was not read of it was an object, not the file.
    fn is_not_alone(&mut self, place: Place<'_>) {
        if self.lone.take().is_some_and(|path| path == place.path && place.index > 1) {
            self.files_not_read -= 1;
            self.objects_not_read += 1;
        }
    }

    /// How many TaskRuns were judged.
    pub(crate) fn task_runs(&self) -> u64 {
        self.verdicts().iter().map(|(count, ..)| count).sum::<u64>() - self.pipeline_runs
    }

    /// How many PipelineRuns were judged.
    pub(crate) fn pipeline_runs(&self) -> u64 {
        self.pipeline_runs
    }

    /// How many files and objects could not be read.
    pub(crate) fn not_read_at_all(&self) -> u64 {
        self.files_not_read + self.objects_not_read
    }

    /// How many count as verified.
    pub(crate) fn good(&self) -> u64 {
        self.verified + self.accepted
    }

    /// Count, word and the verdict that it belongs to, from good to bad.
    pub(crate) fn verdicts(&self) -> [(u64, &'static str, Verdict); 6] {
        [
            (self.verified, "verified", Verdict::Verified),
            (self.accepted, "weak and accepted", Verdict::Verified),
            (self.invalid, "invalid", Verdict::Invalid),
            (self.unchecked, "unchecked", Verdict::Unchecked),
            (self.absent, "absent", Verdict::Absent),
            (self.weak, "weak", Verdict::Weak),
        ]
    }
}

/// Such as `10 TaskRuns: 1 verified, 8 invalid, 1 absent; 2 files not read`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&count(self.task_runs(), "TaskRun", "TaskRuns"))?;
        if self.pipeline_runs > 0 {
            write!(f, " and {}", count(self.pipeline_runs, "PipelineRun", "PipelineRuns"))?;
        }
        let words: Vec<String> = self
            .verdicts()
            .iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, word, _)| format!("{count} {word}"))
            .collect();
        if !words.is_empty() {
            write!(f, ": {}", words.join(", "))?;
        }
        for (number, one, several) in
            [(self.files_not_read, "file", "files"), (self.objects_not_read, "object", "objects")]
        {
            if number > 0 {
                write!(f, "; {} not read", count(number, one, several))?;
            }
        }
        if self.left_out > 0 {
            write!(f, "; {} not finished, left out", self.left_out)?;
        }
        Ok(())
    }
}

/// A number and its noun.
pub(crate) fn count(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
