//! Whole PipelineRuns: genuine ones of a real cluster are verified, and whatever is changed in them is not.

use crate::support;

use std::{collections::BTreeSet, fs, io::Cursor, num::NonZeroUsize, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::{
    chains::{self, Chains},
    command::{Ran, svidence},
    corpus::{self, Shape},
    signed::{reasons, trust},
};
use svidence::{
    sources::{
        source::Source,
        walk::{Event, WalkProgress, walk},
    },
    standin::ca::DevCa,
    tekton::run::Run,
    verify::{
        self, Policy, Trust, Verdict,
        pipeline::{Child, JudgedPipelineRun, Pipelines},
    },
};
use time::{Duration, OffsetDateTime};
use unixtime::UnixSeconds;

/// A PipelineRun and its TaskRuns.
#[derive(Clone)]
pub(crate) struct Whole {
    pub(crate) pipeline_run: Value,
    pub(crate) task_runs: Vec<Value>,
}

fn folder(name: &str) -> String {
    format!("{}/testdata/pipelineruns/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(name: &str) -> Whole {
    let json = |file: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(format!("{}/{file}", folder(name))).unwrap()).unwrap()
    };
    let Value::Array(task_runs) = json("taskruns.json")["items"].take() else { panic!("{name}: no List") };
    Whole { pipeline_run: json("pipelinerun.json"), task_runs }
}

impl Whole {
    fn task_run(&mut self, name: &str) -> &mut Value {
        self.task_runs.iter_mut().find(|object| object["metadata"]["name"] == name).unwrap()
    }

    fn status(&mut self) -> &mut Value {
        &mut self.pipeline_run["status"]
    }

    fn without(&mut self, name: &str) {
        self.task_runs.retain(|object| object["metadata"]["name"] != name);
    }

    /// Both specs, the one that was asked for and the one that was run.
    fn specs(&mut self, change: impl Fn(&mut Value)) {
        change(&mut self.pipeline_run["spec"]["pipelineSpec"]);
        change(&mut self.pipeline_run["status"]["pipelineSpec"]);
    }

    fn lines(&self) -> String {
        let objects = std::iter::once(&self.pipeline_run).chain(&self.task_runs);
        objects.map(|object| format!("{object}\n")).collect()
    }
}

fn verify(sources: &[&str], stdin: &str, more: &[&str]) -> Ran {
    let bundle = format!("{}/bundle.pem", folder("ship"));
    let trust = ["--trust-domain=example.org", "--at=2026-11-28T09:08:30Z", "--bundle", &bundle];
    svidence(&[&["verify"], sources, &trust, more].concat(), stdin)
}

/// The line of the PipelineRun in the report.
fn judged(whole: &Whole) -> Value {
    judged_with(whole, &[])
}

fn judged_with(whole: &Whole, more: &[&str]) -> Value {
    try_judged(whole, more).unwrap_or_else(|said| panic!("no PipelineRun in it: {said}"))
}

/// The same, or all that was said if it cannot be read as a PipelineRun.
pub(crate) fn try_judged(whole: &Whole, more: &[&str]) -> Result<Value, String> {
    let ran = verify(&["-"], &whole.lines(), &[&["-o", "json"], more].concat());
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = lines.into_iter().find(|line| line.get("pipelineRun").is_some());
    line.ok_or_else(|| format!("{}{}", ran.out, ran.err))
}

pub(crate) fn details(line: &Value) -> BTreeSet<&str> {
    let findings = line["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["detail"].as_str().unwrap_or("none")).collect()
}

fn named<'a>(list: &'a mut Value, name: &str) -> &'a mut Value {
    list.as_array_mut().unwrap().iter_mut().find(|item| item["name"] == name).unwrap()
}

fn remove(list: &mut Value, name: &str) {
    list.as_array_mut().unwrap().retain(|item| item["name"] != name && item["pipelineTaskName"] != name);
}

pub(crate) type Change = fn(&mut Whole);

