//! What a signed step emits in every situation, and that it verifies. The Workload API is the embedded one: what matters here is the
//! step, not who issued its identity.

use crate::support;

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use support::{
    pod::{Pod, StepOutcome},
    signed::{Cluster, entry, judge, reasons, trust},
};
use svidence::{
    evidence::attestation::{Attestation, Ended, Form, SignedOutcome},
    standin::taskrun::{RunSpec, StepReport, assemble},
    verify::{Report, Verdict},
};
use time::OffsetDateTime;
use unixtime::UnixMillis;

fn attestation(outcome: &StepOutcome, step: &str) -> Attestation {
    let value = entry(outcome.message(), &format!("SVIDENCE.{step}.sig"))
        .unwrap_or_else(|| panic!("no attestation: {} {}", outcome.message(), outcome.stderr()));
    Attestation::from_value(&value).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn strings(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name, "type": "string"})).collect()
}

#[test]
fn every_outcome_is_signed_and_binds_the_status() {
    let exited = |code, continued| SignedOutcome { ended: Ended::Exited(code), continued };
    let ended = |ended| SignedOutcome { ended, continued: false };
    let continued = &["-on_error", "continue"][..];
    for (case, script, flags, signed, exit, next_runs) in [
        ("success", "true", &[][..], exited(0, false), 0, true),
        ("failure", "exit 3", &[], exited(3, false), 3, false),
        ("continued failure", "exit 3", continued, exited(3, true), 0, true),
        ("exit 255", "exit 255", &[], exited(255, false), 255, false),
        ("signal", "kill -KILL $$", &[], ended(Ended::Signal(9)), 255, false),
        (
            "continued signal",
            "kill -TERM $$",
            continued,
            SignedOutcome { ended: Ended::Signal(15), continued: true },
            0,
            true,
        ),
        ("timeout", "exec sleep 30", &["-timeout", "300ms"], ended(Ended::Timeout), 1, false),
        ("not started", "true", &["-timeout", "-1s"], ended(Ended::NotStarted), 1, false),
    ] {
        let cluster = Cluster::new("run");
        let pod = cluster.pod(&["one", "two"], &[]);
        let script = format!("printf value >$RESULTS/a; {script}");
        let signed_step = |i: usize| pod.step(i).signed(&cluster.agent.address()).results(&["a"]);
        let one = signed_step(0).script(&script).flags(flags).run();
        assert_eq!(one.output.status.code(), Some(exit), "{case}: {}", one.stderr());
        assert_eq!(attestation(&one, "one").outcome, signed, "{case}");
        let two = signed_step(1).run();
        assert_eq!(two.output.status.success(), next_runs, "{case}: {}", two.stderr());
        assert_eq!(
            entry(two.message(), "SVIDENCE.two.sig").is_some(),
            next_runs,
            "{case}: a skipped step does not sign"
        );
        let steps = json!([{"name": "one"}, {"name": "two"}]);
        let report = cluster.judge(&strings(&["a"]), &steps, &[one.report, two.report]);
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
    }
}

#[test]
fn a_cancelled_step_is_signed_within_the_grace_period() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[]);
    let step = pod
        .step(0)
        .signed(&cluster.agent.address())
        .results(&["a"])
        .script("printf v >$RESULTS/a; exec sleep 30");
    let mut command = step.command();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !pod.root().join("tekton/results/a").exists() {
        thread::sleep(Duration::from_millis(10));
    }
    pod.write("tekton/downward/cancel", "CANCEL");
    let outcome = step.outcome(child.wait_with_output().unwrap(), cluster.created);
    assert_eq!(outcome.output.status.code(), Some(9), "{}", outcome.stderr());
    assert_eq!(attestation(&outcome, "one").outcome.ended, Ended::Cancelled);
    let report = cluster.judge(&strings(&["a"]), &json!([{"name": "one"}]), &[outcome.report]);
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
}

