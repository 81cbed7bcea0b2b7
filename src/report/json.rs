//! `json`: one line a TaskRun or PipelineRun, of the schema `docs/schemas/verify-report-v2.json`.
//!
//! Each has a line with its verdict; a last line without a place tells what is missing of the walk as a whole, if anything is. Values,
//! steps and a run's UID are only in the lines of those that were verified or accepted, so that a program which looks for results finds
//! no other ones.

use std::io::{self, Write};

use serde_json::{Value, json};
use x509::{text::hex, time_stamp::TimeStamp};

use crate::{
    evidence::attestation::{Ended, SignedOutcome},
    report::{Item, Walk, Writer, origins::AuthoritySeen, pipeline, safe::escaped_json},
    sources::{error::SourceError, walk::Place},
    verify::{Finding, NotCarried, Proof, Report, StepSummary, TimeProof, VerifiedResult},
};

/// The version of the schema: a field may be added under it, none is removed or changes its meaning.
const VERSION: u32 = 2;

/// What nobody signs (docs/threat-model.md "What is not signed"): it is never printed as verified.
const UNSIGNED_FIELDS: [&str; 7] = [
    "metadata.labels",
    "metadata.annotations",
    "spec.params",
    "status.taskSpec",
    "status.conditions",
    "status.startTime",
    "status.completionTime",
];
/// The same unless the certificate of every step attests it.
const UNSIGNED_IMAGE: &str = "status.steps[].imageID";

pub(super) struct Json;

impl Writer for Json {
    fn item(&mut self, walk: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        let line = match item.outcome {
            Ok(report) => run(walk, item.place, report),
            Err(error) => unreadable(item.place, error),
        };
        writeln!(out, "{}", escaped_json(&line.to_string()))
    }

    fn missing(&mut self, _: &Walk<'_>, findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
        let Some(verdict) = findings.iter().map(Finding::verdict).max() else { return Ok(()) };
        let line = json!({
            "version": VERSION,
            "walk": true,
            "verdict": verdict.as_str(),
            "accepted": false,
            "findings": findings.iter().map(finding).collect::<Vec<_>>(),
            "notes": [],
        });
        writeln!(out, "{}", escaped_json(&line.to_string()))
    }
}

/// Where an object is; `uid` is what it says of itself, whether anybody attests it or not.
pub(crate) fn place(at: Place<'_>, uid: Option<&str>) -> Value {
    let mut place = json!({"file": at.path, "index": at.index});
    if let Some(line) = at.line {
        place["line"] = json!(line);
    }
    if let Some(uid) = uid.filter(|uid| !uid.is_empty()) {
        place["uid"] = json!(uid);
    }
    place
}

/// What a finding is about: an object of the members that are known.
pub(super) fn facts(finding: &Finding) -> Value {
    let facts = finding.facts();
    let members = [
        ("detail", facts.detail.map(|detail| json!(detail.as_str()))),
        ("attempt", facts.attempt.map(|number| json!(number))),
        ("step", facts.step.map(|step| json!(step))),
        ("result", facts.result.map(|result| json!(result.to_string()))),
        ("expected", facts.expected.map(|side| json!(side.to_string()))),
        ("found", facts.found.map(|side| json!(side.to_string()))),
        ("field", facts.field.map(|field| json!(field))),
    ];
    members.into_iter().filter_map(|(name, member)| Some((name.to_owned(), member?))).collect()
}

fn finding(finding: &Finding) -> Value {
    let mut value = facts(finding);
    value["code"] = json!(finding.code());
    value["verdict"] = json!(finding.verdict().as_str());
    value["text"] = json!(finding.to_string());
    value
}

fn unreadable(at: Place<'_>, error: &SourceError) -> Value {
    let verdict = error.verdict().as_str();
    json!({
        "version": VERSION,
        "place": place(at, None),
        "verdict": verdict,
        "accepted": false,
        "findings": [{
            "code": error.code(), "detail": error.detail().as_str(), "verdict": verdict, "text": error.to_string(),
        }],
        "notes": [],
    })
}

fn run(walk: &Walk<'_>, at: Place<'_>, report: &Report) -> Value {
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    let mut line = json!({
        "version": VERSION,
        "place": place(at, Some(&report.uid)),
        "verdict": report.verdict.as_str(),
        "accepted": report.accepted,
        "findings": findings,
        "notes": report.notes,
    });
    let name = if report.pipeline.is_some() { "pipelineRun" } else { "taskRun" };
    line[name] = json!(report.task_run);
    if let Some(pipeline) = &report.pipeline {
        line["tasks"] = pipeline::tasks(pipeline);
        if report.accepted {
            if let Some(failed) = pipeline.failed {
                line["failed"] = json!(failed);
            }
            line["pipelineResults"] = pipeline::results(pipeline);
            if let Some(keyid) = &pipeline.chains_signed_by {
                line["chainsSignedBy"] = json!(keyid);
            }
        }
    }
    let more: Vec<Value> = report
        .findings
        .more()
        .map(|more| json!({"code": more.code, "verdict": more.verdict.as_str(), "count": more.count}))
        .collect();
    if !more.is_empty() {
        line["moreFindings"] = more.into();
    }
    if let Some((_, policy)) = walk.policy_file {
        let rules: Vec<String> = report.rules.iter().map(|&index| policy.rule_name(index)).collect();
        line["policy"] = json!({"sha256": hex(&policy.digest), "rules": rules});
    }
    if let (Some(proof), Value::Object(line)) = (&report.proof, &mut line) {
        line.extend(proven(walk, report, proof));
    }
    line
}

