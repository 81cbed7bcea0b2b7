//! PipelineRuns with very many of everything, and TaskRuns that say that they belong to one.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{Shape, genuine, shape};

const UID: &str = "d50d30d7-e374-471c-adb5-e624861d22cd";

/// A finished PipelineRun `p`, and below it the genuine run as that of its task `a`, which produced what it signed.
fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut child = genuine();
    child["metadata"]["labels"] = json!({"tekton.dev/pipelineRunUID": UID});
    let name = child["metadata"]["name"].clone();
    let spec = json!({"tasks": [{"name": "a"}], "results": [{"name": "r", "value": reference()}]});
    let mut pipeline_run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": "p", "namespace": "default", "uid": UID, "creationTimestamp": "2026-11-22T05:30:00Z"},
        "spec": {"pipelineSpec": spec},
        "status": {
            "conditions": [{"type": "Succeeded", "status": "True"}],
            "pipelineSpec": spec,
            "childReferences": [{"kind": "TaskRun", "name": name, "pipelineTaskName": "a"}],
            "results": [],
        },
    });
    change(&mut pipeline_run);
    format!("{child}\n{pipeline_run}\n")
}

/// With these tasks besides, in both specs.
fn with_tasks(list: &str, tasks: impl Iterator<Item = Value>) -> String {
    let tasks: Vec<Value> = tasks.collect();
    with(|object| {
        for spec in ["/spec/pipelineSpec", "/status/pipelineSpec"] {
            let spec = object.pointer_mut(spec).unwrap();
            match spec[list].as_array_mut() {
                Some(known) => known.extend(tasks.iter().cloned()),
                None => spec[list] = json!(tasks),
            }
        }
    })
}

const fn whole(name: &'static str, size: usize, input: fn(usize) -> String) -> Shape {
    Shape { objects: |_| 2, genuine: 1, needs_end: true, ..shape(name, size, input) }
}

/// To the result of the genuine run.
fn reference() -> &'static str {
    static REFERENCE: OnceLock<String> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let result = genuine()["status"]["results"][0]["name"].as_str().unwrap().to_owned();
        format!("$(tasks.a.results.{result})")
    })
}

