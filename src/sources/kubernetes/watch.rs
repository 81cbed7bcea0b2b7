//! Watching a cluster: each run is judged when it has finished, until somebody ends the program.
//!
//! A list says what there is, and watches of a few seconds say what has changed since. TaskRuns of a PipelineRun are judged with it. What
//! was interrupted begins with a list again, so that nothing is missed; runs that were judged are not judged again.

use std::{collections::HashSet, mem, thread, time::Duration};

use super::{
    error::KubernetesError,
    family::{Family, Head},
    read::{Kubernetes, place},
    request::{Request, Selector},
    watched::{Change, Events, Next},
};
use crate::sources::{
    run_name::{RunKind, RunName},
    sink::{Sink, Stopped},
};

/// Seconds of a watch: another kind is watched after it.
const WATCHED: &str = "2";
/// Before it is looked at again, after a watch was cut.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs that have finished.
#[derive(Default)]
struct Finished {
    /// UIDs of those that were judged, or are about to be.
    known: HashSet<String>,
    /// Namespace and name of those that are still to be read.
    unread: Vec<(String, RunName)>,
}

impl Finished {
    /// Whether it is one to be judged by itself, and was not yet.
    fn is_new(&mut self, head: &Head) -> bool {
        head.has_finished() && !head.is_of_pipeline_run() && self.known.insert(head.metadata.uid.clone())
    }

    /// Whether a run of a list is to be handed on: TaskRuns at once, PipelineRuns later, with what belongs to them.
    fn takes(&mut self, kind: RunKind, head: Head) -> bool {
        match (self.is_new(&head), kind) {
            (false, _) => false,
            (true, RunKind::TaskRun) => true,
            (true, RunKind::PipelineRun) => {
                self.note(kind, head);
                false
            }
        }
    }

    fn note(&mut self, kind: RunKind, head: Head) {
        if let Ok(name) = head.metadata.name.parse() {
            self.unread.push((head.metadata.namespace, RunName { kind, name }));
        }
    }
}

/// How a watch ended.
enum Ended {
    /// In its time, at this version.
    At(String),
    /// What is known is too old, or it was cut.
    Early,
    /// For a reason that will not pass.
    Failed(KubernetesError),
}

impl Kubernetes {
    /// Hands on runs as they finish; ends only if something fails for good, which is handed on, too.
    pub(super) fn watch(
        &mut self,
        namespace: Option<&str>,
        selector: Option<&str>,
        sink: &mut dyn Sink,
    ) -> Result<(), Stopped> {
        let place = namespace.map_or("all namespaces".to_owned(), |name| format!("namespace {name}"));
        let labels = selector.map(|selector| format!(" with the labels {selector}")).unwrap_or_default();
        sink.wait_for(format!(
            "watching {place} for PipelineRuns, which are judged with their TaskRuns, and for TaskRuns of none{labels}; interrupt it to end"
        ))?;
        let mut finished = Finished::default();
        loop {
            let mut versions = Vec::new();
            for kind in [RunKind::PipelineRun, RunKind::TaskRun] {
                let takes = &mut |head| finished.takes(kind, head);
                let Some(version) = self.list(kind, namespace, selector, Some(takes), sink)? else {
                    return Ok(());
                };
                versions.push((kind, version));
            }
            self.finished(&mut finished, sink)?;
            if !self.follow((namespace, selector), versions, &mut finished, sink)? {
                return Ok(());
            }
            sink.waiting()?;
            thread::sleep(PAUSE);
        }
    }

    /// Follows what changes; whether it is of use to begin again.
    fn follow(
        &mut self,
        (namespace, selector): (Option<&str>, Option<&str>),
        mut versions: Vec<(RunKind, String)>,
        finished: &mut Finished,
        sink: &mut dyn Sink,
    ) -> Result<bool, Stopped> {
        loop {
            for (kind, version) in &mut versions {
                let request = Request::Watch {
                    kind: (*kind).into(),
                    namespace,
                    selector: Selector::labels(selector),
                    version,
                    seconds: WATCHED,
                };
                sink.waiting()?;
                match self.changes(&request, *kind, finished) {
                    Ended::At(newer) => *version = newer,
                    Ended::Early => return Ok(true),
                    Ended::Failed(error) => {
                        sink.begin(place(&request));
                        return self.failed(error, sink).map(|()| false);
                    }
                }
                self.finished(finished, sink)?;
            }
        }
    }

    /// Notes what has finished until a watch ends.
    fn changes(&mut self, request: &Request<'_>, kind: RunKind, finished: &mut Finished) -> Ended {
        let Request::Watch { version, .. } = request else { return Ended::Early };
        let mut version = (*version).to_owned();
        let mut body = match self.client.page(request) {
            Ok(body) => body,
            // What may pass: the list that follows says whether it does.
            Err(KubernetesError::Expired | KubernetesError::Unreachable { .. }) => return Ended::Early,
            Err(error) => return Ended::Failed(error),
        };
        let mut events = Events::new(body.as_reader());
        loop {
            let (change, object) = match events.next::<Head>() {
                Next::Event(change, object) => (change, object),
                Next::End => return Ended::At(version),
                Next::Broken => return Ended::Early,
            };
            version.clone_from(&object.metadata.resource_version);
            if matches!(change, Change::Added | Change::Modified) && finished.is_new(&object) {
                finished.note(kind, object);
            }
        }
    }

    /// Hands on what has finished, each with what belongs to it.
    fn finished(&mut self, finished: &mut Finished, sink: &mut dyn Sink) -> Result<(), Stopped> {
        for (namespace, run) in mem::take(&mut finished.unread) {
            let mut family = Family::default();
            let name = run.to_string();
            family.ask(run);
            if !self.family(&namespace, &mut family, sink)? {
                self.failed(KubernetesError::Deleted { name, namespace }, sink)?;
            }
            sink.settle()?;
        }
        Ok(())
    }
}
