//! What has to change so that there are the entries that there should be.

use std::collections::{BTreeMap, HashSet};

use prost::Message as _;
use unixtime::UnixSeconds;

use crate::{
    controller::{
        registration::entry::{ClusterTag, EntryId, Subject, WantedEntry, sort},
        spire::generated::RegistrationEntry,
    },
    evidence::sha256,
};

/// What is kept of an entry that the SPIRE server has: enough to see whether it is another one than it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Of all of it, in the one order of its selectors.
    digest: [u8; 32],
    /// When the server drops it; `None` for never.
    pub expiry: Option<UnixSeconds>,
}

impl Kept {
    /// Of an entry as the server has it, or as it is sent.
    pub fn of(mut entry: RegistrationEntry) -> Self {
        sort(&mut entry);
        Self { digest: sha256(&entry.encode_to_vec()), expiry: expiry(&entry) }
    }
}

/// When an entry expires; `None` for never.
pub fn expiry(entry: &RegistrationEntry) -> Option<UnixSeconds> {
    Some(entry.expires_at).filter(|seconds| *seconds != 0).map(UnixSeconds::new)
}

/// Entries of ours that the SPIRE server has, as far as is known.
pub type Present = BTreeMap<EntryId, Kept>;

/// What has to change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// Entries that are missing, a parent before its children.
    pub create: Vec<RegistrationEntry>,
    /// Entries that there are, but otherwise.
    pub update: Vec<RegistrationEntry>,
    /// Entries that nobody needs.
    pub delete: Vec<EntryId>,
    /// Those to be created or updated: several pods of a node bring its alias.
    named: HashSet<EntryId>,
}

impl Difference {
    /// Nothing but that these go.
    pub fn without(delete: Vec<EntryId>) -> Self {
        Self { delete, ..Self::default() }
    }

    /// Whether nothing has to change.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.update.is_empty() && self.delete.is_empty()
    }

    /// Adds what gives a pod or TaskRun its desired entries, and takes away its others.
    pub fn add(&mut self, subject: &Subject, desired: &[WantedEntry], present: &Present, tag: &ClusterTag) {
        for entry in desired {
            let wire = entry.to_wire(tag);
            match present.get(&entry.id) {
                Some(known) if *known == Kept::of(wire.clone()) => {}
                _ if !self.named.insert(entry.id.clone()) => {}
                Some(_) => self.update.push(wire),
                None => self.create.push(wire),
            }
        }
        let known = entries_of(subject, present, tag);
        let others = known.filter(|id| !desired.iter().any(|entry| entry.id == **id));
        self.delete.extend(others.cloned());
    }
}

/// The entries of a pod or TaskRun that the SPIRE server has.
pub fn entries_of<'a>(
    subject: &Subject,
    present: &'a Present,
    tag: &ClusterTag,
) -> impl Iterator<Item = &'a EntryId> {
    let first = tag.entry(subject, "");
    let prefix = first.as_str().to_owned();
    present.range(first..).map(|(id, _)| id).take_while(move |id| id.as_str().starts_with(&prefix))
}
