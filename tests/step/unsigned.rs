//! What a step that cannot be signed says: in its log, for whoever wrote it, and in the attestation's place.

use crate::support;

use serde_json::json;
use support::{
    pod::{Pod, StepOutcome},
    signed::{Cluster, entry},
};
use svidence::evidence::attestation::UNSIGNED;

const NO_SOCKET: &str = "cannot connect to the SPIRE agent: No such file or directory; the socket is not there: \
                         check that the SPIFFE CSI driver mounts it into this pod, under this name, and that the SPIRE agent runs on this node \
                         and has attested to its server; ";

/// A step of a pod whose socket is not there.
fn step(settings: &[(&str, &str)], flags: &[&str], script: &str) -> (Pod, StepOutcome) {
    let pod = Pod::new("lost", &["build"]);
    let socket = pod.root().join("no.sock");
    let mut entries = json!({"spire-socket-path": format!("unix://{}", socket.display())});
    for (key, value) in settings {
        entries[*key] = json!(value);
    }
    pod.write("tekton/bin/svidence.json", &entries.to_string());
    let step = pod.step(0).signed(&format!("unix://{}", socket.display())).results(&["a"]);
    let outcome = step.flags(flags).script(&format!("printf v >$RESULTS/a; {script}")).run();
    (pod, outcome)
}

/// The reason in the attestation's place.
fn reason(outcome: &StepOutcome) -> String {
    let value = entry(outcome.message(), "SVIDENCE.build.sig").unwrap();
    value.strip_prefix(UNSIGNED).unwrap_or_else(|| panic!("{value}")).to_owned()
}

#[test]
fn the_log_says_how_the_command_ended_what_follows_and_who_can_mend_it() {
    let fails = "but the step fails because it is not signed: svidence-signing-failure is fail";
    let passes = "the step does not fail, since svidence-signing-failure is report";
    let continued = &["-on_error", "continue"][..];
    let cancelled = "the step's timeout passed; that fails the step, signed or not";
    for (case, failure, flags, script, lines, exit) in [
        ("success", "fail", &[][..], "true", ["the command succeeded; its results are kept, ", fails], 1),
        (
            "success, report",
            "report",
            &[],
            "true",
            ["the command succeeded; its results are kept and ", passes],
            0,
        ),
        ("failure", "fail", &[], "exit 7", ["exit code 7; that fails the step", "signed or not"], 7),
        (
            "failure, report",
            "report",
            &[],
            "exit 7",
            ["exit code 7; that fails the step", "signed or not"],
            7,
        ),
        (
            "continued",
            "fail",
            continued,
            "exit 7",
            ["failed with exit code 7; its results are kept", fails],
            7,
        ),
        (
            "continued, report",
            "report",
            continued,
            "exit 7",
            ["exit code 7; its results are kept", passes],
            0,
        ),
        ("signal", "fail", &[], "kill -9 $$", ["signal 9 ended the command", "signed or not"], 255),
        ("timeout", "fail", &["-timeout", "300ms"], "exec sleep 30", [cancelled, ""], 1),
    ] {
        let settings = [("svidence-signing-failure", failure), ("svidence-signing-timeout", "0s")];
        let (_pod, outcome) = step(&settings, flags, script);
        let stderr = outcome.stderr();
        assert_eq!(outcome.output.status.code(), Some(exit), "{case}: {stderr}");
        let unsigned = format!("the step is not signed: no identity: {NO_SOCKET}");
        let mender = "this can be mended by whoever runs SPIRE for this cluster; not the step's author";
        for line in [&unsigned, lines[0], lines[1], mender] {
            assert!(stderr.contains(line), "{case}: {line:?} in\n{stderr}");
        }
        assert_eq!(entry(outcome.message(), "a").as_deref(), Some("v"), "{case}: results are kept");
    }
}

#[test]
fn a_wait_is_announced_once() {
    let (_pod, outcome) = step(&[("svidence-signing-timeout", "3s")], &[], "true");
    let stderr = outcome.stderr();
    let waiting = "the command has ended; waiting for an identity from SPIRE to sign its results with, for ";
    // On a busy machine it is less.
    let left = stderr
        .split_once(waiting)
        .and_then(|(_, after)| after.split_once(" s more at most"))
        .map(|(left, _)| left);
    let left: f64 = left.unwrap_or_else(|| panic!("{stderr}")).parse().unwrap();
    assert_eq!(stderr.matches("waiting for").count(), 1, "{stderr}");
    assert!(left <= 1.0 && stderr.contains(&format!("So far: {NO_SOCKET}")), "{stderr}");
    let attempted =
        stderr.rsplit_once(" attempts in ").and_then(|(_, after)| after.split_once(" s at unix://"));
    let attempted: f64 = attempted.unwrap_or_else(|| panic!("{stderr}")).0.parse().unwrap();
    assert!(attempted >= 3.0, "{stderr}");
    let (_pod, outcome) = step(&[("svidence-signing-timeout", "1s")], &[], "true");
    assert!(!outcome.stderr().contains("waiting for"), "{}", outcome.stderr());
}

/// It was cut at 200 characters, of which the boilerplate came first: the cause never fitted.
#[test]
fn the_reason_in_the_evidences_place_begins_with_cause_and_advice() {
    for (containers, whole) in [("1", true), ("12", true), ("32", true), ("44", false)] {
        let settings = [("svidence-signing-timeout", "0s"), ("svidence-containers", containers)];
        let (_pod, outcome) = step(&settings, &[], "true");
        let reason = reason(&outcome);
        let begins = "no identity: cannot connect to the SPIRE agent: No such file or directory";
        assert!(reason.starts_with(begins), "{containers} containers: {reason}");
        assert_eq!(reason.contains("runs on this node"), whole, "{containers} containers: {reason}");
        assert!(reason.len() <= 400, "{containers} containers: {} bytes", reason.len());
        let text = outcome.stderr();
        let text = text.lines().find_map(|line| line.split_once("the step is not signed: ")).unwrap().1;
        let kept = reason.strip_suffix('…').unwrap_or(&reason);
        let rest = text.strip_prefix(kept).unwrap_or_else(|| panic!("{reason:?} does not begin {text:?}"));
        assert!(rest.is_empty() || rest.starts_with([' ', ';', ',', ':']), "cut inside a word: {reason}");
        let limit = 12288 / containers.parse::<usize>().unwrap();
        assert!(
            outcome.message().len() <= limit,
            "{containers} containers: {} bytes",
            outcome.message().len()
        );
    }
    // Where there is no room for a single word more, the short form is there or nothing.
    let (_pod, outcome) =
        step(&[("svidence-signing-timeout", "0s"), ("svidence-containers", "64")], &[], "true");
    assert_eq!(entry(outcome.message(), "a").as_deref(), Some("v"), "{}", outcome.message());
}

#[test]
fn an_identity_of_somebody_else_is_named_after_the_advice() {
    let cluster = Cluster::new("other-run");
    let pod = Pod::new("lost", &["build"]);
    let settings = json!({"spire-socket-path": cluster.agent.address(), "svidence-signing-timeout": "0s"});
    pod.write("tekton/bin/svidence.json", &settings.to_string());
    pod.write("serviceaccount/namespace", "elsewhere");
    let outcome = pod.step(0).signed(&cluster.agent.address()).results(&["a"]).run();
    let reason = reason(&outcome);
    let begins = "no identity: none of the identities that the SPIRE agent offers is this step's: check the registration entries \
                  that select this pod; offered: spiffe://example.org/ns/default/taskrun/other-run (another namespace); ";
    assert!(reason.starts_with(begins), "{reason}");
}
