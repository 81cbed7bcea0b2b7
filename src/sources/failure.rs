//! Why an input gives no TaskRun, before it is known where in the input that is.

use std::io;

use crate::{
    sources::{
        not_read::{NotRead, Unnamed},
        source::{Rest, SourceError},
    },
    tekton::{
        strict::{node::Node, yaml::YamlError},
        taskrun::TaskRunError,
        unsuitable::Unsuitable,
    },
};

/// Why there is no TaskRun, but for where.
#[derive(Debug)]
pub(crate) enum Failure {
    NotRead(NotRead),
    Unnamed(Unnamed),
    Unsuitable(Unsuitable),
    Read(io::Error),
    Json(String, Rest),
    Yaml(YamlError, Rest),
    Object(TaskRunError),
    TooLarge(Rest),
    List(String),
    /// A List that is not whole; how many items it lacks, if it says so.
    Part(Option<u64>),
    Empty,
    Panicked,
}

/// What is not read because of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// Nothing but what failed.
    Nothing,
    /// The rest of the input, or all of it.
    Rest,
    /// So many other files.
    Others(u64),
}

impl Failure {
    /// Says what is wrong with what is no JSON.
    pub(crate) fn json(bytes: &[u8], line: u64, rest: Rest) -> Failure {
        let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Node>();
        match values.find_map(Result::err) {
            Some(error) => Failure::syntax(&error, line, rest),
            None => Failure::unclosed(line).with_rest(rest),
        }
    }

    pub(crate) fn unclosed(line: u64) -> Failure {
        Failure::Json(format!("the object that starts in line {line} does not end"), Rest::NotRead)
    }

    pub(crate) fn expected(what: &str, line: u64) -> Failure {
        Failure::Json(format!("expected {what} at line {line}"), Rest::NotRead)
    }

    pub(crate) fn with_rest(self, rest: Rest) -> Failure {
        match self {
            Failure::Json(error, _) => Failure::Json(error, rest),
            Failure::TooLarge(_) => Failure::TooLarge(rest),
            other => other,
        }
    }

    /// The error with the line of the input instead of the document's.
    pub(crate) fn syntax(error: &serde_json::Error, line: u64, rest: Rest) -> Failure {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let text = match text.strip_suffix(&place) {
            None => text,
            Some(what) => {
                let line = line + u64::try_from(error.line()).unwrap_or_default().saturating_sub(1);
                format!("{what} at line {line} column {}", error.column())
            }
        };
        let text = text
            .replace("EOF while parsing", "it ends within")
            .replace("recursion limit exceeded", "objects and lists are more than 128 deep in each other");
        Failure::Json(text, rest)
    }

    /// What is not read because of it.
    pub(crate) fn left_out(&self) -> LeftOut {
        match self {
            Failure::Unnamed(unnamed) => LeftOut::Others(unnamed.count()),
            Failure::NotRead(_) | Failure::Unsuitable(_) | Failure::Read(_) | Failure::Part(_) => {
                LeftOut::Rest
            }
            Failure::Json(_, Rest::NotRead) | Failure::TooLarge(Rest::NotRead) => LeftOut::Rest,
            Failure::Yaml(_, Rest::NotRead) => LeftOut::Rest,
            Failure::Json(_, Rest::Read) | Failure::TooLarge(Rest::Read) => LeftOut::Nothing,
            Failure::Yaml(_, Rest::Read)
            | Failure::Object(_)
            | Failure::List(_)
            | Failure::Empty
            | Failure::Panicked => LeftOut::Nothing,
        }
    }

    /// The line of the input that it is in, if that is known.
    pub(crate) fn line(&self) -> Option<u64> {
        match self {
            Failure::Yaml(error, _) => Some(error.line),
            _ => None,
        }
    }

    /// With the place where it is.
    pub(crate) fn at(self, path: String) -> SourceError {
        match self {
            Failure::NotRead(reason) => SourceError::NotRead { path, reason },
            Failure::Unnamed(unnamed) => SourceError::Unnamed { path, unnamed },
            Failure::Unsuitable(what) => SourceError::Unsuitable { path, what },
            Failure::Read(error) => SourceError::Read { path, error },
            Failure::Json(error, rest) => SourceError::Syntax { path, format: "JSON", error, rest },
            Failure::Yaml(error, rest) => {
                SourceError::Syntax { path, format: "YAML", error: error.to_string(), rest }
            }
            Failure::Object(error) => SourceError::Object { path, error },
            Failure::TooLarge(rest) => SourceError::TooLarge { path, rest },
            Failure::List(reason) => SourceError::List { path, reason },
            Failure::Part(remaining) => SourceError::Part { path, remaining },
            Failure::Empty => SourceError::Empty { path },
            Failure::Panicked => SourceError::Panicked { path },
        }
    }
}
