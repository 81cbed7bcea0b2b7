//! Where a trust domain's bundle is published: a real SPIRE's bundle endpoint in both profiles, its agent, and the store that keeps what
//! was seen there.

use crate::support;

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
};
use serde_json::{Value, json};
use support::{
    command::{self, Ran, svidence},
    proxy::Proxy,
    scripted::Scripted,
    spire::{BundleEndpoint, EntryOptions, Spire, SpireOptions},
};
use svidence::{
    bundles::store::{Added, BundleStore, FILE, StoreError},
    standin::{agent::DevAgent, ca::DevCa},
    workload::{bundle::X509Bundle, id::TrustDomain},
};
use tempfile::TempDir;
use time::OffsetDateTime;
use unixtime::UnixSeconds;
use x509::pem;

const TRUST_DOMAIN: [&str; 2] = ["--trust-domain", "example.org"];
const SERVER: &str = "spiffe://example.org/spire/server";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `svidence bundle add` to this store, of example.org.
fn add(store: &Path, arguments: &[&str]) -> Ran {
    svidence(&[&["bundle", "add", "--store", text(store)], &TRUST_DOMAIN[..], arguments].concat(), "")
}

fn succeeds(what: &str, ran: &Ran) {
    assert_eq!(ran.code, 0, "{what}: {}{}", ran.out, ran.err);
}

/// The certificates of a store, in DER.
fn held(store: &Path) -> Vec<Vec<u8>> {
    let content = fs::read(store.join(FILE)).unwrap();
    let store = BundleStore::parse(&TrustDomain::new("example.org").unwrap(), &content).unwrap();
    store.authorities().iter().map(|sighted| sighted.certificate.der().to_vec()).collect()
}

fn certificates(pem: &str) -> Vec<Vec<u8>> {
    pem::certificates(pem).map(Result::unwrap).collect()
}

/// A folder with the files that endpoints and clients need.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }
}

/// The certificate of a web server for these names, its key, and the authority that vouches for it.
struct Web {
    certificate: String,
    key: KeyPair,
    authority: String,
}

/// An authority without a SPIFFE ID, as corporate ones are.
fn authority(number: u8) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, format!("root {number}"));
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Web {
    fn new(names: &[&str]) -> Self {
        let authority = authority(0);
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        Self { certificate: certificate.pem(), key, authority: authority.pem() }
    }
}

/// Arguments for an endpoint of this profile.
fn endpoint<'a>(url: &'a str, profile: &'a str) -> Vec<&'a str> {
    vec!["--bundle-endpoint", url, "--endpoint-profile", profile]
}

#[test]
fn the_bundle_endpoint_of_a_real_spire_is_read_in_the_profile_https_spiffe() {
    let options = SpireOptions { bundle_endpoint: Some(BundleEndpoint::Spiffe), ..SpireOptions::default() };
    let Some(spire) = Spire::start(options) else { return };
    let files = Files::new();
    let url = spire.bundle_endpoint();
    let bootstrap = files.write("bootstrap.pem", spire.bundle_pem());
    // Another server's, as an attacker has it.
    let Some(other) = Spire::start(SpireOptions::default()) else { return };
    let foreign = files.write("foreign.pem", other.bundle_pem());
    let store = files.path("store");
    const OTHER: &str = "spiffe://example.org/spire/agent";
    let refused = [
        (
            "another ID",
            OTHER,
            &bootstrap,
            "it is spiffe://example.org/spire/server, not spiffe://example.org/spire/agent",
        ),
        ("another authority", SERVER, &foreign, "leads to no authority of the bundle"),
    ];
    for (case, id, bundle, words) in refused {
        let more = ["--endpoint-id", id, "--endpoint-bundle", text(bundle)];
        let ran = add(&store, &[endpoint(&url, "https_spiffe"), more.to_vec()].concat());
        assert_eq!(ran.code, 3, "{case}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{case}: {}", ran.err);
        assert!(!store.join(FILE).exists(), "{case}: something was added");
    }

    let first = ["--endpoint-id", SERVER, "--endpoint-bundle", text(&bootstrap)];
    succeeds("first", &add(&store, &[endpoint(&url, "https_spiffe"), first.to_vec()].concat()));
    assert_eq!(held(&store), certificates(&spire.bundle_pem()));

    // From then on the store itself says who the server may be.
    let old = spire.active_authority();
    let next = spire.prepare_authority();
    let again = ["--endpoint-id", SERVER, "--endpoint-bundle", text(&store)];
    let both = until(|| {
        succeeds("again", &add(&store, &[endpoint(&url, "https_spiffe"), again.to_vec()].concat()));
        held(&store).len() == 2
    });
    assert!(both, "the second authority did not come");
    assert_eq!(held(&store).len(), 2);
    spire.activate_authority(&next);
    spire.taint_authority(&old);
    spire.revoke_authority(&old);
    let pruned = certificates(&spire.bundle_pem());
    assert_eq!(pruned.len(), 1, "SPIRE has pruned its first authority");
    succeeds("pruned", &add(&store, &[endpoint(&url, "https_spiffe"), again.to_vec()].concat()));
    assert_eq!(held(&store).len(), 2, "a store loses nothing");
    let content = fs::read(store.join(FILE)).unwrap();
    let kept = BundleStore::parse(&TrustDomain::new("example.org").unwrap(), &content).unwrap();
    let current: Vec<_> =
        kept.current().unwrap().authorities().iter().map(|known| known.der().to_vec()).collect();
    assert_eq!(current, pruned, "a revoked authority says no longer who the endpoint is");

    // A web server's profile for one that shows an SVID.
    let ran = add(&store, &[endpoint(&url, "https_web"), vec!["--endpoint-ca", text(&bootstrap)]].concat());
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("whether the endpoint's profile is https_spiffe"), "{}", ran.err);
}

