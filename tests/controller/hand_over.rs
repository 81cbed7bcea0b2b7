//! Many runs wait for a verdict, and somebody goes in the middle: the controller that acts, the API server, or an authority.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    ended_runs::{OWN, noted, path, signed, wait_for_verdict, wait_until},
    process::{Controller, World},
    relay::Relay,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// Runs that have ended and signed nothing.
fn ended(prefix: &str, count: usize) -> Vec<Value> {
    let one = |number: usize| {
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {
                "name": format!("{prefix}-{number}"), "namespace": "default", "creationTimestamp": "2026-11-01T00:00:00Z",
                "uid": format!("{:08x}-2222-4333-8444-{number:012}", prefix.len()),
            },
            "spec": {"taskSpec": {"steps": [{"name": "build", "image": "busybox"}]}},
            "status": {
                "conditions": [{"type": "Succeeded", "status": "True"}], "completionTime": "2026-11-01T00:10:00Z",
                "podName": format!("{prefix}-{number}-pod"),
            },
        })
    };
    (0..count).map(one).collect()
}

/// The names of the runs that a controller says it has judged.
fn judged(controller: &Controller) -> Vec<String> {
    let log = controller.log();
    let name = |line: &str| {
        let said: Value = serde_json::from_str(line).ok()?;
        (said["message"] == "judged").then(|| said["name"].as_str().unwrap().to_owned())
    };
    log.lines().filter_map(name).collect()
}

fn wait_for_some(controller: &Controller, count: usize) {
    let start = Instant::now();
    while judged(controller).len() < count {
        assert!(start.elapsed() < PATIENCE, "{}", controller.log());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until each of these runs has a verdict.
fn wait_for_all(case: &str, world: &World, controller: &Controller, count: usize) {
    let start = Instant::now();
    loop {
        let (status, text) = world.server.get("/apis/tekton.dev/v1/namespaces/default/taskruns");
        assert_eq!(status, 200, "{case}: {text}");
        let list: Value = serde_json::from_str(&text).unwrap();
        let with = list["items"].as_array().unwrap().iter().filter(|run| {
            noted(run).is_some_and(|noted| noted["verdict"] == "absent" && noted["finding"] == "no-evidence")
        });
        let with = with.count();
        if with == count {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{case}: {with} of {count}\n{}", controller.log());
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_backlog_goes_over_to_another_replica_and_nothing_is_judged_twice() {
    const RUNS: usize = 400;
    let Some(world) = World::start(&json!({"svidence-registration": "off"})) else { return };
    world.server.restore(&ended("wait", RUNS));
    let arguments = [&OWN[..], &["--lease", "tekton-pipelines/svidence-controller"]].concat();
    let mut first = world.controller_with(&world.admin(), &arguments);
    first.wait_for(&["this controller is the one that acts"]);
    let mut second = world.controller_with(&world.admin(), &arguments);
    second.wait_for(&["the controller has an identity"]);
    wait_for_some(&first, 20);
    first.freeze();
    let by_first = judged(&first);
    assert!(by_first.len() < RUNS, "there is nothing left to hand over");
    assert_eq!(judged(&second), Vec::<String>::new(), "the first one acts");
    second.wait_for(&["this controller is the one that acts"]);
    wait_for_all("the second one acts", &world, &second, RUNS);
    let by_second = judged(&second);
    let both: HashSet<&String> = by_first.iter().chain(&by_second).collect();
    assert_eq!(both.len(), by_second.len() + by_first.len(), "none was judged by both");
    // One may have been noted by the first one that did not say so any more.
    assert!((RUNS - 1..=RUNS).contains(&both.len()), "{}", both.len());
    first.thaw();
    assert_eq!(first.ended().0, Some(3));
}

#[test]
fn what_ends_while_the_api_server_is_away_is_judged_when_it_is_back() {
    const RUNS: usize = 300;
    let Some(world) = World::start(&json!({"svidence-registration": "off"})) else { return };
    let api = Relay::to(world.server.url.strip_prefix("https://").unwrap().to_owned());
    world.server.restore(&ended("before", RUNS));
    let mut controller = world.controller_with(&world.kubeconfig_by(&api.address), &OWN);
    wait_for_some(&controller, 20);
    api.cut();
    world.server.restore(&ended("meanwhile", 20));
    controller.wait_for(&["a verdict could not be made or noted", "againInSeconds"]);
    assert!(judged(&controller).len() < RUNS, "there is nothing left to judge");
    api.mend();
    wait_for_all("the API server is back", &world, &controller, RUNS + 20);
    // Nothing is lost where connections end again and again.
    world.server.restore(&ended("afterwards", 50));
    for _ in 0..5 {
        api.end_connections();
        thread::sleep(Duration::from_millis(100));
    }
    wait_for_all("connections were ended", &world, &controller, RUNS + 70);
}

#[test]
fn authorities_of_before_count_after_a_restart_if_they_are_kept() {
    let Some(world) = World::start(&json!({"svidence-registration": "off"})) else { return };
    let server = &*world.server;
    let folder = server.folder.path().join("authorities");
    let kept = [&OWN[..], &["--authorities", folder.to_str().unwrap()]].concat();
    let run = signed(&world, "before");
    let mut first = world.controller_with(&world.admin(), &kept);
    first.wait_for(&["the controller has an identity"]);
    let start = Instant::now();
    while !folder.join("authorities.json").exists()
        && std::fs::read_dir(&folder).map_or(0, Iterator::count) == 0
    {
        assert!(start.elapsed() < PATIENCE, "nothing is kept: {}", first.log());
        thread::sleep(Duration::from_millis(20));
    }
    drop(first);
    let old = world.spire.active_authority();
    let new = world.spire.prepare_authority();
    world.spire.activate_authority(&new);
    world.spire.taint_authority(&old);
    world.spire.revoke_authority(&old);
    let after = signed(&world, "after");
    server.restore([&run, &after]);
    let second = world.controller_with(&world.admin(), &OWN);
    wait_for_verdict("of today", (server, &second), &after, ("verified", None));
    let without = wait_until("not kept", (server, &second), &run, |now| noted(now).is_some());
    assert_ne!(noted(&without).unwrap()["verdict"], "verified", "{without}");
    drop(second);
    server.patch(&path(&run), json!({"metadata": {"annotations": null}}));
    let third = world.controller_with(&world.admin(), &kept);
    wait_for_verdict("kept", (server, &third), &run, ("verified", None));
}
