//! Results that the command line demands (`--require-result`).

use std::{fmt, str::FromStr};

use super::policy::Pattern;
use crate::{
    evidence::{attestation::is_result_name, sha256},
    tekton::{taskrun::TaskRun, value::ResultValue},
    verify::compare::value::VerifiedResult,
};

/// A result that must be there: `NAME`, `NAME=VALUE`, and either after `TASKRUN:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The TaskRuns that must have it, of which there must be one at least; `None`: every one that there is.
    pub task_run: Option<Pattern>,
    /// Its name.
    pub name: String,
    /// The text that its step must have written, or the list or object that it must mean, as canonical JSON.
    pub value: Option<String>,
}

/// Why a text is not a demand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem}; write NAME, NAME=VALUE, TASKRUN:NAME or TASKRUN:NAME=VALUE, as in digest, scan=clean or *-scan:report=clean"
)]
pub struct DemandError {
    problem: String,
}

impl FromStr for Demand {
    type Err = DemandError;

    fn from_str(text: &str) -> Result<Self, DemandError> {
        let (place, value) = match text.split_once('=') {
            Some((place, value)) => (place, Some(value.to_owned())),
            None => (text, None),
        };
        let (task_run, name) = match place.split_once(':') {
            Some((task_run, name)) => (Some(task_run), name),
            None => (None, place),
        };
        if !is_result_name(name) {
            return Err(DemandError { problem: format!("{name:?} is not the name of a result") });
        }
        let task_run = task_run.map(|pattern| Pattern::try_from(pattern.to_owned())).transpose();
        let task_run = task_run.map_err(|error| DemandError { problem: error.to_string() })?;
        Ok(Self { task_run, name: name.to_owned(), value })
    }
}

impl From<&str> for Demand {
    /// A result of this name, of every TaskRun.
    fn from(name: &str) -> Self {
        Self { task_run: None, name: name.to_owned(), value: None }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(task_run) = &self.task_run {
            write!(f, "{}:", task_run.as_str())?;
        }
        f.write_str(&self.name)?;
        match &self.value {
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}

impl Demand {
    /// Whether it speaks of a TaskRun. The name is bound by the signature, the task that it is of is not.
    pub fn is_of(&self, task_run: &TaskRun) -> bool {
        self.is_of_name(&task_run.metadata.name)
    }

    /// The same by the TaskRun's name.
    pub fn is_of_name(&self, name: &str) -> bool {
        self.task_run.as_ref().is_none_or(|pattern| pattern.matches(name))
    }

    /// Its value as a message shows it beside the one that is there, which is JSON.
    pub(crate) fn value_beside(&self, found: &ResultValue) -> String {
        let value = self.value.clone().unwrap_or_default();
        match found {
            ResultValue::String(_) => ResultValue::String(value).canonical_json(),
            _ => value,
        }
    }

    /// Whether a result of its name has its value.
    pub(crate) fn accepts(&self, result: &VerifiedResult) -> bool {
        let Some(value) = &self.value else { return true };
        match &result.value {
            _ if sha256(value.as_bytes()) == result.digest => true,
            ResultValue::String(_) => false,
            other => other.canonical_json() == *value,
        }
    }

    /// What to say of a result whose text is only what the text of its step means as JSON.
    pub(crate) fn read_as(result: &VerifiedResult) -> &'static str {
        match &result.value {
            ResultValue::String(text) if sha256(text.as_bytes()) != result.digest => {
                " only by what the text that its step wrote means as JSON"
            }
            _ => "",
        }
    }
}
