//! A run that is asked for by kind and name, where a source has more than is meant.

use std::{fmt, str::FromStr};

use crate::tekton::{run::Run, taskrun::is_object_name};

/// What a run is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunKind {
    /// A task.
    TaskRun,
    /// A pipeline.
    PipelineRun,
}

impl RunKind {
    /// Of this run.
    pub fn of(run: &Run) -> Self {
        match run {
            Run::TaskRun(_) => Self::TaskRun,
            Run::PipelineRun(_) => Self::PipelineRun,
        }
    }

    /// As kubectl has it.
    fn as_str(self) -> &'static str {
        match self {
            Self::TaskRun => "taskrun",
            Self::PipelineRun => "pipelinerun",
        }
    }
}

/// The name of an object in Kubernetes (RFC 1123): nothing in it means anything to a filter, a selector or a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match is_object_name(text) {
            true => Ok(Self(text.to_owned())),
            false => Err("not a name that Kubernetes admits (1 to 253 of a-z, 0-9, - and .)"),
        }
    }
}

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A run by its kind and name, as in `taskrun/build-7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunName {
    /// What it is of.
    pub kind: RunKind,
    /// Its name, of whatever namespace.
    pub name: Name,
}

/// Why a text names no run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunNameError {
    /// No kind before a slash, or another one.
    #[error("a run is named taskrun/NAME or pipelinerun/NAME (a file or folder is read by --from files)")]
    Kind,
    /// Not the name of an object.
    #[error("{0:?}: {1}")]
    Name(String, &'static str),
}

impl FromStr for RunName {
    type Err = RunNameError;

    fn from_str(text: &str) -> Result<Self, RunNameError> {
        let (kind, name) = text.split_once('/').ok_or(RunNameError::Kind)?;
        // As kubectl names them.
        let kind = match kind.strip_suffix(".tekton.dev").unwrap_or(kind) {
            "taskrun" | "taskruns" | "tr" => RunKind::TaskRun,
            "pipelinerun" | "pipelineruns" | "pr" => RunKind::PipelineRun,
            _ => return Err(RunNameError::Kind),
        };
        let name = name.parse().map_err(|error| RunNameError::Name(name.to_owned(), error))?;
        Ok(Self { kind, name })
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.name.as_str())
    }
}