#[test]
fn term_while_signing_waits_for_five_seconds_and_loses_nothing() {
    // A socket that is listened on and never answered.
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("deaf.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let pod = Pod::new("run", &["one"]);
    let step = pod
        .step(0)
        .signed(&format!("unix://{}", socket.display()))
        .results(&["a"])
        .script("printf v >$RESULTS/a");
    let mut command = step.command();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(700));
    assert!(!pod.post_file(0).with_extension("err").exists(), "it waits for its identity");
    let start = Instant::now();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let outcome = step.outcome(child.wait_with_output().unwrap(), OffsetDateTime::now_utc());
    let took = start.elapsed();
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(7), "{took:?}");
    assert_eq!(outcome.output.status.code(), Some(1), "{}", outcome.stderr());
    assert_eq!(entry(outcome.message(), "a").as_deref(), Some("v"));
    assert!(entry(outcome.message(), "SVIDENCE.one.sig").unwrap().starts_with("unsigned: "));
    assert!(pod.post_file(0).with_extension("err").exists());
}

#[test]
fn names_that_collide_leave_the_tep0089_form_out() {
    for names in [&["foo", "foo.sig"][..], &["SVID"], &["RESULT_MANIFEST", "x"], &["RESULT_MANIFEST.sig"]] {
        let cluster = Cluster::new("run");
        let pod = cluster.pod(&["one"], &[("svidence-containers", "1")]);
        let script: String = names.iter().map(|name| format!("printf mine >$RESULTS/{name}; ")).collect();
        let outcome = pod.step(0).signed(&cluster.agent.address()).results(names).script(&script).run();
        assert!(!attestation(&outcome, "one").tep0089, "{names:?}");
        assert!(outcome.stderr().contains("TEP-0089 form is left out"), "{names:?}: {}", outcome.stderr());
        for name in names {
            assert_eq!(entry(outcome.message(), name).as_deref(), Some("mine"), "{names:?}");
        }
        let report = cluster.judge(&strings(names), &json!([{"name": "one"}]), &[outcome.report]);
        assert_eq!(report.verdict, Verdict::Verified, "{names:?}: {}", reasons(&report));
        assert_eq!(report.proof.unwrap().results.len(), names.len(), "{names:?}");
    }
}

#[test]
fn a_user_result_with_a_reserved_name_is_refused_before_the_command_runs() {
    let cluster = Cluster::new("run");
    for (results, step_results) in [(&["SVIDENCE.one.sig"][..], &[][..]), (&[], &["SVIDENCE.x"])] {
        let pod = cluster.pod(&["one"], &[]);
        let step = pod.step(0).signed(&cluster.agent.address()).results(results).step_results(step_results);
        let outcome = step.script("touch $RESULTS/ran").run();
        assert_eq!(outcome.output.status.code(), Some(1), "{}", outcome.stderr());
        assert!(outcome.stderr().contains("reserved for evidence"), "{}", outcome.stderr());
        assert!(!pod.root().join("tekton/results/ran").exists());
        assert!(pod.post_file(0).with_extension("err").exists());
    }
}

#[test]
fn values_that_are_odd_are_signed_as_they_are_transported() {
    let cluster = Cluster::new("run");
    for (case, script, kind, shown) in [
        (
            "not UTF-8",
            "printf 'a\\377\\355\\240\\200b' >$RESULTS/a",
            "string",
            json!("a\u{fffd}\u{fffd}\u{fffd}\u{fffd}b"),
        ),
        ("empty", ": >$RESULTS/a", "string", json!("")),
        ("a list with spaces", "printf '[\"x\", \"y\" ]' >$RESULTS/a", "array", json!(["x", "y"])),
        (
            "an object",
            "printf '{\"k\":\"v\",\"a\":\"<&>\"}' >$RESULTS/a",
            "object",
            json!({"k": "v", "a": "<&>"}),
        ),
        ("a quoted string", "printf '\"q\"' >$RESULTS/a", "string", json!("\"q\"")),
        ("null", "printf null >$RESULTS/a", "string", json!("null")),
        (
            "lines and quotes",
            "printf 'l1\\nl2\\t\"\\\\\\001' >$RESULTS/a",
            "string",
            json!("l1\nl2\t\"\\\u{1}"),
        ),
    ] {
        let pod = cluster.pod(&["one"], &[]);
        let outcome = pod.step(0).signed(&cluster.agent.address()).results(&["a"]).script(script).run();
        assert_eq!(outcome.output.status.code(), Some(0), "{case}: {}", outcome.stderr());
        assert_eq!(
            outcome.stderr().contains("is not UTF-8"),
            case == "not UTF-8",
            "{case}: {}",
            outcome.stderr()
        );
        let declared = json!([{"name": "a", "type": kind}]);
        let report = cluster.judge(&declared, &json!([{"name": "one"}]), &[outcome.report]);
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
        let result = &report.proof.unwrap().results[0];
        let value: Value = serde_json::from_str(&result.value.canonical_json()).unwrap();
        assert_eq!(value, shown, "{case}");
    }
}

