//! What is reported about a run, and what a proof rests on.

use std::{borrow::Cow, num::NonZeroUsize};

use serde::Deserialize;
use unixtime::{UnixMillis, UnixSeconds};
use x509::{Certificate, time_stamp::TimeStamp};

use crate::{
    evidence::{
        attestation::{self, SignedOutcome},
        envelope::Envelope,
        sha256,
    },
    verify::{
        compare::{
            image::AttestedImage, partial::NotCarried, program::AttestedProgram, value::VerifiedResult,
        },
        findings::Findings,
        pipeline::tree::Pipeline,
        prove::{
            chains::ChainsSignature,
            step::ProvenStep,
            tep0089::SignedValue,
            time::{StepTime, TimeProof, ToStamp},
        },
        verdict::Verdict,
    },
};

/// What a step signed, and what its certificate attests by itself.
#[derive(Debug, Clone)]
pub struct StepSummary {
    /// Name of the step.
    pub name: String,
    /// Claimed time of signing.
    pub signed_at: UnixSeconds,
    /// The certificate names this very run.
    pub run_attested: bool,
    /// The certificate names this very step.
    pub step_attested: bool,
    /// The certificate names the executable that held the key.
    pub executable_attested: bool,
    /// SHA-256 of the authority in the bundle, hexadecimal.
    pub authority: String,
    /// How the time of signing is known, with the time stamp, if there is one.
    pub time: StepTime,
    /// How it ended, as signed.
    pub outcome: SignedOutcome,
    /// Whether what it ran is under the signature.
    pub program: AttestedProgram,
    /// Whether the certificate names the image that it ran in, and that is the one in the object.
    pub image: AttestedImage,
    proven: ProvenStep,
}

impl StepSummary {
    /// UID of the pod, where it is signed.
    pub fn pod_uid(&self) -> Option<[u8; 16]> {
        self.proven.attestation.pod_uid
    }

    /// Digest of what it was given to run, if it is signed.
    pub fn program_digest(&self) -> Option<[u8; 32]> {
        self.proven.attestation.program
    }

    /// SHA-256 of the script that it ran, if that is attested.
    pub fn script_digest(&self) -> Option<[u8; 32]> {
        match self.program {
            AttestedProgram::Program { script } => script,
            AttestedProgram::NotStated | AttestedProgram::NotAttested => None,
        }
    }

    /// Start of the command.
    pub fn started(&self) -> UnixMillis {
        self.proven.attestation.started
    }

    /// Claimed time of signing.
    pub fn signed(&self) -> UnixMillis {
        self.proven.attestation.signed_at()
    }

    /// The most that the certificate attests; `None` if it names the run's identity only.
    pub fn attested_by(&self) -> Option<AttestedBy> {
        match (self.run_attested, self.step_attested, self.executable_attested) {
            (true, true, true) if self.image_attested() => Some(AttestedBy::Image),
            (true, true, true) => Some(AttestedBy::Executable),
            (true, true, false) => Some(AttestedBy::Step),
            (true, ..) => Some(AttestedBy::Run),
            _ => None,
        }
    }

    /// Whether the certificate names the image that the object says it ran in.
    pub fn image_attested(&self) -> bool {
        matches!(self.image, AttestedImage::Attested { .. })
    }

    /// The name of its entry, `SVIDENCE.<step>.sig`.
    pub fn entry(&self) -> String {
        attestation::key(&self.name)
    }

    /// Its certificate, and the issuers from the certificate's own up to the authority in the bundle.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.proven.leaf).chain(self.proven.path.issuers())
    }

    /// Name of the pod, where it is signed.
    pub fn pod_name(&self) -> Option<String> {
        self.proven.attestation.pod_name.resolve(&self.proven.attestation.task_run)
    }

    /// SHA-256 of its attestation, decoded (docs/evidence.md section 2).
    pub fn attestation_digest(&self) -> [u8; 32] {
        sha256(&self.proven.attestation.to_bytes())
    }

    /// What a TSA is to witness of it.
    pub fn to_stamp(&self) -> ToStamp {
        ToStamp::of(&self.proven)
    }

    /// What it signed, as a DSSE envelope.
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope {
            statement: &self.proven.statement,
            signature: &self.proven.attestation.signature,
            leaf: &self.proven.leaf,
            intermediates: self.proven.path.intermediates().iter().map(Certificate::der).collect(),
        }
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
    /// The rules of the policy file that speak of this TaskRun, counted from 0.
    pub rules: Vec<usize>,
    /// Why the verdict is not `verified`.
    pub findings: Findings,
    /// Things worth knowing that change nothing.
    pub notes: Vec<String>,
    /// Only with a verdict of `verified` or an accepted `weak`.
    pub proof: Option<Proof>,
    /// Its tasks and what follows from them, if it is a PipelineRun's.
    pub pipeline: Option<Box<Pipeline>>,
}