/// Whether it becomes true within half a minute.
fn until(mut is_true: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if is_true() {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn the_bundle_endpoint_of_a_real_spire_is_read_in_the_profile_https_web() {
    let files = Files::new();
    let web = Web::new(&["127.0.0.1"]);
    let certificate = files.write("web.pem", &web.certificate);
    let key = files.write("web.key", web.key.serialize_pem());
    let ca = files.write("ca.pem", &web.authority);
    let other_ca = files.write("other.pem", Web::new(&["127.0.0.1"]).authority);
    let profile = BundleEndpoint::Web { certificate, key };
    let Some(spire) =
        Spire::start(SpireOptions { bundle_endpoint: Some(profile), ..SpireOptions::default() })
    else {
        return;
    };
    let url = spire.bundle_endpoint();
    let by_name = url.replace("127.0.0.1", "localhost");
    let nothing = format!("{url}/nothing");
    let bootstrap = files.write("bootstrap.pem", spire.bundle_pem());
    let web = |url, ca| (url, "https_web", vec!["--endpoint-ca", text(ca)]);
    let shows = vec!["--endpoint-id", SERVER, "--endpoint-bundle", text(&bootstrap)];
    let cases = [
        ("genuine", web(&url, &ca), 0, "1 authority new"),
        (
            "another authority",
            web(&url, &other_ca),
            3,
            "none of the authorities that are trusted has issued it",
        ),
        ("another host", web(&by_name, &ca), 3, "it is for another host"),
        ("nothing there", web(&nothing, &ca), 3, "HTTP status 404"),
        ("shows no SVID", (&url, "https_spiffe", shows), 3, "its certificate is not an X509-SVID"),
    ];
    for (case, (url, profile, more), code, words) in cases {
        let store = files.path(case);
        let ran = add(&store, &[endpoint(url, profile), more].concat());
        assert_eq!(ran.code, code, "{case}: {}{}", ran.out, ran.err);
        assert!(format!("{}{}", ran.out, ran.err).contains(words), "{case}: {}{}", ran.out, ran.err);
    }
    assert_eq!(held(&files.path("genuine")), certificates(&spire.bundle_pem()));
}

/// As [`add`], with nothing in the environment but this.
fn add_with(environment: &[(&str, &str)], store: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
    command.args(["bundle", "add", "--store", text(store)]).args(TRUST_DOMAIN).args(arguments);
    let output = command.env_clear().envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// In both profiles; that of web servers by way of a server that sends on to SPIRE's.
#[test]
fn a_bundle_endpoint_is_asked_by_the_proxy_that_leads_there() {
    let files = Files::new();
    let web = Web::new(&["spire.elsewhere.test"]);
    let certificate = files.write("web.pem", &web.certificate);
    let profile = BundleEndpoint::Web { certificate, key: files.write("web.key", web.key.serialize_pem()) };
    let of =
        |profile| Spire::start(SpireOptions { bundle_endpoint: Some(profile), ..SpireOptions::default() });
    let (Some(by_name), Some(by_id)) = (of(profile), of(BundleEndpoint::Spiffe)) else { return };
    // A name that only the proxy knows.
    let elsewhere = |url: &str, name: &str| url.replace("127.0.0.1", &format!("{name}.elsewhere.test"));
    let to = elsewhere(&by_name.bundle_endpoint(), "spire");
    let location = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let sends_on = Scripted::start(Box::new(move |_, _| location.clone()));
    let ca = files.write("ca.pem", format!("{}{}", web.authority, sends_on.certificate));
    let bootstrap = files.write("bootstrap.pem", by_id.bundle_pem());
    let from = elsewhere(&format!("https://{}", sends_on.address), "first");
    let id = elsewhere(&by_id.bundle_endpoint(), "other");
    let target = |url: &str| url.strip_prefix("https://").unwrap().to_owned();
    let web = || [endpoint(&from, "https_web"), vec!["--endpoint-ca", text(&ca)]].concat();
    let more = ["--endpoint-id", SERVER, "--endpoint-bundle", text(&bootstrap)];
    let spiffe = || [endpoint(&id, "https_spiffe"), more.to_vec()].concat();
    let (open, closed) = (Proxy::open(), Proxy::closed("403 Forbidden"));
    let (both, one) = (vec![target(&from), target(&to)], vec![target(&id)]);
    let (open_url, closed_url) = (&*open.url, &*closed.url);
    let of_https = open_url.replace("http://", "https://");
    type Row<'a> = (&'a str, Vec<&'a str>, Vec<(&'a str, &'a str)>, Vec<String>, &'a str);
    let unknown = "no answer: failed to lookup";
    let table: Vec<Row<'_>> = vec![
        ("web", web(), vec![("HTTPS_PROXY", open_url)], both.clone(), ""),
        ("web, in small letters", web(), vec![("https_proxy", open_url), ("NO_PROXY", "else")], both, ""),
        (
            "web, but where it sends to",
            web(),
            vec![("HTTPS_PROXY", open_url), ("NO_PROXY", "spire.elsewhere.test")],
            vec![target(&from)],
            unknown,
        ),
        (
            "web, none",
            web(),
            vec![("HTTPS_PROXY", open_url), ("no_proxy", "elsewhere.test")],
            vec![],
            unknown,
        ),
        ("web, plain HTTP", web(), vec![("HTTP_PROXY", open_url), ("ALL_PROXY", open_url)], vec![], unknown),
        ("web, refused", web(), vec![("HTTPS_PROXY", closed_url)], vec![], "does not connect (403)"),
        ("SPIFFE", spiffe(), vec![("HTTPS_PROXY", open_url)], one.clone(), ""),
        (
            "SPIFFE, capitals first",
            spiffe(),
            vec![("HTTPS_PROXY", open_url), ("https_proxy", closed_url)],
            one,
            "",
        ),
        ("SPIFFE, none", spiffe(), vec![("HTTPS_PROXY", open_url), ("NO_PROXY", "*")], vec![], unknown),
        ("SPIFFE, refused", spiffe(), vec![("HTTPS_PROXY", closed_url)], vec![], "does not connect (403)"),
        (
            "SPIFFE, of https",
            spiffe(),
            vec![("HTTPS_PROXY", &of_https)],
            vec![],
            "with https_spiffe no other is used",
        ),
        (
            "SPIFFE, SOCKS",
            spiffe(),
            vec![("HTTPS_PROXY", "socks5://me:secret@127.0.0.1:1")],
            vec![],
            "only proxies of http:// and https://",
        ),
    ];
    for (case, arguments, environment, expected, words) in table {
        let ran = add_with(&environment, &files.path(case), &arguments);
        let shown = || format!("{case}: {}{}", ran.out, ran.err);
        assert_eq!(ran.code, if words.is_empty() { 0 } else { 3 }, "{}", shown());
        assert!(ran.err.contains(words) && !ran.err.contains("secret"), "{}", shown());
        assert_eq!(open.asked(), expected, "{}", shown());
    }
    let here = by_id.bundle_endpoint();
    let local = [endpoint(&here, "https_spiffe"), more.to_vec()].concat();
    succeeds("this machine", &add_with(&[("HTTPS_PROXY", closed_url)], &files.path("local"), &local));
}

#[test]
fn an_endpoint_that_gives_no_bundle_is_said_to() {
    let files = Files::new();
    const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}";
    let cases = [
        ("hangs", "hang", "no answer within 1 s"),
        ("never ends", "endless", "more than 4194304 bytes"),
        (
            "sends on without https",
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "to a place without https",
        ),
        (
            "sends on forever",
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            "again and again",
        ),
        ("fails", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "HTTP status 503"),
        ("is cut", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"keys\":[", "no answer"),
        ("holds nothing", EMPTY, "it holds no certificate authority"),
        ("is a page", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "it is HTML or XML"),
    ];
    for (case, answer, words) in cases {
        // No real server does this.
        let server = Scripted::start(Box::new(move |_, _| match answer {
            "hang" => {
                thread::sleep(Duration::from_secs(60));
                String::new()
            }
            "endless" => {
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}", " ".repeat(8 << 20))
            }
            answer => answer.to_owned(),
        }));
        let ca = files.write("ca.pem", &server.certificate);
        let url = format!("https://{}", server.address);
        let store = files.path(case);
        let more = ["--endpoint-ca", text(&ca), "--bundle-timeout", "1"];
        let ran = add(&store, &[endpoint(&url, "https_web"), more.to_vec()].concat());
        assert_eq!(ran.code, 3, "{case}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{case}: {}", ran.err);
        assert!(!store.exists(), "{case}: something was added");
    }
}

