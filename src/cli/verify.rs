//! `svidence verify`.
//!
//! People read stderr: one line a TaskRun, then the reasons. Programs read stdout: only what was verified stands there.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    evidence::value::ResultValue,
    verify::{
        Policy, Proof, Report, TimeProof, Trust, Verdict, VerifiedResult,
        source::{self, SourceError},
        taskrun::{format_time, parse_time},
        verify,
    },
    workload::{bundle::X509Bundle, id::TrustDomain},
};

use super::{USAGE_ERROR, config};

/// Arguments of `svidence verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Files or folders with TaskRuns (JSON, JSON lines, YAML, Lists), or - for standard input
    #[arg(required = true, value_name = "TASKRUN")]
    sources: Vec<PathBuf>,
    /// The SPIFFE trust domain the TaskRuns must belong to, for example example.org
    #[arg(long, value_name = "TD", required_unless_present = "config")]
    trust_domain: Option<String>,
    /// The trust domain's bundle: PEM, or SPIFFE bundle JSON
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Take the trust domain from this config-spire ConfigMap, instead of --trust-domain
    #[arg(long, value_name = "FILE", conflicts_with = "trust_domain")]
    config: Option<PathBuf>,
    /// Intermediate certificates (PEM) that evidence may have left out
    #[arg(long, value_name = "FILE")]
    intermediates: Option<PathBuf>,
    /// Check certificates as of this time, which you vouch for (RFC 3339, for example 2026-11-22T05:30:00Z)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// How far clocks may be apart, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(i64).range(0..=3600))]
    clock_skew: i64,
    /// Accept a weaker proof; may be given twice
    #[arg(long, value_enum, value_name = "WEAKNESS")]
    accept: Vec<Weakness>,
    /// A result that every TaskRun must have; may be given several times
    #[arg(long = "require-result", value_name = "NAME")]
    demanded: Vec<String>,
    /// No TaskRun at all is fine
    #[arg(long)]
    allow_empty: bool,
    /// How to print what was verified
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weakness {
    /// Tekton's own signatures: they prove neither names nor run nor step nor time
    #[value(name = "tep-0089")]
    Tep0089,
    /// Certificates that have expired since, with no proof of when they signed
    UnprovenTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One line a result: TaskRun, result, value as JSON, separated by tabs
    Text,
    /// One JSON object a TaskRun
    Json,
}

/// What nobody signs (design 7): it is never printed as verified.
const UNSIGNED_FIELDS: [&str; 8] = [
    "metadata.labels",
    "metadata.annotations",
    "spec.params",
    "status.taskSpec",
    "status.conditions",
    "status.startTime",
    "status.completionTime",
    "status.steps[].imageID",
];

/// Runs `svidence verify`; returns the exit code.
pub fn run(args: &VerifyArgs, stdin: &mut dyn Read, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let trust = match trust(args, err) {
        Ok(trust) => trust,
        Err(Refusal { exit_code, text }) => {
            let _ = writeln!(err, "svidence verify: {text}");
            return exit_code;
        }
    };
    let policy = Policy {
        accept_tep0089: args.accept.contains(&Weakness::Tep0089),
        accept_unproven_time: args.accept.contains(&Weakness::UnprovenTime),
        demanded: args.demanded.clone(),
    };
    let several = args.sources.len() > 1 || args.sources.iter().any(|source| source.is_dir());
    let mut worst: Option<Verdict> = None;
    let mut write_failed = false;
    for path in &args.sources {
        source::for_each(path, stdin, &mut |place, object| {
            let verdict = match object {
                Ok(object) => {
                    let report = verify(&object, &trust, &policy);
                    explain(&report, several.then_some(place), err);
                    write_failed |= !print(&report, args.output, out);
                    if report.accepted { Verdict::Verified } else { report.verdict }
                }
                Err(error) => unreadable(&error, err),
            };
            worst = worst.max(Some(verdict));
        });
    }
    if write_failed {
        let _ = writeln!(err, "svidence verify: standard output could not be written");
        return Verdict::Unchecked.exit_code();
    }
    match worst {
        Some(verdict) => verdict.exit_code(),
        None if args.allow_empty => 0,
        None => {
            let _ = writeln!(err, "svidence verify: no TaskRun found (--allow-empty accepts that)");
            Verdict::Unchecked.exit_code()
        }
    }
}

