//! What is known when a step is signed: what it did, and who signs.

use std::time::{Duration, SystemTime};

use crate::{
    evidence::attestation::DECLARED,
    step::{outcome::Outcome, output::collect::CollectedResults, signing::position::StepPosition},
    tekton::termination::{Encoding, Entry},
    workload::{bundle::X509Bundle, id::Attested, svid::X509Svid},
};

/// What the step did.
pub struct Produced<'a> {
    /// The results that are handed over.
    pub results: &'a CollectedResults,
    /// How the message is written.
    pub encoding: Encoding,
    /// The step's artifact file.
    pub step_artifacts: Option<&'a [u8]>,
    /// The task's artifact file.
    pub task_artifacts: Option<&'a [u8]>,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// When its program started.
    pub started: SystemTime,
    /// How long that ran.
    pub duration: Duration,
    /// The time of signing.
    pub now: SystemTime,
    /// The entries that will surround the evidence.
    pub others: &'a [Entry],
}

/// Who signs, and what is known about the step from outside of it.
pub(crate) struct SigningFacts<'a> {
    pub(crate) svid: &'a X509Svid,
    pub(crate) bundle: &'a X509Bundle,
    pub(crate) attested: Option<Attested>,
    pub(crate) position: &'a StepPosition,
    pub(crate) declared: [u8; DECLARED],
    pub(crate) program: Option<[u8; 32]>,
    /// All names in `-results` and `-step_results`.
    pub(crate) declared_names: &'a [String],
    pub(crate) pod_name: Option<&'a str>,
    pub(crate) pod_uid: Option<[u8; 16]>,
}
