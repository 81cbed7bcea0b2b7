//! Where registration entries are kept: with the SPIRE server, or as objects of the cluster.

use crate::controller::{
    config::{Configuration, Registration},
    spire::client::{Entries, EntryApi},
    static_entries::kept::KeptEntries,
};

/// Where entries are kept.
#[derive(Debug)]
pub enum EntryPlace {
    /// With the SPIRE server that the configuration names.
    Server(Box<EntryApi>),
    /// In the cluster, as objects of which spire-controller-manager makes entries.
    Objects,
}

impl EntryPlace {
    /// The calls that keep them there.
    pub fn entries<'a>(&'a self, objects: &'a KeptEntries) -> &'a dyn Entries {
        match self {
            Self::Server(api) => &**api,
            Self::Objects => objects,
        }
    }

    /// Whether they are objects.
    pub fn is_objects(&self) -> bool {
        matches!(self, Self::Objects)
    }
}

/// Whether a configuration wants objects. `are_objects`: what there is are such; where nothing new is registered, it stays where it is.
pub fn wants_objects(configuration: &Configuration, are_objects: bool) -> bool {
    match configuration.settings.registration {
        Registration::ClusterStaticEntry => true,
        Registration::Off => are_objects,
        Registration::Pod | Registration::Owner => false,
    }
}
