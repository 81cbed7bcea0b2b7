//! What is given by mistake instead of TaskRuns: each mistake has a sentence of its own that says what to give instead.

use crate::support;

use std::fs;

use serde_json::{Value, json};
use support::{
    command::{self, Ran, path},
    packed::gzip,
};

fn verify(stdin: impl AsRef<[u8]>) -> Ran {
    command::verify(&["-"], &["-o", "json"], stdin)
}

fn genuine() -> Value {
    serde_json::from_str(&fs::read_to_string(path("taskrun.json")).unwrap()).unwrap()
}

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

const TABLE: &str = "NAME        SUCCEEDED   REASON      STARTTIME   COMPLETIONTIME\nbuild-app   True        Succeeded   5m          4m\n";
const WIDE: &str =
    "NAMESPACE   NAME        SUCCEEDED   REASON\ndefault     build-app   True        Succeeded\n";
const TKN: &str =
    "NAME        STARTED         DURATION   STATUS\nbuild-app   5 minutes ago   1m0s       Succeeded\n";
const DESCRIPTION: &str =
    "Name:         build-app\nNamespace:    default\nLabels:       app=x\nAnnotations:  <none>\n";
const NOT_FOUND: &str = "Error from server (NotFound): taskruns.tekton.dev \"x\" not found\n";
const KLOG: &str = "E1128 09:00:00.123456   12 memcache.go:265] couldn't get current server API group list\n";

