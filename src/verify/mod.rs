//! Verification (docs/architecture.md 3.2): is what a TaskRun's status says really what its steps produced in that run?
//!
//! [`verify`] reads like the list of stages: collect the evidence, prove each step, bind the steps to one run, derive what
//! the status must be, compare, look at the time. Nothing in the evidence is trusted for being in the evidence.

mod bind;
mod by_name;
mod cache;
mod collect;
mod compare;
mod demand;
pub(crate) mod facts;
mod finding;
mod findings;
pub mod inspect;
pub mod pipeline;
pub mod policy;
mod proof;
pub mod prove;
mod trust;
mod verdict;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use unixtime::UnixSeconds;

pub use compare::{
    image::AttestedImage,
    partial::{NotCarried, NotCarriedItem},
    program::AttestedProgram,
    value::VerifiedResult,
};
pub use demand::{Demand, DemandError};
pub use facts::{Detail, FindingFacts, ResultName, Side};
pub use finding::Finding;
pub use findings::{Findings, KEPT, More};
pub use policy::{PolicyFile, Rule};
pub use proof::{AttestedBy, Basis, Proof, Report, StepSummary};
pub use prove::{
    chains::{
        ChainsSignature,
        key::{ChainsKeyError, ChainsKeys},
    },
    time::TimeProof,
};
pub use trust::Trust;
pub use verdict::{Breach, ChangedResult, LeafRule, OtherProgram, PipelineFault, Thing, Verdict};

use self::{
    bind::{
        attempt::Attempt,
        coverage,
        declared_task::{self, DeclaredTask},
        retries, run,
    },
    cache::Caches,
    collect::{EvidenceKind, StepEvidence},
    compare::{message, partial, status, weak},
    prove::{
        chains,
        step::{self, ProvenStep},
        tep0089,
        time::{self, TimeStamps},
    },
};

use crate::{
    evidence::{
        attestation::{Attestation, UNSIGNED},
        statement::uuid,
    },
    tekton::{
        chains::ChainsFormat,
        taskrun::{RunEnd, StatusResult, TaskRun},
    },
    workload::chain,
};

/// What the operator accepts and demands.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Accept TaskRuns that hold only TEP-0089 evidence.
    pub accept_tep0089: bool,
    /// Accept certificates that have expired, with no proof of the time of signing.
    pub accept_unproven_time: bool,
    /// Accept objects without `status.steps` that lack signed results.
    pub accept_not_carried: bool,
    /// Results that must be there.
    pub demanded: Vec<Demand>,
    /// Whether every run must have succeeded.
    pub success: bool,
    /// Keys that are trusted to be Tekton Chains'.
    pub chains_keys: ChainsKeys,
    /// Time-stamp authorities whose word on the time of signing counts, and their tokens.
    pub time_stamps: TimeStamps,
    /// The policy file, if there is one. It can only demand more than the fields above.
    pub file: Option<PolicyFile>,
}

impl Policy {
    /// What is said of a run that failed where all must have succeeded; `None`: it is not known whether it did.
    fn unsuccessful(&self, failed: Option<bool>) -> Option<Finding> {
        let (found, breach) = match failed {
            Some(false) => return None,
            Some(true) => ("it failed", Breach::Contradicted),
            None => ("its attestation does not say whether it did", Breach::TooWeak),
        };
        self.success.then(|| Finding::Policy {
            rule: "--require-success".to_owned(),
            detail: Detail::FAILURES,
            step: None,
            result: None,
            demanded: "the run must have succeeded".to_owned(),
            found: found.to_owned(),
            breach,
        })
    }
}

/// The attestations among results. What they say is a claim: nothing of it is checked.
fn attestations(results: &[StatusResult]) -> impl Iterator<Item = Attestation> {
    let values = results.iter().filter_map(|result| result.value.as_str());
    values.filter_map(|value| Attestation::from_value(value).ok())
}