#[test]
fn a_step_without_results_signs_too() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[]);
    let outcome = pod.step(0).signed(&cluster.agent.address()).run();
    assert!(attestation(&outcome, "one").results.is_empty());
    let report = cluster.judge(&json!([]), &json!([{"name": "one"}]), &[outcome.report]);
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
}

#[test]
fn artifacts_are_signed() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[]);
    let script = "mkdir -p $STEP_RESULTS/../artifacts; printf '{\"outputs\":[]}' >$STEP_RESULTS/../artifacts/provenance.json";
    let outcome = pod.step(0).signed(&cluster.agent.address()).script(script).run();
    let signed = attestation(&outcome, "one").step_artifacts;
    assert_eq!(signed, Some(svidence::evidence::sha256(b"{\"outputs\":[]}")), "{}", outcome.stderr());
    let report = cluster.judge(&json!([]), &json!([{"name": "one"}]), std::slice::from_ref(&outcome.report));
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
    let mut altered = outcome.report;
    altered.message = String::from_utf8(altered.message).unwrap().replace("outputs", "inputss").into_bytes();
    let report = cluster.judge(&json!([]), &json!([{"name": "one"}]), &[altered]);
    assert_eq!(report.verdict, Verdict::Invalid, "{}", reasons(&report));
}

/// A step that sets so many results of 71 characters, as image digests are.
fn with_results(cluster: &Cluster, count: usize, containers: &str) -> (StepOutcome, Report) {
    let names: Vec<String> = (0..count).map(|i| format!("digest-{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let pod = cluster.pod(&["one"], &[("svidence-containers", containers)]);
    let script = "for n in $(seq -w 0 99); do printf 'sha256:%064d' $n >$RESULTS/digest-$n; done";
    let outcome = pod.step(0).signed(&cluster.agent.address()).results(&names).script(script).run();
    let report =
        cluster.judge(&strings(&names), &json!([{"name": "one"}]), std::slice::from_ref(&outcome.report));
    (outcome, report)
}

#[test]
fn the_richest_form_that_fits_is_written() {
    let cluster = Cluster::new("run");
    for (count, containers, tep0089, form) in [
        (5, "3", true, Form::Digests),
        (14, "3", false, Form::Digests),
        (26, "3", false, Form::Hints),
        // The results alone exceed the share of 1365 bytes: hints are added as long as 4096 bytes hold everything.
        (14, "9", false, Form::Hints),
    ] {
        let case = format!("{count} results, {containers} containers");
        let (outcome, report) = with_results(&cluster, count, containers);
        let attestation = attestation(&outcome, "one");
        assert_eq!(
            (attestation.tep0089, attestation.form),
            (tep0089, form),
            "{case}: {} bytes",
            outcome.message().len()
        );
        assert!(outcome.message().len() <= 4096, "{case}");
        assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
        assert_eq!(report.proof.unwrap().results.len(), count, "{case}");
    }
}

#[test]
fn without_room_for_evidence_results_are_kept_and_the_step_is_unsigned() {
    let cluster = Cluster::new("run");
    // The results fit the share of 1365 bytes, hints do not fit beside them.
    let (outcome, report) = with_results(&cluster, 10, "9");
    assert_eq!(entry(outcome.message(), "SVIDENCE.one.sig").as_deref(), Some("unsigned: no room"));
    assert_eq!(outcome.output.status.code(), Some(1), "{}", outcome.stderr());
    assert!(outcome.stderr().contains("svidence-containers"), "{}", outcome.stderr());
    assert!(entry(outcome.message(), "digest-09").is_some());
    assert_eq!(report.verdict, Verdict::Absent, "{}", reasons(&report));
}

#[test]
fn as_many_results_fit_as_the_design_promises() {
    let cluster = Cluster::new("run");
    for (containers, promised) in [("3", 29), ("9", 6), ("12", 3)] {
        let most = (1..=34)
            .take_while(|count| {
                let (outcome, report) = with_results(&cluster, *count, containers);
                let limit = (12288 / containers.parse::<usize>().unwrap()).min(4096);
                report.verdict == Verdict::Verified && outcome.message().len() <= limit
            })
            .last();
        eprintln!("{containers} containers: {most:?} attested results of 71 characters");
        assert!(most >= Some(promised), "{containers} containers: {most:?}, promised {promised}");
        let (outcome, _) = with_results(&cluster, promised, containers);
        assert!(attestation(&outcome, "one").program.is_some(), "{containers} containers: what ran");
    }
}

#[test]
fn the_times_in_an_attestation_are_those_of_the_step() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[]);
    let outcome =
        pod.step(0).signed(&cluster.agent.address()).results(&["a"]).script("printf v >$RESULTS/a").run();
    let attestation = attestation(&outcome, "one");
    let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap() * 1000;
    assert!(
        attestation.signed_at() <= UnixMillis::new(now + 2000)
            && attestation.started + std::time::Duration::from_secs(60_000) > UnixMillis::new(now),
        "{attestation:?}"
    );
}

