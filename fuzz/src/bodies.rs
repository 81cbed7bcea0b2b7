//! One function for each fuzz target: what must hold for any input at all, beyond that nothing panics.
//!
//! Bounds on time and memory are the runner's: `make fuzz` sets them for libFuzzer, `tests/fuzz_corpus.rs` measures.

// The tests that replay the corpus have it among their own, too.
#[allow(clippy::duplicate_mod)]
#[path = "../../tests/support/readers.rs"]
mod readers;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use svidence::{
    evidence::{
        attestation::{Attestation, PREFIX},
        leaf::{CompactLeaf, Issuer},
        sha256,
        statement::{Context, statement},
    },
    sources::{source::Source, walk::for_each},
    standin::taskrun::{RunSpec, StepReport, assemble},
    tekton::{
        strict::yaml::{Dates, documents},
        taskrun::TaskRun,
    },
    verify::{ChainsKeys, Policy, Report, Trust, VerifiedResult, prove::time::TimeStamps, verify},
    workload::{
        bundle::X509Bundle,
        id::TrustDomain,
        svid_rules::{check_authority, check_leaf},
    },
};
use time::OffsetDateTime;
use unixtime::UnixMillis;
use unixtime::UnixSeconds;
use x509::{
    Certificate, pem,
    time_stamp::{MAX_TOKEN, TimeStamp},
};

/// What runs on an input; it panics if something does not hold.
pub type Body = fn(&[u8]);

/// Name and function of every target.
pub const TARGETS: [(&str, Body); 8] = [
    ("attestation", attestation),
    ("message", message),
    ("bundle", bundle),
    ("certificate", certificate),
    ("taskrun", taskrun),
    ("chains", chains),
    ("token", token),
    ("yaml", yaml),
];

/// A genuine TaskRun that the entrypoint left, and the bundle it was signed under.
pub const GENUINE: &str = include_str!("../../testdata/fuzz/genuine.json");
pub const BUNDLE: &str = include_str!("../../testdata/fuzz/bundle.pem");

/// The key of a real Tekton Chains.
const CHAINS_KEY: &str = include_str!("../../testdata/chains/real/key.pub");

/// Throw-away TSAs, and their tokens of `svidence`, made by OpenSSL.
const TSAS: &str = include_str!("../../testdata/fuzz/tsa.pem");
const TOKENS: [&[u8]; 4] = [
    include_bytes!("../../testdata/fuzz/token/rsa.tsr"),
    include_bytes!("../../testdata/fuzz/token/rsa-bare.der"),
    include_bytes!("../../testdata/fuzz/token/ec.tsr"),
    include_bytes!("../../testdata/fuzz/token/ec-bare.der"),
];

const ID: &str = "spiffe://example.org/ns/default/taskrun/fuzzed";
/// DER of the subject `C=US`.
const SUBJECT: &[u8] = b"\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02US";

fn trust_domain() -> TrustDomain {
    TrustDomain::new("example.org").expect("it is one")
}

/// The value of an attestation entry, or the bytes that it carries in base64; and the same bytes as a compact leaf.
pub fn attestation(data: &[u8]) {
    let value = match std::str::from_utf8(data) {
        Ok(text) if text.starts_with(PREFIX) => text.to_owned(),
        _ => format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(data)),
    };
    if let Ok(read) = Attestation::from_value(&value) {
        assert_eq!(read.to_value(), value, "an attestation has one encoding");
        assert!(read.signed_at() <= UnixMillis::new(1 << 53), "its times survive any JSON reader");
        let context = Context {
            trust_domain: "example.org",
            step: "build",
            results: &read.results,
            leaf: sha256(&read.leaf),
        };
        let statement = statement(&read, context);
        assert!(statement.len() <= 16 * value.len() + 4096, "{} of {}", statement.len(), value.len());
        let json: Value = serde_json::from_str(&statement).expect("the statement is JSON");
        assert_eq!(json["subject"].as_array().map(Vec::len), Some(read.results.len()));
        compact_leaf(&read.leaf);
    }
    compact_leaf(data);
}

fn compact_leaf(bytes: &[u8]) {
    let Ok(leaf) = CompactLeaf::from_bytes(bytes) else { return };
    assert_eq!(leaf.to_bytes(), bytes, "a compact leaf has one encoding");
    let key_id = [&leaf.issuer_hint[..], &[0; 16]].concat();
    let issuer = Issuer { name: SUBJECT, key_id: &key_id };
    let Ok(der) = leaf.to_der(ID, &[], issuer) else { return };
    assert!(der.len() <= bytes.len() + 1024, "{} from {}", der.len(), bytes.len());
    if let Ok(certificate) = Certificate::parse(&der) {
        assert_eq!(certificate.der(), der);
        if let Some(again) = CompactLeaf::of(&certificate, ID, &[], leaf.dns, issuer) {
            assert_eq!(again, leaf, "the certificate has one compact form");
        }
    }
}

