//! `junit`: a test case a TaskRun or PipelineRun. `invalid`, `absent` and `weak` are failures, `unchecked` is an error. Nothing is ever
//! "skipped": CI systems count that as good.
//!
//! Each case has a suite of its own, since a suite says at its beginning how many of its cases failed, which a walk knows
//! only at its end. What is missing of the walk as a whole is a case, too.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{
    report::{
        Item, WHOLE_WALK, Walk, Writer,
        json::{facts, place},
        safe::Xml,
    },
    sources::walk::Place,
    verify::{Finding, Report, Verdict},
};

pub(super) struct Junit;

impl Writer for Junit {
    fn begin(&mut self, _: &Walk<'_>, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"svidence verify\">")
    }

    fn item(&mut self, _: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        match item.outcome {
            Ok(report) => {
                let (namespace, name) = report.task_run.split_once('/').unwrap_or(("", &report.task_run));
                let name = if report.pipeline.is_some() { &format!("PipelineRun {name}") } else { name };
                let element =
                    if report.accepted { Element::None } else { Element::of_failed(report.verdict) };
                case(out, Some(item.place), (namespace, name), element, report.verdict, &Content::of(report))
            }
            Err(error) => {
                let name = item.place.to_string();
                let content = Content {
                    uid: None,
                    reasons: vec![error.to_string()],
                    facts: vec![json!({"code": error.code(), "detail": error.detail().as_str()})],
                };
                let (element, verdict) = (Element::of_failed(error.verdict()), error.verdict());
                case(out, Some(item.place), ("", &name), element, verdict, &content)
            }
        }
    }

    fn missing(&mut self, _: &Walk<'_>, findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
        let Some(verdict) = findings.iter().map(Finding::verdict).max() else { return Ok(()) };
        let content = Content {
            uid: None,
            reasons: findings.iter().map(Finding::to_string).collect(),
            facts: findings.iter().map(coded).collect(),
        };
        case(out, None, ("", WHOLE_WALK), Element::of_failed(verdict), verdict, &content)
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "</testsuites>")
    }
}

#[derive(PartialEq, Eq)]
enum Element {
    None,
    Failure,
    Error,
}

impl Element {
    /// Of what does not count as verified.
    fn of_failed(verdict: Verdict) -> Self {
        if verdict == Verdict::Unchecked { Self::Error } else { Self::Failure }
    }
}

/// What is in a case.
struct Content<'a> {
    uid: Option<&'a str>,
    reasons: Vec<String>,
    /// One a reason.
    facts: Vec<Value>,
}

impl Content<'_> {
    fn of(report: &Report) -> Content<'_> {
        let facts = report.findings.iter().map(coded);
        let more = report.findings.more().map(|more| more.to_string());
        let reasons = report.findings.iter().map(Finding::to_string).chain(more).collect();
        Content { uid: Some(&report.uid), reasons, facts: facts.collect() }
    }
}

fn coded(finding: &Finding) -> Value {
    let mut facts = facts(finding);
    facts["code"] = json!(finding.code());
    facts
}

/// `place.file`, `finding.1.code` and so on.
fn properties(out: &mut dyn Write, at: Option<Place<'_>>, content: &Content<'_>) -> io::Result<()> {
    let mut property = |name: String, value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        writeln!(out, "<property name=\"{name}\" value=\"{}\"/>", Xml(&text))
    };
    let place = at.map(|at| place(at, content.uid));
    for (name, value) in place.iter().filter_map(Value::as_object).flatten() {
        property(format!("place.{name}"), value)?;
    }
    for (i, facts) in content.facts.iter().enumerate() {
        for (name, value) in facts.as_object().into_iter().flatten() {
            property(format!("finding.{}.{name}", i + 1), value)?;
        }
    }
    Ok(())
}

/// `at`: where the object is; `None` for the walk as a whole.
fn case(
    out: &mut dyn Write,
    at: Option<Place<'_>>,
    (namespace, name): (&str, &str),
    element: Element,
    verdict: Verdict,
    content: &Content<'_>,
) -> io::Result<()> {
    let (failures, errors) = (u8::from(element == Element::Failure), u8::from(element == Element::Error));
    let (path, namespace, name) = (Xml(at.map_or(WHOLE_WALK, |at| at.path)), Xml(namespace), Xml(name));
    writeln!(
        out,
        "<testsuite name=\"{path}\" tests=\"1\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\">\n<properties>"
    )?;
    properties(out, at, content)?;
    writeln!(out, "</properties>\n<testcase classname=\"{namespace}\" name=\"{name}\">")?;
    let reasons = &content.reasons;
    let message = reasons.first().map(String::as_str).unwrap_or_default();
    let tag = match element {
        Element::None => "system-out",
        Element::Failure => "failure",
        Element::Error => "error",
    };
    match element {
        Element::None => write!(out, "<{tag}>{}", verdict.as_str())?,
        _ => write!(out, "<{tag} type=\"{}\" message=\"{}\">", verdict.as_str(), Xml(message))?,
    }
    for reason in reasons {
        write!(out, "\n{}", Xml(reason))?;
    }
    writeln!(out, "</{tag}>\n</testcase>\n</testsuite>")
}
