//! A TaskRun whose steps ran under the entrypoint, and its verification.

use std::io::Write as _;

use serde_json::{Value, json};
use svidence::{
    devagent::taskrun::{RunSpec, StepReport, assemble},
    verify::{Policy, Report, Trust, taskrun::TaskRun, verify},
    workload::{bundle::X509Bundle, id::TrustDomain},
};
use time::OffsetDateTime;

/// What verification knows: this bundle, and the time now.
pub fn trust(bundle_pem: &str) -> Trust {
    Trust {
        bundle: X509Bundle::from_pem(TrustDomain::new("example.org").unwrap(), bundle_pem).unwrap(),
        intermediates: Vec::new(),
        now: OffsetDateTime::now_utc().unix_timestamp(),
        at: None,
        clock_skew: 10,
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
        steps.iter().map(|step| json!({"name": step.name, "image": "busybox", "script": "true"})).collect();
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

/// A file of its own with this content.
pub fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}
