//! Results that travel by the results sidecar's log (`results-from: sidecar-logs`): the step signs them all the same, its evidence
//! takes the termination message, and both meet again in the status.

#![cfg(feature = "cli")]

mod support;

use std::{fs, path::Path};

use serde_json::{Value, json};
use support::{
    pod::{Pod, StepOutcome},
    signed::{Cluster, entry, judge, reasons, trust},
};
use svidence::{
    devagent::taskrun::{LogLine, StepReport, assemble_with_log},
    evidence::attestation::{Attestation, Form, ResultsFrom},
    verify::Verdict,
};

const SIDECAR_LOGS: [&str; 2] = ["-result_from", "sidecar-logs"];

/// What Tekton's `sidecarlogresults` would print of the files (its JSON replaces bytes that are not UTF-8 one by one).
fn log(pod: &Pod, task: &[&str], step: &[(&str, usize, &str)]) -> Vec<LogLine> {
    let value = |path: &Path| {
        let raw = fs::read(path).ok()?;
        let text = raw.utf8_chunks().map(|c| c.valid().to_owned() + &"\u{fffd}".repeat(c.invalid().len()));
        Some(text.collect::<String>())
    };
    let of_task = task.iter().filter_map(|name| {
        let value = value(&pod.root().join("tekton/results").join(name))?;
        Some(LogLine { step: None, name: (*name).to_owned(), value })
    });
    let of_steps = step.iter().filter_map(|(step, index, name)| {
        let value = value(&pod.root().join(format!("tekton/run/{index}/status/results")).join(name))?;
        Some(LogLine { step: Some((*step).to_owned()), name: (*name).to_owned(), value })
    });
    of_task.chain(of_steps).collect()
}

fn attestation(outcome: &StepOutcome, step: &str) -> Attestation {
    let value = entry(outcome.message(), &format!("SVIDENCE.{step}.sig"));
    let value = value.unwrap_or_else(|| panic!("no attestation: {}", outcome.stderr()));
    Attestation::from_value(&value).unwrap_or_else(|error| panic!("{error}: {value}"))
}

const TASK: [&str; 7] = ["text", "list", "map", "quoted", "bytes", "large", "changed"];

fn declared() -> (Value, Value) {
    let of_type = |name: &str| match name {
        "list" => "array",
        "map" => "object",
        _ => "string",
    };
    let mut results: Vec<Value> =
        TASK.iter().map(|name| json!({"name": name, "type": of_type(name)})).collect();
    results.push(json!({"name": "mapped", "type": "string", "value": "$(steps.one.results.own)"}));
    let steps = json!([
        {"name": "one", "image": "busybox", "results": [{"name": "own", "type": "string"}]},
        {"name": "two", "image": "busybox"},
    ]);
    (results.into(), steps)
}

/// A TaskRun of two steps that leave every kind of result, some too large for any message.
fn run(cluster: &Cluster, pod: &Pod) -> Vec<StepReport> {
    let script = r#"cd $RESULTS; printf plain >text; printf '["a","b"]' >list; printf '{"k":"v"}' >map
        printf '"x"' >quoted; printf 'a\377\342\200b' >bytes; head -c 300000 /dev/zero | tr '\0' z >large
        printf first >changed; printf own >$STEP_RESULTS/own"#;
    let step = |i: usize| pod.step(i).signed(&cluster.agent.address()).results(&TASK).flags(&SIDECAR_LOGS);
    let one = step(0).step_results(&["own"]).script(script).run();
    let two = step(1).script("printf second >$RESULTS/changed").run();
    for (outcome, name, count) in [(&one, "one", 8), (&two, "two", 7)] {
        assert_eq!(outcome.output.status.code(), Some(0), "{name}: {}", outcome.stderr());
        let attestation = attestation(outcome, name);
        assert_eq!((attestation.form, attestation.results.len()), (Form::Digests, count), "{name}");
        assert_eq!(entry(outcome.message(), "text"), None, "{name}: no result in the message");
        assert!(!attestation.tep0089, "{name}");
        assert_eq!(attestation.results_from, ResultsFrom::SidecarLogs, "{name}");
    }
    assert!(one.stderr().contains("result bytes is not UTF-8"), "{}", one.stderr());
    let set: Vec<_> = attestation(&two, "two").results.into_iter().filter(|result| result.set).collect();
    assert_eq!(set.iter().map(|result| &*result.name).collect::<Vec<_>>(), ["changed"]);
    vec![one.report, two.report]
}

