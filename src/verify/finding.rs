//! What speaks against a TaskRun, and what is odd about it: a variant each, with its facts.

mod facts;

use unixtime::UnixSeconds;
use x509::Class;

use super::{
    facts::{Detail, ResultName},
    verdict::{Breach, ChangedResult, LeafRule, OtherProgram, PipelineFault, Thing, Verdict},
};
use crate::{
    evidence::attestation::AttestationError,
    workload::{chain::PathError, class::class_of},
};

/// Why a verdict is not `verified`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    // --- invalid ---
    /// The value of an attestation entry is not an attestation.
    #[error("step {step}: the attestation cannot be read: {error}")]
    Attestation {
        /// Step of the entry.
        step: String,
        /// What is wrong with it.
        error: AttestationError,
    },
    /// Its leaf is not a certificate, or breaks a rule of the X509-SVID standard.
    #[error("step {step}: the certificate in the attestation is not acceptable: {rule}")]
    Certificate {
        /// Step of the entry.
        step: String,
        /// The rule.
        rule: LeafRule,
    },
    /// The signature does not match.
    #[error("step {step}: the signature does not match {what}")]
    Signature {
        /// Step of the entry.
        step: String,
        /// What was signed, as far as it is known.
        what: &'static str,
        /// The same for programs.
        detail: Detail,
    },
    /// The chain does not lead to the bundle under the rules.
    #[error("step {step}: the certificate does not lead to the bundle of {trust_domain}: {error}")]
    Chain {
        /// Step of the entry.
        step: String,
        /// The operator's trust domain.
        trust_domain: String,
        /// What the path validation says.
        error: Box<PathError>,
    },
    /// Attestation and object speak of different things.
    #[error("step {step}: {what} is {object} in the TaskRun, but the evidence says {evidence}")]
    Differs {
        /// Step of the entry.
        step: String,
        /// What differs.
        what: &'static str,
        /// The same for programs.
        detail: Detail,
        /// What the object says.
        object: String,
        /// What is signed.
        evidence: String,
    },
    /// A claimed time lies outside of what is possible.
    #[error("step {step}: it says it was signed at {}, which is {relation}", signed.to_string())]
    Time {
        /// Step of the entry.
        step: String,
        /// When it says that.
        signed: UnixSeconds,
        /// For example "before the TaskRun was created (…)".
        relation: String,
        /// The same for programs.
        detail: Detail,
        /// The time that it is compared with, RFC 3339.
        limit: String,
    },
    /// Steps that should speak of one thing do not.
    #[error("the steps contradict each other: {what}")]
    Contradiction {
        /// What, with both sides.
        what: String,
        /// The same for programs.
        detail: Detail,
        /// The later one of two steps.
        step: Option<String>,
    },
    /// A result is not the one that was signed.
    #[error("step {step}: {changed}")]
    ResultChanged {
        /// Step of the entry.
        step: String,
        /// Which result, and where.
        changed: Box<ChangedResult>,
    },
    /// A covered result is not there.
    #[error("step {step}: result {} is missing", thing.text)]
    ResultMissing {
        /// Step of the entry.
        step: String,
        /// The result, or a hint.
        thing: Box<Thing>,
    },
    /// A result that nobody signed.
    #[error("step {step}: {} was added: no signature covers it", thing.text)]
    ResultAdded {
        /// Step of the entry.
        step: String,
        /// The result or entry.
        thing: Box<Thing>,
    },
    /// The status does not follow from what was signed.
    #[error("{field}: {problem}")]
    Status {
        /// Path in the object.
        field: String,
        /// What is wrong with it.
        problem: String,
        /// The same for programs.
        detail: Detail,
    },
    /// The task in the status is not what a step was given to run.
    #[error("step {step}: {} is not what the step was given to run (script or command, arguments, onError, timeout, when)", other.field)]
    Program {
        /// Step of the entry.
        step: String,
        /// Both sides.
        other: Box<OtherProgram>,
    },
    /// A step has no evidence of its own although others have.
    #[error("step {step} has no attestation, although it must have run or been skipped by a signed decision")]
    Uncovered {
        /// Name of the step.
        step: String,
    },
    /// Something contradicts the evidence of an earlier attempt.
    #[error("attempt {number} (status.retriesStatus[{number}]): {finding}")]
    Attempt {
        /// Number of the attempt, from 0.
        number: usize,
        /// What.
        finding: Box<Self>,
    },
    /// A TEP-0089 entry is wrong.
    #[error("TEP-0089 evidence: step {step}: {reason}")]
    Tep0089 {
        /// Step of the entry.
        step: String,
        /// Which entry and why.
        reason: String,
        /// The same for programs.
        detail: Detail,
        /// The result, if it is about one.
        result: Option<ResultName>,
    },
    /// A demanded result has another value.
    #[error("the demanded result {result:?} must be {demanded}, but it is {found}{read_as}")]
    OtherValue {
        /// Its name.
        result: String,
        /// As it was demanded.
        demanded: String,
        /// As JSON.
        found: String,
        /// How it came to be that, if it is not simply what its step wrote.
        read_as: &'static str,
    },
    // --- by its fault ---
    /// A PipelineRun does not follow from its TaskRuns.
    #[error("{}", .0.problem)]
    Pipeline(Box<PipelineFault>),
    // --- by its breach ---
    /// A demand of the policy file is not met.
    #[error("policy, {rule}: {demanded}, but {found}")]
    Policy {
        /// Number and name of the rule, or "as a whole".
        rule: String,
        /// Which kind of demand.
        detail: Detail,
        /// The step, if it is about what one did.
        step: Option<String>,
        /// The result, if it is about one.
        result: Option<Box<ResultName>>,
        /// What it demands.
        demanded: String,
        /// What there is.
        found: String,
        /// What that means.
        breach: Breach,
    },
    // --- unchecked ---
    /// No certificate with this key ID is known.
    #[error(
        "step {step}: an issuer of its certificate (key ID {key_id}) is neither in the bundle nor carried; \
         give the intermediate with --intermediates, or the bundle of that time with --bundle"
    )]
    UnknownIssuer {
        /// Step of the entry.
        step: String,
        /// Hexadecimal, or its first bytes and an ellipsis.
        key_id: String,
        /// Of which certificate it is the issuer.
        detail: Detail,
    },
    /// What its leaf is worth cannot be checked here.
    #[error("step {step}: the certificate in the attestation cannot be checked: {rule}")]
    OpenLeaf {
        /// Step of the entry.
        step: String,
        /// What is not supported.
        rule: LeafRule,
    },
    /// A path to the bundle was not found, and none was excluded.
    #[error("step {step}: {error}")]
    OpenChain {
        /// Step of the entry.
        step: String,
        /// What the path validation says.
        error: Box<PathError>,
    },
    /// What is there does not suffice to decide.
    #[error("{reason}")]
    Undecided {
        /// What failed, why, and what to do.
        reason: String,
        /// The same for programs.
        detail: Detail,
        /// The step that it is about, if it is about one.
        step: Option<String>,
    },
    // --- absent ---
    /// Nothing that could be verified.
    #[error("{reason}")]
    NoEvidence {
        /// Why there is none.
        reason: String,
        /// The same for programs.
        detail: Detail,
    },
    /// A step says that it could not sign.
    #[error("step {step} could not sign; it claims this reason: {reason}")]
    Unsigned {
        /// Name of the step.
        step: String,
        /// As claimed.
        reason: String,
    },
    /// A result that was demanded is not among the verified ones.
    #[error("the demanded result {0:?} is not there")]
    Demanded(String),
    /// A TaskRun that was demanded is not among those that were verified or accepted.
    #[error("{demanded} is demanded, and no TaskRun of that name is among those that were verified")]
    NoTaskRun {
        /// As it was demanded.
        demanded: String,
        /// The name of the result.
        result: String,
    },
    // --- weak ---
    /// Only Tekton's own form.
    #[error(
        "only TEP-0089 evidence: it proves neither names nor run nor step nor time of a result \
         (accept it with --accept tep-0089)"
    )]
    OnlyTep0089,
    /// A signed result is not in an object that holds no `status.steps`: left out by whoever made it, or dropped.
    #[error(
        "step {step}: {result} is signed, but not in this partial object, which holds no status.steps (get the whole object, \
         or accept it with --accept not-carried)"
    )]
    NotCarried {
        /// The step that signed it.
        step: String,
        /// The result.
        result: ResultName,
    },
    /// An attestation of Tekton Chains does not say when the TaskRun was created.
    #[error(
        "step {step}: Chains' attestation does not say when the TaskRun was created, and no certificate attests its UID, so that it is \
         not an older run of the same name rests on its start alone (accept it with --accept not-carried)"
    )]
    CreationNotCarried {
        /// The step that signed.
        step: String,
    },
    /// The certificates were valid then, but nothing proves when "then" was.
    #[error(
        "step {step}: its certificates are valid from {} to {} and not at the time of the check ({}); \
         when it signed is not proven{} (give a time stamp with --timestamps, state a time you vouch for with --at, or accept it with --accept unproven-time)",
        not_before.to_string(), not_after.to_string(), if *is_now { "now".to_owned() } else { at.to_string() },
        stamps.iter().map(|reason| format!("; a time stamp does not help: {reason}")).collect::<String>()
    )]
    TimeUnproven {
        /// Step of the entry.
        step: String,
        /// The time of the check.
        at: UnixSeconds,
        /// Whether that is now, and not a time that was stated.
        is_now: bool,
        /// Its first second.
        not_before: UnixSeconds,
        /// Its last second.
        not_after: UnixSeconds,
        /// Why the time stamps there are do not help.
        stamps: Vec<String>,
    },
}

