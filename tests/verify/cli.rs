//! `svidence verify` as a command: sources, exit codes, what stands on stdout, and bad input.

use crate::support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use support::command::{path, svidence, verify};

fn genuine() -> String {
    fs::read_to_string(path("taskrun.json")).unwrap()
}

fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn the_demos_files_get_their_verdicts_by_hand() {
    let ran = verify(&[&path("taskrun.json")], &[], "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.starts_with("verified  default/build-app"), "{}", ran.err);
    assert!(ran.out.contains("default/build-app\timages\t[\"app\",\"sidecar\"]\n"), "{}", ran.out);
    for (number, code) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (9, 2)] {
        let ran = verify(&[&path(&format!("altered-{number}.json"))], &[], "");
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "altered-{number}: {}", ran.err);
    }
}

#[test]
fn every_kind_of_source_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let object: Value = serde_json::from_str(&genuine()).unwrap();
    let altered: Value = serde_json::from_str(&fs::read_to_string(path("altered-1.json")).unwrap()).unwrap();
    let yaml = serde_saphyr::to_string(&object).unwrap();
    let mut bare = object.clone();
    bare.as_object_mut().unwrap().remove("kind");
    bare.as_object_mut().unwrap().remove("apiVersion");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [object, object]});
    let typed = json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRunList", "items": [bare]});
    let dir = folder.path().join("dir");
    write(&dir, "a.json", &object.to_string());
    write(&dir, "sub/b.yaml", &yaml);
    let mixed = folder.path().join("mixed");
    write(&mixed, "a.json", &object.to_string());
    write(&mixed, "b.json", &altered.to_string());
    let stdin = object.to_string();
    for (case, source, stdin, code, count) in [
        ("JSON", write(folder.path(), "one.json", &object.to_string()), "", 0, 1),
        ("indented JSON without a name that says so", write(folder.path(), "one", &genuine()), "", 0, 1),
        ("YAML", write(folder.path(), "one.yaml", &yaml), "", 0, 1),
        (
            "two YAML documents",
            write(folder.path(), "two.yaml", &format!("---\n{yaml}---\n{yaml}")),
            "",
            0,
            2,
        ),
        ("List", write(folder.path(), "list.json", &list.to_string()), "", 0, 2),
        ("TaskRunList", write(folder.path(), "typed.json", &typed.to_string()), "", 0, 1),
        (
            "JSON lines",
            write(folder.path(), "lines.jsonl", &format!("{object}\n{object}\n{object}\n")),
            "",
            0,
            3,
        ),
        ("folder", dir, "", 0, 2),
        ("folder with a bad one: the worst wins", mixed, "", 1, 1),
        ("standard input", PathBuf::from("-"), stdin.as_str(), 0, 1),
    ] {
        let ran = verify(&[source.to_str().unwrap()], &["-o", "json"], stdin);
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
        let mut reports: Vec<Value> =
            ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        reports.retain(|report| report["accepted"] == true || report.get("results").is_some());
        assert_eq!(reports.len(), count, "{case}: {}", ran.out);
        for report in reports {
            assert_eq!(report["verdict"], "verified", "{case}");
            assert_eq!(report["results"].as_array().unwrap().len(), 4, "{case}");
            assert_eq!(report["runBoundBy"], "certificate", "{case}");
        }
    }
}

#[test]
fn a_source_is_chosen_by_its_flag_and_never_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "taskrun/build-app", &genuine());
    let file = file.to_str().unwrap();
    for (case, args, code, says) in [
        ("files by default, whatever they are called", vec![file], 0, "verified  default/build-app"),
        ("files by name", vec![file, "--from", "files"], 0, "verified  default/build-app"),
        ("no files by default", vec![], 64, "<TASKRUN>"),
        ("no files by name", vec!["--from", "files"], 64, "<TASKRUN>"),
        ("an unknown source", vec![file, "--from", "cluster"], 64, "invalid value 'cluster'"),
    ] {
        let ran = verify(&args, &[], "");
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
        assert!(ran.err.contains(says), "{case}: {}", ran.err);
    }
}

