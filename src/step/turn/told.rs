//! What others are told of how a step ended: verifiers by evidence in its message, the other steps by files.

use crate::{
    evidence::attestation::UNSIGNED,
    step::{
        output::message::Message,
        turn::post::{PostError, PreparedExitCode, PreparedPost},
    },
    tekton::termination::Entry,
};

/// What is signed, or why nothing is.
#[derive(Default)]
pub struct Evidence {
    /// Entries of the TEP-0089 form.
    pub tep0089: Vec<Entry>,
    /// The attestation's entry, or the reason in its place.
    pub attestation: Vec<Entry>,
}

impl Evidence {
    /// True if any of it is a signature.
    pub fn is_signed(&self) -> bool {
        self.attestation.iter().any(|entry| !entry.value.starts_with(UNSIGNED)) || !self.tep0089.is_empty()
    }

    /// The whole message.
    pub fn among(&self, message: &Message) -> Vec<Entry> {
        message.with_evidence(&self.tep0089, &self.attestation).unwrap_or_else(|_| message.entries())
    }

    /// The reason in its place: how the step ends is not what was signed.
    pub fn taken_back(&self, error: &PostError) -> Self {
        let in_place = |entry: &Entry| {
            let value = match entry.value.starts_with(UNSIGNED) {
                true => entry.value.clone(),
                false => format!("{UNSIGNED}how the step ended could not be told: {error}"),
            };
            Entry::new(&entry.key, value, entry.kind)
        };
        Self { tep0089: Vec::new(), attestation: self.attestation.iter().map(in_place).collect() }
    }
}

/// What tells the other steps, not published yet.
#[derive(Default)]
pub struct Prepared {
    /// `exitCode`, if there is to be one.
    pub exit_code: Option<PreparedExitCode>,
    /// The post file.
    pub post: Option<PreparedPost>,
}

/// What others learn of the step besides its results.
#[derive(Default)]
pub struct ToldOfStep {
    /// In the message.
    pub evidence: Evidence,
    /// As files.
    pub prepared: Prepared,
}