/// A step's termination message, as the entrypoint or the step wrote it, through the controller's eyes to the verifier's.
pub fn message(data: &[u8]) {
    let epoch = OffsetDateTime::UNIX_EPOCH;
    let spec = RunSpec {
        namespace: "default".into(),
        name: "fuzzed".into(),
        uid: "78322e13-a738-4556-be59-2b2445332751".into(),
        pod_name: "fuzzed-pod".into(),
        created: epoch,
        task_spec: serde_json::json!({"steps": [{"name": "build"}]}),
    };
    let of = |message: &[u8]| {
        let report = StepReport {
            name: "build".into(),
            message: message.to_vec(),
            exit_code: 0,
            started: epoch,
            finished: epoch,
        };
        assemble(&spec, &[report])
    };
    let mut object = of(data);
    let length = object.to_string().len();
    assert!(length <= 64 * (data.len() + (128 << 10)), "{length} from {}", data.len());
    let message =
        object["status"]["steps"][0]["terminated"]["message"].as_str().unwrap_or_default().to_owned();
    if message.starts_with('[') && !data.starts_with(message.as_bytes()) {
        let again = of(message.as_bytes());
        assert_eq!(
            again["status"]["steps"][0]["terminated"]["message"], message,
            "the controller's own message stands"
        );
    }
    not_accepted(object.clone());
    object["status"]["steps"][0]["terminated"]["message"] = String::from_utf8_lossy(data).into();
    not_accepted(object);
}

/// A trust bundle's file in any of its forms.
pub fn bundle(data: &[u8]) {
    let Ok((bundle, _)) = X509Bundle::from_file_contents(trust_domain(), data) else { return };
    assert!(!bundle.authorities().is_empty(), "a bundle is never empty");
    let mut written = String::new();
    for authority in bundle.authorities() {
        let carried = check_authority(authority).expect("an authority is one");
        assert!(carried.is_none_or(|carried| carried == trust_domain()), "it is of the stated trust domain");
        assert!(authority.der().len() <= data.len());
        written.push_str(&pem::encode(authority.der()));
    }
    let again = X509Bundle::from_pem(trust_domain(), &written).expect("what was read can be written");
    assert_eq!(again.authorities(), bundle.authorities(), "each authority stands once");
}

/// A certificate's DER.
pub fn certificate(data: &[u8]) {
    let Ok(read) = Certificate::parse(data) else { return };
    assert_eq!(read.der(), data, "it is all of the input");
    for part in
        [read.tbs_der(), read.issuer_der(), read.subject_der(), read.spki_der(), read.public_key_bits()]
    {
        assert!(
            part.is_empty() || data.windows(part.len()).any(|window| window == part),
            "its parts are parts of it"
        );
    }
    let (leaf, authority) = (check_leaf(&read), check_authority(&read));
    assert!(leaf.is_err() || authority.is_err(), "it is a leaf or an authority, not both");
    if let Ok(id) = leaf {
        assert_eq!(read.uri_sans(), [id.to_string()], "it has one reading of its identity");
        let key_id = read.authority_key_id().unwrap_or_default().to_vec();
        let issuer = Issuer { name: read.issuer_der(), key_id: &key_id };
        let compact = CompactLeaf::of(
            &read,
            &id.to_string(),
            read.dns_sans(),
            svidence::evidence::leaf::DnsForm::Plain,
            issuer,
        );
        if let Some(compact) = compact {
            let carried = CompactLeaf::from_bytes(&compact.to_bytes()).expect("what was written can be read");
            assert_eq!(carried.to_der(&id.to_string(), read.dns_sans(), issuer).as_deref(), Ok(data));
        }
    }
}

/// What Tekton Chains attests of runs: statements, envelopes and bundles, one or many; also as the payload of an envelope, and as the
/// attestation in the annotations of the genuine TaskRun. Nobody gave a name that it does not carry, so no run may be believed but the
/// genuine one.
pub fn chains(data: &[u8]) {
    static KEYS: OnceLock<ChainsKeys> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let mut keys = ChainsKeys::default();
        keys.trust_pem(CHAINS_KEY).expect("it is a key");
        keys
    });
    taskrun(data);
    let envelope = json!({
        "payloadType": "application/vnd.in-toto+json",
        "payload": STANDARD.encode(data),
        "signatures": [{"sig": ""}],
    });
    taskrun(envelope.to_string().as_bytes());
    let mut object: Value = serde_json::from_str(GENUINE).expect("it is JSON");
    let uid = object["metadata"]["uid"].as_str().expect("it has one");
    let name = format!("chains.tekton.dev/signature-taskrun-{uid}");
    let metadata = object["metadata"].as_object_mut().expect("it is an object");
    metadata.insert("annotations".to_owned(), json!({name: STANDARD.encode(data)}));
    let object = TaskRun::from_value(object).expect("it is a TaskRun");
    let report = judge_by(&object, Policy { chains_keys: keys.clone(), ..policy() });
    assert!(report.proof.is_none(), "Chains signed nothing of the genuine TaskRun");
}