/// What is done to `ship`, the verdict that follows, and the detail that says why.
pub(crate) const FORGERIES: &[(&str, Change, &str, &str)] = &[
    // --- children ---
    ("a child is not there", |w| w.without("ship-scan-1"), "unchecked", "child-missing"),
    ("no child is there", |w| w.task_runs.clear(), "unchecked", "child-missing"),
    (
        "a child's result is changed",
        |w| named(&mut w.task_run("ship-build")["status"]["results"], "digest")["value"] = json!("sha256:1"),
        "invalid",
        "child-verdict",
    ),
    (
        "a child has no evidence",
        |w| {
            w.task_run("ship-scan-0")["status"]["steps"][0]["terminated"]["message"] = json!("");
            w.task_run("ship-scan-0")["status"]["results"] = json!([]);
        },
        "absent",
        "child-verdict",
    ),
    (
        "a child stands for another combination of the matrix",
        |w| {
            let one = w.task_run("ship-scan-1").clone();
            *w.task_run("ship-scan-0") = one;
        },
        "unchecked",
        "child-missing",
    ),
    (
        "a child is referred to twice",
        |w| {
            let references = w.status()["childReferences"].as_array_mut().unwrap();
            references[2] = references[1].clone();
        },
        "invalid",
        "child-name",
    ),
    (
        "one task's child stands for another task",
        |w| w.status()["childReferences"][3]["name"] = json!("ship-build"),
        "invalid",
        "child-name",
    ),
    (
        "a child of another PipelineRun's name",
        |w| w.status()["childReferences"][0]["name"] = json!("release-build"),
        "invalid",
        "child-name",
    ),
    (
        "a child of another PipelineRun, under its own name",
        |w| {
            let other = read("failed-results").task_run("release-build").clone();
            w.without("ship-build");
            w.task_runs.push(other);
            w.status()["childReferences"][0]["name"] = json!("release-build");
        },
        "invalid",
        "child-owner",
    ),
    (
        "a child of another PipelineRun, renamed",
        |w| {
            let mut other = read("failed-results").task_run("release-build").clone();
            other["metadata"]["name"] = json!("ship-build");
            w.without("ship-build");
            w.task_runs.push(other);
        },
        "invalid",
        "child-verdict",
    ),
    (
        "a child that says that it belongs to another PipelineRun",
        |w| {
            w.task_run("ship-deploy")["metadata"]["ownerReferences"][0]["uid"] =
                json!("00000000-0000-4000-8000-000000000000");
        },
        "invalid",
        "child-owner",
    ),
    (
        "a PipelineRun of the same name that was made later",
        |w| {
            w.pipeline_run["metadata"]["creationTimestamp"] = json!("2026-11-28T09:08:10Z");
        },
        "invalid",
        "before-creation",
    ),
    (
        "it does not say when it was made",
        |w| {
            w.pipeline_run["metadata"].as_object_mut().unwrap().remove("creationTimestamp");
        },
        "unchecked",
        "no-creation-time",
    ),
    ("it has no UID", |w| w.pipeline_run["metadata"]["uid"] = json!(""), "invalid", "child-owner"),
    (
        "a child that the status leaves out",
        |w| remove(&mut w.status()["childReferences"], "report"),
        "invalid",
        "child-left-out",
    ),
    (
        "a child of a matrix that the status leaves out",
        |w| {
            w.status()["childReferences"].as_array_mut().unwrap().remove(2);
        },
        "invalid",
        "child-left-out",
    ),
    (
        "a child that the status leaves out and the source lacks",
        |w| {
            remove(&mut w.status()["childReferences"], "report");
            w.without("ship-report");
        },
        "invalid",
        "child-missing",
    ),
    (
        "a combination that the status leaves out and the source lacks",
        |w| {
            w.status()["childReferences"].as_array_mut().unwrap().remove(2);
            w.without("ship-scan-1");
        },
        "unchecked",
        "matrix",
    ),
    (
        "another combination than the last that the status leaves out and the source lacks",
        |w| {
            w.status()["childReferences"].as_array_mut().unwrap().remove(1);
            w.without("ship-scan-0");
        },
        "invalid",
        "child-name",
    ),
    (
        "a child that is a CustomRun",
        |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "deploy")["taskRef"] =
                    json!({"apiVersion": "x.example/v1", "kind": "X"});
            });
            w.status()["childReferences"][3]["kind"] = json!("CustomRun");
            w.without("ship-deploy");
        },
        "unchecked",
        "child-missing",
    ),
    (
        "a child is said to be a CustomRun",
        |w| w.status()["childReferences"][3]["kind"] = json!("CustomRun"),
        "invalid",
        "child-kind",
    ),
    (
        "a child of a task that another controller runs",
        |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "deploy")["taskRef"] =
                    json!({"apiVersion": "x.example/v1", "kind": "X"});
            });
        },
        "invalid",
        "child-kind",
    ),
    (
        "a child of a pipeline in the pipeline is a TaskRun",
        |w| w.specs(|spec| named(&mut spec["tasks"], "deploy")["pipelineRef"] = json!({"name": "p"})),
        "invalid",
        "child-kind",
    ),
    (
        "a name that cannot be one",
        |w| {
            let name = "a".repeat(55) + "é";
            w.specs(|spec| spec["tasks"].as_array_mut().unwrap().push(json!({"name": name})));
            let references = w.status()["childReferences"].as_array_mut().unwrap();
            references.extend((0..2).map(
                |number| json!({"kind": "TaskRun", "name": format!("x-{number}"), "pipelineTaskName": name}),
            ));
        },
        "invalid",
        "child-name",
    ),
    (
        "a child of a task that the pipeline does not have",
        |w| w.status()["childReferences"][3]["pipelineTaskName"] = json!("promote"),
        "invalid",
        "unknown-task",
    ),
    // --- what tasks were given ---
    (
        "a parameter that is not the producer's result",
        |w| named(&mut w.task_run("ship-deploy")["spec"]["params"], "digest")["value"] = json!("sha256:666"),
        "invalid",
        "parameter",
    ),
    (
        "an item of a list parameter",
        |w| named(&mut w.task_run("ship-deploy")["spec"]["params"], "all")["value"][1] = json!("evil"),
        "invalid",
        "parameter",
    ),
    (
        "a list parameter with one item more",
        |w| {
            named(&mut w.task_run("ship-deploy")["spec"]["params"], "all")["value"] =
                json!(["app", "sidecar", "evil"]);
        },
        "invalid",
        "parameter",
    ),
    (
        "another item of a list result",
        |w| named(&mut w.task_run("ship-deploy")["spec"]["params"], "first")["value"] = json!("sidecar"),
        "invalid",
        "parameter",
    ),
    (
        "another member of an object result",
        |w| named(&mut w.task_run("ship-deploy")["spec"]["params"], "commit")["value"] = json!("main"),
        "invalid",
        "parameter",
    ),
    (
        "a parameter of a run of a matrix",
        |w| w.task_run("ship-scan-0")["spec"]["params"][0]["value"] = json!("other"),
        "invalid",
        "parameter",
    ),
    (
        "a parameter that is the pipeline's own",
        |w| w.task_run("ship-build")["spec"]["params"][0]["value"] = json!("https://evil.example/app.git"),
        "invalid",
        "parameter",
    ),
    (
        "a parameter that is missing",
        |w| remove(&mut w.task_run("ship-deploy")["spec"]["params"], "digest"),
        "invalid",
        "parameter",
    ),
    (
        "a parameter that the pipeline does not give",
        |w| {
            let params = w.task_run("ship-scan-0")["spec"]["params"].as_array_mut().unwrap();
            params.push(json!({"name": "force", "value": "yes"}));
        },
        "invalid",
        "parameter",
    ),
    (
        "a parameter that is the status of another task",
        |w| named(&mut w.task_run("ship-report")["spec"]["params"], "status")["value"] = json!("Failed"),
        "invalid",
        "parameter",
    ),
    (
        "a parameter from a result that no task has",
        |w| {
            w.specs(|spec| {
                named(&mut named(&mut spec["tasks"], "deploy")["params"], "digest")["value"] =
                    json!("$(tasks.build.results.sum)");
            });
        },
        "invalid",
        "no-such-result",
    ),
    (
        "a parameter from a task that was skipped",
        |w| {
            w.specs(|spec| {
                named(&mut named(&mut spec["tasks"], "deploy")["params"], "digest")["value"] =
                    json!("$(tasks.notify-branch.results.digest)");
            });
        },
        "invalid",
        "no-such-result",
    ),
    (
        "a parameter of the PipelineRun's is another one",
        |w| w.pipeline_run["spec"]["params"][0]["value"] = json!("https://evil.example/app.git"),
        "invalid",
        "pipeline-spec",
    ),
    (
        "a result that only a step's script uses comes from a task that ran later",
        |w| {
            w.specs(|spec| {
                let step = &mut named(&mut spec["tasks"], "build")["taskSpec"]["steps"][0];
                step["script"] = json!("echo $(tasks.notify-branch.results.digest)");
                named(&mut spec["tasks"], "notify-branch")["runAfter"] = json!(["deploy"]);
            });
            w.status()["skippedTasks"][0]["reason"] = json!("Parent Tasks were skipped");
        },
        "invalid",
        "skipped",
    ),
    // --- the pipeline ---
    (
        "the pipeline in the status runs another script",
        |w| {
            let build = named(&mut w.status()["pipelineSpec"]["tasks"], "build");
            build["taskSpec"]["steps"][0]["script"] = json!("rm -rf /");
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status refers to another task",
        |w| {
            w.pipeline_run["spec"]["pipelineSpec"]["tasks"][3]["taskRef"] = json!({"name": "deploy"});
            w.status()["pipelineSpec"]["tasks"][3]["taskRef"] = json!({"name": "evil"});
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status takes a parameter from elsewhere",
        |w| {
            named(&mut named(&mut w.status()["pipelineSpec"]["tasks"], "deploy")["params"], "digest")["value"] =
                json!("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status has a task less",
        |w| {
            remove(&mut w.status()["pipelineSpec"]["tasks"], "notify-branch");
            w.status()["skippedTasks"] = json!([]);
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status does not have the condition",
        |w| {
            let deploy = named(&mut w.status()["pipelineSpec"]["tasks"], "deploy");
            deploy.as_object_mut().unwrap().remove("when");
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status has a condition of another input",
        |w| named(&mut w.status()["pipelineSpec"]["tasks"], "deploy")["when"][0]["input"] = json!("main"),
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status has a condition of another operator",
        |w| named(&mut w.status()["pipelineSpec"]["tasks"], "deploy")["when"][0]["operator"] = json!("notin"),
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status has a condition of other values",
        |w| {
            named(&mut w.status()["pipelineSpec"]["tasks"], "deploy")["when"][0]["values"] =
                json!(["main", "release"]);
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status runs something else behind a parameter",
        |w| {
            let step = &mut named(&mut w.status()["pipelineSpec"]["tasks"], "build")["taskSpec"]["steps"][0];
            let script = step["script"].as_str().unwrap().replacen("\nprintf", "\nrm -rf", 1);
            assert!(step["script"] != *script, "{script}");
            step["script"] = json!(script);
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status has another item behind a list",
        |w| {
            of_default(w);
            let deploy = named(&mut w.status()["pipelineSpec"]["tasks"], "deploy");
            named(&mut deploy["params"], "all")["value"] = json!(["first", "x", "y", "evil"]);
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status has another item before a list",
        |w| {
            of_default(w);
            let deploy = named(&mut w.status()["pipelineSpec"]["tasks"], "deploy");
            named(&mut deploy["params"], "all")["value"] = json!(["evil", "x", "y", "last"]);
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status has fewer items than are around a list",
        |w| {
            of_default(w);
            let deploy = named(&mut w.status()["pipelineSpec"]["tasks"], "deploy");
            named(&mut deploy["params"], "all")["value"] = json!(["first"]);
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline in the status has another result",
        |w| w.status()["pipelineSpec"]["results"][0]["value"] = json!("$(tasks.deploy.results.deployed)"),
        "invalid",
        "pipeline-spec",
    ),
    (
        "the pipeline has a task twice",
        |w| {
            w.specs(|spec| {
                let first = spec["tasks"][0].clone();
                spec["tasks"].as_array_mut().unwrap().push(first);
            });
        },
        "invalid",
        "pipeline-spec",
    ),
    (
        "there is no pipeline in the status",
        |w| {
            w.status().as_object_mut().unwrap().remove("pipelineSpec");
        },
        "unchecked",
        "no-pipeline-spec",
    ),
    (
        "the pipeline has more combinations than were run",
        |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "scan")["matrix"]["params"][0]["value"] =
                    json!(["$(tasks.build.results.images[*])", "third"]);
            });
        },
        "unchecked",
        "matrix",
    ),
    (
        "the pipeline has fewer combinations than were run",
        |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "scan")["matrix"]["params"][0]["value"] = json!(["app"]);
            });
        },
        "invalid",
        "matrix",
    ),
    (
        "another number of retries than was asked for",
        |w| named(&mut w.status()["pipelineSpec"]["tasks"], "scan")["retries"] = json!(9),
        "invalid",
        "pipeline-spec",
    ),
    // --- skipped or not ---
    (
        "a task ran whose condition is false",
        |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "deploy")["when"][0]["values"] = json!(["release"]);
            });
        },
        "invalid",
        "when",
    ),
    (
        "a task was skipped whose condition is true",
        |w| {
            w.specs(|spec| named(&mut spec["tasks"], "notify-branch")["when"][0]["values"] = json!(["main"]));
        },
        "invalid",
        "skipped",
    ),
    (
        "a task is said to be skipped, and ran",
        |w| {
            let skipped = json!({"name": "scan", "reason": "When Expressions evaluated to false"});
            w.status()["skippedTasks"].as_array_mut().unwrap().push(skipped);
        },
        "invalid",
        "skipped",
    ),
    (
        "a task is said to be skipped, and its run hidden",
        |w| {
            remove(&mut w.status()["childReferences"], "deploy");
            w.without("ship-deploy");
            let skipped = json!({"name": "deploy", "reason": "When Expressions evaluated to false"});
            w.status()["skippedTasks"].as_array_mut().unwrap().push(skipped);
        },
        "invalid",
        "skipped",
    ),
    (
        "a task is said to lack results that there are",
        |w| {
            remove(&mut w.status()["childReferences"], "deploy");
            w.without("ship-deploy");
            let skipped = json!({"name": "deploy", "reason": "Results were missing"});
            w.status()["skippedTasks"].as_array_mut().unwrap().push(skipped);
        },
        "invalid",
        "skipped",
    ),
    (
        "a task is said to have an empty matrix",
        |w| {
            remove(&mut w.status()["childReferences"], "scan");
            w.without("ship-scan-0");
            w.without("ship-scan-1");
            let skipped = json!({"name": "scan", "reason": "Matrix Parameters have an empty array"});
            w.status()["skippedTasks"].as_array_mut().unwrap().push(skipped);
        },
        "invalid",
        "skipped",
    ),
    (
        "a task is said to have stopped with a PipelineRun that succeeded",
        |w| w.status()["skippedTasks"][0]["reason"] = json!("PipelineRun was stopping"),
        "invalid",
        "skipped",
    ),
    (
        "a task is skipped for a parent that ran",
        |w| w.status()["skippedTasks"][0]["reason"] = json!("Parent Tasks were skipped"),
        "invalid",
        "skipped",
    ),
    (
        "a task is skipped twice",
        |w| {
            let again = json!({"name": "notify-branch", "reason": "Results were missing"});
            w.status()["skippedTasks"].as_array_mut().unwrap().push(again);
        },
        "invalid",
        "skipped",
    ),
    (
        "a task is skipped for a reason that nobody knows",
        |w| w.status()["skippedTasks"][0]["reason"] = json!("Because"),
        "unchecked",
        "skipped",
    ),
    (
        "a task was neither run nor skipped",
        |w| w.status()["skippedTasks"] = json!([]),
        "invalid",
        "child-missing",
    ),
    (
        "a run that is said to have been let run by other values",
        |w| w.status()["childReferences"][3]["whenExpressions"][0]["input"] = json!("release"),
        "invalid",
        "when",
    ),
    (
        "a run that is said to have been let run by another operator",
        |w| w.status()["childReferences"][3]["whenExpressions"][0]["operator"] = json!("notin"),
        "invalid",
        "when",
    ),
    (
        "a run that is said to have been let run by one expression more",
        |w| {
            let more = json!({"input": "a", "operator": "in", "values": ["a"]});
            w.status()["childReferences"][3]["whenExpressions"].as_array_mut().unwrap().push(more);
        },
        "invalid",
        "when",
    ),
    (
        "a run that is said to have had a condition",
        |w| {
            let other = json!([{"input": "a", "operator": "in", "values": ["a"]}]);
            w.status()["childReferences"][0]["whenExpressions"] = other;
        },
        "invalid",
        "when",
    ),
    (
        "a task that is said to be skipped for other values",
        |w| w.status()["skippedTasks"][0]["whenExpressions"][0]["values"] = json!(["main", "release"]),
        "invalid",
        "when",
    ),
    (
        "a task ran whose condition in CEL is false",
        |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "deploy")["when"] =
                    json!([{"cel": "'$(tasks.build.results.meta.branch)' == 'release'"}]);
            });
            w.status()["childReferences"][3]["whenExpressions"] = json!([{"cel": "'main' == 'release'"}]);
        },
        "invalid",
        "when",
    ),
    (
        "a condition in CEL that is said to have been another one",
        |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "deploy")["when"] =
                    json!([{"cel": "'$(tasks.build.results.meta.branch)' == 'main'"}]);
            });
            w.status()["childReferences"][3]["whenExpressions"] = json!([{"cel": "'x' == 'main'"}]);
        },
        "invalid",
        "when",
    ),
    (
        "a condition that is no CEL",
        |w| {
            w.specs(|spec| named(&mut spec["tasks"], "deploy")["when"] = json!([{"cel": "1 +"}]));
            w.status()["childReferences"][3]["whenExpressions"] = json!([{"cel": "1 +"}]);
        },
        "unchecked",
        "not-derived",
    ),
    (
        "a condition in CEL in a time zone that is not known here",
        |w| {
            let cel = json!([{"cel": "timestamp('2026-01-01T00:00:00Z').getHours('Europe/Berlin') == 1"}]);
            w.specs(|spec| named(&mut spec["tasks"], "deploy")["when"] = cel.clone());
            w.status()["childReferences"][3]["whenExpressions"] = cel;
        },
        "unchecked",
        "not-derived",
    ),
    (
        "more conditions in CEL than are evaluated",
        |w| {
            let cel: Vec<Value> = (0..65).map(|i| json!({"cel": format!("{i} == {i}")})).collect();
            w.specs(|spec| named(&mut spec["tasks"], "deploy")["when"] = json!(cel));
            w.status()["childReferences"][3]["whenExpressions"] = json!(cel);
        },
        "unchecked",
        "not-derived",
    ),
    (
        "a matrix with more text in its combinations than is derived",
        |w| {
            w.specs(|spec| {
                let list = json!(vec!["x".repeat(3000); 500]);
                let params = json!([{"name": "target", "value": list}, {"name": "other", "value": list}]);
                named(&mut spec["tasks"], "scan")["matrix"] = json!({"params": params});
            });
        },
        "unchecked",
        "not-derived",
    ),
    (
        "a parameter that is not the number of retries",
        |w| {
            retries(w);
            named(&mut w.task_run("ship-deploy")["spec"]["params"], "first")["value"] = json!("3");
        },
        "invalid",
        "parameter",
    ),
    (
        "a parameter that is not the number of a matrix' runs",
        |w| {
            of_matrix(w);
            named(&mut w.task_run("ship-report")["spec"]["params"], "status")["value"] = json!("2 of 3");
        },
        "invalid",
        "parameter",
    ),
    // --- its results ---
    (
        "a result is changed",
        |w| w.status()["results"][0]["value"] = json!("sha256:666"),
        "invalid",
        "pipeline-result",
    ),
    (
        "an item of a result is changed",
        |w| w.status()["results"][1]["value"][0] = json!("evil"),
        "invalid",
        "pipeline-result",
    ),
    (
        "a result of another type",
        |w| w.status()["results"][1]["value"] = json!("[\"app\",\"sidecar\"]"),
        "invalid",
        "pipeline-result",
    ),
    ("a result is missing", |w| remove(&mut w.status()["results"], "digest"), "invalid", "pipeline-result"),
    (
        "a result is added",
        |w| w.status()["results"].as_array_mut().unwrap().push(json!({"name": "sbom", "value": "x"})),
        "invalid",
        "pipeline-result",
    ),
    (
        "a result appears twice",
        |w| {
            let first = w.status()["results"][0].clone();
            w.status()["results"].as_array_mut().unwrap().push(first);
        },
        "invalid",
        "pipeline-result",
    ),
    (
        "a result from a task that was skipped",
        |w| {
            w.specs(|spec| spec["results"][0]["value"] = json!("$(tasks.notify-branch.results.digest)"));
        },
        "invalid",
        "pipeline-result",
    ),
    // --- how it ended ---
    (
        "it has not finished",
        |w| w.status()["conditions"][0]["status"] = json!("Unknown"),
        "absent",
        "unfinished",
    ),
    (
        "it says both that it succeeded and that it failed",
        |w| {
            let failed = json!({"type": "Succeeded", "status": "False"});
            w.status()["conditions"].as_array_mut().unwrap().push(failed);
        },
        "absent",
        "unfinished",
    ),
    (
        "it says that it succeeded, and a task says that it failed",
        |w| w.task_run("ship-deploy")["status"]["conditions"][0]["status"] = json!("False"),
        "invalid",
        "succeeded",
    ),
];

