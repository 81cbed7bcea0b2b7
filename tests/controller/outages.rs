//! Crashes, and servers that are away: nothing is lost, nothing is left, nothing of somebody else's is touched.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::{
    cluster_objects::{scheduled, set_phase},
    process::{NOTHING, World, of_step},
    relay::Relay,
    support::{
        scripted::{Scripted, response},
        spire::EntryOptions,
    },
};

/// What is left of a run of another cluster, of a pod of this one, and of somebody else's.
fn leftovers(world: &World) -> (String, [String; 3]) {
    let tag = world.tag();
    let entry = |id: &str, hint: &str| {
        let selectors = vec![format!("k8s:pod-uid:{id}")];
        let (id, hint) = (Some(id.to_owned()), Some(hint.to_owned()));
        world.spire.entry(EntryOptions {
            id,
            hint,
            selectors,
            ..EntryOptions::new("/ns/default/taskrun/gone")
        })
    };
    let left = entry(&format!("{tag}.pod.11111111-2222-4333-8444-555555555555.step-a"), &tag);
    let others = "svidence-ffffffffffff";
    let foreign = [
        entry(&format!("{others}.pod.11111111-2222-4333-8444-555555555555.step-a"), others),
        entry("somebody.else", &tag),
        entry(&format!("{tag}.pod.of.somebody.else"), "theirs"),
    ];
    (left, foreign)
}

/// Numbers that look random, and are the same again from the same seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn sleep_below(&mut self, milliseconds: u64) {
        thread::sleep(Duration::from_millis(self.below(milliseconds)));
    }
}

const KILLS: u32 = 50;

/// `SVIDENCE_SEED` repeats a run that has failed, whose message names its seed.
#[test]
fn a_controller_that_is_killed_at_random_moments_leaves_nothing_loses_nothing_and_makes_nothing_twice() {
    let Some(world) = World::start(&json!({})) else { return };
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let seed: u64 =
        std::env::var("SVIDENCE_SEED").map_or_else(|_| now().into(), |seed| seed.parse().unwrap());
    let (case, mut random) = (format!("SVIDENCE_SEED={seed}"), Random(seed | 1));
    let server = &world.server;
    let (left, foreign) = leftovers(&world);
    let ids = || -> Vec<String> {
        world.spire.entries().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
    };
    assert!(ids().contains(&left));
    let mut running = Vec::new();
    for round in 0..KILLS {
        let controller = world.controller();
        // It is up after some 150 ms: before, during and after its first calls.
        random.sleep_below(250);
        let name = format!("run-{round}");
        let run = scheduled(server, "default", &name, &["a", "b"]);
        running.push((name, run));
        if random.below(3) == 0 {
            let (name, _) = running.swap_remove(usize::try_from(random.below(running.len() as u64)).unwrap());
            match random.below(2) {
                0 => set_phase(server, "default", &format!("{name}-pod"), "Succeeded"),
                _ => server.delete(&format!("/api/v1/namespaces/default/pods/{name}-pod")),
            }
        }
        random.sleep_below(600);
        // By SIGKILL.
        drop(controller);
    }
    let expected: Vec<String> = running
        .iter()
        .flat_map(|(name, run)| ["a", "b"].map(|step| of_step(("default", name), run, step)))
        .collect();
    let controller = world.controller();
    world.wait_for_entries(&case, &controller, &expected);
    let ids = ids();
    assert!(!ids.contains(&left), "{case}: what a crash has left: {ids:?}");
    for entry in &foreign {
        assert!(ids.contains(entry), "{case}: {entry} is not ours: {ids:?}");
    }
    // Two at once agree.
    let second = world.controller();
    for (name, _) in &running {
        set_phase(server, "default", &format!("{name}-pod"), "Failed");
    }
    world.wait_for_entries(&format!("{case}: all have ended"), &second, NOTHING);
    for log in [controller.log(), second.log()] {
        assert!(!log.contains("\"error\""), "{case}: {log}");
        assert!(log.contains("\"message\":\"the controller has an identity\""), "{case}: {log}");
    }
}

/// An agent that does not answer at the start is no error for some seconds, and then is one.
#[test]
fn a_controller_that_waits_for_its_first_identity_says_so_and_counts_it_later() {
    let Some(world) = World::start(&json!({})) else { return };
    world.spire.freeze_agent();
    let mut controller = world.controller_with(&world.admin(), &["--listen", "127.0.0.1:0"]);
    controller.wait_for(&["\"level\":\"info\"", "the controller waits for its identity"]);
    let counted = "svidence_controller_spire_errors_total{code=\"no-identity\"}";
    let (_, metrics) = controller.ask("GET /metrics");
    assert!(!metrics.contains(counted), "{metrics}");
    controller.wait_for(&["\"level\":\"error\"", "the SPIRE agent has not answered yet"]);
    let (_, metrics) = controller.ask("GET /metrics");
    assert!(metrics.contains(counted), "{metrics}");
    world.spire.thaw_agent();
    controller.wait_for(&["the controller has an identity"]);
}

