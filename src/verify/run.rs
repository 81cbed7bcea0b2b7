//! The steps of one run: that they belong together, and that none is missing.

use crate::{evidence::statement::uuid, workload::select::pod_names_match};

use super::{
    Trust,
    attempt::Attempt,
    collect::StepEvidence,
    facts::Detail,
    findings::Findings,
    status::unsigned_step_result,
    step::{ProvenStep, differs},
    verdict::{Finding, Thing},
};

/// All steps speak of one pod, one attempt, one number of steps, and each of its own place.
pub(super) fn one_run(attempt: &Attempt<'_>, trust: &Trust) -> Findings {
    let (object, proven) = (attempt.object, attempt.proven);
    let mut findings = Findings::default();
    let skew = 1000 * u64::try_from(trust.clock_skew).unwrap_or_default();
    let Some(first) = proven.first() else { return findings };
    let pod_of = |step: &ProvenStep| step.attestation.pod_name.resolve(&step.attestation.task_run);
    let starts = starts(proven);
    for step in proven.iter().filter(|step| !is_of_one_run(step, first)) {
        for (what, detail, here, there) in [
            ("the pod's UID", Detail::POD_UID, uid(step), uid(first)),
            ("the pod's name", Detail::POD_NAME, pod_of(step), pod_of(first)),
            (
                "the number of steps",
                Detail::STEP_COUNT,
                Some(step.attestation.step_count.to_string()),
                Some(first.attestation.step_count.to_string()),
            ),
            ("the way of results", Detail::RESULTS_FROM, Some(results_from(step)), Some(results_from(first))),
        ] {
            if here == there {
                continue;
            }
            let what = format!(
                "{what} is {} in step {} and {} in step {}",
                there.as_deref().unwrap_or("not known"),
                first.name,
                here.as_deref().unwrap_or("not known"),
                step.name
            );
            findings.push(match here.is_some() && there.is_some() {
                true => Finding::Contradiction { what, detail, step: Some(step.name.clone()) },
                // A step with unusual mounts may not see it.
                false => Finding::undecided(Detail::UNKNOWN_FACT, Some(&step.name), what),
            });
        }
    }
    for step in proven {
        // One pod has one clock, and a step starts when the one before it has signed.
        let next = starts.partition_point(|(place, _)| *place <= step.attestation.step_index);
        let follows =
            starts.get(next).is_none_or(|(_, started)| started + skew >= step.attestation.signed_at());
        if !follows {
            findings.push(Finding::Contradiction {
                what: format!(
                    "step {} signed after the next signed step had started (if the node's clock was set back meanwhile, \
                     --clock-skew allows for that)",
                    step.name
                ),
                detail: Detail::ORDER,
                step: Some(step.name.clone()),
            });
        }
        if object.is_partial() {
            continue;
        }
        let position = attempt.evidence(step).index;
        if position != usize::try_from(step.attestation.step_index).ok() {
            let place = position.map_or("nowhere".to_owned(), |position| position.to_string());
            findings.push(differs(
                &step.name,
                ("the step's position", Detail::POSITION),
                &place,
                &step.attestation.step_index.to_string(),
            ));
        }
    }
    if let Some(count) = object.status.steps.as_ref().map(Vec::len)
        && usize::try_from(first.attestation.step_count).ok() != Some(count)
    {
        let signed = first.attestation.step_count.to_string();
        findings.push(differs(
            &first.name,
            ("the number of steps", Detail::STEP_COUNT),
            &count.to_string(),
            &signed,
        ));
    }
    if let Some(pod) = pod_of(first) {
        if !object.status.pod_name.is_empty() && object.status.pod_name != pod {
            findings.push(differs(
                &first.name,
                ("status.podName", Detail::POD_NAME),
                &object.status.pod_name,
                &pod,
            ));
        }
        let attempt = pod_names_match(&object.metadata.name, &pod);
        if let Some(number) = object.attempt_number()
            && attempt.and_then(|attempt| usize::try_from(attempt).ok()) != Some(number)
        {
            let signed = format!("pod {pod}");
            findings.push(differs(
                &first.name,
                ("the attempt", Detail::ATTEMPT),
                &format!("number {number}"),
                &signed,
            ));
        }
    }
    findings
}

/// Whether two steps state the same pod, number of steps and way of results.
fn is_of_one_run(step: &ProvenStep, other: &ProvenStep) -> bool {
    let (one, other) = (&step.attestation, &other.attestation);
    (one.pod_uid, one.step_count, one.results_from) == (other.pod_uid, other.step_count, other.results_from)
        && (&one.pod_name, &one.task_run) == (&other.pod_name, &other.task_run)
}

