//! Assembles a TaskRun from what its steps left behind, as Tekton's controller does (`pkg/pod/status.go`).
//!
//! For the demo and the tests, where there is a pod's worth of steps but no cluster. The rules that decide what becomes of
//! a step's message are Tekton's: parsing, one entry a key, merging over steps, decoding by declared type, mapped results.
//! Not modelled: sidecars.

mod artifacts;
mod message;
mod results;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use self::{
    message::{Entry, message_of, parse_message},
    results::{Results, results_json},
};
use crate::tekton::{
    artifacts::Artifacts,
    message::entry_type::{INTERNAL, STEP_ARTIFACTS, STEP_RESULT, TASK_ARTIFACTS, TASK_RESULT},
    references,
    value::{ResultValue, decode},
};

/// What is in the TaskRun before its steps have run.
#[derive(Clone, Debug)]
pub struct RunSpec {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `status.podName`; `<name>-pod` in a cluster, unless it is a retry.
    pub pod_name: String,
    /// `metadata.creationTimestamp` and `status.startTime`.
    pub created: OffsetDateTime,
    /// The inline `taskSpec`: an object with `steps` and `results`, as its author writes it.
    pub task_spec: Value,
}

/// What one step left behind, in the order of the spec.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The step's name, without the `step-` of its container.
    pub name: String,
    /// The termination message, byte for byte.
    pub message: Vec<u8>,
    /// Exit code of the container, which is the entrypoint's.
    pub exit_code: i32,
    /// When the container started.
    pub started: OffsetDateTime,
    /// When the container ended.
    pub finished: OffsetDateTime,
}

/// One result in the results sidecar's log (`results-from: sidecar-logs`).
#[derive(Clone, Debug)]
pub struct LogLine {
    /// The step whose result it is; `None`: it is one of the task.
    pub step: Option<String>,
    /// The result's name.
    pub name: String,
    /// The text of its file.
    pub value: String,
}

/// What the results sidecar printed.
#[derive(Clone, Debug, Default)]
pub struct SidecarLog {
    /// Results, of the task and of its steps.
    pub results: Vec<LogLine>,
    /// Artifacts by step, as the sidecar writes them.
    pub artifacts: BTreeMap<String, String>,
}

/// The TaskRun as the controller would leave it once all steps are done.
pub fn assemble(spec: &RunSpec, steps: &[StepReport]) -> Value {
    assemble_from_log(spec, steps, &SidecarLog::default())
}

/// The same with results from a log.
pub fn assemble_with_log(spec: &RunSpec, steps: &[StepReport], log: &[LogLine]) -> Value {
    assemble_from_log(spec, steps, &SidecarLog { results: log.to_vec(), artifacts: BTreeMap::new() })
}

/// The same with all that a log holds, which the messages come after (`pkg/pod/status.go`, `setTaskRunStatusBasedOnStepStatus`).
pub fn assemble_from_log(spec: &RunSpec, steps: &[StepReport], log: &SidecarLog) -> Value {
    let declared = TaskDeclarations::new(&spec.task_spec);
    let mut states = Vec::new();
    let mut results = Results::default();
    let mut artifacts = Artifacts::default();
    let of_task = log.results.iter().filter(|line| line.step.is_none());
    results.extend(
        of_task
            .map(|line| (line.name.clone(), value_of(&line.value, declared.task.get(&line.name))))
            .collect(),
    );
    for step in steps {
        let mut read = read_step(step, log, &declared);
        results.extend(std::mem::take(&mut read.task_results));
        if read.is_parsed {
            artifacts::merge(&mut artifacts, &read.task_artifacts);
            artifacts::merge(&mut artifacts, &read.artifacts);
        }
        states.push(read.state(spec, step));
    }
    let mut condition = condition(steps);
    if let Some(mismatch) = results.drop_mismatched(&declared.task) {
        condition = Condition { status: "False", reason: "TaskRunValidationFailed", message: mismatch };
    }

    let mut status = status(spec, steps, &condition);
    status["artifacts"] = artifacts::to_json(&artifacts);
    status["steps"] = states.into();
    if !results.0.is_empty() {
        status["results"] = results.to_json();
    }
    json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "metadata": {
            "creationTimestamp": timestamp(spec.created),
            "generation": 1,
            "labels": {"app.kubernetes.io/managed-by": "tekton-pipelines"},
            "name": spec.name,
            "namespace": spec.namespace,
            "resourceVersion": "1",
            "uid": spec.uid,
        },
        "spec": {"serviceAccountName": "default", "taskSpec": spec.task_spec, "timeout": "1h0m0s"},
        "status": status,
    })
}

