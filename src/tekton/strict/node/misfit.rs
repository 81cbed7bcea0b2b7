//! Why a document is not what was looked for, in words that say where something stands and what is wrong with it.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::{Content, Node};

/// Why a document is not what was looked for: the place in it, the line if it is known, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    pub(super) place: String,
    pub(super) line: u64,
    pub(super) what: String,
}

impl Node {
    pub(super) fn misfit(&self, expected: &dyn fmt::Display) -> Misfit {
        let advice = match &self.content {
            Content::Bool(_) | Content::Number(_) | Content::Null if self.line > 0 => QUOTE,
            _ => "",
        };
        let found = match &self.content {
            Content::Null => "null".to_owned(),
            Content::Bool(value) => value.to_string(),
            Content::Number(number) => format!("the number {number}"),
            Content::Text(text) => format!("the text {}", shortened(text)),
            Content::List(_) => "a list".to_owned(),
            Content::Object(_) => "an object".to_owned(),
        };
        let what = format!("{found} stands where {expected} belongs{advice}");
        Misfit { place: String::new(), line: self.line, what }
    }
}

/// What to do about a scalar of YAML that should be text.
pub(super) const QUOTE: &str = "; quote it, or give JSON";

/// A text as it is in a message: quoted, and not all of a long one.
fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    if start.len() < text.len() { format!("{start:?}…") } else { format!("{start:?}") }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            f.write_str(&self.place)?;
        }
        match (self.line, self.place.is_empty()) {
            (0, true) => {}
            (0, false) => f.write_str(": ")?,
            (line, true) => write!(f, "line {line}: ")?,
            (line, false) => write!(f, " (line {line}): ")?,
        }
        f.write_str(&self.what)
    }
}

impl Misfit {
    /// The same, seen from the object or list that it is in.
    pub(super) fn within(mut self, step: fmt::Arguments<'_>, line: u64) -> Self {
        let inner = std::mem::take(&mut self.place);
        let separator = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
        self.place = format!("{step}{separator}{inner}");
        if self.line == 0 {
            self.line = line;
        }
        self
    }

    pub(super) fn here(what: String) -> Self {
        Self { place: String::new(), line: 0, what }
    }
}

impl std::error::Error for Misfit {}

impl Error for Misfit {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::here(what.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(value) => value.to_string(),
            Unexpected::Unsigned(number) => format!("the number {number}"),
            Unexpected::Signed(number) => format!("the number {number}"),
            Unexpected::Float(number) => format!("the number {number}"),
            Unexpected::Str(text) => format!("the text {}", shortened(text)),
            Unexpected::Unit | Unexpected::Option => "null".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "an object".to_owned(),
            other => other.to_string(),
        };
        Self::here(format!("{found} stands where {expected} belongs"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::here(format!("{} is none of {}", shortened(found), known.join(", ")))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let there_are = match known {
            [] => String::new(),
            known => format!("; there are {}", known.join(", ")),
        };
        Self::here(format!("there is no field {}{there_are}", shortened(field)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { place: field.to_owned(), line: 0, what: "it is missing".to_owned() }
    }
}
