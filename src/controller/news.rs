//! What the registrar has done or could not do, for the log, events and metrics.

use std::time::Instant;

use crate::controller::{objects::ObjectMetadata, registration::desired::RegistrationRefusal};

/// Something to be told.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// A pod or TaskRun has its entries, and its node an alias.
    Registered {
        /// Which.
        object: Object,
        /// Since when that was due.
        since: Instant,
        /// Their number.
        entries: usize,
    },
    /// Entries were taken away.
    Removed {
        /// How many.
        entries: usize,
    },
    /// A pod or TaskRun gets no entries.
    Refused {
        /// Which.
        object: Object,
        /// Why.
        refusal: RegistrationRefusal,
    },
    /// Entries of ours are gone, and we did not delete them.
    Vanished {
        /// How many.
        entries: usize,
    },
    /// An entry cannot be made, and trying again does not help. Told once for each pod, TaskRun and alias.
    Obstructed {
        /// What the entry is for; `None` of an alias of nodes, or if it is gone.
        object: Option<Object>,
        /// The entry.
        id: String,
        /// Why not.
        obstacle: Obstacle,
    },
}

/// Why the SPIRE server does not take an entry, or spire-controller-manager an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// It has another one in its place.
    #[error(
        "the entry {by:?} has the same ID, or the same SPIFFE ID, parent and selectors; it is not the controller's, so it stays: delete it if \
         it should not be there"
    )]
    Occupied {
        /// The ID of that; empty if it is not known.
        by: String,
    },
    /// It calls it wrong.
    #[error("the SPIRE server calls it invalid: {message}; see its log")]
    Rejected {
        /// The server's words.
        message: String,
    },
    /// spire-controller-manager makes no entry of the object.
    #[error(
        "spire-controller-manager has not made one of the ClusterStaticEntry of this name: see that it runs, whether it looks at objects of this \
         className (svidence-class-name), and its log"
    )]
    NotTakenUp,
    /// It prefers another object.
    #[error(
        "spire-controller-manager takes another object with the same SPIFFE ID, parent and selectors (status.masked): delete that if it should \
         not be there"
    )]
    Masked,
}

impl Obstacle {
    /// A short stable name, for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Occupied { .. } => "occupied",
            Self::Rejected { .. } => "rejected",
            Self::NotTakenUp => "not-taken-up",
            Self::Masked => "masked",
        }
    }
}

/// A pod or TaskRun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// `Pod` or `TaskRun`.
    pub kind: &'static str,
    /// Its namespace, name and UID.
    pub metadata: ObjectMetadata,
    /// The TaskRun that it is or says it belongs to.
    pub task_run: Option<String>,
}
