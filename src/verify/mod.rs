//! Verification (design section 7): is what a TaskRun's status says really what its steps produced in that run?
//!
//! [`verify`] reads like the list of stages: collect the evidence, prove each step, bind the steps to one run, derive what
//! the status must be, compare, look at the time. Nothing in the evidence is trusted for being in the evidence.

mod artifacts;
mod chain;
mod collect;
mod declared;
mod json;
mod message;
mod outcomes;
mod partial;
mod report;
mod retries;
mod run;
mod signature;
pub mod source;
mod status;
mod step;
pub mod taskrun;
mod tep0089;
mod verdict;

use crate::{
    evidence::attestation::{Attestation, UNSIGNED},
    workload::{bundle::X509Bundle, certificate::Certificate},
};

use collect::{EvidenceKind, StepEvidence};
use step::ProvenStep;
use taskrun::{TaskRun, format_time, parse_time};

pub use partial::{Item, NotCarried};
pub use report::{Basis, Proof, Report, StepSummary, TimeProof};
pub use status::VerifiedResult;
pub use verdict::{Finding, Verdict};

/// What the operator trusts, and when.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The authorities of the operator's trust domain.
    pub bundle: X509Bundle,
    /// Intermediates that evidence may have left out; they are not trusted by themselves.
    pub intermediates: Vec<Certificate>,
    /// Now, Unix seconds.
    pub now: i64,
    /// A time that the operator asserts for the check, Unix seconds.
    pub at: Option<i64>,
    /// How far clocks may be apart, seconds.
    pub clock_skew: i64,
}

impl Trust {
    fn spiffe_id(&self, namespace: &str, task_run: &str) -> String {
        format!("spiffe://{}/ns/{namespace}/taskrun/{task_run}", self.bundle.trust_domain())
    }

    /// The asserted time, else a claimed one, else now.
    fn check_time_or(&self, claimed: Option<i64>) -> i64 {
        self.at.or(claimed).unwrap_or(self.now)
    }
}

/// What the operator accepts and demands.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Accept TaskRuns that hold only TEP-0089 evidence.
    pub accept_tep0089: bool,
    /// Accept certificates that have expired, with no proof of the time of signing.
    pub accept_unproven_time: bool,
    /// Results that must be there.
    pub demanded: Vec<String>,
}

/// Verifies one TaskRun.
pub fn verify(object: &TaskRun, trust: &Trust, policy: &Policy) -> Report {
    let mut notes = Vec::new();
    let outcome = evidence(object, trust, &mut notes);
    let current = outcome.as_ref().ok().map(|(proof, _)| &proof.basis);
    let earlier = retries::judge(object, current, trust, |attempt| evidence(attempt, trust, &mut Vec::new()));
    notes.extend(earlier.notes);
    let (proof, weaknesses) = match outcome {
        Ok(found) if earlier.findings.is_empty() => found,
        outcome => {
            let mut findings = outcome.err().unwrap_or_default();
            findings.extend(earlier.findings);
            return conclude(object, findings, notes, None, false);
        }
    };
    let missing: Vec<Finding> = policy
        .demanded
        .iter()
        .filter(|name| !proof.results.iter().any(|result| result.has_name(name)))
        .map(|name| Finding::Demanded(name.clone()))
        .collect();
    let accepted = weaknesses.iter().all(|finding| match finding {
        Finding::OnlyTep0089 => policy.accept_tep0089,
        Finding::TimeUnproven { .. } => policy.accept_unproven_time,
        _ => false,
    });
    let mut findings = missing;
    findings.extend(weaknesses);
    conclude(object, findings, notes, Some(proof), accepted)
}

/// What one attempt's evidence proves.
fn evidence(object: &TaskRun, trust: &Trust, notes: &mut Vec<String>) -> Result<Found, Vec<Finding>> {
    finished(object)?;
    let steps = collect::collect(object)?;
    match collect::kind(object, &steps) {
        EvidenceKind::Attestation => attested(object, &steps, trust, notes),
        EvidenceKind::Tep0089 => weakly_signed(object, &steps, trust, notes),
        EvidenceKind::None => Err(vec![Finding::NoEvidence {
            reason: "no step signed anything: it did not run under svidence with signing enabled, or its evidence was \
                     removed"
                .to_owned(),
        }]),
    }
}