/// What the controller writes of the run as a whole.
fn status(spec: &RunSpec, steps: &[StepReport], condition: &Condition) -> Value {
    let finished = timestamp(steps.iter().map(|step| step.finished).max().unwrap_or(spec.created));
    json!({
        "completionTime": finished,
        "conditions": [{
            "lastTransitionTime": finished,
            "message": condition.message,
            "reason": condition.reason,
            "status": condition.status,
            "type": "Succeeded",
        }],
        "podName": spec.pod_name,
        "provenance": {"featureFlags": {
            "awaitSidecarReadiness": true,
            "enableAPIFields": "beta",
            "enforceNonfalsifiability": "spire",
            "maxResultSize": 4096,
            "resultExtractionMethod": "termination-message",
        }},
        "startTime": timestamp(spec.created),
        "taskSpec": substitute_paths(&spec.task_spec),
    })
}

/// One TaskRun made of its attempts, each assembled for itself, the last one at the end (`pkg/reconciler/taskrun`, `retryTaskRun`).
///
/// # Panics
///
/// If there is none.
pub fn retried(attempts: &[Value]) -> Value {
    let (last, earlier) = attempts.split_last().expect("a TaskRun has an attempt");
    let mut object = last.clone();
    object["spec"]["retries"] = earlier.len().into();
    if !earlier.is_empty() {
        object["status"]["retriesStatus"] = earlier.iter().map(|attempt| attempt["status"].clone()).collect();
    }
    object
}

/// What the task declares about results.
struct TaskDeclarations {
    /// Task results: name to type.
    task: BTreeMap<String, &'static str>,
    /// Task results with `value: $(steps.S.results.R)`: (S, R) to the task result's name.
    mapped: BTreeMap<(String, String), String>,
    /// Step results: step and name to type.
    step: BTreeMap<(String, String), &'static str>,
}

impl TaskDeclarations {
    fn new(task_spec: &Value) -> Self {
        let mut declared = Self { task: BTreeMap::new(), mapped: BTreeMap::new(), step: BTreeMap::new() };
        for result in list(task_spec, "results") {
            let name = text(result, "name");
            declared.task.insert(name.to_owned(), declared_type(result));
            if let Some((step, step_result)) = references::taken_from(text(result, "value")) {
                declared.mapped.insert((step.to_owned(), step_result.to_owned()), name.to_owned());
            }
        }
        for step in list(task_spec, "steps") {
            // An unnamed step's declarations are not found by the controller: it looks for the container `step-`.
            let step_name = text(step, "name");
            for result in list(step, "results").iter().filter(|_| !step_name.is_empty()) {
                let name = text(result, "name").to_owned();
                // Unlike a task's results, a step's get no default type.
                let kind = if text(result, "type").is_empty() { "" } else { declared_type(result) };
                declared.step.insert((step_name.to_owned(), name), kind);
            }
        }
        declared
    }
}

/// What the API server's defaulting makes of a declaration's type.
fn declared_type(result: &Value) -> &'static str {
    match text(result, "type") {
        "array" => "array",
        "object" => "object",
        "" if result.get("properties").is_some() => "object",
        _ => "string",
    }
}

fn step_name(step: &Value, index: usize) -> String {
    match text(step, "name") {
        "" => format!("unnamed-{index}"),
        name => name.to_owned(),
    }
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or("")
}

