//! `metadata` of a run: what Kubernetes itself says of it, and the few annotations and labels that are looked at.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::Value;

use crate::tekton::null::null_is_default;
use crate::tekton::object_name::{is_namespace, is_object_name};

/// `metadata`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Name of the TaskRun.
    #[serde(deserialize_with = "subdomain")]
    pub name: String,
    /// Its namespace.
    #[serde(deserialize_with = "label")]
    pub namespace: String,
    /// Its UID.
    #[serde(default)]
    pub uid: String,
    /// When it was created; a status writer cannot change it.
    pub creation_timestamp: Option<String>,
    /// Annotations, of which only one counts.
    #[serde(default, deserialize_with = "null_is_default")]
    pub annotations: Annotations,
    /// Labels, of which two count.
    #[serde(default, deserialize_with = "null_is_default")]
    pub labels: Labels,
    /// What it belongs to.
    #[serde(default, deserialize_with = "null_is_default")]
    pub owner_references: Vec<OwnerReference>,
}

/// An entry of `metadata.ownerReferences`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct OwnerReference {
    /// Such as `PipelineRun`.
    #[serde(default)]
    pub kind: String,
    /// UID of the owner.
    #[serde(default)]
    pub uid: String,
}

/// The part of `metadata.labels` that verification looks at. Nobody signs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// UID of the PipelineRun that it belongs to.
    pub pipeline_run_uid: Option<String>,
    /// Name of that PipelineRun.
    pub pipeline_run: Option<String>,
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut labels = Self::default();
        deserializer.deserialize_map(EachText(|key: String, value: String| match key.as_str() {
            "tekton.dev/pipelineRunUID" => labels.pipeline_run_uid = Some(value),
            "tekton.dev/pipelineRun" => labels.pipeline_run = Some(value),
            _ => {}
        }))?;
        Ok(labels)
    }
}

/// The part of `metadata.annotations` that verification looks at. Nobody signs it: what is in it must prove itself.
#[derive(Debug, Clone, Default)]
pub struct Annotations {
    /// Time-stamp tokens: a JSON object from step names to base64, as text.
    pub timestamps: Option<Value>,
    /// Envelopes that Tekton Chains keeps here, by the names of their annotations, in base64.
    pub chains: Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut annotations = Self::default();
        deserializer.deserialize_map(EachText(|key: String, value: String| {
            if key == ANNOTATION {
                annotations.timestamps = Some(Value::String(value));
            } else if is_of_chains(&key) {
                annotations.chains.push((key, value));
            }
        }))?;
        Ok(annotations)
    }
}

/// Whether verification looks at the annotation of this name.
pub(crate) fn reads_annotation(annotation: &str) -> bool {
    annotation == ANNOTATION || is_of_chains(annotation)
}

/// Whether it is the annotation with an envelope of Tekton Chains around what it says of a run.
fn is_of_chains(key: &str) -> bool {
    let kind = key.strip_prefix("chains.tekton.dev/signature-");
    kind.is_some_and(|kind| kind.starts_with("taskrun-") || kind.starts_with("pipelinerun-"))
}

/// Hands on the members of an object of texts.
struct EachText<F>(F);

impl<'de, F: FnMut(String, String)> Visitor<'de> for EachText<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some((key, value)) = members.next_entry()? {
            self.0(key, value);
        }
        Ok(())
    }
}

/// A name of an object (Kubernetes, `IsDNS1123Subdomain`).
fn subdomain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match is_object_name(&name) {
        true => Ok(name),
        false => Err(D::Error::custom(format_args!(
            "{name:?} is not the name of a Kubernetes object: up to 253 small letters, digits, hyphens and dots, each part \
             beginning and ending with a letter or digit"
        ))),
    }
}

/// A name of a namespace (Kubernetes, `IsDNS1123Label`).
fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match is_namespace(&name) {
        true => Ok(name),
        false => Err(D::Error::custom(format_args!(
            "{name:?} is not the name of a Kubernetes namespace: up to 63 small letters, digits and hyphens, beginning and \
             ending with a letter or digit"
        ))),
    }
}

/// Where time-stamp tokens may be beside the TaskRun.
pub const ANNOTATION: &str = "svidence.dev/timestamps";
