//! The steps of one run: that they belong together, and that none is missing.

use std::time::Duration;

use unixtime::UnixMillis;

use crate::{
    evidence::statement::uuid,
    tekton::{names::pod_names_match, taskrun::TaskRun},
    verify::{
        bind::attempt::Attempt,
        facts::Detail,
        finding::{Finding, differs},
        findings::Findings,
        prove::step::ProvenStep,
        trust::Trust,
    },
};

/// All steps tell of one pod, one attempt, one number of steps, and each of its own place.
pub(crate) fn check_one_run(attempt: &Attempt<'_>, trust: &Trust) -> Findings {
    let (task_run, proven) = (attempt.task_run, attempt.proven);
    let mut findings = Findings::default();
    let Some(first) = proven.first() else { return findings };
    for step in proven.iter().filter(|step| !is_of_one_run(step, first)) {
        compare_runs(step, first, &mut findings);
    }
    let skew = trust.clock_skew;
    let starts = starts(proven);
    for step in proven {
        if !follows(step, &starts, skew) {
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
        if task_run.is_partial() {
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
    compare_with_object(task_run, first, &mut findings);
    findings
}

/// What two steps state of their run, where it differs.
fn compare_runs(step: &ProvenStep, first: &ProvenStep, findings: &mut Findings) {
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

/// One pod has one clock, and a step starts when the one before it has signed.
fn follows(step: &ProvenStep, starts: &[(u32, UnixMillis)], skew: Duration) -> bool {
    let next = starts.partition_point(|(place, _)| *place <= step.attestation.step_index);
    starts.get(next).is_none_or(|(_, started)| *started + skew >= step.attestation.signed_at())
}

/// What the object says of the run, against what its steps state.
fn compare_with_object(task_run: &TaskRun, first: &ProvenStep, findings: &mut Findings) {
    if let Some(count) = task_run.status.steps.as_ref().map(Vec::len)
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
        if !task_run.status.pod_name.is_empty() && task_run.status.pod_name != pod {
            findings.push(differs(
                &first.name,
                ("status.podName", Detail::POD_NAME),
                &task_run.status.pod_name,
                &pod,
            ));
        }
        let attempt = pod_names_match(&task_run.metadata.name, &pod);
        if let Some(number) = task_run.attempt_number()
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
}

fn pod_of(step: &ProvenStep) -> Option<String> {
    step.attestation.pod_name.resolve(&step.attestation.task_run)
}

/// Whether two steps state the same pod, number of steps and way of results.
fn is_of_one_run(step: &ProvenStep, other: &ProvenStep) -> bool {
    let (one, other) = (&step.attestation, &other.attestation);
    (one.pod_uid, one.step_count, one.results_from) == (other.pod_uid, other.step_count, other.results_from)
        && (&one.pod_name, &one.task_run) == (&other.pod_name, &other.task_run)
}

/// The place of each step and when it started, in the order of the places; of several in one place the first.
fn starts(proven: &[ProvenStep]) -> Vec<(u32, UnixMillis)> {
    let mut starts: Vec<(u32, UnixMillis)> =
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
