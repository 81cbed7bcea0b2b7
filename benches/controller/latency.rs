//! How long one TaskRun waits in a cluster where nothing else happens: for its entries, and for its verdict.

use std::{
    fs::File,
    io::Read as _,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    cluster_objects::{bind, create_pod, pod, set_phase, set_status, task_run},
    ended_runs::{path, signed},
    process::{Controller, World},
    report::Times,
    resident::{AS_DEPLOYED, spire},
    support::spire::SpireOptions,
};

/// TaskRuns that are registered, and TaskRuns that are judged, one after the other.
const REGISTERED: usize = 200;
const JUDGED: usize = 100;

/// Until it has its entries, and its verdict.
pub(crate) fn measured() -> Option<(Times, Times)> {
    let (registered, judged) = (until_registered()?, until_judged()?);
    for (what, times) in [("registered", &registered), ("judged", &judged)] {
        eprintln!("{what}: {:.1} ms, p99 {:.1} ms", times.percentile(50), times.percentile(99));
    }
    Some((registered, judged))
}

fn until_registered() -> Option<Times> {
    let world = World::start_with(&json!({}), spire())?;
    let mut controller = world.controller_with(&world.admin(), &AS_DEPLOYED);
    controller.wait_for(&["this controller is the one that acts"]);
    controller.wait_for(&["the controller has an identity"]);
    let mut log = Log::of(&controller);
    let server = &*world.server;
    eprintln!("measuring: {REGISTERED} TaskRuns get a node, one after the other");
    let times = (0..REGISTERED).map(|number| {
        let name = format!("one-{number}");
        let uid = task_run(server, "default", &name);
        create_pod(server, "default", &pod(&name, &uid, &["fetch", "build", "push"]));
        let pod = format!("{name}-pod");
        set_status(server, "default", &name, &json!({"podName": pod}));
        thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        bind(server, "default", &pod, "node-1");
        let took = log.wait_for_both("\"registered\"", &name) - start;
        set_phase(server, "default", &pod, "Succeeded");
        log.wait_for("entries were deleted");
        took
    });
    Some(Times::of(times.collect()))
}

fn until_judged() -> Option<Times> {
    // An agent that learns of the steps' entries soon makes the benchmark shorter, not the verdict.
    let world = World::start_with(&json!({}), SpireOptions::default())?;
    let mut controller = world.controller_with(&world.admin(), &AS_DEPLOYED);
    controller.wait_for(&["this controller is the one that acts"]);
    controller.wait_for(&["the controller has an identity"]);
    let mut log = Log::of(&controller);
    eprintln!("measuring: {JUDGED} TaskRuns end, one after the other");
    let times = (0..JUDGED).map(|number| {
        let name = format!("ends-{number}");
        let mut run = signed(&world, &name);
        let status = run["status"].take();
        run["status"] = json!({"conditions": [{"type": "Succeeded", "status": "Unknown"}]});
        world.server.restore([&run]);
        thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        world.server.patch(&format!("{}/status", path(&run)), json!({"status": status}));
        let (took, line) = log.wait_for_line("\"judged\"", &name);
        let line: Value = serde_json::from_str(&line).expect("a line of JSON");
        assert_eq!(line["verdict"], "verified", "{line}");
        took - start
    });
    Some(Times::of(times.collect()))
}

/// What the controller says, as it says it.
struct Log {
    file: File,
    text: String,
}

impl Log {
    fn of(controller: &Controller) -> Self {
        Self { file: File::open(controller.log_file()).expect("its log"), text: String::new() }
    }

    fn wait_for(&mut self, says: &str) {
        self.wait_for_line(says, "");
    }

    fn wait_for_both(&mut self, says: &str, name: &str) -> Instant {
        self.wait_for_line(says, name).0
    }

    /// The next line that says this of an object of this name, and when it was there.
    fn wait_for_line(&mut self, says: &str, name: &str) -> (Instant, String) {
        let start = Instant::now();
        let is_of =
            |line: &&str| line.contains(says) && (name.is_empty() || line.contains(&format!("\"{name}\"")));
        loop {
            self.file.read_to_string(&mut self.text).expect("its log");
            let at = Instant::now();
            let whole = self.text.rfind('\n').map_or(0, |end| end + 1);
            if let Some(line) = self.text[..whole].lines().find(is_of) {
                let line = line.to_owned();
                self.text.drain(..whole);
                return (at, line);
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{says} {name}: {}", self.text);
            thread::sleep(Duration::from_micros(200));
        }
    }
}
