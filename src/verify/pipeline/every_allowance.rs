//! With whatever allowance a family of PipelineRuns is judged, nothing honest is `invalid` and no forgery is `verified`: what was cut
//! short is compared with nothing.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};
use unixtime::UnixSeconds;

use crate::{
    tekton::{
        pipelinerun::{Param, PipelineRun},
        strict::node::Node,
        value::ResultValue,
    },
    verify::{
        Policy, Trust, Verdict,
        pipeline::{
            JudgedPipelineRun, Pipelines,
            allowance::{Allowance, TOO_MUCH},
            child::{Child, Proven},
        },
    },
    workload::{bundle::X509Bundle, id::TrustDomain},
};

const OUTER: &str = "11111111-0000-4000-8000-000000000000";
const INNER: &str = "22222222-0000-4000-8000-000000000000";
/// Bytes, and steps of CEL, that are enough for the family.
const ENOUGH: (u64, u64) = (1 << 20, 10_000_000);
const CREATED: &str = "2026-11-22T05:30:00Z";

/// A PipelineRun, the one in it, and what their TaskRuns prove and were given, by name.
#[derive(Clone)]
struct Family {
    outer: Value,
    inner: Value,
    task_runs: Vec<TaskRun>,
}

/// Name, UID of its PipelineRun, parameters (in the order of their names) and results.
type TaskRun = (&'static str, &'static str, Value, Value);

fn values(of: &Value) -> Vec<(String, ResultValue)> {
    let param = |(name, value): (&String, &Value)| {
        let param: Param = serde_json::from_value(json!({"name": name, "value": value})).unwrap();
        (param.name, param.value)
    };
    of.as_object().unwrap().iter().map(param).collect()
}

fn pipeline_run(name: &str, uid: &str, owners: Value, spec: &Value, status: Value) -> Value {
    let mut object = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {
            "name": name, "namespace": "default", "uid": uid, "ownerReferences": owners, "creationTimestamp": CREATED,
        },
        "spec": {"pipelineSpec": spec},
        "status": status,
    });
    // As the controller puts parameters in.
    let made =
        spec.to_string().replace("$(params.text)", "of all").replace("\"$(params.list[*])\"", "\"w\",\"x\"");
    object["status"]["pipelineSpec"] = serde_json::from_str(&made).unwrap();
    object["status"]["conditions"] = json!([{"type": "Succeeded", "status": "True"}]);
    object
}

fn run(name: &str, task: &str, when: &Value) -> Value {
    json!({"kind": "TaskRun", "name": name, "pipelineTaskName": task, "whenExpressions": when})
}