#[test]
fn results_of_every_kind_verify_and_changed_ones_do_not() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one", "two"], &[]);
    let reports = run(&cluster, &pod);
    let (results, steps) = declared();
    let spec = cluster.spec(json!({"results": results, "steps": steps}));
    let genuine = assemble_with_log(&spec, &reports, &log(&pod, &TASK, &[("one", 0, "own")]));
    let trust = trust(&cluster.ca.bundle_pem());
    let report = judge(&genuine, &trust);
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
    let names: Vec<&str> =
        report.proof.as_ref().unwrap().results.iter().map(|result| &*result.name).collect();
    for name in TASK.iter().chain(&["mapped"]) {
        assert!(names.contains(name), "{name} is verified: {names:?}");
    }
    let at = |name: &str| {
        let results = genuine["status"]["results"].as_array().unwrap();
        results.iter().position(|result| result["name"] == name).unwrap()
    };
    for name in TASK.iter().chain(&["mapped"]) {
        let mut forged = genuine.clone();
        forged["status"]["results"][at(name)]["value"] = match *name {
            "list" => json!(["a", "c"]),
            "map" => json!({"k": "w"}),
            _ => json!("forged"),
        };
        let report = judge(&forged, &trust);
        assert_eq!(report.verdict, Verdict::Invalid, "{name} forged: {}", reasons(&report));
        let mut dropped = genuine.clone();
        dropped["status"]["results"].as_array_mut().unwrap().remove(at(name));
        let report = judge(&dropped, &trust);
        assert_eq!(report.verdict, Verdict::Invalid, "{name} dropped: {}", reasons(&report));
    }
    let mut added = genuine.clone();
    added["status"]["results"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "more", "type": "string", "value": "x"}));
    assert_eq!(judge(&added, &trust).verdict, Verdict::Invalid, "a result was added");
    let state = &genuine["status"]["steps"][0]["terminated"]["message"];
    let mut entries: Vec<Value> = serde_json::from_str(state.as_str().unwrap()).unwrap();
    entries.push(json!({"key": "text", "value": "plain", "type": 1}));
    let mut moved = genuine.clone();
    moved["status"]["steps"][0]["terminated"]["message"] = json!(serde_json::to_string(&entries).unwrap());
    let report = judge(&moved, &trust);
    assert_eq!(report.verdict, Verdict::Invalid, "a covered result in the message: {}", reasons(&report));
}

#[test]
fn what_cannot_be_hashed_in_good_time_is_unsigned_and_not_lost() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[]);
    let script = "truncate -s 64M $RESULTS/text; truncate -s 100G $RESULTS/large";
    let step = pod.step(0).results(&["text", "large"]).flags(&SIDECAR_LOGS).script(script);
    let unsigned = step.clone().run();
    assert_eq!(unsigned.output.status.code(), Some(0), "{}", unsigned.stderr());
    let signed = step.clone().signed(&cluster.agent.address()).run();
    assert_eq!(signed.output.status.code(), Some(1), "{}", signed.stderr());
    let value = entry(signed.message(), "SVIDENCE.one.sig").unwrap();
    assert!(value.starts_with("unsigned: too large"), "{value}");
    assert!(signed.stderr().contains("result large has more than 64 MiB"), "{}", signed.stderr());
    let fits = step.signed(&cluster.agent.address()).results(&["text"]).run();
    assert_eq!(fits.output.status.code(), Some(0), "{}", fits.stderr());
}

#[test]
fn what_cannot_be_read_fails_the_step_as_with_messages() {
    let cluster = Cluster::new("run");
    for (case, script) in [("directory", "mkdir"), ("FIFO", "mkfifo"), ("link", "ln -s /etc/passwd")] {
        for signed in [false, true] {
            let pod = cluster.pod(&["one"], &[]);
            let mut step = pod
                .step(0)
                .results(&["text"])
                .flags(&SIDECAR_LOGS)
                .script(&format!("{script} $RESULTS/text"));
            if signed {
                step = step.signed(&cluster.agent.address());
            }
            let outcome = step.run();
            assert_eq!(
                outcome.output.status.code(),
                Some(1),
                "{case}, signed {signed}: {}",
                outcome.stderr()
            );
            assert!(entry(outcome.message(), "StartedAt").is_some(), "{case}, signed {signed}");
            assert!(pod.post_file(0).with_extension("err").exists(), "{case}, signed {signed}");
        }
    }
}

#[test]
fn tep_0089_entries_alone_are_refused_with_the_reason() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[("svidence-evidence", "tep-0089")]);
    let step = pod.step(0).results(&["text"]).flags(&SIDECAR_LOGS).script("printf x >$RESULTS/text");
    let outcome = step.signed(&cluster.agent.address()).run();
    assert_eq!(outcome.output.status.code(), Some(1), "{}", outcome.stderr());
    assert!(outcome.stderr().contains("svidence-evidence: attestation"), "{}", outcome.stderr());
}