/// The worst finding decides; a proof is handed out only if nothing but an accepted weakness stands against it.
fn conclude(
    object: &TaskRun,
    findings: Vec<Finding>,
    notes: Vec<String>,
    proof: Option<Proof>,
    accepted: bool,
) -> Report {
    let worst = findings.iter().map(Finding::verdict).max();
    let verdict = match (worst, &proof) {
        (Some(worst), _) => worst,
        (None, Some(_)) => Verdict::Verified,
        (None, None) => Verdict::Unchecked,
    };
    let good = verdict == Verdict::Verified || (verdict == Verdict::Weak && accepted);
    Report {
        task_run: format!("{}/{}", object.metadata.namespace, object.metadata.name),
        uid: object.metadata.uid.clone(),
        verdict,
        accepted: good,
        findings,
        notes,
        proof: proof.filter(|_| good),
    }
}

/// Results are there only once the TaskRun is done.
fn finished(object: &TaskRun) -> Result<(), Vec<Finding>> {
    match object.succeeded() {
        Some("True" | "False") => Ok(()),
        // An archive of results alone: there are none before the end, and each step signs how it ended.
        None if object.is_partial() && object.status.conditions.is_empty() => Ok(()),
        _ => Err(vec![Finding::NoEvidence { reason: "the TaskRun has not finished".to_owned() }]),
    }
}

type Found = (Proof, Vec<Finding>);

