//! A cluster with many TaskRuns: memory, calls of the API server, and what the controller does while nothing happens.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use svidence::standin::ca::DevCa;
use time::OffsetDateTime;
use unixtime::UnixSeconds;

use super::{
    process::{Controller, World},
    report::{Calls, Idle, Resident},
    support::{
        corpus::{self, Shape},
        spire::SpireOptions,
    },
};

/// TaskRuns that are running, with a pod of three steps each, and TaskRuns that have ended.
pub(crate) const RUNNING: usize = 1000;
pub(crate) const ENDED: usize = 10_000;
const SHAPE: Shape = Shape { steps: 3, results: 5, beside: false };
/// How long the controller is watched while nothing happens.
const WATCHED: Duration = Duration::from_secs(60);
/// Long enough for anything that happens at all.
const PATIENCE: Duration = Duration::from_secs(900);
/// As in the manifests: with a lease and probes.
pub(crate) const AS_DEPLOYED: [&str; 6] = [
    "--lease",
    "tekton-pipelines/svidence-controller",
    "--listen",
    "127.0.0.1:0",
    "--spiffe-id",
    "spiffe://example.org/svidence",
];

/// SPIRE with its own default of how often an agent asks.
pub(crate) fn spire() -> SpireOptions {
    SpireOptions { sync: Duration::from_secs(5), ..SpireOptions::default() }
}

pub(crate) fn measured() -> Option<(Resident, Calls, Idle)> {
    let world = World::start_with(&json!({}), spire())?;
    eprintln!("making {ENDED} TaskRuns that have ended and {RUNNING} that are running");
    for ended in ended(ENDED).chunks(1000) {
        world.server.restore(ended);
    }
    let (task_runs, pods) = running("running", RUNNING);
    world.server.restore(&task_runs);
    world.server.restore(&pods);
    let before = calls(&world);
    let mut controller = world.controller_with(&world.admin(), &AS_DEPLOYED);
    eprintln!("measuring: memory and calls");
    let registered = format!("svidence_controller_registered_total{{namespace=\"default\"}} {RUNNING}");
    let judged = format!("svidence_controller_verdict_seconds_count {ENDED}");
    let start = Instant::now();
    loop {
        let (_, metrics) = controller.ask("GET /metrics");
        if metrics.contains(&registered) && metrics.contains(&judged) {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{metrics}");
        thread::sleep(Duration::from_millis(500));
    }
    let after = calls(&world);
    // Comparisons with the SPIRE server in between.
    let busy = cpu(&controller, WATCHED);
    let resident = Resident {
        now: memory(&controller, "VmRSS:"),
        anonymous: memory(&controller, "RssAnon:"),
        largest: memory(&controller, "VmHWM:"),
        startup: start.elapsed() - WATCHED,
    };
    eprintln!("measuring: idle CPU");
    for pod in &pods {
        let name = pod["metadata"]["name"].as_str().expect("a name");
        world.server.delete(&format!("/api/v1/namespaces/default/pods/{name}"));
    }
    wait_for_none(&mut controller);
    thread::sleep(Duration::from_secs(20));
    eprintln!("{resident:?}, with TaskRuns running {busy:.3} % of a core");
    let nothing = cpu(&controller, WATCHED);
    let (calls, idle) = (Calls { total: after - before, runs: ENDED + RUNNING }, Idle { nothing, busy });
    eprintln!("{resident:?} {calls:?} {idle:?}");
    Some((resident, calls, idle))
}

fn wait_for_none(controller: &mut Controller) {
    let start = Instant::now();
    // The aliases of nodes stay for an hour.
    while !controller.ask("GET /metrics").1.contains(&format!("svidence_controller_entries {NODES}\n")) {
        assert!(start.elapsed() < PATIENCE, "entries are left");
        thread::sleep(Duration::from_millis(200));
    }
}

/// TaskRuns that have ended two hours ago, as an authority that SPIRE does not know has signed them: judging them is as much work.
fn ended(count: usize) -> Vec<Value> {
    let created = OffsetDateTime::now_utc() - time::Duration::hours(2);
    let ca = DevCa::new("example.org", UnixSeconds::new(created.unix_timestamp() - 60), &SystemRandom::new())
        .expect("a CA");
    (0..count).map(|number| corpus::task_run(&ca, number, SHAPE, created).object).collect()
}

/// Nodes that pods are on.
const NODES: usize = 20;

/// TaskRuns that are running, and their pods of three steps, each on one of some nodes.
pub(crate) fn running(prefix: &str, count: usize) -> (Vec<Value>, Vec<Value>) {
    let created = UnixSeconds::from(OffsetDateTime::now_utc()).to_string();
    let kind = prefix.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let one = |number: usize| {
        let name = format!("{prefix}-{number}");
        let (run, pod) = (
            format!("{kind:08x}-2222-4333-8444-{number:012}"),
            format!("{kind:08x}-bbbb-4ccc-8ddd-{number:012}"),
        );
        let steps: Vec<Value> =
            ["fetch", "build", "push"].map(|step| json!({"name": step, "image": "busybox"})).to_vec();
        let task_run = json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": name, "namespace": "default", "uid": run, "creationTimestamp": created},
            "spec": {"timeout": "1h0m0s", "taskSpec": {"steps": steps}},
            "status": {
                "podName": format!("{name}-pod"), "startTime": created,
                "conditions": [{"type": "Succeeded", "status": "Unknown"}],
            },
        });
        let mut object = super::cluster_objects::pod(&name, &run, &["fetch", "build", "push"]);
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("Pod");
        let metadata = &mut object["metadata"];
        (metadata["namespace"], metadata["uid"]) = (json!("default"), json!(pod));
        metadata["creationTimestamp"] = json!(created);
        object["spec"]["nodeName"] = json!(format!("node-{}", number % NODES));
        object["spec"]["serviceAccountName"] = json!("default");
        object["status"] = json!({"phase": "Running"});
        (task_run, object)
    };
    (0..count).map(one).unzip()
}

