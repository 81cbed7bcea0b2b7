//! What the controller keeps of pods, TaskRuns and the ConfigMap.
//!
//! Read leniently: one odd object must not keep a whole list from being read. What it lacks is missing, and then nothing is
//! registered for it.

use std::{
    collections::{BTreeMap, HashSet},
    mem,
    time::Duration,
};

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use unixtime::UnixSeconds;

use crate::{
    controller::{
        judging::ended::EndedRun,
        text::{LONGEST_IMAGE_ID, short, text, uid},
    },
    evidence::sha256,
    sources::kubernetes::follow::{Followed, Page, Told},
};

/// The label of a TaskRun's pods, by which they are followed.
pub const POD_LABEL: &str = "tekton.dev/taskRun";

/// What something is found by: few bytes, however long its names are.
pub type Key = [u8; 16];

/// What is found by these names: the beginning of their SHA-256. No name of an object has a slash.
pub fn key_of(names: &[&str]) -> Key {
    let digest = sha256(names.join("/").as_bytes());
    let mut key = Key::default();
    key.iter_mut().zip(digest).for_each(|(byte, of)| *byte = of);
    key
}

/// What was on the pages so far of a list that has not ended.
#[derive(Debug, Default)]
pub struct Listing(HashSet<Key>);

impl Listing {
    /// Notes what is on a page; gives all of the list when it ends with it.
    pub fn take<T>(&mut self, page: &Page<T>, key: impl Fn(&T) -> Key) -> Option<HashSet<Key>> {
        if page.is_first {
            self.0.clear();
        }
        self.0.extend(page.objects.iter().map(key));
        page.is_last.then(|| mem::take(&mut self.0))
    }
}

/// The metadata of any object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectMetadata {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    version: String,
}

/// The controller of a pod (`metav1.OwnerReference` with `controller: true`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// Such as `tekton.dev/v1`.
    pub api_version: String,
    /// Such as `TaskRun`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// What every object has.
    pub metadata: ObjectMetadata,
    /// When it was created.
    pub created: Option<UnixSeconds>,
    /// The label `tekton.dev/taskRun`.
    pub task_run: Option<String>,
    /// The label `tekton.dev/taskRunUID`.
    pub task_run_uid: Option<String>,
    /// Its controller.
    pub owner: Option<Owner>,
    /// The node that it was given.
    pub node: Option<String>,
    /// Its service account.
    pub service_account: String,
    /// The names of its containers, without those that come before them.
    pub containers: Vec<String>,
    /// The images that its containers run in, as the kubelet says (`status.containerStatuses[].imageID`), by the containers' names.
    pub image_ids: BTreeMap<String, String>,
    /// Whether none of its containers will run any more.
    pub has_ended: bool,
}

/// Whether, and when, a TaskRun has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// It has not.
    #[default]
    Running,
    /// It has, at this time; `None` if it does not say when.
    Ended(Option<UnixSeconds>),
}

/// A TaskRun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchedTaskRun {
    /// What every object has.
    pub metadata: ObjectMetadata,
    /// The pod of its present attempt (`status.podName`).
    pub pod: Option<String>,
    /// Whether it has ended.
    pub progress: Progress,
    /// How long an attempt may take; `None`: as long as it likes.
    pub timeout: Option<Duration>,
    /// When its present attempt has begun (`status.startTime`).
    pub started: Option<UnixSeconds>,
    /// What is judged when it has ended, until it was handed on.
    pub ended: Option<Box<EndedRun>>,
}

/// A run, as far as it is needed to know whether it is to be judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What every object has.
    pub metadata: ObjectMetadata,
    /// `None`: it has not ended.
    pub ended: Option<Box<EndedRun>>,
}

/// A ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigMap {
    /// What every object has.
    pub metadata: ObjectMetadata,
    /// Its keys and values.
    pub data: BTreeMap<String, String>,
}

fn list<'a>(object: &'a Value, place: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(place).and_then(Value::as_array).into_iter().flatten()
}

impl ObjectMetadata {
    /// That of an object.
    pub fn of(object: &Value) -> Self {
        let text = |place| text(object, place).unwrap_or_default();
        Self {
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            uid: uid(object, "/metadata/uid").unwrap_or_default(),
            version: text("/metadata/resourceVersion"),
        }
    }

    /// The version of the object.
    pub fn version(&self) -> &str {
        &self.version
    }
}