#[test]
fn arguments_for_a_published_bundle_are_held_to_their_rules() {
    let files = Files::new();
    let bundle = command::path("bundle.pem");
    let url = "https://127.0.0.1:1";
    let spiffe = endpoint(url, "https_spiffe");
    let cases: [(&str, Vec<&str>, i32, &str); 15] = [
        ("nothing", vec![], 64, "what is to be added is missing"),
        ("no profile", vec!["--bundle-endpoint", url], 64, "--endpoint-profile"),
        ("profile alone", vec!["--endpoint-profile", "https_web"], 64, "--bundle-endpoint"),
        ("no https", endpoint("http://127.0.0.1:1", "https_web"), 64, "begins with https://"),
        ("a user", endpoint("https://me@127.0.0.1:1", "https_web"), 64, "no user or password"),
        ("no host", endpoint("https:///", "https_web"), 64, "--bundle-endpoint"),
        ("no port", endpoint("https://127.0.0.1:", "https_web"), 64, "its port is not a number"),
        ("a large port", endpoint("https://127.0.0.1:65979", "https_web"), 64, "its port is not a number"),
        (
            "an authority for no endpoint",
            vec!["--bundle", &bundle, "--endpoint-ca", &bundle],
            64,
            "--bundle-endpoint",
        ),
        ("patience for nobody", vec!["--bundle", &bundle, "--bundle-timeout", "1"], 64, "neither is given"),
        ("no ID", spiffe.clone(), 64, "needs --endpoint-id"),
        (
            "not an ID",
            [&spiffe[..], &["--endpoint-id", "example.org", "--endpoint-bundle", &bundle]].concat(),
            64,
            "not a SPIFFE ID",
        ),
        (
            "an ID for a web server",
            [&endpoint(url, "https_web")[..], &["--endpoint-id", SERVER]].concat(),
            64,
            "are for --endpoint-profile https_spiffe",
        ),
        (
            "a web server's authority for an ID",
            [&spiffe[..], &["--endpoint-id", SERVER, "--endpoint-bundle", &bundle, "--endpoint-ca", &bundle]]
                .concat(),
            64,
            "--endpoint-ca is for --endpoint-profile https_web",
        ),
        (
            "nobody there",
            [&spiffe[..], &["--endpoint-id", SERVER, "--endpoint-bundle", &bundle]].concat(),
            3,
            "no answer",
        ),
    ];
    for (case, arguments, code, words) in cases {
        let ran = add(&files.path("store"), &arguments);
        assert_eq!(ran.code, code, "{case}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{case}: {}", ran.err);
    }
    assert!(!files.path("store").exists(), "something was added");
}