#[test]
fn what_happens_while_a_server_is_away_is_done_when_it_is_back() {
    let Some(world) = World::start(&json!({})) else { return };
    let server = &world.server;
    let spire = Relay::to(world.spire.server_address());
    let api = Relay::to(server.url.strip_prefix("https://").unwrap().to_owned());
    world.configure(&json!({"spire-server-addr": spire.address}));
    let first = scheduled(server, "default", "first", &["a"]);
    let mut controller = world.controller_with(&world.kubeconfig_by(&api.address), &[]);
    let of_first = of_step(("default", "first"), &first, "a");
    world.wait_for_entries("both are there", &controller, &[&of_first]);

    // SPIRE: connections that end are made again, without a call that fails.
    for round in 0..3 {
        spire.end_connections();
        let name = format!("round-{round}");
        let run = scheduled(server, "default", &name, &["a"]);
        let both = [of_first.clone(), of_step(("default", &name), &run, "a")];
        world.wait_for_entries("a connection was ended", &controller, &both);
        set_phase(server, "default", &format!("{name}-pod"), "Succeeded");
        world.wait_for_entries("and another one", &controller, &[&of_first]);
    }
    assert!(!controller.log().contains("\"error\""), "{}", controller.log());
    spire.cut();
    let second = scheduled(server, "default", "second", &["a"]);
    set_phase(server, "default", "first-pod", "Succeeded");
    controller.wait_for(&["cannot connect to the SPIRE server", "againInSeconds"]);
    spire.mend();
    let of_second = of_step(("default", "second"), &second, "a");
    world.wait_for_entries("SPIRE is back", &controller, &[&of_second]);

    api.cut();
    let third = scheduled(server, "default", "third", &["a"]);
    set_phase(server, "default", "second-pod", "Succeeded");
    controller.wait_for(&["\"resource\":\"pods\"", "does not answer"]);
    api.mend();
    world.wait_for_entries(
        "the API server is back",
        &controller,
        &[of_step(("default", "third"), &third, "a")],
    );
}

#[test]
fn a_connection_that_says_nothing_is_given_up() {
    let Some(world) = World::start(&json!({})) else { return };
    let server = &world.server;
    let relay = Relay::to(world.spire.server_address());
    world.configure(&json!({"spire-server-addr": relay.address}));
    let first = scheduled(server, "default", "first", &["a"]);
    let mut controller = world.controller();
    let of_first = of_step(("default", "first"), &first, "a");
    world.wait_for_entries("it answers", &controller, &[&of_first]);
    relay.silence();
    let second = scheduled(server, "default", "second", &["a"]);
    controller.wait_for(&["the SPIRE server did not answer within 30 s"]);
    let of_second = of_step(("default", "second"), &second, "a");
    world.wait_for_entries("by another connection", &controller, &[of_first, of_second]);

    // One that is not even made; whoever is told to end does not wait for it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    world.configure(&json!({"spire-server-addr": silent.local_addr().unwrap().to_string()}));
    controller.wait_for(&["no connection is made within 5 s"]);
    thread::sleep(Duration::from_secs(1));
    let told = Instant::now();
    assert_eq!(controller.end(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}

/// The API server of a cluster in which something refuses each watch: listing all twice a second would be a load without an end.
#[test]
fn where_every_watch_ends_at_once_all_is_listed_less_and_less_often() {
    let Some(world) = World::start(&json!({})) else { return };
    let lists = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lists);
    let scripted = Scripted::start(Box::new(move |path, _| {
        let body = match path {
            "/api/v1/namespaces/kube-system" => {
                json!({"metadata": {"uid": "0123abcd-4567-4890-8abc-def012345678"}})
            }
            path if path.contains("watch=") => {
                json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}})
            }
            path => {
                counted.fetch_add(usize::from(path.starts_with("/api/v1/pods?")), Relaxed);
                json!({"metadata": {"resourceVersion": "1"}, "items": []})
            }
        };
        response("200 OK", "Content-Type: application/json\r\n", &format!("{body}\n"))
    }));
    let authority = STANDARD.encode(&scripted.certificate);
    let cluster =
        json!({"server": format!("https://{}", scripted.address), "certificate-authority-data": authority});
    let controller = world.controller_with(&world.server.kubeconfig("scripted", &cluster, &json!({})), &[]);
    // At 0, 0.5, 1.5, 3.5 and 7.5 seconds, and not at each half.
    thread::sleep(Duration::from_secs(7));
    let lists = lists.load(Relaxed);
    assert!((2..=5).contains(&lists), "{lists} lists\n{}", controller.log());
}

#[test]
fn entries_that_somebody_deletes_are_made_again_and_that_is_told() {
    let Some(world) = World::start(&json!({})) else { return };
    let run = scheduled(&world.server, "default", "one", &["a", "b"]);
    let mut controller = world.controller();
    let expected = ["a", "b"].map(|step| of_step(("default", "one"), &run, step));
    world.wait_for_entries("first", &controller, &expected);
    let ids: Vec<String> =
        world.spire.entries().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
    let deleted = ids.iter().filter(|id| id.starts_with(&world.tag())).collect::<Vec<_>>();
    assert_eq!(deleted.len(), 3, "{ids:?}");
    deleted.iter().for_each(|id| world.spire.delete_entry(id));
    controller
        .wait_for(&["3 registration entries of svidence were deleted by somebody else", "entryIDPrefix"]);
    world.wait_for_entries("again", &controller, &expected);
    world.wait_for_warning("ConfigMap config-spire EntriesDeleted: 3 registration entries");
}
