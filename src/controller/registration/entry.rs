//! Registration entries that are this controller's.

use std::{fmt, time::Duration};

use ring::digest::{SHA256, digest};
use unixtime::UnixSeconds;
use x509::text::hex;

use crate::{
    controller::spire::generated::{RegistrationEntry, Selector, Spiffeid},
    workload::id::{SpiffeId, parse_uid},
};

/// Hexadecimal digits of the cluster's UID by which its entries are told from those of another cluster.
const DIGITS: usize = 12;

/// What the IDs and the hint of all entries of one cluster begin with. SPIRE may serve several clusters, and other programs make entries,
/// too: none of theirs is ever touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTag(String);

impl ClusterTag {
    /// That of the cluster with this UID; `None` if it is not a UUID.
    pub fn of(cluster_uid: &str) -> Option<Self> {
        let digits = hex(&parse_uid(cluster_uid)?);
        Some(Self(format!("svidence-{}", digits.get(..DIGITS)?)))
    }

    /// The hint of all entries: the SPIRE server lists entries by it.
    pub fn hint(&self) -> &str {
        &self.0
    }

    /// The ID of an entry of a pod or TaskRun. There is a dot in every ID, since spire-controller-manager may be told to delete those
    /// without one.
    pub fn entry(&self, subject: &Subject, what: &str) -> EntryId {
        let (kind, uid) = match subject {
            Subject::Pod(uid) => ("pod", uid),
            Subject::TaskRun(uid) => ("taskrun", uid),
        };
        EntryId(format!("{}.{kind}.{uid}.{what}", self.0))
    }

    /// The ID of the alias of all nodes.
    pub fn all_nodes_entry(&self) -> EntryId {
        EntryId(format!("{}.nodes", self.0))
    }

    /// The ID of the alias of a node. Of its name only a hash, as it may be as long as an ID.
    pub fn node_entry(&self, node: &str) -> EntryId {
        let hash = hex(digest(&SHA256, node.as_bytes()).as_ref());
        EntryId(format!("{}.node.{}", self.0, hash.get(..32).unwrap_or_default()))
    }

    /// Takes an entry that the SPIRE server has for one of ours, or not.
    pub fn is_ours(&self, entry: &RegistrationEntry) -> bool {
        let rest = entry.id.strip_prefix(self.0.as_str());
        entry.hint == self.0 && rest.is_some_and(|rest| rest.starts_with('.'))
    }

    /// What an entry of ours is for; `None` of an alias of nodes.
    pub fn subject_of(&self, id: &EntryId) -> Option<Subject> {
        let (kind, rest) = id.0.strip_prefix(self.0.as_str())?.strip_prefix('.')?.split_once('.')?;
        let uid = rest.split('.').next()?.to_owned();
        match kind {
            "pod" => Some(Subject::Pod(uid)),
            "taskrun" => Some(Subject::TaskRun(uid)),
            _ => None,
        }
    }
}

/// What entries are for, by its UID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A pod.
    Pod(String),
    /// A TaskRun, whatever its pods.
    TaskRun(String),
}

/// The ID of an entry, chosen by us so that creating it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(String);

impl EntryId {
    /// That of an entry that the SPIRE server has.
    pub fn of(entry: &RegistrationEntry) -> Self {
        Self(entry.id.clone())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An entry that there should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedEntry {
    /// Its ID.
    pub id: EntryId,
    /// The identity that it gives.
    pub spiffe_id: SpiffeId,
    /// Whose workloads it is for: a node's alias, or the SPIRE server of a node's alias itself.
    pub parent: SpiffeId,
    /// Type and value; all of them must match.
    pub selectors: Vec<(&'static str, String)>,
    /// What the certificate attests (docs/evidence.md 8); a node's alias has none.
    pub dns_name: Option<String>,
    /// How long an SVID is valid; zero for the server's default.
    pub svid_ttl: Duration,
    /// When the server may drop it; `None` for never.
    pub expires_at: Option<UnixSeconds>,
}

impl WantedEntry {
    /// As it is sent, with the hint of its cluster.
    pub fn to_wire(&self, tag: &ClusterTag) -> RegistrationEntry {
        let id = |id: &SpiffeId| Spiffeid {
            trust_domain: id.trust_domain().to_string(),
            path: id.path().to_owned(),
        };
        let selector =
            |(kind, value): &(&str, String)| Selector { r#type: (*kind).to_owned(), value: value.clone() };
        let mut entry = RegistrationEntry {
            id: self.id.0.clone(),
            spiffe_id: Some(id(&self.spiffe_id)),
            parent_id: Some(id(&self.parent)),
            selectors: self.selectors.iter().map(selector).collect(),
            x509_svid_ttl: i32::try_from(self.svid_ttl.as_secs()).unwrap_or(i32::MAX),
            expires_at: self.expires_at.map_or(0, UnixSeconds::get),
            dns_names: self.dns_name.iter().cloned().collect(),
            hint: tag.0.clone(),
            ..RegistrationEntry::default()
        };
        sort(&mut entry);
        entry
    }
}

/// Puts the selectors of an entry in the one order that entries are compared in: the server's is its own.
pub fn sort(entry: &mut RegistrationEntry) {
    entry.selectors.sort_by(|a, b| (&a.r#type, &a.value).cmp(&(&b.r#type, &b.value)));
}
