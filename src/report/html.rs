//! `html`: one file for auditors, with nothing to load and no script. A TaskRun that was verified shows what it rests on, from the
//! authority in the bundle to the results.
//!
//! It is XML as well as HTML, so that any parser can tell that nothing in it was opened or closed by a name in an object.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, Write},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use x509::{Certificate, Validity, text::hex};

use crate::{
    evidence::sha256,
    report::{
        Item, WHOLE_WALK, Walk, Writer,
        causes::{Cause, alone, causes},
        people::{ended, time},
        pipeline,
        safe::Xml,
        tally::Tally,
    },
    verify::{Finding, Proof, Report, StepSummary, Verdict, VerifiedResult},
};

const STYLE: &str = include_str!("html.css");
/// So many TaskRuns that failed are shown with their causes at once; of all others that is one click away.
const MOST_OPEN: u64 = 20;
/// Characters of a value; its digest stands for the rest.
const MOST_CHARACTERS: usize = 1000;

#[derive(Default)]
pub(super) struct Html {
    tally: Tally,
    failed: u64,
    /// What is missing of the walk as a whole.
    missing: Vec<Cause>,
}

impl Writer for Html {
    fn begin(&mut self, walk: &Walk<'_>, out: &mut dyn Write) -> io::Result<()> {
        // The one style is named by its digest: whatever else a browser may find is not loaded, run or applied.
        let style = STANDARD.encode(sha256(STYLE.as_bytes()));
        let trust_domain = Xml(walk.trust_domain);
        writeln!(
            out,
            "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'; \
             base-uri 'none'; form-action 'none'\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"referrer\" content=\"no-referrer\"/>\n\
             <title>svidence verify: {trust_domain}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<h1>svidence verify</h1>\n<p>Trust domain <code>{trust_domain}</code>, checked at {} by svidence {}</p>",
            walk.now,
            env!("CARGO_PKG_VERSION")
        )?;
        if let Some((name, policy)) = walk.policy_file {
            let digest = hex(&policy.digest);
            writeln!(out, "<p>Policy <code>{}</code>, SHA-256 <code>{digest}</code></p>", Xml(name))?;
        }
        writeln!(
            out,
            "</header>\n<label><input type=\"checkbox\" id=\"failures\"/> Failures only</label>\n<main>"
        )
    }

    fn item(&mut self, walk: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        self.tally.count(item);
        let place = item.place.to_string();
        let is_good = item.outcome.is_ok_and(|report| report.accepted);
        self.failed += u64::from(!is_good);
        let open = if !is_good && self.failed <= MOST_OPEN { " open=\"\"" } else { "" };
        let (verdict, name) = match item.outcome {
            Ok(report) => (report.verdict, report.title()),
            Err(error) => match error.verdict() {
                Verdict::Unchecked => (Verdict::Unchecked, Cow::Borrowed("not read")),
                verdict => (verdict, Cow::Borrowed("nothing to verify")),
            },
        };
        let (class, word) = match (verdict, is_good) {
            (Verdict::Weak, true) => ("good weak", "weak, accepted"),
            (verdict, true) => ("good verified", verdict.as_str()),
            (verdict, false) => (verdict.as_str(), verdict.as_str()),
        };
        writeln!(
            out,
            "<details class=\"{class}\"{open}><summary><span class=\"verdict\">{word}</span> <b>{}</b> \
             <span class=\"place\">{}</span></summary>\n<div class=\"inside\">",
            Xml(&name),
            Xml(&place)
        )?;
        match item.outcome {
            Ok(report) => task_run(walk, report, out)?,
            Err(error) => {
                let detail = error.detail().as_str();
                let text = error.to_string();
                writeln!(
                    out,
                    "<ul class=\"causes\"><li>{} <code>{}: {detail}</code></li></ul>",
                    Xml(&text),
                    error.code()
                )?;
            }
        }
        writeln!(out, "</div></details>")
    }

