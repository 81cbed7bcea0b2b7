//! From registries into the walk, image by image.

use std::{collections::BTreeMap, time::Duration};

use super::{
    attestations::{Attestations, Halt},
    connection::Connection,
    credentials::Keychain,
    reference::Image,
    registry::Registry,
};
use crate::{
    http::proxies::Proxies,
    sources::{
        authorities::ServerAuthorities,
        sink::{Sink, Stopped},
    },
};

/// Images whose attestations are read.
#[derive(Debug, Clone)]
pub struct Oci {
    /// Which.
    pub images: Vec<Image>,
    /// Who vouches for the registries.
    pub authorities: ServerAuthorities,
    /// Where the credentials for them are.
    pub keychain: Keychain,
    /// How long to wait for an answer, in whole seconds.
    pub patience: Duration,
    /// Which proxies lead to them.
    pub proxies: Proxies,
}

impl Oci {
    /// Hands every attestation on, each named by its image and where beside it it lies.
    pub(crate) fn read(&self, sink: &mut dyn Sink) -> Result<(), Stopped> {
        // One login is for all images of a repository.
        let mut registries = BTreeMap::new();
        for image in &self.images {
            let repository = &image.repository;
            let registry = registries.entry(repository).or_insert_with(|| {
                let connection = Connection::new(&self.proxies, &self.authorities, self.patience);
                Registry::new(connection, repository.clone(), &self.keychain)
            });
            match Attestations::new(image, registry, sink).read() {
                Ok(()) | Err(Halt::Told) => {}
                Err(Halt::Stopped) => return Err(Stopped),
            }
        }
        Ok(())
    }
}
