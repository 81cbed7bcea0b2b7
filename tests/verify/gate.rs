//! Gates: what `--require-result`, a rule's `min` and `--finished` make of a whole walk.

use crate::support;

use std::fs;

use serde_json::{Value, json};
use support::command::{self, Ran, path, svidence};

fn object(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap()
}

/// As the controller has it while the run lasts, whatever stands in it.
fn unfinished(mut object: Value) -> Value {
    for condition in object["status"]["conditions"].as_array_mut().unwrap() {
        condition["status"] = json!("Unknown");
    }
    object
}

fn with_uid(mut object: Value, uid: &str) -> Value {
    object["metadata"]["uid"] = json!(uid);
    object
}

fn verify(objects: &[Value], more: &[&str]) -> Ran {
    let lines: Vec<String> = objects.iter().map(Value::to_string).collect();
    command::verify(&["-"], more, lines.join("\n"))
}

const DIGEST: &str = "sha256:4be1f1f1a9b6f7e4c9b0f2e51d7b9a3c";

#[test]
fn a_required_result_may_have_a_value_and_a_task_run() {
    let genuine = object("taskrun.json");
    let value = format!("digest={DIGEST}");
    let of_run = format!("build-app:digest={DIGEST}");
    for (demand, code, told) in [
        ("digest", 0, ""),
        (value.as_str(), 0, ""),
        (of_run.as_str(), 0, ""),
        ("build-*:digest", 0, ""),
        ("*-app:commit=main-7f3c2a", 0, ""),
        ("images=[\"app\",\"sidecar\"]", 0, ""),
        ("sbom", 2, "the demanded result \"sbom\" is not there"),
        ("digest=", 1, "the demanded result \"digest\" must be \"\", but it is \"sha256:4be"),
        ("commit=main", 1, "must be \"main\", but it is \"main-7f3c2a\""),
        ("images=app", 1, "must be app, but it is [\"app\",\"sidecar\"]"),
        ("build-app:sbom", 2, "the demanded result \"sbom\" is not there"),
        (
            "*-scan:report=clean",
            2,
            "*-scan:report=clean is demanded, and no TaskRun of that name is among those that were verified",
        ),
        ("build:digest", 2, "build:digest is demanded"),
    ] {
        let ran = verify(std::slice::from_ref(&genuine), &["--require-result", demand]);
        assert_eq!(ran.code, code, "{demand}: {}", ran.err);
        assert!(ran.err.contains(told), "{demand}: {}", ran.err);
    }
    for demand in ["", "=x", "a b", "a b=c", ":digest", "build-app:", "Build:digest", "a/b:digest", "a:b:c"] {
        let ran = verify(std::slice::from_ref(&genuine), &["--require-result", demand]);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{demand:?}: {}", ran.err);
        assert!(ran.err.contains("write NAME, NAME=VALUE"), "{demand:?}: {}", ran.err);
    }
}

/// It said "must be sha256:good, but it is \"sha256:good\"".
#[test]
fn a_required_value_that_is_there_by_its_meaning_alone_says_so() {
    let path = |name: &str| format!("{}/testdata/attacks/{name}", env!("CARGO_MANIFEST_DIR"));
    let (bundle, object) = (path("policy-type.pem"), path("policy-type-forged.json"));
    for (demand, code, told) in [
        (
            "note=sha256:good",
            1,
            "it is \"sha256:good\" only by what the text that its step wrote means as JSON",
        ),
        ("digest=", 1, "it is \"\" only by what the text that its step wrote means as JSON"),
        ("note=\"sha256:good\"", 0, ""),
    ] {
        let at = ["--at", "2026-11-28T08:30:00Z", "--require-result", demand];
        let mut arguments = vec!["verify", &object, "--trust-domain", "example.org", "--bundle", &bundle];
        arguments.extend(at);
        let ran = svidence(&arguments, "");
        assert_eq!(ran.code, code, "{demand}: {}", ran.err);
        assert!(ran.err.contains(told), "{demand}: {}", ran.err);
    }
}

