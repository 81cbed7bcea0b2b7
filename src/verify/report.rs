//! What is reported about a TaskRun, and what a proof rests on.

use std::num::NonZeroUsize;

use crate::evidence::{sha256, statement::hex};

use super::{
    partial::NotCarried,
    status::VerifiedResult,
    step::ProvenStep,
    tep0089::SignedValue,
    verdict::{Finding, Verdict},
};

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
    /// The pod's UID, if the step saw it.
    pub pod_uid: Option<[u8; 16]>,
    /// Claimed start of its command, ms since 1970.
    pub started_ms: u64,
    /// Claimed time from there to signing, ms.
    pub took_ms: u64,
    /// The certificate names this very run.
    pub run_attested: bool,
    /// The certificate names this very step.
    pub step_attested: bool,
    /// The certificate names the executable that held the key.
    pub executable_attested: bool,
    /// SHA-256 of the authority in the bundle, hexadecimal.
    pub authority: String,
}

impl StepSummary {
    /// Claimed time of signing, ms since 1970.
    pub fn signed_ms(&self) -> u64 {
        self.started_ms + self.took_ms
    }
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
    pub(super) fn attestations(steps: Vec<StepSummary>) -> Option<Basis> {
        let mut steps = steps.into_iter();
        let first = Box::new(steps.next()?);
        Some(Basis(Evidence::Attestations { first, others: steps.collect() }))
    }

    pub(super) fn tep0089(values: &[SignedValue]) -> Option<Basis> {
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
    /// `true` if the object holds results without `status.steps`: outcomes, step results and artifacts could not be compared.
    pub is_partial: bool,
    /// What is signed and not in a partial object.
    pub not_carried: Vec<NotCarried>,
}

/// What a step's certificate attests, and when it says it signed.
pub(super) fn summary(step: &ProvenStep) -> StepSummary {
    let attested = step.attested.as_ref();
    let authority = step.path.authority().map(|authority| sha256(authority.der()));
    StepSummary {
        name: step.name.clone(),
        signed_at: step.signed_at,
        pod_uid: step.attestation.pod_uid,
        started_ms: step.attestation.started,
        took_ms: step.attestation.duration + step.attestation.delay,
        run_attested: attested.is_some(),
        step_attested: attested.is_some_and(|said| said.step.is_some()),
        executable_attested: attested.is_some_and(|said| said.pin.is_some()),
        authority: authority.map(|digest| hex(&digest)).unwrap_or_default(),
    }
}
