//! Which run it is.

use crate::{
    controller::objects::{Key, Seen, key_of},
    sources::run_name::RunKind,
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

    /// What its mark is found by.
    pub fn key(&self) -> Key {
        key_by_uid(&self.namespace, &self.uid)
    }
}
