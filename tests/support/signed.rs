//! A TaskRun whose steps ran under the entrypoint, and its verification.

use std::io::Write as _;

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use svidence::{
    standin::{
        agent::DevAgent,
        ca::DevCa,
        taskrun::{LogLine, RunSpec, SidecarLog, StepReport, assemble},
    },
    tekton::taskrun::TaskRun,
    verify::{Policy, Report, Trust, verify},
    workload::{bundle::X509Bundle, id::TrustDomain},
};
use time::OffsetDateTime;
use unixtime::UnixSeconds;

use super::pod::Pod;

/// The UID of every TaskRun of a `Cluster`.
const UID: &str = "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70";

/// One TaskRun's surroundings: an authority, the embedded agent that serves its identity, and its pod's names.
pub struct Cluster {
    pub ca: DevCa,
    pub agent: DevAgent,
    pub created: OffsetDateTime,
    task_run: String,
    _folder: tempfile::TempDir,
}

impl Cluster {
    pub fn new(task_run: &str) -> Self {
        let random = SystemRandom::new();
        let created = OffsetDateTime::now_utc();
        let now = created.unix_timestamp();
        let ca = DevCa::new("example.org", UnixSeconds::new(now), &random).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let agent = DevAgent::start(&folder.path().join("a.sock")).unwrap();
        let path = format!("/ns/default/taskrun/{task_run}");
        agent.serve(
            &ca,
            &ca.issue(&path, &[], UnixSeconds::new(now), std::time::Duration::from_secs(3600), &random)
                .unwrap(),
        );
        Self { ca, agent, created, task_run: task_run.to_owned(), _folder: folder }
    }

    /// The TaskRun's pod, with these entries in `svidence.json` beside the agent's address.
    pub fn pod(&self, steps: &[&str], configuration: &[(&str, &str)]) -> Pod {
        let pod = Pod::new(&self.task_run, steps);
        let mut entries = json!({"spire-socket-path": self.agent.address()});
        for (key, value) in configuration {
            entries[*key] = json!(value);
        }
        pod.write("tekton/bin/svidence.json", &entries.to_string());
        pod
    }

    /// The verdict on the TaskRun with these declarations and steps.
    pub fn judge(&self, results: &Value, steps: &Value, reports: &[StepReport]) -> Report {
        let spec = self.spec(json!({"results": results, "steps": steps}));
        judge(&assemble(&spec, reports), &trust(&self.ca.bundle_pem()))
    }

    /// One attempt of the TaskRun with the step `one` and the result `a`: what its pod of this name leaves behind.
    pub fn attempt(&self, pod_name: &str, script: &str) -> Value {
        self.attempt_of(pod_name, &[script], &[])
    }

    /// The same with the steps `one`, `two` and so on, and with these entries in `svidence.json`.
    pub fn attempt_of(&self, pod_name: &str, scripts: &[&str], configuration: &[(&str, &str)]) -> Value {
        let names = &["one", "two", "three"][..scripts.len()];
        let mut pod = self.pod(names, configuration);
        pod.name = pod_name.to_owned();
        let run = |(i, script): (usize, &&str)| {
            let step = pod.step(i).signed(&self.agent.address()).results(&["a"]);
            step.script(script).run().report
        };
        let reports: Vec<StepReport> = scripts.iter().enumerate().map(run).collect();
        let steps: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        let task = json!({"results": [{"name": "a", "type": "string"}], "steps": steps});
        assemble(&RunSpec { pod_name: pod_name.to_owned(), ..self.spec(task) }, &reports)
    }

    /// The TaskRun with this inline Task.
    pub fn spec(&self, task_spec: Value) -> RunSpec {
        RunSpec {
            namespace: "default".into(),
            name: self.task_run.clone(),
            uid: UID.into(),
            pod_name: format!("{}-pod", self.task_run),
            created: self.created,
            task_spec,
        }
    }
}

/// What verification knows: this bundle, and the time now.
pub fn trust(bundle_pem: &str) -> Trust {
    Trust {
        bundle: X509Bundle::from_pem(TrustDomain::new("example.org").unwrap(), bundle_pem).unwrap(),
        intermediates: Vec::new(),
        now: UnixSeconds::from(OffsetDateTime::now_utc()),
        at: None,
        clock_skew: std::time::Duration::from_secs(10),
    }
}

/// The TaskRun that Tekton's controller would leave, with results and steps declared inline.
pub fn task_run(
    name: &str,
    uid: &str,
    results: &[(&str, &str)],
    steps: &[StepReport],
    created: OffsetDateTime,
) -> Value {
    let declared: Vec<Value> =
        results.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
    let task_steps: Vec<Value> =
        steps.iter().map(|step| json!({"name": step.name, "image": "busybox"})).collect();
    let spec = RunSpec {
        namespace: "default".into(),
        name: name.into(),
        uid: uid.into(),
        pod_name: format!("{name}-pod"),
        created,
        task_spec: json!({"results": declared, "steps": task_steps}),
    };
    assemble(&spec, steps)
}

/// Verifies an object.
pub fn judge(object: &Value, trust: &Trust) -> Report {
    judge_with(object, trust, &Policy::default())
}

/// Verifies an object under a policy.
pub fn judge_with(object: &Value, trust: &Trust, policy: &Policy) -> Report {
    verify(&TaskRun::from_value(object.clone()).unwrap(), trust, policy)
}

/// The reasons of a report, for failure messages.
pub fn reasons(report: &Report) -> String {
    let reasons: Vec<String> =
        report.findings.iter().map(|finding| format!("[{}] {finding}", finding.code())).collect();
    format!("{}: {}", report.verdict.as_str(), reasons.join("; "))
}

/// The value of a message's entry.
pub fn entry(message: &str, key: &str) -> Option<String> {
    let entries: Vec<Value> = serde_json::from_str(message).unwrap();
    entries.iter().find(|entry| entry["key"] == key).map(|entry| entry["value"].as_str().unwrap().to_owned())
}

/// The log of Tekton's results sidecar, read as the controller reads it.
pub fn sidecar_log(printed: &str) -> SidecarLog {
    let mut log = SidecarLog::default();
    for line in printed.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |member: &str| line[member].as_str().unwrap().to_owned();
        let (name, value) = (text("name"), text("value"));
        let step_of = |container: &str| container.strip_prefix("step-").unwrap().to_owned();
        match (text("type").as_str(), name.split_once('.')) {
            ("task", _) => log.results.push(LogLine { step: None, name, value }),
            ("step", Some((step, name))) => {
                log.results.push(LogLine { step: Some(step_of(step)), name: name.to_owned(), value });
            }
            ("stepArtifact", _) => {
                log.artifacts.entry(step_of(&name)).or_insert(value);
            }
            _ => panic!("a line that is no result: {line}"),
        }
    }
    log
}

/// A file of its own with this content.
pub fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}
