//! The in-toto Statement v1 that is signed: built by signer and verifier from the same facts, never carried.
//!
//! Sources of the rule: in-toto attestation `spec/v1/statement.md`, DSSE `protocol.md` (pre-authentication encoding),
//! RFC 8785 (canonical JSON).

use std::fmt::Write as _;

use unixtime::whole_milliseconds;
use x509::text::{hex, push_hex};

use super::attestation::{Attestation, Covered, Ended, Form};
use crate::tekton::{
    canonical::{CanonicalObject, array, escaped, string},
    result_kind::ResultKind,
};

/// `payloadType` of the DSSE envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// `predicateType` of the statement.
pub const PREDICATE_TYPE: &str = "urn:svidence:step:v1";

/// What every text under an attestation's signature begins with (DSSE `protocol.md`).
pub const PRE_AUTHENTICATION_PREFIX: &str = "DSSEv1 ";

/// What is under the signature but not in the attestation, because the verifier has to know it for itself.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Trust domain of the SPIFFE ID.
    pub trust_domain: &'a str,
    /// Name of the step, from the entry's name.
    pub step: &'a str,
    /// Every covered result.
    pub results: &'a [Covered],
    /// SHA-256 of the leaf's DER.
    pub leaf: [u8; 32],
}

/// The statement as canonical JSON.
pub fn statement(attestation: &Attestation, context: Context<'_>) -> String {
    let mut results: Vec<&Covered> = context.results.iter().collect();
    results.sort_by_key(|covered| (covered.kind, covered.name.as_str()));
    // A result takes some 200 bytes, the rest some 1000.
    let mut out = String::with_capacity(1024 + 256 * results.len());
    let mut statement = CanonicalObject::begin(&mut out);
    string(statement.member("_type"), "https://in-toto.io/Statement/v1");
    write_predicate(statement.member("predicate"), attestation, &context, &results);
    string(statement.member("predicateType"), PREDICATE_TYPE);
    array(statement.member("subject"), &results, |out, covered| {
        let mut subject = CanonicalObject::begin(out);
        write_digest(subject.member("digest"), &covered.digest);
        write_subject_name(subject.member("name"), covered);
        subject.end();
    });
    statement.end();
    out
}

/// The DSSE pre-authentication encoding of a statement: these bytes are signed.
pub fn pre_authentication_encoding(statement: &str) -> Vec<u8> {
    pre_authentication_encoding_of(statement.as_bytes())
}

/// The same of a payload that somebody else may have made.
pub(crate) fn pre_authentication_encoding_of(payload: &[u8]) -> Vec<u8> {
    let (kind, length) = (PAYLOAD_TYPE.len(), payload.len());
    let header = format!("{PRE_AUTHENTICATION_PREFIX}{kind} {PAYLOAD_TYPE} {length} ");
    [header.as_bytes(), payload].concat()
}

