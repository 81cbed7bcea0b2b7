//! Following objects of one kind: all that there are, then each that changes, without an end. A controller's, which keeps of each object
//! only what it needs.

use std::{
    io::BufReader,
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    access::Access,
    client::{Client, io_words},
    error::KubernetesError,
    request::{Listed, Request, Selector},
    runs::Namespace,
    watched::{Change, Events, Next},
};
use crate::sources::run_name::RunKind;

/// Seconds of one watch, at most; a proxy in between may cut a longer one.
const LONGEST_WATCH: u64 = 60;
/// The pauses after failures: the first one, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A watch that goes on for so long was not refused.
const LASTED: Duration = Duration::from_secs(5);

/// What of an object is kept. Every field of it must have a default: a bookmark has a version only.
pub trait Followed: DeserializeOwned {
    /// The version of the object (`metadata.resourceVersion`).
    fn version(&self) -> &str;
}

/// What is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objects {
    /// TaskRuns, of all namespaces if none is named.
    TaskRuns(Option<Namespace>),
    /// PipelineRuns, of all namespaces if none is named.
    PipelineRuns(Option<Namespace>),
    /// The pods with a label, of all namespaces if none is named.
    Pods(Option<Namespace>, &'static str),
    /// One ConfigMap.
    ConfigMap(Namespace, String),
}

impl Objects {
    fn namespace(&self) -> Option<&str> {
        match self {
            Self::TaskRuns(namespace) | Self::PipelineRuns(namespace) | Self::Pods(namespace, _) => {
                namespace.as_ref().map(Namespace::as_str)
            }
            Self::ConfigMap(namespace, _) => Some(namespace.as_str()),
        }
    }

    fn listed(&self) -> Listed {
        match self {
            Self::TaskRuns(_) => Listed::Runs(RunKind::TaskRun),
            Self::PipelineRuns(_) => Listed::Runs(RunKind::PipelineRun),
            Self::Pods(..) => Listed::Pods,
            Self::ConfigMap(..) => Listed::ConfigMaps,
        }
    }
}

/// A page of a list of all objects.
#[derive(Debug)]
pub struct Page<T> {
    /// Those on it.
    pub objects: Vec<T>,
    /// Whether the list begins with it.
    pub is_first: bool,
    /// Whether the list ends with it: what was on none of its pages is not there.
    pub is_last: bool,
}

/// What is told of the objects.
#[derive(Debug)]
pub enum Told<T> {
    /// These are there now. A list comes page by page, so that it is never in memory as a whole.
    Listed(Page<T>),
    /// This one is new, or has changed.
    Changed(T),
    /// This one is no longer there.
    Gone(T),
    /// Nothing is known of them until the next list, which is asked for after a pause. One that has begun is not gone on with.
    Failed(KubernetesError),
}

impl<T> Told<T> {
    /// These are all that there are now.
    pub fn all(objects: Vec<T>) -> Self {
        Self::Listed(Page { objects, is_first: true, is_last: true })
    }
}

/// What is told to; it ends the following.
pub type Tell<'a, T> = dyn FnMut(Told<T>) -> ControlFlow<()> + 'a;

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Answer<T> {
    metadata: AnswerMetadata,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct AnswerMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    next: String,
}

/// How a watch ended.
enum Ended {
    /// In its time, at this version.
    At(String),
    /// What is known is too old, or it was cut: there must be a list again.
    Early,
    /// The API server refuses it.
    Failed(KubernetesError),
    /// Nobody wants to know more.
    Told,
}

/// What is asked for, again and again.
struct Asked {
    objects: Objects,
    /// `metadata.name=…`, of one object.
    fields: Option<String>,
    /// Seconds of one watch.
    seconds: String,
}

impl Asked {
    fn selector(&self) -> Selector<'_> {
        let labels = match &self.objects {
            Objects::Pods(_, label) => Some(*label),
            _ => None,
        };
        Selector { labels, fields: self.fields.as_deref() }
    }

    fn list<'a>(&'a self, next: &'a str) -> Request<'a> {
        Request::List {
            kind: self.objects.listed(),
            namespace: self.objects.namespace(),
            selector: self.selector(),
            next: Some(next).filter(|next| !next.is_empty()),
        }
    }

    fn watch<'a>(&'a self, version: &'a str) -> Request<'a> {
        Request::Watch {
            kind: self.objects.listed(),
            namespace: self.objects.namespace(),
            selector: self.selector(),
            version,
            seconds: &self.seconds,
        }
    }
}

