//! Many TaskRuns at once, beside what SPIRE takes for as many entries.

use std::{
    sync::mpsc::channel,
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::json;
use svidence::controller::{
    identity::{IdentitySettings, OwnIdentity},
    leading::Leadership,
    spire::{
        client::{AT_ONCE, Entries as _, EntryApi},
        generated::{RegistrationEntry, Selector, Spiffeid},
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
        burst.spire.push(of_spire()?);
        burst.controller.push(of_controller()?);
        eprintln!("SPIRE alone: {:?}, the controller: {:?}", burst.spire, burst.controller);
    }
    Some(burst)
}

/// From when the controller may learn of the first pod, all of which have a node by then, until all are registered. It is frozen while they are
/// made: what making them takes is not its time.
fn of_controller() -> Option<Duration> {
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
    Some(start.elapsed())
}

/// The same number of entries in batches, by the same client, one after the other.
fn of_spire() -> Option<Duration> {
    let world = World::start_with(&json!({}), spire())?;
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
    let api = EntryApi::new(address, trust_domain, identity, now, patience, Leadership::undisputed());
    let api = api.expect("a client");
    let entries: Vec<RegistrationEntry> = (0..RUNS * STEPS).map(entry).collect();
    let start = Instant::now();
    for entries in entries.chunks(AT_ONCE) {
        let outcomes = api.create(entries).expect("an answer");
        assert!(outcomes.iter().all(|outcome| outcome.code == Code::Ok), "{outcomes:?}");
    }
    Some(start.elapsed())
}

/// As large as a step's.
fn entry(number: usize) -> RegistrationEntry {
    let id = |path: String| Some(Spiffeid { trust_domain: "example.org".to_owned(), path });
    let uid = format!("11111111-2222-4333-8444-{number:012}");
    let selector = |value: String| Selector { r#type: "k8s".to_owned(), value };
    RegistrationEntry {
        id: format!("bench.pod.{uid}.step-build"),
        spiffe_id: id(format!("/ns/default/taskrun/burst-{number}")),
        parent_id: id(format!("/tekton-node/svidence-0123456789ab/node-{}", number % 20)),
        selectors: vec![
            selector("ns:default".to_owned()),
            selector("sa:default".to_owned()),
            selector(format!("pod-uid:{uid}")),
            selector("container-name:step-build".to_owned()),
        ],
        x509_svid_ttl: 900,
        dns_names: vec![format!("build.{uid}.taskrun.internal")],
        hint: "bench".to_owned(),
        ..RegistrationEntry::default()
    }
}