/// Each mistake: what it is, its bytes, and what is said.
fn mistakes() -> Vec<(&'static str, Vec<u8>, Vec<&'static str>)> {
    let object = genuine();
    let text = object.to_string();
    let bundle = fs::read_to_string(path("bundle.pem")).unwrap();
    let attestation = text[text.find("sv1.").unwrap()..].split(['"', '\\']).next().unwrap().to_owned();
    let record = json!({"name": "default/results/u/records/u", "data": {"type": "tekton.dev/v1.TaskRun", "value": "e30="}});
    let envelope =
        json!({"payloadType": "application/vnd.in-toto+json", "payload": "e30=", "signatures": []});
    let labelled = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
        "name": "x-pod", "namespace": "ci", "labels": {"tekton.dev/taskRun": "build-1"}}});
    let of_kind = |kind: &str, version: &str| {
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": "main", "namespace": "ci"}})
            .to_string()
    };
    let api_status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
        "message": "taskruns.tekton.dev is forbidden: User \"x\" cannot list"});
    let report = json!({"version": 2, "source": "x", "verdict": "verified", "findings": []});
    let inspected = json!({"version": 1, "source": "x", "checked": false});
    let policy = json!({"version": 1, "expires": "2027-01-01T00:00:00Z", "rules": [{"namespace": "*", "taskRun": "*"}]});
    let pages: Vec<(&str, Vec<u8>, Vec<&str>)> = vec![
        ("a table", TABLE.into(), vec!["kubectl's table for people", "-o json"]),
        ("a table of all namespaces", WIDE.into(), vec!["table for people"]),
        ("a table of tkn's", TKN.into(), vec!["table for people"]),
        ("a name alone", "NAME\nbuild-app\n".into(), vec!["table for people"]),
        ("an error", NOT_FOUND.into(), vec!["a message instead of TaskRuns: Error from server (NotFound)"]),
        (
            "another error",
            "error: the server doesn't have a resource type \"taskrun\"\n".into(),
            vec!["error: the server"],
        ),
        ("nothing found", "No resources found in default namespace.\n".into(), vec!["No resources found"]),
        (
            "no connection",
            "Unable to connect to the server: dial tcp: lookup x\n".into(),
            vec!["Unable to connect"],
        ),
        ("a log of the client's", KLOG.into(), vec!["a message instead of TaskRuns: E1128"]),
        (
            "a warning before objects",
            format!("Warning: v1beta1 is deprecated\n{object:#}\n").into(),
            vec!["a message comes before the objects: Warning: v1beta1", "leave 2>&1 out"],
        ),
        (
            "names",
            "taskrun.tekton.dev/build-app\ntaskrun.tekton.dev/x\n".into(),
            vec!["list of names", "-o json"],
        ),
        ("a description", DESCRIPTION.into(), vec!["description for people", "-o json"]),
        ("HTML", "<!DOCTYPE html>\n<html><body>Sign in</body></html>".into(), vec!["HTML or XML"]),
        ("HTML without a type", "<html>\n".into(), vec!["HTML or XML"]),
        ("a bundle", bundle.into(), vec!["this is PEM (CERTIFICATE)", "--bundle"]),
        (
            "a key",
            "-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n".into(),
            vec!["PEM (PRIVATE KEY)"],
        ),
        ("an attestation's value", attestation.into(), vec!["attestation's value alone"]),
        ("a text", "hello world\n".into(), vec!["this is text", "-o json", "it begins with: hello world"]),
        ("a JSON text", "\"TaskRun\"".into(), vec!["this is text"]),
        ("a number", "17\n".into(), vec!["a single value, not an object"]),
        ("null", "null\n".into(), vec!["there is no object in it"]),
        ("nothing", "".into(), vec!["there is no object in it"]),
        ("room alone", " \n\n\t".into(), vec!["there is no object in it"]),
        ("an array", format!("[{object},{object}]").into(), vec!["this is an array", "jq -c '.[]'"]),
        ("an array of many lines", format!("{:#}", json!([object])).into(), vec!["this is an array"]),
        ("an empty array", "[]".into(), vec!["this is an array"]),
        (
            "a large array",
            format!("[{}]", vec![text.as_str(); 2000].join(",")).into(),
            vec!["this is an array", "jq -c '.[]'"],
        ),
        (
            "a watch event",
            json!({"type": "ADDED", "object": object}).to_string().into(),
            vec!["a watch event", "jq -c .object"],
        ),
        ("a record", record.to_string().into(), vec!["a record of Tekton Results", "jq"]),
        (
            "several records",
            json!({"records": [record]}).to_string().into(),
            vec!["a record of Tekton Results"],
        ),
        (
            "an envelope",
            envelope.to_string().into(),
            vec!["it is not an attestation as Tekton Chains writes it"],
        ),
        (
            "a bundle of Sigstore's",
            json!({"mediaType": "x", "dsseEnvelope": envelope}).to_string().into(),
            vec!["it is not an attestation as Tekton Chains writes it"],
        ),
        (
            "a statement",
            json!({"_type": "https://in-toto.io/Statement/v1", "subject": []}).to_string().into(),
            vec!["it is not an attestation as Tekton Chains writes it"],
        ),
        (
            "an object with a type",
            json!({"type": "x"}).to_string().into(),
            vec!["it has no kind and no apiVersion"],
        ),
        (
            "an object with an object in it",
            json!({"object": {"a": 1}}).to_string().into(),
            vec!["it has no kind and no apiVersion"],
        ),
        ("a bundle as JSON", json!({"keys": []}).to_string().into(), vec!["a bundle of keys", "--bundle"]),
        ("a policy", policy.to_string().into(), vec!["a policy", "--policy"]),
        ("a report", report.to_string().into(), vec!["a report of svidence"]),
        ("what inspect shows", inspected.to_string().into(), vec!["a report of svidence"]),
        (
            "a status",
            object["status"].to_string().into(),
            vec!["the status of a TaskRun alone", "the whole object"],
        ),
        ("an object of nothing", "{}".into(), vec!["it has no kind and no apiVersion"]),
        (
            "an answer of the server",
            api_status.to_string().into(),
            vec!["answer of the API server", "forbidden"],
        ),
        ("a Pod", of_kind("Pod", "v1").into(), vec!["it is a Pod, not a TaskRun"]),
        ("a TaskRun's Pod", labelled.to_string().into(), vec!["kubectl get taskrun -n ci build-1 -o json"]),
        (
            "a CustomRun",
            of_kind("CustomRun", "tekton.dev/v1beta1").into(),
            vec!["it is a CustomRun", "no steps"],
        ),
        ("a Run", of_kind("Run", "tekton.dev/v1alpha1").into(), vec!["it is a Run,"]),
        ("a Task", of_kind("Task", "tekton.dev/v1").into(), vec!["it is a Task: what is to be run"]),
        (
            "a Pipeline",
            of_kind("Pipeline", "tekton.dev/v1beta1").into(),
            vec!["it is a Pipeline: what is to be run"],
        ),
        (
            "an old TaskRun",
            of_kind("TaskRun", "tekton.dev/v1alpha1").into(),
            vec!["a TaskRun of tekton.dev/v1alpha1"],
        ),
        (
            "somebody else's TaskRun",
            of_kind("TaskRun", "example.com/v1").into(),
            vec!["it is a TaskRun (example.com/v1)"],
        ),
        ("a ConfigMap", of_kind("ConfigMap", "v1").into(), vec!["it is a ConfigMap (v1), not a TaskRun"]),
        (
            "no version",
            json!({"kind": "TaskRun"}).to_string().into(),
            vec!["it is a TaskRun without apiVersion"],
        ),
        (
            "no kind",
            json!({"apiVersion": "tekton.dev/v1"}).to_string().into(),
            vec!["it has no kind (its apiVersion is tekton.dev/v1)"],
        ),
        ("a kind that is no text", json!({"kind": 1}).to_string().into(), vec!["no kind and no apiVersion"]),
        ("UTF-16", utf16(&format!("\u{feff}{text}"), u16::to_le_bytes), vec!["this is UTF-16", "UTF-8"]),
        ("UTF-16 the other way", utf16(&format!("\u{feff}{text}"), u16::to_be_bytes), vec!["this is UTF-16"]),
        ("UTF-16 without a mark", utf16(&text, u16::to_le_bytes), vec!["this is UTF-16"]),
        ("UTF-16 the other way without a mark", utf16(&text, u16::to_be_bytes), vec!["this is UTF-16"]),
        ("Latin-1", b"name: caf\xe9\nkind: TaskRun\n".into(), vec!["this is not UTF-8"]),
        ("a program", b"\x7fELF\x02\x01\x01\0\0".into(), vec!["zero bytes"]),
        ("zip", b"PK\x03\x04\x14\0".into(), vec!["packed (zip)", "unpack it"]),
        ("bzip2", b"BZh91AY&SY".into(), vec!["packed (bzip2)"]),
        ("xz", b"\xfd7zXZ\0\0".into(), vec!["packed (xz)"]),
        ("7z", b"7z\xbc\xaf\x27\x1c\0".into(), vec!["packed (7z)"]),
        ("tar", tar(), vec!["a tar archive", "give the folder"]),
        ("tar in gzip", gzip(tar()), vec!["a tar archive"]),
        ("zip in gzip", gzip(b"PK\x03\x04\x14\0"), vec!["packed (zip)"]),
    ];
    pages
}