fn proven(walk: &Walk<'_>, report: &Report, proof: &Proof) -> serde_json::Map<String, Value> {
    let is_attested = proof.basis.tep0089_values().is_none();
    let mut members = serde_json::Map::new();
    if proof.run_bound_by_certificate {
        members.insert("uid".to_owned(), json!(report.uid));
    }
    if let Some(keyid) = proof.chains.keyid() {
        members.insert("chainsSignedBy".to_owned(), json!(keyid));
    }
    let bound = if proof.run_bound_by_certificate { "certificate" } else { "unsigned times" };
    for (name, value) in [
        ("evidence", json!(if is_attested { "attestation" } else { "tep-0089" })),
        ("runBoundBy", json!(bound)),
        ("time", time(proof.time, proof.time_stamp())),
        ("failed", json!(proof.failed)),
        ("partial", json!(proof.is_partial)),
        ("notCarried", proof.not_carried.iter().map(not_carried).collect()),
        ("results", proof.results.iter().map(result).collect()),
        ("steps", proof.basis.steps().map(|summary| step(walk, summary)).collect()),
        ("unsigned", unsigned(proof)),
    ] {
        members.insert(name.to_owned(), value);
    }
    members
}

/// The fields that nobody signed or attested.
fn unsigned(proof: &Proof) -> Value {
    let mut steps = proof.basis.steps().peekable();
    let is_attested = steps.peek().is_some() && steps.all(StepSummary::image_attested);
    UNSIGNED_FIELDS.into_iter().chain((!is_attested).then_some(UNSIGNED_IMAGE)).collect()
}

/// `{"proof": …}`, with the time stamp that proves it, or that there is besides.
fn time(proof: TimeProof, stamp: Option<TimeStamp>) -> Value {
    let fields =
        |stamp: TimeStamp| json!({"genTime": stamp.gen_time.to_string(), "tsaSha256": hex(&stamp.tsa)});
    let mut time = match proof {
        TimeProof::ValidNow => json!({"proof": "valid-now"}),
        TimeProof::ValidThen(stamp) => {
            let mut time = fields(stamp);
            time["proof"] = json!("valid-then");
            return time;
        }
        TimeProof::Asserted(at) => json!({"proof": "asserted", "at": at.to_string()}),
        TimeProof::Unproven => json!({"proof": "none"}),
    };
    if let Some(stamp) = stamp {
        time["timeStamp"] = fields(stamp);
    }
    time
}

fn not_carried(not_carried: &NotCarried) -> Value {
    json!({"step": not_carried.step, "item": not_carried.item.to_string()})
}

fn result(result: &VerifiedResult) -> Value {
    let mut object = json!({
        "name": result.name,
        "type": result.value.type_name(),
        "value": result.value.to_json(),
        "sha256": hex(&result.digest),
        "step": result.step,
        "set": result.set,
        "nameIsClaimed": result.name_is_claimed,
        "typeIsClaimed": result.type_is_claimed,
    });
    if let Some(step_result) = &result.step_result {
        object["stepResult"] = json!(step_result);
    }
    object
}

fn step(walk: &Walk<'_>, step: &StepSummary) -> Value {
    let mut object = json!({
        "name": step.name,
        "signedAt": step.signed_at.to_string(),
        "attestedByCertificate": {
            "run": step.run_attested, "step": step.step_attested, "executable": step.executable_attested,
            "image": step.image_attested(),
        },
        "authoritySha256": step.authority,
        "outcome": outcome(step.outcome),
        "program": step.program.as_str(),
        "image": step.image.as_str(),
        "time": time(step.time.proof, step.time.stamp),
    });
    for (member, digest) in [
        ("programSha256", step.program_digest()),
        ("scriptSha256", step.script_digest()),
        ("imageSha256", step.image.digest()),
    ] {
        if let Some(digest) = digest {
            object[member] = json!(hex(&digest));
        }
    }
    if let Some(origin) = walk.origins.get(&step.authority) {
        object["authority"] = json!({"name": origin.name, "file": origin.file});
        if let Some(AuthoritySeen { first, last }) = origin.seen {
            object["authority"]["firstSeen"] = json!(first.to_string());
            object["authority"]["lastSeen"] = json!(last.to_string());
        }
    }
    object
}

/// By the names of the signed statement (docs/evidence.md section 7).
fn outcome(outcome: SignedOutcome) -> Value {
    let mut members = match outcome.ended {
        Ended::Exited(code) => json!({"exitCode": code}),
        Ended::Signal(signal) => json!({"ended": "signal", "signal": signal}),
        Ended::Timeout => json!({"ended": "timeout"}),
        Ended::Cancelled => json!({"ended": "cancelled"}),
        Ended::Skipped => json!({"ended": "skipped"}),
        Ended::NotStarted => json!({"ended": "not-started"}),
    };
    members["continued"] = json!(outcome.continued);
    members
}