/// Whatever is derived, once: texts, lists and objects, matrices, when expressions with what the status states of them, skips for each
/// reason, statuses, and a pipeline in the pipeline.
fn genuine() -> Family {
    let of_inner =
        json!({"tasks": [{"name": "pack"}], "results": [{"name": "r", "value": "$(tasks.pack.results.r)"}]});
    let mut inner = pipeline_run(
        "ship-app",
        INNER,
        json!([{"kind": "PipelineRun", "uid": OUTER}]),
        &of_inner,
        json!({"childReferences": [run("ship-app-pack", "pack", &json!([]))]}),
    );
    inner["status"]["results"] = json!([{"name": "r", "value": "packed"}]);
    let (no, empty) = ("When Expressions evaluated to false", "Matrix Parameters have an empty array");
    let spec = json!({
        "tasks": [
            {"name": "build", "params": [{"name": "p", "value": "$(params.text)"}, {"name": "q", "value": ["$(params.list[*])", "y"]}]},
            {"name": "scan", "matrix": {"params": [{"name": "image", "value": ["$(tasks.build.results.l[*])", "z"]}]}},
            {"name": "app", "pipelineSpec": of_inner},
            {
                "name": "deploy", "retries": 2,
                "params": [
                    {"name": "app", "value": "$(tasks.app.results.r)"},
                    {"name": "count", "value": "$(tasks.scan.matrix.length) $(context.pipelineTask.retries)"},
                    {"name": "having", "value": "$(tasks.scan.matrix.v.length)"},
                    {"name": "item", "value": "$(tasks.scan.results.v[1])"},
                    {"name": "list", "value": ["$(tasks.scan.results.v[*])"]},
                    {"name": "text", "value": "<$(tasks.build.results.s)$(tasks.build.results.o.k)>"},
                ],
                "when": [
                    {"input": "$(tasks.build.results.s)", "operator": "in", "values": ["$(tasks.build.results.s)", "$(tasks.build.results.l[*])", "$(kept)"]},
                    {"input": "$(tasks.build.results.l[*])", "operator": "notin", "values": ["$(tasks.scan.results.v[0])"]},
                    {"cel": "'$(tasks.build.results.s)' == 'long text' && [1, 2, 3].all(i, i < 4)"},
                ],
            },
            {"name": "never", "when": [{"input": "$(tasks.build.results.s)", "operator": "in", "values": ["$(tasks.app.results.r)"]}]},
            {"name": "behind", "runAfter": ["missing"]},
            {"name": "missing", "params": [{"name": "p", "value": "$(tasks.scan.results.none)"}]},
            {"name": "empty", "matrix": {"params": [{"name": "p", "value": ["$(tasks.build.results.none[*])"]}]}},
        ],
        "finally": [{"name": "report", "params": [
            {"name": "all", "value": "$(tasks.status)"},
            {"name": "one", "value": "$(tasks.build.status) $(tasks.build.reason)"},
        ]}],
        "results": [
            {"name": "whole", "value": "$(tasks.build.results.s)"},
            {"name": "list", "value": ["$(tasks.scan.results.v[*])", "$(tasks.build.results.o.k)"]},
        ],
    });
    let list = "[\"x\",\"y\"]";
    let deploy = json!([
        {"input": "long text", "operator": "in", "values": ["long text", "x", "y", "$(kept)"]},
        {"input": list, "operator": "notin", "values": ["v0"]},
        {"cel": "'long text' == 'long text' && [1, 2, 3].all(i, i < 4)"},
    ]);
    let none = json!([]);
    let mut outer = pipeline_run(
        "ship",
        OUTER,
        json!([]),
        &spec,
        json!({
            "childReferences": [
                run("ship-build", "build", &none), run("ship-scan-0", "scan", &none), run("ship-scan-1", "scan", &none),
                run("ship-scan-2", "scan", &none), run("ship-deploy", "deploy", &deploy), run("ship-report", "report", &none),
                {"kind": "PipelineRun", "name": "ship-app", "pipelineTaskName": "app"},
            ],
            "skippedTasks": [
                {"name": "never", "reason": no, "whenExpressions": [{"input": "long text", "operator": "in", "values": ["packed"]}]},
                {"name": "missing", "reason": "Results were missing"},
                {"name": "behind", "reason": "Parent Tasks were skipped"},
                {"name": "empty", "reason": empty},
            ],
        }),
    );
    outer["spec"]["params"] =
        json!([{"name": "list", "value": ["w", "x"]}, {"name": "text", "value": "of all"}]);
    outer["status"]["results"] = json!([{"name": "whole", "value": "long text"}, {"name": "list", "value": ["v0", "v1", "v2", "member"]}]);
    let build = json!({"s": "long text", "l": ["x", "y"], "o": {"k": "member"}, "none": []});
    let given = json!({
        "text": "<long textmember>", "list": ["v0", "v1", "v2"], "item": "v1", "app": "packed", "count": "2 2", "having": "3",
    });
    let status = json!({"all": "Completed", "one": "Succeeded Succeeded"});
    let task_runs = vec![
        ("ship-build", OUTER, json!({"p": "of all", "q": ["w", "x", "y"]}), build),
        ("ship-scan-0", OUTER, json!({"image": "x"}), json!({"v": "v0"})),
        ("ship-scan-1", OUTER, json!({"image": "y"}), json!({"v": "v1"})),
        ("ship-scan-2", OUTER, json!({"image": "z"}), json!({"v": "v2"})),
        ("ship-app-pack", INNER, json!({}), json!({"r": "packed"})),
        ("ship-deploy", OUTER, given, json!({})),
        ("ship-report", OUTER, status, json!({})),
    ];
    Family { outer, inner, task_runs }
}

/// The worst verdict on the family with so many bytes and steps of CEL, and why.
fn judged(family: &Family, trust: &Trust, (bytes, steps): (u64, u64)) -> (Verdict, String) {
    let mut pipelines = Pipelines::with_allowance(Allowance::of(bytes, steps));
    for object in [&family.outer, &family.inner] {
        let object = PipelineRun::from_node(Node::from(object.clone()), "tekton.dev/v1").unwrap();
        assert!(pipelines.pipeline_run(object, ()).is_none(), "there is room");
    }
    for (name, owner, params, results) in &family.task_runs {
        pipelines.child(Child {
            kind: "TaskRun",
            name: format!("default/{name}"),
            uid: String::new(),
            owners: vec![(*owner).to_owned()],
            pipeline_run: None,
            created: UnixSeconds::parse(CREATED),
            verdict: Verdict::Verified,
            accepted: true,
            succeeded: Some(true),
            reason: "Succeeded".to_owned(),
            params: values(params),
            also_given: Vec::new(),
            in_program: HashSet::new(),
            has_spec: true,
            is_partial: false,
            differs: false,
            proven: Some(Proven { results: values(results), span: None }),
        });
    }
    let (mut verdicts, mut why) = (BTreeSet::new(), Vec::new());
    pipelines.finish(trust, &Policy::default(), &mut |JudgedPipelineRun { report, .. }| {
        verdicts.insert(report.verdict);
        why.extend(report.findings.iter().map(|finding| format!("{}: {finding:?}", report.task_run)));
    });
    (verdicts.into_iter().max().unwrap(), why.join("\n"))
}