impl Finding {
    /// The verdict that this finding leads to; never `Verified`.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Policy { breach, .. } => breach.verdict(),
            Self::Pipeline(fault) => fault.verdict,
            Self::UnknownIssuer { .. }
            | Self::OpenChain { .. }
            | Self::OpenLeaf { .. }
            | Self::Undecided { .. } => Verdict::Unchecked,
            Self::NoEvidence { .. } | Self::Unsigned { .. } | Self::Demanded(_) | Self::NoTaskRun { .. } => {
                Verdict::Absent
            }
            Self::OnlyTep0089
            | Self::NotCarried { .. }
            | Self::CreationNotCarried { .. }
            | Self::TimeUnproven { .. } => Verdict::Weak,
            _ => Verdict::Invalid,
        }
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Attestation { .. } => "attestation",
            Self::Certificate { .. } => "certificate",
            Self::Signature { .. } => "signature",
            Self::Chain { .. } => "chain",
            Self::Differs { .. } => "differs",
            Self::Time { .. } => "time",
            Self::Contradiction { .. } => "contradiction",
            Self::ResultChanged { .. } => "result-changed",
            Self::ResultMissing { .. } => "result-missing",
            Self::ResultAdded { .. } => "result-added",
            Self::Status { .. } => "status",
            Self::Program { .. } => "program",
            Self::Uncovered { .. } => "uncovered",
            Self::Attempt { .. } => "attempt",
            Self::Tep0089 { .. } => "tep-0089",
            Self::Policy { .. } => "policy",
            Self::Pipeline(_) => "pipeline",
            Self::UnknownIssuer { .. } => "unknown-issuer",
            Self::Undecided { .. } | Self::OpenChain { .. } | Self::OpenLeaf { .. } => "undecided",
            Self::NoEvidence { .. } => "no-evidence",
            Self::Unsigned { .. } => "unsigned",
            Self::Demanded(_) | Self::NoTaskRun { .. } => "demanded",
            Self::OtherValue { .. } => "other-value",
            Self::OnlyTep0089 => "only-tep-0089",
            Self::NotCarried { .. } | Self::CreationNotCarried { .. } => "not-carried",
            Self::TimeUnproven { .. } => "time-unproven",
        }
    }

    /// An entry that is not an attestation, or one of a version that takes another svidence.
    pub(crate) fn attestation(step: &str, error: AttestationError) -> Self {
        let detail = error.detail();
        match class_of(detail.as_str()) {
            Class::Contradicts => Self::Attestation { step: step.to_owned(), error },
            Class::Unchecked => {
                let reason = format!("step {step}: the attestation cannot be read: {error}");
                Self::undecided(detail, Some(step), reason)
            }
        }
    }

    /// A certificate that breaks a rule: it contradicts, or cannot be checked here.
    pub(crate) fn certificate(step: &str, rule: LeafRule) -> Self {
        let step = step.to_owned();
        let class = match &rule {
            LeafRule::Certificate(rule) => rule.class(),
            LeafRule::Intermediate(error) => error.class(),
            _ => Class::Contradicts,
        };
        match class {
            Class::Unchecked => Self::OpenLeaf { step, rule },
            Class::Contradicts => Self::Certificate { step, rule },
        }
    }

    /// A field of the object that is not as its controller writes it.
    pub(crate) fn status(field: String, detail: Detail, problem: String) -> Self {
        Self::Status { field, problem, detail }
    }

    /// Something that is not known well enough to decide.
    pub(crate) fn undecided(detail: Detail, step: Option<&str>, reason: impl Into<String>) -> Self {
        Self::Undecided { reason: reason.into(), detail, step: step.map(str::to_owned) }
    }

    /// Nothing that could be verified.
    pub(crate) fn no_evidence(detail: Detail, reason: impl Into<String>) -> Self {
        Self::NoEvidence { reason: reason.into(), detail }
    }
}

/// `what` differs: for people, and for programs.
pub(crate) fn differs(step: &str, what: (&'static str, Detail), object: &str, evidence: &str) -> Finding {
    let ((what, detail), object, evidence) = (what, shortened(object), shortened(evidence));
    Finding::Differs { step: step.to_owned(), what, detail, object, evidence }
}

/// A text of the object as it is shown: no name of Kubernetes is longer, and every step may have a finding with it.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 253;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