/// Declared exactly as a string: the text as it stands. Everything else, undeclared results too, is decoded.
fn value_of(raw: &str, declared: Option<&&'static str>) -> ResultValue {
    match declared {
        Some(&"string") => ResultValue::String(raw.to_owned()),
        _ => decode(raw),
    }
}

/// What the controller takes from one step.
#[derive(Default)]
struct StepRead {
    message: String,
    /// Whether there was a message that could be read.
    is_parsed: bool,
    started: Option<String>,
    exit_code: Option<i32>,
    reason: Option<String>,
    task_results: Vec<(String, ResultValue)>,
    step_results: Vec<(String, ResultValue)>,
    artifacts: Artifacts<Value>,
    task_artifacts: Artifacts<Value>,
}

fn read_step(step: &StepReport, log: &SidecarLog, declared: &TaskDeclarations) -> StepRead {
    let message = String::from_utf8_lossy(&step.message).into_owned();
    let artifacts = log.artifacts.get(&step.name).map(|value| artifacts::read(value)).unwrap_or_default();
    let Some(entries) = parse_message(&message) else {
        // The controller keeps what it cannot read and takes nothing from it.
        return StepRead { message, artifacts, ..StepRead::default() };
    };
    let mut read = StepRead {
        message: message_of(&entries.iter().filter(|e| e.kind != INTERNAL).cloned().collect::<Vec<_>>()),
        started: entries.iter().find(|e| e.key == "StartedAt").and_then(|e| started_at(&e.value)),
        exit_code: entries.iter().find(|e| e.key == "ExitCode").and_then(|e| e.value.parse().ok()),
        is_parsed: !message.is_empty(),
        artifacts,
        ..StepRead::default()
    };
    let reason = entries.iter().find(|e| e.kind == INTERNAL && e.key == "Reason" && !e.value.is_empty());
    read.reason = match reason {
        Some(entry) => Some(entry.value.clone()),
        None if message.is_empty() => None,
        None if read.exit_code.is_some() => Some("Continued".into()),
        None => Some(container_reason(step).into()),
    };
    let mut mapped = Vec::new();
    let of_step = log.results.iter().filter(|line| line.step.as_ref() == Some(&step.name));
    let logged = of_step.map(|line| Entry {
        key: line.name.clone(),
        value: line.value.clone(),
        kind: STEP_RESULT,
        ..Entry::default()
    });
    for entry in logged.chain(entries) {
        match entry.kind {
            TASK_RESULT => {
                let value = value_of(&entry.value, declared.task.get(&entry.key));
                read.task_results.push((entry.key, value));
            }
            STEP_RESULT => {
                let key = (step.name.clone(), entry.key.clone());
                let value = value_of(&entry.value, declared.step.get(&key));
                if let Some(name) = declared.mapped.get(&key) {
                    mapped.push((name.clone(), value.clone()));
                }
                read.step_results.push((entry.key, value));
            }
            STEP_ARTIFACTS => read.artifacts = artifacts::read(&entry.value),
            TASK_ARTIFACTS => read.task_artifacts = artifacts::read(&entry.value),
            _ => {}
        }
    }
    read.task_results.extend(mapped);
    read
}

impl StepRead {
    fn state(self, spec: &RunSpec, step: &StepReport) -> Value {
        let mut terminated = json!({
            "containerID": format!("containerd://{}", name_digest(&[&spec.uid, &spec.pod_name, &step.name])),
            "exitCode": self.exit_code.unwrap_or(step.exit_code),
            "finishedAt": timestamp(step.finished),
            "reason": container_reason(step),
            "startedAt": self.started.unwrap_or_else(|| timestamp(step.started)),
        });
        if !self.message.is_empty() {
            terminated["message"] = self.message.into();
        }
        let image = list(&spec.task_spec, "steps")
            .iter()
            .enumerate()
            .find(|(i, s)| step_name(s, *i) == step.name)
            .map_or("", |(_, s)| text(s, "image"));
        let mut state = json!({
            "container": format!("step-{}", step.name),
            "imageID": format!("sha256:{}", name_digest(&[image])),
            "name": step.name,
            "provenance": {},
            "terminated": terminated,
        });
        if let Some(reason) = self.reason {
            state["terminationReason"] = reason.into();
        }
        if !self.step_results.is_empty() {
            state["results"] = results_json(&self.step_results);
        }
        for (name, artifacts) in [("inputs", self.artifacts.inputs), ("outputs", self.artifacts.outputs)] {
            if !artifacts.is_empty() {
                state[name] = artifacts.into();
            }
        }
        state
    }
}