macro_rules! without_version {
    ($kind:ty) => {
        impl $kind {
            /// The same without its version: one that differs in nothing else has not changed.
            pub fn without_version(mut self) -> Self {
                self.metadata.version = String::new();
                self
            }
        }
    };
}

impl WatchedTaskRun {
    /// Hands on what is judged.
    pub fn take_seen(&mut self) -> Seen {
        Seen { metadata: self.metadata.clone(), ended: self.ended.take() }
    }
}

without_version!(Pod);
without_version!(WatchedTaskRun);

impl Owner {
    /// The one controller of an object; the API server admits no second one.
    fn of(object: &Value) -> Option<Self> {
        let mut controllers = list(object, "/metadata/ownerReferences")
            .filter(|owner| owner.pointer("/controller") == Some(&Value::Bool(true)));
        let (owner, None) = (controllers.next()?, controllers.next()) else { return None };
        let text = |place| text(owner, place);
        Some(Self {
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            name: text("/name")?,
            uid: uid(owner, "/uid")?,
        })
    }
}

impl Pod {
    fn of(object: &Value) -> Self {
        Self {
            metadata: ObjectMetadata::of(object),
            created: text(object, "/metadata/creationTimestamp").and_then(|time| UnixSeconds::parse(&time)),
            task_run: text(object, "/metadata/labels/tekton.dev~1taskRun"),
            task_run_uid: text(object, "/metadata/labels/tekton.dev~1taskRunUID"),
            owner: Owner::of(object),
            node: text(object, "/spec/nodeName"),
            service_account: text(object, "/spec/serviceAccountName").unwrap_or_default(),
            containers: list(object, "/spec/containers").filter_map(|c| text(c, "/name")).collect(),
            image_ids: list(object, "/status/containerStatuses")
                .filter_map(|status| {
                    Some((text(status, "/name")?, short(status, "/imageID", LONGEST_IMAGE_ID)?))
                })
                .collect(),
            has_ended: matches!(text(object, "/status/phase").as_deref(), Some("Succeeded" | "Failed")),
        }
    }
}

impl WatchedTaskRun {
    fn of(object: &Value) -> Self {
        let condition = list(object, "/status/conditions")
            .find(|condition| condition.pointer("/type").and_then(Value::as_str) == Some("Succeeded"));
        let status = condition.and_then(|condition| text(condition, "/status"));
        let progress = match status.as_deref() {
            Some("True" | "False") => Progress::Ended(
                text(object, "/status/completionTime").and_then(|time| UnixSeconds::parse(&time)),
            ),
            _ => Progress::Running,
        };
        let timeout = text(object, "/spec/timeout")
            .and_then(|timeout| go::duration::parse(timeout.as_bytes()))
            .and_then(|nanoseconds| u64::try_from(nanoseconds / 1_000_000_000).ok())
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        Self {
            metadata: ObjectMetadata::of(object),
            pod: text(object, "/status/podName"),
            progress,
            timeout,
            started: text(object, "/status/startTime").and_then(|time| UnixSeconds::parse(&time)),
            ended: EndedRun::of(object).map(Box::new),
        }
    }
}

impl Seen {
    /// What counts of a run.
    pub fn of(object: &Value) -> Self {
        Self { metadata: ObjectMetadata::of(object), ended: EndedRun::of(object).map(Box::new) }
    }
}

impl ConfigMap {
    fn of(object: &Value) -> Self {
        let data = object.pointer("/data").and_then(Value::as_object).into_iter().flatten();
        let data = data.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        Self { metadata: ObjectMetadata::of(object), data: data.collect() }
    }
}

macro_rules! followed {
    ($kind:ty) => {
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Value::deserialize(deserializer).map(|object| Self::of(&object))
            }
        }

        impl Followed for $kind {
            fn version(&self) -> &str {
                &self.metadata.version
            }
        }
    };
}

followed!(Pod);
followed!(WatchedTaskRun);
followed!(ConfigMap);
followed!(Seen);

/// What is told, of each object this. `None` of a failure.
pub fn each<T, U>(told: &mut Told<T>, mut of: impl FnMut(&mut T) -> U) -> Option<Told<U>> {
    match told {
        Told::Listed(Page { objects, is_first, is_last }) => {
            let objects = objects.iter_mut().map(of).collect();
            Some(Told::Listed(Page { objects, is_first: *is_first, is_last: *is_last }))
        }
        Told::Changed(object) => Some(Told::Changed(of(object))),
        Told::Gone(object) => Some(Told::Gone(of(object))),
        Told::Failed(_) => None,
    }
}
