//! Why an input gives no TaskRun, before it is known where in the input that is.

use std::io;

use crate::{
    sources::{
        error::{Rest, SourceError},
        kubernetes::error::KubernetesError,
        not_read::{NotRead, UnnamedFiles},
        oci::OciError,
        results::ResultsError,
    },
    tekton::{
        chains::ChainsError,
        pipelinerun::PipelineRunError,
        strict::{node::Node, yaml::YamlError},
        taskrun::TaskRunError,
        unsuitable::Unsuitable,
    },
};

/// Why there is no TaskRun, but for where.
#[derive(Debug)]
pub(crate) enum ReadFailure {
    NotRead(NotRead),
    Unnamed(UnnamedFiles),
    Unsuitable(Unsuitable),
    Read(io::Error),
    Json(String, Rest),
    Yaml(YamlError, Rest),
    Object(TaskRunError),
    PipelineRun(PipelineRunError),
    /// An attestation of Tekton Chains that gives no run.
    Chains(Box<ChainsError>),
    /// A run of which something else is said on the command line.
    OtherRun {
        found: String,
        stated: String,
    },
    TooLarge(Rest),
    List(String),
    /// A List that is not whole; how many items it lacks, if it says so.
    Part(Option<u64>),
    /// An archive that is not read, or not to its end.
    Results(Box<ResultsError>),
    /// An image whose attestations, or one of them, are not read.
    Oci(Box<OciError>),
    /// A cluster that is not read, or not to the end of a list.
    Kubernetes(Box<KubernetesError>),
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

impl ReadFailure {
    /// Says what is wrong with what is no JSON.
    pub(crate) fn json(bytes: &[u8], line: u64, rest: Rest) -> Self {
        let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Node>();
        match values.find_map(Result::err) {
            Some(error) => Self::syntax(&error, line, rest),
            None => Self::unclosed(line).with_rest(rest),
        }
    }

    pub(crate) fn unclosed(line: u64) -> Self {
        Self::Json(format!("the object that starts in line {line} does not end"), Rest::NotRead)
    }

    pub(crate) fn expected(what: &str, line: u64) -> Self {
        Self::Json(format!("expected {what} at line {line}"), Rest::NotRead)
    }

    pub(crate) fn with_rest(self, rest: Rest) -> Self {
        match self {
            Self::Json(error, _) => Self::Json(error, rest),
            Self::TooLarge(_) => Self::TooLarge(rest),
            other => other,
        }
    }

    /// The error with the line of the input instead of the document's.
    pub(crate) fn syntax(error: &serde_json::Error, line: u64, rest: Rest) -> Self {
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
        Self::Json(text, rest)
    }

    /// What is not read because of it.
    pub(crate) fn left_out(&self) -> LeftOut {
        match self {
            Self::Unnamed(unnamed) => LeftOut::Others(unnamed.count()),
            Self::NotRead(_)
            | Self::Unsuitable(_)
            | Self::Read(_)
            | Self::Part(_)
            | Self::Results(_)
            | Self::Oci(_)
            | Self::Kubernetes(_) => LeftOut::Rest,
            Self::Json(_, Rest::NotRead) | Self::TooLarge(Rest::NotRead) => LeftOut::Rest,
            Self::Yaml(_, Rest::NotRead) => LeftOut::Rest,
            Self::Json(_, Rest::Read) | Self::TooLarge(Rest::Read) => LeftOut::Nothing,
            Self::Yaml(_, Rest::Read)
            | Self::Object(_)
            | Self::PipelineRun(_)
            | Self::Chains(_)
            | Self::OtherRun { .. }
            | Self::List(_)
            | Self::Empty
            | Self::Panicked => LeftOut::Nothing,
        }
    }

    /// The line of the input that it is in, if that is known.
    pub(crate) fn line(&self) -> Option<u64> {
        match self {
            Self::Yaml(error, _) => Some(error.line),
            _ => None,
        }
    }

    /// With the place where it is.
    pub(crate) fn at(self, path: String) -> SourceError {
        match self {
            Self::NotRead(reason) => SourceError::NotRead { path, reason },
            Self::Unnamed(unnamed) => SourceError::Unnamed { path, unnamed },
            Self::Unsuitable(what) => SourceError::Unsuitable { path, what },
            Self::Read(error) => SourceError::Read { path, error },
            Self::Json(error, rest) => SourceError::Syntax { path, format: "JSON", error, rest },
            Self::Yaml(error, rest) => {
                SourceError::Syntax { path, format: "YAML", error: error.to_string(), rest }
            }
            Self::Object(error) => SourceError::Object { path, error },
            Self::PipelineRun(error) => SourceError::PipelineRun { path, error },
            Self::OtherRun { found, stated } => SourceError::OtherRun { path, found, stated },
            Self::Chains(error) => SourceError::Chains { path, error },
            Self::TooLarge(rest) => SourceError::TooLarge { path, rest },
            Self::List(reason) => SourceError::List { path, reason },
            Self::Part(remaining) => SourceError::Part { path, remaining },
            Self::Results(error) => SourceError::Results { path, error },
            Self::Oci(error) => SourceError::Oci { path, error },
            Self::Kubernetes(error) => SourceError::Kubernetes { path, error },
            Self::Empty => SourceError::Empty { path },
            Self::Panicked => SourceError::Panicked { path },
        }
    }
}