/// A task with a list in which all items of a parameter's default are between two others.
fn of_default(w: &mut Whole) {
    w.specs(|spec| {
        let params = spec["params"].as_array_mut().unwrap();
        params.push(json!({"name": "tags", "type": "array", "default": ["x", "y"]}));
    });
    let all = |spec: &mut Value, list: Value| {
        named(&mut named(&mut spec["tasks"], "deploy")["params"], "all")["value"] = list;
    };
    all(&mut w.pipeline_run["spec"]["pipelineSpec"], json!(["first", "$(params.tags[*])", "last"]));
    all(&mut w.pipeline_run["status"]["pipelineSpec"], json!(["first", "x", "y", "last"]));
    named(&mut w.task_run("ship-deploy")["spec"]["params"], "all")["value"] =
        json!(["first", "x", "y", "last"]);
}

/// A task with a parameter that is its number of retries.
fn retries(w: &mut Whole) {
    w.specs(|spec| {
        let deploy = named(&mut spec["tasks"], "deploy");
        deploy["retries"] = json!(2);
        named(&mut deploy["params"], "first")["value"] = json!("$(context.pipelineTask.retries)");
    });
    named(&mut w.task_run("ship-deploy")["spec"]["params"], "first")["value"] = json!("2");
}

/// A task of finally with a parameter that is the number of a matrix' runs, and of those with a result.
fn of_matrix(w: &mut Whole) {
    w.specs(|spec| {
        named(&mut spec["tasks"], "scan")["matrix"] =
            json!({"params": [{"name": "image", "value": ["app", "sidecar"]}]});
        named(&mut named(&mut spec["finally"], "report")["params"], "status")["value"] =
            json!("$(tasks.scan.matrix.verdict.length) of $(tasks.scan.matrix.length)");
    });
    named(&mut w.task_run("ship-report")["spec"]["params"], "status")["value"] = json!("2 of 2");
}