/// A TaskRun with attestations.
fn attested(
    object: &TaskRun,
    steps: &[StepEvidence],
    trust: &Trust,
    notes: &mut Vec<String>,
) -> Result<Found, Vec<Finding>> {
    let attestations = read_attestations(steps)?;
    let mut findings = Vec::new();
    let mut proven = Vec::new();
    for (evidence, attestation) in attestations {
        match step::prove(object, evidence, attestation, trust) {
            Ok(step) => {
                findings.extend(step::compare_entries(&step, evidence));
                proven.push(step);
            }
            Err(reasons) => findings.extend(reasons),
        }
    }
    if object.is_partial() {
        proven.sort_by_key(|step| step.attestation.step_index);
    }
    if findings.is_empty() {
        findings.extend(run::one_run(object, &proven, trust));
        findings.extend(match object.is_partial() {
            true => run::coverage_without_steps(object, &proven),
            false => run::coverage(object, steps, &proven),
        });
        for evidence in steps {
            let step = proven.iter().find(|step| step.name == evidence.name);
            findings
                .extend(step.map(|step| tep0089::verify_beside(step, &proven, evidence)).unwrap_or_default());
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let compared = status::compare(object, steps, &proven)?;
    notes.extend(compared.notes);
    if object.is_partial() {
        notes.push(partial::note(&compared.not_carried));
    }
    let (time, weaknesses) = time_proof(&proven, trust);
    if object.succeeded() == Some("False") {
        notes.push("the TaskRun failed; what is verified is what its steps produced before that".to_owned());
    }
    let run_bound_by_certificate = proven.iter().all(|step| step.attested.is_some());
    let basis =
        Basis::attestations(proven.iter().map(report::summary).collect()).ok_or_else(nothing_checked)?;
    let proof = Proof {
        basis,
        results: compared.results,
        time,
        run_bound_by_certificate,
        is_partial: object.is_partial(),
        not_carried: compared.not_carried,
    };
    Ok((proof, weaknesses))
}

fn nothing_checked() -> Vec<Finding> {
    vec![Finding::NoEvidence { reason: "there was nothing to check".to_owned() }]
}

/// Every step's attestation, parsed. An `unsigned: …` in its place is nobody's evidence.
fn read_attestations(steps: &[StepEvidence]) -> Result<Vec<(&StepEvidence, Attestation)>, Vec<Finding>> {
    let mut attestations = Vec::new();
    let mut findings = Vec::new();
    for evidence in steps {
        let Some(value) = &evidence.attestation else { continue };
        if let Some(reason) = value.strip_prefix(UNSIGNED) {
            let (step, reason) = (evidence.name.clone(), reason.to_owned());
            findings.push(Finding::Unsigned { step, reason });
            continue;
        }
        match Attestation::from_value(value) {
            Ok(attestation) => attestations.push((evidence, attestation)),
            Err(error) => findings.push(Finding::Attestation { step: evidence.name.clone(), error }),
        }
    }
    if findings.is_empty() && attestations.is_empty() {
        let reason =
            "it has an entry with a name reserved for attestations, but no step of the status owns one";
        findings.push(Finding::NoEvidence { reason: reason.to_owned() });
    }
    if findings.is_empty() { Ok(attestations) } else { Err(findings) }
}

/// Valid now, valid at the asserted time, or not proven.
fn time_proof(proven: &[ProvenStep], trust: &Trust) -> (TimeProof, Vec<Finding>) {
    let at = trust.at.unwrap_or(trust.now);
    let lower = at + trust.clock_skew;
    let mut weaknesses = Vec::new();
    for step in proven {
        let leaf_valid = step.leaf.not_before() <= lower && at <= step.leaf.not_after();
        if !leaf_valid || !(step.path.valid_at(at) || step.path.valid_at(lower)) {
            let not_after = step.path.not_after().unwrap_or(i64::MAX).min(step.leaf.not_after());
            weaknesses.push(Finding::TimeUnproven {
                step: step.name.clone(),
                at: trust.at.map_or("now".to_owned(), format_time),
                not_before: format_time(step.leaf.not_before()),
                not_after: format_time(not_after),
            });
        }
    }
    match (weaknesses.is_empty(), trust.at) {
        (true, None) => (TimeProof::ValidNow, weaknesses),
        (true, Some(at)) => (TimeProof::Asserted(at), weaknesses),
        (false, _) => (TimeProof::Unproven, weaknesses),
    }
}

/// A TaskRun with TEP-0089 entries only.
fn weakly_signed(
    object: &TaskRun,
    steps: &[StepEvidence],
    trust: &Trust,
    notes: &mut Vec<String>,
) -> Result<Found, Vec<Finding>> {
    let signed = tep0089::verify(object, steps, trust)?;
    let mut results = Vec::new();
    for result in &object.status.results {
        let Some(last) = signed.iter().rfind(|signed| signed.name == result.name) else {
            if !tep0089::is_evidence_key(&result.name) {
                notes.push(format!("result {} has no signature; it is left out", result.name));
            }
            continue;
        };
        let declared = object.declared_result(&result.name).map(|declared| declared.declared_type());
        let expected = status::decode_as(&last.raw, declared);
        if result.decoded().as_ref() != Some(&expected) {
            let reason = format!(
                "result {} in status.results is not the one that step {} signed",
                result.name, last.step
            );
            return Err(vec![Finding::Tep0089 { reason }]);
        }
        results.push(VerifiedResult {
            name: result.name.clone(),
            value: expected,
            step: last.step.clone(),
            step_result: None,
            set: false,
            name_is_claimed: false,
            type_is_claimed: true,
        });
    }
    if let Some(lost) = signed.iter().find(|signed| results.iter().all(|result| result.name != signed.name)) {
        let reason =
            format!("result {} that step {} signed is missing in status.results", lost.name, lost.step);
        return Err(vec![Finding::Tep0089 { reason }]);
    }
    let completed = object.status.completion_time.as_deref().and_then(parse_time);
    let time = match trust.at {
        Some(_) => TimeProof::Asserted(trust.check_time_or(completed)),
        None => TimeProof::Unproven,
    };
    let basis = Basis::tep0089(&signed).ok_or_else(nothing_checked)?;
    let proof = Proof {
        basis,
        results,
        time,
        run_bound_by_certificate: false,
        is_partial: object.is_partial(),
        not_carried: Vec::new(),
    };
    Ok((proof, vec![Finding::OnlyTep0089]))
}
