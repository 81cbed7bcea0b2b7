//! A run of Tekton's: of a task, or of a pipeline.

use crate::tekton::{pipelinerun::PipelineRun, taskrun::TaskRun};

/// What a document may hold.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "nearly all are TaskRuns, and each is moved once or twice")]
pub enum Run {
    /// Of a task.
    TaskRun(TaskRun),
    /// Of a pipeline.
    PipelineRun(Box<PipelineRun>),
}