    fn missing(&mut self, _: &Walk<'_>, findings: &[Finding], _: &mut dyn Write) -> io::Result<()> {
        self.missing.extend(findings.iter().map(alone));
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        // It comes last, since nothing is kept; the style shows it first.
        let class = match (self.failed, self.tally.good()) {
            _ if !self.missing.is_empty() => " class=\"failed\"",
            (0, 0) => " class=\"nothing\"",
            (0, _) => "",
            _ => " class=\"failed\"",
        };
        write!(out, "</main>\n<footer{class}>{}", self.tally)?;
        if !self.missing.is_empty() {
            writeln!(out, "\n<p>Missing of {WHOLE_WALK}:</p>")?;
            cause_list(&self.missing, out)?;
        }
        writeln!(out, "</footer>\n</body>\n</html>")
    }
}

fn task_run(walk: &Walk<'_>, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let causes = causes(report);
    cause_list(&causes, out)?;
    if let Some(pipeline) = &report.pipeline {
        tree(&pipeline::lines(pipeline), out)?;
    }
    match &report.proof {
        Some(proof) => proven(walk, report, proof, out)?,
        None if report.accepted => {}
        None if report.uid.is_empty() => {}
        None => writeln!(
            out,
            "<p class=\"faint\">It states the UID <code>{}</code>. Nothing in it may be used.</p>",
            Xml(&report.uid)
        )?,
    }
    if !report.notes.is_empty() {
        writeln!(out, "<ul class=\"causes faint\">")?;
        for note in &report.notes {
            writeln!(out, "<li>Note: {}</li>", Xml(note))?;
        }
        writeln!(out, "</ul>")?;
    }
    Ok(())
}

/// Lists in lists, as far as the lines are indented.
fn tree(lines: &[(usize, String)], out: &mut dyn Write) -> io::Result<()> {
    let mut depth = 0;
    for (i, (indent, line)) in lines.iter().enumerate() {
        while depth <= *indent {
            writeln!(out, "<ul class=\"tree\">")?;
            depth += 1;
        }
        write!(out, "<li>{}", Xml(line))?;
        let next = lines.get(i + 1).map_or(0, |(next, _)| *next + 1);
        if next <= depth {
            writeln!(out, "</li>")?;
        }
        while depth > next {
            depth -= 1;
            writeln!(out, "</ul>{}", if depth > 0 { "</li>" } else { "" })?;
        }
    }
    Ok(())
}

fn cause_list(causes: &[Cause], out: &mut dyn Write) -> io::Result<()> {
    if causes.is_empty() {
        return Ok(());
    }
    writeln!(out, "<ul class=\"causes\">")?;
    for cause in causes {
        writeln!(out, "<li>{} <code>{}</code></li>", Xml(&cause.text), Xml(&cause.rule))?;
    }
    writeln!(out, "</ul>")
}

/// Bundle, certificate, run, steps and results; the steps of one certificate share its path.
fn proven(walk: &Walk<'_>, report: &Report, proof: &Proof, out: &mut dyn Write) -> io::Result<()> {
    let steps: Vec<&StepSummary> = proof.basis.steps().collect();
    let Some(first) = steps.first() else {
        writeln!(
            out,
            "<p class=\"faint\">Only Tekton's own signatures: they name neither run nor step nor time.</p>\n\
             <div class=\"path\"><div class=\"results\">"
        )?;
        proof.results.iter().try_for_each(|result| self::result(result, out))?;
        return writeln!(out, "</div></div>");
    };
    let mut by_step: HashMap<&str, Vec<&VerifiedResult>> = HashMap::new();
    for result in &proof.results {
        by_step.entry(&result.step).or_default().push(result);
    }
    let mut rest = steps.as_slice();
    let mut leaf = first.certificates().next().map(Certificate::der);
    while !rest.is_empty() {
        let same = |step: &&StepSummary| step.certificates().next().map(Certificate::der) == leaf;
        let (group, others) = rest.split_at(rest.iter().take_while(|step| same(step)).count().max(1));
        path(walk, report, proof, &by_step, group, out)?;
        rest = others;
        leaf = rest.first().and_then(|step| step.certificates().next()).map(Certificate::der);
    }
    Ok(())
}

