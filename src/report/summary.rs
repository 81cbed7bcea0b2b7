//! `summary`: one JSON object with the worst verdict and how many runs got which, small enough for a result of a Tekton Task.

use std::io::{self, Write};

use serde_json::json;

use crate::{
    report::{Item, Walk, Writer, tally::Tally},
    verify::{Finding, Verdict},
};

#[derive(Default)]
pub(super) struct Summary {
    tally: Tally,
    worst: Option<Verdict>,
}

impl Writer for Summary {
    fn item(&mut self, _: &Walk<'_>, item: &Item<'_>, _: &mut dyn Write) -> io::Result<()> {
        self.tally.count(item);
        self.worst = self.worst.max(Some(item.verdict()));
        Ok(())
    }

    fn missing(&mut self, _: &Walk<'_>, findings: &[Finding], _: &mut dyn Write) -> io::Result<()> {
        self.worst = self.worst.max(findings.iter().map(Finding::verdict).max());
        Ok(())
    }

    fn is_last(&self) -> bool {
        true
    }

    /// Then the exit code is not 0, either.
    fn other_failed(&mut self) {
        self.worst = self.worst.max(Some(Verdict::Unchecked));
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let verdicts: serde_json::Map<String, serde_json::Value> = self
            .tally
            .verdicts()
            .into_iter()
            .map(|(count, word, _)| (word.replace(' ', "-"), json!(count)))
            .collect();
        let summary = json!({
            "verdict": self.worst.map_or("none", Verdict::as_str),
            "taskRuns": self.tally.task_runs(),
            "pipelineRuns": self.tally.pipeline_runs(),
            "verdicts": verdicts,
            "notRead": self.tally.not_read_at_all(),
        });
        writeln!(out, "{summary}")
    }
}
