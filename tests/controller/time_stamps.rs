//! Time stamps of verified runs: by a real authority (`openssl ts`), also if it is away, hangs or answers nonsense.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use svidence::controller::judging::ended::EndedRun;

use crate::{
    ended_runs::{OWN, forged, get, noted, path, signed, signed_again, wait_for_verdict, wait_until},
    process::{Controller, World},
    support::spire::EntryOptions,
    tsa::{P256, Server, Tsa, require_openssl},
};

const TOKENS: &str = "svidence.dev/timestamps";
const VERIFIED: (&str, Option<&str>) = ("verified", None);

/// How the authority behaves.
const WELL: u8 = 0;
const BUSY: u8 = 1;
const GARBAGE: u8 = 2;
const OTHER_HASH: u8 = 3;
const HANGS: u8 = 4;

struct Authority {
    server: Server,
    root: String,
    behaves: Arc<AtomicU8>,
}

impl Authority {
    fn start() -> Self {
        let tsa = Tsa::new(&P256);
        let root = tsa.pem("root.pem");
        let behaves = Arc::new(AtomicU8::new(WELL));
        let how = behaves.clone();
        let server = Server::start(Box::new(move |_, query| {
            let answer = match how.load(Ordering::SeqCst) {
                BUSY => return ("503 Service Unavailable".into(), b"busy".to_vec()),
                GARBAGE => vec![0x30, 3, 1, 2, 3],
                OTHER_HASH => tsa.stamp(&[7; 32], &["-cert"]),
                HANGS => {
                    thread::sleep(Duration::from_secs(12));
                    Vec::new()
                }
                _ => tsa.reply(query),
            };
            ("200 OK".into(), answer)
        }));
        Self { server, root, behaves }
    }

    fn behave(&self, how: u8) {
        self.behaves.store(how, Ordering::SeqCst);
    }

    fn asked(&self) -> usize {
        self.server.requests.lock().unwrap().len()
    }
}

/// An authority, and a cluster whose controller is to ask it; `None` if a program is missing.
fn world() -> Option<(Authority, World)> {
    if !require_openssl() {
        return None;
    }
    let authority = Authority::start();
    let world = World::start(&json!({
        "svidence-registration": "off", "svidence-timestamp-url": authority.server.address,
        "svidence-timestamp-certificates": authority.root,
    }))?;
    Some((authority, world))
}

/// A controller that says what it has counted.
fn listening(world: &World) -> Controller {
    let arguments = [&OWN[..], &["--listen", "127.0.0.1:0"]].concat();
    world.controller_with(&world.admin(), &arguments)
}

fn tokens(run: &Value) -> Option<String> {
    run["metadata"]["annotations"][TOKENS].as_str().map(str::to_owned)
}

/// What `svidence verify` says of a run in two years: exit code, and all that it prints.
fn in_two_years(world: &World, authority: &Authority, run: &Value) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let run = write("run.json", run.to_string());
    let (bundle, root) =
        (write("bundle.json", world.spire.bundle_spiffe_json()), write("root.pem", authority.root.clone()));
    let at = time::OffsetDateTime::now_utc() + time::Duration::days(730);
    let at = at.replace_nanosecond(0).unwrap();
    let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_svidence"))
        .args(["verify", "--trust-domain", "example.org", "--bundle", &bundle])
        .args(["--tsa-certificate", &root, "--at", &at, &run])
        .output()
        .unwrap();
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

fn wait_for_tokens(case: &str, of: (&World, &Authority, &Controller), run: &Value) -> Value {
    let (world, authority, controller) = of;
    let is_good = |now: &Value| tokens(now).is_some_and(|tokens| tokens.len() > 200);
    let now = wait_until(case, (&world.server, controller), run, is_good);
    let (code, said) = in_two_years(world, authority, &now);
    assert_eq!(code, Some(0), "{case}: {said}");
    now
}

