//! `svidence inspect`: everything that evidence says is shown, broken evidence too, and no verdict.

use crate::support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use support::{
    command::{Ran, path, svidence_to},
    signed::{Cluster, trust},
};
use svidence::{standin::taskrun::assemble, tekton::taskrun::TaskRun, verify::inspect::inspect};

fn run(args: &[&str]) -> Ran {
    svidence_to(&[&["inspect"], args].concat(), Stdio::piped())
}

fn with_bundle() -> [String; 4] {
    ["--trust-domain".into(), "example.org".into(), "--bundle".into(), path("bundle.pem")]
}

fn run_with_bundle(source: &str, more: &[&str]) -> Ran {
    let trust = with_bundle();
    let mut args = vec![source];
    args.extend(trust.iter().map(String::as_str));
    args.extend(more);
    run(&args)
}

fn genuine() -> Value {
    serde_json::from_str(&fs::read_to_string(path("taskrun.json")).unwrap()).unwrap()
}

fn write(folder: &Path, object: &Value) -> PathBuf {
    let path = folder.join("object.json");
    fs::write(&path, object.to_string()).unwrap();
    path
}

fn assert_fits_the_schema(line: &Value) {
    let schema =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schemas/inspect-v2.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors: Vec<String> =
        schema.iter_errors(line).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?} in {line:#}");
}

/// Sets the value of a step's attestation in its message.
fn set_attestation(object: &mut Value, step: &str, value: &str) {
    let states = object["status"]["steps"].as_array_mut().unwrap();
    let state = states.iter_mut().find(|state| state["name"] == step).unwrap();
    let message = &mut state["terminated"]["message"];
    let mut entries: Vec<Value> = serde_json::from_str(message.as_str().unwrap()).unwrap();
    let key = format!("SVIDENCE.{step}.sig");
    entries.iter_mut().find(|entry| entry["key"] == key.as_str()).unwrap()["value"] = json!(value);
    *message = json!(serde_json::to_string(&entries).unwrap());
}