impl Report {
    /// What it is about: a TaskRun by `<namespace>/<name>`, a PipelineRun with that word before it.
    pub fn title(&self) -> Cow<'_, str> {
        match self.pipeline {
            None => Cow::Borrowed(&self.task_run),
            Some(_) => Cow::Owned(format!("PipelineRun {}", self.task_run)),
        }
    }
}

/// What a proof rests on. It cannot be made of nothing: the fields are this module's to fill, from a first one on.
#[derive(Debug, Clone)]
pub struct Basis(ProvenBy);

#[derive(Debug, Clone)]
enum ProvenBy {
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
    pub(crate) fn attestations(steps: Vec<StepSummary>) -> Option<Self> {
        let mut steps = steps.into_iter();
        let first = Box::new(steps.next()?);
        Some(Self(ProvenBy::Attestations { first, others: steps.collect() }))
    }

    pub(crate) fn tep0089(values: &[SignedValue]) -> Option<Self> {
        Some(Self(ProvenBy::Tep0089 { values: NonZeroUsize::new(values.len())? }))
    }

    /// How many values are signed in TEP-0089 form, if that is all.
    pub fn tep0089_values(&self) -> Option<NonZeroUsize> {
        match self.0 {
            ProvenBy::Attestations { .. } => None,
            ProvenBy::Tep0089 { values } => Some(values),
        }
    }

    /// The steps that signed an attestation.
    pub fn steps(&self) -> impl Iterator<Item = &StepSummary> {
        let (first, others) = match &self.0 {
            ProvenBy::Attestations { first, others } => (Some(first.as_ref()), others.as_slice()),
            ProvenBy::Tep0089 { .. } => (None, [].as_slice()),
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
    /// Whether the TaskRun failed: by its condition, or where it has none by what its steps signed.
    pub failed: bool,
    /// How the time is known.
    pub time: TimeProof,
    /// `true` if a certificate attests the run's UID; otherwise it is bound by unsigned times only.
    pub run_bound_by_certificate: bool,
    /// `true` if the object holds results without `status.steps`: outcomes, step results and artifacts could not be compared.
    pub is_partial: bool,
    /// What is signed and not in a partial object.
    pub not_carried: Vec<NotCarried>,
    /// Whether Tekton Chains signed it, too.
    pub chains: ChainsSignature,
}

impl Proof {
    /// The time stamp by which every step had signed, if each has one: the latest.
    pub fn time_stamp(&self) -> Option<TimeStamp> {
        let stamps: Option<Vec<TimeStamp>> = self.basis.steps().map(|step| step.time.stamp).collect();
        stamps?.into_iter().max_by_key(|stamp| stamp.gen_time)
    }
}

/// What a step's certificate attests, and when it says it signed.
pub(crate) fn summary(
    proven: ProvenStep,
    time: StepTime,
    (program, image): (AttestedProgram, AttestedImage),
) -> StepSummary {
    let attested = proven.attested.as_ref();
    let authority = proven.path.authority().map(|authority| authority.fingerprint().to_string());
    StepSummary {
        name: proven.name.clone(),
        signed_at: proven.signed_at,
        run_attested: attested.is_some(),
        step_attested: attested.is_some_and(|said| said.step.is_some()),
        executable_attested: attested.is_some_and(|said| said.pin.is_some()),
        authority: authority.unwrap_or_default(),
        time,
        outcome: proven.attestation.outcome,
        program,
        image,
        proven,
    }
}

/// What the certificate of every step must say by itself; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttestedBy {
    /// The UID of the run.
    Run,
    /// And the step.
    Step,
    /// And the program that held the key.
    Executable,
    /// And the image that it ran in, which is the one that the object names.
    Image,
}
