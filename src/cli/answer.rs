//! What a worker makes of a run.

use crate::{
    tekton::{pipelinerun::PipelineRun, run::Run},
    verify::{Report, Verifier, pipeline::Child},
};

/// What a worker gives back.
#[allow(clippy::large_enum_variant, reason = "nearly all are TaskRuns, and each is moved once or twice")]
pub(super) enum Answer {
    /// A TaskRun, with what a PipelineRun may need of it.
    TaskRun(Report, Option<Box<Child>>),
    /// It is judged when all its TaskRuns are.
    PipelineRun(Box<PipelineRun>),
}

impl Answer {
    /// Judges what can be judged now.
    pub(super) fn to(run: Run, verifier: &mut Verifier<'_>) -> Self {
        match run {
            Run::TaskRun(object) => {
                let report = verifier.verify(&object);
                let child = Child::of_task_run(&object, &report).map(Box::new);
                Self::TaskRun(report, child)
            }
            Run::PipelineRun(object) => Self::PipelineRun(object),
        }
    }
}
