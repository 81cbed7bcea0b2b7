//! The Workload API client against a scripted endpoint, for what a real agent cannot be made to do at will.
use crate::pki;
use crate::support::endpoint;

use std::{
    os::unix::net::UnixListener as StdListener,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use endpoint::{
    Act::{self, Hang, Headers, Refuse, Serve},
    Endpoint,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pki::{Key, Plan};
use svidence::workload::{
    address::Address,
    client::{FetchError, Seconds, attempt},
    fetch::{Accept, FetchSettings, FetchState, Fetcher, Identity},
    generated::{X509svid, X509svidResponse},
    identity::from_message,
    retry::{ATTEMPT_DEADLINE, Backoff, attempt_deadline, is_final},
    select::{Expectation, SelectError, take},
    svid::SvidError,
};
use tokio::sync::Notify;
use tonic::Code;
use unixtime::UnixSeconds;

const DEMO: &str = "spiffe://example.org/ns/default/taskrun/demo";
/// Inside the validity of every test certificate.
const NOW: i64 = pki::START + 1000;

fn svid(id: &str, number: u8, start: i64, end: i64) -> X509svid {
    let (ca, root) = pki::root("example.org");
    let key = Key::new(number);
    let plan = Plan::leaf(id).with(|p| (p.start, p.end) = (start, end));
    X509svid {
        spiffe_id: id.into(),
        x509_svid: plan.issue(&key, &ca),
        x509_svid_key: key.pkcs8(),
        bundle: root,
        hint: String::new(),
    }
}

fn message(svids: Vec<X509svid>) -> X509svidResponse {
    X509svidResponse { svids, ..Default::default() }
}

fn demo() -> X509svidResponse {
    demo_with_key(2)
}

fn demo_with_key(number: u8) -> X509svidResponse {
    message(vec![svid(DEMO, number, pki::START, pki::END)])
}

fn stranger() -> X509svidResponse {
    message(vec![svid("spiffe://example.org/ns/default/sa/default", 5, pki::START, pki::END)])
}

fn serve() -> Act {
    Serve(0, vec![demo()], None)
}

fn accept() -> Accept {
    let expectation = Expectation {
        pod_name: Some("demo-pod".into()),
        namespace: Some("default".into()),
        step: Some("build".into()),
    };
    Box::new(move |svids| take(svids, &expectation))
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("a.sock")
    }

    fn settings(&self) -> FetchSettings {
        let mut settings = FetchSettings::new(Address::Unix(self.socket()), "the demo".into());
        settings.clock = Arc::new(|| UnixSeconds::new(NOW));
        settings
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher::start(self.settings(), accept()).unwrap()
    }
}

/// Follows the descriptor, as an owner does, until the state is as wanted.
#[track_caller]
fn wait(case: &str, fetcher: &Fetcher, limit_ms: u64, wanted: impl Fn(&FetchState) -> bool) -> FetchState {
    let end = Instant::now() + Duration::from_millis(limit_ms);
    loop {
        fetcher.clear();
        let state = fetcher.state();
        if wanted(&state) {
            return state;
        }
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "{case}: still {state:?} after {limit_ms} ms");
        let timeout = PollTimeout::try_from(left).unwrap();
        poll(&mut [PollFd::new(fetcher.fd(), PollFlags::POLLIN)], timeout).unwrap();
    }
}

fn ready(state: &FetchState) -> bool {
    *state == FetchState::Ready
}

fn last(state: &FetchState) -> Option<&FetchError> {
    match state {
        FetchState::Waiting { last, .. } => last.as_ref(),
        FetchState::Failed(error) => Some(error),
        FetchState::Ready => None,
    }
}

fn refused(state: &FetchState, expected: Code) -> bool {
    matches!(last(state), Some(FetchError::Refused { code, .. }) if *code == expected)
}

fn key_of(identity: &Identity) -> u8 {
    let public = identity.svid.leaf().public_key_bits();
    (0..20).find(|number| *number > 0 && Key::new(*number).public() == public).unwrap()
}