fn tar() -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..6].copy_from_slice(b"x.json");
    header[257..263].copy_from_slice(b"ustar\0");
    header
}

/// Words that come from the program's own types and libraries.
const RUST_WORDS: [&str; 9] =
    ["struct", "variant", "expected ident", "invalid type", "EOF", "serde", "Some(", "None", "IO error"];

#[test]
fn each_mistake_has_a_sentence_of_its_own() {
    for (case, bytes, says) in mistakes() {
        for (how, bytes) in [("as it is", bytes.clone()), ("compressed", gzip(&bytes))] {
            if how == "compressed" && case.ends_with("in gzip") {
                continue;
            }
            let ran = verify(&bytes);
            assert_eq!(ran.code, 3, "{case}, {how}: {}", ran.err);
            let said = ran.err.lines().filter(|line| line.starts_with("unchecked ")).count();
            assert_eq!(said, 1, "{case}, {how}: one mistake is one line: {}", ran.err);
            for text in &says {
                assert!(ran.err.contains(text), "{case}, {how}: {text:?} is not in {}", ran.err);
            }
            for word in RUST_WORDS {
                assert!(!ran.err.contains(word), "{case}, {how}: {word:?} is in {}", ran.err);
            }
        }
    }
}

#[test]
fn a_mistake_among_json_lines_costs_only_its_line() {
    let object = genuine().to_string();
    for (case, bytes, says) in mistakes() {
        let Ok(line) = String::from_utf8(bytes) else { continue };
        let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
        if !value.is_object() && !value.is_array() {
            continue;
        }
        let ran = verify(format!("{object}\n{value}\n{object}\n"));
        let verified = ran.out.matches("\"verdict\":\"verified\"").count();
        assert_eq!((ran.code, verified), (3, 2), "{case}: {}", ran.err);
        assert!(ran.err.contains(says[0]), "{case}: {}", ran.err);
    }
}

#[test]
fn a_taskrun_that_has_not_started_is_absent_and_says_so() {
    let mut object = genuine();
    for (case, status) in
        [("no status", None), ("null", Some(json!(null))), ("an empty one", Some(json!({})))]
    {
        object.as_object_mut().unwrap().remove("status");
        if let Some(status) = status {
            object["status"] = status;
        }
        let ran = verify(object.to_string());
        assert_eq!(ran.code, 2, "{case}: {}", ran.err);
        assert!(ran.err.contains("it has not started"), "{case}: {}", ran.err);
    }
}
