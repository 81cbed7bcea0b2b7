//! The fast way to read a TaskRun takes exactly what the slow way takes, and reads the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::tekton::{
    message,
    strict::node::Node,
    taskrun::{Inherited, TaskRun},
};

/// By way of a value, as the rules are written down.
fn slow(document: &[u8]) -> Option<TaskRun> {
    TaskRun::from_node(serde_json::from_slice(document).ok()?, None).ok()
}

fn agree(document: &str) -> Result<(), TestCaseError> {
    let (fast, slow) = (TaskRun::from_json(document.as_bytes(), None), slow(document.as_bytes()));
    prop_assert_eq!(format!("{:?}", fast), format!("{:?}", slow), "{}", document);
    Ok(())
}

fn genuine() -> Value {
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"name": "n", "namespace": "d", "uid": "u", "creationTimestamp": "t", "labels": {"a": "b", "Name": "c"}},
        "spec": {"params": [{"name": "p", "value": {"Results": 1, "results": 2}}],
            "taskSpec": {"results": [{"name": "r", "type": "object", "value": "$(steps.s.results.r)"}],
                "steps": [{"name": "s", "results": null, "ref": {"name": "x"}}]}},
        "status": {"podName": "n-pod", "startTime": "t", "completionTime": null,
            "conditions": [{"type": "Succeeded", "status": "True", "message": "é"}],
            "results": [{"name": "r", "type": "object", "value": {"Name": "v", "a\u{e9}": "w"}}],
            "steps": [{"name": "s", "container": "step-s", "terminated": {"exitCode": 0, "message": "[\"\\u00e9\"]"},
                "inputs": [{"name": "i", "values": [{"digest": {"sha256": "0"}, "uri": "u"}]}]}],
            "artifacts": {"outputs": [{"buildOutput": true}]}, "retriesStatus": [{"Steps": [], "steps": []}]},
    })
}

/// Texts that, put in for another piece of a genuine document, make what the rules are about.
fn pieces() -> Vec<String> {
    let mut pieces: Vec<String> =
        ["\"", "{", "}", "[", "]", ",", ":", "null", "1", "-0", "1e999", "1.5", "true", "\"\\ud800\""]
            .map(str::to_owned)
            .to_vec();
    let keys = [
        "name",
        "Name",
        "results",
        "Results",
        "ReSults",
        "status",
        "spec",
        "Kind",
        "kind",
        "metadata",
        "taskResults",
    ];
    for key in keys.into_iter().chain([
        "items",
        "x",
        "\\u006eame",
        "n\\u0061me",
        "K",
        "\u{212a}ind",
        "s\u{17f}atus",
        "uid",
        "UID",
    ]) {
        pieces.push(format!("\"{key}\":"));
        pieces.push(format!("\"{key}\":null,"));
        pieces.push(format!("\"{key}\":\"x\","));
        pieces.push(format!("\"{key}\":[],"));
        pieces.push(format!("\"{key}\":{{\"{key}\":1,\"{key}\":2}},"));
    }
    pieces.push("\"apiVersion\":\"tekton.dev/v1beta1\",".to_owned());
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_ways_read_the_same(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(pieces()), 0usize..6), 1..3),
    ) {
        let mut document = genuine().to_string();
        for (place, piece, cut) in edits {
            // At the start of a member mostly, where a piece leaves JSON behind.
            let starts: Vec<usize> = document
                .char_indices()
                .filter(|(at, c)| *c == '"' && document[..*at].ends_with(['{', ',']))
                .map(|(at, _)| at)
                .collect();
            prop_assume!(!starts.is_empty());
            let at = *place.get(&starts);
            let cut = if cut == 5 { document[at..].find(':').map_or(0, |colon| colon + 1) } else { 0 };
            document.replace_range(at..at + cut, &piece);
        }
        agree(&document)?;
    }

    #[test]
    fn both_ways_refuse_the_same_bytes(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut document = genuine().to_string().into_bytes();
        let at = at.index(document.len());
        document[at] = byte;
        let (fast, slow) = (TaskRun::from_json(&document, None), slow(&document));
        prop_assert_eq!(format!("{:?}", fast), format!("{:?}", slow));
    }

    #[test]
    fn messages_are_read_the_same(
        entries in proptest::collection::vec(prop::sample::select(vec![
            r#"{"key":"a","value":"b","type":1}"#, r#"{"key":"a","value":"c"}"#, r#"{"key":"d","value":"c","type":4}"#,
            r#"{"key":"e","key":"f","value":"c"}"#, r#"{"key":"e","value":"c","Type":1}"#, r#"{"key":"g","value":null}"#,
            r#"["h","i",1]"#, r#"{"key":"j","value":"k","type":1.0}"#, r#"{"key":"l","value":"m","type":null}"#, "null", "1",
        ]), 0..4),
        end in prop::sample::select(vec!["]", "", "] ", "]x"]),
    ) {
        let text = format!("[{}{end}", entries.join(","));
        let slow = || {
            let node: Node = serde_json::from_str(&text).ok()?;
            let entries: Vec<message::ReadEntry> = node.read().ok()?;
            let repeated = entries.iter().enumerate().any(|(i, entry)| entries[..i].iter().any(|e| e.key == entry.key));
            (!repeated).then_some(entries)
        };
        prop_assert_eq!(format!("{:?}", message::parse(&text).ok()), format!("{:?}", slow()), "{}", text);
    }
}

/// serde reads a list as the fields in their order; Go refuses it, so another reader would see another object.
#[test]
fn a_list_is_no_object() {
    for path in
        ["/metadata", "/spec", "/status", "/status/taskSpec", "/status/steps/0", "/status/steps/0/terminated"]
    {
        let mut object = json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "n", "namespace": "d"}, "spec": {},
            "status": {
                "steps": [{"name": "s", "terminated": {"exitCode": 0, "message": ""}}], "taskSpec": {"steps": []},
            },
        });
        assert!(TaskRun::from_json(object.to_string().as_bytes(), None).is_some());
        let place = object.pointer_mut(path).unwrap();
        let fields = place.as_object().unwrap().values().cloned().collect();
        *place = Value::Array(fields);
        let error = TaskRun::from_value(object.clone()).unwrap_err();
        assert!(error.to_string().contains("an object belongs"), "{path}: {error}");
        assert!(TaskRun::from_json(object.to_string().as_bytes(), None).is_none(), "{path}");
    }
    assert!(message::parse(r#"[["a","b",1]]"#).is_err());
}

#[test]
fn the_fast_way_is_taken() {
    let document = genuine().to_string();
    assert!(TaskRun::from_json(document.as_bytes(), None).is_some(), "a genuine TaskRun is read in one pass");
    let bare = document.replace(r#""kind":"TaskRun","#, "");
    let list = |is_task_run| Inherited { is_task_run, api_version: None };
    assert!(TaskRun::from_json(bare.as_bytes(), None).is_none(), "nothing says what it is");
    assert!(TaskRun::from_json(bare.as_bytes(), Some(&list(true))).is_some(), "its list says it");
    assert!(TaskRun::from_json(bare.as_bytes(), Some(&list(false))).is_none(), "a mere List does not");
}
