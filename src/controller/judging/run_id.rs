//! Which run it is.

use crate::{
    controller::objects::{Key, Seen, key_of},
    sources::{kubernetes::event::About, run_name::RunKind},
};

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId {
    /// What it is of.
    pub kind: RunKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// What the mark of the run with this UID is found by. What it is called in other objects does not matter.
pub fn key_by_uid(namespace: &str, uid: &str) -> Key {
    key_of(&[namespace, uid])
}

impl RunId {
    /// Which one a watch has told of.
    pub fn of(kind: RunKind, seen: &Seen) -> Self {
        let metadata = &seen.metadata;
        let (namespace, name, uid) =
            (metadata.namespace.clone(), metadata.name.clone(), metadata.uid.clone());
        Self { kind, namespace, name, uid }
    }

    /// It, as an event is about it.
    pub fn about(&self) -> About {
        let Self { kind, namespace, name, uid } = self.clone();
        About { api_version: "tekton.dev/v1", kind: kind_of(kind), namespace, name, uid }
    }

    /// What its mark is found by.
    pub fn key(&self) -> Key {
        key_by_uid(&self.namespace, &self.uid)
    }
}

/// A kind as objects say it.
pub fn kind_of(kind: RunKind) -> &'static str {
    match kind {
        RunKind::TaskRun => "TaskRun",
        RunKind::PipelineRun => "PipelineRun",
    }
}
