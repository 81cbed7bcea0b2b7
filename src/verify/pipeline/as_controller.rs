//! Whatever is derived here is what Tekton's own code made (`testdata/pipelineruns/made.jsonl`); what is not derived is not judged.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::{
    tekton::{
        pipelinerun::{
            ChildReference, Matrix, Param, PipelineTask,
            matrix::{count_runs, fan_out},
            names,
            references::{TaskResultReference, expressions, replaced},
        },
        taskrun::DeclaredWhen,
        value::ResultValue,
    },
    verify::{
        Verdict,
        pipeline::{
            allowance::Allowance,
            child::{Child, Proven},
            context::TaskContext,
            results, skips, stated,
            task::Task,
            values::{TaskResult, Values},
        },
    },
};

fn value(value: &Value) -> ResultValue {
    serde_json::from_value::<Param>(json!({"name": "p", "value": value})).unwrap().value
}

fn child(name: &str, results: &Value) -> Child {
    let results = results.as_object().unwrap();
    let results = results.iter().map(|(name, result)| (name.clone(), value(result))).collect();
    Child {
        kind: "TaskRun",
        name: format!("default/{name}"),
        uid: String::new(),
        owners: Vec::new(),
        pipeline_run: None,
        created: None,
        verdict: Verdict::Verified,
        accepted: true,
        succeeded: Some(true),
        reason: "Succeeded".to_owned(),
        params: Vec::new(),
        also_given: Vec::new(),
        in_program: HashSet::new(),
        has_spec: true,
        is_partial: false,
        differs: false,
        proven: Some(Proven { results, span: None }),
    }
}

/// The tasks of the program that made the vectors.
struct State {
    tasks: [(PipelineTask, Vec<(ChildReference, Child)>); 2],
}

impl State {
    fn new() -> Self {
        let task = |task: Value| serde_json::from_value::<PipelineTask>(task).unwrap();
        let run = |name: &str, results: Value| {
            (ChildReference { name: name.to_owned(), ..ChildReference::default() }, child(name, &results))
        };
        let results = json!({"s": "text", "d": "$(tasks.a.results.s)", "l": ["x", "y"], "one": ["x"], "none": [],
            "o": {"k": "v", "n": "$(tasks.a.results.s)"}});
        let matrix = json!({"name": "m", "matrix": {"params": [{"name": "p", "value": ["1", "2"]}]}});
        Self {
            tasks: [
                (task(json!({"name": "a"})), vec![run("run-a", results)]),
                (
                    task(matrix),
                    vec![run("run-m-0", json!({"r": "m0", "q": "q0"})), run("run-m-1", json!({"r": "m1"}))],
                ),
            ],
        }
    }

    fn tasks(&self) -> HashMap<&str, Task<'_>> {
        let tasks = self.tasks.iter().map(|(task, runs)| {
            let references = runs.iter().map(|(reference, _)| reference).collect();
            let runs = runs.iter().map(|(_, child)| Some(child)).collect();
            (
                task.name.as_str(),
                Task {
                    task,
                    is_finally: false,
                    references,
                    names: Vec::new(),
                    is_counted: true,
                    runs,
                    skipped: None,
                    stated: Vec::new(),
                },
            )
        });
        tasks.collect()
    }
}

