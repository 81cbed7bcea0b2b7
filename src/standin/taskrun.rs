//! Assembles a TaskRun from what its steps left behind, as Tekton's controller does (`pkg/pod/status.go`).
//!
//! For the demo and the tests, where there is a pod's worth of steps but no cluster. The rules that decide what becomes of
//! a step's message are Tekton's: parsing, one entry a key, merging over steps, decoding by declared type, mapped results.
//! Not modelled: sidecars.

use std::{collections::BTreeMap, fmt::Write};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::tekton::{
    message::entry_type::{INTERNAL, STEP_ARTIFACTS, STEP_RESULT, TASK_ARTIFACTS, TASK_RESULT},
    termination::{COMPRESSED, MAX_DECOMPRESSED},
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
pub struct Log {
    /// Results, of the task and of its steps.
    pub results: Vec<LogLine>,
    /// Artifacts by step, as the sidecar writes them.
    pub artifacts: BTreeMap<String, String>,
}

/// The TaskRun as the controller would leave it once all steps are done.
pub fn assemble(spec: &RunSpec, steps: &[StepReport]) -> Value {
    assemble_from_log(spec, steps, &Log::default())
}

/// The same with results from a log.
pub fn assemble_with_log(spec: &RunSpec, steps: &[StepReport], log: &[LogLine]) -> Value {
    assemble_from_log(spec, steps, &Log { results: log.to_vec(), artifacts: BTreeMap::new() })
}

/// The same with all that a log holds, which the messages come after (`pkg/pod/status.go`, `setTaskRunStatusBasedOnStepStatus`).
pub fn assemble_from_log(spec: &RunSpec, steps: &[StepReport], log: &Log) -> Value {
    let declared = Declared::new(&spec.task_spec);
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
            artifacts.merge(&read.task_artifacts);
            artifacts.merge(&read.artifacts);
        }
        states.push(read.state(spec, step));
    }
    let mut condition = condition(steps);
    if let Some(mismatch) = results.drop_mismatched(&declared.task) {
        condition = Condition { status: "False", reason: "TaskRunValidationFailed", message: mismatch };
    }

    let finished = timestamp(steps.iter().map(|step| step.finished).max().unwrap_or(spec.created));
    let mut status = json!({
        "artifacts": artifacts.to_json(),
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
        "steps": states,
        "taskSpec": substitute_paths(&spec.task_spec),
    });
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

/// One entry of a termination message, its members in the order in which Go writes them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct Entry {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default, rename = "resourceName", skip_serializing_if = "String::is_empty")]
    resource_name: String,
    #[serde(default, rename = "type", skip_serializing_if = "is_zero", deserialize_with = "entry_type")]
    kind: i64,
}

const UNKNOWN: i64 = 10;

fn is_zero(kind: &i64) -> bool {
    *kind == 0
}

fn entry_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Type {
        Number(i64),
        Name(String),
        Null,
    }
    Ok(match Type::deserialize(deserializer)? {
        Type::Number(number) => number,
        Type::Null => 0,
        Type::Name(name) => match name.as_str() {
            "TaskRunResult" => TASK_RESULT,
            "InternalTektonResult" => INTERNAL,
            "StepResult" => STEP_RESULT,
            "StepArtifactsResult" => STEP_ARTIFACTS,
            "TaskRunArtifactsResult" => TASK_ARTIFACTS,
            _ => UNKNOWN,
        },
    })
}

/// The entries of a message: empty ones dropped, one a key (the last), sorted by key. `None` if it is unreadable.
fn parse_message(message: &str) -> Option<Vec<Entry>> {
    if message.is_empty() {
        return Some(Vec::new());
    }
    let json = match message.strip_prefix(COMPRESSED) {
        None => message.as_bytes().to_vec(),
        Some(compressed) => {
            let deflated = STANDARD_NO_PAD.decode(compressed).ok()?;
            decompress_to_vec_with_limit(&deflated, MAX_DECOMPRESSED).ok()?
        }
    };
    let entries: Option<Vec<Option<Entry>>> = serde_json::from_slice(&json).ok()?;
    let by_key: BTreeMap<String, Entry> = entries
        .unwrap_or_default()
        .into_iter()
        .flatten()
        .filter(|entry| *entry != Entry::default())
        .map(|entry| (entry.key.clone(), entry))
        .collect();
    Some(by_key.into_values().collect())
}

