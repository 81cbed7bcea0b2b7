//! Exit codes, reasons and the run's success in the status, against the outcomes that the steps signed.
//!
//! Source of the rule: Tekton `pkg/pod/status.go` (`extractExitCodeFromResults`, `getTerminationReason`) and `cmd/entrypoint/main.go`.

use crate::{
    evidence::{
        attestation::{Ended, ResultsFrom, SignedOutcome},
        sha256,
    },
    tekton::result_kind::ResultKind,
    verify::{
        bind::attempt::Attempt,
        collect::StepEvidence,
        facts::Detail,
        finding::{Finding, differs},
        findings::Findings,
        prove::step::ProvenStep,
    },
};

/// Exit codes, reasons, and `Succeeded`, against the signed outcomes.
pub(crate) fn compare(attempt: &Attempt<'_>) -> Findings {
    let mut findings = Findings::default();
    for step in attempt.proven {
        let evidence = attempt.evidence(step);
        let outcome = step.attestation.outcome;
        if !outcome.lets_others_run() && attempt.succeeded == Some("True") {
            findings.push(Finding::Status {
                field: "status.conditions".to_owned(),
                problem: format!(
                    "the TaskRun is said to have succeeded, but step {} signed a failure",
                    step.name
                ),
                detail: Detail::SUCCEEDED,
            });
        }
        let Some((_, state)) = attempt.state(evidence) else { continue };
        let Some(terminated) = &state.terminated else {
            findings.push(differs(
                &step.name,
                ("its state", Detail::STATE),
                "not terminated",
                "that it ended",
            ));
            continue;
        };
        let by_result = exit_code_of_result(step, evidence, terminated.exit_code);
        let exit_code = by_result.unwrap_or_else(|| exit_code(outcome));
        if terminated.exit_code != exit_code {
            let (object, evidence) = (terminated.exit_code.to_string(), exit_code.to_string());
            findings.push(differs(&step.name, ("the exit code", Detail::EXIT_CODE), &object, &evidence));
        }
        let reason = termination_reason(outcome, by_result.is_some());
        let said = state.termination_reason.as_str();
        let signed_reasons = ["TimeoutExceeded", "Cancelled", "Skipped", "Continued"];
        let contradicts = match reason {
            Some(reason) => said != reason,
            None => signed_reasons.contains(&said),
        };
        // Objects of older Tekton versions have no terminationReason.
        if contradicts && !said.is_empty() {
            findings.push(differs(
                &step.name,
                ("the termination reason", Detail::TERMINATION_REASON),
                said,
                reason.unwrap_or("an ordinary end"),
            ));
        }
    }
    findings
}

/// The exit code that the controller writes for a signed outcome.
fn exit_code(outcome: SignedOutcome) -> i64 {
    match outcome.ended {
        Ended::Exited(code) => i64::from(code),
        Ended::Signal(_) if outcome.continued => -1,
        Ended::Signal(_) => 255,
        Ended::Timeout | Ended::NotStarted => 1,
        Ended::Cancelled => 9,
        Ended::Skipped => 0,
    }
}

/// The reason that the controller writes for a signed outcome, if it is not an ordinary end.
fn termination_reason(outcome: SignedOutcome, has_exit_code_entry: bool) -> Option<&'static str> {
    match outcome.ended {
        Ended::Timeout => Some("TimeoutExceeded"),
        Ended::Cancelled => Some("Cancelled"),
        Ended::Skipped => Some("Skipped"),
        _ if outcome.continued || has_exit_code_entry => Some("Continued"),
        _ => None,
    }
}

/// The controller takes any entry named `ExitCode` for the exit code of a failure that was let pass, also a signed result (Tekton
/// `pkg/pod/status.go`, `extractExitCodeFromResults`). `found`: the one in the status, which may be it if its message is gone.
fn exit_code_of_result(step: &ProvenStep, evidence: &StepEvidence<'_>, found: i64) -> Option<i64> {
    let from_message = step.attestation.results_from == ResultsFrom::TerminationMessage;
    let mut kinds = [ResultKind::Task, ResultKind::Step].into_iter().filter(|_| from_message);
    let result = kinds.find_map(|kind| step.covered(kind, "ExitCode"))?;
    let raw = evidence.raw(result.kind, &result.name);
    let raw = raw.map_or_else(|| found.to_string(), str::to_owned);
    let number: i32 = raw.parse().ok().filter(|_| sha256(raw.as_bytes()) == result.digest)?;
    Some(number.into())
}
