//! Verification (design section 7): is what a TaskRun's status says really what its steps produced in that run?
//!
//! [`verify`] reads like the list of stages: collect the evidence, prove each step, bind the steps to one run, derive what
//! the status must be, compare, look at the time. Nothing in the evidence is trusted for being in the evidence.

mod artifacts;
mod chain;
mod collect;
mod json;
mod message;
mod signature;
pub mod source;
mod status;
mod step;
pub mod taskrun;
mod tep0089;
mod verdict;

use std::num::NonZeroUsize;

use crate::{
    evidence::{
        attestation::{Attestation, UNSIGNED},
        statement,
        value::ResultValue,
    },
    workload::{bundle::X509Bundle, certificate::Certificate, select::pod_names_match},
};

use collect::{EvidenceKind, StepEvidence};
use step::ProvenStep;
use taskrun::{TaskRun, format_time, parse_time};

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

/// How the time of signing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeProof {
    /// Every certificate is valid now.
    ValidNow,
    /// Every certificate was valid at a time that the operator asserted.
    Asserted(i64),
    /// Accepted without proof.
    Unproven,
}

/// What the certificate of a step attests by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSummary {
    /// Name of the step.
    pub name: String,
    /// Claimed time of signing, Unix seconds.
    pub signed_at: i64,
    /// The certificate names this very run.
    pub run_attested: bool,
    /// The certificate names this very step.
    pub step_attested: bool,
    /// The certificate names the executable that held the key.
    pub executable_attested: bool,
    /// SHA-256 of the authority in the bundle, hexadecimal.
    pub authority: String,
}

/// What was found out about one TaskRun.
#[derive(Debug, Clone)]
pub struct Report {
    /// `<namespace>/<name>`.
    pub task_run: String,
    /// UID of the object, as it says.
    pub uid: String,
    /// The verdict, after what the policy accepts.
    pub verdict: Verdict,
    /// Whether the policy accepted a weak verdict.
    pub accepted: bool,
    /// Why the verdict is not `verified`.
    pub findings: Vec<Finding>,
    /// Things worth knowing that change nothing.
    pub notes: Vec<String>,
    /// Only with a verdict of `verified` or an accepted `weak`.
    pub proof: Option<Proof>,
}

/// What a proof rests on. It cannot be made of nothing: the fields are this module's to fill, from a first one on.
#[derive(Debug, Clone)]
pub struct Basis(Evidence);

#[derive(Debug, Clone)]
enum Evidence {
    Attestations {
        first: Box<StepSummary>,
        others: Vec<StepSummary>,
    },
    /// So many values whose TEP-0089 signatures fit.
    Tep0089 {
        values: NonZeroUsize,
    },
}

impl Basis {
    fn attestations(steps: Vec<StepSummary>) -> Option<Basis> {
        let mut steps = steps.into_iter();
        let first = Box::new(steps.next()?);
        Some(Basis(Evidence::Attestations { first, others: steps.collect() }))
    }

    fn tep0089(values: &[tep0089::SignedValue]) -> Option<Basis> {
        Some(Basis(Evidence::Tep0089 { values: NonZeroUsize::new(values.len())? }))
    }

    /// How many values are signed in TEP-0089 form, if that is all.
    pub fn tep0089_values(&self) -> Option<NonZeroUsize> {
        match self.0 {
            Evidence::Attestations { .. } => None,
            Evidence::Tep0089 { values } => Some(values),
        }
    }

    /// The steps that signed an attestation.
    pub fn steps(&self) -> impl Iterator<Item = &StepSummary> {
        let (first, others) = match &self.0 {
            Evidence::Attestations { first, others } => (Some(first.as_ref()), others.as_slice()),
            Evidence::Tep0089 { .. } => (None, [].as_slice()),
        };
        first.into_iter().chain(others)
    }
}

/// What was verified.
#[derive(Debug, Clone)]
pub struct Proof {
    /// What it rests on.
    pub basis: Basis,
    /// The results that may be relied on.
    pub results: Vec<VerifiedResult>,
    /// How the time is known.
    pub time: TimeProof,
    /// `true` if a certificate attests the run's UID; otherwise it is bound by unsigned times only.
    pub run_bound_by_certificate: bool,
}