#[test]
fn a_forged_task_run_meets_no_demand() {
    let forged = object("altered-1.json");
    let ran = verify(&[forged], &["--require-result", "build-app:digest"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("build-app:digest is demanded"), "{}", ran.err);
}

#[test]
fn what_has_not_finished_is_left_out_named_and_counted() {
    let genuine = object("taskrun.json");
    let running = unfinished(genuine.clone());
    let mut pending = running.clone();
    pending["status"] = json!({});
    let forged = object("altered-1.json");
    for (case, objects, more, code, told) in [
        ("without it", vec![&genuine, &running], vec![], 2, "has not finished"),
        ("a running one", vec![&genuine, &running], vec!["--finished"], 0, "1 not finished, left out"),
        ("two kinds", vec![&genuine, &running, &pending], vec!["--finished"], 0, "2 not finished, left out"),
        ("beside a forged one", vec![&forged, &running], vec!["--finished"], 1, "1 not finished, left out"),
        ("nothing is left", vec![&running], vec!["--finished"], 3, "nothing was judged"),
        (
            "nothing is left, and that is allowed",
            vec![&running],
            vec!["--finished", "--allow-empty"],
            0,
            "1 not finished, left out",
        ),
        (
            "one that a gate needs",
            vec![&running],
            vec!["--finished", "--allow-empty", "--require-result", "build-app:digest"],
            2,
            "build-app:digest is demanded",
        ),
    ] {
        let objects: Vec<Value> = objects.into_iter().cloned().collect();
        let ran = verify(&objects, &more);
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
        assert!(ran.err.contains(told), "{case}: {}", ran.err);
        if more.contains(&"--finished") {
            assert!(ran.err.contains("left out  default/build-app"), "{case}: {}", ran.err);
        }
    }
}

#[test]
fn a_rule_counts_the_task_runs_that_it_speaks_of() {
    let folder = tempfile::tempdir().unwrap();
    let genuine = object("taskrun.json");
    let other_uid = with_uid(genuine.clone(), "00000000-0000-4000-8000-000000000001");
    let running = unfinished(genuine.clone());
    let forged = object("altered-1.json");
    let build = |min: u64| json!([{"namespace": "default", "taskRun": "build-*", "min": min}]);
    let scan = json!([
        {"namespace": "default", "taskRun": "build-*"},
        {"name": "scan", "namespace": "default", "taskRun": "*-scan", "min": 1},
    ]);
    for (case, objects, rules, more, code, told) in [
        ("enough", vec![&genuine], build(1), vec![], 0, ""),
        (
            "too few",
            vec![&genuine],
            build(2),
            vec![],
            2,
            "policy, rule 1: at least 2 TaskRuns that it speaks of must be verified, but only 1 is",
        ),
        ("one twice", vec![&genuine, &genuine], build(2), vec![], 2, "but only 1 is"),
        ("one under two UIDs", vec![&genuine, &other_uid], build(2), vec![], 1, "but only 1 is"),
        ("an omitted scan", vec![&genuine], scan, vec![], 2, "policy, rule 2 (scan): at least 1 TaskRun"),
        ("a forged one does not count", vec![&forged], build(1), vec![], 1, "but none is"),
        (
            "nor one that has not finished",
            vec![&running],
            build(1),
            vec!["--finished", "--allow-empty"],
            2,
            "but none is",
        ),
    ] {
        let policy = folder.path().join("policy.json");
        fs::write(
            &policy,
            json!({"version": 1, "expires": "2999-01-01T00:00:00Z", "rules": rules}).to_string(),
        )
        .unwrap();
        let objects: Vec<Value> = objects.into_iter().cloned().collect();
        let ran = verify(&objects, &[&["--policy", policy.to_str().unwrap()][..], &more].concat());
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
        assert!(ran.err.contains(told), "{case}: {}", ran.err);
    }
}

#[test]
fn a_summary_holds_the_worst_verdict_and_the_numbers() {
    let (genuine, forged) = (object("taskrun.json"), object("altered-1.json"));
    let not_one = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
    let none = json!({"apiVersion": "v1", "kind": "List", "items": []});
    let verdicts = |verified: u64, invalid: u64| json!({"verified": verified, "weak-and-accepted": 0, "invalid": invalid, "unchecked": 0, "absent": 0, "weak": 0});
    let of = |verdict: &str, counts: [u64; 3]| {
        json!({
            "verdict": verdict, "taskRuns": counts[0] + counts[1], "pipelineRuns": 0, "notRead": counts[2],
            "verdicts": verdicts(counts[0], counts[1]),
        })
    };
    let empty: &[&str] = &["--allow-empty"];
    for (case, objects, more, code, summary) in [
        ("genuine", vec![&genuine, &genuine], &[][..], 0, of("verified", [2, 0, 0])),
        ("one forged", vec![&genuine, &forged], &[], 1, of("invalid", [1, 1, 0])),
        ("one not read", vec![&genuine, &not_one], &[], 3, of("unchecked", [1, 0, 1])),
        ("a demand", vec![&genuine], &["--require-result", "*-scan:report"], 2, of("absent", [1, 0, 0])),
        ("nothing", vec![&none], &[], 3, of("unchecked", [0, 0, 0])),
        ("nothing, and that is fine", vec![&none], empty, 0, of("none", [0, 0, 0])),
    ] {
        let objects: Vec<Value> = objects.into_iter().cloned().collect();
        let ran = verify(&objects, &[&["-o", "summary"], more].concat());
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
        assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap(), summary, "{case}");
        let loose = verify(&objects, &[&["-o", "summary", "--strict=false"], more].concat());
        let expected = if code == 3 { 3 } else { 0 };
        assert_eq!((loose.code, loose.out), (expected, ran.out), "{case}, not strict: {}", loose.err);
        let is_said = loose.err.contains("exit code 0 all the same");
        assert_eq!(is_said, code != expected, "{case}: {}", loose.err);
    }
}

