//! Results that travel by the results sidecar's log (`results-from: sidecar-logs`): the step signs them all the same, its evidence
//! takes the termination message, and both meet again in the status.

use crate::support;

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};
use support::{
    peers,
    pod::{Pod, StepOutcome},
    private::available,
    signed::{Cluster, entry, judge, reasons, sidecar_log, trust},
    step::OURS,
};
use svidence::{
    evidence::attestation::{Attestation, Form, ResultsFrom},
    standin::taskrun::{LogLine, StepReport, assemble_from_log, assemble_with_log},
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

/// A pod whose steps leave these provenance files, and what Tekton's own sidecar makes of them; `None` if that cannot be run here.
fn with_artifacts(
    test: &str,
    cluster: &Cluster,
    files: &[(&str, &str)],
) -> Option<(Vec<StepOutcome>, Output)> {
    let sidecar = peers::require("tekton-sidecarlogresults").filter(|_| available(test))?;
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    let pod = Pod::private("run", &names);
    pod.write("tekton/bin/svidence.json", &json!({"spire-socket-path": cluster.agent.address()}).to_string());
    let outcomes = files.iter().enumerate().map(|(i, (_, file))| {
        let write = match *file {
            "" => String::new(),
            file => format!("printf '%s' '{file}' >$STEP_RESULTS/../artifacts/provenance.json"),
        };
        let step = pod.step(i).signed(&cluster.agent.address()).results(&["a"]).flags(&SIDECAR_LOGS);
        step.run_by(OURS.as_ref()).script(&format!("printf v >$RESULTS/a; {write}")).run()
    });
    let outcomes = outcomes.collect();
    let containers: Vec<String> = names.iter().map(|name| format!("step-{name}")).collect();
    let args = ["-result-names", "a", "-step-results", "{}", "-step-names", &containers.join(",")];
    Some((outcomes, pod.program(&sidecar, &args).output().unwrap()))
}

const MADE: &str = r#"{ "Outputs": [{"name":"image", "buildOutput":true, "more":1,
    "values":[{"uri":"pkg:a<b>", "digest":{"sha256":"00","sha1":null}}]}], "inputs":[]}"#;

#[test]
fn artifacts_that_tektons_sidecar_prints_verify_and_changed_ones_do_not() {
    let cluster = Cluster::new("run");
    let files =
        [("one", MADE), ("two", r#"{"inputs":[{"name":"source"},{}]}"#), ("none", ""), ("empty", "{}")];
    let test = "artifacts_that_tektons_sidecar_prints_verify_and_changed_ones_do_not";
    let Some((outcomes, sidecar)) = with_artifacts(test, &cluster, &files) else { return };
    let printed = String::from_utf8(sidecar.stdout).unwrap();
    let log = sidecar_log(&printed);
    assert_eq!(log.artifacts.len(), 3, "{printed}");
    let reports: Vec<StepReport> = outcomes.into_iter().map(|outcome| outcome.report).collect();
    let steps: Value = files.iter().map(|(name, _)| json!({"name": name})).collect();
    let spec = cluster.spec(json!({"results": [{"name": "a", "type": "string"}], "steps": steps}));
    let genuine = assemble_from_log(&spec, &reports, &log);
    assert_eq!(genuine["status"]["steps"][0]["outputs"][0]["values"][0]["uri"], "pkg:a<b>", "{genuine}");
    let trust = trust(&cluster.ca.bundle_pem());
    let report = judge(&genuine, &trust);
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
    let made = |name: &str| json!([{"name": name, "values": [{"uri": "pkg:evil"}]}]);
    type Alteration<'a> = Box<dyn Fn(&mut Value) + 'a>;
    let alterations: [(&str, Alteration<'_>, Verdict); 7] = [
        (
            "an address",
            Box::new(|status| status["steps"][0]["outputs"][0]["values"][0]["uri"] = json!("pkg:b")),
            Verdict::Invalid,
        ),
        (
            "a build output",
            Box::new(|status| status["steps"][0]["outputs"][0]["buildOutput"] = json!(false)),
            Verdict::Invalid,
        ),
        (
            "an order",
            Box::new(|status| status["steps"][1]["inputs"].as_array_mut().unwrap().reverse()),
            Verdict::Invalid,
        ),
        ("one added", Box::new(|status| status["steps"][2]["outputs"] = made("image")), Verdict::Invalid),
        (
            "one added to nothing",
            Box::new(|status| status["steps"][3]["outputs"] = made("image")),
            Verdict::Invalid,
        ),
        (
            "the task's alone",
            Box::new(|status| status["artifacts"]["outputs"] = made("image")),
            Verdict::Invalid,
        ),
        // A step that does not mention the path is signed as well, but the sidecar does not look for its file.
        (
            "all removed",
            Box::new(|status| {
                for step in status["steps"].as_array_mut().unwrap() {
                    let step = step.as_object_mut().unwrap();
                    step.retain(|member, _| member != "inputs" && member != "outputs");
                }
                status["artifacts"] = json!({});
            }),
            Verdict::Unchecked,
        ),
    ];
    for (case, alter, verdict) in alterations {
        let mut altered = genuine.clone();
        alter(&mut altered["status"]);
        let report = judge(&altered, &trust);
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
    }
}

#[test]
fn artifacts_that_tektons_sidecar_does_not_print_are_no_contradiction() {
    let cluster = Cluster::new("run");
    let test = "artifacts_that_tektons_sidecar_does_not_print_are_no_contradiction";
    for (case, file) in [("another type", r#"{"outputs":{}}"#), ("no JSON", "{")] {
        let Some((outcomes, sidecar)) = with_artifacts(test, &cluster, &[("one", file)]) else { return };
        assert!(!sidecar.status.success(), "{case}: the sidecar gives up");
        let log = sidecar_log(&String::from_utf8(sidecar.stdout).unwrap());
        assert_eq!((log.results.len(), log.artifacts.len()), (1, 0), "{case}");
        let reports: Vec<StepReport> = outcomes.into_iter().map(|outcome| outcome.report).collect();
        let results = json!([{"name": "a", "type": "string"}]);
        let spec = cluster.spec(json!({"results": results, "steps": [{"name": "one"}]}));
        let report = judge(&assemble_from_log(&spec, &reports, &log), &trust(&cluster.ca.bundle_pem()));
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
    }
}

#[test]
fn artifacts_that_readers_may_read_differently_are_not_signed() {
    let cluster = Cluster::new("run");
    for (case, write) in [
        ("a field twice", r#"printf '{"inputs":[],"Inputs":[]}' >"#),
        ("a link", "ln -s /etc/hostname "),
        ("too large", "truncate -s 2M "),
    ] {
        let pod = cluster.pod(&["one"], &[]);
        let script = format!("{write}$STEP_RESULTS/../artifacts/provenance.json");
        let step = pod.step(0).flags(&SIDECAR_LOGS).script(&script);
        let unsigned = step.clone().run();
        assert_eq!(unsigned.output.status.code(), Some(0), "{case}: {}", unsigned.stderr());
        let signed = step.signed(&cluster.agent.address()).run();
        let value = entry(signed.message(), "SVIDENCE.one.sig").unwrap();
        assert!(value.starts_with("unsigned: "), "{case}: {value}");
        assert_eq!(signed.output.status.code(), Some(1), "{case}: {}", signed.stderr());
    }
}
