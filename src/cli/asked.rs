//! What was asked for by name, runs or images: a source that does not have one of them must say so.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    sources::{
        error::SourceError,
        run_name::{RunKind, RunName},
        walk::Place,
    },
    tekton::{taskrun::TaskRun, unsuitable::Unsuitable},
    verify::{Detail, Finding, Report},
};

/// What was asked of a source, and what has come of it.
pub(super) struct Asked<'a> {
    namespace: Option<&'a str>,
    /// Those that have not come.
    awaited: BTreeSet<RunName>,
    /// What is said of those: where they are not.
    absence: String,
    detail: Detail,
    is_whole: bool,
    /// Images that nothing has come of, and what is said of those.
    images: BTreeMap<String, String>,
}

impl<'a> Asked<'a> {
    /// `runs` of `namespace`, or of any; one that does not come is `absence`, such as "not in the archive".
    pub(super) fn new(
        namespace: Option<&'a str>,
        runs: Vec<RunName>,
        detail: Detail,
        absence: String,
    ) -> Self {
        let (awaited, images) = (runs.into_iter().collect(), BTreeMap::new());
        Self { namespace, awaited, absence, detail, is_whole: true, images }
    }

    /// Images by their names, with what is said of one that nothing comes of.
    pub(super) fn images(images: BTreeMap<String, String>) -> Self {
        Self { images, ..Self::new(None, Vec::new(), Detail::NOT_IN_REGISTRY, String::new()) }
    }

    /// Notes the place of what came, whatever it is: what cannot be read is not absent.
    pub(super) fn came_from(&mut self, place: Place<'_>) {
        if !self.images.is_empty() {
            // Nothing in the name of an image is a comma.
            self.images.remove(place.path.split(',').next().unwrap_or_default());
        }
    }

    /// Notes a run that came, `<namespace>/<name>` by its own account.
    pub(super) fn came(&mut self, kind: RunKind, full_name: &str) {
        let (namespace, name) = full_name.split_once('/').unwrap_or_default();
        if self.namespace.is_none_or(|asked| asked == namespace) {
            // What is not a name was not asked for.
            if let Ok(name) = name.parse() {
                self.awaited.remove(&RunName { kind, name });
            }
        }
    }

    /// Notes what came where only TaskRuns are of use.
    pub(super) fn note(&mut self, outcome: &Result<TaskRun, SourceError>) {
        match outcome {
            Ok(TaskRun { metadata, .. }) => {
                self.came(RunKind::TaskRun, &format!("{}/{}", metadata.namespace, metadata.name));
            }
            Err(error) => self.failed(error),
        }
    }

    /// Notes something else that came: a PipelineRun where only TaskRuns are of use, or what could not be read and may be what is
    /// awaited.
    pub(super) fn failed(&mut self, error: &SourceError) {
        match error {
            SourceError::Unsuitable {
                what: Unsuitable::PipelineRun(Some(namespace), Some(name)), ..
            } => {
                self.came(RunKind::PipelineRun, &format!("{namespace}/{name}"));
            }
            _ => self.is_whole = false,
        }
    }

    /// What did not come, if everything could be read.
    pub(super) fn missing(&self) -> impl Iterator<Item = Finding> {
        self.awaited
            .iter()
            .filter(|_| self.is_whole)
            .map(|run| format!("{run} is {}", self.absence))
            .chain(self.images.values().cloned())
            .map(|text| Finding::no_evidence(self.detail, text))
    }
}

/// Says where an archive has a run filed, if that is not its namespace: whoever may annotate a run decides where it is filed; whose it
/// is, its evidence says.
pub(super) fn note_where_filed(place: Place<'_>, report: &mut Report) {
    let filed = place.path.split('/').next().unwrap_or_default();
    let namespace = report.task_run.split('/').next().unwrap_or_default();
    if filed != namespace {
        report.notes.push(format!("its record is filed under {filed}, but it is of {namespace}"));
    }
}
