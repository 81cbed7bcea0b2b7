//! What belongs to the PipelineRuns that came, which the archive is asked for in a second question: by the label that Tekton's
//! controller gives to children. Nested PipelineRuns come with it, so there are as many questions as pipelines are deep.

use std::collections::{BTreeSet, HashSet};

use serde::Deserialize;

use super::{archive::Record, question::Question};
use crate::sources::run_name::Name;

/// PipelineRuns that came, and records that must not come twice.
pub(super) struct Children<'a> {
    question: &'a Question,
    /// PipelineRuns whose children were asked for, or need not be.
    known: BTreeSet<Name>,
    /// Those whose children were not asked for yet.
    new: BTreeSet<Name>,
    /// Records that came, by name, of runs that were asked for by name: one may be a child of another.
    came: HashSet<String>,
}

impl<'a> Children<'a> {
    pub(super) fn new(question: &'a Question) -> Self {
        Self { question, known: BTreeSet::new(), new: BTreeSet::new(), came: HashSet::new() }
    }

    /// Notes a record; `false`: it has come before.
    pub(super) fn note(&mut self, record: &Record) -> bool {
        if self.question.is_everything() {
            return true;
        }
        if let Some(name) = pipeline_run(record).filter(|name| !self.known.contains(name)) {
            self.new.insert(name);
        }
        self.question.runs.is_empty() || self.came.insert(record.name.clone())
    }

    /// Filters of the children of those that came since the last time.
    pub(super) fn filters(&mut self) -> Vec<String> {
        let new = std::mem::take(&mut self.new);
        let filters = self.question.filters_of_children(new.iter());
        self.known.extend(new);
        filters
    }
}

/// The name of the PipelineRun that a record holds. What is no name has no children.
fn pipeline_run(record: &Record) -> Option<Name> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        name: String,
    }
    if !record.kind.ends_with(".PipelineRun") {
        return None;
    }
    serde_json::from_slice::<Object>(&record.value).ok()?.metadata.name.parse().ok()
}
