//! Several controllers, of which one acts, and what each answers the kubelet and Prometheus.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    cluster_objects::{scheduled, set_phase},
    process::{NOTHING, World, of_step},
};

const ACTS: &str = "this controller is the one that acts";
const ARGUMENTS: [&str; 4] = ["--lease", "tekton-pipelines/svidence-controller", "--listen", "127.0.0.1:0"];

#[test]
fn of_several_replicas_one_acts_and_another_when_that_is_gone() {
    let Some(world) = World::start(&json!({})) else { return };
    let server = &world.server;
    let replica = || world.controller_with(&world.admin(), &ARGUMENTS);
    let mut first = replica();
    first.wait_for(&[ACTS]);
    let mut second = replica();
    let one = scheduled(server, "default", "one", &["a"]);
    let of_one = of_step(("default", "one"), &one, "a");
    world.wait_for_entries("the first one acts", &first, &[&of_one]);
    second.wait_for(&["the controller has an identity"]);
    assert!(!second.log().contains(ACTS), "{}", second.log());
    // It has seen the run, and does not keep it for later.
    let waits = second.ask("GET /metrics").1;
    for line in [
        "svidence_controller_leading 0\n",
        "svidence_controller_backlog 0\n",
        "svidence_controller_entries 0\n",
    ] {
        assert!(waits.contains(line), "{line}: {waits}");
    }
    assert!(first.ask("GET /metrics").1.contains("svidence_controller_leading 1\n"), "{}", first.log());

    // One that is not heard of any more, and comes back later.
    first.freeze();
    let frozen = Instant::now();
    second.wait_for(&[ACTS]);
    let took = frozen.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(took > Duration::from_secs(8), "{took:?}: the first one may still act");
    let two = scheduled(server, "default", "two", &["a"]);
    let of_two = of_step(("default", "two"), &two, "a");
    world.wait_for_entries("the second one acts", &second, &[&of_one, &of_two]);
    first.thaw();
    let (code, log) = first.ended();
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("the lease is lost") && !log.contains("\"two\""), "{log}");

    // One that is told to end gives the lease up.
    let mut third = replica();
    third.wait_for(&["the controller has an identity"]);
    let told = Instant::now();
    assert_eq!(second.end(), Some(0));
    third.wait_for(&[ACTS]);
    let took = told.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    for name in ["one-pod", "two-pod"] {
        set_phase(server, "default", name, "Succeeded");
    }
    world.wait_for_entries("the third one acts", &third, NOTHING);
}

#[test]
fn what_is_asked_of_it_is_answered() {
    let Some(world) = World::start(&json!({"svidence-registration": "none"})) else { return };
    let server = &world.server;
    let mut controller = world.controller_with(&world.admin(), &ARGUMENTS[2..]);
    controller.wait_for(&["must be one of"]);
    for (line, status, says) in [
        ("GET /healthz", 200, "ok"),
        ("GET /readyz", 503, "not known yet"),
        ("GET /metrics", 200, "svidence_controller_leading 1"),
        ("GET /", 404, "/healthz"),
        ("POST /metrics", 405, "only GET"),
        ("nonsense", 405, "only GET"),
    ] {
        let (found, text) = controller.ask(line);
        assert!(found == status && text.contains(says), "{line}: {found} {text}");
    }
    // Who says nothing, or goes on and on, is answered late or not at all; others are not kept waiting.
    let slow: Vec<_> = (0..3).map(|_| controller.connect()).collect();
    let asked = Instant::now();
    assert_eq!(controller.ask("GET /healthz").0, 200);
    assert!(asked.elapsed() < Duration::from_millis(1900), "{:?}", asked.elapsed());
    drop(slow);
    let mut slow = controller.connect();
    let begun = Instant::now();
    while slow.write_all(b"x").is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "a request of a byte at a time has no end");
        std::thread::sleep(Duration::from_millis(200));
    }
    world.configure(&json!({"svidence-registration": null}));
    for name in ["one", "two"] {
        scheduled(server, "default", name, &["a", "b"]);
    }
    let registered = "svidence_controller_registered_total{namespace=\"default\"} 2";
    let start = Instant::now();
    let metrics = loop {
        let (_, metrics) = controller.ask("GET /metrics");
        if metrics.contains(registered) {
            break metrics;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{metrics}\n{}", controller.log());
        std::thread::sleep(Duration::from_millis(50));
    };
    for line in [
        "# TYPE svidence_controller_registration_seconds histogram",
        "svidence_controller_registration_seconds_bucket{le=\"+Inf\"} 2",
        "svidence_controller_registration_seconds_count 2",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    // Every series is described, once.
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let name =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert_eq!(metrics.matches(&format!("# TYPE {name} ")).count(), 1, "{line}: {metrics}");
    }
    let (status, _) = controller.ask("GET /readyz");
    assert_eq!(status, 200, "{}", controller.log());
    set_phase(server, "default", "one-pod", "Succeeded");
    let start = Instant::now();
    while !controller.ask("GET /metrics").1.contains("svidence_controller_entries_deleted_total 2\n") {
        assert!(start.elapsed() < Duration::from_secs(30), "{}", controller.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}
