//! A step's termination message as the controller reads it, and what it leaves of it in the status.

use std::{collections::BTreeMap, fmt::Write};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Deserializer, Serialize};

use crate::tekton::{
    message::entry_type::{INTERNAL, STEP_ARTIFACTS, STEP_RESULT, TASK_ARTIFACTS, TASK_RESULT},
    termination::{COMPRESSED, MAX_DECOMPRESSED},
};

/// One entry of a termination message, its members in the order in which Go writes them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
    #[serde(default, rename = "resourceName", skip_serializing_if = "String::is_empty")]
    pub(super) resource_name: String,
    #[serde(default, rename = "type", skip_serializing_if = "is_zero", deserialize_with = "entry_type")]
    pub(super) kind: i64,
}

const UNKNOWN: i64 = 10;

fn is_zero(kind: &i64) -> bool {
    *kind == 0
}

fn entry_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Type {
        Number(i64),
        Name(String),
        Null,
    }
    Ok(match Type::deserialize(deserializer)? {
        Type::Number(number) => number,
        Type::Null => 0,
        Type::Name(name) => match name.as_str() {
            "TaskRunResult" => TASK_RESULT,
            "InternalTektonResult" => INTERNAL,
            "StepResult" => STEP_RESULT,
            "StepArtifactsResult" => STEP_ARTIFACTS,
            "TaskRunArtifactsResult" => TASK_ARTIFACTS,
            _ => UNKNOWN,
        },
    })
}

/// The entries of a message: empty ones dropped, one a key (the last), sorted by key. `None` if it is unreadable.
pub(super) fn parse_message(message: &str) -> Option<Vec<Entry>> {
    if message.is_empty() {
        return Some(Vec::new());
    }
    let json = match message.strip_prefix(COMPRESSED) {
        None => message.as_bytes().to_vec(),
        Some(compressed) => {
            let deflated = STANDARD_NO_PAD.decode(compressed).ok()?;
            decompress_to_vec_with_limit(&deflated, MAX_DECOMPRESSED).ok()?
        }
    };
    let entries: Option<Vec<Option<Entry>>> = serde_json::from_slice(&json).ok()?;
    let by_key: BTreeMap<String, Entry> = entries
        .unwrap_or_default()
        .into_iter()
        .flatten()
        .filter(|entry| *entry != Entry::default())
        .map(|entry| (entry.key.clone(), entry))
        .collect();
    Some(by_key.into_values().collect())
}

/// The message that the controller leaves in the status, as Go's `json.Marshal` writes it.
pub(super) fn message_of(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let plain = serde_json::to_string(entries).expect("strings and numbers always serialise");
    let mut escaped = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            // They occur inside strings only, where Go escapes them.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(escaped, "\\u{:04x}", u32::from(character)).expect("writing to a string never fails");
            }
            other => escaped.push(other),
        }
    }
    escaped
}