/// Takes identities until the one with this key comes.
#[track_caller]
fn take_key(fetcher: &Fetcher, wanted: u8) {
    let end = Instant::now() + Duration::from_secs(10);
    while fetcher.take().map(|identity| key_of(&identity)) != Some(wanted) {
        assert!(Instant::now() < end, "no identity with key {wanted}: {:?}", fetcher.state());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs one attempt on its own.
fn attempt_once(socket: &Path, deadline: Duration) -> Result<Identity, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let accept = accept();
    let judge = |message| from_message(message, UnixSeconds::new(NOW), &*accept);
    let address = Address::Unix(socket.to_owned());
    let news = Notify::new();
    let answer = attempt(&address, std::future::ready(deadline), &news, &judge);
    runtime.block_on(answer).and_then(|(judged, _)| judged)
}

#[test]
fn an_identity_comes_with_its_bundle() {
    let bench = Bench::new();
    let endpoint = Endpoint::start(&bench.socket(), vec![serve()]);
    let fetcher = bench.fetcher();
    wait("served at once", &fetcher, 10_000, ready);
    let identity = fetcher.take().unwrap();
    assert_eq!(identity.svid.id().to_string(), DEMO);
    assert_eq!(identity.bundle.trust_domain().as_str(), "example.org");
    assert!(identity.svid.leaf().verify_signed_by(&identity.bundle.authorities()[0]).is_ok());
    assert!(fetcher.take().is_none(), "taken");
    assert_eq!(endpoint.connections(), 1, "one attempt is enough");
}

#[test]
fn refusals_are_retried_on_new_connections() {
    let bench = Bench::new();
    let codes = [Code::PermissionDenied, Code::Unavailable, Code::Unknown, Code::Internal];
    let mut acts: Vec<Act> = codes.into_iter().map(|code| Refuse(code, "scripted")).collect();
    acts.push(serve());
    let endpoint = Endpoint::start(&bench.socket(), acts);
    let fetcher = bench.fetcher();
    wait("served in the end", &fetcher, 20_000, ready);
    assert!(endpoint.calls() > codes.len() && endpoint.connections() > 1);
}

#[test]
fn only_pointless_codes_stop() {
    for code in [Code::InvalidArgument, Code::Unimplemented] {
        let bench = Bench::new();
        let endpoint = Endpoint::start(&bench.socket(), vec![Refuse(code, "scripted")]);
        let fetcher = bench.fetcher();
        let state =
            wait(&format!("{code:?}"), &fetcher, 10_000, |state| matches!(state, FetchState::Failed(_)));
        assert!(refused(&state, code), "{state:?}");
        fetcher.begin(Instant::now());
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(endpoint.connections(), 1, "{code:?} is not retried");
    }
    let all = (0..=16).map(Code::from);
    let stopping: Vec<Code> = all.filter(|code| is_final(*code)).collect();
    assert_eq!(stopping, [Code::InvalidArgument, Code::Unimplemented]);
}

#[test]
fn a_held_call_is_joined_by_others() {
    for (case, acts, limit, calls) in [
        ("the second is answered", vec![Hang, serve()], 400, 2),
        ("headers came, nothing else", vec![Headers, serve()], 400, 2),
        (
            "the second is refused, the third answered",
            vec![Hang, Refuse(Code::PermissionDenied, "scripted"), serve()],
            450,
            3,
        ),
        ("the second is held too", vec![Hang, Hang, serve()], 450, 3),
        ("the second has nothing of use", vec![Hang, Serve(0, vec![stranger()], None), serve()], 450, 3),
        (
            "the first is answered late",
            vec![Serve(300, vec![demo()], None), Refuse(Code::PermissionDenied, "scripted")],
            700,
            3,
        ),
        ("all are held for some time", vec![Hang, Hang, Hang, Hang, Hang, serve()], 1700, 6),
    ] {
        let bench = Bench::new();
        let endpoint = Endpoint::start(&bench.socket(), acts);
        let begun = Instant::now();
        let result = attempt_once(&bench.socket(), Duration::from_secs(5));
        let passed = begun.elapsed();
        result.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(passed < Duration::from_millis(limit + 2000), "{case}: {passed:?}");
        assert!(endpoint.calls() >= calls, "{case}: {} calls", endpoint.calls());
        assert!(endpoint.connections() >= calls, "{case}: each has a connection of its own");
    }
}

/// Before signing begins a held call is joined at first only and has no deadline; then it is joined at once.
#[test]
fn a_held_call_is_left_alone_until_signing_begins() {
    let bench = Bench::new();
    let endpoint = Endpoint::start(&bench.socket(), vec![Hang, Hang, Hang, Hang, Hang, Hang, serve()]);
    let mut settings = bench.settings();
    settings.signing_timeout = Duration::from_secs(2);
    let fetcher = Fetcher::start(settings, accept()).unwrap();
    std::thread::sleep(Duration::from_millis(3500));
    assert_eq!(endpoint.calls(), 6, "one call and five that joined it, all held");
    assert!(!ready(&fetcher.state()), "{:?}", fetcher.state());
    fetcher.begin(Instant::now());
    wait("joined when signing began", &fetcher, 1000, ready);
    assert_eq!((endpoint.calls(), endpoint.connections()), (7, 7), "by one call on another connection");
    drop(endpoint);

    let bench = Bench::new();
    let _endpoint = Endpoint::start(&bench.socket(), vec![Hang]);
    let mut settings = bench.settings();
    settings.signing_timeout = Duration::from_secs(1);
    let fetcher = Fetcher::start(settings, accept()).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let begun = Instant::now();
    fetcher.begin(begun);
    let timed_out = |state: &FetchState| matches!(last(state), Some(FetchError::TimedOut { .. }));
    wait("the deadline runs from when signing began", &fetcher, 5000, timed_out);
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
}

/// The first connection leads to an agent that hangs and is replaced while the command runs: nothing will ever come of it.
#[test]
fn a_hung_connection_is_joined_by_another_one_when_signing_begins() {
    for (case, accepts) in [("never accepted", false), ("accepted, and nothing said", true)] {
        let bench = Bench::new();
        let silent = StdListener::bind(bench.socket()).unwrap();
        let fetcher = bench.fetcher();
        std::thread::sleep(Duration::from_millis(1500));
        let held = accepts.then(|| silent.accept().unwrap());
        let _endpoint = Endpoint::start(&bench.socket(), vec![serve()]);
        let begun = Instant::now();
        fetcher.begin(begun);
        wait(case, &fetcher, 10_000, ready);
        assert!(begun.elapsed() < Duration::from_secs(5), "{case}: {:?}", begun.elapsed());
        drop(held);
    }
}

/// The workload has another SVID, so the agent keeps the call open and pushes the next state.
#[test]
fn a_stream_without_a_fitting_identity_is_stayed_on() {
    let others = || vec![stranger(), stranger(), demo()];
    let mut late = message(vec![svid(DEMO, 2, pki::START, NOW - 1)]);
    late.svids.push(stranger().svids.remove(0));
    for (case, begins, messages) in [
        ("while the command runs", false, others()),
        ("when signing has begun", true, others()),
        ("an SVID that has expired", true, vec![late, demo()]),
        ("nothing", true, vec![message(vec![]), demo()]),
    ] {
        let bench = Bench::new();
        // Whoever asks again is refused.
        let acts = vec![Serve(0, messages, None), Refuse(Code::PermissionDenied, "scripted")];
        let _endpoint = Endpoint::start(&bench.socket(), acts);
        let fetcher = bench.fetcher();
        if begins {
            fetcher.begin(Instant::now());
        }
        wait(case, &fetcher, 20_000, ready);
    }
}

#[test]
fn a_call_that_hangs_has_a_deadline() {
    let bench = Bench::new();
    let endpoint = Endpoint::start(&bench.socket(), vec![Hang]);
    let error = attempt_once(&bench.socket(), Duration::from_millis(1500)).unwrap_err();
    assert!(matches!(error, FetchError::TimedOut { .. }), "{error:?}");
    // 1 + those begun after 50, 100, 200, 400, 800 and 1300 ms.
    assert!((3..=7).contains(&endpoint.calls()), "{} calls", endpoint.calls());
    drop(endpoint);

    std::fs::remove_file(bench.socket()).unwrap();
    let silent = StdListener::bind(bench.socket()).unwrap();
    let error = attempt_once(&bench.socket(), Duration::from_millis(300)).unwrap_err();
    assert!(matches!(error, FetchError::TimedOut { .. }), "accepts and never speaks: {error:?}");
    drop(silent);
}

#[test]
fn connection_errors_are_told_apart() {
    let bench = Bench::new();
    let second = Duration::from_secs(1);
    let error = attempt_once(&bench.socket(), second).unwrap_err();
    assert!(matches!(error, FetchError::Connect { kind: std::io::ErrorKind::NotFound, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("CSI"), "{error:?}");

    let listener = StdListener::bind(bench.socket()).unwrap();
    let closer = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let error = attempt_once(&bench.socket(), second).unwrap_err();
    assert!(matches!(error.code(), Some(Code::Unknown | Code::Unavailable)), "accepts and closes: {error:?}");
    assert!(!error.is_final());
    closer.join().unwrap();

    let error = attempt_once(&bench.socket(), second).unwrap_err();
    assert!(
        matches!(error, FetchError::Connect { kind: std::io::ErrorKind::ConnectionRefused, .. }),
        "left-over file: {error:?}"
    );
}

#[test]
fn messages_that_are_of_no_use_are_retried_with_their_reason() {
    let mut wrong_key = demo();
    wrong_key.svids[0].x509_svid_key = Key::new(9).pkcs8();
    let mut wrong_bundle = demo();
    wrong_bundle.svids[0].bundle.clear();
    type Expected = fn(&FetchError) -> bool;
    let cases: Vec<(&str, Act, Expected)> = vec![
        ("nobody's", Serve(0, vec![message(vec![])], None), |e| {
            matches!(e, FetchError::Select(SelectError::Nothing))
        }),
        ("another's", Serve(0, vec![stranger()], None), |e| {
            matches!(e, FetchError::Select(SelectError::NoneFits { .. }))
        }),
        ("another key", Serve(0, vec![wrong_key], None), |e| {
            matches!(e, FetchError::Svid(SvidError::OtherKey { .. }))
        }),
        ("no bundle", Serve(0, vec![wrong_bundle], None), |e| matches!(e, FetchError::Bundle(_))),
        ("expired", Serve(0, vec![message(vec![svid(DEMO, 2, pki::START, NOW - 1)])], None), |e| {
            matches!(e, FetchError::Svid(SvidError::Expired { .. }))
        }),
        ("a clean end", Serve(0, vec![], Some(Code::Ok)), |e| matches!(e, FetchError::NoMessage)),
    ];
    for (case, act, expected) in cases {
        let bench = Bench::new();
        let endpoint = Endpoint::start(&bench.socket(), vec![act]);
        let fetcher = bench.fetcher();
        wait(case, &fetcher, 5000, |state| last(state).is_some_and(expected));
        drop(endpoint);
        let _endpoint = Endpoint::start(&bench.socket(), vec![serve()]);
        wait(case, &fetcher, 10_000, ready);
    }
    let bench = Bench::new();
    let mut both = demo();
    both.svids.insert(0, stranger().svids.remove(0));
    both.svids[0].x509_svid.push(0);
    let _endpoint = Endpoint::start(&bench.socket(), vec![Serve(0, vec![both], None)]);
    wait("a bad SVID beside the good one does no harm", &bench.fetcher(), 10_000, ready);
}

/// An SVID whose leaf and CA are as the plans say, the CA under a root that carries no SPIFFE ID.
fn chained(id: &str, leaf: impl FnOnce(&mut Plan), ca: impl FnOnce(&mut Plan)) -> X509svidResponse {
    let (root_key, ca_key, key) = (Key::new(11), Key::new(12), Key::new(2));
    let bare = |plan: &mut Plan| plan.uris.clear();
    let root = Plan::ca("root", "root", "x").with(bare).issue(&root_key, &root_key);
    let mut ca_plan = Plan::ca("ca", "root", "example.org");
    ca(&mut ca_plan);
    let mut leaf_plan = Plan::leaf(id);
    leaf(&mut leaf_plan);
    message(vec![X509svid {
        spiffe_id: id.into(),
        x509_svid: [leaf_plan.issue(&key, &ca_key), ca_plan.issue(&ca_key, &root_key)].concat(),
        x509_svid_key: key.pkcs8(),
        bundle: root,
        hint: String::new(),
    }])
}

/// What no verifier will believe is said at once, with its reason, and not waited for until the time for signing is over.
#[test]
fn a_certificate_that_no_verifier_will_believe_fails_at_once() {
    let unknown = || vec![pki::extension("1.2.3.4", true, &[5, 0])];
    let same = |_: &mut Plan| {};
    let cases: Vec<(&str, X509svidResponse, &str)> = vec![
        (
            "a critical extension of the leaf",
            chained(DEMO, |leaf| leaf.more = unknown(), same),
            "critical extension 1.2.3.4",
        ),
        (
            "a critical extension of the CA",
            chained(DEMO, same, |ca| ca.more = unknown()),
            "critical extension 1.2.3.4",
        ),
        ("key usage", chained(DEMO, |leaf| leaf.key_usage = Some(4), same), "digitalSignature"),
        (
            "another trust domain's CA",
            chained(DEMO, same, |ca| ca.uris = vec!["spiffe://b.test".into()]),
            "spiffe://b.test",
        ),
        ("no CA", chained(DEMO, same, |ca| ca.ca = None), "is not a CA"),
    ];
    for (case, message, text) in cases {
        let bench = Bench::new();
        let _endpoint = Endpoint::start(&bench.socket(), vec![Serve(0, vec![message], None)]);
        let fetcher = bench.fetcher();
        let waiting = wait(case, &fetcher, 10_000, |state| last(state).is_some());
        assert!(
            matches!(waiting, FetchState::Waiting { .. }),
            "{case}: nobody waits for it yet: {waiting:?}"
        );
        fetcher.begin(Instant::now());
        // Far less than the 60 s for signing.
        let FetchState::Failed(error) =
            wait(case, &fetcher, 20_000, |state| matches!(state, FetchState::Failed(_)))
        else {
            panic!("{case}")
        };
        let said = error.to_string();
        assert!(said.contains("no verifier will believe") && said.contains(text), "{case}: {said}");
    }
    // What may mend itself is waited for: another SVID, another bundle, a certificate of somebody else.
    let broken = || chained(DEMO, |leaf| leaf.key_usage = Some(4), same);
    let other = || chained(DEMO, |leaf| leaf.more = unknown(), same);
    let bench = Bench::new();
    let acts = [broken(), other(), demo()].map(|message| Serve(0, vec![message], None)).to_vec();
    let _endpoint = Endpoint::start(&bench.socket(), acts);
    let fetcher = bench.fetcher();
    fetcher.begin(Instant::now());
    wait("the agent brings another one", &fetcher, 10_000, ready);
    let stranger = "spiffe://example.org/ns/default/sa/default";
    let mut orphan = demo();
    orphan.svids[0].bundle = Plan::ca("new", "new", "example.org").issue(&Key::new(9), &Key::new(9));
    for (case, message) in [
        ("somebody else's", chained(stranger, |leaf| leaf.key_usage = Some(4), same)),
        ("an authority that the bundle does not hold", orphan),
    ] {
        let bench = Bench::new();
        let endpoint = Endpoint::start(&bench.socket(), vec![Serve(0, vec![message], None)]);
        let fetcher = bench.fetcher();
        fetcher.begin(Instant::now());
        let state = wait(case, &fetcher, 20_000, |state| {
            !matches!(state, FetchState::Waiting { attempts: ..=3, .. })
        });
        assert!(matches!(state, FetchState::Waiting { .. }), "{case}: {state:?}");
        drop(endpoint);
        let _endpoint = Endpoint::start(&bench.socket(), vec![serve()]);
        wait(case, &fetcher, 20_000, ready);
    }
}

/// What a verifier may believe is signed, and whoever signs says what it takes.
#[test]
fn a_ca_without_a_spiffe_id_is_taken_with_a_caution() {
    let bench = Bench::new();
    let message = chained(DEMO, |_| {}, |ca| ca.uris.clear());
    let _endpoint = Endpoint::start(&bench.socket(), vec![Serve(0, vec![message.clone()], None)]);
    let fetcher = bench.fetcher();
    wait("no URI", &fetcher, 10_000, ready);
    let identity = fetcher.take().unwrap();
    let caution = identity.svid.caution().unwrap().to_string();
    let root = identity.bundle.authorities()[0].fingerprint().to_string();
    assert!(caution.contains(&format!("--authority-without-uri {root}")), "{caution}");
    assert_eq!(identity.svid.intermediates().len(), 1);
}

/// One authority that is of no use does not spoil the others, and is named.
#[test]
fn an_unusable_authority_in_the_agents_bundle_is_left_out() {
    let bench = Bench::new();
    let mut mixed = demo();
    let odd = Plan::ca("odd", "odd", "example.org")
        .with(|ca| ca.key_usage = Some(1))
        .issue(&Key::new(9), &Key::new(9));
    mixed.svids[0].bundle = [odd.clone(), mixed.svids[0].bundle.clone()].concat();
    let _endpoint = Endpoint::start(&bench.socket(), vec![Serve(0, vec![mixed], None)]);
    let fetcher = bench.fetcher();
    wait("one of two", &fetcher, 10_000, ready);
    let bundle = fetcher.take().unwrap().bundle;
    assert_eq!((bundle.authorities().len(), bundle.left_out().len()), (1, 1));
    assert!(bundle.left_out()[0].to_string().contains("CN=odd"), "{:?}", bundle.left_out());
    let mut alone = demo();
    alone.svids[0].bundle = odd;
    let bench = Bench::new();
    let _endpoint = Endpoint::start(&bench.socket(), vec![Serve(0, vec![alone], None)]);
    let fetcher = bench.fetcher();
    wait("none", &fetcher, 10_000, |state| matches!(last(state), Some(FetchError::Bundle(_))));
}

#[test]
fn a_large_message_is_taken() {
    let bench = Bench::new();
    let mut large = demo();
    large.federated_bundles.insert("spiffe://b.test".into(), vec![0; 6 << 20]);
    let _endpoint = Endpoint::start(&bench.socket(), vec![Serve(0, vec![large], None)]);
    wait("6 MiB", &bench.fetcher(), 10_000, ready);
}

#[test]
fn the_stream_keeps_the_identity_fresh() {
    let bench = Bench::new();
    let messages = vec![demo_with_key(2), demo_with_key(3), demo_with_key(4)];
    let endpoint = Endpoint::start(&bench.socket(), vec![Serve(0, messages, None)]);
    let fetcher = bench.fetcher();
    take_key(&fetcher, 4);
    assert_eq!(endpoint.connections(), 1);
}

#[test]
fn what_ends_a_stream_decides_about_the_identity() {
    for (case, act, kept) in [
        ("agent gone", Serve(0, vec![demo()], Some(Code::Unavailable)), true),
        ("connection cut", Serve(0, vec![demo()], Some(Code::Unknown)), true),
        ("clean end", Serve(0, vec![demo()], Some(Code::Ok)), true),
        ("denied", Serve(0, vec![demo()], Some(Code::PermissionDenied)), false),
        ("not offered any more", Serve(0, vec![demo(), stranger()], None), false),
        ("nothing offered any more", Serve(0, vec![demo(), message(vec![])], None), false),
    ] {
        let bench = Bench::new();
        let endpoint =
            Endpoint::start(&bench.socket(), vec![act, Refuse(Code::PermissionDenied, "scripted")]);
        let fetcher = bench.fetcher();
        // The third attempt: by then the first one's identity has come and its stream has ended.
        endpoint.wait_for_connections(case, 3);
        assert_eq!(ready(&fetcher.state()), kept, "{case}: {:?}", fetcher.state());
        assert_eq!(fetcher.take().is_some(), kept, "{case}");
    }
}

#[test]
fn a_restarted_agent_is_found_again() {
    let bench = Bench::new();
    let endpoint = Endpoint::start(&bench.socket(), vec![serve()]);
    let fetcher = bench.fetcher();
    wait("first agent", &fetcher, 10_000, ready);
    drop(endpoint);
    std::thread::sleep(Duration::from_millis(100));
    assert!(ready(&fetcher.state()), "the identity outlives the agent");
    let endpoint = Endpoint::start(&bench.socket(), vec![Serve(0, vec![demo_with_key(6)], None)]);
    endpoint.wait_for_connections("the new agent is asked", 1);
    take_key(&fetcher, 6);
}

#[test]
fn signing_asks_at_once() {
    let bench = Bench::new();
    let mut settings = bench.settings();
    // The longest pauses: 500, 900, 1350, 2025 ms.
    settings.random = Box::new(|| 10_290);
    let fetcher = Fetcher::start(settings, accept()).unwrap();
    wait("no agent", &fetcher, 20_000, |state| matches!(state, FetchState::Waiting { attempts: 4.., .. }));
    let _endpoint = Endpoint::start(&bench.socket(), vec![serve()]);
    let begun = Instant::now();
    fetcher.begin(begun);
    wait("asked at once", &fetcher, 1500, ready);
    assert_eq!(fetcher.report(begun).attempts, 1, "counted from the beginning of signing");
}

#[test]
fn no_attempt_follows_when_the_time_is_up() {
    // One more if an attempt ended before signing began.
    for (case, timeout, attempts) in [("one attempt", 0, 1..=2), ("a second", 1000, 2..=5)] {
        let bench = Bench::new();
        let endpoint = Endpoint::start(&bench.socket(), vec![Refuse(Code::PermissionDenied, "scripted")]);
        let mut settings = bench.settings();
        settings.signing_timeout = Duration::from_millis(timeout);
        let fetcher = Fetcher::start(settings, accept()).unwrap();
        fetcher.begin(Instant::now());
        std::thread::sleep(Duration::from_millis(timeout + 1500));
        let after = endpoint.connections();
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(endpoint.connections(), after, "{case}: ended");
        assert!(attempts.contains(&after), "{case}: {after} attempts");
    }
}

#[test]
fn the_clock_decides() {
    let bench = Bench::new();
    let late = message(vec![svid(DEMO, 2, NOW + 100, NOW + 200)]);
    let _endpoint = Endpoint::start(&bench.socket(), vec![Serve(0, vec![late], None)]);
    let clock = Arc::new(AtomicI64::new(NOW));
    let mut settings = bench.settings();
    let reads = Arc::clone(&clock);
    settings.clock = Arc::new(move || UnixSeconds::new(reads.load(Ordering::SeqCst)));
    let fetcher = Fetcher::start(settings, accept()).unwrap();
    let early =
        |state: &FetchState| matches!(last(state), Some(FetchError::Svid(SvidError::NotYetValid { .. })));
    wait("not yet valid", &fetcher, 10_000, early);
    assert!(fetcher.take().is_none(), "not yet valid");
    assert!(
        fetcher.report(Instant::now()).to_string().contains("clocks"),
        "{}",
        fetcher.report(Instant::now())
    );
    fetcher.begin(Instant::now());
    clock.store(NOW + 100, Ordering::SeqCst);
    wait("first second", &fetcher, 10_000, ready);
    clock.store(NOW + 200, Ordering::SeqCst);
    assert!(ready(&fetcher.state()), "last second");
    clock.store(NOW + 201, Ordering::SeqCst);
    assert!(!ready(&fetcher.state()) && fetcher.take().is_none(), "expired");
}

#[test]
fn dropping_ends_the_thread() {
    for (case, acts) in [("while a call hangs", vec![Hang]), ("while the stream is open", vec![serve()])] {
        let bench = Bench::new();
        let endpoint = Endpoint::start(&bench.socket(), acts);
        let alive = Arc::new(());
        let (held, choose) = (Arc::clone(&alive), accept());
        let fetcher = Fetcher::start(
            bench.settings(),
            Box::new(move |svids| {
                let _held = &held;
                choose(svids)
            }),
        );
        let fetcher = fetcher.unwrap();
        while endpoint.calls() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let begun = Instant::now();
        drop(fetcher);
        assert!(begun.elapsed() < Duration::from_millis(300), "{case}: dropping blocks");
        while Arc::strong_count(&alive) > 1 {
            assert!(begun.elapsed() < Duration::from_secs(3), "{case}: the thread lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn the_report_says_what_to_do() {
    let bench = Bench::new();
    let _endpoint = Endpoint::start(&bench.socket(), vec![Refuse(Code::PermissionDenied, "scripted")]);
    let fetcher = bench.fetcher();
    let begun = Instant::now();
    fetcher.begin(begun);
    wait("denied", &fetcher, 10_000, |state| refused(state, Code::PermissionDenied));
    let report = fetcher.report(begun + Duration::from_secs(60)).to_string();
    let socket = format!("unix://{}", bench.socket().display());
    let mut read = 0;
    for part in
        ["PermissionDenied", "scripted", "selectors", "parent", "1 attempt in 60 s", &socket, "the demo"]
    {
        let at = report.find(part).unwrap_or_else(|| panic!("{part:?} in {report}"));
        assert!(at >= read, "{part:?} comes too early: cause and advice first, in {report}");
        read = at;
    }
    assert!(!report.contains("has not answered"), "{report}");
    drop(fetcher);

    let bench = Bench::new();
    let _endpoint = Endpoint::start(&bench.socket(), vec![Hang]);
    let fetcher = bench.fetcher();
    fetcher.begin(Instant::now());
    std::thread::sleep(Duration::from_millis(300));
    let report = fetcher.report(Instant::now()).to_string();
    assert!(report.contains("has not answered"), "{report}");
    fn is_fit_for_threads<T: Send + Sync>() {}
    is_fit_for_threads::<Arc<Mutex<Fetcher>>>();
}

/// Under load the last attempt is cut within milliseconds by the end of the time for signing.
#[test]
fn an_attempt_that_is_cut_does_not_hide_what_the_agent_said_before() {
    for (case, acts) in [
        ("refused, then held", vec![Refuse(Code::PermissionDenied, "scripted"), Hang]),
        (
            "held, and the call that joins it refused",
            vec![Hang, Refuse(Code::PermissionDenied, "scripted"), Hang],
        ),
        ("refused, then headers alone", vec![Refuse(Code::PermissionDenied, "scripted"), Headers]),
    ] {
        let bench = Bench::new();
        let _endpoint = Endpoint::start(&bench.socket(), acts);
        let mut settings = bench.settings();
        settings.signing_timeout = Duration::from_millis(1500);
        let fetcher = Fetcher::start(settings, accept()).unwrap();
        let begun = Instant::now();
        fetcher.begin(begun);
        std::thread::sleep(Duration::from_millis(2500));
        let report = fetcher.report(begun + Duration::from_millis(1500));
        assert!(
            matches!(report.last, Some(FetchError::Refused { code: Code::PermissionDenied, .. })),
            "{case}: {report:?}"
        );
        assert!(report.to_string().contains("no registration entry matches this pod"), "{case}: {report}");
    }
    let bench = Bench::new();
    let mut settings = bench.settings();
    settings.signing_timeout = Duration::from_secs(1);
    let fetcher = Fetcher::start(settings, accept()).unwrap();
    wait("no socket", &fetcher, 10_000, |state| matches!(last(state), Some(FetchError::Connect { .. })));
    let silent = StdListener::bind(bench.socket()).unwrap();
    let begun = Instant::now();
    fetcher.begin(begun);
    std::thread::sleep(Duration::from_millis(1500));
    let report = fetcher.report(Instant::now());
    assert!(matches!(report.last, Some(FetchError::Connect { .. })), "cut after a second: {report:?}");
    drop((fetcher, silent));

    let mut settings = bench.settings();
    settings.signing_timeout = Duration::from_secs(60);
    std::fs::remove_file(bench.socket()).unwrap();
    let fetcher = Fetcher::start(settings, accept()).unwrap();
    wait("no socket", &fetcher, 10_000, |state| matches!(last(state), Some(FetchError::Connect { .. })));
    let silent = StdListener::bind(bench.socket()).unwrap();
    let begun = Instant::now();
    fetcher.begin(begun);
    std::thread::sleep(Duration::from_millis(1000));
    let report = fetcher.report(begun + Duration::from_secs(10));
    assert_eq!(report.last, None, "who does not answer for long has been connected to: {report}");
    assert!(report.to_string().contains("has not answered the last call"), "{report}");
    drop(silent);
}

#[test]
fn durations_are_rounded_for_people() {
    for (milliseconds, text) in [
        (0, "0 s"),
        (42, "0 s"),
        (50, "0.1 s"),
        (1000, "1 s"),
        (1449, "1.4 s"),
        (9960, "10 s"),
        (59_951, "60 s"),
    ] {
        assert_eq!(Seconds(Duration::from_millis(milliseconds)).to_string(), text);
    }
}

#[test]
fn pauses_grow_to_their_limit() {
    for random in [0, 1, 250, u64::MAX / 2, u64::MAX] {
        let ms = |pause: Duration| u64::try_from(pause.as_millis()).unwrap();
        let mut hurried = Backoff::new();
        let first = ms(hurried.next(random));
        assert!((250..=500).contains(&first), "{random}: first {first}");
        let mut base = first;
        for round in 1..40 {
            base = (base * 3 / 2).min(2000);
            let pause = ms(hurried.next(random));
            assert!(
                (base * 79 / 100..=base * 121 / 100).contains(&pause),
                "{random}: round {round} {pause} {base}"
            );
        }
        let mut unhurried = Backoff::new();
        let pauses: Vec<u64> = (0..100).map(|_| ms(unhurried.next_unhurried(random))).collect();
        let in_ten_seconds = pauses.iter().scan(0, |passed, pause| (*passed += pause, Some(*passed)).1);
        let in_ten_seconds = in_ten_seconds.take_while(|&passed| passed <= 10_000).count();
        assert!(
            in_ten_seconds >= 4,
            "{random}: a registration that takes seconds is noticed soon: {pauses:?}"
        );
        assert!((24_000..=36_000).contains(&pauses[99]), "{random}: {pauses:?}");
    }
    for (remaining, expected) in [(None, 35_000), (Some(60_000), 35_000), (Some(5_000), 5_000), (Some(0), 0)]
    {
        let deadline = attempt_deadline(remaining.map(Duration::from_millis));
        assert_eq!(deadline, Duration::from_millis(expected), "{remaining:?}");
    }
    assert_eq!(ATTEMPT_DEADLINE, Duration::from_secs(35));
}
