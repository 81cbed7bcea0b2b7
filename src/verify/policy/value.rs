//! What the value of a demanded result may be.

use cel::pattern::{self, Regex};
use serde::Deserialize;
use serde_json::Value;

use super::ResultType;
use crate::{tekton::value::ResultValue, verify::compare::value::VerifiedResult};

/// A value as a policy states it: text, a list of texts, or texts by key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct StatedValue(ResultValue);

/// Why a value can be that of no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} cannot be the value of a result: write text, a list of texts, or texts by key; a number or a word such as true belongs in quotes"
)]
pub struct StatedValueError(Value);

impl TryFrom<Value> for StatedValue {
    type Error = StatedValueError;

    fn try_from(value: Value) -> Result<Self, StatedValueError> {
        ResultValue::from_json(&value).map(StatedValue).ok_or(StatedValueError(value))
    }
}

impl StatedValue {
    /// Of which type it is; whoever states a value vouches for its type.
    pub(crate) fn kind(&self) -> ResultType {
        match &self.0 {
            ResultValue::String(_) => ResultType::String,
            ResultValue::Array(_) => ResultType::Array,
            ResultValue::Object(_) => ResultType::Object,
        }
    }

    /// Whether a result has this value: of text, the very text that its step wrote.
    pub(crate) fn is_of(&self, result: &VerifiedResult) -> bool {
        result.value == self.0 && self.kind().is_of(result)
    }

    /// Whether the value matches.
    pub(crate) fn matches(&self, pattern: &WholePattern) -> bool {
        pattern.matches(&self.0)
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> String {
        self.0.canonical_json()
    }
}

/// A pattern (RE2) that the whole of a text must match; of a list every item, of an object every value, and at least one.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct WholePattern {
    text: String,
    regex: Regex,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not a pattern (RE2): {problem}")]
pub struct WholePatternError {
    pattern: String,
    problem: String,
}

impl TryFrom<String> for WholePattern {
    type Error = WholePatternError;

    fn try_from(text: String) -> Result<Self, WholePatternError> {
        match pattern::read(&text).and_then(|pattern| pattern.compile_whole()) {
            Ok(regex) => Ok(Self { text, regex }),
            Err(error) => {
                let problem = error.to_string().replace("error parsing regexp: ", "");
                Err(WholePatternError { pattern: text, problem })
            }
        }
    }
}

impl WholePattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of a value matches.
    pub fn matches(&self, value: &ResultValue) -> bool {
        let mut regex = self.regex.clone();
        let mut all = |texts: &mut dyn Iterator<Item = &String>| {
            let mut texts = texts.peekable();
            texts.peek().is_some() && texts.all(|text| regex.is_match(text))
        };
        match value {
            ResultValue::String(text) => all(&mut std::iter::once(text)),
            ResultValue::Array(items) => all(&mut items.iter()),
            ResultValue::Object(members) => all(&mut members.values()),
        }
    }
}