/// The place of each step and when it started, in the order of the places; of several in one place the first.
fn starts(proven: &[ProvenStep]) -> Vec<(u32, u64)> {
    let mut starts: Vec<(u32, u64)> =
        proven.iter().map(|step| (step.attestation.step_index, step.attestation.started)).collect();
    starts.sort_by_key(|(place, _)| *place);
    starts.dedup_by_key(|(place, _)| *place);
    starts
}

fn results_from(step: &ProvenStep) -> String {
    step.attestation.results_from.as_str().to_owned()
}

fn uid(step: &ProvenStep) -> Option<String> {
    step.attestation.pod_uid.as_ref().map(uuid)
}

/// Every step has evidence of its own, but for those after a step that signed a failure without `continue`.
pub(super) fn coverage(attempt: &Attempt<'_>) -> Findings {
    let mut findings = Findings::default();
    let mut others_run = true;
    let failed = attempt.succeeded == Some("False");
    for (place, evidence) in attempt.steps.iter().enumerate() {
        match attempt.proof(place) {
            Some(step) if others_run => others_run = step.attestation.outcome.lets_others_run(),
            Some(_) => findings.push(signed_after_failure(evidence.name)),
            // A cancelled or timed-out TaskRun's pod is deleted: its steps end without a word.
            None if others_run && failed && evidence.entries().is_none() => {
                let step = evidence.name;
                let reason =
                    format!("step {step} was ended before it could sign, or its evidence was removed");
                findings.push(Finding::no_evidence(Detail::ENDED_EARLY, reason));
                others_run = false;
            }
            None if others_run => findings.push(Finding::Uncovered { step: evidence.name.to_owned() }),
            None => findings.append(skipped(attempt, evidence)),
        }
    }
    findings
}

/// The same where the object has no `status.steps`: the number of steps and the place of each are signed. `proven` is in the
/// order of their places.
pub(super) fn coverage_without_steps(attempt: &Attempt<'_>) -> Findings {
    let mut findings = Findings::default();
    let (mut next, mut others_run) = (0, true);
    for step in attempt.proven {
        let index = step.attestation.step_index;
        if index < next {
            let what = format!("step {} claims the place {index}, which another step signed for", step.name);
            let step = Some(step.name.clone());
            findings.push(Finding::Contradiction { what, detail: Detail::POSITION, step });
        } else if !others_run {
            findings.push(signed_after_failure(&step.name));
        } else if index > next {
            findings.push(Finding::Uncovered { step: format!("number {next}") });
        }
        next = index + 1;
        others_run &= step.attestation.outcome.lets_others_run();
    }
    let count = attempt.proven.first().map_or(0, |step| step.attestation.step_count);
    if others_run && next < count {
        findings.push(match attempt.succeeded {
            Some("True") => Finding::Uncovered { step: format!("number {next}") },
            _ => Finding::no_evidence(
                Detail::ENDED_EARLY,
                format!(
                    "step number {next} (from 0) was ended before it could sign, or its evidence is not in the object"
                ),
            ),
        });
    }
    findings
}

fn signed_after_failure(step: &str) -> Finding {
    let what = format!("step {step} signed although an earlier step had signed a failure");
    Finding::Contradiction { what, detail: Detail::SIGNED_AFTER_FAILURE, step: Some(step.to_owned()) }
}

/// What speaks against a step having been skipped: nothing that it could have produced is signed, so nothing may be there.
fn skipped(attempt: &Attempt<'_>, evidence: &StepEvidence<'_>) -> Findings {
    let step = evidence.name;
    let state = attempt.state(evidence).map(|(_, state)| state);
    let contradicted =
        |what, found: &str| differs(step, what, found, "that it was skipped, as an earlier step failed");
    let added = |thing: Box<Thing>| Finding::ResultAdded { step: step.to_owned(), thing };
    let mut findings = Findings::default();
    if state.and_then(|state| state.terminated.as_ref()).is_some_and(|end| end.exit_code == 0) {
        findings.push(contradicted(("the exit code", Detail::EXIT_CODE), "0"));
    }
    let entries = evidence.entries().unwrap_or_default().iter();
    findings.extend(
        entries.map(|entry| added(Thing::new(Detail::IN_MESSAGE, format!("the entry {}", entry.key)))),
    );
    let Some(state) = state else { return findings };
    if !state.inputs.is_empty() || !state.outputs.is_empty() {
        findings.push(added(Thing::new(Detail::ARTIFACTS, "a list of artifacts".to_owned())));
    }
    let reason = state.termination_reason.as_str();
    if ["Completed", "Continued"].contains(&reason) {
        findings.push(contradicted(("the termination reason", Detail::TERMINATION_REASON), reason));
    }
    let results = state.results.iter();
    findings.extend(results.map(|result| added(unsigned_step_result(&result.name))));
    findings
}
