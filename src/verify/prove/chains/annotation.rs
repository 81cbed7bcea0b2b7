//! The attestation that Chains' storage `tekton` keeps in a run's annotations (Chains `pkg/chains/storage/tekton`): signed, about this very
//! run, and of a TaskRun the same as its status.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{ChainsSignature, check_signatures, key::ChainsKeys};
use crate::{
    tekton::{
        chains::{self, ChainsEnvelope, ChainsError, ChainsFormat, Stated, StatedTaskRun},
        taskrun::{Metadata, StatusResult, TaskRun},
    },
    verify::{facts::Detail, finding::Finding},
};

fn missing(reason: impl Into<Cow<'static, str>>) -> ChainsSignature {
    ChainsSignature::Missing(reason.into())
}

/// An attestation in the annotations of a run, whose signature is good.
pub(crate) struct Annotation {
    /// Where it is.
    pub(crate) field: String,
    pub(crate) envelope: ChainsEnvelope,
    /// The key that signed it.
    pub(crate) keyid: String,
}

/// The attestation in the annotations of a run of this kind (`taskrun`, `pipelinerun`); `None`: there is none. `unread` makes the finding
/// that it cannot be read.
pub(crate) fn find_signed(
    metadata: &Metadata,
    kind: &str,
    keys: &ChainsKeys,
    unread: impl Fn(String) -> Finding,
) -> Result<Option<Annotation>, Finding> {
    let key = format!("chains.tekton.dev/signature-{kind}-{}", metadata.uid);
    let annotation =
        metadata.annotations.chains.iter().find(|(name, _)| *name == key && !metadata.uid.is_empty());
    let Some((_, annotation)) = annotation else { return Ok(None) };
    let field = format!("metadata.annotations[{key}]");
    let bytes = STANDARD.decode(annotation).map_err(|_| unread(format!("{field}: it is not base64")))?;
    let envelope = ChainsEnvelope::from_json(&bytes).map_err(|error| unread(format!("{field}: {error}")))?;
    let keyid = check_signatures(&envelope, keys)?;
    Ok(Some(Annotation { field, envelope, keyid }))
}

/// Checks the attestation in the annotations of a TaskRun.
pub(super) fn check(task_run: &TaskRun, keys: &ChainsKeys) -> Result<ChainsSignature, Finding> {
    let undecided = |problem| Finding::undecided(Detail::CHAINS_ANNOTATION, None, problem);
    let Some(Annotation { field, envelope, keyid }) =
        find_signed(&task_run.metadata, "taskrun", keys, undecided)?
    else {
        return Ok(missing("there is no attestation of Tekton Chains in its annotations"));
    };
    let unread = |error: &dyn std::fmt::Display| undecided(format!("{field}: {error}"));
    let stated = Stated {
        namespace: Some(task_run.metadata.namespace.clone()),
        task_runs: vec![StatedTaskRun { task: None, name: task_run.metadata.name.clone() }],
        pipeline_runs: Vec::new(),
    };
    let attested = chains::of_payload(&envelope.payload, &stated, |_| None);
    let attested = match attested.and_then(|attested| attested.into_iter().collect::<Result<Vec<_>, _>>()) {
        Ok(attested) => attested,
        Err(error @ ChainsError::HoldsNothing { .. }) => {
            return Ok(missing(format!("its annotations hold an attestation, but {error}")));
        }
        Err(error) => return Err(unread(&error)),
    };
    let [attested] = attested.as_slice() else {
        return Err(unread(&"it is an attestation of several TaskRuns"));
    };
    compare_run(task_run, attested)
        .and_then(|()| compare_results(task_run, attested))
        .map_err(|problem| Finding::status(field, Detail::CHAINS_ANNOTATION, problem))?;
    Ok(ChainsSignature::Signed(keyid))
}

fn compare_run(task_run: &TaskRun, attested: &TaskRun) -> Result<(), String> {
    let (stated, found) = (&task_run.metadata, &attested.metadata);
    match () {
        () if found.uid != stated.uid => Err(format!(
            "Chains attested the run of the UID {:?}, and this one has {:?}",
            found.uid, stated.uid
        )),
        () if found.name != stated.name => {
            Err(format!("Chains attested the TaskRun {}, and this one is {}", found.name, stated.name))
        }
        () => Ok(()),
    }
}

/// Whether the by-products are what the status holds, in the same order. Chains leaves some results out, and never puts one in.
fn compare_results(task_run: &TaskRun, attested: &TaskRun) -> Result<(), String> {
    let in_steps = task_run.status.steps.iter().flatten().flat_map(|step| &step.results);
    let of_steps = attested.chains.iter().flat_map(|origin| &origin.step_results);
    // slsa/v2alpha3 leaves out no result, and has none of any step.
    let is_v2alpha4 =
        attested.chains.as_ref().is_some_and(|origin| origin.format == ChainsFormat::TaskRunV2alpha4);
    compare_names(task_run.status.results.iter(), attested.status.results.iter(), "result", is_v2alpha4)?;
    if is_v2alpha4 { compare_names(in_steps, of_steps, "step result", true) } else { Ok(()) }
}

fn compare_names<'a>(
    found: impl Iterator<Item = &'a StatusResult>,
    attested: impl Iterator<Item = &'a StatusResult>,
    what: &str,
    may_leave_out: bool,
) -> Result<(), String> {
    let mut attested = attested.peekable();
    for result in found {
        let is_left_out = may_leave_out && chains::leaves_out(&result.name);
        if attested.next_if_eq(&result).is_none() && !is_left_out {
            return Err(format!("Chains did not attest the {what} {} as it is here", result.name));
        }
    }
    match attested.next() {
        Some(result) => Err(format!("Chains attested a {what} {} that is not here, or not so", result.name)),
        None => Ok(()),
    }
}
