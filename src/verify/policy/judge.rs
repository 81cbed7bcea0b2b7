//! What of a proof breaks one rule.

use std::collections::HashSet;

use super::{
    AcceptedEvidence, AcceptedTime, ChainsDemand, DemandedResult, Failures, ResultType, Rule, StatedValue,
    image, program,
};
use crate::{
    evidence::attestation::Ended,
    tekton::taskrun::TaskRun,
    verify::{
        compare::{image::AttestedImage, partial::NotCarriedItem, value::VerifiedResult},
        facts::Detail,
        policy::broken::{Broken, BrokenOf, DemandSubject},
        proof::{AttestedBy, Proof, StepSummary},
        prove::{chains::ChainsSignature, time::TimeProof},
        trust::Trust,
        verdict::Breach,
    },
};

/// Everything that breaks `rule`. `typed`: names of results for whose type any rule that holds vouches.
pub(crate) fn judge(
    rule: &Rule,
    typed: &HashSet<&str>,
    task_run: &TaskRun,
    proof: &Proof,
    trust: &Trust,
    broken_of: &mut BrokenOf<'_>,
) {
    check_carried(rule, proof, broken_of);
    check_form_and_time(rule, proof, broken_of);
    check_attested(rule, proof, broken_of);
    check_chains(rule, proof, broken_of);
    program::check_every_step(rule, proof, broken_of);
    image::check_every_step(rule, proof, broken_of);
    check_age(rule, proof, trust, broken_of);
    check_failures(rule, task_run, proof, broken_of);
    for demanded in &rule.results {
        let name = &demanded.name;
        check_result(demanded, typed, proof, &mut |detail, demanded, found, breach| {
            broken_of(DemandSubject::Result(name), detail, demanded, found, breach);
        });
    }
}

fn check_form_and_time(rule: &Rule, proof: &Proof, broken: &mut BrokenOf<'_>) {
    if proof.basis.tep0089_values().is_some() && !rule.evidence.contains(&AcceptedEvidence::Tep0089) {
        let found = "there are only Tekton's own signatures (tep-0089)".to_owned();
        broken(
            DemandSubject::TaskRun,
            Detail::EVIDENCE,
            "every step must have signed an attestation".to_owned(),
            found,
            Breach::TooWeak,
        );
    }
    let time = match proof.time {
        TimeProof::ValidNow => AcceptedTime::ValidNow,
        TimeProof::ValidThen(_) => AcceptedTime::ValidThen,
        TimeProof::Asserted(_) => AcceptedTime::Asserted,
        TimeProof::Unproven => AcceptedTime::Unproven,
    };
    if !rule.time.contains(&time) {
        let accepted: Vec<&str> = rule.time.iter().map(|time| time.as_str()).collect();
        let demanded = format!("the time of signing must be {}", accepted.join(" or "));
        broken(
            DemandSubject::TaskRun,
            Detail::TIME,
            demanded,
            format!("it is {}", time.as_str()),
            Breach::TooWeak,
        );
    }
}

fn check_carried(rule: &Rule, proof: &Proof, broken: &mut BrokenOf<'_>) {
    if rule.not_carried {
        return;
    }
    for lacking in &proof.not_carried {
        let (about, demanded) = match &lacking.item {
            NotCarriedItem::TaskResult(name) => {
                (DemandSubject::Result(name), "every signed result must be in the object")
            }
            NotCarriedItem::Creation => {
                (DemandSubject::Step(&lacking.step), "the object must say when it was created")
            }
            _ => continue,
        };
        let found = format!("{} of step {} is not carried", lacking.item, lacking.step);
        broken(about, Detail::NOT_CARRIED, demanded.to_owned(), found, Breach::TooWeak);
    }
}