#[test]
fn genuine_pipelineruns_are_verified() {
    for (name, results) in [("ship", 2), ("failed-results", 2)] {
        let line = judged(&read(name));
        assert_eq!(line["verdict"], "verified", "{name}: {line}");
        assert_eq!(line["pipelineResults"].as_array().unwrap().len(), results, "{name}: {line}");
        let tasks: Vec<&str> =
            line["tasks"].as_array().unwrap().iter().map(|task| task["name"].as_str().unwrap()).collect();
        assert_eq!(tasks, ["build", "scan", "notify-branch", "deploy", "report"], "{name}");
    }
}

#[test]
fn no_forgery_is_verified() {
    let genuine = read("ship");
    let mut faults = Vec::new();
    for (case, change, verdict, detail) in FORGERIES {
        let mut whole = genuine.clone();
        change(&mut whole);
        let line = judged(&whole);
        if line["verdict"] != *verdict || line["accepted"] != false || !details(&line).contains(detail) {
            faults.push(format!("{case}: {} for {:?}", line["verdict"], details(&line)));
        }
        if line.get("pipelineResults").is_some() {
            faults.push(format!("{case}: its results are handed out"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(FORGERIES.len() >= 50, "{}", FORGERIES.len());
}

/// Clocks of nodes differ, so an order is only seen beyond twice the skew that is allowed.
#[test]
fn tasks_sign_in_the_order_of_the_pipeline() {
    let genuine = read("ship");
    assert_eq!(judged_with(&genuine, &["--clock-skew=0"])["verdict"], "verified");
    for (case, change) in [
        (
            "a task before one that it runs after",
            (|w| w.specs(|spec| named(&mut spec["tasks"], "build")["runAfter"] = json!(["deploy"])))
                as Change,
        ),
        ("a task before one that a skipped task runs after", |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "build")["runAfter"] = json!(["notify-branch"]);
                let between = named(&mut spec["tasks"], "notify-branch");
                between["runAfter"] = json!(["deploy"]);
                between["when"] = json!([{"input": "a", "operator": "in", "values": ["b"]}]);
            });
        }),
        ("a task before one of finally", |w| {
            w.specs(|spec| {
                let report = named(&mut spec["finally"], "report").clone();
                let build = named(&mut spec["tasks"], "build").clone();
                spec["tasks"].as_array_mut().unwrap()[0] = report;
                spec["finally"] = json!([build]);
            });
        }),
    ] {
        let mut whole = genuine.clone();
        change(&mut whole);
        let line = judged_with(&whole, &["--clock-skew=0"]);
        assert_eq!(line["verdict"], "invalid", "{case}: {line}");
        assert!(details(&line).contains("task-order"), "{case}: {line}");
    }
}