/// Verifies one TaskRun.
pub fn verify(object: &TaskRun, trust: &Trust, policy: &Policy) -> Report {
    let mut notes = Vec::new();
    let outcome = finished(object)
        .and_then(|()| collect::collect(object))
        .and_then(|steps| match collect::kind(object, &steps) {
            EvidenceKind::Attestation => attested(object, &steps, trust, &mut notes),
            EvidenceKind::Tep0089 => weakly_signed(object, &steps, trust, &mut notes),
            EvidenceKind::None => Err(vec![Finding::NoEvidence {
                reason: "no step signed anything: it did not run under svidence with signing enabled, or its evidence was \
                         removed"
                    .to_owned(),
            }]),
        });
    let (proof, weaknesses) = match outcome {
        Ok(found) => found,
        Err(findings) => return report(object, findings, notes, None, false),
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
    report(object, findings, notes, Some(proof), accepted)
}

/// The worst finding decides; a proof is handed out only if nothing but an accepted weakness stands against it.
fn report(
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
    if findings.is_empty() {
        findings.extend(one_run(object, &proven, trust));
        findings.extend(coverage(object, steps, &proven));
        for evidence in steps {
            let step = proven.iter().find(|step| step.name == evidence.name);
            findings
                .extend(step.map(|step| tep0089::verify_beside(step, &proven, evidence)).unwrap_or_default());
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let (results, hidden) = status::compare(object, steps, &proven)?;
    notes.extend(hidden);
    let (time, weaknesses) = time_proof(&proven, trust);
    if object.succeeded() == Some("False") {
        notes.push("the TaskRun failed; what is verified is what its steps produced before that".to_owned());
    }
    let run_bound_by_certificate = proven.iter().all(|step| step.attested.is_some());
    let basis = Basis::attestations(proven.iter().map(summary).collect()).ok_or_else(nothing_checked)?;
    Ok((Proof { basis, results, time, run_bound_by_certificate }, weaknesses))
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

/// All steps speak of one pod, one attempt, one number of steps, and each of its own place.
fn one_run(object: &TaskRun, proven: &[ProvenStep], trust: &Trust) -> Vec<Finding> {
    let mut findings = Vec::new();
    let skew = 1000 * u64::try_from(trust.clock_skew).unwrap_or_default();
    let Some(first) = proven.first() else { return findings };
    let pod_of = |step: &ProvenStep| step.attestation.pod_name.resolve(&step.attestation.task_run);
    for step in proven {
        for (what, here, there) in [
            ("the pod's UID", uid(step), uid(first)),
            ("the pod's name", pod_of(step), pod_of(first)),
            (
                "the number of steps",
                Some(step.attestation.step_count.to_string()),
                Some(first.attestation.step_count.to_string()),
            ),
        ] {
            if here != there {
                let (here, there) = (here.unwrap_or("not known".into()), there.unwrap_or("not known".into()));
                findings.push(Finding::Contradiction {
                    what: format!(
                        "{what} is {there} in step {} and {here} in step {}",
                        first.name, step.name
                    ),
                });
            }
        }
        // One pod has one clock, and a step starts when the one before it has signed.
        let follows = first_after(proven, step)
            .is_none_or(|next| next.attestation.started + skew >= step.attestation.signed_at());
        if !follows {
            findings.push(Finding::Contradiction {
                what: format!("step {} signed after the next signed step had started", step.name),
            });
        }
        let position = object.status.steps.iter().position(|state| state.name == step.name);
        if position != usize::try_from(step.attestation.step_index).ok() {
            let place = position.map_or("nowhere".to_owned(), |position| position.to_string());
            findings.push(step::differs(
                &step.name,
                "the step's position",
                &place,
                &step.attestation.step_index.to_string(),
            ));
        }
    }
    let count = object.status.steps.len();
    if usize::try_from(first.attestation.step_count).ok() != Some(count) {
        let signed = first.attestation.step_count.to_string();
        findings.push(step::differs(&first.name, "the number of steps", &count.to_string(), &signed));
    }
    if let Some(pod) = pod_of(first) {
        if !object.status.pod_name.is_empty() && object.status.pod_name != pod {
            findings.push(step::differs(&first.name, "status.podName", &object.status.pod_name, &pod));
        }
        let attempt = pod_names_match(&object.metadata.name, &pod);
        let attempts = object.status.retries_status.len();
        if attempt.and_then(|attempt| usize::try_from(attempt).ok()) != Some(attempts) {
            let signed = format!("pod {pod}");
            findings.push(step::differs(&first.name, "the attempt", &format!("number {attempts}"), &signed));
        }
    }
    findings
}

fn first_after<'a>(proven: &'a [ProvenStep], step: &ProvenStep) -> Option<&'a ProvenStep> {
    let later = proven.iter().filter(|other| other.attestation.step_index > step.attestation.step_index);
    later.min_by_key(|other| other.attestation.step_index)
}

fn uid(step: &ProvenStep) -> Option<String> {
    step.attestation.pod_uid.as_ref().map(statement::uuid)
}

/// Every step has evidence of its own, but for those after a step that signed a failure without `continue`.
fn coverage(object: &TaskRun, steps: &[StepEvidence], proven: &[ProvenStep]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut others_run = true;
    let failed = object.succeeded() == Some("False");
    for evidence in steps {
        match proven.iter().find(|step| step.name == evidence.name) {
            Some(step) if others_run => others_run = step.attestation.outcome.lets_others_run(),
            Some(_) => findings.push(Finding::Contradiction {
                what: format!("step {} signed although an earlier step had signed a failure", evidence.name),
            }),
            // A cancelled or timed-out TaskRun's pod is deleted: its steps end without a word.
            None if others_run && failed && evidence.entries.is_none() => {
                let step = &evidence.name;
                let reason =
                    format!("step {step} was ended before it could sign, or its evidence was removed");
                findings.push(Finding::NoEvidence { reason });
                others_run = false;
            }
            None if others_run => findings.push(Finding::Uncovered { step: evidence.name.clone() }),
            None => {
                let ended = object.status.steps.iter().find(|state| state.name == evidence.name);
                let exit_code = ended.and_then(|state| state.terminated.as_ref()).map(|end| end.exit_code);
                if exit_code == Some(0) {
                    let skipped = "that it was skipped, as an earlier step failed";
                    findings.push(step::differs(&evidence.name, "the exit code", "0", skipped));
                }
                // It was skipped: nothing it could have produced is signed, so nothing may be there.
                let entries = evidence.entries.iter().flatten();
                findings.extend(entries.map(|entry| Finding::ResultAdded {
                    step: evidence.name.clone(),
                    result: format!("the entry {}", entry.key),
                }));
                let state = object.status.steps.iter().find(|state| state.name == evidence.name);
                findings.extend(state.iter().flat_map(|state| &state.results).map(|result| {
                    Finding::ResultAdded {
                        step: evidence.name.clone(),
                        result: format!("the step result {} in the status", result.name),
                    }
                }));
            }
        }
    }
    findings
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

fn summary(step: &ProvenStep) -> StepSummary {
    let attested = step.attested.as_ref();
    let authority = step.path.authority().map(|authority| crate::evidence::sha256(authority.der()));
    StepSummary {
        name: step.name.clone(),
        signed_at: step.signed_at,
        run_attested: attested.is_some(),
        step_attested: attested.is_some_and(|said| said.step.is_some()),
        executable_attested: attested.is_some_and(|said| said.pin.is_some()),
        authority: authority.map(|digest| statement::hex(&digest)).unwrap_or_default(),
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
        let expected = match declared {
            Some("string") => ResultValue::String(last.raw.clone()),
            _ => crate::evidence::value::decode(&last.raw),
        };
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
            claimed: true,
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
    let proof = Proof { basis, results, time, run_bound_by_certificate: false };
    Ok((proof, vec![Finding::OnlyTep0089]))
}