#[test]
fn a_retried_run_is_told_by_its_pod() {
    let cluster = Cluster::new("run");
    for (pod_name, attempts, verdict) in [
        ("run-pod", 0, Verdict::Verified),
        ("run-pod-retry1", 1, Verdict::Verified),
        ("run-pod-retry2", 2, Verdict::Verified),
        ("run-pod", 1, Verdict::Invalid),
        ("run-pod-retry1", 2, Verdict::Invalid),
        // With the node's network the host name is the node's: nothing is said about the pod's name.
        ("node-17.example.org", 0, Verdict::Verified),
    ] {
        let case = format!("pod {pod_name}, {attempts} earlier attempts");
        let mut pod = cluster.pod(&["one"], &[]);
        pod.name = pod_name.to_owned();
        let outcome = pod.step(0).signed(&cluster.agent.address()).run();
        let spec = RunSpec {
            pod_name: if pod_name.starts_with("node") { "run-pod".into() } else { pod_name.to_owned() },
            ..cluster.spec(json!({"steps": [{"name": "one"}]}))
        };
        let mut object = assemble(&spec, &[outcome.report]);
        object["status"]["retriesStatus"] = (0..attempts).map(|_| json!({"podName": "earlier"})).collect();
        let report = judge(&object, &trust(&cluster.ca.bundle_pem()));
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
    }
}

#[test]
fn a_run_that_was_cut_off_is_absent_and_not_invalid() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one", "two"], &[]);
    let outcome =
        pod.step(0).signed(&cluster.agent.address()).results(&["a"]).script("printf v >$RESULTS/a").run();
    // The controller's words for a step whose pod was deleted on cancellation: no message, exit code 1.
    let now = OffsetDateTime::now_utc();
    let cut_off =
        StepReport { name: "two".into(), message: Vec::new(), exit_code: 1, started: now, finished: now };
    let spec = cluster.spec(json!({"results": strings(&["a"]), "steps": [{"name": "one"}, {"name": "two"}]}));
    let object = assemble(&spec, &[outcome.report, cut_off]);
    let mut without_results = object.clone();
    without_results["status"]["results"] = json!([]);
    let mut passed_off = object.clone();
    passed_off["status"]["conditions"][0]["status"] = json!("True");
    for (case, object, verdict) in [
        ("cancelled", object, Verdict::Absent),
        ("cancelled before the results were taken over", without_results, Verdict::Absent),
        ("passed off as a success", passed_off, Verdict::Invalid),
    ] {
        let report = judge(&object, &trust(&cluster.ca.bundle_pem()));
        assert_eq!(report.verdict, verdict, "{case}: {}", reasons(&report));
    }
}