/// A document with TaskRuns.
pub fn taskrun(data: &[u8]) {
    let mut found = 0;
    for_each(Source::files(&[PathBuf::from("-")], &mut &data[..]), &mut |_, object| {
        found += 1;
        let Ok(object) = object else { return };
        let report = judge(&object);
        let Some(proof) = report.proof else { return };
        assert_eq!(report.task_run, genuine().task_run, "only the genuine TaskRun is accepted");
        assert!(
            proof.results.iter().all(is_genuine),
            "and only with its results, of which a partial object may lack some: {:?}",
            proof.results
        );
        assert_eq!(proof.basis.steps().map(|step| step.name.clone()).collect::<Vec<_>>(), genuine().steps);
    });
    assert!(found <= data.len().max(1), "{found} objects in {} bytes", data.len());
}

fn is_genuine(result: &VerifiedResult) -> bool {
    let mut results = genuine().results.iter();
    results.any(|own| own.value == result.value && (own.name == result.name || result.name_is_claimed))
}

/// A time-stamp token, or the TSA's answer that holds one.
pub fn token(data: &[u8]) {
    static TRUSTED: OnceLock<(TimeStamps, Vec<TimeStamp>)> = OnceLock::new();
    let (trusted, genuine) = TRUSTED.get_or_init(|| {
        let mut trusted = TimeStamps::default();
        trusted.trust_pem(TSAS).expect("they are certificates");
        let check = |token: &[u8]| trusted.check(token, b"svidence").expect("it is genuine");
        let genuine = TOKENS.map(check).to_vec();
        (trusted, genuine)
    });
    if let Ok(stamp) = trusted.check(data, b"svidence") {
        assert!(genuine.contains(&stamp), "only what a TSA said counts: {stamp:?}");
    }
    let of_another = trusted.check(data, b"another");
    assert!(of_another.is_err(), "and only for what it said it of");
    let mut kept = TimeStamps::default();
    if kept.add(data).is_ok() {
        assert!(data.len() <= MAX_TOKEN, "{} bytes", data.len());
    }
}

struct Genuine {
    task_run: String,
    results: Vec<VerifiedResult>,
    steps: Vec<String>,
}

fn genuine() -> &'static Genuine {
    static GENUINE_REPORT: OnceLock<Genuine> = OnceLock::new();
    GENUINE_REPORT.get_or_init(|| {
        let object = serde_json::from_str(GENUINE).expect("it is JSON");
        let report = judge(&TaskRun::from_value(object).expect("it is a TaskRun"));
        let proof = report.proof.expect("it is verified");
        let steps = proof.basis.steps().map(|step| step.name.clone()).collect();
        Genuine { task_run: report.task_run, results: proof.results, steps }
    })
}

/// The verdict at the time of the genuine TaskRun, under a policy that accepts weak evidence.
fn judge(object: &TaskRun) -> Report {
    judge_by(object, policy())
}

fn policy() -> Policy {
    Policy { accept_tep0089: true, accept_unproven_time: true, accept_not_carried: true, ..Policy::default() }
}

fn judge_by(object: &TaskRun, by: Policy) -> Report {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    let trust = TRUST.get_or_init(|| {
        let genuine: Value = serde_json::from_str(GENUINE).expect("it is JSON");
        let completed = genuine["status"]["completionTime"].as_str().and_then(UnixSeconds::parse);
        Trust {
            bundle: X509Bundle::from_pem(trust_domain(), BUNDLE).expect("it is a bundle"),
            intermediates: Vec::new(),
            now: completed.expect("it has ended"),
            at: None,
            clock_skew: std::time::Duration::from_secs(10),
        }
    });
    verify(object, trust, &by)
}

fn not_accepted(object: Value) {
    if let Ok(object) = TaskRun::from_value(object) {
        let report = judge(&object);
        assert!(!report.accepted && report.proof.is_none(), "{:?}", report.verdict);
    }
}

/// A text of YAML: what is read of it does not depend on how its lines end, and Go reads the same. `SVIDENCE_READER` names the
/// peer `tekton-reader`; without it Go is not asked.
pub fn yaml(data: &[u8]) {
    static GO: OnceLock<Option<Mutex<readers::Reader>>> = OnceLock::new();
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = documents(text, Dates::Refused) else { return };
    if !text.contains('\r') {
        assert_eq!(documents(&text.replace('\n', "\r\n"), Dates::Refused).as_ref(), Ok(&read));
    }
    let go = GO.get_or_init(|| {
        let peer = std::env::var_os("SVIDENCE_READER")?;
        Some(Mutex::new(readers::Reader::go(Path::new(&peer))))
    });
    if let (Some(go), Some(first)) = (go, read.first()) {
        let answers = go.lock().expect("nobody panicked").answers("yaml", &[text]);
        assert_eq!(answers[0].as_ref(), Ok(first), "Go reads the same");
    }
}