#[test]
fn bad_objects_have_their_own_errors() {
    let folder = tempfile::tempdir().unwrap();
    let object: Value = serde_json::from_str(&genuine()).unwrap();
    let with_attestation = |value: &dyn Fn(&str) -> String| {
        let text = genuine();
        let start = text.find("sv1.").unwrap();
        let end = start + text[start..].find(['"', '\\']).unwrap();
        let genuine = &text[start..end];
        text.replace(genuine, &value(genuine))
    };
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}});
    let mut shapeless = object.clone();
    shapeless["status"]["results"] = json!("none");
    let twice = genuine().replacen("\"kind\":", "\"kind\": \"Pod\", \"kind\":", 1);
    for (case, content, code, text) in [
        ("not JSON", "{\"kind\": \"TaskRun\",".to_owned(), 3, "not JSON"),
        ("not YAML", "a: [b\nc: }".to_owned(), 3, "not YAML"),
        ("nothing", "  \n".to_owned(), 3, "there is no object in it"),
        ("an empty List", json!({"kind": "List", "items": []}).to_string(), 3, "no TaskRun found"),
        ("wrong kind", pod.to_string(), 3, "it is a Pod, not a TaskRun"),
        ("a JSON list", "[]".to_owned(), 3, "this is an array"),
        ("wrong shape", shapeless.to_string(), 3, "not a TaskRun as Tekton writes it"),
        ("a key twice", twice, 3, "appears twice"),
        (
            "truncated attestation",
            with_attestation(&|value| value[..value.len() - 20].to_owned()),
            1,
            "cut short or altered",
        ),
        (
            "unknown version",
            with_attestation(&|value| value.replacen("sv1.", "sv2.", 1)),
            3,
            "unknown version \"sv2\"",
        ),
        ("not base64", with_attestation(&|value| value.replacen("sv1.", "sv1.!", 1)), 1, "not base64url"),
        (
            "unsigned",
            with_attestation(&|_| "unsigned: no identity".to_owned()),
            2,
            "claims this reason: no identity",
        ),
    ] {
        let file = write(folder.path(), "object", &content);
        let ran = verify(&[file.to_str().unwrap()], &[], "");
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{case}: {}", ran.err);
        assert!(ran.err.contains(text), "{case}: {}", ran.err);
    }
}

#[test]
fn bad_bundles_and_arguments_have_their_own_errors() {
    let folder = tempfile::tempdir().unwrap();
    let object = path("taskrun.json");
    let good = path("bundle.pem");
    let file = |name: &str, content: &str| write(folder.path(), name, content).to_str().unwrap().to_owned();
    let spire = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/spire");
    let svid = format!("{spire}/p256-self/svid.pem");
    let key = format!("{spire}/p256-self/key.pem");
    let empty = file("empty.pem", "");
    let empty_json = file("empty.json", "{\"keys\": []}");
    let jwks = file(
        "jwks.json",
        "{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"x\": \"AA\", \"y\": \"AA\"}]}",
    );
    let garbage = file("garbage", "garbage");
    let config = file(
        "config.yaml",
        "kind: ConfigMap\nmetadata: {name: config-spire}\ndata: {spire-trust-domain: Example}",
    );
    let yaml = file("taskrun.yaml", "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: a}\n");
    let no_keys = file("no-keys.json", "{\"spiffe_sequence\": 1}");
    let gzip = folder.path().join("bundle.pem.gz").to_str().unwrap().to_owned();
    fs::write(&gzip, [0x1f, 0x8b, 8, 0, 0xff]).unwrap();
    for (case, args, code, text) in [
        (
            "empty bundle",
            vec!["--trust-domain", "example.org", "--bundle", &empty],
            3,
            "holds no certificate authority",
        ),
        (
            "empty JSON bundle",
            vec!["--trust-domain", "example.org", "--bundle", &empty_json],
            3,
            "no certificate authority",
        ),
        ("plain JWKS", vec!["--trust-domain", "example.org", "--bundle", &jwks], 3, "`use`"),
        ("garbage", vec!["--trust-domain", "example.org", "--bundle", &garbage], 3, "a bundle is PEM"),
        (
            "missing file",
            vec!["--trust-domain", "example.org", "--bundle", "/nowhere"],
            3,
            "--bundle /nowhere: No such file",
        ),
        (
            "bundle of another trust domain",
            vec!["--trust-domain", "other.test", "--bundle", &good],
            3,
            "example.org",
        ),
        (
            "certificate where a bundle belongs",
            vec!["--trust-domain", "example.org", "--bundle", &svid],
            3,
            "not a certificate authority",
        ),
        (
            "key where a bundle belongs",
            vec!["--trust-domain", "example.org", "--bundle", &key],
            3,
            "PRIVATE KEY",
        ),
        (
            "a TaskRun where a bundle belongs",
            vec!["--trust-domain", "example.org", "--bundle", &object],
            3,
            "it is a Kubernetes object of kind TaskRun; a bundle is PEM",
        ),
        (
            "a TaskRun in YAML where a bundle belongs",
            vec!["--trust-domain", "example.org", "--bundle", &yaml],
            3,
            "it is a Kubernetes object of kind TaskRun; a bundle is PEM",
        ),
        (
            "a TaskRun where intermediates belong",
            vec!["--trust-domain", "example.org", "--bundle", &good, "--intermediates", &object],
            3,
            "it is a Kubernetes object of kind TaskRun",
        ),
        (
            "other JSON where a bundle belongs",
            vec!["--trust-domain", "example.org", "--bundle", &no_keys],
            3,
            "it is JSON, but not a SPIFFE bundle: it has no list `keys`",
        ),
        (
            "a compressed bundle",
            vec!["--trust-domain", "example.org", "--bundle", &gzip],
            3,
            "it is compressed (gzip)",
        ),
        ("missing trust domain", vec!["--bundle", &good], 64, "--trust-domain"),
        (
            "bad trust domain",
            vec!["--trust-domain", "spiffe://a/b", "--bundle", &good],
            64,
            "--trust-domain spiffe://a/b",
        ),
        (
            "trust domain in upper case, as `config` refuses it",
            vec!["--trust-domain", "Example.org", "--bundle", &good],
            64,
            "--trust-domain Example.org must be in lower case: \"example.org\"",
        ),
        (
            "trust domain twice",
            vec!["--trust-domain", "example.org", "--config", &config, "--bundle", &good],
            64,
            "cannot be used with",
        ),
        (
            "missing intermediates",
            vec!["--trust-domain", "example.org", "--bundle", &good, "--intermediates", "/nowhere"],
            3,
            "--intermediates /nowhere: No such file",
        ),
        ("missing configuration", vec!["--config", "/nowhere", "--bundle", &good], 3, "--config /nowhere: "),
        ("missing bundle", vec!["--trust-domain", "example.org"], 64, "--bundle"),
        (
            "bad time",
            vec!["--trust-domain", "example.org", "--bundle", &good, "--at", "noon"],
            64,
            "not an RFC 3339 time",
        ),
        ("unknown flag", vec!["--trust-domain", "example.org", "--bundle", &good, "--force"], 64, "--force"),
        ("bad configuration", vec!["--config", &config, "--bundle", &good], 3, "spire-trust-domain"),
    ] {
        let mut all = vec!["verify", &object];
        all.extend(args);
        let ran = svidence(&all, "");
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{case}: {}", ran.err);
        assert!(ran.err.contains(text), "{case}: {}", ran.err);
    }
}

