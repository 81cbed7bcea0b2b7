//! Verdicts and the findings that lead to them.

use crate::evidence::attestation::AttestationError;

/// The answer for one TaskRun, and for several: the worst wins, so the order of the variants is from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All results are covered by a good attestation; identity, run and time as expected.
    Verified,
    /// Only TEP-0089 evidence, or the time is not proven.
    Weak,
    /// No evidence, or a demanded result is not there.
    Absent,
    /// It could not be decided.
    Unchecked,
    /// Something contradicts the evidence.
    Invalid,
}

impl Verdict {
    /// The exit code of `svidence verify`.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Verified => 0,
            Verdict::Invalid => 1,
            Verdict::Absent => 2,
            Verdict::Unchecked => 3,
            Verdict::Weak => 4,
        }
    }

    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Verified => "verified",
            Verdict::Weak => "weak",
            Verdict::Absent => "absent",
            Verdict::Unchecked => "unchecked",
            Verdict::Invalid => "invalid",
        }
    }
}

/// How a TaskRun breaks a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// Something that must be there is not.
    Missing,
    /// The policy says nothing about it, or may no longer be used.
    Undecided,
    /// Evidence or time is weaker than demanded. What the command line accepts does not change that.
    TooWeak,
    /// What is proven is not what is demanded.
    Contradicted,
}

impl Breach {
    /// The verdict that it leads to.
    fn verdict(self) -> Verdict {
        match self {
            Breach::Missing => Verdict::Absent,
            Breach::Undecided => Verdict::Unchecked,
            Breach::TooWeak => Verdict::Weak,
            Breach::Contradicted => Verdict::Invalid,
        }
    }
}

/// Why a verdict is not `verified`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    // --- invalid ---
    /// The value of an attestation entry is no attestation.
    #[error("step {step}: the attestation cannot be read: {error}")]
    Attestation {
        /// Step of the entry.
        step: String,
        /// What is wrong with it.
        error: AttestationError,
    },
    /// Its leaf is no certificate, or breaks a rule of the X509-SVID standard.
    #[error("step {step}: the certificate in the attestation is not acceptable: {reason}")]
    Certificate {
        /// Step of the entry.
        step: String,
        /// The rule.
        reason: String,
    },
    /// The signature does not fit.
    #[error("step {step}: the signature does not fit {what}")]
    Signature {
        /// Step of the entry.
        step: String,
        /// What was signed, as far as it is known.
        what: &'static str,
    },
    /// The chain does not lead to the bundle under the rules.
    #[error("step {step}: the certificate does not lead to the bundle of {trust_domain}: {reason}")]
    Chain {
        /// Step of the entry.
        step: String,
        /// The operator's trust domain.
        trust_domain: String,
        /// What the path validation says.
        reason: String,
    },
    /// Attestation and object speak of different things.
    #[error("step {step}: {what} is {object} in the TaskRun, but the evidence says {evidence}")]
    Differs {
        /// Step of the entry.
        step: String,
        /// What differs.
        what: &'static str,
        /// What the object says.
        object: String,
        /// What is signed.
        evidence: String,
    },
    /// A claimed time lies outside of what is possible.
    #[error("step {step}: it says it was signed at {signed}, which is {relation}")]
    Time {
        /// Step of the entry.
        step: String,
        /// RFC 3339.
        signed: String,
        /// For example "before the TaskRun was created (…)".
        relation: String,
    },
    /// Steps that should speak of one thing do not.
    #[error("the steps contradict each other: {what}")]
    Contradiction {
        /// What, with both sides.
        what: String,
    },
    /// A result is not the one that was signed.
    #[error("step {step}: result {result} was changed")]
    ResultChanged {
        /// Step of the entry.
        step: String,
        /// `task/<name>` or `step/<name>`.
        result: String,
    },
    /// A covered result is not there.
    #[error("step {step}: result {result} is missing")]
    ResultMissing {
        /// Step of the entry.
        step: String,
        /// `task/<name>`, `step/<name>`, or a hint.
        result: String,
    },
    /// A result that nobody signed.
    #[error("step {step}: {result} was added: no signature covers it")]
    ResultAdded {
        /// Step of the entry.
        step: String,
        /// Its kind and name.
        result: String,
    },
    /// The status does not follow from what was signed.
    #[error("{field}: {problem}")]
    Status {
        /// Path in the object.
        field: String,
        /// What is wrong with it.
        problem: String,
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
        finding: Box<Finding>,
    },
    /// A TEP-0089 entry is wrong.
    #[error("TEP-0089 evidence: {reason}")]
    Tep0089 {
        /// Which entry and why.
        reason: String,
    },
    // --- by its breach ---
    /// A demand of the policy file is not met.
    #[error("policy, {rule}: {demanded}, but {found}")]
    Policy {
        /// Number and name of the rule, or "as a whole".
        rule: String,
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
    },
    /// What is there does not suffice to decide.
    #[error("{reason}")]
    Undecided {
        /// What failed, why, and what to do.
        reason: String,
    },
    // --- absent ---
    /// Nothing that could be verified.
    #[error("{reason}")]
    NoEvidence {
        /// Why there is none.
        reason: String,
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
        /// `task/<name>`.
        result: String,
    },
    /// The certificates were valid then, but nothing proves when "then" was.
    #[error(
        "step {step}: its certificates are valid from {not_before} to {not_after} and not at the time of the check ({at}); \
         when it signed is not proven{stamps} (give a time stamp with --timestamps, state a time you vouch for with --at, or accept it with --accept unproven-time)"
    )]
    TimeUnproven {
        /// Step of the entry.
        step: String,
        /// "now", or the time that was stated, RFC 3339.
        at: String,
        /// RFC 3339.
        not_before: String,
        /// RFC 3339.
        not_after: String,
        /// Why the time stamps there are do not help, each beginning with a semicolon.
        stamps: String,
    },
}

