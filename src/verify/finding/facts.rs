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

#[cfg(test)]
mod tests {
    use unixtime::UnixSeconds;

    use super::*;
    use crate::verify::verdict::{Breach, ChangedResult, OtherProgram, Thing};

    fn task(name: &str) -> Option<Cow<'static, ResultName>> {
        Some(Cow::Owned(ResultName::task(name)))
    }

    fn text(text: &'static str) -> Option<Side<'static>> {
        Some(Side::Text(Cow::Borrowed(text)))
    }

    fn digest(byte: u8) -> Option<Side<'static>> {
        Some(Side::Digest([byte; 32]))
    }

    fn field(path: &'static str) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(path))
    }

    /// Findings of results, values and programs: what is signed or demanded, and what is there.
    fn of_values() -> Vec<(Finding, FindingFacts<'static>)> {
        let of =
            |step, detail| FindingFacts { step: Some(step), detail: Some(detail), ..FindingFacts::default() };
        let changed = ChangedResult {
            result: ResultName::task("a"),
            detail: Detail::IN_MESSAGE,
            signed: Some([1; 32]),
            found: Some([2; 32]),
            field: "status.steps[0]".into(),
        };
        let missing = Thing::new(Detail::IN_STATUS_RESULTS, "task/a in status.results".into())
            .with_result(ResultName::task("a"))
            .with_signed([1; 32])
            .in_field("status.results".into());
        let program =
            OtherProgram { signed: [1; 32], found: [2; 32], field: "status.taskSpec.steps[0]".into() };
        vec![
            (
                Finding::ResultChanged { step: "s".into(), changed: Box::new(changed) },
                FindingFacts {
                    result: task("a"),
                    expected: digest(1),
                    found: digest(2),
                    field: field("status.steps[0]"),
                    ..of("s", Detail::IN_MESSAGE)
                },
            ),
            (
                Finding::ResultMissing { step: "s".into(), thing: missing },
                FindingFacts {
                    result: task("a"),
                    expected: digest(1),
                    field: field("status.results"),
                    ..of("s", Detail::IN_STATUS_RESULTS)
                },
            ),
            (
                Finding::Program { step: "s".into(), other: Box::new(program) },
                FindingFacts {
                    step: Some("s"),
                    expected: digest(1),
                    found: digest(2),
                    field: field("status.taskSpec.steps[0]"),
                    ..FindingFacts::default()
                },
            ),
            (
                Finding::OtherValue {
                    result: "a".into(),
                    demanded: "x".into(),
                    found: "y".into(),
                    read_as: "string",
                },
                FindingFacts {
                    result: task("a"),
                    expected: text("x"),
                    found: text("y"),
                    ..FindingFacts::default()
                },
            ),
            (
                Finding::NoTaskRun { demanded: "build-*".into(), result: "a".into() },
                FindingFacts { result: task("a"), expected: text("build-*"), ..FindingFacts::default() },
            ),
            (Finding::Demanded("a".into()), FindingFacts { result: task("a"), ..FindingFacts::default() }),
            (
                Finding::NotCarried { step: "s".into(), result: ResultName::task("a") },
                FindingFacts { step: Some("s"), result: task("a"), ..FindingFacts::default() },
            ),
        ]
    }

    /// Findings of steps, times and policies.
    fn of_steps() -> Vec<(Finding, FindingFacts<'static>)> {
        let of =
            |step, detail| FindingFacts { step: Some(step), detail: Some(detail), ..FindingFacts::default() };
        let tep0089 = |result: Option<&str>| Finding::Tep0089 {
            step: "s".into(),
            reason: String::new(),
            detail: Detail::MANIFEST,
            result: result.map(ResultName::task),
        };
        let unproven = |at: i64| Finding::TimeUnproven {
            step: "s".into(),
            at: UnixSeconds::new(at),
            is_now: true,
            not_before: UnixSeconds::new(60),
            not_after: UnixSeconds::new(120),
            stamps: Vec::new(),
        };
        let (expected, found) = (text("1970-01-01T00:01:00Z"), text("1970-01-01T00:00:59Z"));
        vec![
            (tep0089(Some("a")), FindingFacts { result: task("a"), ..of("s", Detail::MANIFEST) }),
            (tep0089(None), of("s", Detail::MANIFEST)),
            (
                Finding::Attempt { number: 3, finding: Box::new(tep0089(Some("a"))) },
                FindingFacts { attempt: Some(3), result: task("a"), ..of("s", Detail::MANIFEST) },
            ),
            (
                Finding::Time {
                    step: "s".into(),
                    signed: UnixSeconds::new(59),
                    relation: String::new(),
                    detail: Detail::AFTER_TIME_STAMP,
                    limit: "1970-01-01T00:01:00Z".into(),
                },
                FindingFacts {
                    expected: expected.clone(),
                    found: found.clone(),
                    ..of("s", Detail::AFTER_TIME_STAMP)
                },
            ),
            (unproven(59), FindingFacts { expected, found, ..of("s", Detail::NOT_YET_VALID) }),
            (
                unproven(121),
                FindingFacts {
                    expected: text("1970-01-01T00:02:00Z"),
                    found: text("1970-01-01T00:02:01Z"),
                    ..of("s", Detail::EXPIRED)
                },
            ),
            (
                Finding::UnknownIssuer { step: "s".into(), key_id: "01".into(), detail: Detail::IDENTITY },
                FindingFacts { expected: text("01"), ..of("s", Detail::IDENTITY) },
            ),
            (
                Finding::Policy {
                    rule: "r".into(),
                    detail: Detail::IDENTITY,
                    step: Some("s".into()),
                    result: Some(Box::new(ResultName::task("a"))),
                    demanded: "x".into(),
                    found: "y".into(),
                    breach: Breach::Missing,
                },
                FindingFacts {
                    result: task("a"),
                    expected: text("x"),
                    found: text("y"),
                    ..of("s", Detail::IDENTITY)
                },
            ),
        ]
    }

    #[test]
    fn a_finding_tells_programs_what_it_is_about() {
        for (finding, facts) in of_values().into_iter().chain(of_steps()) {
            assert_eq!(finding.facts(), facts, "{finding:?}");
        }
    }
}