/// Namespace and name of the TaskRun that the first attestation among results claims to be of.
pub(crate) fn claimed_run(results: &[StatusResult]) -> Option<(String, String)> {
    let attestation = attestations(results).next()?;
    Some((attestation.namespace, attestation.task_run))
}

/// Verifies one TaskRun. For many, [`Verifier`] is faster.
pub fn verify(task_run: &TaskRun, trust: &Trust, policy: &Policy) -> Report {
    judge(task_run, trust, policy, &mut Caches::default())
}

/// Verifies TaskRuns one after another, and does not do twice what is the same for several: certificates are read, rebuilt
/// and led to the bundle once while they are met again soon. Signatures over evidence are checked each time.
#[derive(Debug)]
pub struct Verifier<'a> {
    trust: &'a Trust,
    policy: &'a Policy,
    caches: Caches,
}

impl<'a> Verifier<'a> {
    /// A verifier that remembers nothing yet.
    pub fn new(trust: &'a Trust, policy: &'a Policy) -> Self {
        Verifier { trust, policy, caches: Caches::default() }
    }

    /// Verifies one TaskRun, with the same report as [`verify`] gives.
    pub fn verify(&mut self, task_run: &TaskRun) -> Report {
        judge(task_run, self.trust, self.policy, &mut self.caches)
    }
}

/// With the UID that its evidence claims, where an attestation of Chains carries none: every step that has one must have the same, and
/// its certificate must attest it.
fn with_claimed_uid(task_run: &TaskRun) -> Cow<'_, TaskRun> {
    let lacks_uid = task_run.is_from_results_of_chains() && task_run.metadata.uid.is_empty();
    let mut claims = lacks_uid.then(|| attestations(&task_run.status.results)).into_iter().flatten();
    let Some(uid) = claims.find_map(|attestation| attestation.task_run_uid) else {
        return Cow::Borrowed(task_run);
    };
    let mut task_run = task_run.clone();
    task_run.metadata.uid = uuid(&uid);
    Cow::Owned(task_run)
}

fn judge(task_run: &TaskRun, trust: &Trust, policy: &Policy, caches: &mut Caches) -> Report {
    let task_run = &*with_claimed_uid(task_run);
    let mut notes = Vec::new();
    let rules = policy.file.as_ref().map(|file| file.select(task_run)).unwrap_or_default();
    let undecided = policy.file.as_ref().and_then(|file| file.undecided(task_run, &rules, trust));
    let trust = &*trust_for(trust, policy, &rules);
    let inline = task_run.spec.task_spec.as_ref().map(|spec| DeclaredTask::new(declared_task::INLINE, spec));
    let against = Against { trust, time_stamps: &policy.time_stamps, inline: inline.as_ref() };
    let outcome = match retries::last_never_ran(task_run) {
        Some(finding) => Err(finding.into()),
        None => prove_attempt(task_run, &against, caches, &mut notes),
    };
    let chains = chains::check(task_run, &policy.chains_keys, caches);
    notes.extend(from_attestation(task_run, &chains));
    let current = outcome.as_ref().ok().map(|(proof, _)| &proof.basis);
    let earlier = retries::judge(task_run, current, trust, |attempt| {
        prove_attempt(attempt, &against, caches, &mut Vec::new())
    });
    notes.extend(earlier.notes);
    let (mut proof, weaknesses) = match outcome {
        Ok(found) if earlier.findings.is_empty() => found,
        outcome => {
            let mut findings = outcome.err().unwrap_or_default();
            findings.append(earlier.findings);
            findings.extend(chains.err());
            findings.extend(undecided);
            return Report { rules, ..conclude(task_run, findings, notes, None, false) };
        }
    };
    let unsigned = match chains {
        Ok(chains) => {
            proof.chains = chains;
            None
        }
        Err(finding) => Some(finding),
    };
    let broken = policy.file.as_ref().map(|file| file.judge(task_run, &rules, &mut proof, trust));
    let mut findings = find_missing(task_run, policy, &proof);
    findings.append(weaknesses);
    findings.extend(unsigned);
    findings.extend(undecided);
    findings.append(broken.unwrap_or_default());
    findings.extend(policy.unsuccessful(Some(proof.failed)));
    let accepted = findings.iter().all(|finding| match finding {
        Finding::OnlyTep0089 => policy.accept_tep0089,
        Finding::NotCarried { .. } | Finding::CreationNotCarried { .. } => policy.accept_not_carried,
        Finding::TimeUnproven { .. } => policy.accept_unproven_time,
        _ => false,
    });
    Report { rules, ..conclude(task_run, findings, notes, Some(proof), accepted) }
}