impl Finding {
    /// The verdict that this finding leads to; never `Verified`.
    pub fn verdict(&self) -> Verdict {
        match self {
            Finding::Policy { breach, .. } => breach.verdict(),
            Finding::UnknownIssuer { .. } | Finding::Undecided { .. } => Verdict::Unchecked,
            Finding::NoEvidence { .. } | Finding::Unsigned { .. } | Finding::Demanded(_) => Verdict::Absent,
            Finding::OnlyTep0089 | Finding::NotCarried { .. } | Finding::TimeUnproven { .. } => Verdict::Weak,
            _ => Verdict::Invalid,
        }
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Finding::Attestation { .. } => "attestation",
            Finding::Certificate { .. } => "certificate",
            Finding::Signature { .. } => "signature",
            Finding::Chain { .. } => "chain",
            Finding::Differs { .. } => "differs",
            Finding::Time { .. } => "time",
            Finding::Contradiction { .. } => "contradiction",
            Finding::ResultChanged { .. } => "result-changed",
            Finding::ResultMissing { .. } => "result-missing",
            Finding::ResultAdded { .. } => "result-added",
            Finding::Status { .. } => "status",
            Finding::Uncovered { .. } => "uncovered",
            Finding::Attempt { .. } => "attempt",
            Finding::Tep0089 { .. } => "tep-0089",
            Finding::Policy { .. } => "policy",
            Finding::UnknownIssuer { .. } => "unknown-issuer",
            Finding::Undecided { .. } => "undecided",
            Finding::NoEvidence { .. } => "no-evidence",
            Finding::Unsigned { .. } => "unsigned",
            Finding::Demanded(_) => "demanded",
            Finding::OnlyTep0089 => "only-tep-0089",
            Finding::NotCarried { .. } => "not-carried",
            Finding::TimeUnproven { .. } => "time-unproven",
        }
    }
}
