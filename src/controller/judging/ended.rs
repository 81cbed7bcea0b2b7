//! What a watch says of a run that has ended.

use serde_json::{Map, Value, json};
use unixtime::UnixSeconds;

use crate::{
    controller::{
        judging::annotation::{ANNOTATION, EvidenceDigest, Noted},
        text::uid,
    },
    evidence::sha256,
    tekton::taskrun,
};

/// The type of the condition that holds a verdict. It sorts behind `Succeeded`: many programs take the first condition for that one.
pub const CONDITION: &str = "SvidenceVerified";

/// The label with the UID of the PipelineRun that a run belongs to, which `svidence verify` looks at.
const UID_LABEL: &str = "tekton.dev/pipelineRunUID";
/// The statuses of a condition (`metav1.ConditionStatus`).
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];
/// So many PipelineRuns that a run belongs to are looked at; Tekton names one.
const MOST_PIPELINE_RUNS: usize = 8;

/// The digest of the evidence and of what is noted of it: what has changed in neither need not be judged again.
pub type Mark = [u8; 32];

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRun {
    /// What it is judged by.
    pub evidence: EvidenceDigest,
    /// The same, and what is noted of it.
    pub mark: Mark,
    /// The verdict on this evidence that is noted. Anybody may have done that.
    pub noted: Option<Noted>,
    /// The status of the condition that holds a verdict, empty if it is none that ours has. Anybody may have set that, too.
    pub condition: Option<String>,
    /// When it says that it has ended.
    pub completed: Option<UnixSeconds>,
    /// UIDs of the PipelineRuns that it says it belongs to, by its labels and by its owners.
    pub pipeline_runs: Vec<String>,
}

/// The conditions of a type.
fn conditions<'a>(object: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    let all = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    all.filter(move |condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(name)?.as_str()
}

fn uid_label(object: &Value) -> Option<&Value> {
    object.pointer("/metadata/labels")?.get(UID_LABEL)
}

impl EndedRun {
    /// `None`: it has not ended.
    pub fn of(object: &Value) -> Option<Self> {
        let ends = |condition: &Value| {
            matches!(condition.get("status").and_then(Value::as_str), Some("True" | "False"))
        };
        if !conditions(object, "Succeeded").any(ends) {
            return None;
        }
        let evidence = evidence(object);
        let noted = annotation(object, ANNOTATION);
        let conditions: Vec<&Value> = conditions(object, CONDITION).collect();
        let mark = sha256(json!([evidence, noted, conditions]).to_string().as_bytes());
        let status = |condition: &&Value| {
            let status = condition.get("status").and_then(Value::as_str);
            status.filter(|status| STATUSES.contains(status)).unwrap_or_default().to_owned()
        };
        let completed = object.pointer("/status/completionTime").and_then(Value::as_str);
        Some(Self {
            noted: noted.and_then(Noted::read).filter(|noted| noted.is_of(&evidence)),
            condition: conditions.first().map(status),
            evidence,
            mark,
            completed: completed.and_then(UnixSeconds::parse),
            pipeline_runs: pipeline_runs(object),
        })
    }
}

fn pipeline_runs(object: &Value) -> Vec<String> {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let is_pipeline_run = |owner: &&Value| owner.get("kind").and_then(Value::as_str) == Some("PipelineRun");
    let by_owner = owners.into_iter().flatten().filter(is_pipeline_run);
    let by_label = uid_label(object).and_then(|label| uid(label, ""));
    let mut all: Vec<String> = Vec::new();
    for uid in by_label.into_iter().chain(by_owner.filter_map(|owner| uid(owner, "/uid"))) {
        if all.len() < MOST_PIPELINE_RUNS && !all.contains(&uid) {
            all.push(uid);
        }
    }
    all
}

/// What [`Metadata`](crate::tekton::taskrun::Metadata) reads of an object's, its UID, `spec` and `status`: what `svidence verify` goes by.
fn evidence(object: &Value) -> EvidenceDigest {
    let mut status = object.get("status").cloned().unwrap_or_default();
    if let Some(all) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        // It is ours: noting a verdict must not change what the verdict is about.
        all.retain(|condition| condition.get("type").and_then(Value::as_str) != Some(CONDITION));
    }
    let place = |place| object.pointer(place).cloned().unwrap_or_default();
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let is_read = |(name, _): &(&String, &Value)| taskrun::reads_annotation(name);
    let counting: Map<String, Value> = annotations
        .into_iter()
        .flatten()
        .filter(is_read)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let owner = |owner: &Value| json!({"kind": owner.get("kind"), "uid": owner.get("uid")});
    let owners: Vec<Value> = owners.into_iter().flatten().map(owner).collect();
    let evidence = json!({
        "metadata": {
            "uid": place("/metadata/uid"),
            "creationTimestamp": place("/metadata/creationTimestamp"),
            "annotations": counting,
            "labels": {UID_LABEL: uid_label(object)},
            "ownerReferences": owners,
        },
        "spec": object.get("spec"),
        "status": status,
    });
    sha256(evidence.to_string().as_bytes())
}