fn wait_for_metric(controller: &mut Controller, starts: &str) {
    let start = Instant::now();
    loop {
        let (_, metrics) = controller.ask("GET /metrics");
        if metrics.lines().any(|line| line.starts_with(starts)) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{starts}: {metrics}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Waits for the event about a run that starts so; gives all of it.
fn wait_for_event(world: &World, starts: &str) -> String {
    let start = Instant::now();
    loop {
        let all = world.warnings("default");
        if let Some(told) = all.iter().find(|told| told.starts_with(starts)) {
            return told.clone();
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{starts}: {all:#?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_verified_run_has_time_stamps_that_prove_its_time_for_years() {
    let Some((authority, world)) = world() else { return };
    let server = &*world.server;
    let (honest, changed) = (signed(&world, "honest"), forged(signed(&world, "changed")));
    let mut preset = signed(&world, "preset");
    preset["metadata"]["annotations"] = json!({TOKENS: json!({"build": "MAMBAQA="}).to_string()});
    server.restore([&honest, &changed, &preset]);
    let mut controller = listening(&world);
    let first = wait_for_tokens("an honest one", (&world, &authority, &controller), &honest);
    let (code, said) = in_two_years(&world, &authority, &honest);
    assert_ne!(code, Some(0), "without its token: {said}");
    wait_for_tokens("a forged token of its own", (&world, &authority, &controller), &preset);
    wait_for_verdict("a forged one", (server, &controller), &changed, ("invalid", Some("result-changed")));
    wait_for_metric(&mut controller, "svidence_controller_timestamps_total{namespace=\"default\"} 2");
    controller.wait_for(&["\"message\":\"time-stamped\"", "\"name\":\"honest\"", "\"tokens\":1"]);
    // The tokens are a part of what a verdict is about.
    let is_of_all = |now: &Value| tokens(now).is_some() && EndedRun::of(now).unwrap().noted.is_some();
    let honest_then = wait_until("judged with its token", (server, &controller), &honest, is_of_all);
    wait_until("judged with its own token", (server, &controller), &preset, is_of_all);
    assert!(tokens(&get(server, &changed)).is_none(), "what is invalid is not time-stamped");

    // One whose token was never stored, as if a controller had died in between, and one that has its token.
    drop(controller);
    server.patch(&path(&preset), json!({"metadata": {"annotations": {TOKENS: null}}}));
    let asked = authority.asked();
    let controller = world.controller_with(&world.admin(), &OWN);
    wait_for_tokens("the next controller", (&world, &authority, &controller), &preset);
    thread::sleep(Duration::from_secs(3));
    let last = get(server, &honest);
    assert_eq!((authority.asked(), tokens(&last)), (asked + 1, tokens(&first)), "nothing is asked for twice");
    assert_eq!(noted(&last), noted(&honest_then), "a verdict that is right stays");
}

#[test]
fn an_authority_that_fails_holds_up_no_verdict_and_loses_nothing() {
    let Some((authority, world)) = world() else { return };
    let server = &*world.server;
    let mut controller = listening(&world);
    for (name, how, code, told) in [
        ("other-hash", OTHER_HASH, "bad-answer", Some("TimestampAuthorityInvalid")),
        ("garbage", GARBAGE, "bad-answer", None),
        ("busy", BUSY, "status", Some("TimestampAuthorityUnavailable")),
        ("hangs", HANGS, "unreachable", None),
    ] {
        authority.behave(how);
        let run = signed(&world, name);
        server.restore([&run]);
        wait_for_verdict(name, (server, &controller), &run, VERIFIED);
        wait_for_metric(&mut controller, &format!("svidence_controller_tsa_errors_total{{code=\"{code}\"}}"));
        if let Some(told) = told {
            world.wait_for_warning(&format!("ConfigMap config-spire {told}: no run is time-stamped: "));
        }
        assert_eq!(tokens(&get(server, &run)), None, "{name}");
        authority.behave(WELL);
        wait_for_tokens(name, (&world, &authority, &controller), &run);
    }
    wait_for_metric(&mut controller, "svidence_controller_timestamp_backlog 0");
}

/// A run whose certificate lasts for seconds.
fn short_lived(world: &World, name: &str) -> Value {
    let entry = EntryOptions::new(format!("/ns/default/taskrun/{name}"));
    world.spire.entry(EntryOptions { ttl: Some(20), ..entry });
    signed_again(world, name)
}

#[test]
fn after_its_certificates_have_expired_a_run_is_what_its_time_stamps_make_it() {
    let Some((authority, world)) = world() else { return };
    let server = &*world.server;
    let mut controller = listening(&world);
    let in_time = short_lived(&world, "in-time");
    server.restore([&in_time]);
    wait_for_tokens("in time", (&world, &authority, &controller), &in_time);
    authority.behave(BUSY);
    let too_late = short_lived(&world, "too-late");
    server.restore([&too_late]);
    wait_for_verdict("it does not wait", (server, &controller), &too_late, VERIFIED);
    wait_for_metric(&mut controller, "svidence_controller_timestamps_missed_total{namespace=\"default\"} 1");
    controller.wait_for(&["not time-stamped: its certificates have expired", "\"name\":\"too-late\""]);
    wait_for_event(&world, "TaskRun too-late NotTimestamped: its certificates have expired");
    authority.behave(WELL);
    let asked = authority.asked();

    // Both certificates have expired, and both runs are judged again.
    let again = json!({"metadata": {"annotations": {"svidence.dev/verdict": null}}});
    for (run, verdict) in [(&too_late, ("weak", Some("time-unproven"))), (&in_time, VERIFIED)] {
        server.patch(&path(run), &again);
        wait_for_verdict("it is judged again", (server, &controller), run, verdict);
    }
    wait_for_metric(&mut controller, "svidence_controller_timestamps_missed_total{namespace=\"default\"} 2");
    assert_eq!(authority.asked(), asked, "it is too late");
}

#[test]
fn a_run_whose_tokens_cannot_be_stored_holds_up_no_other_and_is_given_up() {
    let Some((authority, world)) = world() else { return };
    let server = &*world.server;
    let mut controller = listening(&world);
    let mut bad = short_lived(&world, "bad");
    // An API server takes annotations of 256 KiB in all: there is room for a verdict, and not for a token.
    bad["metadata"]["annotations"] = json!({"example.org/notes": "x".repeat(256 * 1024 - 1000)});
    server.restore([&bad]);
    wait_for_verdict("bad", (server, &controller), &bad, VERIFIED);
    let refused = "svidence_controller_tsa_errors_total{code=\"refused-by-server\"}";
    wait_for_metric(&mut controller, refused);
    controller.wait_for(&["the tokens cannot be stored", "422", "\"name\":\"bad\""]);
    for name in ["good", "good-too"] {
        let good = signed(&world, name);
        server.restore([&good]);
        wait_for_tokens(name, (&world, &authority, &controller), &good);
    }
    assert_eq!(authority.asked(), 3, "a token that is there is not asked for again");
    wait_for_metric(&mut controller, "svidence_controller_timestamps_missed_total{namespace=\"default\"} 1");
    controller.wait_for(&["could not be stored until its certificates expired", "\"name\":\"bad\""]);
    let told = wait_for_event(&world, "TaskRun bad NotTimestamped: the tokens could not be stored until");
    assert!(told.contains("422"), "{told}");
    wait_for_metric(&mut controller, "svidence_controller_timestamp_backlog 0");
    assert_eq!(tokens(&get(server, &bad)), None);
}