/// From which of Chains' formats an object is, and whether Chains signed that.
fn from_attestation(task_run: &TaskRun, chains: &Result<ChainsSignature, Finding>) -> Option<String> {
    let origin = task_run.chains.as_ref()?;
    let signature = chains.as_ref().map(|chains| format!("; {chains}")).unwrap_or_default();
    let lacks = match origin.format {
        ChainsFormat::PipelineRunDeep => "; TaskRuns without results do not show in that",
        _ => "",
    };
    let unnamed = match origin.is_of_unnamed {
        true => {
            "; the PipelineRun that it is of is not judged, since nothing names it (say --pipelinerun NAME)"
        }
        false => "",
    };
    Some(format!("it is from Chains' attestation in the format {}{signature}{lacks}{unnamed}", origin.format))
}

/// What is trusted for a TaskRun that these rules of the policy speak of.
fn trust_for<'a>(trust: &'a Trust, policy: &Policy, rules: &[usize]) -> Cow<'a, Trust> {
    let named = policy.file.as_ref().map(|file| file.authorities_without_uri(rules)).unwrap_or_default();
    if named.is_empty() {
        return Cow::Borrowed(trust);
    }
    let named = trust.bundle.without_uri().iter().copied().chain(named);
    let bundle = trust.bundle.clone().naming_without_uri(named);
    Cow::Owned(Trust { bundle, ..trust.clone() })
}

/// That a CA was believed because the operator named who minted it.
fn vouched<'a>(trust: &Trust, paths: impl Iterator<Item = &'a chain::Path>) -> Vec<String> {
    let named: BTreeMap<_, _> =
        paths.filter_map(chain::Path::vouched).map(|named| (named.fingerprint(), named.label())).collect();
    let note = |(fingerprint, label)| {
        format!(
            "the CA of its steps carries no SPIFFE ID; that {label} ({fingerprint}) has CAs of {} alone is what you vouch for",
            trust.bundle.trust_domain()
        )
    };
    named.into_iter().map(note).collect()
}

/// Demanded results that are not among the verified ones, or have another value.
fn find_missing(task_run: &TaskRun, policy: &Policy, proof: &Proof) -> Findings {
    if policy.demanded.is_empty() {
        return Findings::default();
    }
    // Of several with one name the first.
    let named = proof.results.iter().rev().filter(|result| !result.name_is_claimed);
    let by_name: HashMap<&str, &VerifiedResult> =
        named.map(|result| (result.name.as_str(), result)).collect();
    let demanded = policy.demanded.iter().filter(|demand| demand.is_of(task_run));
    let missing = demanded.filter_map(|demand| match by_name.get(demand.name.as_str()) {
        None => Some(Finding::Demanded(demand.name.clone())),
        Some(result) if demand.accepts(result) => None,
        Some(result) => Some(Finding::OtherValue {
            result: demand.name.clone(),
            demanded: demand.value_beside(&result.value),
            found: result.value.canonical_json(),
            read_as: Demand::read_as(result),
        }),
    });
    missing.collect()
}

/// What every attempt of a TaskRun is held against.
struct Against<'a> {
    trust: &'a Trust,
    time_stamps: &'a TimeStamps,
    /// What `spec.taskSpec` declares, which all attempts have in common.
    inline: Option<&'a DeclaredTask<'a>>,
}

