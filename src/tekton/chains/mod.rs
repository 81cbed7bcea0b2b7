//! What Tekton Chains makes of runs that have ended: in-toto statements in DSSE envelopes, and what of a run is in them.
//!
//! * [`envelope`]: the envelope, and the bundle of Sigstore around it; [`statement`]: which of Chains' formats it is, and its runs.
//! * [`by_products`]: results in SLSA 1 (Chains `pkg/chains/formats/slsa/internal/results`); [`build_config`]: results in SLSA 0.2 of
//!   a PipelineRun (`pkg/chains/formats/slsa/v1/pipelinerun`).
//! * [`stated`]: what a format does not carry and the caller says instead; [`run`]: a TaskRun made of all that; [`mod@pipeline_run`]: the
//!   PipelineRun of an attestation of one.
//!
//! Nothing here is believed because Chains says it: a TaskRun from an attestation proves itself by its steps' evidence, as any other.

mod build_config;
mod by_products;
mod envelope;
mod error;
mod format;
mod pipeline_run;
mod run;
mod stated;
mod statement;

pub(crate) use by_products::leaves_out;
pub use envelope::{ChainsEnvelope, EnvelopeSignature, PAYLOAD_TYPE};
pub use error::{ChainsError, Unnamed};
pub use format::ChainsFormat;
pub use stated::{Stated, StatedPipelineRun, StatedPipelineRunError, StatedTaskRun, StatedTaskRunError};
pub(crate) use statement::{
    AttestedPipelineRun, is_attestation, is_enveloped, of_payload, pipeline_run, runs,
};

use std::sync::Arc;

use crate::tekton::taskrun::StatusResult;

/// That a TaskRun was made of an attestation, and what of it has no place in a TaskRun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Which of Chains' formats.
    pub format: ChainsFormat,
    /// The envelope that the statement was in, if it was in one.
    pub envelope: Option<Arc<ChainsEnvelope>>,
    /// Results of steps, by their names alone: which step each is of is not carried.
    pub step_results: Vec<StatusResult>,
    /// Whether the object is a whole TaskRun, rather than one made of its results.
    pub is_whole: bool,
    /// Whether the attestation is of a PipelineRun, and nothing says of which one.
    pub is_of_unnamed: bool,
}

impl Origin {
    /// Whether it carries what the TaskRun was given.
    pub(crate) fn has_spec(&self) -> bool {
        !matches!(self.format, ChainsFormat::PipelineRunDeep | ChainsFormat::PipelineRunInToto)
    }
}

/// That a PipelineRun was made of an attestation, and what of it has no place in a PipelineRun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineRunOrigin {
    /// Which of Chains' formats.
    pub format: ChainsFormat,
    /// The envelope that the statement was in, if it was in one.
    pub envelope: Option<Arc<ChainsEnvelope>>,
    /// Names of the TaskRuns that the attestation holds.
    pub task_runs: Vec<String>,
    /// No earlier than the PipelineRun was created, RFC 3339.
    pub started: Option<String>,
}

impl PipelineRunOrigin {
    /// Bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let envelope = self.envelope.as_ref().map_or(0, |envelope| envelope.payload.len());
        let task_runs: usize = self.task_runs.iter().map(|name| name.len() + 48).sum();
        256 + envelope + task_runs
    }
}