fn check_attested(rule: &Rule, proof: &Proof, broken: &mut BrokenOf<'_>) {
    let Some(demanded) = rule.attested_by else { return };
    let what = match demanded {
        AttestedBy::Run => "the run",
        AttestedBy::Step => "run and step",
        AttestedBy::Executable => "run, step and executable",
        AttestedBy::Image => "run, step, executable and image",
    };
    let text = format!("every step's certificate must attest {what}");
    if proof.basis.tep0089_values().is_some() {
        return broken(
            DemandSubject::TaskRun,
            Detail::ATTESTED_BY,
            text,
            "there are no attestations".to_owned(),
            Breach::TooWeak,
        );
    }
    for step in proof.basis.steps().filter(|step| step.attested_by() < Some(demanded)) {
        let found = match step.attested_by() {
            None => "attests none of them",
            Some(AttestedBy::Run) => "attests the run only",
            Some(AttestedBy::Step) => "attests run and step only",
            Some(AttestedBy::Executable | AttestedBy::Image) => match step.image {
                AttestedImage::NotStated => {
                    "attests an image, and the TaskRun does not say which one it ran in"
                }
                _ => "attests run, step and executable only",
            },
        };
        broken(
            DemandSubject::Step(&step.name),
            Detail::ATTESTED_BY,
            text.clone(),
            format!("that of step {} {found}", step.name),
            Breach::TooWeak,
        );
    }
}

fn check_chains(rule: &Rule, proof: &Proof, broken: &mut BrokenOf<'_>) {
    let Some(ChainsDemand::Signed) = rule.chains else { return };
    if !matches!(proof.chains, ChainsSignature::Signed(_)) {
        let demanded = "Tekton Chains must have signed an attestation of it".to_owned();
        broken(DemandSubject::TaskRun, Detail::CHAINS, demanded, proof.chains.to_string(), Breach::TooWeak);
    }
}

fn check_age(rule: &Rule, proof: &Proof, trust: &Trust, broken: &mut BrokenOf<'_>) {
    let Some(max_age) = &rule.max_age else { return };
    let demanded = format!("no step may have signed longer than {} ago", max_age.as_str());
    if proof.basis.tep0089_values().is_some() {
        return broken(
            DemandSubject::TaskRun,
            Detail::MAX_AGE,
            demanded,
            "Tekton's own signatures have no time".to_owned(),
            Breach::TooWeak,
        );
    }
    let now = trust.at.unwrap_or(trust.now);
    for step in proof.basis.steps().filter(|step| max_age.is_exceeded(step.signed_at, now)) {
        let found = format!("step {} signed at {}", step.name, step.signed_at);
        broken(
            DemandSubject::Step(&step.name),
            Detail::MAX_AGE,
            demanded.clone(),
            found,
            Breach::Contradicted,
        );
    }
}

fn check_failures(rule: &Rule, task_run: &TaskRun, proof: &Proof, broken: &mut BrokenOf<'_>) {
    if rule.failures == Failures::Any {
        return;
    }
    // An object of results alone has no conditions; how the steps ended is signed in any case.
    let stopped = |step: &&StepSummary| !step.outcome.lets_others_run();
    let found = match task_run.succeeded() {
        Some("True") | None => {
            let step = proof.basis.steps().find(stopped);
            step.map(|step| (DemandSubject::Step(&step.name), format!("step {} failed", step.name)))
        }
        Some(_) => Some((DemandSubject::TaskRun, "it failed".to_owned())),
    };
    if let Some((about, found)) = found {
        let demanded = "the TaskRun must have succeeded".to_owned();
        broken(about, Detail::FAILURES, demanded, found, Breach::Contradicted);
    }
    let failed = |step: &&StepSummary| !matches!(step.outcome.ended, Ended::Exited(0) | Ended::Skipped);
    if rule.failures == Failures::None {
        for step in proof.basis.steps().filter(failed) {
            let found = format!("step {} failed", step.name);
            let demanded = "no step may have failed".to_owned();
            broken(DemandSubject::Step(&step.name), Detail::FAILURES, demanded, found, Breach::Contradicted);
        }
    }
}

/// Names and types rest on the task of the status, which nobody signs, unless the policy says the same
/// (docs/threat-model.md "What is not signed").
pub(crate) fn vouch(demanded: &DemandedResult, results: &mut [VerifiedResult]) {
    for result in results.iter_mut().filter(|result| result.name == demanded.name) {
        let origin = (Some(result.step.as_str()), result.step_result.as_deref());
        if demanded.step_result.is_some()
            && origin == (demanded.from.as_deref(), demanded.step_result.as_deref())
        {
            result.name_is_claimed = false;
        }
        if demanded.vouched_type().is_some_and(|kind| kind.is_of(result)) {
            result.type_is_claimed = false;
        }
    }
}

