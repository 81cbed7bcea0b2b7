//! `vsa`: one line a TaskRun, an in-toto Statement v1 with a SLSA Verification Summary (<https://slsa.dev/spec/v1.0/verification_summary>).
//!
//! Nobody signs it here: whoever hands it on signs it, or it is worth as much as the file it lies in.

use std::io::{self, Write};

use serde_json::{Value, json};
use x509::text::hex;

use crate::{
    evidence::sha256,
    report::{
        Item, Walk, Writer,
        safe::{escaped_json, file_uri, uri_part},
    },
    verify::{Finding, Proof, Report, VerifiedResult},
};

pub(super) struct Vsa;

impl Writer for Vsa {
    /// What is no TaskRun gets no summary; the exit code tells of it.
    fn item(&mut self, walk: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        match item.outcome {
            Ok(report) => writeln!(out, "{}", escaped_json(&statement(walk, report).to_string())),
            Err(_) => Ok(()),
        }
    }

    /// Each summary speaks of its own TaskRun only (`resourceUri`); the exit code tells of the walk.
    fn missing(&mut self, _: &Walk<'_>, _: &[Finding], _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

fn statement(walk: &Walk<'_>, report: &Report) -> Value {
    let resource = resource(walk, report);
    // A policy's rules say which failures pass; without one none does.
    let passed = report.proof.as_ref().filter(|proof| !proof.failed || !report.rules.is_empty());
    let has_passed = passed.is_some()
        || report.pipeline.as_ref().is_some_and(|tree| report.accepted && tree.failed == Some(false));
    let subjects: Vec<Value> = passed.iter().flat_map(|proof| &proof.results).map(subject).collect();
    // A refused TaskRun's values are not its subject: whoever forges one would choose what is said to have failed.
    let subjects = if subjects.is_empty() { vec![run_itself(&resource, report)] } else { subjects };
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": {
            "verifier": {"id": "urn:svidence:verify", "version": {"svidence": env!("CARGO_PKG_VERSION")}},
            "timeVerified": walk.now.to_string(),
            "resourceUri": resource,
            "policy": policy(walk),
            "inputAttestations": passed.map(|proof| inputs(&resource, proof)).unwrap_or_default(),
            "verificationResult": if has_passed { "PASSED" } else { "FAILED" },
            // svidence says nothing about SLSA's levels.
            "verifiedLevels": [if has_passed { "SLSA_BUILD_LEVEL_UNEVALUATED" } else { "FAILED" }],
            "slsaVersion": "1.0",
        },
    })
}

/// The SPIFFE ID that the TaskRun's steps must have; for a PipelineRun, which has none, one that is made the same way.
fn resource(walk: &Walk<'_>, report: &Report) -> String {
    let (namespace, name) = report.task_run.split_once('/').unwrap_or_default();
    let kind = if report.pipeline.is_some() { "pipelinerun" } else { "taskrun" };
    format!("spiffe://{}/ns/{}/{kind}/{}", walk.trust_domain, uri_part(namespace), uri_part(name))
}

/// A verified value, by the digest of the text that its step wrote.
fn subject(result: &VerifiedResult) -> Value {
    let name = match (&result.step_result, result.name_is_claimed) {
        (Some(step_result), true) => format!("step/{}/{step_result}", result.step),
        _ => format!("task/{}", result.name),
    };
    json!({"name": name, "digest": {"sha256": hex(&result.digest)}})
}

/// Where no value is verified: the run, as it names itself. The digest is that of the name, which anybody can make again.
fn run_itself(resource: &str, report: &Report) -> Value {
    let name = format!("{resource}#{}", uri_part(&report.uid));
    json!({"digest": {"sha256": hex(&sha256(name.as_bytes()))}, "name": name})
}

fn policy(walk: &Walk<'_>) -> Value {
    match walk.policy_file {
        Some((file, policy)) => json!({"uri": file_uri(file), "digest": {"sha256": hex(&policy.digest)}}),
        None => json!({
            "uri": "urn:svidence:command-line",
            "digest": {"sha256": hex(&sha256(walk.command_line.as_bytes()))},
        }),
    }
}

fn inputs(resource: &str, proof: &Proof) -> Vec<Value> {
    let steps = proof.basis.steps();
    steps
        .map(|step| {
            json!({
                "uri": format!("{resource}#{}", step.entry()),
                "digest": {"sha256": hex(&step.attestation_digest())},
            })
        })
        .collect()
}