pub(super) const SHAPES: &[Shape] = &[
    whole("tasks of a pipeline", 3000, |n| {
        with_tasks("tasks", (0..n).map(|i| json!({"name": format!("t{i}")})))
    }),
    whole("tasks of finally", 3000, |n| {
        with_tasks(
            "finally",
            (0..n).map(|i| json!({"name": format!("t{i}"), "params": [{"name": "p", "value": reference()}]})),
        )
    }),
    whole("tasks that all have children", 3000, |n| {
        let tasks = (0..n).map(|i| json!({"name": format!("t{i}"), "runAfter": ["a"]}));
        let lines = with_tasks("tasks", tasks);
        let (child, object) = lines.split_once('\n').unwrap();
        let mut object: Value = serde_json::from_str(object).unwrap();
        let references = object["status"]["childReferences"].as_array_mut().unwrap();
        references.extend((0..n).map(
            |i| json!({"kind": "TaskRun", "name": format!("p-t{i}"), "pipelineTaskName": format!("t{i}")}),
        ));
        format!("{child}\n{object}\n")
    }),
    whole("children of a task", 3000, |n| {
        with(|object| {
            let references = object["status"]["childReferences"].as_array_mut().unwrap();
            references
                .extend((0..n).map(
                    |i| json!({"kind": "TaskRun", "name": format!("p-a-{i}"), "pipelineTaskName": "a"}),
                ));
        })
    }),
    whole("children of one name", 3000, |n| {
        with(|object| {
            let references = object["status"]["childReferences"].as_array_mut().unwrap();
            let first = references[0].clone();
            references.extend((0..n).map(|_| first.clone()));
        })
    }),
    whole("children of tasks that are not there", 3000, |n| {
        with(|object| {
            let references = object["status"]["childReferences"].as_array_mut().unwrap();
            references.extend((0..n).map(
                |i| json!({"kind": "TaskRun", "name": format!("x{i}"), "pipelineTaskName": format!("x{i}")}),
            ));
        })
    }),
    whole("skipped tasks", 3000, |n| {
        with(|object| {
            object["status"]["skippedTasks"] =
                (0..n).map(|i| json!({"name": format!("t{i}"), "reason": "Because"})).collect();
        })
    }),
    whole("parameters from a result", 2000, |n| {
        let params: Vec<Value> =
            (0..n).map(|i| json!({"name": format!("p{i}"), "value": reference()})).collect();
        with_tasks("tasks", [json!({"name": "b", "params": params})].into_iter())
    }),
    whole("references in one text", 3000, |n| {
        with(|object| {
            for spec in ["/spec/pipelineSpec", "/status/pipelineSpec"] {
                object.pointer_mut(spec).unwrap()["results"] =
                    json!([{"name": "r", "value": reference().repeat(n)}]);
            }
        })
    }),
    whole("places to fill in one text", 3000, |n| {
        with(|object| {
            object["spec"]["pipelineSpec"]["results"][0]["value"] = json!("x$(params.p)".repeat(n));
            object["status"]["pipelineSpec"]["results"][0]["value"] = json!("x".repeat(n));
        })
    }),
    whole("places to fill in lists", 3000, |n| {
        with(|object| {
            let list = |text: &str| json!([{"name": "r", "value": vec![text; n]}]);
            object["spec"]["pipelineSpec"]["results"] = list("$(params.p)");
            object["status"]["pipelineSpec"]["results"] = list("x");
        })
    }),
    whole("results of a PipelineRun", 3000, |n| {
        with(|object| {
            object["status"]["results"] =
                (0..n).map(|i| json!({"name": format!("r{i}"), "value": "x"})).collect();
        })
    }),
    whole("declared results of a PipelineRun", 2000, |n| {
        with(|object| {
            let results: Value =
                (0..n).map(|i| json!({"name": format!("r{i}"), "value": reference()})).collect();
            for spec in ["/spec/pipelineSpec", "/status/pipelineSpec"] {
                object.pointer_mut(spec).unwrap()["results"] = results.clone();
            }
        })
    }),
    whole("conditions of a task", 2000, |n| {
        let when: Vec<Value> = (0..n)
            .map(|_| json!({"input": reference(), "operator": "in", "values": [reference()]}))
            .collect();
        with_tasks("tasks", [json!({"name": "b", "when": when})].into_iter())
    }),
    whole("a matrix of many lists", 2000, |n| {
        let params: Vec<Value> = (0..n).map(|i| json!({"name": format!("p{i}"), "value": ["x"]})).collect();
        matrix(&json!({"params": params}))
    }),
    whole("a matrix of two long lists", 3000, |n| {
        matrix(
            &json!({"params": [{"name": "a", "value": vec!["x"; n]}, {"name": "b", "value": vec!["x"; n]}]}),
        )
    }),
    whole("a matrix with much included", 2000, |n| {
        let include: Vec<Value> =
            (0..n).map(|i| json!({"params": [{"name": "a", "value": format!("{i}")}]})).collect();
        matrix(&json!({"params": [{"name": "a", "value": vec!["x"; n / 10]}], "include": include}))
    }),
    Shape {
        objects: |n| n + 2,
        ..whole("TaskRuns that say that they belong to it", 300, |n| {
            let lines = with(|_| ());
            let child = json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"namespace": "default", "labels": {"tekton.dev/pipelineRunUID": UID}}});
            let child = |i: usize| {
                let mut child = child.clone();
                child["metadata"]["name"] = json!(format!("p-x{i}"));
                format!("{child}\n")
            };
            (0..n).map(child).collect::<String>() + &lines
        })
    },
    Shape {
        objects: |n| n,
        genuine: 0,
        ..whole("PipelineRuns in each other", 300, |n| {
            let object = |i: usize| {
                json!({
                    "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": format!("p{i}"), "namespace": "default", "uid": format!("u{i}")},
                    "status": {
                        "conditions": [{"type": "Succeeded", "status": "True"}], "pipelineSpec": {"tasks": [{"name": "a"}]},
                        "childReferences": [{"kind": "PipelineRun", "name": format!("p{}", i + 1), "pipelineTaskName": "a"}],
                    },
                })
            };
            (0..n).map(|i| format!("{}\n", object(i))).collect()
        })
    },
];

fn matrix(matrix: &Value) -> String {
    let mut task = json!({"name": "b"});
    task["matrix"] = matrix.clone();
    let lines = with_tasks("tasks", [task].into_iter());
    let (child, object) = lines.split_once('\n').unwrap();
    let mut object: Value = serde_json::from_str(object).unwrap();
    // As if it had run once.
    let reference = json!({"kind": "TaskRun", "name": "p-b", "pipelineTaskName": "b"});
    object["status"]["childReferences"].as_array_mut().unwrap().push(reference);
    format!("{child}\n{object}\n")
}