#[test]
fn a_real_agent_gives_its_bundle_to_those_it_knows() {
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    let files = Files::new();
    let store = files.path("store");
    let option = format!("--workload-api={}", spire.socket_uri());
    let ran = add(&store, &[&option]);
    assert_eq!(ran.code, 3, "nobody is registered: {}{}", ran.out, ran.err);
    for words in ["no registration entry matches", "allow_unauthenticated_verifiers"] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    spire.entry(EntryOptions::new("/ns/default/sa/verifier"));
    let added = until(|| add(&store, &[&option]).code == 0);
    assert!(added, "the agent gave no bundle");
    assert_eq!(held(&store), certificates(&spire.bundle_pem()));
    let ran = svidence(
        &["bundle", "add", "--store", text(&files.path("other")), "--trust-domain", "other.org", &option],
        "",
    );
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("no bundle of other.org, only of example.org"), "{}", ran.err);
    let home = tempfile::tempdir().unwrap();
    let doctor = |trust_domain: &str, option: &str| -> (Option<i32>, Vec<String>) {
        let mut doctor = Command::new(env!("CARGO_BIN_EXE_svidence"));
        doctor.args(["doctor", "-o", "json", "--trust-domain", trust_domain, option]);
        let ran = doctor.env_clear().env("HOME", home.path()).output().unwrap();
        let told = |line: &str| {
            let check: Value = serde_json::from_str(line).unwrap();
            format!(
                "{} {}: {}",
                check["check"].as_str().unwrap(),
                check["status"].as_str().unwrap(),
                check["found"]
            )
        };
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap().lines().map(told).collect())
    };
    let nowhere = "--workload-api=unix:///nowhere/agent.sock";
    for (case, trust_domain, option, code, says) in [
        (
            "all is well",
            "example.org",
            option.as_str(),
            0,
            &["agent ok", "svid ok: \"spiffe://example.org/ns/default/sa/verifier, valid until", "bundle ok"]
                [..],
        ),
        ("another trust domain", "other.org", &option, 1, &["agent ok", "svid ok", "bundle failed"]),
        (
            "no agent",
            "example.org",
            nowhere,
            1,
            &["agent failed: \"unix:///nowhere/agent.sock: cannot", "bundle failed"],
        ),
    ] {
        let (found_code, found) = doctor(trust_domain, option);
        assert_eq!(found_code, Some(code), "{case}: {found:?}");
        for (line, says) in found.iter().zip(says) {
            assert!(line.starts_with(says), "{case}: {line}");
        }
        assert_eq!(found.len(), says.len() + 1, "{case}: {found:?}");
    }
    // An agent that can be asked once only. For the agent, what is between them is a process of the same user.
    let between = files.path("between.sock");
    once(&between, spire.agent_socket());
    let (code, found) = doctor("example.org", &format!("--workload-api=unix://{}", text(&between)));
    assert_eq!(code, Some(0), "the doctor asks a second time: {found:?}");
    let ran = add(&store, &["--workload-api=unix:///nowhere/agent.sock"]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("cannot connect to the SPIRE agent"), "{}", ran.err);
}

