//! A step's termination message as it is in `status.steps[].terminated.message`.
//!
//! Tekton's controller writes it: a JSON list without internal entries, each key once (Tekton `pkg/pod/status.go`,
//! `createMessageFromResults`; `pkg/termination/parse.go`).

use std::collections::HashSet;

use serde::Deserialize;

use crate::tekton::strict::{json::StrictObject, node::Node};

/// Types of entries that evidence speaks of.
pub(crate) mod entry_type {
    use crate::tekton::{result_kind::ResultKind, termination::EntryType};

    pub(crate) const TASK_RESULT: i64 = EntryType::TaskResult.number();
    pub(crate) const INTERNAL: i64 = EntryType::Internal.number();
    pub(crate) const STEP_RESULT: i64 = EntryType::StepResult.number();
    pub(crate) const STEP_ARTIFACTS: i64 = EntryType::StepArtifacts.number();
    pub(crate) const TASK_ARTIFACTS: i64 = EntryType::TaskArtifacts.number();

    /// The type of a result.
    pub(crate) fn of_result(kind: ResultKind) -> i64 {
        match kind {
            ResultKind::Task => TASK_RESULT,
            ResultKind::Step => STEP_RESULT,
        }
    }
}

/// One entry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadEntry {
    pub(crate) key: String,
    pub(crate) value: String,
    #[serde(rename = "type", default)]
    pub(crate) kind: i64,
}

/// Reads a message. `Err` says what is wrong with it.
pub(crate) fn parse(message: &str) -> Result<Vec<ReadEntry>, String> {
    // An entry has no members but its own and each once, so nothing in it can be read in two ways.
    let entries = match serde_json::from_str::<Vec<StrictObject<ReadEntry>>>(message) {
        Ok(entries) => entries.into_iter().map(|StrictObject(entry)| entry).collect(),
        Err(_) => worded(message)?,
    };
    let mut keys = HashSet::with_capacity(entries.len());
    match entries.iter().find(|entry| !keys.insert(entry.key.as_str())) {
        Some(entry) => Err(format!("the key {:?} appears twice", entry.key)),
        None => Ok(entries),
    }
}

/// The same by way of a value, which words what is wrong.
fn worded(message: &str) -> Result<Vec<ReadEntry>, String> {
    let node: Node = serde_json::from_str(message).map_err(|error| error.to_string())?;
    node.read().map_err(|misfit| misfit.to_string())
}
