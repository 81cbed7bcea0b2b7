//! What a run says about the family that it belongs to. Nobody signs it, so it decides where a run is judged and never how.

use serde::Deserialize;

use crate::{
    sources::run_name::RunKind,
    tekton::{
        run::Run,
        taskrun::{Labels, Metadata, OwnerReference, RunEnd},
    },
};

/// What a run says about its family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kin {
    pub(super) kind: RunKind,
    /// UIDs of the PipelineRuns that it says it belongs to; a TaskRun is reported with the first.
    pub(super) owners: Vec<String>,
    /// Of a PipelineRun: full names of the TaskRuns that it names as its own.
    pub(super) task_runs: Vec<String>,
    /// Of a PipelineRun: whether it names PipelineRuns as its own.
    pub(super) has_pipeline_runs: bool,
    /// Of a PipelineRun: whether it is an attestation, which does not name its own. Any run may be one of them, by its name.
    pub(super) is_attested: bool,
    uid: String,
    namespace: String,
    name: String,
    has_finished: bool,
}

/// As much of a document as says it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    kind: String,
    api_version: String,
    metadata: Head,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    name: String,
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    labels: Option<Labels>,
    #[serde(default)]
    owner_references: Option<Vec<OwnerReference>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    conditions: Option<Vec<Condition>>,
    #[serde(default)]
    child_references: Option<Vec<ChildReference>>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    status: String,
}

#[derive(Deserialize)]
struct ChildReference {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
}

impl Kin {
    /// Of a run that was read.
    pub fn of(run: &Run) -> Self {
        match run {
            Run::TaskRun(object) => {
                // One that contradicts itself about it is judged, too.
                let has_finished = matches!(object.end(), RunEnd::Ended | RunEnd::Contradictory);
                Self::new(RunKind::TaskRun, &object.metadata, has_finished, std::iter::empty())
            }
            Run::PipelineRun(object) => {
                let children = object.status.child_references.iter();
                let children = children.map(|child| (child.kind.as_str(), child.name.as_str()));
                let has_finished = ends(object.succeeded());
                let kin = Self::new(RunKind::PipelineRun, &object.metadata, has_finished, children);
                Self { is_attested: object.chains.is_some(), ..kin }
            }
        }
    }

    /// Of a JSON document, without reading it strictly; `None` if it does not say it, as a List or a run without the one
    /// condition `Succeeded`, which may have finished all the same. What two readers would read differently is
    /// refused in the shard that this leads to, where it is read.
    pub fn glance(json: &[u8]) -> Option<Self> {
        let Document { kind, api_version, metadata, status } = serde_json::from_slice(json).ok()?;
        let kind = match kind.as_str() {
            "TaskRun" => RunKind::TaskRun,
            "PipelineRun" => RunKind::PipelineRun,
            _ => return None,
        };
        // An older PipelineRun may keep its children elsewhere.
        let is_older = kind == RunKind::PipelineRun && api_version != "tekton.dev/v1";
        if !api_version.starts_with("tekton.dev/") || is_older {
            return None;
        }
        let Status { conditions, child_references } = status.unwrap_or_default();
        let mut succeeded = conditions.iter().flatten().filter(|condition| condition.kind == "Succeeded");
        let (Some(condition), None) = (succeeded.next(), succeeded.next()) else { return None };
        let has_finished = ends(Some(&condition.status));
        let children = child_references.iter().flatten();
        let children = children.map(|child| (child.kind.as_str(), child.name.as_str()));
        let metadata = Metadata {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            creation_timestamp: None,
            annotations: Default::default(),
            labels: metadata.labels.unwrap_or_default(),
            owner_references: metadata.owner_references.unwrap_or_default(),
        };
        Some(Self::new(kind, &metadata, has_finished, children))
    }

    /// `children`: kind and name of each that it names as its own.
    fn new<'a>(
        kind: RunKind,
        metadata: &Metadata,
        has_finished: bool,
        children: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let (mut task_runs, mut has_pipeline_runs) = (Vec::new(), false);
        for (kind, name) in children {
            has_pipeline_runs |= kind == "PipelineRun";
            if kind == "TaskRun" {
                task_runs.push(format!("{}/{name}", metadata.namespace));
            }
        }
        let Metadata { namespace, name, uid, labels, owner_references, .. } = metadata;
        let label = labels.pipeline_run_uid.iter().filter(|_| kind == RunKind::TaskRun);
        let references = owner_references.iter().filter(|owner| owner.kind == "PipelineRun");
        let owners = label.chain(references.map(|owner| &owner.uid)).filter(|uid| !uid.is_empty());
        Self {
            kind,
            owners: owners.cloned().collect(),
            task_runs,
            has_pipeline_runs,
            is_attested: false,
            uid: uid.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
            has_finished,
        }
    }

    /// Its kind.
    pub fn kind(&self) -> RunKind {
        self.kind
    }

    /// Namespace and name.
    pub fn name(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    /// Whether its status says that it has ended.
    pub fn has_finished(&self) -> bool {
        self.has_finished
    }

    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The UID, or what stands in for it where there is none.
    pub(super) fn identity(&self) -> String {
        if self.uid.is_empty() { self.full_name() } else { self.uid.clone() }
    }
}

/// Whether this status of the condition `Succeeded` means the end.
fn ends(succeeded: Option<&str>) -> bool {
    matches!(succeeded, Some("True" | "False"))
}