#[test]
fn a_summary_tells_that_another_report_could_not_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary");
    let genuine = object("taskrun.json");
    for other in ["json=/dev/full", "html=/dev/full", "junit=/dev/full"] {
        let first = format!("summary={}", summary.display());
        let ran = verify(std::slice::from_ref(&genuine), &["-o", &first, "-o", other]);
        let told: Value = serde_json::from_str(&fs::read_to_string(&summary).unwrap()).unwrap();
        assert_eq!((ran.code, told["verdict"].as_str()), (3, Some("unchecked")), "{other}: {}", ran.err);
    }
}

#[test]
fn a_run_that_failed_is_refused_where_all_must_have_succeeded() {
    let folder = format!("{}/testdata/pipelineruns/failed-results", env!("CARGO_MANIFEST_DIR"));
    let at = |name: &str| format!("{folder}/{name}");
    let (pipeline_run, task_runs, bundle) = (at("pipelinerun.json"), at("taskruns.json"), at("bundle.pem"));
    for (more, code, says) in [
        (&[][..], 0, "the PipelineRun failed"),
        (&["--require-success"], 1, "policy, --require-success: the run must have succeeded, but it failed"),
    ] {
        let trust = ["--trust-domain=example.org", "--at=2026-11-28T09:08:30Z", "--bundle", &bundle, "-v"];
        let ran = svidence(&[&["verify", &pipeline_run, &task_runs], &trust[..], more].concat(), "");
        assert_eq!(ran.code, code, "{more:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{more:?}: {}", ran.err);
    }
}

#[test]
fn what_is_not_strict_still_fails_where_nothing_was_judged_or_told() {
    let genuine = object("taskrun.json");
    for (case, more, code) in [
        ("a report that cannot be written", &["-o", "json=/nonexistent/report"][..], 3),
        ("a full disk", &["-o", "json=/dev/full"], 3),
        ("no bundle", &["--bundle", "/nonexistent"], 3),
        ("a file that is not there", &["/nonexistent"], 3),
        ("a usage error", &["--jobs=0"], 64),
    ] {
        let ran = verify(std::slice::from_ref(&genuine), &[&["--strict=false"], more].concat());
        assert_eq!(ran.code, code, "{case}: {}", ran.err);
    }
}
