//! Artifacts: what a step used and what it made. One list of them is read in three places of Tekton, and in each differently:
//!
//! * the controller reads an entry of the termination message into the status (`pkg/pod/status.go`,
//!   `setStepArtifactsValueFromTerminationMessageRunResult`). The types here are read by serde, and strictly
//!   (`tekton::strict`), since other readers of the status might see something else.
//! * [`logged`]: the results sidecar reads a step's file and writes it anew. What Go makes of it has to be told exactly: it is signed.
//! * [`referenced`]: the entrypoint of a later step reads an earlier step's file and puts the values in. It fails with Go's texts,
//!   and whether a list is missing or empty shows in what it puts in.

pub mod logged;
pub(crate) mod referenced;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::tekton::null::null_is_default;

/// Inputs and outputs (Tekton `pkg/apis/pipeline/v1/artifact_types.go`). `A` is what is kept of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(bound = "A: Deserialize<'de>")]
pub struct Artifacts<A = Artifact> {
    /// What was used.
    #[serde(default, deserialize_with = "null_is_default")]
    pub inputs: Vec<A>,
    /// What was made.
    #[serde(default, deserialize_with = "null_is_default")]
    pub outputs: Vec<A>,
}

/// One artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Its name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// Where it is.
    #[serde(default, deserialize_with = "null_is_default")]
    pub values: Vec<ArtifactValue>,
    /// Whether it is what the task is for.
    #[serde(default, deserialize_with = "null_is_default")]
    pub build_output: bool,
}

/// One place and its digests.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct ArtifactValue {
    /// Digests by algorithm.
    #[serde(default, deserialize_with = "null_is_default")]
    pub digest: BTreeMap<String, String>,
    /// Its address.
    #[serde(default, deserialize_with = "null_is_default")]
    pub uri: String,
}