/// What one attempt's evidence proves.
fn prove_attempt(
    task_run: &TaskRun,
    against: &Against<'_>,
    caches: &mut Caches,
    notes: &mut Vec<String>,
) -> Result<Found, Findings> {
    check_finished(task_run)?;
    let steps = collect::collect(task_run)?;
    match collect::kind(task_run, &steps) {
        EvidenceKind::Attestation => prove_attested(task_run, &steps, against, caches, notes),
        EvidenceKind::Tep0089 => prove_weakly_signed(task_run, &steps, against, notes),
        EvidenceKind::None => Err(Finding::no_evidence(
            Detail::NOTHING_SIGNED,
            "no step signed anything: it did not run under svidence with signing enabled, or its evidence was removed",
        )
        .into()),
    }
}

/// The worst finding decides; a proof is handed out only if nothing but an accepted weakness stands against it.
fn conclude(
    task_run: &TaskRun,
    findings: Findings,
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
        task_run: format!("{}/{}", task_run.metadata.namespace, task_run.metadata.name),
        uid: task_run.metadata.uid.clone(),
        verdict,
        accepted: good,
        rules: Vec::new(),
        findings,
        notes,
        proof: proof.filter(|_| good),
        pipeline: None,
    }
}

/// Results are there only once the TaskRun is done.
fn check_finished(task_run: &TaskRun) -> Result<(), Findings> {
    let unfinished = |reason: &str| Err(Finding::no_evidence(Detail::UNFINISHED, reason).into());
    match task_run.end() {
        RunEnd::Ended => Ok(()),
        RunEnd::Running => unfinished("the TaskRun has not finished"),
        RunEnd::NotStarted => {
            unfinished("it has not started: its status is empty; verify it when it has finished")
        }
        RunEnd::Contradictory => {
            let reason =
                "status.conditions holds Succeeded more than once, and readers differ in which one they take";
            Err(Finding::undecided(Detail::REPEATED_CONDITION, None, reason).into())
        }
    }
}

type Found = (Proof, Findings);

