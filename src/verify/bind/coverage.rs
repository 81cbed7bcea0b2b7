//! That no step of the run is missing.

use crate::verify::{
    bind::attempt::Attempt,
    collect::StepEvidence,
    facts::Detail,
    finding::{Finding, differs},
    findings::Findings,
    verdict::{Thing, unsigned_step_result},
};

/// Every step has evidence of its own, but for those after a step that signed a failure without `continue`.
pub(crate) fn check_coverage(attempt: &Attempt<'_>) -> Findings {
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
            None => findings.append(check_skipped(attempt, evidence)),
        }
    }
    findings
}

/// The same where the object has no `status.steps`: the number of steps and the place of each are signed. `proven` is in the
/// order of their places.
pub(crate) fn check_coverage_without_steps(attempt: &Attempt<'_>) -> Findings {
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
fn check_skipped(attempt: &Attempt<'_>, evidence: &StepEvidence<'_>) -> Findings {
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
