//! Why nothing can be made of an attestation.

use std::fmt;

use super::ChainsFormat;
use crate::tekton::{
    strict::{node::Misfit, parser_words::plain},
    taskrun::TaskRunError,
};

/// Why an attestation gives no run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainsError {
    /// A part of the envelope, or a value of the statement, is not base64.
    #[error("{0} is not base64 (cut short or altered)")]
    Base64(String),
    /// What was in base64 is not JSON.
    #[error("{what} is not JSON: {}", plain(error))]
    Json {
        /// Such as "the envelope's payload".
        what: String,
        /// With line and column.
        error: String,
    },
    /// A member is missing or of another type than in-toto, SLSA or Chains give it.
    #[error("it is not an attestation as Tekton Chains writes it: {}", plain(.0))]
    Shape(String),
    /// A statement about something else.
    #[error(
        "its predicate is {0:?}, and what Tekton Chains says of a run is https://slsa.dev/provenance/v0.2 or https://slsa.dev/provenance/v1"
    )]
    Predicate(String),
    /// Provenance from another builder.
    #[error(
        "its build type is {0:?}, which is none of Tekton Chains'; only its provenance of TaskRuns and PipelineRuns is verified"
    )]
    BuildType(String),
    /// The format leaves out all that could be verified.
    #[error(
        "this is Chains' attestation in the format {format}, which holds no results of steps and no evidence: there is nothing to verify in it; {}",
        format.keeps_more()
    )]
    HoldsNothing {
        /// Its format.
        format: ChainsFormat,
    },
    /// The format does not say whose results they are, and nobody else does.
    #[error("{0}")]
    Unnamed(Box<Unnamed>),
    /// Its TaskRuns are of none of the PipelineRuns that are stated.
    #[error(
        "it is an attestation of a PipelineRun with a TaskRun {task_run}, and no run of {stated} is called so: only its TaskRuns are judged; say the PipelineRun's own name"
    )]
    OtherPipelineRun {
        /// The name of one of its TaskRuns.
        task_run: String,
        /// Such as `--pipelinerun release-7`.
        stated: String,
    },
    /// A TaskRun in it cannot be read.
    #[error("{what}: {error}")]
    TaskRun {
        /// Which.
        what: String,
        /// Why not.
        error: TaskRunError,
    },
}

impl From<Misfit> for ChainsError {
    fn from(misfit: Misfit) -> Self {
        Self::Shape(misfit.to_string())
    }
}

/// What is missing to say whose results an attestation holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// Its format.
    pub format: ChainsFormat,
    /// Whether the namespace is missing.
    pub namespace: bool,
    /// Whether the TaskRun's name is missing.
    pub name: bool,
    /// The task of a pipeline that is meant, if the statement is about several; a name that Tekton gives to one.
    pub task: Option<String>,
    /// Namespace and name as its evidence has them, by its own word alone.
    pub claimed: Option<(String, String)>,
}

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, namespace, name, task, claimed, .. } = self;
        let lacks = match (namespace, name) {
            (true, true) => "neither namespace nor name of the TaskRun",
            (true, false) => "no namespace of the TaskRun",
            _ => "no name of the TaskRun",
        };
        write!(f, "Chains' attestation in the format {format} holds {lacks}")?;
        if let Some(task) = task {
            write!(f, " of the task {task}")?;
        }
        let (claimed_namespace, claimed_name) = match claimed {
            Some((namespace, name)) => (namespace.as_str(), name.as_str()),
            None => ("NS", "NAME"),
        };
        f.write_str("; say")?;
        if *namespace {
            write!(f, " --namespace {claimed_namespace}")?;
        }
        if *name {
            let task = task.iter().map(|task| format!("{task}=")).collect::<String>();
            write!(f, " --taskrun {task}{claimed_name}")?;
        }
        match claimed {
            Some(_) => f.write_str(" if that is what you expect: it is what the evidence in it claims"),
            None => Ok(()),
        }
    }
}