/// Follows objects.
pub struct Follow {
    client: Client,
    asked: Asked,
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").field("objects", &self.asked.objects).finish_non_exhaustive()
    }
}

impl Follow {
    /// These objects, by this access; no part of an answer may take longer than `patience`. Nothing is sent yet.
    pub fn new(access: Access, objects: Objects, patience: Duration) -> Self {
        let fields = match &objects {
            Objects::ConfigMap(_, name) => Some(format!("metadata.name={name}")),
            _ => None,
        };
        // A watch may be silent to its end, and silence must not be taken for a connection that is lost.
        let seconds = (patience.as_secs() / 2).clamp(1, LONGEST_WATCH).to_string();
        Self { client: Client::new(access, patience), asked: Asked { objects, fields, seconds } }
    }

    /// Tells what there is, and what changes, until `tell` ends it.
    pub fn run<T: Followed>(mut self, tell: &mut Tell<'_, T>) {
        let mut pause = FIRST_PAUSE;
        loop {
            // A list alone proves nothing: where each watch fails at once, all would be listed again and again.
            let mut has_watched = false;
            let ended = match self.list(tell) {
                Ok(ControlFlow::Break(())) => Ended::Told,
                Ok(ControlFlow::Continue(version)) => self.changes(version, &mut has_watched, tell),
                Err(error) => Ended::Failed(error),
            };
            if has_watched {
                pause = FIRST_PAUSE;
            }
            let is_over = match ended {
                Ended::Told => true,
                Ended::Failed(error) => tell(Told::Failed(error)).is_break(),
                Ended::Early | Ended::At(_) => false,
            };
            if is_over {
                return;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tells all that there are; gives from where on changes can be watched.
    fn list<T: Followed>(
        &mut self,
        tell: &mut Tell<'_, T>,
    ) -> Result<ControlFlow<(), String>, KubernetesError> {
        let mut next = String::new();
        loop {
            let mut body = self.client.page(&self.asked.list(&next))?;
            let answer: Answer<T> = serde_json::from_reader(BufReader::new(body.as_reader())).map_err(odd)?;
            let AnswerMetadata { resource_version, next: following } = answer.metadata;
            let (is_first, is_last) = (next.is_empty(), following.is_empty());
            if tell(Told::Listed(Page { objects: answer.items, is_first, is_last })).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if is_last {
                return Ok(ControlFlow::Continue(resource_version));
            }
            // The same again would go on for ever.
            if following == next {
                let reason = "its list goes on where it began".to_owned();
                return Err(KubernetesError::Odd { reason });
            }
            next = following;
        }
    }

    /// Tells what changes after a version, one watch after the other. `has_watched`: whether one has told something, or lasted.
    fn changes<T: Followed>(
        &mut self,
        mut version: String,
        has_watched: &mut bool,
        tell: &mut Tell<'_, T>,
    ) -> Ended {
        loop {
            let begun = Instant::now();
            let mut tell = |told| {
                *has_watched = true;
                tell(told)
            };
            let ended = self.watch(version, &mut tell);
            *has_watched |= begun.elapsed() >= LASTED;
            match ended {
                Ended::At(newer) => version = newer,
                ended => return ended,
            }
            // Something in between may end every watch at once.
            thread::sleep(FIRST_PAUSE.saturating_sub(begun.elapsed()));
        }
    }

    fn watch<T: Followed>(&mut self, mut version: String, tell: &mut Tell<'_, T>) -> Ended {
        let mut body = match self.client.page(&self.asked.watch(&version)) {
            Ok(body) => body,
            Err(KubernetesError::Expired) => return Ended::Early,
            Err(error) => return Ended::Failed(error),
        };
        let mut events = Events::new(body.as_reader());
        loop {
            let (change, object) = match events.next::<T>() {
                Next::Event(change, object) => (change, object),
                Next::End => return Ended::At(version),
                Next::Broken => return Ended::Early,
            };
            object.version().clone_into(&mut version);
            let told = match change {
                Change::Added | Change::Modified => Told::Changed(object),
                Change::Deleted => Told::Gone(object),
                Change::Bookmark => continue,
            };
            if tell(told).is_break() {
                return Ended::Told;
            }
        }
    }
}

/// What is wrong with an answer that cannot be read.
fn odd(error: serde_json::Error) -> KubernetesError {
    match error.is_io() {
        true => KubernetesError::Cut { cause: io_words(&error.into()) },
        false => KubernetesError::Odd { reason: "it is not a list of objects".to_owned() },
    }
}
