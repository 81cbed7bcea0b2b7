//! Evidence in TEP-0089 form that others made: the values printed in the TEP, and TaskRuns of a real cluster.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::{Value, json};
use svidence::{
    evidence::{
        key::SigningKey,
        statement::pre_authentication_encoding,
        tep0089::{self, Tep0089Error},
    },
    tekton::{taskrun::TaskRun, value},
    verify::{Policy, Report, Trust, Verdict, verify},
    workload::{bundle::X509Bundle, id::TrustDomain, svid_rules::check_leaf},
};
use unixtime::UnixSeconds;
use x509::{Certificate, pem};
use x509_parser::pem::Pem;
use zeroize::Zeroizing;

fn der(pem: &str) -> Vec<u8> {
    Pem::iter_from_buffer(pem.as_bytes()).next().unwrap().unwrap().contents
}

#[test]
fn the_signatures_printed_in_the_tep_verify() {
    let entries: Vec<Value> =
        serde_json::from_str(include_str!("../../testdata/tep-0089/message.json")).unwrap();
    let text =
        |key: &str| entries.iter().find(|entry| entry["key"] == key).unwrap()["value"].as_str().unwrap();
    let leaf = Certificate::parse(&der(text("SVID"))).unwrap();
    let id = check_leaf(&leaf).unwrap();
    assert_eq!(id.to_string(), "spiffe://example.org/ns/default/taskrun/non-falsifiable-provenance");
    assert_eq!(pem::encode(leaf.der()), text("SVID"), "our PEM is theirs, byte for byte");
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, leaf.public_key_bits());
    for name in ["foo", "bar", "RESULT_MANIFEST"] {
        let signature = STANDARD.decode(text(&format!("{name}.sig"))).unwrap();
        let signed = value::decode(text(name)).tep0089_text();
        assert!(key.verify(signed.as_bytes(), &signature).is_ok(), "{name}");
        assert!(key.verify(format!("{signed}x").as_bytes(), &signature).is_err(), "{name}, altered");
    }
}

#[test]
fn our_entries_have_tektons_names_order_and_encoding() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/spire/p256-self");
    let leaf = der(&fs::read_to_string(format!("{folder}/svid.pem")).unwrap());
    let key = SigningKey::from_pkcs8(&Zeroizing::new(der(
        &fs::read_to_string(format!("{folder}/key.pem")).unwrap()
    )));
    let results = [("foo", "hello"), ("x.sig", "y"), ("list", "[\"a\",\"b\"]")];
    let (key, random) = (key.unwrap(), ring::rand::SystemRandom::new());
    let entries = tep0089::entries(&results, &["foo", "x.sig", "list"], &leaf, &key, &random).unwrap();
    let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["SVID", "foo.sig", "x.sig.sig", "list.sig", "RESULT_MANIFEST", "RESULT_MANIFEST.sig"]);
    assert_eq!(entries[4].1, "foo,list", "the manifest leaves out names that end in .sig");
}

#[test]
fn a_value_that_would_pass_for_an_attestation_is_never_signed_bare() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/spire/p256-self");
    let leaf = der(&fs::read_to_string(format!("{folder}/svid.pem")).unwrap());
    let key = der(&fs::read_to_string(format!("{folder}/key.pem")).unwrap());
    let key = SigningKey::from_pkcs8(&Zeroizing::new(key)).unwrap();
    let random = ring::rand::SystemRandom::new();
    let statement = pre_authentication_encoding("{}");
    let statement = std::str::from_utf8(&statement).unwrap();
    let (listed, quoted) = (json!([statement]).to_string(), json!(statement).to_string());
    for (case, value) in
        [("plain", statement), ("in a list", &listed), ("quoted", &quoted), ("any version", "DSSEv1 ")]
    {
        let entries = tep0089::entries(&[("title", value)], &["title"], &leaf, &key, &random);
        assert_eq!(entries, Err(Tep0089Error::Oracle("title".into())), "{case}");
    }
}

#[test]
fn names_that_collide_with_the_entries_are_found() {
    for (names, collision) in [
        (&["foo", "bar"][..], None),
        (&["x.sig"][..], None),
        (&["foo", "foo.sig"][..], Some("foo.sig")),
        (&["SVID"][..], Some("SVID")),
        (&["RESULT_MANIFEST"][..], Some("RESULT_MANIFEST")),
        (&["RESULT_MANIFEST.sig"][..], Some("RESULT_MANIFEST.sig")),
    ] {
        assert_eq!(tep0089::collision(names), collision, "{names:?}");
    }
}

