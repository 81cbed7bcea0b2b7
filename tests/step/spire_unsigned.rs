//! Why a step is not signed, with a real SPIRE: each cause is told apart, in the log, in the evidence's place, by `verify` and
//! by `inspect`, and the operator's manual says what to do about it.
use crate::support;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use support::{
    pod::{Pod, StepOutcome},
    private,
    signed::entry,
    spire::{EntryOptions, Spire, SpireOptions},
    unsigned::{self, UID, step, step_by},
};
use svidence::evidence::sha256;
use x509::text::hex;

#[test]
fn each_cause_is_told_apart() {
    let Some(mut spire) = Spire::start(SpireOptions::default()) else { return };
    let bundle = spire.bundle_pem();
    let assert_told = |case: &str, outcome: &StepOutcome, expected: &str| {
        unsigned::assert_told(case, outcome, expected, &bundle)
    };
    let socket = spire.socket_uri();
    let beside = |name: &str| format!("unix://{}", spire.agent_socket().with_file_name(name).display());
    let me = format!("unix:uid:{}", nix::unistd::geteuid());
    let run = "/ns/default/taskrun/cause";
    const NO_ENTRY: &str = "no registration entry matches this pod";
    for (case, socket, selectors, id, expected) in [
        ("no socket is mounted", beside("nowhere/a.sock"), vec![], "", "the socket is not there"),
        ("a directory in its place", beside("a"), vec![], "", "there is a directory, not a socket"),
        ("a file in its place", beside("agent.conf"), vec![], "", "there is a file, not a socket"),
        ("the SPIRE server's", beside("s.sock"), vec![], "", "does not speak the SPIFFE Workload API"),
        ("no registration", socket.clone(), vec![], "", NO_ENTRY),
        ("another pod's selectors", socket.clone(), vec!["unix:uid:12345".to_owned()], run, NO_ENTRY),
        (
            "a pin that this agent cannot attest",
            socket.clone(),
            vec![me.clone(), "unix:sha256:00".into()],
            run,
            NO_ENTRY,
        ),
        (
            "another SVID",
            socket.clone(),
            vec![me.clone()],
            "/ns/default/sa/default",
            "none of the identities that the SPIRE agent offers is this step's",
        ),
    ] {
        let entry =
            (!id.is_empty()).then(|| spire.entry(EntryOptions { selectors, ..EntryOptions::new(id) }));
        std::thread::sleep(Duration::from_millis(500));
        assert_told(case, &step(&socket, &[], "sha256:1"), expected);
        entry.into_iter().for_each(|entry| spire.delete_entry(&entry));
    }
    spire.freeze_agent();
    let outcome = step(&socket, &[("svidence-signing-timeout", "3s")], "sha256:1");
    assert!(outcome.stderr().contains("waiting for an identity from SPIRE"), "{}", outcome.stderr());
    assert_told("the agent hangs", &outcome, "has not answered the last call");
    spire.thaw_agent();
    spire.entry(EntryOptions::new(run));
    std::thread::sleep(Duration::from_millis(500));
    let domain = [("spire-trust-domain", "elsewhere.test")];
    let outcome = step(&socket, &domain, "sha256:1");
    assert_told("another trust domain", &outcome, "is not of the configured trust domain");
    let narrow = [("svidence-containers", "14")];
    let outcome = step(&socket, &narrow, &"x".repeat(3850));
    assert_told("no room", &outcome, "no room");
    // Other users may not enter; root without its privileges is such a one.
    let folder = spire.agent_socket().parent().unwrap().to_owned();
    let enter = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    enter(0o600);
    let unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];
    let words = if nix::unistd::geteuid().is_root() { &unprivileged[..] } else { &[] };
    let outcome = step_by(words, &unsigned::pod(&socket, &[]), &socket, "sha256:1");
    enter(0o755);
    assert_told("a folder that is closed", &outcome, "this user may not open the socket");
    spire.freeze_agent();
    fill(&spire.agent_socket());
    assert_told(
        "nobody takes connections",
        &step(&socket, &[], "sha256:1"),
        "the agent takes no connections",
    );
    spire.kill_agent();
    assert_told("a left-over socket", &step(&socket, &[], "sha256:1"), "nobody listens");
}

/// Connects until no more connections fit into the queue of those that are not taken yet. They stay in it when they are closed.
fn fill(path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = loop {
        if let Err(error) = runtime.block_on(tokio::net::UnixStream::connect(path)) {
            break error;
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
}

/// Without `hostPID` the agent cannot tell who calls.
#[test]
fn an_agent_that_does_not_see_the_callers_process_is_told_apart() {
    const TEST: &str = "an_agent_that_does_not_see_the_callers_process_is_told_apart";
    if !private::available(TEST) {
        return;
    }
    let options = SpireOptions { sees_processes: false, ..SpireOptions::default() };
    let Some(spire) = Spire::start(options) else { return };
    spire.entry(EntryOptions::new("/ns/default/taskrun/cause"));
    let outcome = step(&spire.socket_uri(), &[], "sha256:1");
    let expected = "the agent cuts the connection of a process it cannot identify";
    unsigned::assert_told("no hostPID", &outcome, expected, &spire.bundle_pem());
}

/// Whoever traces a program can make it sign what it likes.
#[test]
fn a_traced_program_does_not_sign_with_a_certificate_that_names_it() {
    let Some(spire) = Spire::start(SpireOptions { discover_workload_path: true, ..SpireOptions::default() })
    else {
        return;
    };
    let program = Path::new(env!("CARGO_BIN_EXE_svidence"));
    let digest = hex(&sha256(&fs::read(program).unwrap()));
    spire.entry(EntryOptions {
        dns: vec![format!("x{}.build.{UID}.taskrun.internal", &digest[..16])],
        selectors: vec![format!("unix:sha256:{digest}")],
        ..EntryOptions::new("/ns/default/taskrun/cause")
    });
    std::thread::sleep(Duration::from_millis(500));
    let socket = spire.socket_uri();
    let pod = unsigned::pod(&socket, &[("svidence-signing-timeout", "20s")]);
    // A fake: a tracer in the container that may be ended is ended before the step is signed.
    pod.write("status", "TracerPid:\t7\n");
    let status = pod.root().join("status").display().to_string();
    let traced = r#"mount --bind "$0" /proc/1/status && exec "$@""#;
    let first = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", traced, &status];
    let outcome = step_by(&first, &pod, &socket, "sha256:1");
    unsigned::assert_told("traced", &outcome, "another process traces it", &spire.bundle_pem());
}

/// The agent keeps refusing until the entry is made, and is hardly asked meanwhile: it tells when it is worth it.
#[test]
fn a_refusal_is_watched_and_not_asked_about_again_and_again() {
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    let pod = Pod::new("late", &["build"]);
    let mut command =
        pod.step(0).signed(&spire.socket_uri()).results(&["a"]).script("printf 1 >$RESULTS/a").command();
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(8));
    let refusals = spire.agent_log().matches("No identity issued").count();
    // At the beginning, when the watch begins, and when it is renewed after some 2, 5 and 9.5 s.
    assert!((1..=6).contains(&refusals), "{refusals} refusals in 8 s:\n{}", spire.agent_log());
    spire.entry(EntryOptions::new("/ns/default/taskrun/late"));
    assert!(child.wait().unwrap().success());
    let message = fs::read_to_string(pod.termination(0)).unwrap();
    assert!(!entry(&message, "SVIDENCE.build.sig").unwrap().starts_with("unsigned"), "{message}");
}
