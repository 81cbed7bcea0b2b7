//! Against a real SPIRE server and agent.

use crate::support;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use support::{
    peers,
    pod::Pod,
    spire::{EntryOptions, Spire, SpireOptions, Upstream},
    taskrun,
};
use svidence::standin::taskrun::assemble;

/// `spire-agent api fetch x509` as this user, until the entry has reached the agent.
fn fetch(spire: &Spire) -> String {
    let agent = peers::require("spire-agent").unwrap();
    let start = Instant::now();
    loop {
        let output = Command::new(&agent)
            .args(["api", "fetch", "x509", "-socketPath"])
            .arg(spire.agent_socket())
            .output()
            .unwrap();
        if output.status.success() {
            return String::from_utf8(output.stdout).unwrap();
        }
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(start.elapsed() < Duration::from_secs(10), "no SVID in 10 s: {error}");
    }
}

#[test]
fn harness_starts_a_real_spire() {
    let start = Instant::now();
    let Some(mut spire) = Spire::start(SpireOptions::default()) else { return };
    let started = start.elapsed();
    let id = spire.entry(EntryOptions {
        ttl: Some(600),
        id: Some("0-first".into()),
        ..EntryOptions::new("/ns/default/taskrun/one")
    });
    assert_eq!(id, "0-first");
    let fetched = fetch(&spire);
    assert!(fetched.contains("spiffe://example.org/ns/default/taskrun/one"), "{fetched}");
    eprintln!("SPIRE up after {started:?}, SVID in hand after {:?}", start.elapsed());

    spire.restart_agent();
    assert!(fetch(&spire).contains("taskrun/one"), "the entry serves the restarted agent");
    spire.freeze_agent();
    spire.thaw_agent();
    spire.kill_agent();
    assert!(spire.agent_socket().exists(), "a killed agent leaves its socket");
    spire.restart_agent();
    spire.stop_agent();
    assert!(!spire.agent_socket().exists(), "a stopped agent removes its socket");
    spire.delete_entry(&id);
}

#[test]
fn harness_changes_authorities() {
    let options = SpireOptions { upstream: Upstream::Disk, ..SpireOptions::default() };
    let Some(spire) = Spire::start(options) else { return };
    spire.entry(EntryOptions {
        dns: vec!["build.internal".into()],
        ..EntryOptions::new("/ns/default/taskrun/one")
    });
    fetch(&spire);
    let root = std::fs::read_to_string("testdata/upstream/root.pem").unwrap();
    let body = |pem: &str| pem.lines().collect::<String>();
    assert_eq!(body(&spire.bundle_pem()), body(&root), "an upstream's root is the bundle");
    let bundle: serde_json::Value = serde_json::from_str(&spire.bundle_spiffe_json()).unwrap();
    assert!(bundle["keys"].as_array().is_some_and(|keys| !keys.is_empty()), "{bundle}");
    let old = spire.active_authority();
    let new = spire.prepare_authority();
    spire.activate_authority(&new);
    assert_eq!(spire.active_authority(), new);
    assert_ne!(old, new);
}

#[test]
fn harness_runs_tektons_own_entrypoint() {
    let (Some(entrypoint), Some(verify)) =
        (peers::require("tekton-entrypoint"), peers::require("tekton-verify"))
    else {
        return;
    };
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    spire.entry(EntryOptions::new("/ns/default/taskrun/one"));
    fetch(&spire);
    let pod = Pod::private("one", &["build", "list"]);
    let steps = [
        ("printf 'sha256:1' >$RESULTS/digest; printf x >$STEP_RESULTS/own", &["own"][..]),
        ("printf '[\"a\"]' >$RESULTS/images", &[]),
    ];
    let mut reports = Vec::new();
    for (i, (script, step_results)) in steps.into_iter().enumerate() {
        let step = pod.step(i).script(script).results(&["digest", "images"]).step_results(step_results);
        let outcome = step.signed(&spire.socket_uri()).run_by(&entrypoint).run();
        assert!(outcome.output.status.success(), "step {i}: {}", outcome.stderr());
        assert!(pod.post_file(i).is_file(), "step {i} has no post file");
        assert_eq!(pod.exit_code(i).as_deref(), Some("0"), "step {i}");
        reports.push(outcome.report);
    }
    // Of the first step: its step results round leaves an empty manifest, which Tekton itself refuses.
    let verified = Command::new(verify)
        .args(["-socket", &spire.socket_uri(), "-name", "one", "-message"])
        .arg(pod.termination(1))
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));

    let task = json!({
        "results": [{"name": "digest", "type": "string"}, {"name": "images", "type": "array"}],
        "steps": [{"name": "build", "results": [{"name": "own", "type": "string"}]}, {"name": "list"}],
    });
    let status = assemble(&taskrun::spec("one", task), &reports)["status"].take();
    let names: Vec<_> =
        status["results"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["RESULT_MANIFEST", "RESULT_MANIFEST.sig", "SVID", "digest", "digest.sig", "images", "images.sig"]
    );
    assert_eq!(status["results"][5]["value"], json!(["a"]));
    assert_eq!(status["steps"][0]["results"], json!([{"name": "own", "type": "string", "value": "x"}]));
}

#[test]
fn harness_runs_a_pod_under_our_entrypoint() {
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    spire.entry(EntryOptions::new("/ns/default/taskrun/one"));
    let pod = Pod::new("one", &["build", "say"]);
    let mut reports = Vec::new();
    for (i, script) in ["printf 'sha256:1' >$RESULTS/digest", "exit 3"].into_iter().enumerate() {
        let step = pod.step(i).script(script).results(&["digest"]).flags(&["-on_error", "continue"]);
        let outcome = step.signed(&spire.socket_uri()).run();
        assert!(outcome.output.status.success(), "step {i}: {}", outcome.stderr());
        reports.push(outcome.report);
    }
    assert_eq!(pod.exit_code(1).as_deref(), Some("3"));
    let task = json!({"results": [{"name": "digest"}], "steps": [{"name": "build"}, {"name": "say"}]});
    let status = assemble(&taskrun::spec("one", task), &reports)["status"].take();
    for name in ["SVIDENCE.build.sig", "SVIDENCE.say.sig", "digest"] {
        let results = status["results"].as_array().unwrap();
        assert!(results.iter().any(|result| result["name"] == name), "no {name} in {results:?}");
    }
    assert_eq!(status["steps"][1]["terminated"]["exitCode"], 3);
}
