//! Results as the controller gathers them over all steps.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::tekton::value::ResultValue;

/// Results by name: the place of the first, the value of the last.
#[derive(Default)]
pub(super) struct Results(pub(super) Vec<(String, ResultValue)>);

impl Results {
    pub(super) fn extend(&mut self, more: Vec<(String, ResultValue)>) {
        for (name, value) in more {
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = value,
                None => self.0.push((name, value)),
            }
        }
    }

    /// Drops what is declared with another type; the controller's error message if there was any.
    pub(super) fn drop_mismatched(&mut self, declared: &BTreeMap<String, &'static str>) -> Option<String> {
        let mut wrong = BTreeMap::new();
        self.0.retain(|(name, value)| match declared.get(name) {
            Some(needed) if *needed != value.type_name() => {
                wrong.insert(name.clone(), (*needed, value.type_name()));
                false
            }
            _ => true,
        });
        let wrong: Vec<_> = wrong
            .into_iter()
            .map(|(name, (needed, found))| {
                format!(
                    " {name:?}: task result is expected to be {needed:?} type but was initialized to a different \
                     type {found:?}"
                )
            })
            .collect();
        (!wrong.is_empty()).then(|| {
            format!(
                "Provided results don't match declared results; may be invalid JSON or missing result declaration: {}",
                wrong.join(",")
            )
        })
    }

    pub(super) fn to_json(&self) -> Value {
        results_json(&self.0)
    }
}

pub(super) fn results_json(results: &[(String, ResultValue)]) -> Value {
    results
        .iter()
        .map(|(name, value)| {
            let content = match value {
                ResultValue::String(text) => json!(text),
                ResultValue::Array(items) => json!(items),
                ResultValue::Object(members) => json!(members),
            };
            json!({"name": name, "type": value.type_name(), "value": content})
        })
        .collect()
}
