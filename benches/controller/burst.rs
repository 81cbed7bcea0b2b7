//! Many TaskRuns at once, beside what SPIRE takes for as many entries.

use std::{
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};
use svidence::controller::{
    identity::{IdentitySettings, OwnIdentity},
    leading::Leadership,
    registration::entry::ClusterTag,
    spire::{
        client::{AT_ONCE, Entries as _, EntryApi},
        generated::RegistrationEntry,
    },
};
use tonic::Code;
use unixtime::UnixSeconds;

use super::{
    process::World,
    report::Burst,
    resident::{AS_DEPLOYED, running, spire},
};

/// TaskRuns of three steps.
pub(crate) const RUNS: usize = 1000;
const STEPS: usize = 3;
pub(crate) const TURNS: usize = 3;

pub(crate) fn measured() -> Option<Burst> {
    let mut burst = Burst { controller: Vec::new(), spire: Vec::new() };
    for turn in 0..TURNS {
        eprintln!("measuring: a burst of {RUNS} TaskRuns, turn {} of {TURNS}", turn + 1);
        let (took, entries) = of_controller()?;
        burst.controller.push(took);
        burst.spire.push(of_spire(&entries)?);
        eprintln!("SPIRE alone: {:?}, the controller: {:?}", burst.spire, burst.controller);
    }
    Some(burst)
}

/// From when the controller may learn of the first pod, all of which have a node by then, until all are registered. It is frozen while they are
/// made: what making them takes is not its time. Then the entries that the server has of them.
fn of_controller() -> Option<(Duration, Vec<RegistrationEntry>)> {
    let world = World::start_with(&json!({}), spire())?;
    let mut controller = world.controller_with(&world.admin(), &AS_DEPLOYED);
    controller.wait_for(&["this controller is the one that acts"]);
    controller.wait_for(&["the controller has an identity"]);
    let (task_runs, pods) = running("burst", RUNS);
    world.server.restore(&task_runs);
    thread::sleep(Duration::from_secs(1));
    let registered = format!("svidence_controller_registered_total{{namespace=\"default\"}} {RUNS}");
    controller.freeze();
    world.server.restore(&pods);
    let start = Instant::now();
    controller.thaw();
    while !controller.ask("GET /metrics").1.contains(&registered) {
        assert!(start.elapsed() < Duration::from_secs(120), "{}", controller.log());
        thread::sleep(Duration::from_millis(20));
    }
    let took = start.elapsed();
    let (_, cluster) = world.server.get("/api/v1/namespaces/kube-system");
    let cluster: Value = serde_json::from_str(&cluster).expect("a namespace");
    let tag = cluster["metadata"]["uid"].as_str().and_then(ClusterTag::of).expect("a UID");
    let mut entries = Vec::new();
    entry_api(&world).list(tag.hint(), &mut |entry| entries.push(entry)).expect("entries");
    assert!(entries.len() > RUNS * STEPS, "{} entries", entries.len());
    // Those of the nodes come first, as the controller makes them: they are the parents of the others.
    entries.sort_by_key(|entry| entry.dns_names.len());
    Some((took, entries))
}

/// The very same entries in batches, by the same client, one after the other.
fn of_spire(entries: &[RegistrationEntry]) -> Option<Duration> {
    let world = World::start_with(&json!({}), spire())?;
    let api = entry_api(&world);
    let start = Instant::now();
    for entries in entries.chunks(AT_ONCE) {
        let outcomes = api.create(entries).expect("an answer");
        assert!(outcomes.iter().all(|outcome| outcome.code == Code::Ok), "{outcomes:?}");
    }
    Some(start.elapsed())
}

/// The controller's own client of this server.
fn entry_api(world: &World) -> EntryApi {
    let now: fn() -> UnixSeconds = || SystemTime::now().into();
    let (tell, changed) = channel();
    let identity = OwnIdentity::start(IdentitySettings {
        address: world.spire.socket_uri().parse().expect("an address"),
        wanted: Some("spiffe://example.org/svidence".parse().expect("an ID")),
        now,
        random: 0,
        changed: Box::new(move || {
            let _ = tell.send(());
        }),
    })
    .expect("a thread");
    while identity.get(now()).is_err() {
        changed.recv_timeout(Duration::from_secs(60)).expect("an identity");
    }
    let trust_domain = "example.org".parse().expect("a trust domain");
    let (address, patience) = (world.spire.server_address(), Duration::from_secs(60));
    EntryApi::new(address, trust_domain, identity, now, patience, Leadership::undisputed()).expect("a client")
}
