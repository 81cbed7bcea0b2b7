//! The TaskRun assembled from steps' messages is the one that Tekton's controller made of them in a real cluster.

use crate::support;

use std::{fs, path::Path};

use serde_json::{Value, json};
use support::taskrun::{at, spec, step};
use svidence::standin::taskrun::{RunSpec, StepReport, assemble};
use time::{Date, Month, OffsetDateTime, Time};

/// The parts of a status that follow from the steps' messages and exit codes.
fn comparable(taskrun: &Value) -> Value {
    let mut status = taskrun["status"].clone();
    for step in status["steps"].as_array_mut().unwrap() {
        // The container runtime's own, which nothing here knows.
        step.as_object_mut().unwrap().remove("imageID");
        step["terminated"].as_object_mut().unwrap().remove("containerID");
    }
    let condition = &status["conditions"][0];
    json!({
        "results": status["results"],
        "steps": status["steps"],
        "taskSpec": status["taskSpec"],
        "condition": [condition["status"], condition["reason"], condition["message"]],
        "podName": status["podName"],
        "artifacts": status["artifacts"],
        "spec": taskrun["spec"]["taskSpec"],
        "identity": [taskrun["apiVersion"], taskrun["kind"], taskrun["metadata"]["namespace"], taskrun["metadata"]["name"],
            taskrun["metadata"]["uid"], taskrun["metadata"]["creationTimestamp"]],
    })
}

fn time(text: &Value) -> OffsetDateTime {
    let text = text.as_str().unwrap();
    let number = |range: std::ops::Range<usize>| text[range].parse::<u8>().unwrap();
    let date = Date::from_calendar_date(
        text[..4].parse().unwrap(),
        Month::try_from(number(5..7)).unwrap(),
        number(8..10),
    );
    let time = Time::from_hms(number(11..13), number(14..16), number(17..19));
    date.unwrap().with_time(time.unwrap()).assume_utc()
}

