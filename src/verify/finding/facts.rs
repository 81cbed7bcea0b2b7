//! What a finding is about, for programs.

use std::borrow::Cow;

use super::Finding;
use crate::{
    evidence::attestation,
    verify::facts::{Detail, FindingFacts, ResultName, Side},
};

impl Finding {
    /// What it is about, for programs. `detail` is there wherever one code has more than one cause.
    #[expect(clippy::too_many_lines, reason = "one arm for each finding")]
    pub fn facts(&self) -> FindingFacts<'_> {
        fn of(step: &str, detail: Detail) -> FindingFacts<'_> {
            FindingFacts { step: Some(step), detail: Some(detail), ..FindingFacts::default() }
        }
        fn text(text: &str) -> Option<Side<'_>> {
            Some(Side::Text(Cow::Borrowed(text)))
        }
        match self {
            Self::Attestation { step, error } => {
                FindingFacts { field: Some(Cow::Owned(attestation::key(step))), ..of(step, error.detail()) }
            }
            Self::Certificate { step, rule } | Self::OpenLeaf { step, rule } => of(step, rule.detail()),
            Self::Chain { step, error, .. } | Self::OpenChain { step, error } => {
                of(step, Detail::of_rule(error.code()))
            }
            Self::Signature { step, detail, .. } => of(step, *detail),
            Self::Differs { step, detail, object, evidence, .. } => {
                FindingFacts { expected: text(evidence), found: text(object), ..of(step, *detail) }
            }
            Self::Time { step, signed, detail, limit, .. } => FindingFacts {
                expected: text(limit),
                found: Some(Side::Text(Cow::Owned(signed.to_string()))),
                ..of(step, *detail)
            },
            Self::Contradiction { detail, step, .. } | Self::Undecided { detail, step, .. } => {
                FindingFacts { detail: Some(*detail), step: step.as_deref(), ..FindingFacts::default() }
            }
            Self::ResultChanged { step, changed } => FindingFacts {
                result: Some(Cow::Borrowed(&changed.result)),
                expected: changed.signed.map(Side::Digest),
                found: changed.found.map(Side::Digest),
                field: Some(Cow::Borrowed(&changed.field)),
                ..of(step, changed.detail)
            },
            Self::ResultMissing { step, thing } | Self::ResultAdded { step, thing } => FindingFacts {
                result: thing.result.as_ref().map(Cow::Borrowed),
                expected: thing.signed.map(Side::Digest),
                field: thing.field.as_deref().map(Cow::Borrowed),
                ..of(step, thing.detail)
            },
            Self::Status { field, detail, .. } => FindingFacts {
                detail: Some(*detail),
                field: Some(Cow::Borrowed(field)),
                ..FindingFacts::default()
            },
            Self::Program { step, other } => FindingFacts {
                step: Some(step),
                expected: Some(Side::Digest(other.signed)),
                found: Some(Side::Digest(other.found)),
                field: Some(Cow::Borrowed(&other.field)),
                ..FindingFacts::default()
            },
            Self::Uncovered { step } | Self::Unsigned { step, .. } => {
                FindingFacts { step: Some(step), ..FindingFacts::default() }
            }
            Self::Attempt { number, finding } => FindingFacts { attempt: Some(*number), ..finding.facts() },
            Self::Tep0089 { step, detail, result, .. } => {
                FindingFacts { result: result.as_ref().map(Cow::Borrowed), ..of(step, *detail) }
            }
            Self::Pipeline(fault) => FindingFacts {
                detail: Some(fault.detail),
                expected: fault.expected.as_deref().and_then(text),
                found: fault.found.as_deref().and_then(text),
                field: fault.field.as_deref().map(Cow::Borrowed),
                ..FindingFacts::default()
            },
            Self::Policy { detail, step, result, demanded, found, .. } => FindingFacts {
                detail: Some(*detail),
                step: step.as_deref(),
                result: result.as_deref().map(Cow::Borrowed),
                expected: text(demanded),
                found: text(found),
                ..FindingFacts::default()
            },
            Self::UnknownIssuer { step, key_id, detail } => {
                FindingFacts { expected: text(key_id), ..of(step, *detail) }
            }
            Self::NoEvidence { detail, .. } => {
                FindingFacts { detail: Some(*detail), ..FindingFacts::default() }
            }
            Self::Demanded(name) => {
                FindingFacts { result: Some(Cow::Owned(ResultName::task(name))), ..FindingFacts::default() }
            }
            Self::NoTaskRun { demanded, result } => FindingFacts {
                result: Some(Cow::Owned(ResultName::task(result))),
                expected: text(demanded),
                ..FindingFacts::default()
            },
            Self::OtherValue { result, demanded, found, .. } => FindingFacts {
                result: Some(Cow::Owned(ResultName::task(result))),
                expected: text(demanded),
                found: text(found),
                ..FindingFacts::default()
            },
            Self::OnlyTep0089 => FindingFacts::default(),
            Self::CreationNotCarried { step } => of(step, Detail::NO_CREATION_TIME),
            Self::NotCarried { step, result } => FindingFacts {
                step: Some(step),
                result: Some(Cow::Borrowed(result)),
                ..FindingFacts::default()
            },
            Self::TimeUnproven { step, at, not_before, not_after, .. } => {
                let (detail, expected) = match at < not_before {
                    true => (Detail::NOT_YET_VALID, *not_before),
                    false => (Detail::EXPIRED, *not_after),
                };
                FindingFacts {
                    expected: Some(Side::Text(Cow::Owned(expected.to_string()))),
                    found: Some(Side::Text(Cow::Owned(at.to_string()))),
                    ..of(step, detail)
                }
            }
        }
    }
}