fn write_predicate(out: &mut String, attestation: &Attestation, context: &Context<'_>, results: &[&Covered]) {
    let mut predicate = CanonicalObject::begin(out);
    let artifacts =
        [(ResultKind::Task, attestation.task_artifacts), (ResultKind::Step, attestation.step_artifacts)];
    let artifacts: Vec<(ResultKind, [u8; 32])> =
        artifacts.into_iter().filter_map(|(kind, signed)| Some((kind, signed?))).collect();
    if !artifacts.is_empty() {
        array(predicate.member("artifacts"), &artifacts, |out, (kind, signed)| {
            let mut artifacts = CanonicalObject::begin(out);
            write_digest(artifacts.member("digest"), signed);
            string(artifacts.member("kind"), kind.as_str());
            artifacts.end();
        });
    }
    string(predicate.member("declared"), &hex(&attestation.declared));
    string(predicate.member("form"), if attestation.form == Form::Hints { "hints" } else { "digests" });
    write_digest(predicate.member("leaf"), &context.leaf);
    write_outcome(predicate.member("outcome"), attestation);
    let pod_name = attestation.pod_name.resolve(&attestation.task_run);
    if pod_name.is_some() || attestation.pod_uid.is_some() {
        let mut pod = CanonicalObject::begin(predicate.member("pod"));
        if let Some(name) = &pod_name {
            string(pod.member("name"), name);
        }
        if let Some(uid) = &attestation.pod_uid {
            string(pod.member("uid"), &uuid(uid));
        }
        pod.end();
    }
    if let Some(program) = &attestation.program {
        write_digest(predicate.member("program"), program);
    }
    array(predicate.member("results"), results, |out, covered| {
        let mut result = CanonicalObject::begin(out);
        if let Some(decoded) = &covered.decoded {
            write_digest(result.member("decoded"), decoded);
        }
        write_subject_name(result.member("name"), covered);
        write_boolean(result.member("set"), covered.set);
        result.end();
    });
    string(predicate.member("resultsFrom"), attestation.results_from.as_str());
    write_run(predicate.member("run"), attestation, context);
    let mut step = CanonicalObject::begin(predicate.member("step"));
    write_number(step.member("count"), attestation.step_count.into());
    write_number(step.member("index"), attestation.step_index.into());
    string(step.member("name"), context.step);
    step.end();
    let mut times = CanonicalObject::begin(predicate.member("times"));
    write_number(times.member("delayMs"), whole_milliseconds(attestation.delay));
    write_number(times.member("durationMs"), whole_milliseconds(attestation.duration));
    write_number(times.member("startedMs"), attestation.started.get());
    times.end();
    predicate.end();
}

fn write_outcome(out: &mut String, attestation: &Attestation) {
    let mut outcome = CanonicalObject::begin(out);
    write_boolean(outcome.member("continued"), attestation.outcome.continued);
    match attestation.outcome.ended {
        Ended::Exited(code) => write_number(outcome.member("exitCode"), code.into()),
        Ended::Signal(signal) => {
            string(outcome.member("ended"), "signal");
            write_number(outcome.member("signal"), signal.into());
        }
        Ended::Timeout => string(outcome.member("ended"), "timeout"),
        Ended::Cancelled => string(outcome.member("ended"), "cancelled"),
        Ended::Skipped => string(outcome.member("ended"), "skipped"),
        Ended::NotStarted => string(outcome.member("ended"), "not-started"),
    }
    write_boolean(outcome.member("tep0089"), attestation.tep0089);
    outcome.end();
}

fn write_run(out: &mut String, attestation: &Attestation, context: &Context<'_>) {
    let mut run = CanonicalObject::begin(out);
    string(run.member("namespace"), &attestation.namespace);
    string(run.member("taskRun"), &attestation.task_run);
    string(run.member("trustDomain"), context.trust_domain);
    if let Some(uid) = &attestation.task_run_uid {
        string(run.member("uid"), &uuid(uid));
    }
    run.end();
}

fn write_subject_name(out: &mut String, covered: &Covered) {
    out.push('"');
    out.push_str(covered.kind.as_str());
    out.push('/');
    escaped(out, &covered.name);
    out.push('"');
}

fn write_digest(out: &mut String, sha256: &[u8; 32]) {
    out.push_str("{\"sha256\":\"");
    push_hex(out, sha256);
    out.push_str("\"}");
}

fn write_number(out: &mut String, number: u64) {
    // Writing to a String does not fail.
    let _ = write!(out, "{number}");
}

fn write_boolean(out: &mut String, value: bool) {
    out.push_str(if value { "true" } else { "false" });
}

/// A UUID in its usual form: 8-4-4-4-12 lower-case hexadecimal digits.
pub fn uuid(uid: &[u8; 16]) -> String {
    let mut out = String::with_capacity(36);
    for (i, part) in [&uid[..4], &uid[4..6], &uid[6..8], &uid[8..10], &uid[10..]].into_iter().enumerate() {
        out.push_str(if i > 0 { "-" } else { "" });
        push_hex(&mut out, part);
    }
    out
}