#[test]
fn assembled_as_a_real_controller_did() {
    for name in ["signed-simple", "signed-stepresult", "truncated-plain"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/taskruns").join(name);
        let read = |file| serde_json::from_slice::<Value>(&fs::read(folder.join(file)).unwrap()).unwrap();
        let (pod, real) = (read("pod.json"), read("taskrun.json"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let containers = pod["spec"]["containers"].as_array().unwrap();
        let statuses = pod["status"]["containerStatuses"].as_array().unwrap();
        let steps: Vec<_> = containers
            .iter()
            .filter_map(|container| {
                let step = container["name"].as_str().unwrap().strip_prefix("step-")?;
                let status = statuses.iter().find(|status| status["name"] == container["name"]).unwrap();
                let ended = &status["state"]["terminated"];
                Some(StepReport {
                    name: step.to_owned(),
                    message: ended["message"].as_str().unwrap_or("").as_bytes().to_vec(),
                    exit_code: ended["exitCode"].as_i64().unwrap().try_into().unwrap(),
                    started: time(&ended["startedAt"]),
                    finished: time(&ended["finishedAt"]),
                })
            })
            .collect();
        let spec = RunSpec {
            namespace: text(&real["metadata"]["namespace"]),
            name: text(&real["metadata"]["name"]),
            uid: text(&real["metadata"]["uid"]),
            pod_name: text(&pod["metadata"]["name"]),
            created: time(&real["metadata"]["creationTimestamp"]),
            task_spec: real["spec"]["taskSpec"].clone(),
        };
        let (ours, theirs) = (comparable(&assemble(&spec, &steps)), comparable(&real));
        for part in theirs.as_object().unwrap().keys() {
            if (name, part.as_str()) == ("truncated-plain", "taskSpec") {
                continue; // has parameters and a workspace
            }
            assert_eq!(ours[part], theirs[part], "{name}: {part}");
        }
    }
}

/// Results by name, without their types.
fn values(taskrun: &Value) -> Value {
    let results = taskrun["status"]["results"].as_array().cloned().unwrap_or_default();
    results.into_iter().map(|r| (r["name"].as_str().unwrap().to_owned(), r["value"].clone())).collect()
}

#[test]
fn messages_become_results_by_tektons_rules() {
    let declared = json!([
        {"name": "s", "type": "string"}, {"name": "a", "type": "array"}, {"name": "untyped"},
        {"name": "mapped", "type": "array", "value": "$(steps.two.results.own)"},
    ]);
    let task = json!({"results": declared, "steps": [
        {"name": "one"}, {"name": "two", "results": [{"name": "own", "type": "array"}]},
    ]});
    let started = r#"{"key":"StartedAt","value":"2026-11-21T14:26:25.043-05:00","type":3}"#;
    // (name, message of step one, message of step two, values, message that stays of step one)
    let cases = [
        ("no messages", "", "", json!({}), Value::Null),
        ("only internal entries", &format!("[{started}]") as &str, "", json!({}), Value::Null),
        (
            "declared string is not decoded",
            r#"[{"key":"s","value":"[\"x\"]","type":1}]"#,
            "",
            json!({"s": "[\"x\"]"}),
            json!(r#"[{"key":"s","value":"[\"x\"]","type":1}]"#),
        ),
        (
            "a missing type means string",
            r#"[{"key":"untyped","value":"null","type":1}]"#,
            "",
            json!({"untyped": "null"}),
            json!(r#"[{"key":"untyped","value":"null","type":1}]"#),
        ),
        (
            "undeclared is decoded",
            r#"[{"key":"u","value":"{\"k\":\"v\"}","type":"TaskRunResult"}]"#,
            "",
            json!({"u": {"k": "v"}}),
            json!(r#"[{"key":"u","value":"{\"k\":\"v\"}","type":1}]"#),
        ),
        (
            "last of a key wins, whatever its type",
            r#"[{"key":"s","value":"1","type":1},{"key":"s","value":"2","type":4}]"#,
            "",
            json!({}),
            json!(r#"[{"key":"s","value":"2","type":4}]"#),
        ),
        (
            "last step wins",
            r#"[{"key":"z","value":"1","type":1},{"key":"s","value":"1","type":1}]"#,
            r#"[{"key":"s","value":"2","type":1}]"#,
            json!({"s": "2", "z": "1"}),
            json!(r#"[{"key":"s","value":"1","type":1},{"key":"z","value":"1","type":1}]"#),
        ),
        (
            "a step's result is mapped",
            r#"[{"key":"own","value":"[\"wrong step\"]","type":4}]"#,
            r#"[{"key":"own","value":"[\"x\"]","type":4}]"#,
            json!({"mapped": ["x"]}),
            json!(r#"[{"key":"own","value":"[\"wrong step\"]","type":4}]"#),
        ),
        (
            "Go's escaping, sorted, zero entries dropped",
            r#"[{"key":"z","value":"<&> ","type":1},{"key":"","value":""},null,{"key":"b","value":"","type":99}]"#,
            "",
            json!({"z": "<&> "}),
            json!(r#"[{"key":"b","value":"","type":99},{"key":"z","value":"\u003c\u0026\u003e ","type":1}]"#),
        ),
        (
            "cut message",
            r#"[{"key":"s","value":"1","ty"#,
            "",
            json!({}),
            json!(r#"[{"key":"s","value":"1","ty"#),
        ),
        (
            "float type",
            r#"[{"key":"s","value":"1","type":1.0}]"#,
            "",
            json!({}),
            json!(r#"[{"key":"s","value":"1","type":1.0}]"#),
        ),
    ];
    for (name, one, two, expected, stays) in cases {
        let taskrun = assemble(&spec("t", task.clone()), &[step("one", one, 0), step("two", two, 0)]);
        assert_eq!(values(&taskrun), expected, "{name}: results");
        assert_eq!(taskrun["status"]["steps"][0]["terminated"]["message"], stays, "{name}: message");
        assert_eq!(taskrun["status"]["conditions"][0]["status"], "True", "{name}: condition");
    }
}

#[test]
fn the_outcome_follows_the_containers() {
    let entry = |key: &str, value: &str| format!(r#"[{{"key":"{key}","value":"{value}","type":3}}]"#);
    // (name, message, exit code of the container, exit code shown, reason shown, condition)
    let cases = [
        ("success", entry("StartedAt", "2026-11-22T05:30:14.043Z"), 0, 0, json!("Completed"), "Succeeded"),
        ("success without a message", String::new(), 0, 0, Value::Null, "Succeeded"),
        ("unreadable message", "[".into(), 0, 0, Value::Null, "Succeeded"),
        ("continued", entry("ExitCode", "7"), 0, 7, json!("Continued"), "Succeeded"),
        ("skipped", entry("Reason", "Skipped"), 1, 1, json!("Skipped"), "StepFailed"),
        ("failed", entry("x", "y"), 3, 3, json!("Error"), "StepFailed"),
        ("claimed exit code", entry("ExitCode", "0"), 3, 0, json!("Continued"), "StepFailed"),
        ("timeout", entry("Reason", "TimeoutExceeded"), 1, 1, json!("TimeoutExceeded"), "StepFailed"),
    ];
    for (name, message, exit_code, shown, reason, condition) in cases {
        let taskrun =
            assemble(&spec("t", json!({"steps": [{"name": "one"}]})), &[step("one", &message, exit_code)]);
        let state = &taskrun["status"]["steps"][0];
        assert_eq!(state["terminated"]["exitCode"], shown, "{name}: exit code");
        assert_eq!(state["terminationReason"], reason, "{name}: reason");
        assert_eq!(taskrun["status"]["conditions"][0]["reason"], condition, "{name}: condition");
    }
}

#[test]
fn times_and_mismatches() {
    let task =
        json!({"results": [{"name": "a", "type": "array"}], "steps": [{"script": "x >$(results.a.path)"}]});
    let message = r#"[{"key":"StartedAt","value":"2026-11-21T23:26:25.043-05:30","type":3},{"key":"a","value":"x","type":1}]"#;
    let report = StepReport { started: at(1), ..step("unnamed-0", message, 0) };
    let taskrun = assemble(&spec("t", task), &[report]);
    let status = &taskrun["status"];
    assert_eq!(status["steps"][0]["terminated"]["startedAt"], "2026-11-22T04:56:25Z");
    assert_eq!(status["taskSpec"]["steps"][0]["script"], "x >/tekton/results/a");
    assert_eq!(taskrun["spec"]["taskSpec"]["steps"][0]["script"], "x >$(results.a.path)");
    assert_eq!(status["results"], Value::Null);
    assert_eq!(status["conditions"][0]["reason"], "TaskRunValidationFailed");
    assert_eq!(status["podName"], "t-pod");
}