fn real(name: &str) -> (Value, Trust) {
    let folder = format!("{}/testdata/taskruns/{name}", env!("CARGO_MANIFEST_DIR"));
    let object: Value =
        serde_json::from_str(&fs::read_to_string(format!("{folder}/taskrun.json")).unwrap()).unwrap();
    let bundle = fs::read_to_string(format!("{folder}/bundle.pem")).unwrap();
    let trust = Trust {
        bundle: X509Bundle::from_pem(TrustDomain::new("example.org").unwrap(), &bundle).unwrap(),
        intermediates: Vec::new(),
        now: UnixSeconds::new(1_795_500_000),
        at: None,
        clock_skew: std::time::Duration::from_secs(10),
    };
    (object, trust)
}

fn judge(object: &Value, trust: &Trust) -> Report {
    let policy = Policy { accept_tep0089: true, ..Policy::default() };
    verify(&TaskRun::from_value(object.clone()).unwrap(), trust, &policy)
}

#[test]
fn taskruns_of_a_real_cluster_get_the_verdict_they_deserve() {
    for (name, verdict, results) in [
        ("signed-simple", Verdict::Weak, &["digest", "images", "meta"][..]),
        // The result taken from a step result has no signature, and the first step's manifest is Tekton's empty one.
        ("signed-stepresult", Verdict::Weak, &["version", "stdout"][..]),
        ("other-sidecar-logs-unsigned", Verdict::Absent, &[]),
        ("truncated-plain", Verdict::Unchecked, &[]),
    ] {
        let (object, trust) = real(name);
        let report = judge(&object, &trust);
        assert_eq!(report.verdict, verdict, "{name}: {:?}", report.findings);
        let found: Vec<String> =
            report.proof.iter().flat_map(|proof| &proof.results).map(|result| result.name.clone()).collect();
        assert_eq!(found, results, "{name}");
        // What is left out is a result, and none of the entries that sign results.
        let left_out: Vec<&str> =
            report.notes.iter().filter_map(|note| note.strip_suffix("; it is left out")).collect();
        let expected: &[&str] =
            if name == "signed-stepresult" { &["result from-step has no signature"] } else { &[] };
        assert_eq!(left_out, expected, "{name}");
    }
}

#[test]
fn weak_evidence_does_not_survive_a_changed_value_or_another_run() {
    let (object, trust) = real("signed-simple");
    type Alteration = fn(&mut Value);
    let alterations: [(&str, Alteration); 4] = [
        ("another name", |run| run["metadata"]["name"] = json!("other")),
        ("another namespace", |run| run["metadata"]["namespace"] = json!("other")),
        ("a changed value", |run| {
            let message =
                run["status"]["steps"][2]["terminated"]["message"].as_str().unwrap().replace("0123", "3210");
            run["status"]["steps"][2]["terminated"]["message"] = json!(message);
        }),
        ("a changed value in the status alone", |run| {
            run["status"]["results"][3]["value"] = json!("sha256:bad");
        }),
    ];
    for (case, alter) in alterations {
        let mut altered = object.clone();
        alter(&mut altered);
        assert_eq!(judge(&altered, &trust).verdict, Verdict::Invalid, "{case}");
    }
}

#[test]
fn an_issuer_that_nobody_knows_leaves_weak_evidence_unchecked() {
    let (object, mut trust) = real("signed-simple");
    // The form has no room for intermediates: a missing one contradicts nothing.
    let strangers = format!("{}/testdata/spire/p256-self/bundle.pem", env!("CARGO_MANIFEST_DIR"));
    let strangers = fs::read_to_string(strangers).unwrap();
    trust.bundle = X509Bundle::from_pem(TrustDomain::new("example.org").unwrap(), &strangers).unwrap();
    let report = judge(&object, &trust);
    assert_eq!(report.verdict, Verdict::Unchecked, "{:?}", report.findings);
    assert!(
        report.findings.iter().all(|finding| finding.code() == "unknown-issuer"),
        "{:?}",
        report.findings
    );
}