/// A socket that leads to another one, and is gone as soon as somebody has connected to it.
fn once(socket: &Path, target: PathBuf) {
    let listener = UnixListener::bind(socket).unwrap();
    let socket = socket.to_owned();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        fs::remove_file(socket).unwrap();
        drop(listener);
        let mut agent = UnixStream::connect(target).unwrap();
        let (mut answers, mut answered) = (agent.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || io::copy(&mut client, &mut agent));
        io::copy(&mut answers, &mut answered)
    });
}

#[test]
fn a_real_agent_may_give_its_bundle_to_everybody() {
    let options = SpireOptions { unauthenticated_verifiers: true, ..SpireOptions::default() };
    let Some(spire) = Spire::start(options) else { return };
    let files = Files::new();
    let store = files.path("store");
    let option = format!("--workload-api={}", spire.socket_uri());
    let added = until(|| add(&store, &[&option]).code == 0);
    assert!(added, "{}", add(&store, &[&option]).err);
    assert_eq!(held(&store), certificates(&spire.bundle_pem()));
}

/// The stand-in, since SPIRE's agent has the call for bundles.
#[test]
fn an_agent_without_the_call_for_bundles_is_asked_for_svids() {
    let files = Files::new();
    let (store, socket) = (files.path("store"), files.path("a.sock"));
    let random = SystemRandom::new();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let ca = DevCa::new("example.org", UnixSeconds::new(now - 60), &random).unwrap();
    let agent = DevAgent::start(&socket).unwrap();
    let option = format!("--workload-api=unix://{}", text(&socket));
    let ran = add(&store, &[&option, "--bundle-timeout=1"]);
    assert_eq!(ran.code, 3, "nobody has an identity: {}{}", ran.out, ran.err);
    agent.serve(
        &ca,
        &ca.issue(
            "/ns/default/sa/verifier",
            &[],
            UnixSeconds::new(now - 60),
            std::time::Duration::from_secs(3600),
            &random,
        )
        .unwrap(),
    );
    succeeds("add", &add(&store, &[&option]));
    assert_eq!(held(&store), certificates(&ca.bundle_pem()));
}

