//! Artifacts as the controller merges them over all steps. Each stays as the step wrote it.

use serde_json::{Map, Value, json};

use super::{list, text};
use crate::tekton::artifacts::Artifacts;

/// Reads an entry's value, or what the results sidecar prints.
pub(super) fn read(raw: &str) -> Artifacts<Value> {
    let Ok(value) = serde_json::from_str::<Value>(raw) else { return Artifacts::default() };
    Artifacts { inputs: list(&value, "inputs").to_vec(), outputs: list(&value, "outputs").to_vec() }
}

/// By name, each value once. (Tekton's order is random here and it forgets `buildOutput` of inputs.)
pub(super) fn merge(into: &mut Artifacts<Value>, other: &Artifacts<Value>) {
    for (ours, theirs, outputs) in
        [(&mut into.inputs, &other.inputs, false), (&mut into.outputs, &other.outputs, true)]
    {
        for artifact in theirs {
            let name = text(artifact, "name");
            let place = ours.iter().position(|known| text(known, "name") == name).unwrap_or_else(|| {
                ours.push(json!({"name": name, "values": []}));
                ours.len() - 1
            });
            if outputs && artifact.get("buildOutput") == Some(&Value::Bool(true)) {
                ours[place]["buildOutput"] = true.into();
            }
            let Some(values) = ours[place].get_mut("values").and_then(Value::as_array_mut) else {
                continue;
            };
            for value in list(artifact, "values") {
                if !values.contains(value) {
                    values.push(value.clone());
                }
            }
        }
    }
}

/// Without what is empty.
pub(super) fn to_json(artifacts: &Artifacts<Value>) -> Value {
    let mut object = Map::new();
    for (name, list) in [("inputs", &artifacts.inputs), ("outputs", &artifacts.outputs)] {
        if !list.is_empty() {
            object.insert(name.into(), list.clone().into());
        }
    }
    object.into()
}
