//! Reading runs, one answer at a time: nothing is kept of a page but its objects, and those only until they are judged.

use std::{
    collections::HashSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;
use ureq::Body;

use super::{
    access::Access,
    client::{Client, bytes, io_words},
    error::KubernetesError,
    family::{Family, Head},
    request::{self, ObjectKind, Request, Selector},
    runs::{Namespace, Runs},
    screen::{Screen, Wanted},
};
use crate::sources::{
    error::LARGEST_OBJECT,
    failure::ReadFailure,
    files::{self, Page},
    run_name::{RunKind, RunName},
    sink::{FoundDocument, Sink, Stopped},
};

/// Runs of a cluster.
pub struct Kubernetes {
    pub(super) client: Client,
    runs: Runs,
    /// How long to wait for runs that are named to finish.
    wait: Duration,
    /// What is listed: PipelineRuns first, as all TaskRuns of one that has finished are there already.
    kinds: &'static [RunKind],
}

/// Time between two looks at a run that has not finished.
const PAUSE: Duration = Duration::from_secs(1);

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes").field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// These runs, by this access; no answer may take longer than `patience`. Nothing is sent yet.
    pub fn new(access: Access, runs: Runs, patience: Duration) -> Self {
        Self {
            client: Client::new(access, patience),
            runs,
            wait: Duration::ZERO,
            kinds: &[RunKind::PipelineRun, RunKind::TaskRun],
        }
    }

    /// Waits so long for runs that are named to finish.
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The same, but a busy server is not asked again at once.
    pub(super) fn asking_once(self) -> Self {
        Self { client: self.client.asking_once(), ..self }
    }

    /// Of all runs that are meant, PipelineRuns alone.
    pub(crate) fn of_pipeline_runs(self) -> Self {
        Self { kinds: &[RunKind::PipelineRun], ..self }
    }

    /// Hands every object to `sink`, in the API server's order.
    pub(crate) fn read(mut self, sink: &mut dyn Sink) -> Result<(), Stopped> {
        match self.runs.clone() {
            Runs::Named(namespace, runs) => self.named(&namespace, runs, sink),
            Runs::Watched { namespace, selector } => {
                self.watch(namespace.as_ref().map(Namespace::as_str), selector.as_deref(), sink)
            }
            Runs::All { namespace, selector } => {
                let namespace = namespace.as_ref().map(Namespace::as_str);
                let selector = selector.as_deref();
                let kinds = self.kinds;
                kinds.iter().try_for_each(|&kind| self.list(kind, namespace, selector, None, sink).map(drop))
            }
        }
    }

    /// Each run once, as soon as it has finished; at the latest when nobody waits any longer.
    fn named(
        &mut self,
        namespace: &Namespace,
        mut runs: Vec<RunName>,
        sink: &mut dyn Sink,
    ) -> Result<(), Stopped> {
        let (namespace, start) = (namespace.as_str(), Instant::now());
        let mut family = Family::default();
        let mut is_told = false;
        loop {
            let mut running = Vec::new();
            for run in runs {
                if start.elapsed() < self.wait && self.is_running(namespace, &run) {
                    running.push(run);
                } else {
                    family.ask(run);
                    self.family(namespace, &mut family, sink)?;
                }
            }
            if running.is_empty() {
                return Ok(());
            }
            if !std::mem::replace(&mut is_told, true) {
                sink.wait_for(reason(namespace, &running, self.wait))?;
            }
            sink.waiting()?;
            thread::sleep(PAUSE.min(self.wait.saturating_sub(start.elapsed())));
            runs = running;
        }
    }

    /// Whether there is any use in waiting: what else may be wrong is told by whoever reads it.
    fn is_running(&mut self, namespace: &str, run: &RunName) -> bool {
        let request = Request::Get { kind: run.kind, namespace, name: run.name.as_str() };
        let body = match self.client.object(&request) {
            // What may pass: an API server that starts anew must not end the waiting.
            Err(error) if error.is_passing() => return true,
            body => body.ok().flatten(),
        };
        let head = body.and_then(|mut body| Some(whole(&mut body, namespace, run.name.as_str()).ok()?.1));
        head.is_some_and(|head| !head.has_finished())
    }

    /// The runs that are asked for, those of a PipelineRun after it; whether the first one is there.
    pub(super) fn family(
        &mut self,
        namespace: &str,
        family: &mut Family,
        sink: &mut dyn Sink,
    ) -> Result<bool, Stopped> {
        let mut is_there = false;
        while let Some(RunName { kind, name }) = family.next() {
            let Some(head) = self.object(kind, namespace, name.as_str(), sink)? else { continue };
            is_there = true;
            if kind == RunKind::PipelineRun {
                // Those that say that they belong to it, whether or not it says so, too.
                let selector = format!("tekton.dev/pipelineRunUID={}", head.metadata.uid);
                let unread = &mut |head: Head| family.is_unread(&head);
                self.list(RunKind::TaskRun, Some(namespace), Some(&selector), Some(unread), sink)?;
                family.add(head);
            }
        }
        Ok(is_there)
    }

    /// Hands on one object; gives what its family is found by.
    fn object(
        &mut self,
        kind: RunKind,
        namespace: &str,
        name: &str,
        sink: &mut dyn Sink,
    ) -> Result<Option<Head>, Stopped> {
        let request = Request::Get { kind, namespace, name };
        sink.begin(place(&request));
        sink.waiting()?;
        let body = self.client.object(&request);
        match body.and_then(|body| body.map(|mut body| whole(&mut body, namespace, name)).transpose()) {
            Ok(None) => Ok(None),
            Ok(Some((bytes, head))) => {
                sink.count(bytes.len());
                sink.take(FoundDocument::Json { bytes: &bytes, line: 1, inherited: None })?;
                Ok(Some(head))
            }
            Err(error) => self.failed(error, sink).map(|()| None),
        }
    }

    /// Hands on why something is not read, without the token: some servers repeat what they were sent.
    pub(super) fn failed(&self, error: KubernetesError, sink: &mut dyn Sink) -> Result<(), Stopped> {
        let error = match error {
            KubernetesError::Odd { reason } => KubernetesError::Odd { reason: self.client.quote(&reason) },
            error => error,
        };
        sink.take(FoundDocument::Failed(ReadFailure::Kubernetes(Box::new(error))))
    }

    /// Hands on the objects of a list that are `wanted`, or all; gives its version, if it could be read to its end.
    pub(super) fn list(
        &mut self,
        kind: RunKind,
        namespace: Option<&str>,
        selector: Option<&str>,
        wanted: Option<&mut Wanted<'_>>,
        sink: &mut dyn Sink,
    ) -> Result<Option<String>, Stopped> {
        let sink = &mut Screen { namespace, wanted, sink };
        let (mut next, mut asked) = (None::<String>, HashSet::new());
        let (listed, selector) = (kind.into(), Selector::labels(selector));
        sink.begin(place(&Request::List { kind: listed, namespace, selector, next: None }));
        loop {
            sink.waiting()?;
            let request = Request::List { kind: listed, namespace, selector, next: next.as_deref() };
            let mut body = match self.client.page(&request) {
                Ok(body) => body,
                Err(error) => return self.failed(error, sink).map(|()| None),
            };
            let mut reader = body.as_reader();
            let page = files::page(&mut reader, request::name(kind), sink)?;
            next = match page {
                Ok(Page { next: None, version }) => return Ok(Some(version)),
                // The same again would go on for ever.
                Ok(page) if !page.next.iter().all(|next| asked.insert(next.clone())) => {
                    let reason = "its list goes on where it began".to_owned();
                    return self.failed(KubernetesError::Odd { reason }, sink).map(|()| None);
                }
                Ok(page) => page.next,
                Err(failure) => return self.failed(of_answer(failure), sink).map(|()| None),
            };
        }
    }
}

