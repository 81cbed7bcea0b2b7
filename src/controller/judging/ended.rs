//! What a watch says of a run that has ended.

use serde_json::{Value, json};
use unixtime::UnixSeconds;

use crate::{
    controller::judging::annotation::{ANNOTATION, Evidence, Noted},
    evidence::sha256,
    tekton::taskrun::ANNOTATION as TIME_STAMPS,
    verify::Verdict,
};

/// The type of the condition that holds a verdict. It sorts behind `Succeeded`: many programs take the first condition for that one.
pub const CONDITION: &str = "SvidenceVerified";

/// The digest of the evidence and of what is noted of it, and where that is `weak` of its time stamps: what has changed in none of these need not be judged again.
pub type Mark = [u8; 32];

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What it is judged by.
    pub evidence: Evidence,
    /// The same, and what is noted of it.
    pub mark: Mark,
    /// Whether a verdict on this evidence is noted. Anybody may have done that.
    pub is_noted: bool,
    /// Whether it has a verdict on something, noted by whomever.
    pub has_verdict: bool,
    /// Whether a verdict `verified` is noted, and no time stamps are there. Anybody may have noted that.
    pub lacks_time_stamps: bool,
    /// When it says that it has ended.
    pub completed: Option<UnixSeconds>,
    /// Name and UID of the PipelineRun that it says it belongs to.
    pub pipeline_run: Option<(String, String)>,
}

/// The conditions of a type.
fn conditions<'a>(object: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    let all = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    all.filter(move |condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(name)?.as_str()
}

impl Ended {
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
        let tokens = annotation(object, TIME_STAMPS);
        let read = noted.and_then(Noted::read);
        let is = |verdict| read.as_ref().is_some_and(|noted| noted.is(verdict));
        // Of a run that is weak a token may make another verdict.
        let deciding = tokens.filter(|_| is(Verdict::Weak));
        let mark = sha256(json!([evidence, noted, conditions, deciding]).to_string().as_bytes());
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let owner = owners
            .into_iter()
            .flatten()
            .find(|owner| owner.get("kind").and_then(Value::as_str) == Some("PipelineRun"));
        let text = |owner: &Value, key: &str| Some(owner.get(key)?.as_str()?.to_owned());
        let pipeline_run = owner.and_then(|owner| Some((text(owner, "name")?, text(owner, "uid")?)));
        let completed = object.pointer("/status/completionTime").and_then(Value::as_str);
        Some(Self {
            is_noted: read.as_ref().is_some_and(|noted| noted.is_of(&evidence)),
            lacks_time_stamps: tokens.is_none() && is(Verdict::Verified),
            evidence,
            mark,
            has_verdict: noted.is_some(),
            completed: completed.and_then(UnixSeconds::parse),
            pipeline_run,
        })
    }
}

fn evidence(object: &Value) -> Evidence {
    let mut status = object.get("status").cloned().unwrap_or_default();
    if let Some(all) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        all.retain(|condition| condition.get("type").and_then(Value::as_str) == Some("Succeeded"));
    }
    let uid = object.pointer("/metadata/uid");
    sha256(json!([uid, object.get("spec"), status]).to_string().as_bytes())
}
