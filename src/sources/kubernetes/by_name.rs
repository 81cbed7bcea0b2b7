//! Runs by name, one after the other: a controller reads each with what belongs to it, and notes on it what it has found.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    access::Access,
    client::bytes,
    error::KubernetesError,
    family::Family,
    read::Kubernetes,
    request::{PatchedPart, Request},
    runs::Runs,
};
use crate::{
    sources::{
        error::{LARGEST_OBJECT, SourceError},
        failure::ReadFailure,
        files::Document,
        run_name::RunName,
        sink::{FoundDocument, Sink, Stopped},
    },
    tekton::{chains::Stated, run::Run},
};

/// A document as it came, if it is JSON, and the run in it.
pub type Read<'a> = (&'a [u8], Result<Run, SourceError>);

/// What has become of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The run as it is now, in JSON.
    Done(Vec<u8>),
    /// It is not the one that was meant, or no longer: there is another one of that name, or it has changed meanwhile.
    Other,
    /// There is none of that name.
    Gone,
}

/// Runs by name.
pub struct RunsByName {
    kubernetes: Kubernetes,
}

impl std::fmt::Debug for RunsByName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunsByName").finish_non_exhaustive()
    }
}

impl RunsByName {
    /// By this access; no part of an answer may take longer than `patience`, and a busy server is not asked again at once. Nothing is sent yet.
    pub fn new(access: Access, patience: Duration) -> Self {
        let kubernetes = Kubernetes::new(access, Runs::All { namespace: None, selector: None }, patience);
        Self { kubernetes: kubernetes.asking_once() }
    }

    /// Hands on a run of a namespace, and then what belongs to it, and at last [`KubernetesError::TooLong`] if that could not be read within
    /// `limit`, but for the answer that is being read then.
    pub fn read(&mut self, namespace: &str, run: RunName, limit: Duration, each: &mut dyn FnMut(Read<'_>)) {
        let mut family = Family::default();
        family.ask(run);
        let mut documents = Documents { path: "".into(), begun: Instant::now(), limit, each };
        if self.kubernetes.family(namespace, &mut family, &mut documents).is_err() {
            let failure =
                ReadFailure::Kubernetes(Box::new(KubernetesError::TooLong { seconds: limit.as_secs() }));
            (documents.each)((&[], Err(failure.at(documents.path.to_string()))));
        }
    }

    /// Changes a part of a run by a JSON Merge Patch. What the patch says of UID and version must be so.
    pub fn patch(
        &mut self,
        namespace: &str,
        run: &RunName,
        part: PatchedPart,
        patch: &str,
    ) -> Result<Changed, KubernetesError> {
        let request = Request::Patch { kind: run.kind, part, namespace, name: run.name.as_str(), patch };
        let body = match self.kubernetes.client.object(&request) {
            Ok(body) => body,
            Err(KubernetesError::Status { status: 409, .. }) => return Ok(Changed::Other),
            Err(error) => return Err(error),
        };
        let Some(mut body) = body else { return Ok(Changed::Gone) };
        let limit = u64::try_from(LARGEST_OBJECT).unwrap_or(u64::MAX);
        Ok(Changed::Done(bytes(&mut body, limit)?))
    }
}

/// Reads documents as they come.
struct Documents<'a> {
    path: Arc<str>,
    begun: Instant,
    limit: Duration,
    each: &'a mut dyn FnMut(Read<'_>),
}

impl Documents<'_> {
    fn runs(&mut self, bytes: &[u8], document: Document<'_>) {
        let Self { path, each, .. } = self;
        let mut each = |run: Result<Run, ReadFailure>| {
            each((bytes, run.map_err(|failure| failure.at(path.to_string()))));
        };
        document.runs(&Stated::default(), &mut each);
    }

    fn go_on(&self) -> Result<(), Stopped> {
        if self.begun.elapsed() < self.limit { Ok(()) } else { Err(Stopped) }
    }
}

impl Sink for Documents<'_> {
    fn begin(&mut self, path: Arc<str>) {
        self.path = path;
    }

    fn take(&mut self, found: FoundDocument<'_>) -> Result<(), Stopped> {
        self.go_on()?;
        match found {
            FoundDocument::Json { bytes, line, inherited } => {
                self.runs(bytes, Document::Json(bytes, line, inherited));
            }
            FoundDocument::Yaml { node, inherited, .. } => self.runs(&[], Document::Yaml(node, inherited)),
            FoundDocument::Failed(failure) => (self.each)((&[], Err(failure.at(self.path.to_string())))),
        }
        Ok(())
    }

    fn waiting(&mut self) -> Result<(), Stopped> {
        self.go_on()
    }

    fn wait_for(&mut self, _reason: String) -> Result<(), Stopped> {
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Stopped> {
        Ok(())
    }

    fn count(&mut self, _bytes: usize) {}
}