#[test]
fn a_result_that_would_be_an_attestation_if_signed_bare_leaves_the_tep0089_form_out() {
    let cluster = Cluster::new("run");
    for (evidence, exit) in [("both", 0), ("tep-0089", 1)] {
        let pod = cluster.pod(&["one"], &[("svidence-containers", "1"), ("svidence-evidence", evidence)]);
        let script = "printf 'DSSEv1 28 application/vnd.in-toto+json 2 {}' >$RESULTS/title";
        let outcome = pod.step(0).signed(&cluster.agent.address()).results(&["title"]).script(script).run();
        assert_eq!(outcome.output.status.code(), Some(exit), "{evidence}: {}", outcome.stderr());
        assert_eq!(entry(outcome.message(), "title.sig"), None, "{evidence}");
        assert!(outcome.stderr().contains("must not sign"), "{evidence}: {}", outcome.stderr());
    }
}

#[test]
fn a_task_result_hidden_by_a_step_result_does_not_spoil_the_rest() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[("svidence-containers", "1")]);
    let step =
        pod.step(0).signed(&cluster.agent.address()).results(&["x", "y", "StartedAt"]).step_results(&["x"]);
    let script = "printf task >$RESULTS/x; printf y >$RESULTS/y; printf z >$RESULTS/StartedAt; printf step >$STEP_RESULTS/x";
    let outcome = step.script(script).run();
    assert!(attestation(&outcome, "one").tep0089, "{}", outcome.stderr());
    assert!(outcome.stderr().contains("result x is hidden"), "{}", outcome.stderr());
    let steps = json!([{"name": "one", "results": [{"name": "x", "type": "string"}]}]);
    let report = cluster.judge(&strings(&["x", "y", "StartedAt"]), &steps, &[outcome.report]);
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
}

#[test]
fn a_step_action_declares_its_results_in_the_status_only() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[]);
    let step = pod.step(0).signed(&cluster.agent.address()).step_results(&["own"]);
    let outcome = step.script("printf v >$STEP_RESULTS/own").run();
    let spec =
        cluster.spec(json!({"steps": [{"name": "one", "results": [{"name": "own", "type": "string"}]}]}));
    let mut object = assemble(&spec, &[outcome.report]);
    object["spec"]["taskSpec"]["steps"] = json!([{"name": "one", "ref": {"name": "some-action"}}]);
    let report = judge(&object, &trust(&cluster.ca.bundle_pem()));
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
    object["status"]["taskSpec"]["steps"] = object["spec"]["taskSpec"]["steps"].clone();
    let report = judge(&object, &trust(&cluster.ca.bundle_pem()));
    assert_eq!(report.verdict, Verdict::Invalid, "{}", reasons(&report));
}

#[test]
fn a_signed_outcome_is_the_one_that_the_container_ends_with() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[]);
    let step = pod.step(0).signed(&cluster.agent.address()).results(&["a"]);
    let outcome = step.script("printf v >$RESULTS/a; mkdir $STEP_RESULTS/../exitCode").run();
    assert_eq!(outcome.output.status.code(), Some(1), "{}", outcome.stderr());
    let value = entry(outcome.message(), "SVIDENCE.one.sig").unwrap();
    assert!(value.starts_with("unsigned: what the step produced could not be handed over"), "{value}");
    assert_eq!(entry(outcome.message(), "a").as_deref(), Some("v"));
}

#[test]
fn a_mapped_result_has_the_type_that_its_step_declares() {
    let cluster = Cluster::new("run");
    let object = |kind: Option<&str>| {
        let pod = cluster.pod(&["one"], &[]);
        let step = pod.step(0).signed(&cluster.agent.address()).step_results(&["own"]);
        let outcome = step.script("printf '[\"a\", \"b\"]' >$STEP_RESULTS/own").run();
        let mut own = json!({"name": "own"});
        own["type"] = json!(kind);
        let spec = cluster.spec(json!({
                "results": [{"name": "list", "type": "array", "value": "$(steps.one.results.own)"}],
                "steps": [{"name": "one", "results": [match kind { Some(_) => own, None => json!({"name": "own"}) }]}],
            }));
        assemble(&spec, &[outcome.report])
    };
    let trust = trust(&cluster.ca.bundle_pem());
    for kind in [Some("array"), None] {
        let report = judge(&object(kind), &trust);
        assert_eq!(report.verdict, Verdict::Verified, "{kind:?}: {}", reasons(&report));
        let result = report.proof.unwrap().results.remove(0);
        assert_eq!((result.name_is_claimed, result.type_is_claimed), (false, false), "{kind:?}");
        assert_eq!(result.value.type_name(), "array", "{kind:?}");
    }
    let text = json!("[\"a\", \"b\"]");
    let mut relabelled = object(Some("array"));
    relabelled["status"]["taskSpec"]["steps"][0]["results"][0]["type"] = json!("string");
    relabelled["status"]["results"].as_array_mut().unwrap().retain(|result| result["name"] != "list");
    let forged = json!({"name": "list", "type": "string", "value": text});
    relabelled["status"]["results"].as_array_mut().unwrap().push(forged);
    relabelled["status"]["steps"][0]["results"] = json!([{"name": "own", "type": "string", "value": text}]);
    let report = judge(&relabelled, &trust);
    let claimed = report.proof.map(|proof| proof.results.iter().all(|result| result.type_is_claimed));
    assert_ne!(
        claimed,
        Some(false),
        "{}: a type from the status alone passes for a signed one",
        report.verdict.as_str()
    );
    let mut twice = object(Some("array"));
    let again = json!({"name": "own", "type": "string"});
    twice["status"]["taskSpec"]["steps"][0]["results"].as_array_mut().unwrap().push(again);
    assert_eq!(judge(&twice, &trust).verdict, Verdict::Invalid);
}