#[test]
fn who_holds_the_lock_of_a_store_is_waited_for_and_that_is_told() {
    let files = Files::new();
    let store = files.path("store");
    fs::create_dir(&store).unwrap();
    let folder = fs::File::open(&store).unwrap();
    folder.lock().unwrap();
    let bundle = command::path("bundle.pem");
    let arguments = ["bundle", "add", "--store", text(&store), "--bundle", &bundle];
    let mut adding = Command::new(env!("CARGO_BIN_EXE_svidence"))
        .args([&arguments[..], &TRUST_DOMAIN].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = String::new();
    BufReader::new(adding.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("waiting for the lock of --store") && told.contains(text(&store)), "{told}");
    assert_eq!(adding.try_wait().unwrap(), None, "it went on without the lock");
    folder.unlock().unwrap();
    assert!(adding.wait().unwrap().success());
    assert_eq!(held(&store).len(), 1);
}

#[test]
fn what_is_in_a_store_verifies_and_the_report_says_when_it_was_seen() {
    let files = Files::new();
    let store = files.path("store");
    let bundle = command::path("bundle.pem");
    succeeds("add", &add(&store, &["--bundle", &bundle]));
    let report = files.path("report.json");
    let html = files.path("report.html");
    let outputs = [format!("json={}", text(&report)), format!("html={}", text(&html))];
    let task_run = command::path("taskrun.json");
    let arguments = [
        "verify",
        &task_run,
        "--bundle",
        text(&store),
        "-v",
        "-o",
        "text",
        "-o",
        &outputs[0],
        "-o",
        &outputs[1],
    ];
    let ran = svidence(&[&arguments[..], &TRUST_DOMAIN].concat(), "");
    succeeds("verify", &ran);
    let document: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    let authority = &document["steps"][0]["authority"];
    let content: Value = serde_json::from_slice(&fs::read(store.join(FILE)).unwrap()).unwrap();
    for member in ["firstSeen", "lastSeen"] {
        assert_eq!(authority[member], content["authorities"][0][member], "{member}: {authority}");
        assert!(authority[member].is_string(), "{member}: {authority}");
    }
    assert_eq!(authority["file"], json!(text(&store.join(FILE))));
    let seen = format!("seen from {}", authority["firstSeen"].as_str().unwrap());
    for (what, text) in [("people", ran.err), ("html", fs::read_to_string(&html).unwrap())] {
        assert!(text.contains(&seen), "{what}: {text}");
    }
}

/// A SPIFFE bundle document with the demo's authority.
fn document(sequence: Option<u64>) -> String {
    let pem = fs::read_to_string(command::path("bundle.pem")).unwrap();
    let der = certificates(&pem).remove(0);
    let mut document = json!({"keys": [{"kty": "EC", "use": "x509-svid", "x5c": [STANDARD.encode(der)]}]});
    if let Some(sequence) = sequence {
        document["spiffe_sequence"] = json!(sequence);
    }
    document.to_string()
}

#[test]
fn an_older_bundle_is_refused_and_changes_nothing() {
    let files = Files::new();
    let store = files.path("store");
    for (case, sequence, code) in [
        ("first", Some(7), 0),
        ("the same", Some(7), 0),
        ("none stated", None, 0),
        ("lower", Some(6), 3),
        ("higher", Some(8), 0),
        ("lower than the last one", Some(7), 3),
    ] {
        let before = fs::read(store.join(FILE)).ok();
        let bundle = files.write("bundle.json", document(sequence));
        let ran = add(&store, &["--bundle", text(&bundle)]);
        assert_eq!(ran.code, code, "{case}: {}{}", ran.out, ran.err);
        if code != 0 {
            assert!(ran.err.contains("so it is an old one"), "{case}: {}", ran.err);
            assert!(!ran.err.contains("The store lacks"), "{case}: {}", ran.err);
            assert_eq!(fs::read(store.join(FILE)).ok(), before, "{case}: the store was changed");
        }
    }
    // Fetched before a rotation, and added after the next one: what it alone has is not lost silently.
    let other = files.path("other");
    succeeds("another store", &add(&other, &["--bundle", text(&files.write("9.json", document(Some(9))))]));
    let certificate = authority(1).der().to_vec();
    let mut old: Value = serde_json::from_str(&document(Some(8))).unwrap();
    old["keys"][0]["x5c"] = json!([STANDARD.encode(&certificate)]);
    let ran = add(&other, &["--bundle", text(&files.write("8.json", old.to_string()))]);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    let digest: String =
        digest(&SHA256, &certificate).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let lacks = format!("The store lacks what is in it: the authority with the SHA-256 {digest}");
    assert!(ran.err.contains(&lacks), "{}", ran.err);
}

#[test]
fn a_clock_that_was_set_back_takes_no_sight_away() {
    let trust_domain = TrustDomain::new("example.org").unwrap();
    let pem = fs::read_to_string(command::path("bundle.pem")).unwrap();
    let bundle = X509Bundle::from_pem(trust_domain.clone(), &pem).unwrap();
    let mut store = BundleStore::new(trust_domain.clone());
    for (at, added, seen) in [
        (1_000, Added { new: 1, known: 0 }, (1_000, 1_000)),
        (2_000, Added { new: 0, known: 1 }, (1_000, 2_000)),
        (1_500, Added { new: 0, known: 1 }, (1_000, 2_000)),
        (500, Added { new: 0, known: 1 }, (500, 2_000)),
    ] {
        assert_eq!(store.add(&bundle, true, "here", UnixSeconds::new(at)), Ok(added), "at {at}");
        store = BundleStore::parse(&trust_domain, store.to_json().as_bytes()).unwrap();
        let [sighted] = store.authorities() else { panic!("at {at}: {store:?}") };
        assert_eq!((sighted.first_seen.get(), sighted.last_seen.get()), seen, "at {at}");
    }
    let other = X509Bundle::from_pem(TrustDomain::new("other.org").unwrap(), &pem);
    assert!(other.is_err(), "its authority names its trust domain");
    let mut other = BundleStore::new(TrustDomain::new("other.org").unwrap());
    assert!(matches!(
        other.add(&bundle, true, "here", UnixSeconds::new(0)),
        Err(StoreError::OtherTrustDomain { .. })
    ));
}

#[test]
fn those_that_add_at_once_lose_nothing() {
    let files = Files::new();
    let store = files.path("store");
    let bundles: Vec<PathBuf> =
        (0..8).map(|number| files.write(&format!("{number}.pem"), authority(number).pem())).collect();
    thread::scope(|scope| {
        for bundle in &bundles {
            scope.spawn(|| succeeds("add", &add(&store, &["--bundle", text(bundle)])));
        }
    });
    let mut expected: Vec<_> =
        bundles.iter().flat_map(|file| certificates(&fs::read_to_string(file).unwrap())).collect();
    let mut held = held(&store);
    expected.sort();
    held.sort();
    assert_eq!(held, expected);
}

#[test]
fn a_damaged_store_is_refused_and_stays_as_it_is() {
    let files = Files::new();
    let store = files.path("store");
    let bundle = command::path("bundle.pem");
    succeeds("add", &add(&store, &["--bundle", &bundle]));
    let genuine: Value = serde_json::from_slice(&fs::read(store.join(FILE)).unwrap()).unwrap();
    let other = certificates(&authority(1).pem()).remove(0);
    let changed = |pointer: &str, value: Value| {
        let mut document = genuine.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        document.to_string()
    };
    let with = |member: &str, value: Value| {
        let mut document = genuine.clone();
        document[member] = value;
        document.to_string()
    };
    let entry = &genuine["authorities"][0];
    let whole = genuine.to_string();
    let cases = [
        (
            "another certificate",
            changed("/authorities/0/certificate", json!(STANDARD.encode(&other))),
            "has the SHA-256",
        ),
        ("another digest", changed("/authorities/0/sha256", json!("00".repeat(32))), "has the SHA-256"),
        ("no digest", changed("/authorities/0/sha256", json!("x")), "not a SHA-256"),
        ("not base64", changed("/authorities/0/certificate", json!("?")), "not base64"),
        (
            "not a certificate",
            changed("/authorities/0/certificate", json!("AAAA")),
            "entry 1 of it is damaged",
        ),
        ("not a time", changed("/authorities/0/firstSeen", json!("yesterday")), "not a time in RFC 3339"),
        (
            "times in the wrong order",
            changed("/authorities/0/lastSeen", json!("2000-01-01T00:00:00Z")),
            "before its firstSeen",
        ),
        ("twice the same", changed("/authorities", json!([entry, entry])), "entry 2 of it is damaged"),
        ("a later version", changed("/svidenceBundleStore", json!(2)), "take a newer svidence"),
        (
            "of another trust domain",
            changed("/trustDomain", json!("other.org")),
            "holds the authorities of other.org",
        ),
        ("not a trust domain", changed("/trustDomain", json!("a b")), "not a store of authorities"),
        ("unknown member", with("more", json!(1)), "unknown field"),
        ("nothing in it", changed("/authorities", json!([])), "no certificate authority"),
    ];
    for (case, content, words) in cases {
        fs::write(store.join(FILE), &content).unwrap();
        let task_run = command::path("taskrun.json");
        let arguments = [&["verify", &task_run, "--bundle", text(&store)], &TRUST_DOMAIN[..]].concat();
        let ran = svidence(&arguments, "");
        assert_eq!(ran.code, 3, "{case}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{case}: {}", ran.err);
        // An empty store can be added to.
        if case == "nothing in it" {
            continue;
        }
        let ran = add(&store, &["--bundle", &bundle]);
        assert_eq!(ran.code, 3, "{case}: {}{}", ran.out, ran.err);
        assert_eq!(fs::read_to_string(store.join(FILE)).unwrap(), content, "{case}: the store was changed");
    }
    for end in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(store.join(FILE), &whole[..end]).unwrap();
        let ran = add(&store, &["--bundle", &bundle]);
        assert_eq!(ran.code, 3, "cut after {end} bytes: {}{}", ran.out, ran.err);
    }
}

