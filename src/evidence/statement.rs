//! The in-toto Statement v1 that is signed: built by signer and verifier from the same facts, never carried.
//!
//! Sources of the rule: in-toto attestation `spec/v1/statement.md`, DSSE `protocol.md` (pre-authentication encoding),
//! RFC 8785 (canonical JSON).

use super::{
    attestation::{Attestation, Covered, Ended, Form, Kind},
    canonical,
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
    let subject = array(&results, |covered| {
        object([
            ("digest", sha256_object(&covered.digest)),
            ("name", canonical::quoted(&subject_name(covered))),
        ])
    });
    object([
        ("_type", canonical::quoted("https://in-toto.io/Statement/v1")),
        ("predicate", predicate(attestation, &context, &results)),
        ("predicateType", canonical::quoted(PREDICATE_TYPE)),
        ("subject", subject),
    ])
}

/// The DSSE pre-authentication encoding of a statement: these bytes are signed.
pub fn pre_authentication_encoding(statement: &str) -> Vec<u8> {
    format!(
        "{PRE_AUTHENTICATION_PREFIX}{} {PAYLOAD_TYPE} {} {statement}",
        PAYLOAD_TYPE.len(),
        statement.len()
    )
    .into_bytes()
}

fn predicate(attestation: &Attestation, context: &Context<'_>, results: &[&Covered]) -> String {
    let mut members = vec![
        ("declared", canonical::quoted(&hex(&attestation.declared))),
        ("form", canonical::quoted(if attestation.form == Form::Hints { "hints" } else { "digests" })),
        ("leaf", sha256_object(&context.leaf)),
        ("outcome", outcome(attestation)),
        ("resultsFrom", canonical::quoted(attestation.results_from.as_str())),
        ("run", run(attestation, context)),
        (
            "step",
            object([
                ("count", attestation.step_count.to_string()),
                ("index", attestation.step_index.to_string()),
                ("name", canonical::quoted(context.step)),
            ]),
        ),
        (
            "times",
            object([
                ("delayMs", attestation.delay.to_string()),
                ("durationMs", attestation.duration.to_string()),
                ("startedMs", attestation.started.to_string()),
            ]),
        ),
        (
            "results",
            array(results, |covered| {
                let mut members = vec![
                    ("name", canonical::quoted(&subject_name(covered))),
                    ("set", covered.set.to_string()),
                ];
                if let Some(decoded) = &covered.decoded {
                    members.push(("decoded", sha256_object(decoded)));
                }
                object(members)
            }),
        ),
    ];
    if let Some(pod) = pod(attestation) {
        members.push(("pod", pod));
    }
    let artifacts: Vec<(Kind, [u8; 32])> = [
        attestation.task_artifacts.map(|digest| (Kind::Task, digest)),
        attestation.step_artifacts.map(|digest| (Kind::Step, digest)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !artifacts.is_empty() {
        members.push((
            "artifacts",
            array(&artifacts, |(kind, digest)| {
                object([("digest", sha256_object(digest)), ("kind", canonical::quoted(kind.as_str()))])
            }),
        ));
    }
    object(members)
}

fn outcome(attestation: &Attestation) -> String {
    let mut members = Vec::new();
    match attestation.outcome.ended {
        Ended::Exited(code) => members.push(("exitCode", code.to_string())),
        Ended::Signal(signal) => {
            members.push(("ended", canonical::quoted("signal")));
            members.push(("signal", signal.to_string()));
        }
        Ended::Timeout => members.push(("ended", canonical::quoted("timeout"))),
        Ended::Cancelled => members.push(("ended", canonical::quoted("cancelled"))),
        Ended::Skipped => members.push(("ended", canonical::quoted("skipped"))),
        Ended::NotStarted => members.push(("ended", canonical::quoted("not-started"))),
    }
    members.push(("continued", attestation.outcome.continued.to_string()));
    members.push(("tep0089", attestation.tep0089.to_string()));
    object(members)
}

fn run(attestation: &Attestation, context: &Context<'_>) -> String {
    let mut members = vec![
        ("namespace", canonical::quoted(&attestation.namespace)),
        ("taskRun", canonical::quoted(&attestation.task_run)),
        ("trustDomain", canonical::quoted(context.trust_domain)),
    ];
    if let Some(uid) = &attestation.task_run_uid {
        members.push(("uid", canonical::quoted(&uuid(uid))));
    }
    object(members)
}

fn pod(attestation: &Attestation) -> Option<String> {
    let mut members = Vec::new();
    if let Some(name) = attestation.pod_name.resolve(&attestation.task_run) {
        members.push(("name", canonical::quoted(&name)));
    }
    if let Some(uid) = &attestation.pod_uid {
        members.push(("uid", canonical::quoted(&uuid(uid))));
    }
    (!members.is_empty()).then(|| object(members))
}

fn subject_name(covered: &Covered) -> String {
    format!("{}/{}", covered.kind.as_str(), covered.name)
}

fn sha256_object(digest: &[u8; 32]) -> String {
    object([("sha256", canonical::quoted(&hex(digest)))])
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut out = String::new();
    canonical::object(&mut out, members.into_iter());
    out
}

fn array<T>(items: &[T], item: impl Fn(&T) -> String) -> String {
    let mut out = String::new();
    canonical::array(&mut out, items, |out, value| out.push_str(&item(value)));
    out
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A UUID in its usual form: 8-4-4-4-12 lower-case hexadecimal digits.
pub fn uuid(uid: &[u8; 16]) -> String {
    let hex = hex(uid);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