/// Values are compared as the status holds them. Of text that may be read in several ways, by the word of a task that nobody signs,
/// only a stated value or a stated type says which is meant.
fn check_value(
    demanded: &DemandedResult,
    typed: &HashSet<&str>,
    result: &VerifiedResult,
    broken: &mut Broken<'_>,
) {
    let name = &demanded.name;
    let found = || format!("it is {}", shown(&result.value.canonical_json()));
    let mut differs = |text: String| {
        let by_claim = result.value.type_name() == "string" && !ResultType::String.is_of(result);
        match by_claim {
            true => broken(Detail::VALUE, text, AS_JSON.to_owned(), Breach::Contradicted),
            false => broken(Detail::VALUE, text, found(), Breach::Contradicted),
        }
    };
    if let Some(value) = demanded.value.as_ref().filter(|value| !value.is_of(result)) {
        differs(format!("result {name} must be {}", shown(&value.to_json())));
    }
    if let Some(one_of) = demanded.one_of.as_ref().filter(|all| !all.iter().any(|value| value.is_of(result)))
    {
        let values: Vec<String> = one_of.iter().map(StatedValue::to_json).collect();
        differs(format!("result {name} must be one of {}", shown(&values.join(", "))));
    }
    let Some(pattern) = &demanded.matches else { return };
    // A task inline in the object is not signed either.
    let by_task = result.type_is_claimed || !ResultType::String.is_of(result);
    if !pattern.matches(&result.value) {
        differs(format!("the whole of result {name} must match {}", pattern.as_str()));
    } else if by_task && demanded.one_of.is_none() && !typed.contains(name.as_str()) {
        broken(
            Detail::TYPE,
            format!("the whole of result {name} must match {}", pattern.as_str()),
            "only the task in the object, which nobody signs, says how its text is to be read; state its type, too".to_owned(),
            Breach::Missing,
        );
    }
}

const AS_JSON: &str = "the status holds what the text that the step wrote means as JSON, not that text";

/// A value of any length, for a message.
fn shown(json: &str) -> String {
    const MOST: usize = 200;
    match json.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &json[..end]),
        None => json.to_owned(),
    }
}

fn check_result(demanded: &DemandedResult, typed: &HashSet<&str>, proof: &Proof, broken: &mut Broken<'_>) {
    let name = &demanded.name;
    let text = format!("result {name} must be there");
    let Some(result) = proof.results.iter().find(|result| result.name == *name) else {
        return broken(Detail::RESULT, text, "it is not".to_owned(), Breach::Missing);
    };
    if result.name_is_claimed {
        let found = format!(
            "only the task in the status, which nobody signs, says that result {} of step {} is it",
            result.step_result.as_deref().unwrap_or_default(),
            result.step
        );
        return broken(Detail::RESULT, text, found, Breach::Missing);
    }
    if let Some(kind) = demanded.kind.filter(|kind| !kind.is_of(result)) {
        let found = match result.value.type_name() {
            "string" if kind == ResultType::String => AS_JSON.to_owned(),
            other => format!("it is of type {other}"),
        };
        broken(
            Detail::TYPE,
            format!("result {name} must be of type {}", kind.as_str()),
            found,
            Breach::Contradicted,
        );
    }
    check_value(demanded, typed, result, broken);
    program::check_result(demanded, result, proof, broken);
    image::check_result(demanded, result, proof, broken);
    let Some(from) = &demanded.from else { return };
    let origin = match &demanded.step_result {
        Some(step_result) => {
            format!("result {name} must be the step result {step_result} that step {from} set")
        }
        None => format!("result {name} must be the value that step {from} set"),
    };
    if proof.basis.tep0089_values().is_some() {
        return broken(
            Detail::FROM,
            origin,
            "Tekton's own signatures name no step".to_owned(),
            Breach::TooWeak,
        );
    }
    let found = if result.step != *from {
        format!("it is the value of step {}", result.step)
    } else if demanded.step_result.is_some() && demanded.step_result != result.step_result {
        match &result.step_result {
            Some(other) => format!("it is the step result {other}"),
            None => "it is not a step result".to_owned(),
        }
    } else if !result.set {
        format!("step {from} found it so")
    } else {
        return;
    };
    broken(Detail::FROM, origin, found, Breach::Contradicted);
}
