//! Manifests and lists of them (OCI image-spec `manifest.md`, `image-index.md`), as far as attestations are found by them.

use std::collections::HashMap;

use serde::{Deserialize, de::IgnoredAny};

use super::{
    digest::{Digest, DigestError},
    error::OciError,
};

/// Manifests of an image, as both OCI and Docker call them, and lists of manifests.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json";
/// A list of manifests.
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A DSSE envelope: a layer of cosign's `.att` tags.
const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
/// How the types of Sigstore's bundles begin, whatever their version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// An in-toto statement: what cosign says that a referrer with envelopes is for, and what others store without an envelope.
const STATEMENT: &str = "application/vnd.in-toto+json";

/// The type of a configuration that is none. Registries of before OCI 1.1 list a referrer by it, whatever the referrer is for.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The type of an image's configuration, which such registries list just as well.
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";

/// Bytes of a text in a descriptor: a media type has no more than 255 (RFC 6838, "Naming Requirements"), a digest 71.
const LONGEST_TEXT: usize = 256;

/// What names content: type, digest, size in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    /// Of a manifest: what it is for.
    pub(super) artifact_type: Option<String>,
}

impl Descriptor {
    /// Whether the referrer that it names may have attestations: what a list does not say, the manifest does.
    pub(super) fn may_be_attestations(&self) -> bool {
        matches!(self.artifact_type.as_deref(), None | Some("" | EMPTY | CONFIGURATION))
            || self.says_attestations()
    }

    /// Whether it says itself that the referrer that it names has attestations.
    pub(super) fn says_attestations(&self) -> bool {
        self.artifact_type.as_deref().is_some_and(is_for_attestations)
    }

    /// Itself, if it holds no text that is longer than any honest one: thousands may be kept.
    fn short(self) -> Result<Self, OciError> {
        let texts = [Some(&self.media_type), Some(&self.digest), self.artifact_type.as_ref()];
        let longest = texts.into_iter().flatten().map(String::len).max().unwrap_or_default();
        match longest > LONGEST_TEXT {
            false => Ok(self),
            true => Err(OciError::Descriptor(format!(
                "a type or digest has {longest} bytes, and none has more than {LONGEST_TEXT}"
            ))),
        }
    }

    pub(super) fn digest(&self) -> Result<Digest, OciError> {
        self.digest.parse().map_err(|error: DigestError| OciError::Descriptor(error.to_string()))
    }
}

/// A manifest or a list of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

impl Manifest {
    /// Reads one that a registry gave.
    pub(super) fn read(text: &[u8]) -> Result<Self, OciError> {
        let not_one = || OciError::NotAttestations("it is not a manifest of OCI".to_owned());
        serde_json::from_slice(text).map_err(|_| not_one())
    }

    /// Whether a text is a list of manifests, or meant to be one, whatever its media type.
    pub(super) fn is_list(text: &[u8]) -> bool {
        let members = serde_json::from_slice::<HashMap<String, IgnoredAny>>(text);
        members.is_ok_and(|members| members.contains_key("manifests"))
    }

    /// What it is for: its own word, else the type of its configuration (image-spec, "Guidelines for Artifact Usage").
    pub(super) fn artifact_type(&self) -> Option<&str> {
        let stated = self.artifact_type.as_deref().filter(|kind| !kind.is_empty());
        stated.or_else(|| self.config.as_ref().map(|config| config.media_type.as_str()))
    }

    /// Its layers, of a manifest.
    pub(super) fn layers(self) -> Result<Vec<Descriptor>, OciError> {
        let none = || OciError::NotAttestations("it has no layers".to_owned());
        self.layers.ok_or_else(none)?.into_iter().map(Descriptor::short).collect()
    }

    /// What it lists, of a list.
    pub(super) fn manifests(self) -> Result<Vec<Descriptor>, OciError> {
        let none = || OciError::NotAttestations("it is not a list of referrers".to_owned());
        self.manifests.ok_or_else(none)?.into_iter().map(Descriptor::short).collect()
    }
}

/// Whether a referrer of this type has attestations, or perhaps some.
pub(super) fn is_for_attestations(artifact_type: &str) -> bool {
    is_attestation(artifact_type) || is_bare_statement(artifact_type)
}

/// Whether content of this type is a statement without an envelope, so that nobody signed it.
pub(super) fn is_bare_statement(media_type: &str) -> bool {
    media_type == STATEMENT
}

/// Whether content of this type is an attestation, or perhaps one: a bundle may also hold the signature of an image.
pub(super) fn is_attestation(media_type: &str) -> bool {
    media_type == DSSE || media_type.starts_with(BUNDLE)
}
