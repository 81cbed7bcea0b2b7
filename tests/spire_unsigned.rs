//! Why a step is not signed, with a real SPIRE: each cause is told apart, in the log, in the evidence's place, by `verify` and
//! by `inspect`, and the operator's manual says what to do about it.
#![cfg(feature = "cli")]

mod support;

use std::{fs, process::Command, time::Duration};

use serde_json::json;
use support::{
    pod::{Pod, StepOutcome},
    signed::{entry, file, judge, reasons, task_run, trust},
    spire::{EntryOptions, Spire, SpireOptions},
};
use svidence::verify::Verdict;
use time::OffsetDateTime;

const UID: &str = "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70";
/// `unsigned: `, and the most that may follow.
const LONGEST: usize = 10 + 400;

/// A step of TaskRun `cause` that asks at this socket, with these results and more of the operator's settings.
fn step(socket: &str, settings: &[(&str, &str)], result: &str) -> StepOutcome {
    let pod = Pod::new("cause", &["build"]);
    let mut configuration = json!({
        "spire-trust-domain": "example.org",
        "spire-socket-path": socket,
        "svidence-signing-timeout": "1s",
        "svidence-signing-failure": "report",
    });
    for (key, value) in settings {
        configuration[*key] = json!(value);
    }
    pod.write("tekton/bin/svidence.json", &configuration.to_string());
    let script = format!("printf %s '{result}' >$RESULTS/digest");
    let outcome = pod.step(0).signed(socket).results(&["digest"]).script(&script).run();
    assert_eq!(entry(outcome.message(), "digest").as_deref(), Some(result), "results are never lost");
    outcome
}

/// What is said everywhere, and that the manual has a row for it.
#[track_caller]
fn assert_told(case: &str, outcome: &StepOutcome, expected: &str, spire: &Spire) {
    let log = outcome.stderr();
    let said = log.find("the step is not signed: ").unwrap_or_else(|| panic!("{case}: {log}"));
    assert!(log[said..].contains(expected), "{case}: no {expected:?} in {log}");
    for end in ["the command succeeded", "svidence-signing-failure is report", "this can be mended by"] {
        assert!(log[said..].contains(end), "{case}: no {end:?} in {log}");
    }
    let value = entry(outcome.message(), "SVIDENCE.build.sig").unwrap();
    assert!(value.starts_with("unsigned: ") && value.len() <= LONGEST, "{case}: {value}");
    assert!(value.contains(expected), "{case}: no {expected:?} in {value}");
    let now = OffsetDateTime::now_utc();
    let object = task_run("cause", UID, &[("digest", "string")], std::slice::from_ref(&outcome.report), now);
    let report = judge(&object, &trust(&spire.bundle_pem()));
    assert_eq!(report.verdict, Verdict::Absent, "{case}");
    assert!(reasons(&report).contains(expected), "{case}: {}", reasons(&report));
    let object = file(&object.to_string());
    for format in [&["--output", "text"][..], &["--output", "json"]] {
        let mut inspect = Command::new(env!("CARGO_BIN_EXE_svidence"));
        let output = inspect.arg("inspect").arg(object.path()).args(format).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(expected), "{case}, {format:?}: {text}");
    }
    let manual = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    assert!(
        manual.contains(&format!("`{expected}`")),
        "{case}: docs/operations.md has no row for {expected:?}"
    );
}

#[test]
fn each_cause_is_told_apart() {
    let Some(mut spire) = Spire::start(SpireOptions::default()) else { return };
    let socket = spire.socket_uri();
    let beside = |name: &str| format!("unix://{}", spire.agent_socket().with_file_name(name).display());
    let me = format!("unix:uid:{}", nix::unistd::geteuid());
    let run = "/ns/default/taskrun/cause";
    const NO_ENTRY: &str = "no registration entry matches this pod";
    for (case, socket, selectors, id, expected) in [
        ("no socket is mounted", beside("nowhere/a.sock"), vec![], "", "the socket is not there"),
        ("a directory in its place", beside("a"), vec![], "", "there is a directory, not a socket"),
        ("a file in its place", beside("agent.conf"), vec![], "", "there is a file, not a socket"),
        ("the SPIRE server's", beside("s.sock"), vec![], "", "does not speak the SPIFFE Workload API"),
        ("no registration", socket.clone(), vec![], "", NO_ENTRY),
        ("another pod's selectors", socket.clone(), vec!["unix:uid:12345".to_owned()], run, NO_ENTRY),
        (
            "a pin that this agent cannot attest",
            socket.clone(),
            vec![me.clone(), "unix:sha256:00".into()],
            run,
            NO_ENTRY,
        ),
        (
            "another SVID",
            socket.clone(),
            vec![me.clone()],
            "/ns/default/sa/default",
            "none of the identities that the SPIRE agent offers is this step's",
        ),
    ] {
        let entry =
            (!id.is_empty()).then(|| spire.entry(EntryOptions { selectors, ..EntryOptions::new(id) }));
        std::thread::sleep(Duration::from_millis(500));
        assert_told(case, &step(&socket, &[], "sha256:1"), expected, &spire);
        entry.into_iter().for_each(|entry| spire.delete_entry(&entry));
    }
    spire.freeze_agent();
    let outcome = step(&socket, &[("svidence-signing-timeout", "3s")], "sha256:1");
    assert!(outcome.stderr().contains("waiting for an identity from SPIRE"), "{}", outcome.stderr());
    assert_told("the agent hangs", &outcome, "has not answered the last call", &spire);
    spire.thaw_agent();
    spire.entry(EntryOptions::new(run));
    std::thread::sleep(Duration::from_millis(500));
    let domain = [("spire-trust-domain", "elsewhere.test")];
    let outcome = step(&socket, &domain, "sha256:1");
    assert_told("another trust domain", &outcome, "is not of the configured trust domain", &spire);
    let narrow = [("svidence-containers", "14")];
    let outcome = step(&socket, &narrow, &"x".repeat(3850));
    assert_told("no room", &outcome, "no room", &spire);
    spire.kill_agent();
    assert_told("a left-over socket", &step(&socket, &[], "sha256:1"), "nobody listens", &spire);
}

/// The agent keeps refusing until the entry is made, and is hardly asked meanwhile: it tells when it is worth it.
#[test]
fn a_refusal_is_watched_and_not_asked_about_again_and_again() {
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    let pod = Pod::new("late", &["build"]);
    let mut command =
        pod.step(0).signed(&spire.socket_uri()).results(&["a"]).script("printf 1 >$RESULTS/a").command();
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(8));
    let refusals = spire.agent_log().matches("No identity issued").count();
    // At the beginning, when the watch begins, and when it is renewed after some 2, 5 and 9.5 s.
    assert!((1..=6).contains(&refusals), "{refusals} refusals in 8 s:\n{}", spire.agent_log());
    spire.entry(EntryOptions::new("/ns/default/taskrun/late"));
    assert!(child.wait().unwrap().success());
    let message = fs::read_to_string(pod.termination(0)).unwrap();
    assert!(!entry(&message, "SVIDENCE.build.sig").unwrap().starts_with("unsigned"), "{message}");
}