#[test]
fn what_is_derived_is_what_the_controller_makes() {
    let state = State::new();
    let tasks = state.tasks();
    let allowance = Allowance::default();
    let values = Values::new(&tasks, &allowance);
    let (mut faults, mut derived) = (Vec::new(), HashMap::<String, u32>::new());
    for line in include_str!("../../../testdata/pipelineruns/made.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (kind, given, made) = (line["kind"].as_str().unwrap(), &line["given"], &line["made"]);
        // `None`: nothing is derived.
        let ours = match kind {
            "param" => {
                let given = value(given);
                let is_there = expressions(&given)
                    .into_iter()
                    .filter_map(TaskResultReference::parse)
                    .all(|reference| matches!(values.result(&reference), TaskResult::Value(_)));
                let made = replaced(&given, &|text| values.replacement(text)).ok();
                made.filter(|_| is_there).map(|made| serde_json::from_str(&made.canonical_json()).unwrap())
            }
            "when" => {
                let when: Vec<DeclaredWhen> = serde_json::from_value(given.clone()).unwrap();
                skips::allows(&when, &values).ok().map(Value::from)
            }
            "stated" => {
                let list =
                    |value: &Value| serde_json::from_value::<Vec<DeclaredWhen>>(value.clone()).unwrap();
                let is_same = stated::become_all(&list(given), &list(made), &values);
                is_same.ok().map(|is_same| if is_same { made.clone() } else { Value::Null })
            }
            "context" => {
                let task: PipelineTask = serde_json::from_value(given.clone()).unwrap();
                let task = Task {
                    task: &task,
                    is_finally: false,
                    references: Vec::new(),
                    names: Vec::new(),
                    is_counted: true,
                    runs: Vec::new(),
                    skipped: None,
                    stated: Vec::new(),
                };
                let context = TaskContext::new(&task, &values);
                let param = |param: &Param| {
                    let made = replaced(&param.value, &|text| context.replacement(text)).ok()?;
                    Some(
                        json!({"name": param.name, "value": serde_json::from_str::<Value>(&made.canonical_json()).unwrap()}),
                    )
                };
                task.task.params.iter().map(param).collect::<Option<Vec<Value>>>().map(Value::from)
            }
            "result" => results::derive(&value(given), &values)
                .ok()
                .map(|made| serde_json::from_str(&made.canonical_json()).unwrap()),
            "matrix" => {
                let matrix: Matrix = serde_json::from_value(given.clone()).unwrap();
                fan_out(&matrix).map(|combinations| {
                    let params = combinations.iter().map(|combination| {
                        let params = combination.iter();
                        params.map(|(name, value)| json!({"name": name, "value": value})).collect::<Value>()
                    });
                    params.collect()
                })
            }
            "count" => {
                let matrix: Matrix = serde_json::from_value(given.clone()).unwrap();
                count_runs(&matrix).map(Value::from)
            }
            "names" => {
                let (run, task) = (given[0].as_str().unwrap(), given[1].as_str().unwrap());
                let count = usize::try_from(given[2].as_u64().unwrap()).unwrap();
                Some(json!(names::of_runs(run, task, count)))
            }
            kind => panic!("{kind}"),
        };
        let Some(ours) = ours else { continue };
        *derived.entry(kind.to_owned()).or_default() += 1;
        // Go writes an empty list as null.
        let made = if kind == "matrix" && made.is_null() { &json!([]) } else { made };
        if ours != *made {
            faults.push(format!("{kind} {given}: {ours}, and Tekton makes {made}"));
        }
    }
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
    for (kind, least) in [
        ("param", 150),
        ("when", 200),
        ("result", 60),
        ("matrix", 200),
        ("count", 200),
        ("names", 200),
        ("stated", 200),
        ("context", 100),
    ] {
        assert!(derived[kind] >= least, "{kind}: only {} are derived", derived[kind]);
    }
}

/// A result of 1 MiB, put in at 300 places: 300 MiB.
#[test]
fn a_long_result_is_not_put_in_without_end() {
    let (mut state, allowance) = (State::new(), Allowance::default());
    let [(_, runs), _] = &mut state.tasks;
    let proven = runs[0].1.proven.as_mut().unwrap();
    proven.results.push(("long".to_owned(), ResultValue::String("x".repeat(1 << 20))));
    let tasks = state.tasks();
    let values = Values::new(&tasks, &allowance);
    let reference = "$(tasks.a.results.long)";
    let put_in = |places: usize| {
        let text = ResultValue::String(format!("{} ", reference.repeat(places)));
        replaced(&text, &|text| values.replacement(text)).map(|made| made.canonical_json().len())
    };
    assert_eq!(put_in(2), Ok((2 << 20) + 3));
    assert!(!allowance.is_used_up());
    assert_eq!(put_in(300), Err("tasks.a.results.long".to_owned()));
    assert!(allowance.is_used_up());
    let when = json!([{"input": "$(tasks.a.results.s)", "operator": "in", "values": ["text"]}]);
    let when: Vec<DeclaredWhen> = serde_json::from_value(when).unwrap();
    assert!(skips::allows(&when, &values).is_err(), "what is known is put in although nothing is left");
    assert!(stated::become_all(&when, &when, &values).is_err(), "what is compared although nothing is left");
}
