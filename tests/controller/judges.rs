//! The verdict on runs that have ended: on each its own, whatever was there before, and whoever was away.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    ended_runs::{
        OWN, claiming, forged, get, noted, path, pipeline_run, signed, signed_again, unsigned,
        wait_for_verdict, wait_until,
    },
    process::World,
};

const VERIFIED: (&str, Option<&str>) = ("verified", None);
const FORGED: (&str, Option<&str>) = ("invalid", Some("result-changed"));
const UNSIGNED: (&str, Option<&str>) = ("absent", Some("no-evidence"));

/// Registration is not what these tests are about.
fn world(more: &Value) -> Option<World> {
    let mut data = json!({"svidence-registration": "off"});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    World::start(&data)
}

/// Waits for the one warning about an object.
fn wait_for_warning(world: &World, of: &str) -> String {
    let start = Instant::now();
    loop {
        let all = world.warnings("default");
        if let Some(warning) = all.iter().find(|warning| warning.starts_with(of)) {
            return warning.clone();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{of}: {all:#?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn each_run_gets_the_verdict_that_it_deserves() {
    let Some(world) = world(&json!({})) else { return };
    let server = &*world.server;
    let honest = signed(&world, "honest");
    let changed = forged(signed(&world, "changed"));
    let silent = unsigned(signed(&world, "silent"));
    let mut running = signed(&world, "running");
    let ended = running["status"]["conditions"].clone();
    running["status"]["conditions"] = json!([{"type": "Succeeded", "status": "Unknown"}]);
    let preset = claiming(forged(signed(&world, "preset")), "sha256:00");
    let garbage = {
        let mut run = signed(&world, "garbage");
        run["metadata"]["annotations"] = json!({"svidence.dev/verdict": "{\"verdict\":"});
        run
    };
    let mut child = signed(&world, "ship-build");
    let ship = pipeline_run("ship", &mut child);
    let mut bad_child = signed(&world, "sink-build");
    let mut sink = pipeline_run("sink", &mut bad_child);
    sink["status"]["results"][0]["value"] = json!("forged");
    let cases = [
        ("an honest one", &honest, VERIFIED),
        ("a changed result", &changed, FORGED),
        ("no signature", &silent, UNSIGNED),
        ("a claim of its own", &preset, FORGED),
        ("an annotation that says nothing", &garbage, VERIFIED),
        ("a TaskRun of a PipelineRun", &child, VERIFIED),
        ("a PipelineRun", &ship, VERIFIED),
        ("a PipelineRun with another result", &sink, ("invalid", Some("pipeline"))),
    ];
    // Half of them while nobody looks, the others before its eyes.
    let (before, after) = cases.split_at(4);
    server.restore(before.iter().map(|(_, run, _)| *run).chain([&running]));
    let mut controller =
        world.controller_with(&world.admin(), &[&OWN[..], &["--listen", "127.0.0.1:0"]].concat());
    for (case, run, verdict) in before {
        wait_for_verdict(case, (server, &controller), run, *verdict);
    }
    server.restore([&bad_child].into_iter().chain(after.iter().map(|(_, run, _)| *run)));
    for (case, run, verdict) in after {
        wait_for_verdict(case, (server, &controller), run, *verdict);
    }
    assert_eq!(noted(&get(server, &running)), None, "it has not ended");
    server.patch(&format!("{}/status", path(&running)), json!({"status": {"conditions": ended}}));
    wait_for_verdict("it has ended", (server, &controller), &running, VERIFIED);

    // What is said, and of whom nothing is.
    let digest = noted(&get(server, &honest)).unwrap()["evidence"].as_str().unwrap().to_owned();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    let said = wait_for_warning(&world, "TaskRun changed VerdictInvalid: result-changed: ");
    assert!(said.contains("step build: result task/digest"), "{said}");
    wait_for_warning(&world, "TaskRun silent VerdictAbsent: no-evidence: ");
    wait_for_warning(&world, "PipelineRun sink VerdictInvalid: pipeline: ");
    let all = world.warnings("default");
    assert!(
        !all.iter().any(|warning| warning.contains(" honest ") || warning.contains(" ship ")),
        "{all:#?}"
    );
    // A PipelineRun is judged again if a run of it is told of later than it.
    let start = Instant::now();
    let metrics = loop {
        let (_, metrics) = controller.ask("GET /metrics");
        if metrics.contains("svidence_controller_verdict_backlog 0\n") {
            break metrics;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{metrics}");
        thread::sleep(Duration::from_millis(50));
    };
    for line in [
        "svidence_controller_verdicts_total{namespace=\"default\",verdict=\"absent\"} 1\n",
        "svidence_controller_verdicts_total{namespace=\"default\",verdict=\"invalid\"} 3\n",
        "svidence_controller_verdict_backlog 0\n",
        "# TYPE svidence_controller_verdict_seconds histogram\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn a_verdict_is_of_what_the_run_is_and_of_no_other_run() {
    let Some(world) = world(&json!({})) else { return };
    let server = &*world.server;
    let run = signed(&world, "build");
    let mut child = signed(&world, "ship-build");
    let ship = pipeline_run("ship", &mut child);
    server.restore([&run, &child, &ship]);
    let controller = world.controller_with(&world.admin(), &OWN);
    let of = (server, &controller);
    let first = wait_for_verdict("as it is", of, &run, VERIFIED);
    wait_for_verdict("its PipelineRun", of, &ship, VERIFIED);
    let evidence = noted(&first).unwrap()["evidence"].as_str().unwrap().to_owned();

    // Whoever writes to the run meanwhile.
    let claim = claiming(run.clone(), &evidence);
    server.patch(&path(&run), json!({"metadata": {"annotations": claim["metadata"]["annotations"]}}));
    wait_for_verdict("somebody else's words", of, &run, VERIFIED);
    server.patch(&path(&run), json!({"metadata": {"annotations": null}}));
    wait_for_verdict("it was taken away", of, &run, VERIFIED);
    let changed = forged(get(server, &child));
    let results = json!({"status": {"results": changed["status"]["results"]}});
    server.patch(&format!("{}/status", path(&child)), &results);
    wait_for_verdict("a result was changed later", of, &child, FORGED);
    wait_for_verdict("and with it its PipelineRun's", of, &ship, ("invalid", Some("pipeline")));

    // A run that is made again under the same name.
    server.delete(&path(&run));
    server.restore([&unsigned(signed_again(&world, "build"))]);
    wait_for_verdict("another one of the same name", of, &run, UNSIGNED);
    server.delete(&path(&run));
    server.restore([&signed_again(&world, "build")]);
    let last = wait_for_verdict("and once more", of, &run, VERIFIED);
    drop(controller);

    // Meanwhile one is changed, one is not, and one is new.
    let before = noted(&last).unwrap();
    let late = forged(signed(&world, "late"));
    let results = json!({"status": {"results": child["status"]["results"]}});
    server.patch(&format!("{}/status", path(&child)), &results);
    server.restore([&late]);
    let mut controller = world.controller_with(&world.admin(), &OWN);
    let of = (server, &controller);
    wait_for_verdict("ended while nobody looked", of, &late, FORGED);
    wait_for_verdict("changed while nobody looked", of, &child, VERIFIED);
    wait_for_verdict("and its PipelineRun", of, &ship, VERIFIED);
    assert_eq!(noted(&get(server, &run)), Some(before), "what has its verdict is left alone");
    assert!(!controller.log().contains("\"level\":\"error\""), "{}", controller.log());
    controller.wait_for(&["\"message\":\"judged\"", "\"name\":\"late\"", "\"verdict\":\"invalid\""]);
}

#[test]
fn a_condition_says_the_same_if_that_is_wanted() {
    let Some(world) = world(&json!({"svidence-condition": "true"})) else { return };
    let server = &*world.server;
    let (honest, changed) = (signed(&world, "honest"), forged(signed(&world, "changed")));
    let mut child = signed(&world, "ship-build");
    let ship = pipeline_run("ship", &mut child);
    server.restore([&honest, &changed, &child, &ship]);
    let controller = world.controller_with(&world.admin(), &OWN);
    let of = (server, &controller);
    let ours = |run: &Value| {
        let all = run["status"]["conditions"].as_array().unwrap();
        let ours = all.iter().filter(|condition| condition["type"] == "SvidenceVerified");
        let ours: Vec<Value> = ours.cloned().collect();
        assert!(ours.len() <= 1 && all[0]["type"] == "Succeeded", "{all:?}");
        ours.first().cloned()
    };
    for (run, status, reason, says) in [
        (&honest, "True", "Verified", "pod honest-pod: "),
        (&changed, "False", "Invalid", "pod changed-pod: result-changed: "),
        (&child, "True", "Verified", "pod ship-build-pod: "),
        (&ship, "True", "Verified", "what its steps"),
    ] {
        let found = wait_until(says, of, run, |now| ours(now).is_some());
        let found = ours(&found).unwrap();
        assert_eq!(
            (found["status"].as_str(), found["reason"].as_str()),
            (Some(status), Some(reason)),
            "{found}"
        );
        assert!(found["message"].as_str().unwrap().starts_with(says), "{found}");
    }
    // Tekton may set all of a status that it has read before; and somebody may say otherwise.
    for other in [json!([]), json!([{"type": "SvidenceVerified", "status": "True", "reason": "Verified"}])] {
        let mut conditions = changed["status"]["conditions"].as_array().unwrap().clone();
        conditions.extend(other.as_array().unwrap().iter().cloned());
        server.patch(&format!("{}/status", path(&changed)), json!({"status": {"conditions": conditions}}));
        wait_until("it is set again", of, &changed, |now| {
            ours(now).is_some_and(|ours| ours["status"] == "False")
        });
    }
    world.configure(&json!({"svidence-condition": null}));
    let plain = signed(&world, "plain");
    server.restore([&plain]);
    let plain = wait_for_verdict("no longer wanted", of, &plain, VERIFIED);
    assert_eq!(ours(&plain), None);
    world.configure(&json!({"svidence-judging": "off"}));
    let mut controller = controller;
    controller.wait_for(&["the configuration is in force", "\"judging\":\"off\""]);
    let last = signed(&world, "last");
    server.restore([&last]);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(noted(&get(server, &last)), None, "judging is off");
    world.configure(&json!({"svidence-judging": "on"}));
    wait_for_verdict("and on again", (server, &controller), &last, VERIFIED);
}