/// The message that the controller leaves in the status, as Go's `json.Marshal` writes it.
fn message_of(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let plain = serde_json::to_string(entries).expect("strings and numbers always serialise");
    let mut escaped = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            // They occur inside strings only, where Go escapes them.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(escaped, "\\u{:04x}", u32::from(character)).expect("writing to a string never fails");
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// What the task declares about results.
struct Declared {
    /// Task results: name to type.
    task: BTreeMap<String, &'static str>,
    /// Task results with `value: $(steps.S.results.R)`: (S, R) to the task result's name.
    mapped: BTreeMap<(String, String), String>,
    /// Step results: step and name to type.
    step: BTreeMap<(String, String), &'static str>,
}

impl Declared {
    fn new(task_spec: &Value) -> Self {
        let mut declared = Self { task: BTreeMap::new(), mapped: BTreeMap::new(), step: BTreeMap::new() };
        for result in list(task_spec, "results") {
            let name = text(result, "name");
            declared.task.insert(name.to_owned(), declared_type(result));
            if let Some((step, step_result)) = step_result_of(text(result, "value")) {
                declared.mapped.insert((step, step_result), name.to_owned());
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

/// `$(steps.S.results.R)` taken apart.
fn step_result_of(value: &str) -> Option<(String, String)> {
    let (_, rest) = value.split_once("$(steps.")?;
    let (step, rest) = rest.split_once(".results.")?;
    let (result, _) = rest.split_once(')')?;
    Some((step.to_owned(), result.to_owned()))
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or("")
}

/// Results by name: the place of the first, the value of the last.
#[derive(Default)]
struct Results(Vec<(String, ResultValue)>);

impl Results {
    fn extend(&mut self, more: Vec<(String, ResultValue)>) {
        for (name, value) in more {
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = value,
                None => self.0.push((name, value)),
            }
        }
    }

    /// Drops what is declared with another type; the controller's error message if there was any.
    fn drop_mismatched(&mut self, declared: &BTreeMap<String, &'static str>) -> Option<String> {
        let mut wrong = BTreeMap::new();
        self.0.retain(|(name, value)| match declared.get(name) {
            Some(needed) if *needed != value.type_name() => {
                wrong.insert(name.clone(), (*needed, value.type_name()));
                false
            }
            _ => true,
        });
        let wrong: Vec<_> = wrong
            .into_iter()
            .map(|(name, (needed, found))| {
                format!(
                    " {name:?}: task result is expected to be {needed:?} type but was initialized to a different \
                     type {found:?}"
                )
            })
            .collect();
        (!wrong.is_empty()).then(|| {
            format!(
                "Provided results don't match declared results; may be invalid JSON or missing result declaration: {}",
                wrong.join(",")
            )
        })
    }

    fn to_json(&self) -> Value {
        results_json(&self.0)
    }
}

fn results_json(results: &[(String, ResultValue)]) -> Value {
    results
        .iter()
        .map(|(name, value)| {
            let content = match value {
                ResultValue::String(text) => json!(text),
                ResultValue::Array(items) => json!(items),
                ResultValue::Object(members) => json!(members),
            };
            json!({"name": name, "type": value.type_name(), "value": content})
        })
        .collect()
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
    artifacts: Artifacts,
    task_artifacts: Artifacts,
}

fn read_step(step: &StepReport, log: &Log, declared: &Declared) -> StepRead {
    let message = String::from_utf8_lossy(&step.message).into_owned();
    let artifacts = log.artifacts.get(&step.name).map(|value| Artifacts::parse(value)).unwrap_or_default();
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
            STEP_ARTIFACTS => read.artifacts = Artifacts::parse(&entry.value),
            TASK_ARTIFACTS => read.task_artifacts = Artifacts::parse(&entry.value),
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

/// `{"inputs": [...], "outputs": [...]}`, of a step or of the whole task.
#[derive(Default)]
struct Artifacts {
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

impl Artifacts {
    fn parse(raw: &str) -> Self {
        let Ok(value) = serde_json::from_str::<Value>(raw) else { return Self::default() };
        Self { inputs: list(&value, "inputs").to_vec(), outputs: list(&value, "outputs").to_vec() }
    }

    /// By name, each value once. (Tekton's order is random here and it forgets `buildOutput` of inputs.)
    fn merge(&mut self, other: &Self) {
        for (ours, theirs, outputs) in
            [(&mut self.inputs, &other.inputs, false), (&mut self.outputs, &other.outputs, true)]
        {
            for artifact in theirs {
                let name = text(artifact, "name");
                let place = ours.iter().position(|known| text(known, "name") == name).unwrap_or_else(|| {
                    ours.push(json!({"name": name, "values": []}));
                    ours.len() - 1
                });
                if outputs && artifact.get("buildOutput") == Some(&Value::Bool(true)) {
                    ours[place]["buildOutput"] = true.into();
                }
                let Some(values) = ours[place].get_mut("values").and_then(Value::as_array_mut) else {
                    continue;
                };
                for value in list(artifact, "values") {
                    if !values.contains(value) {
                        values.push(value.clone());
                    }
                }
            }
        }
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        for (name, artifacts) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            if !artifacts.is_empty() {
                object.insert(name.into(), artifacts.clone().into());
            }
        }
        object.into()
    }
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