fn path(
    walk: &Walk<'_>,
    report: &Report,
    proof: &Proof,
    by_step: &HashMap<&str, Vec<&VerifiedResult>>,
    steps: &[&StepSummary],
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(first) = steps.first() else { return Ok(()) };
    writeln!(out, "<div class=\"path\">")?;
    let certificates: Vec<&Certificate> = first.certificates().collect();
    for (i, certificate) in certificates.iter().enumerate().rev() {
        let kind = match i {
            0 => "certificate",
            _ if i + 1 == certificates.len() => "bundle",
            _ => "intermediate",
        };
        // The SPIFFE ID says more than the subject, which nobody reads.
        let name = certificate.uri_sans().first().cloned().unwrap_or_else(|| certificate.label());
        let attested = if i == 0 { attested(first) } else { format!("of {}", walk.trust_domain) };
        let Validity { not_before, not_after } = certificate.validity();
        let origin = walk.origins.get(&hex(&sha256(certificate.der()))).filter(|_| kind == "bundle");
        let attested = origin.map_or(attested, |origin| format!("from {}", origin.place()));
        boxed(
            out,
            "box",
            kind,
            &name,
            &[
                attested,
                format!("{} key", certificate.algorithm()),
                format!("valid from {not_before}"),
                format!("until {not_after}"),
                format!("SHA-256 {}", hex(&sha256(certificate.der()))),
            ],
        )?;
    }
    let mut run = Vec::new();
    match proof.run_bound_by_certificate {
        true => run.push(format!("UID {}, as the certificate attests", report.uid)),
        false => run.push("told apart from others of its name by unsigned times".to_owned()),
    }
    run.extend(first.pod_name().map(|pod| format!("pod {pod}")));
    run.extend(proof.failed.then(|| "it failed".to_owned()));
    run.extend(proof.is_partial.then(|| "partial object: only its results are there".to_owned()));
    boxed(out, "box", "run", &report.task_run, &run)?;
    writeln!(out, "<div class=\"steps\">")?;
    for step in steps {
        writeln!(out, "<div class=\"step\">")?;
        let facts = [ended(step.outcome), format!("signed at {}", step.signed_at), time(step.time.proof)];
        boxed(out, "box", "step", &step.name, &facts)?;
        writeln!(out, "<div class=\"results\">")?;
        match by_step.get(step.name.as_str()) {
            Some(results) => results.iter().try_for_each(|result| self::result(result, out))?,
            None => writeln!(out, "<span class=\"none\">no result of its own</span>")?,
        }
        writeln!(out, "</div></div>")?;
    }
    writeln!(out, "</div></div>")
}

fn attested(step: &StepSummary) -> String {
    match (step.run_attested, step.step_attested, step.executable_attested) {
        (true, true, true) if step.image_attested() => "attests run, step, program and image".to_owned(),
        (true, true, true) => "attests run, step and program".to_owned(),
        (true, true, false) => "attests run and step".to_owned(),
        (true, ..) => "attests the run".to_owned(),
        _ => "attests the name of the run only".to_owned(),
    }
}

fn result(result: &VerifiedResult, out: &mut dyn Write) -> io::Result<()> {
    let value = result.value.canonical_json();
    let value = match value.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}… ({} bytes in all)", &value[..end], value.len()),
        None => value,
    };
    let mut facts = Vec::new();
    match (&result.step_result, result.name_is_claimed) {
        (Some(step_result), true) => {
            facts.push(format!("step result {step_result}; its name as a task result is claimed only"))
        }
        (Some(step_result), false) => facts.push(format!("step result {step_result}")),
        (None, _) => {}
    }
    if result.type_is_claimed {
        facts.push(format!("its type, {}, is claimed only", result.value.type_name()));
    }
    facts.push(format!("SHA-256 {}", hex(&result.digest)));
    writeln!(
        out,
        "<div class=\"box result\"><span class=\"kind\">result</span><b>{}</b><code>{}</code>",
        Xml(&result.name),
        Xml(&value)
    )?;
    lines(&facts, out)?;
    writeln!(out, "</div>")
}

fn boxed(out: &mut dyn Write, class: &str, kind: &str, name: &str, facts: &[String]) -> io::Result<()> {
    writeln!(out, "<div class=\"{class}\"><span class=\"kind\">{kind}</span><b>{}</b>", Xml(name))?;
    lines(facts, out)?;
    writeln!(out, "</div>")
}

fn lines(facts: &[String], out: &mut dyn Write) -> io::Result<()> {
    facts.iter().try_for_each(|fact| {
        let class = if fact.starts_with("SHA-256") { "digest faint" } else { "fact" };
        writeln!(out, "<span class=\"{class}\">{}</span>", Xml(fact))
    })
}