fn attestation(object: &Value, step: &str) -> String {
    let key = format!("SVIDENCE.{step}.sig");
    let results = object["status"]["results"].as_array().unwrap();
    results.iter().find(|result| result["name"] == key.as_str()).unwrap()["value"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn text_shows_what_the_evidence_says_and_that_nothing_was_checked() {
    let ran = run(&[&path("taskrun.json")]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("Nothing was checked"), "{}", ran.out);
    for text in [
        "TaskRun default/build-app",
        "UID 6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70",
        "├─ step build\n│  ├─ message: ",
        "attestation with digests: ",
        "in the step's message",
        "pod: build-app-pod, UID not known",
        "step 3 of 3: exit code 0",
        "task result commit: set, sha256 49ef430a4199c62faed4ddfdef72ef9db9cfa1a6d9091865e2b35e0ca3776f0a",
        "task result digest: found, ",
        "signature: 64 bytes; certificate: C1 (compact, 12",
        "DNS name for: run",
    ] {
        assert!(ran.out.contains(text), "{text:?} in\n{}", ran.out);
    }
    for word in ["verified", "invalid", "BEGIN CERTIFICATE"] {
        assert!(!ran.out.contains(word), "{word}");
    }
    // A forgery is shown just the same.
    let forged = run(&[&path("altered-2.json")]);
    assert_eq!((forged.code, forged.err.as_str()), (0, ""));
}

#[test]
fn a_bundle_rebuilds_the_certificates() {
    let ran = run_with_bundle(&path("taskrun.json"), &[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    // The steps of a pod share one, which is shown once.
    assert_eq!(ran.out.matches("-----BEGIN CERTIFICATE-----").count(), 1, "{}", ran.out);
    let identity = "C1: spiffe://example.org/ns/default/taskrun/build-app, 6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70.taskrun.internal\n";
    assert_eq!(ran.out.matches(identity).count(), 1, "{}", ran.out);
    assert_eq!(ran.out.matches("certificate: C1 (compact, ").count(), 3, "{}", ran.out);
    let other = tempfile::NamedTempFile::new().unwrap();
    let cluster = Cluster::new("other");
    fs::write(other.path(), cluster.ca.bundle_pem()).unwrap();
    let other = other.path().to_str().unwrap();
    let ran = run(&[&path("taskrun.json"), "--trust-domain", "example.org", "--bundle", other]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("cannot be read: step build: an issuer of its certificate"), "{}", ran.out);
}

/// Every serial number in a line, without the zeros that only fill it up.
fn serials(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members
                .get("serial")
                .and_then(Value::as_str)
                .map(|serial| serial.trim_start_matches('0').to_owned());
            own.into_iter().chain(members.values().flat_map(serials)).collect()
        }
        Value::Array(items) => items.iter().flat_map(serials).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn a_compact_certificate_has_the_serial_number_of_the_one_that_is_rebuilt() {
    let line = |ran: Ran| -> Value { serde_json::from_str(ran.out.lines().next().unwrap()).unwrap() };
    let compact = serials(&line(run(&["-o", "json", &path("taskrun.json")])));
    let rebuilt = serials(&line(run_with_bundle(&path("taskrun.json"), &["-o", "json"])));
    // Of 128 random bits, in hexadecimal.
    assert!(compact.len() == 3 && compact.iter().all(|serial| serial.len() > 20), "{compact:?}");
    assert!(rebuilt.contains(&compact[0]), "{compact:?}, {rebuilt:?}");
}

#[test]
fn json_fits_its_schema_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let tep0089 = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/taskruns/signed-simple/taskrun.json");
    let cut = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/taskruns/truncated-plain/taskrun.json");
    let unsigned =
        concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/taskruns/other-sidecar-logs-unsigned/taskrun.json");
    let mut broken = genuine();
    set_attestation(&mut broken, "build", "sv1.AAAA");
    set_attestation(&mut broken, "report", "unsigned: no identity");
    let broken = write(folder.path(), &broken);
    let mut reasons = genuine();
    for step in ["build", "images", "report"] {
        set_attestation(&mut reasons, step, "unsigned: no identity");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let only_reasons = write(elsewhere.path(), &reasons);
    for (case, source, evidence) in [
        ("attestations", path("taskrun.json"), "attestation"),
        ("broken ones", broken.to_str().unwrap().to_owned(), "attestation"),
        ("Tekton's own form", tep0089.to_owned(), "tep-0089"),
        ("only reasons", only_reasons.to_str().unwrap().to_owned(), "unsigned"),
        ("messages that were cut", cut.to_owned(), "none"),
        ("nothing", unsigned.to_owned(), "none"),
    ] {
        for ran in [run(&[&source, "-o", "json"]), run_with_bundle(&source, &["-o", "json"])] {
            assert_eq!(ran.code, 0, "{case}: {}", ran.err);
            let line: Value = serde_json::from_str(&ran.out).unwrap();
            assert_fits_the_schema(&line);
            assert_eq!((&line["evidence"], &line["checked"]), (&json!(evidence), &json!(false)), "{case}");
            assert!(!line["steps"].as_array().unwrap().is_empty(), "{case}");
        }
    }
}

#[test]
fn broken_evidence_is_named_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut object = genuine();
    set_attestation(&mut object, "build", &attestation(&genuine(), "build")[..200]);
    set_attestation(&mut object, "images", "unsigned: no identity\u{1b}[2J");
    let states = object["status"]["steps"].as_array_mut().unwrap();
    states[2]["terminated"]["message"] = json!("[{\"key\":\"report\",\"val");
    let ran = run(&[write(folder.path(), &object).to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for text in [
        "cannot be read: its attestation (200 bytes): ",
        "it could not sign; it gives this reason: no identity\\u{1b}[2J",
        "cannot be read: step report: its termination message cannot be read",
        "in status.results",
    ] {
        assert!(ran.out.contains(text), "{text:?} in\n{}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'), "{:?}", ran.out);
}

#[test]
fn tekton_s_own_form_is_shown_with_certificate_and_names() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/taskruns/signed-simple/taskrun.json");
    let ran = run(&[source]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for text in [
        "evidence: tep-0089",
        "manifest: digest, images",
        "signatures for: RESULT_MANIFEST, digest, images",
        "C1: spiffe://example.org/ns/default/taskrun/simple\n",
        "P-256 key, valid from 2026-11-22T05:29:56Z until 2026-11-22T06:30:06Z",
        "certificate: C1\n",
    ] {
        assert!(ran.out.contains(text), "{text:?} in\n{}", ran.out);
    }
    let mut object: Value = serde_json::from_str(&fs::read_to_string(source).unwrap()).unwrap();
    for state in object["status"]["steps"].as_array_mut().unwrap() {
        state["terminated"].as_object_mut().unwrap().remove("message");
    }
    let folder = tempfile::tempdir().unwrap();
    let ran = run(&[write(folder.path(), &object).to_str().unwrap()]);
    assert!(ran.out.contains("manifest: digest, images"), "from the results of the status:\n{}", ran.out);
}

#[test]
fn envelopes_are_printed_where_the_statement_can_be_rebuilt() {
    let ran = run_with_bundle(&path("taskrun.json"), &["-o", "dsse"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let bundle = path("bundle.pem");
    let verified = svidence_to(
        &[
            "verify",
            &path("taskrun.json"),
            "--trust-domain",
            "example.org",
            "--bundle",
            &bundle,
            "-o",
            "dsse",
        ],
        Stdio::piped(),
    );
    assert_eq!(ran.out, verified.out, "the same as verify's, which openssl checks");
    assert_eq!(ran.out.lines().count(), 3);
    let folder = tempfile::tempdir().unwrap();
    let mut object = genuine();
    set_attestation(&mut object, "build", "sv1.AAAA");
    set_attestation(&mut object, "images", "unsigned: no identity");
    let broken = write(folder.path(), &object);
    let ran = run_with_bundle(broken.to_str().unwrap(), &["-o", "dsse"]);
    assert_eq!((ran.code, ran.out.lines().count()), (3, 1), "{}", ran.err);
    for text in ["step build: its attestation (8 bytes)", "step images: it could not sign: no identity"] {
        assert!(ran.err.contains(text), "{text:?} in {}", ran.err);
    }
    // Another step's attestation is not what this step signed.
    let mut object = genuine();
    set_attestation(&mut object, "build", &attestation(&genuine(), "images"));
    let swapped = write(folder.path(), &object);
    let ran = run_with_bundle(swapped.to_str().unwrap(), &["-o", "dsse"]);
    assert_eq!((ran.code, ran.out.lines().count()), (3, 2), "{}", ran.err);
    assert!(ran.err.contains("step build: its statement cannot be rebuilt"), "{}", ran.err);
}

#[test]
fn bad_input_and_bad_output_are_not_a_success() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let object = path("taskrun.json");
    for (case, args, code, text) in [
        ("no such file", vec!["/nowhere"], 3, "there is no such file"),
        ("an empty folder", vec![empty], 3, "no TaskRun found"),
        (
            "dsse without a bundle",
            vec![object.as_str(), "-o", "dsse"],
            64,
            "needs --trust-domain and --bundle",
        ),
        (
            "half of what rebuilding needs",
            vec![object.as_str(), "--trust-domain", "example.org"],
            64,
            "--bundle",
        ),
        ("an unknown format", vec![object.as_str(), "-o", "sarif"], 64, "sarif"),
        ("no source", vec![], 64, "TASKRUN"),
    ] {
        let ran = run(&args);
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
        assert!(ran.err.contains(text), "{case}: {}", ran.err);
    }
    for format in ["text", "json", "dsse"] {
        let trust = with_bundle();
        let mut args = vec!["inspect", &object, "-o", format];
        args.extend(trust.iter().map(String::as_str));
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = svidence_to(&args, full.into());
        assert_eq!(ran.code, 3, "{format}: {}", ran.err);
        assert!(ran.err.contains("standard output could not be written"), "{format}: {}", ran.err);
    }
}

#[test]
fn hints_are_shown_with_the_names_that_have_them() {
    let cluster = Cluster::new("hints");
    let pod = cluster.pod(&["build"], &[("svidence-containers", "14")]);
    let step = pod.step(0).results(&["digest", "list", "a", "b", "c", "d"]);
    let outcome = step
        .script("printf sha256:0123 >$RESULTS/digest; printf '[\"a\"]' >$RESULTS/list; cd $RESULTS; touch a b c d")
        .signed(&cluster.agent.address())
        .run();
    assert_eq!(outcome.output.status.code(), Some(0), "{}", outcome.stderr());
    let results = json!([
        {"name": "digest"}, {"name": "list", "type": "array"}, {"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"},
    ]);
    let object =
        assemble(&cluster.spec(json!({"results": results, "steps": [{"name": "build"}]})), &[outcome.report]);
    let trust = trust(&cluster.ca.bundle_pem());
    let inspected = |object: &Value| {
        let inspection = inspect(&TaskRun::from_value(object.clone()).unwrap(), Some(&trust));
        (inspection.steps[0].envelope().is_some(), serde_json::to_value(&inspection).unwrap())
    };
    let (rebuilt, facts) = inspected(&object);
    let attestation = &facts["steps"][0]["attestation"];
    assert!(rebuilt, "{facts:#}");
    assert_eq!(attestation["form"], "hints");
    let results = attestation["results"].as_array().unwrap();
    let mut hinted: Vec<&str> = results
        .iter()
        .filter(|result| result.get("hint").is_some())
        .map(|result| result["names"][0].as_str().unwrap())
        .collect();
    hinted.sort_unstable();
    assert_eq!(hinted, ["a", "b", "c", "d", "digest"]);
    // What is under the signature depends on the value: with another one it cannot be rebuilt.
    let mut altered = object.clone();
    let message = &mut altered["status"]["steps"][0]["terminated"]["message"];
    *message = json!(message.as_str().unwrap().replace("sha256:0123", "sha256:0bad"));
    let (rebuilt, facts) = inspected(&altered);
    assert!(!rebuilt, "{facts:#}");
    assert!(facts["steps"][0]["attestation"]["leaf"]["pem"].is_string(), "the certificate is, all the same");
}

#[test]
fn no_damage_to_the_evidence_makes_it_panic() {
    let object = genuine();
    let bundle = trust(&fs::read_to_string(path("bundle.pem")).unwrap());
    let value = attestation(&object, "report");
    let look = |value: &str| {
        let mut damaged = object.clone();
        set_attestation(&mut damaged, "report", value);
        let damaged = TaskRun::from_value(damaged).unwrap();
        for trust in [None, Some(&bundle)] {
            assert_eq!(inspect(&damaged, trust).steps.len(), 3, "{value}");
        }
    };
    for length in 0..value.len() {
        look(&value[..length]);
    }
    let bytes = URL_SAFE_NO_PAD.decode(&value[4..]).unwrap();
    for i in 0..bytes.len() {
        for bit in (0..8).filter(|bit| i % 8 == *bit) {
            let mut flipped = bytes.clone();
            flipped[i] ^= 1 << bit;
            look(&format!("sv1.{}", URL_SAFE_NO_PAD.encode(flipped)));
        }
    }
}