/// What the API server has been asked so far besides lists, watches and the lease: about runs, and events.
fn calls(world: &World) -> usize {
    let (status, text) = world.server.get("/metrics");
    assert_eq!(status, 200, "{text}");
    let counts = |line: &&str| {
        let is_of = |part: &str| line.contains(part);
        line.starts_with("apiserver_request_total{")
            && ["taskruns", "pipelineruns", "events", "pods"]
                .iter()
                .any(|resource| is_of(&format!("resource=\"{resource}\"")))
            && ["GET", "POST", "PUT", "PATCH", "DELETE"].iter().any(|verb| is_of(&format!("verb=\"{verb}\"")))
    };
    let count = |line: &str| line.rsplit_once(' ').and_then(|(_, count)| count.parse::<f64>().ok());
    let total: f64 = text.lines().filter(counts).filter_map(count).sum();
    // Far below 2^53.
    total as usize
}

/// Memory of a process in MB (10^6 bytes).
fn memory(controller: &Controller, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", controller.pid())).expect("it runs");
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"));
    kilobytes.and_then(|kilobytes| kilobytes.parse::<f64>().ok()).expect("its memory") * 1024.0 / 1e6
}

/// What part of a core a process takes, in percent, while it is watched for so long.
fn cpu(controller: &Controller, watched: Duration) -> f64 {
    let nanoseconds = || -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", controller.pid())).expect("it runs");
        let of = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|run| run.parse::<f64>().ok()).unwrap_or_default()
        };
        tasks.flatten().map(of).sum()
    };
    let (before, start) = (nanoseconds(), Instant::now());
    thread::sleep(watched);
    100.0 * (nanoseconds() - before) / 1e9 / start.elapsed().as_secs_f64()
}