struct Refusal {
    exit_code: u8,
    text: String,
}

fn usage(text: String) -> Refusal {
    Refusal { exit_code: USAGE_ERROR, text }
}

fn unchecked(text: String) -> Refusal {
    Refusal { exit_code: Verdict::Unchecked.exit_code(), text }
}

/// What the operator trusts, from the arguments. A usage error is 64; a file that is no use is `unchecked`.
fn trust(args: &VerifyArgs, err: &mut dyn Write) -> Result<Trust, Refusal> {
    let trust_domain = match (&args.trust_domain, &args.config) {
        // The type also takes a whole SPIFFE ID, of which it would silently drop the path.
        (Some(text), _) => TrustDomain::new(text)
            .ok()
            .filter(|trust_domain| trust_domain.as_str() == text.to_ascii_lowercase())
            .ok_or_else(|| {
                usage(format!("--trust-domain {text}: not a trust domain; one looks like example.org"))
            })?,
        (None, Some(file)) => {
            config::load(file).map_err(|error| unchecked(error.to_string()))?.trust_domain.clone()
        }
        (None, None) => return Err(usage("--trust-domain (or --config) is missing".into())),
    };
    let read =
        |file: &Path| std::fs::read(file).map_err(|error| unchecked(format!("{}: {error}", file.display())));
    let mut authorities = |file: &Path| {
        let (bundle, warnings) = X509Bundle::from_file_contents(trust_domain.clone(), &read(file)?)
            .map_err(|error| unchecked(format!("{}: {error}", file.display())))?;
        for warning in warnings {
            let _ = writeln!(err, "svidence verify: {}: {warning}", file.display());
        }
        Ok(bundle)
    };
    let bundle = authorities(&args.bundle)?;
    let intermediates = match &args.intermediates {
        None => Vec::new(),
        Some(file) => authorities(file)?.authorities().to_vec(),
    };
    let at = match &args.at {
        None => None,
        Some(text) => Some(parse_time(text).ok_or_else(|| {
            usage(format!("--at {text}: not an RFC 3339 time; it looks like 2026-11-22T05:30:00Z"))
        })?),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    Ok(Trust { bundle, intermediates, now, at, clock_skew: args.clock_skew })
}

fn unreadable(error: &SourceError, err: &mut dyn Write) -> Verdict {
    let _ = writeln!(err, "{:<9} {}", Verdict::Unchecked.as_str(), Line(&error.to_string()));
    Verdict::Unchecked
}

/// Prints what was verified, if anything was. `false`: it could not be written.
fn print(report: &Report, output: Output, out: &mut dyn Write) -> bool {
    let Some(proof) = &report.proof else { return true };
    let written = match output {
        Output::Text => print_text(report, proof, out),
        Output::Json => writeln!(out, "{}", escaped_json(&to_json(report, proof).to_string())),
    };
    written.and_then(|()| out.flush()).is_ok()
}

/// One line for the verdict, with the file where there are several, then why.
fn explain(report: &Report, file: Option<&str>, err: &mut dyn Write) {
    let qualities = report.proof.as_ref().map(qualities).unwrap_or_default();
    let verdict = match (report.verdict, report.accepted) {
        (Verdict::Weak, true) => "weak (accepted)",
        (verdict, _) => verdict.as_str(),
    };
    let file = file.map(|file| format!(" in {file}")).unwrap_or_default();
    let _ = writeln!(err, "{verdict:<9} {}{}{qualities}", Line(&report.task_run), Line(&file));
    for finding in &report.findings {
        let _ = writeln!(err, "          {}", Line(&finding.to_string()));
    }
    for note in &report.notes {
        let _ = writeln!(err, "          note: {}", Line(note));
    }
}

fn qualities(proof: &Proof) -> String {
    if let Some(values) = proof.basis.tep0089_values() {
        return format!("  ({values} values signed in the steps' messages)");
    }
    let bound = if proof.run_bound_by_certificate { "certificate" } else { "unsigned times" };
    let time = match proof.time {
        TimeProof::ValidNow => "certificates valid now".to_owned(),
        TimeProof::Asserted(at) => format!("certificates valid at {}, a time you asserted", format_time(at)),
        TimeProof::Unproven => "certificates expired, time of signing not proven".to_owned(),
    };
    let (steps, results) = (proof.basis.steps().count(), proof.results.len());
    let partial = if proof.is_partial { "partial object; " } else { "" };
    format!("  ({partial}{results} results of {steps} signed steps; run bound by {bound}; {time})")
}

fn print_text(report: &Report, proof: &Proof, out: &mut dyn Write) -> std::io::Result<()> {
    for result in &proof.results {
        let (task_run, name) = (Line(&report.task_run), shown_name(result));
        writeln!(out, "{task_run}\t{}\t{}", Line(&name), escaped_json(&result.value.canonical_json()))?;
    }
    Ok(())
}

/// A name that rests on an unsigned mapping is not shown as verified: the step result it comes from is. A type that rests on
/// an unsigned declaration is marked.
fn shown_name(result: &VerifiedResult) -> String {
    let kind = result.value.type_name();
    match (&result.step_result, result.name_is_claimed, result.type_is_claimed) {
        (Some(step_result), true, false) => {
            format!("step {}, result {step_result} (claimed to be {})", result.step, result.name)
        }
        (Some(step_result), true, true) => {
            format!(
                "step {}, result {step_result} (claimed to be {}, of type {kind})",
                result.step, result.name
            )
        }
        (_, _, true) => format!("{} (claimed to be of type {kind})", result.name),
        _ => result.name.clone(),
    }
}

/// The report of a verified TaskRun.
pub fn to_json(report: &Report, proof: &Proof) -> Value {
    let results: Vec<Value> = proof
        .results
        .iter()
        .map(|result| {
            let value = match &result.value {
                ResultValue::String(text) => json!(text),
                ResultValue::Array(items) => json!(items),
                ResultValue::Object(members) => json!(members),
            };
            let mut object = json!({
                "name": result.name,
                "type": result.value.type_name(),
                "value": value,
                "step": result.step,
                "set": result.set,
                "nameIsClaimed": result.name_is_claimed,
                "typeIsClaimed": result.type_is_claimed,
            });
            if let Some(step_result) = &result.step_result {
                object["stepResult"] = json!(step_result);
            }
            object
        })
        .collect();
    let steps: Vec<Value> = proof
        .basis
        .steps()
        .map(|step| {
            json!({
                "name": step.name,
                "signedAt": format_time(step.signed_at),
                "attestedByCertificate": {
                    "run": step.run_attested, "step": step.step_attested, "executable": step.executable_attested,
                },
                "authoritySha256": step.authority,
            })
        })
        .collect();
    let time = match proof.time {
        TimeProof::ValidNow => json!({"proof": "valid-now"}),
        TimeProof::Asserted(at) => json!({"proof": "asserted", "at": format_time(at)}),
        TimeProof::Unproven => json!({"proof": "none"}),
    };
    json!({
        "taskRun": report.task_run,
        "uid": proof.run_bound_by_certificate.then_some(&report.uid),
        "verdict": report.verdict.as_str(),
        "accepted": report.accepted,
        "evidence": if proof.basis.tep0089_values().is_none() { "attestation" } else { "tep-0089" },
        "runBoundBy": if proof.run_bound_by_certificate { "certificate" } else { "unsigned times" },
        "time": time,
        "partial": proof.is_partial,
        "notCarried": proof.not_carried.iter().map(|not_carried| {
            json!({"step": not_carried.step, "item": not_carried.item.to_string()})
        }).collect::<Vec<_>>(),
        "results": results,
        "steps": steps,
        "findings": report.findings.iter().map(|f| json!({"code": f.code(), "text": f.to_string()})).collect::<Vec<_>>(),
        "notes": report.notes,
        "unsigned": UNSIGNED_FIELDS,
    })
}

/// Characters that move the cursor, reorder text or hide it.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// JSON in which such characters are escaped; it means the same, as they stand inside strings only.
fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match is_unsafe(c) {
            true => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")))
            }
            false => out.push(c),
        }
    }
    out
}

/// Text from an object, safe to print on a terminal.
struct Line<'a>(&'a str);

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match is_unsafe(c) {
                true => write!(f, "{}", c.escape_default())?,
                false => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}