/// The container runtime's word for how a container ended.
fn container_reason(step: &StepReport) -> &'static str {
    if step.exit_code == 0 { "Completed" } else { "Error" }
}

/// An identifier that looks as a real one does and is the same in every run of the same TaskRun.
fn name_digest(parts: &[&str]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, parts.join("\0").as_bytes());
    digest.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

struct Condition {
    status: &'static str,
    reason: &'static str,
    message: String,
}

/// Decided by the containers' exit codes alone, never by what a message says.
fn condition(steps: &[StepReport]) -> Condition {
    let Some(failed) = steps.iter().find(|step| step.exit_code != 0) else {
        return Condition {
            status: "True",
            reason: "Succeeded",
            message: "All Steps have completed executing".into(),
        };
    };
    let timed_out = parse_message(&String::from_utf8_lossy(&failed.message))
        .unwrap_or_default()
        .iter()
        .any(|e| e.kind == INTERNAL && e.key == "Reason" && e.value == "TimeoutExceeded");
    let container = format!("step-{}", failed.name);
    let message = if timed_out {
        format!("{container:?} exited because the step exceeded the specified timeout limit")
    } else {
        format!("{container:?} exited with code {}: {}", failed.exit_code, container_reason(failed))
    };
    Condition { status: "False", reason: "StepFailed", message }
}

/// The task as the controller stores it in the status: with the paths of results and artifacts put in. (Parameters and
/// workspaces are not: a run here has none.)
fn substitute_paths(task_spec: &Value) -> Value {
    let mut stored = task_spec.clone();
    let task_results: Vec<String> =
        list(task_spec, "results").iter().map(|r| text(r, "name").to_owned()).collect();
    let Some(steps) = stored.get_mut("steps").and_then(Value::as_array_mut) else { return stored };
    for (i, step) in steps.iter_mut().enumerate() {
        let container = format!("step-{}", step_name(step, i));
        let mut paths: Vec<(String, String)> = task_results
            .iter()
            .map(|name| (format!("$(results.{name}.path)"), format!("/tekton/results/{name}")))
            .collect();
        paths.extend([
            ("$(artifacts.path)".into(), "/tekton/artifacts/provenance.json".into()),
            ("$(step.artifacts.path)".into(), format!("/tekton/steps/{container}/artifacts/provenance.json")),
        ]);
        paths.extend(list(step, "results").iter().map(|result| {
            let name = text(result, "name");
            (format!("$(step.results.{name}.path)"), format!("/tekton/steps/{container}/results/{name}"))
        }));
        replace_everywhere(step, &paths);
    }
    stored
}

fn replace_everywhere(value: &mut Value, replacements: &[(String, String)]) {
    match value {
        Value::String(text) => {
            for (from, to) in replacements {
                *text = text.replace(from, to);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace_everywhere(item, replacements)),
        Value::Object(members) => {
            members.values_mut().for_each(|item| replace_everywhere(item, replacements))
        }
        _ => {}
    }
}

/// A time as Kubernetes writes it: UTC, whole seconds.
fn timestamp(time: OffsetDateTime) -> String {
    let whole = time.to_offset(UtcOffset::UTC).truncate_to_second();
    whole.format(&Rfc3339).expect("years of four digits can be written")
}

/// The entrypoint's `StartedAt` (`2026-11-21T14:26:25.043-05:00`) as Kubernetes writes it; `None` if it is no such time.
fn started_at(text: &str) -> Option<String> {
    let fraction = text.get(19..)?.strip_prefix('.')?;
    let digits = fraction.find(|c: char| !c.is_ascii_digit())?;
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    (digits == 3).then(|| timestamp(time))
}
