//! Results as SLSA 0.2 has them in Chains' format of PipelineRuns: in plain JSON, for each task of the pipeline (Chains
//! `pkg/chains/formats/slsa/v1/pipelinerun/pipelinerun.go`, `TaskAttestation`).

use serde::Deserialize;

use super::{ChainsError, run::Kept};
use crate::tekton::{
    null::null_is_default,
    strict::node::Node,
    taskrun::{Labels, StatusResult},
};

#[derive(Deserialize)]
struct BuildConfig {
    #[serde(default, deserialize_with = "null_is_default")]
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    #[serde(default)]
    name: String,
    started_on: Option<String>,
    finished_on: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(default, deserialize_with = "null_is_default")]
    results: Vec<StatusResult>,
    #[serde(default)]
    invocation: Invocation,
}

#[derive(Default, Deserialize)]
struct Invocation {
    #[serde(default)]
    environment: Environment,
}

#[derive(Default, Deserialize)]
struct Environment {
    #[serde(default, deserialize_with = "null_is_default")]
    labels: Labels,
}

/// What `predicate.buildConfig` keeps of each TaskRun.
pub(super) fn task_runs(build_config: Node) -> Result<Vec<Kept>, ChainsError> {
    let BuildConfig { tasks } = build_config.read()?;
    let kept = tasks.into_iter().map(|task| Kept {
        name: None,
        task: Some(task.name),
        uid: String::new(),
        pipeline_run_uid: task.invocation.environment.labels.pipeline_run_uid,
        spec: None,
        started: task.started_on,
        finished: task.finished_on,
        succeeded: match task.status.as_str() {
            "Succeeded" => Some(true),
            "Failed" => Some(false),
            _ => None,
        },
        results: task.results,
        step_results: Vec::new(),
    });
    Ok(kept.collect())
}
