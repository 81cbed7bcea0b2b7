//! Earlier attempts of a retried TaskRun: each is judged as the TaskRun that it was.
//!
//! Source of the rule: Tekton `pkg/reconciler/taskrun` (`retryTaskRun`) and `pkg/pod/pod.go` (the pod's name).

use std::collections::HashMap;

use unixtime::UnixMillis;

use crate::{
    tekton::names::pod_names_match,
    tekton::taskrun::{StepState, TaskRun, TaskRunStatus},
    verify::{
        Found, Verdict,
        collect::{self, EvidenceKind},
        facts::Detail,
        finding::Finding,
        findings::Findings,
        proof::{Basis, StepSummary},
        trust::Trust,
    },
};

/// What the earlier attempts say about the object.
#[derive(Default)]
pub(crate) struct Earlier {
    /// What contradicts their evidence, or that of the last attempt.
    pub(crate) findings: Findings,
    /// What could not be verified of them.
    pub(crate) notes: Vec<String>,
}

impl Earlier {
    /// Keeps what an attempt's verdict says; gives the pod that its proof names.
    fn take(&mut self, number: usize, found: Result<Found, Findings>) -> Option<AttemptPod> {
        let (proof, weaknesses) = match found {
            Ok(found) => found,
            Err(findings) => {
                for finding in &findings {
                    match finding.verdict() {
                        Verdict::Invalid => {
                            let finding = Box::new(finding.clone());
                            self.findings.push(Finding::Attempt { number, finding });
                        }
                        _ => self.notes.push(format!("attempt {number} is not verified: {finding}")),
                    }
                }
                return None;
            }
        };
        if proof.is_partial {
            self.notes.push(format!("attempt {number} is partial: it holds no steps"));
        }
        self.notes.extend(weaknesses.iter().map(|weakness| format!("attempt {number}: {weakness}")));
        AttemptPod::of(&proof.basis)
    }
}

/// More attempts than an object has room for: bounds the work and the notes that one can cause.
const MOST_ATTEMPTS: usize = 1000;

/// Judges `status.retriesStatus` with `judge`. `current` is what the last attempt's proof rests on, if there is one.
pub(crate) fn judge(
    task_run: &TaskRun,
    current: Option<&Basis>,
    trust: &Trust,
    mut judge: impl FnMut(&TaskRun) -> Result<Found, Findings>,
) -> Earlier {
    let mut earlier = Earlier::default();
    let statuses = &task_run.status.retries_status;
    if statuses.is_empty() {
        return earlier;
    }
    if statuses.len() > MOST_ATTEMPTS {
        let count = statuses.len();
        let reason =
            format!("status.retriesStatus holds {count} attempts; at most {MOST_ATTEMPTS} are judged");
        earlier.findings.push(Finding::undecided(Detail::TOO_MANY_ATTEMPTS, None, reason));
        return earlier;
    }
    let mut pods: Vec<(usize, AttemptPod)> = Vec::new();
    // One for all attempts, since what was asked for may be large.
    let mut attempt = task_run.without_status();
    for (number, status) in statuses.iter().enumerate() {
        let before = std::mem::take(&mut attempt.status);
        let found = match attempt.become_attempt(number, status) {
            Ok(()) if never_ran(&attempt, &before) => {
                earlier.notes.push(format!(
                    "attempt {number} never ran: it had no pod, or one that was never scheduled; it shows the steps of the \
                     attempt before"
                ));
                continue;
            }
            Ok(()) => {
                if is_weak(current) && holds_attestations(&attempt) {
                    let reason = format!(
                        "attempt {number} holds attestations, but the last one TEP-0089 entries alone: its own were removed"
                    );
                    earlier.findings.push(Finding::no_evidence(Detail::ATTESTATIONS_REMOVED, reason));
                }
                judge(&attempt)
            }
            Err(error) => {
                let reason = format!("status.retriesStatus[{number}]: {error}");
                earlier.findings.push(Finding::undecided(Detail::ATTEMPT_SHAPE, None, reason));
                continue;
            }
        };
        pods.extend(earlier.take(number, found).map(|pod| (number, pod)));
    }
    pods.extend(current.and_then(AttemptPod::of).map(|pod| (statuses.len(), pod)));
    earlier.findings.extend(find_contradictions(&pods, trust).map(|(detail, what)| Finding::Contradiction {
        what,
        detail,
        step: None,
    }));
    earlier
}