type Change = fn(&mut Family);

#[test]
fn a_used_up_allowance_is_never_a_verdict() {
    let bundle = include_str!("../../../testdata/pipelineruns/ship/bundle.pem");
    let trust = Trust {
        bundle: X509Bundle::from_pem(TrustDomain::new("example.org").unwrap(), bundle).unwrap(),
        intermediates: Vec::new(),
        now: UnixSeconds::parse(CREATED).unwrap(),
        at: None,
        clock_skew: std::time::Duration::ZERO,
    };
    let cases: [(&str, Change, Verdict); 11] = [
        ("nothing changed", |_| {}, Verdict::Verified),
        ("a matrix cut short", |f| cut(f, 2), Verdict::Unchecked),
        ("a matrix cut short behind its first run", |f| cut(f, 1), Verdict::Unchecked),
        ("a parameter", |f| f.task_runs[5].2["text"] = json!("<long text>"), Verdict::Invalid),
        ("a parameter of a matrix", |f| f.task_runs[2].2["image"] = json!("x"), Verdict::Invalid),
        (
            "the name of a run",
            |f| {
                f.outer["status"]["childReferences"][1]["name"] = json!("ship-scan-3");
                f.task_runs[1].0 = "ship-scan-3";
            },
            Verdict::Invalid,
        ),
        (
            "a result of the pipeline",
            |f| f.outer["status"]["results"][1]["value"] = json!(["v0"]),
            Verdict::Invalid,
        ),
        (
            "a result of the pipeline in it",
            |f| f.inner["status"]["results"][0]["value"] = json!("other"),
            Verdict::Invalid,
        ),
        (
            "a stated when expression",
            |f| {
                f.outer["status"]["childReferences"][4]["whenExpressions"][0]["values"] =
                    json!(["long text", "x"])
            },
            Verdict::Invalid,
        ),
        ("a when expression that is false", |f| f.task_runs[0].3["s"] = json!("packed"), Verdict::Invalid),
        (
            "a parameter that the pipeline was given",
            |f| f.outer["spec"]["params"][1]["value"] = json!("else"),
            Verdict::Invalid,
        ),
    ];
    let mut faults = Vec::new();
    for (case, change, expected) in cases {
        let mut family = genuine();
        change(&mut family);
        let (verdict, why) = judged(&family, &trust, ENOUGH);
        assert_eq!(verdict, expected, "{case} with all that is allowed: {why}");
        let mut is_short = |allowance| {
            let (verdict, why) = judged(&family, &trust, allowance);
            let is_wrong = match expected {
                Verdict::Invalid => verdict == Verdict::Verified,
                expected => verdict > Verdict::Unchecked || verdict < expected,
            };
            if is_wrong {
                faults.push(format!("{case} with {allowance:?}: {verdict:?}: {why}"));
            }
            why.contains(TOO_MUCH)
        };
        is_short((ENOUGH.0, 0));
        // Whatever is taken takes at least 64 bytes, so with steps of 64 there is no place in which they do not end once.
        let step = if expected == Verdict::Invalid { 64 * 11 } else { 64 };
        let short = (0..ENOUGH.0).step_by(step).take_while(|bytes| is_short((*bytes, ENOUGH.1))).count();
        assert!((20..5_000).contains(&short), "{case}: {short} allowances are too small");
    }
    assert!(faults.is_empty(), "{} such as\n{}", faults.len(), faults[..faults.len().min(3)].join("\n"));
}

/// Leaves the first runs of the matrix, as an error does while the controller makes them: the PipelineRun failed.
fn cut(family: &mut Family, runs: usize) {
    let name = |place: usize| json!(format!("ship-scan-{place}"));
    let gone: Vec<Value> = (runs..3).map(name).collect();
    let gone = |found: &Value| gone.contains(found) || *found == "ship-deploy" || *found == "ship-report";
    family.outer["status"]["childReferences"].as_array_mut().unwrap().retain(|child| !gone(&child["name"]));
    family.outer["status"]["skippedTasks"].as_array_mut().unwrap().remove(0);
    family.outer["status"]["conditions"][0]["status"] = json!("False");
    family.outer["status"].as_object_mut().unwrap().remove("results");
    family.task_runs.retain(|(name, ..)| !gone(&json!(name)));
}
