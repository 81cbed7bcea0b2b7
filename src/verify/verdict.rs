//! Verdicts and the findings that lead to them.

use x509::{CertificateError, Class, text::hex};

use super::facts::{Detail, ResultName};
use crate::{
    evidence::leaf::LeafError,
    workload::{id::AttestedNameError, svid_rules::SvidRule},
};

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
            Self::Verified => 0,
            Self::Invalid => 1,
            Self::Absent => 2,
            Self::Unchecked => 3,
            Self::Weak => 4,
        }
    }

    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Weak => "weak",
            Self::Absent => "absent",
            Self::Unchecked => "unchecked",
            Self::Invalid => "invalid",
        }
    }
}

impl From<Class> for Verdict {
    fn from(class: Class) -> Self {
        match class {
            Class::Contradicts => Self::Invalid,
            Class::Unchecked => Self::Unchecked,
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
    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Self::Missing => Verdict::Absent,
            Self::Undecided => Verdict::Unchecked,
            Self::TooWeak => Verdict::Weak,
            Self::Contradicted => Verdict::Invalid,
        }
    }
}

/// Why the certificate in an attestation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafRule {
    /// A rule for certificates.
    #[error(transparent)]
    Certificate(#[from] SvidRule),
    /// The same for an intermediate that the attestation carries.
    #[error("intermediate: {0}")]
    Intermediate(CertificateError),
    /// Its compact form cannot be read.
    #[error(transparent)]
    Compact(#[from] LeafError),
    /// Its DNS names that speak of the run.
    #[error(transparent)]
    DnsNames(#[from] AttestedNameError),
    /// Its DNS name cannot be rebuilt.
    #[error("it has a DNS name with the run's UID, which is not carried")]
    UidNotCarried,
    /// Attestation and certificate name different runs.
    #[error("the run's UID in the attestation is not the one its certificate attests")]
    UidNotAttested,
}

impl From<CertificateError> for LeafRule {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error.into())
    }
}

impl LeafRule {
    /// The exact rule.
    pub fn detail(&self) -> Detail {
        match self {
            Self::Certificate(rule) => Detail::of_rule(rule.code()),
            Self::Intermediate(error) => Detail::of_rule(error.code()),
            Self::Compact(_) => Detail::COMPACT_LEAF,
            Self::DnsNames(_) => Detail::DNS_NAMES,
            Self::UidNotCarried => Detail::UID_NOT_CARRIED,
            Self::UidNotAttested => Detail::UID_NOT_ATTESTED,
        }
    }
}

/// Something that was added, or is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// For people, such as `task/digest in status.results`.
    pub text: String,
    /// Where it is, or should be: which kind of thing it is.
    pub detail: Detail,
    /// The result, if it is one.
    pub result: Option<ResultName>,
    /// SHA-256 of what is signed, if it is missing.
    pub signed: Option<[u8; 32]>,
    /// Path in the object, if it is known.
    pub field: Option<String>,
}

impl Thing {
    /// Something with nothing more to say of it.
    pub(crate) fn new(detail: Detail, text: String) -> Box<Self> {
        Box::new(Self { text, detail, result: None, signed: None, field: None })
    }

    pub(crate) fn with_result(mut self: Box<Self>, result: ResultName) -> Box<Self> {
        self.result = Some(result);
        self
    }

    pub(crate) fn with_signed(mut self: Box<Self>, signed: [u8; 32]) -> Box<Self> {
        self.signed = Some(signed);
        self
    }

    pub(crate) fn in_field(mut self: Box<Self>, field: String) -> Box<Self> {
        self.field = Some(field);
        self
    }
}

/// A result that is not the one that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedResult {
    /// The result.
    pub result: ResultName,
    /// Where it was changed.
    pub detail: Detail,
    /// SHA-256 of the signed value, if it is carried.
    pub signed: Option<[u8; 32]>,
    /// SHA-256 of what is there.
    pub found: Option<[u8; 32]>,
    /// Path in the object.
    pub field: String,
}

impl std::fmt::Display for ChangedResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "result {}", self.result)?;
        match self.detail {
            Detail::IN_STATUS_RESULTS => f.write_str(" in status.results")?,
            Detail::IN_STEP_RESULTS => f.write_str(" in the status")?,
            _ => {}
        }
        f.write_str(" was changed")?;
        match (self.signed, self.found) {
            (Some(signed), Some(found)) => {
                write!(f, ": SHA-256 {} is signed, {} is there", hex(&signed), hex(&found))
            }
            _ => Ok(()),
        }
    }
}

/// A step's program that is not the one that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherProgram {
    /// The digest that is signed.
    pub signed: [u8; 32],
    /// That of what the object says.
    pub found: [u8; 32],
    /// Path of the step in the object.
    pub field: String,
}

/// A step result in the status that its step did not sign.
pub(crate) fn unsigned_step_result(name: &str) -> Box<Thing> {
    Thing::new(Detail::IN_STEP_RESULTS, format!("the step result {name} in the status"))
        .with_result(ResultName::step(name))
}

/// What is wrong with a PipelineRun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineFault {
    /// For people.
    pub problem: String,
    /// The same for programs.
    pub detail: Detail,
    /// Path in the PipelineRun, or in the child that it begins with.
    pub field: Option<String>,
    /// What follows from attested results, as JSON.
    pub expected: Option<String>,
    /// What is there, as JSON.
    pub found: Option<String>,
    /// What it leads to.
    pub verdict: Verdict,
}