/// What it means that the last attempt never ran, if it did not.
pub(crate) fn last_never_ran(task_run: &TaskRun) -> Option<Finding> {
    let statuses = &task_run.status.retries_status;
    let (status, earlier) = statuses.split_last()?;
    if statuses.len() > MOST_ATTEMPTS {
        return None;
    }
    let mut before = task_run.without_status();
    before.become_attempt(earlier.len(), status).ok()?;
    let number = statuses.len();
    let reason = format!(
        "its last attempt (number {number} from 0) never ran, and it shows the steps of the attempt before: it had no pod, or one \
         that was never scheduled; look at the events of the TaskRun and its pod"
    );
    never_ran(task_run, &before.status).then(|| Finding::no_evidence(Detail::NEVER_RAN, reason))
}

/// Whether nothing of an attempt ever started. For a retry the controller empties `podName`, times and `results`, but keeps
/// `steps` until the containers of the next pod have states (Tekton `retryTaskRun`, `setTaskRunStatusBasedOnStepStatus`);
/// when it fails such an attempt, it ends the steps that had not ended (`terminateStepsInPod`).
fn never_ran(attempt: &TaskRun, before: &TaskRunStatus) -> bool {
    let status = &attempt.status;
    let (Some(steps), Some(earlier)) = (&status.steps, &before.steps) else { return false };
    let is_left = |(step, earlier): (&StepState, &StepState)| {
        step == earlier || (step.name == earlier.name && earlier.terminated.is_none() && is_empty(step))
    };
    let own_pod = pod_names_match(&attempt.metadata.name, &status.pod_name);
    attempt.succeeded() == Some("False")
        && status.results.is_empty()
        && !steps.is_empty()
        && steps.len() == earlier.len()
        && steps.iter().zip(earlier).all(is_left)
        && (status.pod_name.is_empty()
            || own_pod.and_then(|number| usize::try_from(number).ok()) == attempt.attempt_number())
}

/// Whether a step's state holds nothing that the step itself has left.
fn is_empty(step: &StepState) -> bool {
    let message = step.terminated.as_ref().map(|terminated| terminated.message.as_str()).unwrap_or_default();
    !collect::is_message(message)
        && step.results.is_empty()
        && step.inputs.is_empty()
        && step.outputs.is_empty()
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
struct AttemptPod {
    uid: Option<[u8; 16]>,
    started: UnixMillis,
    signed: UnixMillis,
}

impl AttemptPod {
    fn of(basis: &Basis) -> Option<Self> {
        let steps = || basis.steps();
        Some(Self {
            uid: steps().find_map(|step| step.pod_uid()),
            started: steps().map(|step| step.started()).min()?,
            signed: steps().map(StepSummary::signed).max()?,
        })
    }
}

/// Attempts have pods of their own, one after the other. It tells them apart where a pod does not know its name.
fn find_contradictions(
    pods: &[(usize, AttemptPod)],
    trust: &Trust,
) -> impl Iterator<Item = (Detail, String)> {
    let mut seen: HashMap<[u8; 16], usize> = HashMap::new();
    let shared = pods.iter().filter_map(move |(number, pod)| {
        let other = seen.insert(pod.uid?, *number)?;
        Some((Detail::SHARED_POD, format!("the attempts {other} and {number} ran in one pod")))
    });
    let overlapping = pods.windows(2).filter_map(move |two| {
        let [(one, before), (other, after)] = two else { return None };
        let overlap = before.signed > after.started + trust.clock_skew;
        overlap.then(|| {
            (Detail::OVERLAPPING_ATTEMPTS, format!("attempt {one} signed after attempt {other} had started"))
        })
    });
    shared.chain(overlapping)
}
