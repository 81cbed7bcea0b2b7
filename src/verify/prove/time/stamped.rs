//! What a TSA is asked to time-stamp.

use crate::{
    tekton::taskrun::TaskRun,
    verify::{
        bind::retries, collect, facts::Detail, finding::Finding, findings::Findings, read_attestations,
    },
};

/// What the time stamp of each step is of: its decoded attestation, with the step's name. Nothing is verified; that the time of
/// something is proven says nothing about it.
pub fn attestations(task_run: &TaskRun) -> Result<Vec<(String, Vec<u8>)>, Findings> {
    if let Some(finding) = retries::last_never_ran(task_run) {
        return Err(finding.into());
    }
    let steps = collect::collect(task_run)?;
    if collect::kind(task_run, &steps) != collect::EvidenceKind::Attestation {
        let reason = "no step has an attestation, which is what is time-stamped".to_owned();
        return Err(Finding::no_evidence(Detail::NOTHING_SIGNED, reason).into());
    }
    let attestations = read_attestations(&steps)?.into_iter();
    let decoded =
        attestations.map(|(step, attestation)| (steps[step].name.to_owned(), attestation.to_bytes()));
    Ok(decoded.collect())
}
