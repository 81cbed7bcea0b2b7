//! Results as SLSA 1 has them in Chains' formats: by-products, one for each result (Chains
//! `pkg/chains/formats/slsa/internal/results/results.go`).

use serde::Deserialize;

use super::{ChainsError, envelope::base64};
use crate::tekton::{
    result_kind::ResultKind,
    strict::node::Node,
    taskrun::{StatusResult, result_value},
    unsuitable::shown,
    value::ResultValue,
};

/// `runDetails.byproducts[]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ByProduct {
    #[serde(default)]
    name: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    media_type: String,
}

/// A result of a TaskRun.
pub(super) struct Kept {
    /// The TaskRun, where the format names it.
    pub(super) task_run: Option<String>,
    pub(super) kind: ResultKind,
    pub(super) result: StatusResult,
}

/// A result of a PipelineRun itself.
pub(crate) struct OwnResult {
    /// The PipelineRun, where the format names it.
    pub(crate) pipeline_run: Option<String>,
    pub(crate) name: String,
    /// `None`: no value that a result can have.
    pub(crate) value: Option<ResultValue>,
}

impl ByProduct {
    /// The result of the PipelineRun that it is; `None` of what is another one's, or no result.
    pub(super) fn own_result(&self) -> Result<Option<OwnResult>, ChainsError> {
        let parts: Vec<&str> = self.name.split('/').collect();
        let (pipeline_run, name) = match *parts.as_slice() {
            ["pipelineRunResults", name] => (None, name),
            ["pipelineRunResults", pipeline_run, name] => (Some(pipeline_run.to_owned()), name),
            _ => return Ok(None),
        };
        let value = ResultValue::from_json(&self.value(name.to_owned())?.value);
        Ok(Some(OwnResult { pipeline_run, name: name.to_owned(), value }))
    }

    /// The result of a TaskRun that it is; `None` of a PipelineRun's own, and of what is no result.
    pub(super) fn result(self) -> Result<Option<Kept>, ChainsError> {
        let parts: Vec<&str> = self.name.split('/').collect();
        let (kind, task_run, name) = match *parts.as_slice() {
            ["taskRunResults", name] => (ResultKind::Task, None, name),
            ["taskRunResults", task_run, name] => (ResultKind::Task, Some(task_run), name),
            ["stepResults", task_run, name] => (ResultKind::Step, Some(task_run), name),
            ["taskRunResults" | "stepResults", ..] => {
                return Err(ChainsError::Shape(format!(
                    "{:?} is not the name of a by-product",
                    shown(&self.name)
                )));
            }
            _ => return Ok(None),
        };
        let (task_run, name) = (task_run.map(str::to_owned), name.to_owned());
        Ok(Some(Kept { task_run, kind, result: self.value(name)? }))
    }

    fn value(&self, name: String) -> Result<StatusResult, ChainsError> {
        let what = || format!("the by-product {:?}", shown(&self.name));
        if self.media_type != "application/json" {
            return Err(ChainsError::Shape(format!(
                "{} is of the type {:?}",
                what(),
                shown(&self.media_type)
            )));
        }
        let json = base64(&self.content, &what())?;
        let value: Node = serde_json::from_slice(&json)
            .map_err(|error| ChainsError::Json { what: what(), error: error.to_string() })?;
        let value =
            result_value(value).map_err(|misfit| ChainsError::Shape(format!("{}: {misfit}", what())))?;
        let kind = ResultValue::from_json(&value).map(|value| value.type_name().to_owned());
        Ok(StatusResult { name, kind: kind.unwrap_or_default(), value })
    }
}

/// Whether Chains may leave out a result of this name: as `slsa/v2alpha4` makes subjects of such ones (Chains
/// `pkg/chains/formats/slsa/internal/results`, `pkg/artifacts`).
pub(crate) fn leaves_out(name: &str) -> bool {
    let endings = ["IMAGE_URL", "IMAGE_DIGEST", "ARTIFACT_OUTPUTS"];
    name == "IMAGES" || endings.iter().any(|ending| name.ends_with(ending))
}
