//! `junit`: a test case a TaskRun. `invalid`, `absent` and `weak` are failures, `unchecked` is an error. Nothing is ever
//! "skipped": CI systems count that as good.
//!
//! Each case has a suite of its own, since a suite says at its beginning how many of its cases failed, which a walk knows
//! only at its end.

use std::io::{self, Write};

use crate::verify::{Finding, Report, Verdict};

use super::{Item, Walk, Writer, safe::Xml};

pub(super) struct Junit;

impl Writer for Junit {
    fn begin(&mut self, _: &Walk<'_>, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"svidence verify\">")
    }

    fn item(&mut self, _: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        match item.outcome {
            Ok(report) => {
                let (namespace, name) = report.task_run.split_once('/').unwrap_or(("", &report.task_run));
                let element = match (report.accepted, report.verdict) {
                    (true, _) => Element::None,
                    (false, Verdict::Unchecked) => Element::Error,
                    (false, _) => Element::Failure,
                };
                case(out, item.place.path, (namespace, name), element, report.verdict, &reasons(report))
            }
            Err(error) => {
                let reasons = [error.to_string()];
                case(
                    out,
                    item.place.path,
                    ("", item.place.path),
                    Element::Error,
                    Verdict::Unchecked,
                    &reasons,
                )
            }
        }
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

fn reasons(report: &Report) -> Vec<String> {
    report.findings.iter().map(Finding::to_string).collect()
}

fn case(
    out: &mut dyn Write,
    place: &str,
    (namespace, name): (&str, &str),
    element: Element,
    verdict: Verdict,
    reasons: &[String],
) -> io::Result<()> {
    let (failures, errors) = (u8::from(element == Element::Failure), u8::from(element == Element::Error));
    let (place, namespace, name) = (Xml(place), Xml(namespace), Xml(name));
    writeln!(
        out,
        "<testsuite name=\"{place}\" tests=\"1\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\">\n\
         <testcase classname=\"{namespace}\" name=\"{name}\">"
    )?;
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
