//! Result values as Tekton's controller decodes them, and their canonical forms.
//!
//! Source of the rule: Tekton `pkg/apis/pipeline/v1/param_types.go` (`ParamValue.UnmarshalJSON`) and
//! `pkg/spire/verify.go` (`getResultValue`).

use std::collections::BTreeMap;

use go::json::Parser;
use serde_json::Value;

use crate::tekton::canonical;

/// A result as Tekton's status holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultValue {
    /// `type: string`.
    String(String),
    /// `type: array`.
    Array(Vec<String>),
    /// `type: object`.
    Object(BTreeMap<String, String>),
}

impl ResultValue {
    /// The `type` of the value in a TaskRun's status.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The text that Tekton's signer hashes (`getResultValue`): not injective, so only for the TEP-0089 form.
    pub fn tep0089_text(&self) -> String {
        match self {
            Self::String(text) => text.clone(),
            Self::Array(items) => items.join(","),
            Self::Object(members) => {
                let parts: Vec<&str> = members.iter().flat_map(|(k, v)| [k.as_str(), v.as_str()]).collect();
                parts.join(",")
            }
        }
    }

    /// Text, a list of texts or an object of texts; `None` of any other JSON.
    #[cfg(feature = "cli")]
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match value {
            Value::String(text) => Some(Self::String(text.clone())),
            Value::Array(items) => items.iter().map(text).collect::<Option<_>>().map(Self::Array),
            Value::Object(members) => {
                let members = members.iter().map(|(key, value)| Some((key.clone(), text(value)?)));
                members.collect::<Option<_>>().map(Self::Object)
            }
            _ => None,
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> Value {
        match self {
            Self::String(text) => Value::from(text.as_str()),
            Self::Array(items) => Value::from(items.as_slice()),
            Self::Object(members) => {
                members.iter().map(|(key, text)| (key.clone(), Value::from(text.as_str()))).collect()
            }
        }
    }

    /// The value as canonical JSON (RFC 8785).
    pub fn canonical_json(&self) -> String {
        let mut out = String::new();
        match self {
            Self::String(text) => return canonical::quoted(text),
            Self::Array(items) => canonical::array(&mut out, items, |out, item| canonical::string(out, item)),
            Self::Object(members) => {
                canonical::object(&mut out, members.iter().map(|(k, v)| (k.as_str(), canonical::quoted(v))));
            }
        }
        out
    }
}

/// Decodes the raw text of a result; never fails (docs/tekton-contract.md 4.1).
pub fn decode(raw: &str) -> ResultValue {
    let decoded = match raw.as_bytes().first() {
        Some(b'[') => list(raw).map(ResultValue::Array),
        Some(b'{') => object(raw).map(ResultValue::Object),
        _ => None,
    };
    decoded.unwrap_or_else(|| ResultValue::String(text(raw).unwrap_or_else(|| raw.to_owned())))
}

/// The decoded value where it is not simply the raw text: an array, an object, a quoted string or `null`.
///
/// For these the controller may keep only the decoded value, so that the raw text is lost.
pub fn decoded_json(raw: &str) -> Option<ResultValue> {
    if text(raw).is_some() {
        return Some(decode(raw));
    }
    match decode(raw) {
        ResultValue::String(_) => None,
        value => Some(value),
    }
}

/// A JSON string or `null`; anything else, and any text around it, makes it no value of that kind.
fn text(raw: &str) -> Option<String> {
    Parser::new(raw).whole(Parser::text)
}

fn list(raw: &str) -> Option<Vec<String>> {
    let mut items = Vec::new();
    let item = |parser: &mut Parser<'_>| {
        items.push(parser.text()?);
        Some(())
    };
    Parser::new(raw).whole(|parser| parser.list(item))?;
    Some(items)
}

fn object(raw: &str) -> Option<BTreeMap<String, String>> {
    let mut members = BTreeMap::new();
    let member = |parser: &mut Parser<'_>, key| {
        members.insert(key, parser.text()?);
        Some(())
    };
    Parser::new(raw).whole(|parser| parser.object(member))?;
    Some(members)
}
