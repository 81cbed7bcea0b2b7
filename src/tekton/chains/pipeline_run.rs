//! A PipelineRun of what an attestation of one keeps: what was asked for, its own results and its UID. No format keeps the pipeline that a
//! reference stands for, which tasks were skipped, when the PipelineRun was created, or whether it succeeded.

use super::{
    ChainsError, ChainsFormat, PipelineRunOrigin, Stated,
    by_products::OwnResult,
    run::{list, object, text},
};
use crate::tekton::{
    pipelinerun::PipelineRun,
    strict::node::Node,
    taskrun::{Labels, Metadata, TaskRun},
};

/// What an attestation keeps of a PipelineRun.
pub(super) struct Kept {
    pub(super) format: ChainsFormat,
    pub(super) uid: String,
    /// `spec`.
    pub(super) spec: Node,
    /// When it started, RFC 3339.
    pub(super) started: Option<String>,
    pub(super) results: Vec<OwnResult>,
}

impl Kept {
    /// The PipelineRun with these TaskRuns. `None`: neither the attestation nor the caller says which one it is.
    pub(super) fn pipeline_run(
        self,
        task_runs: &[Result<TaskRun, ChainsError>],
        stated: &Stated,
    ) -> Result<Option<PipelineRun>, ChainsError> {
        let metadata: Vec<&Metadata> =
            task_runs.iter().flatten().map(|task_run| &task_run.metadata).collect();
        let names: Vec<String> = metadata.iter().map(|metadata| metadata.name.clone()).collect();
        let name = match self.name(&metadata)? {
            Some(name) => Some(name),
            None => stated.pipeline_run(&names)?.map(str::to_owned),
        };
        let Some(name) = name else { return Ok(None) };
        let namespace = metadata.first().map(|metadata| metadata.namespace.clone());
        let Some(namespace) = namespace.or_else(|| stated.namespace.clone()) else { return Ok(None) };
        let Self { format, uid, spec, started, results } = self;
        let results = results.into_iter().map(result).collect::<Result<Vec<_>, _>>()?;
        let node = object([
            ("apiVersion", text("tekton.dev/v1")),
            ("kind", text("PipelineRun")),
            ("metadata", object([("name", text(name)), ("namespace", text(namespace)), ("uid", text(uid))])),
            ("spec", spec),
            ("status", object([("results", list(results))])),
        ]);
        let read = PipelineRun::from_node(node, "tekton.dev/v1");
        let mut pipeline_run =
            read.map_err(|error| ChainsError::Shape(format!("the PipelineRun in it: {error}")))?;
        let origin = PipelineRunOrigin { format, envelope: None, task_runs: names, started };
        pipeline_run.chains = Some(Box::new(origin));
        Ok(Some(pipeline_run))
    }

    /// Its name, where it is carried: by its own results in `slsa/v2alpha4`, or by the labels of whole TaskRuns.
    fn name(&self, task_runs: &[&Metadata]) -> Result<Option<String>, ChainsError> {
        let mut of_results = self.results.iter().filter_map(|result| result.pipeline_run.as_ref());
        let Some(first) = of_results.next() else {
            // Whether each belongs to it is looked at where it is judged.
            let is_own = |labels: &&&Labels| labels.pipeline_run_uid.as_ref() == Some(&self.uid);
            let labels: Vec<&Labels> = task_runs.iter().map(|metadata| &metadata.labels).collect();
            let own = labels.iter().find(is_own).or(labels.first());
            return Ok(own.and_then(|labels| labels.pipeline_run.clone()));
        };
        match of_results.all(|other| other == first) {
            true => Ok(Some(first.clone())),
            false => Err(ChainsError::Shape("it holds results of several PipelineRuns".to_owned())),
        }
    }
}

fn result(OwnResult { name, value, .. }: OwnResult) -> Result<Node, ChainsError> {
    let json = value.map(|value| value.canonical_json());
    let value = json.and_then(|json| serde_json::from_str::<Node>(&json).ok());
    let Some(value) = value else {
        return Err(ChainsError::Shape(format!("its result {name:?} has a value that no result can have")));
    };
    Ok(object([("name", text(name)), ("value", value)]))
}
