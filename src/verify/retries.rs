//! Earlier attempts of a retried TaskRun: each is judged as the TaskRun that it was.
//!
//! Source of the rule: Tekton `pkg/reconciler/taskrun` (`retryTaskRun`) and `pkg/pod/pod.go` (the pod's name).

use super::{
    Found, Trust, Verdict,
    collect::{self, EvidenceKind},
    report::{Basis, StepSummary},
    taskrun::TaskRun,
    verdict::Finding,
};

/// What the earlier attempts say about the object.
#[derive(Default)]
pub(super) struct Earlier {
    /// What contradicts their evidence, or that of the last attempt.
    pub(super) findings: Vec<Finding>,
    /// What could not be verified of them.
    pub(super) notes: Vec<String>,
}

/// Judges `status.retriesStatus` with `judge`. `current` is what the last attempt's proof rests on, if there is one.
pub(super) fn judge(
    object: &TaskRun,
    current: Option<&Basis>,
    trust: &Trust,
    judge: impl Fn(&TaskRun) -> Result<Found, Vec<Finding>>,
) -> Earlier {
    let mut earlier = Earlier::default();
    let mut pods: Vec<(usize, Pod)> = Vec::new();
    let attempts = object.status.retries_status.iter().enumerate();
    for (number, status) in attempts {
        let found = match object.attempt(number, status) {
            Ok(attempt) => {
                if is_weak(current) && holds_attestations(&attempt) {
                    let reason = format!(
                        "attempt {number} holds attestations, but the last one TEP-0089 entries alone: its own were removed"
                    );
                    earlier.findings.push(Finding::NoEvidence { reason });
                }
                judge(&attempt)
            }
            Err(error) => {
                let reason = format!("status.retriesStatus[{number}]: {error}");
                earlier.findings.push(Finding::Undecided { reason });
                continue;
            }
        };
        match found {
            Ok((proof, weaknesses)) => {
                pods.extend(Pod::of(&proof.basis).map(|pod| (number, pod)));
                if proof.is_partial {
                    earlier.notes.push(format!("attempt {number} is partial: it holds no steps"));
                }
                let weaknesses = weaknesses.iter().map(|weakness| format!("attempt {number}: {weakness}"));
                earlier.notes.extend(weaknesses);
            }
            Err(findings) => {
                for finding in findings {
                    match finding.verdict() {
                        Verdict::Invalid => {
                            earlier.findings.push(Finding::Attempt { number, finding: Box::new(finding) });
                        }
                        _ => earlier.notes.push(format!("attempt {number} is not verified: {finding}")),
                    }
                }
            }
        }
    }
    let last = object.status.retries_status.len();
    pods.extend(current.and_then(Pod::of).map(|pod| (last, pod)));
    let contradictions = pods.windows(2).flat_map(|two| contradictions(&two[0], &two[1], trust));
    earlier.findings.extend(contradictions.map(|what| Finding::Contradiction { what }));
    earlier
}

fn is_weak(basis: Option<&Basis>) -> bool {
    basis.is_some_and(|basis| basis.tep0089_values().is_some())
}

/// `--accept tep-0089` is no way around evidence that the object holds.
fn holds_attestations(attempt: &TaskRun) -> bool {
    let steps = collect::collect(attempt);
    steps.is_ok_and(|steps| collect::kind(attempt, &steps) == EvidenceKind::Attestation)
}

/// The pod of one attempt.
struct Pod {
    uid: Option<[u8; 16]>,
    /// Ms since 1970.
    started: u64,
    signed: u64,
}

impl Pod {
    fn of(basis: &Basis) -> Option<Pod> {
        let steps = || basis.steps();
        Some(Pod {
            uid: steps().find_map(|step| step.pod_uid),
            started: steps().map(|step| step.started_ms).min()?,
            signed: steps().map(StepSummary::signed_ms).max()?,
        })
    }
}

/// Attempts have pods of their own, one after the other. It tells them apart where a pod does not know its name.
fn contradictions((one, before): &(usize, Pod), (two, after): &(usize, Pod), trust: &Trust) -> Vec<String> {
    let mut contradictions = Vec::new();
    if before.uid.is_some() && before.uid == after.uid {
        contradictions.push(format!("the attempts {one} and {two} ran in one pod"));
    }
    let skew = 1000 * u64::try_from(trust.clock_skew).unwrap_or_default();
    if before.signed > after.started.saturating_add(skew) {
        contradictions.push(format!("attempt {one} signed after attempt {two} had started"));
    }
    contradictions
}