/// What is waited for.
fn reason(namespace: &str, running: &[RunName], wait: Duration) -> String {
    let names: Vec<String> = running.iter().map(ToString::to_string).collect();
    format!("waiting up to {} s for {} in namespace {namespace} to finish", wait.as_secs(), names.join(", "))
}

/// Where an answer is from: what `kubectl get --raw` would ask for.
pub(super) fn place(request: &Request<'_>) -> Arc<str> {
    format!("kubernetes:{}", request.path()).into()
}

/// An object that is the one that was asked for.
fn whole(body: &mut Body, namespace: &str, name: &str) -> Result<(Vec<u8>, Head), KubernetesError> {
    let limit = u64::try_from(LARGEST_OBJECT).unwrap_or(u64::MAX);
    let bytes = bytes(body, limit.saturating_add(1))?;
    let odd = |reason: String| KubernetesError::Odd { reason };
    if bytes.len() > LARGEST_OBJECT {
        return Err(odd(format!("it is larger than {} MiB", LARGEST_OBJECT >> 20)));
    }
    let head = Head::of(&bytes).ok_or_else(|| odd("it is not an object of Kubernetes".to_owned()))?;
    if head.metadata.name != name || head.metadata.namespace != namespace {
        let found = format!("{}/{}", head.metadata.namespace, head.metadata.name);
        return Err(odd(format!("it is {found}, which was not asked for")));
    }
    Ok((bytes, head))
}

/// What counts of an object that is not a run; `None`: there is none of that name.
pub(super) fn object<T: DeserializeOwned>(
    client: &mut Client,
    kind: ObjectKind,
    namespace: &str,
    name: &str,
) -> Result<Option<T>, KubernetesError> {
    let body = client.object(&Request::Object { kind, namespace, name })?;
    let Some(mut body) = body else { return Ok(None) };
    let (bytes, _) = whole(&mut body, namespace, name)?;
    let odd = |_| KubernetesError::Odd { reason: format!("it is not a {}", kind.as_str()) };
    serde_json::from_slice(&bytes).map(Some).map_err(odd)
}

/// What is wrong with an answer that is read as it comes.
fn of_answer(failure: ReadFailure) -> KubernetesError {
    let reason = match failure {
        ReadFailure::Read(error) => return KubernetesError::Cut { cause: io_words(&error) },
        ReadFailure::Json(reason, _) | ReadFailure::List(reason) => reason,
        ReadFailure::TooLarge(_) => format!("an object in it is larger than {} MiB", LARGEST_OBJECT >> 20),
        ReadFailure::Part(_) => "it says that there are more objects, but not how to ask for them".to_owned(),
        _ => "it is not a list of objects".to_owned(),
    };
    KubernetesError::Odd { reason }
}
