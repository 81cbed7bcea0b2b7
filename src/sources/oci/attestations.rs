//! All attestations that lie beside one image: under cosign's tag, and as its referrers.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    digest::Digest,
    error::OciError,
    manifest::{Descriptor, Manifest, is_attestation, is_bare_statement, is_for_attestations},
    predicate::{About, about},
    reference::Image,
    registry::Registry,
};
use crate::sources::{
    failure::ReadFailure,
    sink::{FoundDocument, Sink, Stopped},
};

/// The most attestations of one manifest.
const MOST: usize = 1_000;
/// The most layers of all manifests of an image.
const MOST_LAYERS: usize = 10_000;
/// The most bytes of an image's manifests and layers, as they are announced.
const MOST_BYTES: usize = 1 << 30;

/// Why it goes no further with an image.
pub(super) enum Halt {
    /// Nobody takes any more.
    Stopped,
    /// Whatever else is asked would fail alike. It was said.
    Told,
}

impl From<Stopped> for Halt {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

/// One image, while its attestations are read.
pub(super) struct Attestations<'a, 'r, 's> {
    image: &'a Image,
    registry: &'a mut Registry<'r>,
    sink: &'s mut dyn Sink,
    /// What was handed over: tools may write one attestation to both places.
    seen: BTreeSet<Digest>,
    /// Layers of all manifests so far.
    layers: usize,
    /// Bytes of manifests and layers so far.
    bytes: u64,
}

impl<'a, 'r, 's> Attestations<'a, 'r, 's> {
    pub(super) fn new(image: &'a Image, registry: &'a mut Registry<'r>, sink: &'s mut dyn Sink) -> Self {
        Self { image, registry, sink, seen: BTreeSet::new(), layers: 0, bytes: 0 }
    }

    /// Hands all of them over, and why one cannot be read.
    pub(super) fn read(&mut self) -> Result<(), Halt> {
        self.sink.waiting()?;
        match self.registry.tagged(&self.image.attestation_tag()) {
            Ok(Some(manifest)) => self.layers(manifest, ".att")?,
            Ok(None) => {}
            Err(error) => self.failed(".att", error)?,
        }
        match self.registry.referrers(self.image) {
            Ok(referrers) => self.referrers(&referrers),
            Err(error) => self.failed("referrers", error),
        }
    }

    fn referrers(&mut self, all: &[Descriptor]) -> Result<(), Halt> {
        for referrer in all {
            self.sink.waiting()?;
            let at = format!("referrer {}", referrer.digest.chars().take(100).collect::<String>());
            self.announced(referrer, &at)?;
            match self.registry.manifest(referrer) {
                // Where they differ, what is no attestation shows.
                Ok(manifest)
                    if referrer.says_attestations()
                        || manifest.artifact_type().is_some_and(is_for_attestations) =>
                {
                    self.layers(manifest, &at)?
                }
                Ok(_) => {}
                Err(error) => self.failed(&at, error)?,
            }
        }
        Ok(())
    }

    /// Hands over the layers of a manifest that is for attestations alone.
    fn layers(&mut self, manifest: Manifest, at: &str) -> Result<(), Halt> {
        let layers = match manifest.layers() {
            Ok(layers) if layers.len() > MOST => {
                return self
                    .failed(at, OciError::TooMany { what: "attestations in one manifest", limit: MOST });
            }
            Ok(layers) => layers,
            Err(error) => return self.failed(at, error),
        };
        self.layers += layers.len();
        if self.layers > MOST_LAYERS {
            return self.too_many(at, "attestations", MOST_LAYERS);
        }
        for (layer, number) in layers.iter().zip(1..) {
            self.layer(layer, &format!("{at}, layer {number}"))?;
        }
        Ok(())
    }

    fn layer(&mut self, layer: &Descriptor, at: &str) -> Result<(), Halt> {
        if is_bare_statement(&layer.media_type) {
            return Ok(());
        }
        if !is_attestation(&layer.media_type) {
            let kind: String = layer.media_type.chars().take(100).collect();
            return self.failed(at, OciError::NotAttestations(format!("it is of the type {kind:?}")));
        }
        if layer.digest().is_ok_and(|digest| !self.seen.insert(digest)) {
            return Ok(());
        }
        self.sink.waiting()?;
        self.announced(layer, at)?;
        let content = match self.registry.layer(layer) {
            Ok(content) => content,
            Err(error) => return self.failed(at, error),
        };
        self.sink.count(content.len());
        match about(&content) {
            About::SomethingElse => return Ok(()),
            About::Nothing if !content.is_empty() => {
                let what = "it is not an envelope around a statement".to_owned();
                return self.failed(at, OciError::NotAttestations(what));
            }
            About::Nothing | About::Run => {}
        }
        self.begin(at);
        let found = match content.is_empty() {
            true => FoundDocument::Failed(ReadFailure::Empty),
            false => FoundDocument::Json { bytes: &content, line: 1, inherited: None },
        };
        Ok(self.sink.take(found)?)
    }

    /// Counts what is to be read next.
    fn announced(&mut self, descriptor: &Descriptor, at: &str) -> Result<(), Halt> {
        self.bytes = self.bytes.saturating_add(descriptor.size);
        match u64::try_from(MOST_BYTES).is_ok_and(|most| self.bytes > most) {
            true => self.too_many(at, "bytes of attestations", MOST_BYTES),
            false => Ok(()),
        }
    }

    /// Says that there are too many of something, which is the end of the image.
    fn too_many(&mut self, at: &str, what: &'static str, limit: usize) -> Result<(), Halt> {
        self.failed(at, OciError::TooMany { what, limit })?;
        Err(Halt::Told)
    }

    fn begin(&mut self, at: &str) {
        self.sink.begin(Arc::from(format!("{}, {at}", self.image)));
    }

    fn failed(&mut self, at: &str, error: OciError) -> Result<(), Halt> {
        let is_about_all = error.is_about_all();
        self.begin(at);
        self.sink.take(FoundDocument::Failed(ReadFailure::Oci(Box::new(error))))?;
        if is_about_all { Err(Halt::Told) } else { Ok(()) }
    }
}