#[test]
fn the_trust_domain_may_come_from_the_configuration() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/spire/config-spire.yaml");
    let ran =
        svidence(&["verify", &path("taskrun.json"), "--config", config, "--bundle", &path("bundle.pem")], "");
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn nothing_found_is_unchecked_unless_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().to_str().unwrap();
    let ran = verify(&[source], &[], "");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{}", ran.err);
    assert!(ran.err.contains("no TaskRun found"), "{}", ran.err);
    assert_eq!(verify(&[source], &["--allow-empty"], "").code, 0);
    let list =
        write(folder.path(), "list.json", "{\"kind\": \"List\", \"apiVersion\": \"v1\", \"items\": []}");
    assert_eq!(
        verify(&[list.to_str().unwrap()], &["--allow-empty"], "").code,
        0,
        "kubectl prints none as an empty List"
    );
}

#[test]
fn a_demanded_result_decides() {
    let source = path("taskrun.json");
    assert_eq!(verify(&[&source], &["--require-result", "digest"], "").code, 0);
    let ran = verify(&[&source], &["--require-result", "sbom"], "");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(ran.err.contains("the demanded result \"sbom\" is not there"), "{}", ran.err);
}

#[test]
fn control_characters_of_an_object_do_not_reach_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let object = genuine().replace("build-app\"", "build-app\\u001b[2J\"");
    let file = write(folder.path(), "object.json", &object);
    let ran = verify(&[file.to_str().unwrap()], &[], "");
    assert_ne!(ran.code, 0);
    assert!(!ran.err.contains('\u{1b}') && !ran.out.contains('\u{1b}'), "{:?}", ran.err);
}

#[test]
fn an_error_about_an_object_cannot_pass_for_a_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let object = json!({"apiVersion": "v1", "kind": "x\nverified  default/app\u{1b}[2J\u{202e}"});
    let file = write(folder.path(), "object.json", &object.to_string());
    let ran = verify(&[file.to_str().unwrap()], &[], "");
    assert_eq!((ran.code, ran.err.lines().count()), (3, 2), "one line, and the tally: {}", ran.err);
    assert!(!ran.err.contains('\u{1b}') && !ran.err.contains('\u{202e}'), "{:?}", ran.err);
}

#[test]
fn more_workers_than_a_machine_can_start_are_no_crash() {
    let ran = verify(&[&path("taskrun.json")], &["--jobs", &usize::MAX.to_string()], "");
    assert_eq!(ran.code, 0, "{}", ran.err);
}