/// A TaskRun with attestations.
fn prove_attested(
    task_run: &TaskRun,
    steps: &[StepEvidence<'_>],
    against: &Against<'_>,
    caches: &mut Caches,
    notes: &mut Vec<String>,
) -> Result<Found, Findings> {
    let attestations = read_attestations(steps)?;
    let trust = against.trust;
    let mut findings = Findings::default();
    let mut proven = Vec::with_capacity(attestations.len());
    for (place, attestation) in attestations {
        match step::prove(task_run, (place, &steps[place]), attestation, trust, caches) {
            Ok(step) => {
                findings.append(message::compare_entries(&step, &steps[place]));
                proven.push(step);
            }
            Err(reasons) => findings.append(reasons),
        }
    }
    if task_run.is_partial() {
        proven.sort_by_key(|step| step.attestation.step_index);
    }
    let in_status =
        task_run.status.task_spec.as_ref().map(|spec| DeclaredTask::new(declared_task::IN_STATUS, spec));
    let attempt = Attempt::new(task_run, steps, &proven, [against.inline, in_status.as_ref()]);
    if findings.is_empty() {
        findings.append(run::check_one_run(&attempt, trust));
        findings.append(match task_run.is_partial() {
            true => coverage::check_coverage_without_steps(&attempt),
            false => coverage::check_coverage(&attempt),
        });
        for step in &proven {
            findings.append(compare::tep0089::verify_beside(&attempt, step));
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let compared = status::compare(&attempt)?;
    notes.extend(compared.notes);
    if task_run.is_partial() {
        notes.push(partial::note(task_run, &proven, &compared.not_carried));
    }
    notes.extend(vouched(trust, proven.iter().map(|step| &step.path)));
    let times = time::prove_times(task_run, &proven, trust, against.time_stamps, notes)?;
    let failure = find_failure(task_run, &proven);
    let failed = failure.is_some();
    notes.extend(failure);
    let run_bound_by_certificate = proven.iter().all(|step| step.attested.is_some());
    let attested = compared.programs.into_iter().zip(compared.images);
    let summaries = proven.into_iter().zip(times.steps).zip(attested);
    let summaries = summaries.map(|((step, time), attested)| proof::summary(step, time, attested)).collect();
    let basis = Basis::attestations(summaries).ok_or_else(nothing_checked)?;
    let proof = Proof {
        basis,
        failed,
        results: compared.results,
        time: times.weakest,
        run_bound_by_certificate,
        is_partial: task_run.is_partial(),
        not_carried: compared.not_carried,
        chains: ChainsSignature::default(),
    };
    let mut weaknesses = partial::weaknesses(&proof.not_carried);
    weaknesses.append(times.weaknesses);
    Ok((proof, weaknesses))
}

/// That the TaskRun failed, by its condition, or where it has none by what its steps signed.
fn find_failure(task_run: &TaskRun, proven: &[ProvenStep]) -> Option<String> {
    let before = "what is verified is what its steps produced before that";
    match task_run.succeeded() {
        Some("False") => Some(format!("the TaskRun failed; {before}")),
        Some(_) => None,
        None => {
            let failed = proven.iter().find(|step| !step.attestation.outcome.lets_others_run())?;
            Some(format!("the TaskRun failed, as step {} signed; {before}", failed.name))
        }
    }
}

fn nothing_checked() -> Findings {
    Finding::no_evidence(Detail::NOTHING_CHECKED, "there was nothing to check").into()
}

/// Every step's attestation, parsed, with the place of the step. An `unsigned: …` in its place is nobody's evidence.
fn read_attestations(steps: &[StepEvidence<'_>]) -> Result<Vec<(usize, Attestation)>, Findings> {
    let mut attestations = Vec::with_capacity(steps.len());
    let mut findings = Findings::default();
    for (place, evidence) in steps.iter().enumerate() {
        let Some(value) = &evidence.attestation else { continue };
        if let Some(reason) = value.strip_prefix(UNSIGNED) {
            let (step, reason) = (evidence.name.to_owned(), reason.to_owned());
            findings.push(Finding::Unsigned { step, reason });
            continue;
        }
        match Attestation::from_value(value) {
            Ok(attestation) => attestations.push((place, attestation)),
            Err(error) => findings.push(Finding::attestation(evidence.name, error)),
        }
    }
    if findings.is_empty() && attestations.is_empty() {
        let reason =
            "it has an entry with a name reserved for attestations, but no step of the status owns one";
        findings.push(Finding::no_evidence(Detail::NO_OWNER, reason));
    }
    if findings.is_empty() { Ok(attestations) } else { Err(findings) }
}

/// A TaskRun with TEP-0089 entries only.
fn prove_weakly_signed(
    task_run: &TaskRun,
    steps: &[StepEvidence<'_>],
    against: &Against<'_>,
    notes: &mut Vec<String>,
) -> Result<Found, Findings> {
    let trust = against.trust;
    let signed = tep0089::verify(task_run, steps, trust)?;
    let in_status =
        task_run.status.task_spec.as_ref().map(|spec| DeclaredTask::new(declared_task::IN_STATUS, spec));
    let attempt = Attempt::new(task_run, steps, &[], [against.inline, in_status.as_ref()]);
    let results = weak::compare(&attempt, &signed, notes)?;
    let completed = task_run.status.completion_time.as_deref().and_then(UnixSeconds::parse);
    let time = match trust.at {
        Some(_) => TimeProof::Asserted(trust.check_time_or(completed)),
        None => TimeProof::Unproven,
    };
    let basis = Basis::tep0089(&signed).ok_or_else(nothing_checked)?;
    let proof = Proof {
        basis,
        failed: task_run.succeeded() == Some("False"),
        results,
        time,
        run_bound_by_certificate: false,
        is_partial: task_run.is_partial(),
        not_carried: Vec::new(),
        chains: ChainsSignature::default(),
    };
    Ok((proof, Finding::OnlyTep0089.into()))
}