#[test]
fn a_store_is_not_added_to_a_store() {
    let files = Files::new();
    let store = files.path("store");
    succeeds("add", &add(&store, &["--bundle", &command::path("bundle.pem")]));
    let ran = add(&store, &["--bundle", text(&store)]);
    assert_eq!(ran.code, 64, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("is a store itself"), "{}", ran.err);
}

#[test]
fn certificates_that_somebody_collected_do_not_say_who_an_endpoint_is() {
    let files = Files::new();
    let store = files.path("store");
    let current = || -> Vec<bool> {
        let content: Value = serde_json::from_slice(&fs::read(store.join(FILE)).unwrap()).unwrap();
        content["authorities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["current"] == json!(true))
            .collect()
    };
    let first = files.write("first.pem", authority(1).pem());
    succeeds("before anything was published", &add(&store, &["--bundle", text(&first)]));
    assert_eq!(current(), [true]);
    let published = files.write("bundle.json", document(Some(7)));
    succeeds("published", &add(&store, &["--bundle", text(&published)]));
    assert_eq!(current(), [false, true]);
    let old = files.write("old.pem", authority(2).pem());
    succeeds("an old one", &add(&store, &["--bundle", text(&old)]));
    assert_eq!(current(), [false, true, false]);
}

#[test]
fn a_report_replaces_neither_a_store_nor_what_is_beside_it() {
    let files = Files::new();
    let store = files.path("store");
    let bundle = command::path("bundle.pem");
    succeeds("add", &add(&store, &["--bundle", &bundle]));
    files.write("store/notes.txt", "{}");
    let before = fs::read(store.join(FILE)).unwrap();
    let task_run = command::path("taskrun.json");
    for name in [FILE, "notes.txt"] {
        let output = format!("json={}", text(&store.join(name)));
        let arguments = ["verify", &task_run, "--bundle", text(&store), "-o", &output];
        let ran = svidence(&[&arguments[..], &TRUST_DOMAIN].concat(), "");
        assert_eq!(ran.code, 64, "{name}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains("the report would replace"), "{name}: {}", ran.err);
    }
    assert_eq!(fs::read(store.join(FILE)).unwrap(), before);
}

/// Whoever names a kubeconfig needs what it names, whichever context is chosen.
#[test]
fn a_report_replaces_neither_a_kubeconfig_nor_what_it_names() {
    let files = Files::new();
    // What is chosen names no file, and leads nowhere.
    let authority = STANDARD.encode(fs::read(command::path("bundle.pem")).unwrap());
    let kubeconfig = files.write(
        "config",
        format!(
            "current-context: here\n\
             contexts: [{{name: here, context: {{cluster: here, user: here}}}}]\n\
             clusters: [{{name: here, cluster: {{server: 'https://127.0.0.1:1', certificate-authority-data: {authority}}}}}, \
             {{name: other, cluster: {{server: 'https://127.0.0.1:1', certificate-authority: ca.pem}}}}]\n\
             users: [{{name: here, user: {{token: t}}}}, {{name: c, user: {{client-certificate: own.pem, client-key: own.key}}}}, \
             {{name: t, user: {{tokenFile: token}}}}, {{name: p, user: {{exec: {{command: ./gives-token}}}}}}]\n",
        ),
    );
    let task_run = command::path("taskrun.json");
    for (name, is_protected) in [
        ("config", true),
        ("ca.pem", true),
        ("own.pem", true),
        ("own.key", true),
        ("token", true),
        ("gives-token", true),
        ("another.pem", false),
    ] {
        let path = if name == "config" { kubeconfig.clone() } else { files.write(name, "what is there") };
        let before = fs::read(&path).unwrap();
        let (output, bundle) = (format!("json={}", text(&path)), command::path("bundle.pem"));
        for source in [&["--from", "kubernetes", "--kubeconfig", text(&kubeconfig)][..], &[&task_run]] {
            let arguments = ["verify", "--bundle", &bundle, "-o", &output];
            let mut verify = std::process::Command::new(env!("CARGO_BIN_EXE_svidence"));
            verify.args(arguments).args(source).args(TRUST_DOMAIN).env("KUBECONFIG", &kubeconfig);
            let ran = verify.output().unwrap();
            let says = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(says.contains("the report would replace"), is_protected, "{name}, {source:?}: {says}");
            assert_eq!(ran.status.code() == Some(64), is_protected, "{name}, {source:?}: {says}");
            assert!(
                !is_protected || fs::read(&path).unwrap() == before,
                "{name}, {source:?}: it was replaced"
            );
        }
    }
}
