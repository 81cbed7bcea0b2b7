//! Runs that have ended, as Tekton leaves them: signed by a real entrypoint with an identity of the real SPIRE.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use svidence::evidence::attestation::Attestation;
use time::OffsetDateTime;

use crate::{
    cluster::ApiServer,
    process::{Controller, World},
    support::{pod::Pod, signed, spire::EntryOptions},
};

const ANNOTATION: &str = "svidence.dev/verdict";
/// Long enough for anything that happens at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// The controller's own identity: its process and the steps here are of one user, so the agent offers both to both.
pub(crate) const OWN: [&str; 2] = ["--spiffe-id", "spiffe://example.org/svidence"];

/// A UID that no other object has.
fn uid() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    format!("6f1c2f0e-8d3a-4b57-9c7e-{:012x}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A TaskRun of namespace default with one step, which has signed the result `digest`.
pub(crate) fn signed(world: &World, name: &str) -> Value {
    world.spire.entry(EntryOptions::new(format!("/ns/default/taskrun/{name}")));
    signed_again(world, name)
}

/// The same where the name has its entry already.
pub(crate) fn signed_again(world: &World, name: &str) -> Value {
    let script = format!("printf 'of {name}' >$RESULTS/digest");
    let start = Instant::now();
    loop {
        let created = OffsetDateTime::now_utc();
        let pod = Pod::new(name, &["build"]);
        let step = pod.step(0).signed(&world.spire.socket_uri()).results(&["digest"]);
        let outcome = step.script(&script).run();
        assert_eq!(outcome.output.status.code(), Some(0), "{name}: {}", outcome.stderr());
        let value = signed::entry(outcome.message(), "SVIDENCE.build.sig").unwrap();
        // Until the agent knows the entry, it offers what it knows for this user: another run's.
        if Attestation::from_value(&value).unwrap().task_run == name {
            return signed::task_run(name, &uid(), &[("digest", "string")], &[outcome.report], created);
        }
        assert!(start.elapsed() < PATIENCE, "{name} does not get its own identity");
    }
}

/// The same with another result than the one that was signed.
pub(crate) fn forged(mut task_run: Value) -> Value {
    let results = task_run["status"]["results"].as_array_mut().unwrap();
    results.iter_mut().find(|result| result["name"] == "digest").unwrap()["value"] = json!("forged");
    task_run
}

/// The same as if no step had signed.
pub(crate) fn unsigned(mut task_run: Value) -> Value {
    let status = &mut task_run["status"];
    status["results"].as_array_mut().unwrap().retain(|result| result["name"] == "digest");
    let message = &mut status["steps"][0]["terminated"]["message"];
    let mut entries: Vec<Value> = serde_json::from_str(message.as_str().unwrap()).unwrap();
    entries.retain(|entry| entry["key"] == "digest");
    *message = json!(json!(entries).to_string());
    task_run
}

/// A PipelineRun whose one task is this TaskRun, which belongs to it afterwards. Its result is the TaskRun's.
pub(crate) fn pipeline_run(name: &str, task_run: &mut Value) -> Value {
    let uid = uid();
    let metadata = &mut task_run["metadata"];
    metadata["labels"] = json!({"tekton.dev/pipelineRunUID": uid});
    metadata["ownerReferences"] = json!([{
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": name, "uid": uid, "controller": true,
    }]);
    let spec = json!({
        "tasks": [{"name": "build", "taskSpec": task_run["spec"]["taskSpec"]}],
        "results": [{"name": "digest", "value": "$(tasks.build.results.digest)"}],
    });
    let results = task_run["status"]["results"].as_array().unwrap();
    let value = &results.iter().find(|result| result["name"] == "digest").unwrap()["value"];
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {
            "name": name, "namespace": "default", "uid": uid,
            "creationTimestamp": task_run["metadata"]["creationTimestamp"],
        },
        "spec": {"pipelineSpec": spec},
        "status": {
            "conditions": [{"type": "Succeeded", "status": "True"}], "pipelineSpec": spec,
            "completionTime": task_run["status"]["completionTime"],
            "childReferences": [{
                "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": task_run["metadata"]["name"],
                "pipelineTaskName": "build",
            }],
            "results": [{"name": "digest", "value": value}],
        },
    })
}

/// The same with an annotation that claims a verdict.
pub(crate) fn claiming(mut run: Value, evidence: &str) -> Value {
    let verdict = json!({"verdict": "verified", "time": "2026-11-22T05:30:00Z", "evidence": evidence});
    run["metadata"]["annotations"] = json!({ANNOTATION: verdict.to_string()});
    run
}

pub(crate) fn path(run: &Value) -> String {
    let kind = run["kind"].as_str().unwrap().to_ascii_lowercase();
    format!("/apis/tekton.dev/v1/namespaces/default/{kind}s/{}", run["metadata"]["name"].as_str().unwrap())
}

pub(crate) fn get(server: &ApiServer, run: &Value) -> Value {
    let (status, text) = server.get(&path(run));
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// What is noted of a run, if anything is.
pub(crate) fn noted(run: &Value) -> Option<Value> {
    let annotation = run["metadata"]["annotations"][ANNOTATION].as_str()?;
    Some(serde_json::from_str(annotation).unwrap_or_else(|_| json!(annotation)))
}

/// Waits until something is so of a run; gives the run as it is then.
pub(crate) fn wait_until(
    case: &str,
    (server, controller): (&ApiServer, &Controller),
    run: &Value,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    let start = Instant::now();
    loop {
        let now = get(server, run);
        if is_so(&now) {
            return now;
        }
        assert!(start.elapsed() < PATIENCE, "{case}: {now:#}\n{}", controller.log());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for this verdict on a run, for this finding.
pub(crate) fn wait_for_verdict(
    case: &str,
    of: (&ApiServer, &Controller),
    run: &Value,
    (verdict, finding): (&str, Option<&str>),
) -> Value {
    let is_so = |now: &Value| {
        noted(now).is_some_and(|noted| {
            noted["verdict"] == verdict
                && noted["finding"].as_str() == finding
                && noted["time"] != "2026-11-22T05:30:00Z"
        })
    };
    wait_until(case, of, run, is_so)
}