#[test]
fn what_a_skipped_step_is_said_to_have_done_is_refused() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one", "two"], &[]);
    let step = |i: usize| pod.step(i).signed(&cluster.agent.address());
    let one = step(0).script("exit 3").run();
    let two = step(1).run();
    let spec = cluster.spec(json!({"steps": [{"name": "one"}, {"name": "two"}]}));
    let object = assemble(&spec, &[one.report, two.report]);
    let trust = trust(&cluster.ca.bundle_pem());
    let alterations: [(&str, &str, Value); 4] = [
        ("/status/steps/1/terminationReason", "a reason", json!("Completed")),
        ("/status/steps/1/terminated/exitCode", "an exit code", json!(0)),
        ("/status/steps/1/outputs", "artifacts", json!([{"name": "img", "buildOutput": true, "values": []}])),
        ("/status/steps/1/results", "results", json!([{"name": "x", "type": "string", "value": "y"}])),
    ];
    let report = judge(&object, &trust);
    assert_eq!(report.verdict, Verdict::Verified, "{}", reasons(&report));
    for (pointer, case, value) in alterations {
        let mut altered = object.clone();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        altered.pointer_mut(parent).unwrap()[member] = value;
        let report = judge(&altered, &trust);
        assert_eq!(report.verdict, Verdict::Invalid, "{case}: {}", reasons(&report));
    }
}

#[test]
fn a_long_step_name_is_cut_as_its_containers_is() {
    let cluster = Cluster::new("run");
    let name = "a-step-with-a-name-of-sixty-three-characters-that-is-still-lega";
    assert_eq!(name.len(), 63);
    let pod = cluster.pod(&[name], &[]);
    let outcome = pod.step(0).signed(&cluster.agent.address()).run();
    let cut = "a-step-with-a-name-of-sixty-three-characters-that-is-still";
    assert!(attestation(&outcome, cut).results.is_empty());
    let mut report = outcome.report;
    report.name = cut.into();
    let verdict = cluster.judge(&json!([]), &json!([{"name": name}]), &[report]);
    assert_eq!(verdict.verdict, Verdict::Verified, "{}", reasons(&verdict));
}

#[test]
fn a_verified_value_cannot_move_the_cursor() {
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[]);
    let step = pod.step(0).signed(&cluster.agent.address()).results(&["a"]);
    let outcome = step.script("printf 'x\\302\\23331m\\342\\200\\256\\177y' >$RESULTS/a").run();
    let spec = cluster.spec(json!({"results": strings(&["a"]), "steps": [{"name": "one"}]}));
    let object = support::signed::file(&assemble(&spec, &[outcome.report]).to_string());
    let bundle = support::signed::file(&cluster.ca.bundle_pem());
    for output in ["text", "json"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_svidence"));
        command.arg("verify").arg(object.path()).args(["--trust-domain", "example.org", "-o", output]);
        let ran = command.arg("--bundle").arg(bundle.path()).output().unwrap();
        let out = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success() && out.contains(r"x\u009b31m\u202e\u007fy"), "{output}: {out}");
    }
}