#[test]
fn honest_variants_are_verified() {
    let variants: &[(&str, Change)] = &[
        ("TaskRuns in another order", |w| w.task_runs.reverse()),
        ("runs of a matrix by name, as of more than ten", |w| {
            w.status()["childReferences"].as_array_mut().unwrap().swap(1, 2);
        }),
        ("a TaskRun of a run of the same name before it", |w| {
            let mut other = w.task_run("ship-build").clone();
            other["metadata"]["ownerReferences"][0]["uid"] = json!("00000000-0000-4000-8000-000000000000");
            other["metadata"]["labels"]["tekton.dev/pipelineRunUID"] =
                json!("00000000-0000-4000-8000-000000000000");
            w.task_runs.insert(0, other);
        }),
        ("a TaskRun twice", |w| {
            let again = w.task_run("ship-build").clone();
            w.task_runs.push(again);
        }),
        ("another condition and annotation", |w| {
            let condition = json!({"type": "SvidenceVerified", "status": "False"});
            w.status()["conditions"].as_array_mut().unwrap().push(condition);
            w.pipeline_run["metadata"]["annotations"] = json!({"svidence.dev/verdict": "invalid"});
        }),
        ("clocks of API servers that differ", |w| {
            w.task_run("ship-build")["metadata"]["creationTimestamp"] = json!("2026-11-28T09:07:36Z");
        }),
        ("an empty list in a matrix", |w| {
            w.specs(|spec| {
                let mut task = named(&mut spec["tasks"], "scan").clone();
                task["name"] = json!("scan-all");
                task["matrix"] =
                    json!({"params": [{"name": "image", "value": []}, {"name": "b", "value": ["1"]}]});
                spec["tasks"].as_array_mut().unwrap().push(task);
            });
            let skipped = json!({"name": "scan-all", "reason": "Matrix Parameters have an empty array"});
            w.status()["skippedTasks"].as_array_mut().unwrap().push(skipped);
        }),
        ("a task whose script needs a result that there is not", |w| {
            w.specs(|spec| {
                let steps =
                    json!([{"name": "s", "image": "i", "script": "echo $(tasks.notify-branch.results.y)"}]);
                let task = json!({"name": "late", "taskSpec": {"steps": steps}});
                spec["tasks"].as_array_mut().unwrap().push(task);
            });
            let skipped = json!({"name": "late", "reason": "Results were missing"});
            w.status()["skippedTasks"].as_array_mut().unwrap().push(skipped);
        }),
        ("the status of all tasks", |w| {
            w.specs(|spec| {
                named(&mut named(&mut spec["finally"], "report")["params"], "status")["value"] =
                    json!("$(tasks.status)");
            });
            named(&mut w.task_run("ship-report")["spec"]["params"], "status")["value"] = json!("Completed");
        }),
        ("conditions that the status does not repeat, or repeats without results", |w| {
            w.status()["childReferences"][3]["whenExpressions"][0]["input"] =
                json!("$(tasks.build.results.meta.branch)");
            w.status()["skippedTasks"][0].as_object_mut().unwrap().remove("whenExpressions");
        }),
        ("a condition in CEL", |w| {
            w.specs(|spec| {
                let cel = |branch: &str| {
                    json!([{"cel": format!("'$(tasks.build.results.meta.branch)' in ['{branch}', 'x']")}])
                };
                named(&mut spec["tasks"], "deploy")["when"] = cel("main");
                named(&mut spec["tasks"], "notify-branch")["when"] = cel("release");
            });
            w.status()["childReferences"][3]["whenExpressions"] = json!([{"cel": "'main' in ['main', 'x']"}]);
            w.status()["skippedTasks"][0]["whenExpressions"] = json!([{"cel": "'main' in ['release', 'x']"}]);
        }),
        ("the number of retries", retries),
        ("the number of a matrix' runs", of_matrix),
        ("a list with the items of a parameter between others", of_default),
        ("a list of a step with the items of a parameter", |w| {
            let args = |spec: &mut Value, list: Value| {
                named(&mut spec["tasks"], "notify-branch")["taskSpec"]["steps"][0]["args"] = list;
            };
            args(&mut w.pipeline_run["spec"]["pipelineSpec"], json!(["-x", "$(params.tags[*])"]));
            args(&mut w.pipeline_run["status"]["pipelineSpec"], json!(["-x", "a", "b", "c"]));
        }),
        ("the status of a task that was skipped", |w| {
            w.specs(|spec| {
                named(&mut named(&mut spec["finally"], "report")["params"], "status")["value"] =
                    json!("$(tasks.notify-branch.status)");
            });
            named(&mut w.task_run("ship-report")["spec"]["params"], "status")["value"] = json!("None");
        }),
        ("the reason of the run of a matrix that failed", |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "scan")["onError"] = json!("continue");
                named(&mut named(&mut spec["finally"], "report")["params"], "status")["value"] =
                    json!("$(tasks.scan.reason)");
            });
            w.task_run("ship-scan-1")["status"]["conditions"] =
                json!([{"type": "Succeeded", "status": "False", "reason": "TaskRunTimeout"}]);
            named(&mut w.task_run("ship-report")["spec"]["params"], "status")["value"] =
                json!("TaskRunTimeout");
        }),
        ("a condition with a list of results among its values", |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "deploy")["when"][0]["values"] =
                    json!(["$(tasks.build.results.images[*])", "main"]);
            });
            w.status()["childReferences"][3]["whenExpressions"][0]["values"] =
                json!(["app", "sidecar", "main"]);
        }),
        ("a condition whose input is a list of results", |w| {
            w.specs(|spec| {
                named(&mut spec["tasks"], "deploy")["when"] = json!([
                    {"input": "$(tasks.build.results.images[*])", "operator": "in", "values": [r#"["app","sidecar"]"#]},
                ]);
            });
            w.status()["childReferences"][3]["whenExpressions"] = json!([
                {"input": r#"["app","sidecar"]"#, "operator": "in", "values": [r#"["app","sidecar"]"#]},
            ]);
        }),
        ("a pipeline by reference", |w| {
            w.pipeline_run["spec"] = json!({"pipelineRef": {"name": "ship"}});
        }),
    ];
    for (case, change) in variants {
        let mut whole = read("ship");
        change(&mut whole);
        let line = judged(&whole);
        assert_eq!(line["verdict"], "verified", "{case}: {line}");
    }
}

#[test]
fn every_report_shows_the_tree_and_every_source_may_hold_it() {
    let ship = folder("ship");
    let (pipeline_run, task_runs) = (format!("{ship}/pipelinerun.json"), format!("{ship}/taskruns.json"));
    let reports = tempfile::tempdir().unwrap();
    let file = |format: &str| format!("{format}={}", reports.path().join(format).display());
    let formats = ["json", "sarif", "junit", "dsse", "vsa", "markdown", "html"];
    let mut more = vec!["-v".to_owned(), "-o".to_owned(), "text".to_owned()];
    more.extend(formats.iter().flat_map(|format| ["-o".to_owned(), file(format)]));
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let ran = verify(&[&pipeline_run, &task_runs], "", &more);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("verified  PipelineRun default/ship"), "{}", ran.err);
    assert!(ran.err.contains("5 TaskRuns and 1 PipelineRun: 6 verified; exit code 0"), "{}", ran.err);
    for line in [
        "task scan",
        "  ship-scan-1: verified",
        "task notify-branch: skipped",
        "parameter repo: claimed",
        "parameter digest: what other tasks attest",
    ] {
        assert!(ran.err.contains(line), "{line}: {}", ran.err);
    }
    assert!(
        ran.out.contains(
            "PipelineRun default/ship\tdigest (claimed to be $(tasks.build.results.digest))\t\"sha256:0123"
        ),
        "{}",
        ran.out
    );
    let report = |format: &str| fs::read_to_string(reports.path().join(format)).unwrap();
    for (format, text) in [
        ("json", r#""pipelineRun":"default/ship""#),
        ("junit", r#"name="PipelineRun ship""#),
        ("vsa", "spiffe://example.org/ns/default/pipelinerun/ship"),
        ("markdown", "ship-scan-1: verified"),
        ("html", "<li>ship-scan-1: verified"),
    ] {
        assert!(report(format).contains(text), "{format}: {}", report(format));
    }
    let whole = read("ship");
    let items: Vec<Value> = std::iter::once(whole.pipeline_run).chain(whole.task_runs).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let shuffled: String = read("ship").lines().lines().rev().map(|line| format!("{line}\n")).collect();
    for (case, stdin) in [("a List", list.to_string()), ("JSON lines, the PipelineRun last", shuffled)] {
        let ran = verify(&["-"], &stdin, &[]);
        assert_eq!(ran.code, 0, "{case}: {}", ran.err);
    }
}

#[test]
fn unfinished_ones_are_left_out_if_asked() {
    let mut whole = read("ship");
    whole.status()["conditions"][0]["status"] = json!("Unknown");
    let ran = verify(&["-"], &whole.lines(), &["--finished"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("left out  PipelineRun default/ship"), "{}", ran.err);
}

/// As an API server gives it in v1beta1 (Tekton `pkg/apis/pipeline/v1beta1/pipelinerun_conversion.go`).
fn as_v1beta1(whole: &mut Whole) {
    whole.pipeline_run["apiVersion"] = json!("tekton.dev/v1beta1");
    let status = whole.status().as_object_mut().unwrap();
    let results = status.remove("results").unwrap();
    status.insert("pipelineResults".to_owned(), results);
}

/// Children where Tekton kept them before v0.45.
fn embed_children(whole: &mut Whole) {
    let status = whole.status().as_object_mut().unwrap();
    let Some(Value::Array(references)) = status.remove("childReferences") else { panic!("no children") };
    let embedded = references.into_iter().map(|mut reference| {
        let name = reference["name"].as_str().unwrap().to_owned();
        reference
            .as_object_mut()
            .unwrap()
            .retain(|key, _| key == "pipelineTaskName" || key == "whenExpressions");
        (name, reference)
    });
    status.insert("taskRuns".to_owned(), Value::Object(embedded.collect()));
}

#[test]
fn pipelineruns_of_v1beta1_are_judged_like_those_of_v1() {
    let cases: &[(&str, Change, &str)] = &[
        ("as it is", |_| {}, "verified"),
        ("with children in status.taskRuns", embed_children, "verified"),
        (
            "with children in both",
            |w| {
                let references = w.status()["childReferences"].clone();
                embed_children(w);
                w.status()["childReferences"] = references;
            },
            "verified",
        ),
        ("with a matrix of nothing", |w| w.specs(|spec| spec["tasks"][0]["matrix"] = json!({})), "verified"),
        ("with another result", |w| w.status()["pipelineResults"][0]["value"] = json!("another"), "invalid"),
        (
            "with children in status.taskRuns, one of them of another task",
            |w| {
                embed_children(w);
                w.status()["taskRuns"]["ship-build"]["pipelineTaskName"] = json!("scan");
            },
            "invalid",
        ),
        (
            "with children in status.taskRuns, of which one is not there",
            |w| {
                embed_children(w);
                w.without("ship-build");
            },
            "unchecked",
        ),
        (
            "with the bundle of a task that is not what was asked for",
            |w| {
                w.specs(|spec| {
                    spec["tasks"][0]["taskRef"] = json!({"name": "a", "bundle": "example.org/a:1"})
                });
                w.status()["pipelineSpec"]["tasks"][0]["taskRef"]["bundle"] = json!("example.org/a:2");
            },
            "invalid",
        ),
    ];
    for (case, change, verdict) in cases {
        let mut whole = read("ship");
        as_v1beta1(&mut whole);
        change(&mut whole);
        let line = judged(&whole);
        assert_eq!(line["verdict"], *verdict, "{case}: {line:#}");
    }
}

#[test]
fn what_cannot_be_read_as_a_pipelinerun_says_so() {
    for (case, change, text) in [
        (
            "v1alpha1",
            (|w| w.pipeline_run["apiVersion"] = json!("tekton.dev/v1alpha1")) as Change,
            "only those of tekton.dev/v1 and v1beta1 are read",
        ),
        (
            "v1beta1 with results where v1 has them",
            |w| w.pipeline_run["apiVersion"] = json!("tekton.dev/v1beta1"),
            "v1beta1 has no field status.results",
        ),
        (
            "v1beta1 with two lists of children that differ",
            |w| {
                as_v1beta1(w);
                embed_children(w);
                w.status()["childReferences"] = json!([{"kind": "TaskRun", "name": "another"}]);
            },
            "does not name the same children",
        ),
        (
            "v1beta1 without the pipeline that a task runs, which its conversion leaves out",
            |w| {
                as_v1beta1(w);
                w.specs(|spec| {
                    let task = spec["tasks"][0].as_object_mut().unwrap();
                    task.retain(|key, _| key != "taskRef" && key != "taskSpec");
                });
            },
            "leaves pipelines in pipelines out",
        ),
        (
            "v1beta1 with PipelineResources",
            |w| {
                as_v1beta1(w);
                w.specs(|spec| {
                    spec["tasks"][0]["resources"] = json!({"inputs": [{"name": "a", "resource": "b"}]})
                });
            },
            "resources is a field that v1 has no place for",
        ),
        (
            "v1beta1 with Conditions",
            |w| {
                as_v1beta1(w);
                w.specs(|spec| spec["finally"][0]["conditions"] = json!([{"conditionRef": "a"}]));
            },
            "conditions is a field that v1 has no place for",
        ),
        ("children where v1beta1 had them", |w| w.status()["runs"] = json!({}), "a field of v1beta1"),
        (
            "a name that Kubernetes does not allow",
            |w| w.pipeline_run["metadata"]["name"] = json!("a/b"),
            "metadata.name",
        ),
        (
            "results where v1beta1 has them",
            |w| w.status()["pipelineResults"] = json!([]),
            "a field of v1beta1",
        ),
        ("a variant of a field's name", |w| w.status()["Results"] = json!([]), "Results"),
        ("a number as a result", |w| w.status()["results"][0]["value"] = json!(1), "text"),
    ] {
        let mut whole = read("ship");
        change(&mut whole);
        let ran = verify(&["-"], &whole.lines(), &[]);
        assert_eq!(ran.code, 3, "{case}: {}", ran.err);
        assert!(ran.err.contains(text), "{case}: {}", ran.err);
    }
}

/// What Chains with deep inspection says of a PipelineRun.
fn attested(whole: &Whole) -> Value {
    let mut statement = chains::pipeline_deep(&whole.task_runs.iter().collect::<Vec<_>>());
    let details = &mut statement["predicate"]["runDetails"];
    details["metadata"]["invocationId"] = whole.pipeline_run["metadata"]["uid"].clone();
    let results = whole.pipeline_run["status"]["results"].as_array().unwrap();
    let own = results.iter().map(|result| {
        let name = format!("pipelineRunResults/ship/{}", result["name"].as_str().unwrap());
        let content = STANDARD.encode(result["value"].to_string());
        json!({"name": name, "content": content, "mediaType": "application/json"})
    });
    details["byproducts"].as_array_mut().unwrap().extend(own);
    statement
}

#[test]
fn the_attestation_in_the_annotations_of_a_pipelinerun_is_of_it() {
    let (chains, other) = (Chains::new(), Chains::new());
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(key.path(), chains.pem()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let ship = read("ship");
    let changed = |change: Change| {
        let mut whole = ship.clone();
        change(&mut whole);
        attested(&whole)
    };
    let build = ship.task_runs.iter().find(|run| run["metadata"]["name"] == "ship-build").unwrap();
    let in_toto = chains::pipeline_in_toto(&[("build", build)]);
    let mut forged_build = build.clone();
    named(&mut forged_build["status"]["results"], "digest")["value"] = json!("sha256:666");
    let envelope =
        |chains: &Chains, statement: &Value| STANDARD.encode(chains.envelope(statement).to_string());
    for (case, annotation, verdict, detail) in [
        ("deep inspection", envelope(&chains, &attested(&ship)), "verified", ""),
        ("in-toto", envelope(&chains, &in_toto), "verified", ""),
        ("another key", envelope(&other, &attested(&ship)), "unchecked", "chains-key"),
        ("not base64", "?".to_owned(), "unchecked", "chains-annotation"),
        ("not of Chains", envelope(&chains, &json!({"_type": "x"})), "unchecked", "chains-annotation"),
        (
            "another run",
            envelope(&chains, &changed(|w| w.pipeline_run["metadata"]["uid"] = json!("u"))),
            "invalid",
            "chains-annotation",
        ),
        (
            "another result of the PipelineRun",
            envelope(&chains, &changed(|w| w.status()["results"][0]["value"] = json!("sha256:666"))),
            "invalid",
            "chains-annotation",
        ),
        (
            "another result of a TaskRun than its steps signed",
            envelope(
                &chains,
                &changed(|w| {
                    named(&mut w.task_run("ship-build")["status"]["results"], "digest")["value"] =
                        json!("sha256:666");
                }),
            ),
            "invalid",
            "chains-annotation",
        ),
        (
            "the same by the name of the task",
            envelope(&chains, &chains::pipeline_in_toto(&[("build", &forged_build)])),
            "invalid",
            "chains-annotation",
        ),
    ] {
        let mut whole = ship.clone();
        let uid = whole.pipeline_run["metadata"]["uid"].as_str().unwrap();
        let name = format!("chains.tekton.dev/signature-pipelinerun-{uid}");
        whole.pipeline_run["metadata"]["annotations"][name] = json!(annotation);
        let line = judged_with(&whole, &["--chains-key", key.path().to_str().unwrap()]);
        assert_eq!(line["verdict"], verdict, "{case}: {line}");
        assert!(detail.is_empty() || details(&line).contains(detail), "{case}: {line}");
        assert_eq!(line["chainsSignedBy"].is_string(), verdict == "verified", "{case}: {line}");
        // A policy may demand it. Nobody signed attestations of the TaskRuns, which do not count here.
        for (task_run, is_demanded) in [("ship-build", true), ("other", false)] {
            let policy = json!({"version": 1, "expires": "2030-01-01T00:00:00Z", "rules": [
                {"namespace": "*", "taskRun": "ship-*", "time": ["asserted"], "failures": "any"},
                {"namespace": "*", "taskRun": task_run, "time": ["asserted"], "failures": "any", "chains": "signed"},
            ]});
            fs::write(file.path(), policy.to_string()).unwrap();
            let policy = ["--policy", file.path().to_str().unwrap()];
            let line =
                judged_with(&whole, &[&policy, &["--chains-key", key.path().to_str().unwrap()][..]].concat());
            // A TaskRun that breaks a rule proves nothing that the attestation could be against.
            let is_signed = line["notes"].to_string().contains("Chains signed an attestation of it");
            assert_eq!(
                details(&line).contains("chains"),
                is_demanded && !is_signed,
                "{case}, {task_run}: {line}"
            );
            let line = judged_with(&whole, &policy);
            assert_eq!(details(&line).contains("chains"), is_demanded, "{case}, {task_run}, no key: {line}");
        }
        // Without a key nothing in it is believed.
        let line = judged(&whole);
        assert_eq!((&line["verdict"], line.get("chainsSignedBy")), (&json!("verified"), None), "{case}");
    }
}

/// A pipeline whose one task is another pipeline, which has one task: `build`, `build-app`, `build-app-000001`.
#[test]
fn nested_pipelines_are_judged_first() {
    let random = SystemRandom::new();
    let created = OffsetDateTime::now_utc() - Duration::seconds(300);
    let ca = DevCa::new("example.org", UnixSeconds::new(created.unix_timestamp() - 60), &random).unwrap();
    let (outer, inner) = ("11111111-0000-4000-8000-000000000000", "22222222-0000-4000-8000-000000000000");
    let mut task_run =
        corpus::task_run(&ca, 1, Shape { steps: 2, results: 2, beside: false }, created).object;
    task_run["metadata"]["labels"] = json!({"tekton.dev/pipelineRunUID": inner});
    let of_task = json!({"tasks": [{"name": "000001"}], "results": [{"name": "r", "value": "$(tasks.000001.results.result-0)"}]});
    let value = named(&mut task_run["status"]["results"], "result-0")["value"].clone();
    let pipeline_run = |name: &str, uid: &str, owner: Option<&str>, spec: &Value, child: Value| {
        let owners: Vec<Value> = owner.iter().map(|uid| json!({"kind": "PipelineRun", "uid": uid})).collect();
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {
                "name": name, "namespace": "default", "uid": uid, "ownerReferences": owners,
                "creationTimestamp": "2026-11-22T05:30:00Z",
            },
            "spec": {"pipelineSpec": spec},
            "status": {
                "conditions": [{"type": "Succeeded", "status": "True"}], "pipelineSpec": spec,
                "childReferences": [child],
            },
        })
    };
    let child =
        |kind: &str, name: &str, task: &str| json!({"kind": kind, "name": name, "pipelineTaskName": task});
    let reference = child("TaskRun", "build-app-000001", "000001");
    let mut nested = pipeline_run("build-app", inner, Some(outer), &of_task, reference);
    nested["status"]["results"] = json!([{"name": "r", "value": value}]);
    let spec = json!({"tasks": [{"name": "app", "pipelineSpec": of_task}]});
    let whole = pipeline_run("build", outer, None, &spec, child("PipelineRun", "build-app", "app"));
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle.pem");
    fs::write(&bundle, ca.bundle_pem()).unwrap();
    let verdicts = |objects: &[&Value]| -> Vec<String> {
        let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
        let trust = ["--trust-domain=example.org", "--bundle", bundle.to_str().unwrap(), "-o", "json"];
        let ran = svidence(&[&["verify", "-"][..], &trust].concat(), lines);
        let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| {
                let name = line.get("pipelineRun").or_else(|| line.get("taskRun")).unwrap();
                format!("{} {}", name.as_str().unwrap(), line["verdict"].as_str().unwrap())
            })
            .collect()
    };
    let good = ["default/build-app-000001 verified", "default/build-app verified", "default/build verified"];
    assert_eq!(verdicts(&[&whole, &nested, &task_run]), good);
    let mut forged = nested.clone();
    forged["status"]["results"][0]["value"] = json!("other");
    let bad = ["default/build-app-000001 verified", "default/build-app invalid", "default/build invalid"];
    assert_eq!(verdicts(&[&whole, &forged, &task_run]), bad);
    assert_eq!(
        verdicts(&[&whole, &task_run]),
        ["default/build-app-000001 verified", "default/build unchecked"]
    );
    // What the pipeline in the pipeline produced, in a result of the outer one.
    let mut passed_on = whole.clone();
    for spec in ["spec", "status"] {
        passed_on[spec]["pipelineSpec"]["results"] =
            json!([{"name": "outer", "value": "$(tasks.app.results.r)"}]);
    }
    let missing =
        ["default/build-app-000001 verified", "default/build-app verified", "default/build invalid"];
    assert_eq!(verdicts(&[&passed_on, &nested, &task_run]), missing, "no Tekton says that this succeeded");
    let mut failed = passed_on.clone();
    failed["status"]["conditions"][0]["status"] = json!("False");
    assert_eq!(verdicts(&[&failed, &nested, &task_run]), good, "a result that Tekton does not pass on");
    passed_on["status"]["results"] = json!([{"name": "outer", "value": value}]);
    assert_eq!(verdicts(&[&passed_on, &nested, &task_run]), good);
    assert_eq!(verdicts(&[&passed_on, &forged, &task_run]), bad);
    passed_on["status"]["results"] = json!([{"name": "outer", "value": "other"}]);
    let bad = ["default/build-app-000001 verified", "default/build-app verified", "default/build invalid"];
    assert_eq!(verdicts(&[&passed_on, &nested, &task_run]), bad);
    // Each takes some 7 million steps, and the family has 10.
    let hungry = |n: usize| {
        let text = "x".repeat(10_000);
        json!({"cel": format!("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].all(i, i == {n} || !'{text}'.matches('y{{990}}z'))")})
    };
    let with_when = |object: &Value, when: Value| {
        let mut object = object.clone();
        for spec in ["spec", "status"] {
            object[spec]["pipelineSpec"]["tasks"][0]["when"] = when.clone();
        }
        object
    };
    let hungry_outer = with_when(&whole, json!([hungry(20)]));
    assert_eq!(verdicts(&[&hungry_outer, &nested, &task_run]), good, "one condition in CEL");
    let hungry_nested = with_when(&nested, json!([hungry(21), hungry(22)]));
    assert_eq!(
        verdicts(&[&hungry_outer, &hungry_nested, &task_run]),
        ["default/build-app-000001 verified", "default/build-app verified", "default/build unchecked"],
        "the conditions of a family share their steps"
    );
    let mut circle = nested.clone();
    circle["status"]["childReferences"][0] = child("PipelineRun", "build", "000001");
    let in_circle = verdicts(&[&whole, &circle, &task_run]);
    assert_eq!(in_circle.len(), 3, "one in a circle has its verdict, too: {in_circle:?}");
    for verdict in in_circle.iter().skip(1) {
        assert!(!verdict.ends_with(" verified"), "{verdict}");
    }
    // A pipeline around both: whatever comes first, each is judged behind those in it.
    let of_whole = json!({"tasks": [{"name": "all", "pipelineSpec": spec}]});
    let outermost = "33333333-0000-4000-8000-000000000000";
    let around = pipeline_run("ci", outermost, None, &of_whole, child("PipelineRun", "ci-all", "all"));
    let mut whole = whole.clone();
    (whole["metadata"]["name"], whole["status"]["childReferences"][0]["name"]) =
        (json!("ci-all"), json!("ci-all-app"));
    whole["metadata"]["ownerReferences"] = json!([{"kind": "PipelineRun", "uid": outermost}]);
    let mut nested = nested.clone();
    (nested["metadata"]["name"], nested["status"]["childReferences"][0]["name"]) =
        (json!("ci-all-app"), json!("build-app-000001"));
    let deep = verdicts(&[&around, &whole, &nested, &task_run]);
    let order: Vec<&str> = deep.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(order, ["default/build-app-000001", "default/ci-all-app", "default/ci-all", "default/ci"]);
}

/// What is said of `ship` and its TaskRuns if that many bytes of them are kept: the verdict, and why.
fn with_room(room: usize, objects: &[Value]) -> Vec<(Verdict, String)> {
    let trust = Trust {
        at: Some(UnixSeconds::new(1_795_856_910)),
        ..trust(&fs::read_to_string(folder("ship") + "/bundle.pem").unwrap())
    };
    let policy = Policy::default();
    let mut pipelines = Pipelines::with_room(room);
    let mut told = Vec::new();
    let mut tell = |JudgedPipelineRun { place: (), report }: JudgedPipelineRun<()>| {
        told.push((report.verdict, reasons(&report)))
    };
    let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
    let paths = [PathBuf::from("-")];
    let mut input = Cursor::new(lines.into_bytes());
    let progress = WalkProgress::default();
    walk(Source::files(&paths, &mut input), NonZeroUsize::MIN, &progress, || |run| run, &mut |event| {
        let Event::Object { outcome, .. } = event else { return };
        match outcome.unwrap() {
            Run::TaskRun(object) => {
                let report = verify::verify(&object, &trust, &policy);
                pipelines.child(Child::of_task_run(&object, &report).unwrap());
            }
            Run::PipelineRun(object) => pipelines.pipeline_run(*object, ()).into_iter().for_each(&mut tell),
        }
    });
    pipelines.finish(&trust, &policy, &mut tell);
    told
}

#[test]
fn what_has_no_room_is_unchecked() {
    let Whole { pipeline_run, task_runs } = read("ship");
    let first = [std::slice::from_ref(&pipeline_run), &task_runs].concat();
    let last = [&task_runs[..], std::slice::from_ref(&pipeline_run)].concat();
    for (order, objects) in [("its TaskRuns come later", first), ("its TaskRuns come first", last)] {
        let mut verified = 0;
        for room in (0..64 << 10).step_by(1 << 9) {
            let told = with_room(room, &objects);
            let [(verdict, why)] = &told[..] else { panic!("{order}, {room} bytes: {told:?}") };
            verified += usize::from(*verdict == Verdict::Verified);
            let is_right = match verdict {
                Verdict::Verified => true,
                Verdict::Unchecked => why.contains("verify fewer at a time"),
                _ => false,
            };
            assert!(
                is_right && (verified == 0 || *verdict == Verdict::Verified),
                "{order}, {room} bytes: {told:?}"
            );
        }
        assert!((1..128).contains(&verified), "{order}: verified with {verified} of 128 sizes of room");
    }
    // A PipelineRun takes room, too.
    let told = with_room(1 << 9, std::slice::from_ref(&pipeline_run));
    assert!(
        matches!(&told[..], [(Verdict::Unchecked, why)] if why.contains("verify fewer at a time")),
        "{told:?}"
    );
}
