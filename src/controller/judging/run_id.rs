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
        key_of(&[&self.namespace, &self.name, &self.uid])
    }
}
