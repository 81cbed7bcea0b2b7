//! `svidence timestamp`, from asking a TSA (`openssl ts` behind HTTP) to a TaskRun that verifies after its certificate expired.

use crate::support;
use crate::tsa;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use ring::rand::SystemRandom;
use serde_json::{Value, json};
use support::{proxy::Proxy, signed::Cluster};
use svidence::{
    evidence::sha256, standin::taskrun::assemble, tekton::taskrun::TaskRun, verify::prove::time::attestations,
};
use time::OffsetDateTime;
use tsa::{P256, RSA, Server, Setup, Tsa, require_openssl, write};
use unixtime::UnixSeconds;
use x509::text::hex;

fn svidence(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
    // The servers here are on this machine, which no proxy may stand before.
    for variable in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(variable).env_remove(variable.to_uppercase());
    }
    command.args(args).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// TaskRun `default/timed` with two signed steps, whose certificate lasts this many seconds from now, and its bundle.
fn signed(ttl: u64) -> (Value, String) {
    let cluster = Cluster::new("timed");
    let path = "/ns/default/taskrun/timed";
    let svid = cluster
        .ca
        .issue(path, &[], UnixSeconds::new(now()), std::time::Duration::from_secs(ttl), &SystemRandom::new())
        .unwrap();
    cluster.agent.serve(&cluster.ca, &svid);
    let pod = cluster.pod(&["one", "two"], &[]);
    let reports = [0, 1].map(|i| {
        let step = pod.step(i).signed(&cluster.agent.address()).results(&["a"]);
        let outcome = step.script("printf value >$RESULTS/a").run();
        assert!(outcome.output.status.success(), "{}", outcome.stderr());
        outcome.report
    });
    let task_spec = json!({"results": [{"name": "a"}], "steps": [{"name": "one"}, {"name": "two"}]});
    (assemble(&cluster.spec(task_spec), &reports), cluster.ca.bundle_pem())
}

fn serve(setup: &Setup) -> (String, Server) {
    let tsa = Tsa::new(setup);
    let root = tsa.pem("root.pem");
    (root, Server::start(Box::new(move |_, query| ("200 OK".into(), tsa.reply(query)))))
}

/// What the files of its steps' time stamps are called.
fn token_names(object: &Value) -> Vec<String> {
    let attestations = attestations(&TaskRun::from_value(object.clone()).unwrap()).unwrap();
    let name = |(step, attestation): (String, Vec<u8>)| {
        format!("default_timed_{step}_{}.tsr", hex(&sha256(&attestation)[..8]))
    };
    attestations.into_iter().map(name).collect()
}

/// The object after `kubectl patch --type merge`, for what such a patch holds here.
fn patched(object: &Value, patch: &str) -> Value {
    let patch: Value = serde_json::from_str(patch).unwrap();
    let mut object = object.clone();
    object["metadata"]["annotations"] = patch["metadata"]["annotations"].clone();
    object
}

#[test]
fn a_time_stamped_taskrun_verifies_after_its_certificate_expired() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (root, tsa) = serve(&RSA);
    let (object, bundle) = signed(10);
    let expiry = now() + 10;
    let folder = folder.path();
    let task_run = write(folder, "taskrun.json", object.to_string());
    let (bundle, root) = (write(folder, "bundle.pem", bundle), write(folder, "tsa.pem", root));
    let tokens = folder.join("tokens");
    let tokens = tokens.to_str().unwrap();
    let stamp = ["timestamp", "--tsa", &tsa.address, "--tsa-certificate", &root, &task_run];

    let written = svidence(&[&stamp[..], &["--output", tokens]].concat());
    assert!(written.status.success(), "{}", err(&written));
    let mut names: Vec<String> = fs::read_dir(tokens)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = token_names(&object);
    assert_eq!(names, expected);
    let patch = svidence(&stamp);
    assert!(patch.status.success(), "{}", err(&patch));
    let annotated = write(folder, "annotated.json", patched(&object, &out(&patch)).to_string());
    let requests = tsa.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|one| requests.iter().filter(|other| one == *other).count() == 1), "nonces");

    let check = ["verify", "--trust-domain", "example.org", "--bundle", &bundle, "-o", "json"];
    let trusting = [&check[..], &["--tsa-certificate", &root]].concat();
    let early = svidence(&[&trusting[..], &["--timestamps", tokens, &task_run]].concat());
    assert!(early.status.success() && now() < expiry, "{}", err(&early));
    let report: Value = serde_json::from_str(&out(&early)).unwrap();
    assert_eq!(report["time"]["proof"], "valid-now");
    assert!(report["time"]["timeStamp"]["genTime"].is_string(), "{report}");
    assert!(err(&early).contains("certificates valid now; time-stamped at 20"), "{}", err(&early));

    thread::sleep(Duration::from_secs((expiry + 1 - now()).max(0) as u64));
    let file = format!("{tokens}/{}", expected[0]);
    for (case, args, code) in [
        ("no token", vec![&*task_run], 4),
        ("tokens by file", vec!["--timestamps", tokens, &task_run], 0),
        ("one token for two steps", vec!["--timestamps", &file, &task_run], 4),
        ("tokens beside the TaskRun", vec![&*annotated], 0),
        ("both", vec!["--timestamps", tokens, &annotated], 0),
    ] {
        let ran = svidence(&[&trusting[..], &args].concat());
        assert_eq!(ran.status.code(), Some(code), "{case}: {}", err(&ran));
        if code != 0 {
            let report: Value = serde_json::from_str(&out(&ran)).unwrap();
            assert!(report.get("results").is_none(), "{case}: {report}");
            assert!(err(&ran).contains("is not proven"), "{case}: {}", err(&ran));
            continue;
        }
        let report: Value = serde_json::from_str(&out(&ran)).unwrap();
        assert_eq!(report["verdict"], "verified", "{case}");
        assert_eq!(report["time"]["proof"], "valid-then", "{case}");
        assert_eq!(report["time"]["tsaSha256"].as_str().map(str::len), Some(64), "{case}");
        for step in report["steps"].as_array().unwrap() {
            assert_eq!(step["time"]["proof"], "valid-then", "{case}");
            assert!(step["time"]["genTime"].is_string(), "{case}");
        }
        assert!(err(&ran).contains("by time stamp)"), "{case}: {}", err(&ran));
    }
    // A TSA that the operator does not name proves nothing.
    let ran = svidence(&[&check[..], &[&annotated]].concat());
    assert_eq!(ran.status.code(), Some(4), "{}", err(&ran));
    assert!(err(&ran).contains("give the certificate of one with --tsa-certificate"), "{}", err(&ran));
}

#[test]
fn what_is_there_already_is_kept_or_left_alone() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (root, tsa) = serve(&P256);
    let (object, _) = signed(600);
    let task_run = write(folder, "taskrun.json", object.to_string());
    let root = write(folder, "tsa.pem", root);
    let tokens = folder.join("tokens");
    let to_files = ["timestamp", "--tsa", &tsa.address, "--output", tokens.to_str().unwrap(), &task_run];
    assert!(svidence(&to_files).status.success());
    let file = tokens.join(&token_names(&object)[0]);
    let first = fs::read(&file).unwrap();
    let again = svidence(&to_files);
    assert!(again.status.success() && err(&again).starts_with("kept"), "{}", err(&again));
    assert_eq!((fs::read(&file).unwrap(), tsa.requests.lock().unwrap().len()), (first.clone(), 2));

    fs::write(&file, "something else").unwrap();
    let refused = svidence(&to_files);
    assert_eq!(refused.status.code(), Some(3), "{}", err(&refused));
    assert!(err(&refused).contains("move it away"), "{}", err(&refused));
    assert_eq!(fs::read_to_string(&file).unwrap(), "something else");

    // In the annotation, what is not a good time stamp is replaced.
    let to_patch = |object: &Value| {
        let file = write(folder, "annotated.json", object.to_string());
        let args = ["timestamp", "--tsa", &tsa.address, "--tsa-certificate", &root, &file];
        let ran = svidence(&args);
        assert!(ran.status.success(), "{}", err(&ran));
        (patched(object, &out(&ran)), err(&ran))
    };
    let (mut annotated, _) = to_patch(&object);
    let (same, said) = to_patch(&annotated);
    assert_eq!(same, annotated);
    assert_eq!(said.matches("kept ").count(), 2, "{said}");
    let text = annotated["metadata"]["annotations"]["svidence.dev/timestamps"].as_str().unwrap();
    let mut by_step: Value = serde_json::from_str(text).unwrap();
    by_step["one"] = by_step["two"].clone();
    annotated["metadata"]["annotations"]["svidence.dev/timestamps"] = json!(by_step.to_string());
    let (_, said) = to_patch(&annotated);
    assert!(said.contains("stamped   default/timed, step one") && said.contains("kept "), "{said}");
}

#[test]
fn a_tsa_behind_tls_is_asked_if_its_certificate_is_known() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (object, _) = signed(600);
    let task_run = write(folder, "taskrun.json", object.to_string());
    let tsa = Tsa::new(&P256);
    let (config, certificate) = support::tls::loopback();
    let server = Server::start_tls(config, Box::new(move |_, query| ("200 OK".into(), tsa.reply(query))));
    let known = write(folder, "known.pem", certificate);
    let args = ["timestamp", "--tsa", &server.address, &task_run];
    let ran = svidence(&[&args[..], &["--tls-ca", &known]].concat());
    assert!(ran.status.success() && out(&ran).contains("svidence.dev/timestamps"), "{}", err(&ran));
    let other = write(folder, "other.pem", Tsa::new(&P256).pem("root.pem"));
    let ran = svidence(&[&args[..], &["--tls-ca", &other]].concat());
    assert_eq!((ran.status.code(), out(&ran)), (Some(3), String::new()), "{}", err(&ran));
    assert!(err(&ran).contains("does not answer"), "{}", err(&ran));
}

#[test]
fn an_authority_is_asked_by_the_proxy_that_leads_there() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let task_run = write(folder, "taskrun.json", signed(600).0.to_string());
    let (tsa, of_tls) = (Tsa::new(&P256), Tsa::new(&P256));
    let (config, certificate) = support::tls::loopback();
    let with_tls =
        Server::start_tls(config, Box::new(move |_, query| ("200 OK".into(), of_tls.reply(query))));
    let plain = Server::start(Box::new(move |_, query| ("200 OK".into(), tsa.reply(query))));
    let known = write(folder, "known.pem", certificate);
    let (open, closed) = (Proxy::open(), Proxy::closed("403 Forbidden"));
    let (open_url, closed_url) = (&*open.url, &*closed.url);
    let socks = "socks5://me:secret@127.0.0.1:1";
    for (case, server, variables, is_asked, says) in [
        ("https", &with_tls, [("HTTPS_PROXY", open_url), ("HTTP_PROXY", closed_url)], true, ""),
        ("https, small letters", &with_tls, [("https_proxy", open_url), ("all_proxy", closed_url)], true, ""),
        (
            "https, none",
            &with_tls,
            [("HTTPS_PROXY", open_url), ("NO_PROXY", "elsewhere.test")],
            false,
            "does not answer",
        ),
        (
            "https, refused",
            &with_tls,
            [("HTTPS_PROXY", closed_url), ("NO_PROXY", "")],
            false,
            "does not connect (403)",
        ),
        (
            "https, SOCKS",
            &with_tls,
            [("HTTPS_PROXY", socks), ("NO_PROXY", "")],
            false,
            "only proxies of http://",
        ),
        ("http", &plain, [("HTTP_PROXY", open_url), ("HTTPS_PROXY", closed_url)], true, ""),
        ("http, none", &plain, [("HTTP_PROXY", open_url), ("NO_PROXY", "*")], false, "does not answer"),
        (
            "http, that of https",
            &plain,
            [("HTTPS_PROXY", open_url), ("ALL_PROXY", open_url)],
            false,
            "does not answer",
        ),
    ] {
        let address = server.address.replace("127.0.0.1", "tsa.elsewhere.test");
        let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
        command.args(["timestamp", "--tsa", &address, "--tls-ca", &known, &task_run]);
        let ran = command.env_clear().envs(variables).output().unwrap();
        assert_eq!(ran.status.code(), Some(if says.is_empty() { 0 } else { 3 }), "{case}: {}", err(&ran));
        assert!(err(&ran).contains(says) && !err(&ran).contains("secret"), "{case}: {}", err(&ran));
        assert_eq!(!open.asked().is_empty(), is_asked, "{case}: {}", err(&ran));
    }
}

#[test]
fn nothing_is_kept_of_an_answer_that_is_no_good() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (object, _) = signed(600);
    let task_run = write(folder, "taskrun.json", object.to_string());
    let (tsa, other) = (Tsa::new(&P256), Tsa::new(&RSA));
    let trusted = write(folder, "other.pem", other.pem("root.pem"));
    let stale = tsa.stamp(&[7; 32], &["-cert"]);
    let server = Server::start(Box::new(move |path, query| match path {
        "/good" => ("200 OK".into(), tsa.reply(query)),
        "/stale" => ("200 OK".into(), stale.clone()),
        "/error" => ("503 Service Unavailable".into(), b"busy\n".to_vec()),
        "/sigstore-error" => ("400 Bad Request".into(), b"{\"code\":400,\"message\":\"no digest\"}".to_vec()),
        "/page" => ("404 Not Found".into(), b"<html>".to_vec()),
        "/members" => ("401 Unauthorized".into(), vec![]),
        "/see-other" => ("303 See Other\r\nLocation: /good".into(), vec![]),
        "/nowhere" => ("307 Temporary Redirect".into(), vec![]),
        "/elsewhere" => ("307 Temporary Redirect\r\nLocation: http://localhost:1/good".into(), vec![]),
        "/ftp" => ("307 Temporary Redirect\r\nLocation: ftp://127.0.0.1/good".into(), vec![]),
        "/round" => ("307 Temporary Redirect\r\nLocation: /round".into(), vec![]),
        "/empty" => ("204 No Content".into(), vec![]),
        "/html" => ("200 OK".into(), b"<html>".to_vec()),
        "/large" => ("200 OK".into(), vec![0x30; 70_000]),
        // The imprint of another attestation, with the nonce that was asked for.
        "/imprint" => {
            let mut query = query.to_vec();
            let start = query.windows(2).position(|two| two == [4, 32]).unwrap() + 2;
            query[start] ^= 1;
            ("200 OK".into(), tsa.reply(&query))
        }
        _ => {
            thread::sleep(Duration::from_secs(3));
            ("200 OK".into(), tsa.reply(query))
        }
    }));
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let url = |path: &str| format!("{}{path}", server.address);
    let mut nameless = object.clone();
    nameless["metadata"]["namespace"] = json!("../x");
    let nameless = write(folder, "nameless.json", nameless.to_string());
    let mut bare = object.clone();
    bare["status"]["results"] = json!([]);
    for step in bare["status"]["steps"].as_array_mut().unwrap() {
        step["terminated"].as_object_mut().unwrap().remove("message");
    }
    let bare = write(folder, "bare.json", bare.to_string());
    let (none, other_tsa): (&[&str], _) = (&[], ["--tsa-certificate", trusted.as_str()]);
    /// What it is, URL, source, more arguments, exit code, a part of what is said.
    type Case<'a> = (&'a str, String, &'a str, &'a [&'a str], i32, &'a str);
    let cases: Vec<Case<'_>> = vec![
        ("nobody there", closed, &task_run, none, 3, "does not answer"),
        ("too slow", url("/slow"), &task_run, &["--timeout", "1"], 3, "does not answer: timeout"),
        (
            "an HTTP error",
            url("/error"),
            &task_run,
            none,
            3,
            "HTTP status 503 Service Unavailable: busy; ask again later",
        ),
        (
            "an error of Sigstore's",
            url("/sigstore-error"),
            &task_run,
            none,
            3,
            "\"message\":\"no digest\"}; see that",
        ),
        ("an error with a page", url("/page"), &task_run, none, 3, "404 Not Found; see that the address"),
        ("for members only", url("/members"), &task_run, none, 3, "user and password"),
        ("a page about it", url("/see-other"), &task_run, none, 3, "HTTP status 303"),
        ("sent nowhere", url("/nowhere"), &task_run, none, 3, "HTTP status 307"),
        (
            "sent elsewhere",
            url("/elsewhere"),
            &task_run,
            none,
            3,
            "to http://localhost:1/good, which is another host",
        ),
        ("sent to no web server", url("/ftp"), &task_run, none, 3, "not an address of http or https"),
        ("sent round and round", url("/round"), &task_run, none, 3, "sends on more than 5 times"),
        ("nothing", url("/empty"), &task_run, none, 3, "answers with nothing, not with a time stamp"),
        (
            "a web page",
            url("/html"),
            &task_run,
            none,
            3,
            "answers with application/timestamp-reply, not with",
        ),
        ("too much", url("/large"), &task_run, none, 3, "more than 65536 bytes"),
        ("an old answer", url("/stale"), &task_run, none, 3, "its nonce is not that of the request"),
        ("other data", url("/imprint"), &task_run, none, 3, "of other data"),
        ("another TSA", url("/good"), &task_run, &other_tsa, 3, "did not lead to"),
        ("rejected", url("/good"), &task_run, &["--policy", "1.2.3.4.9"], 3, "(unacceptedPolicy)"),
        ("no attestation", url("/good"), &bare, none, 2, "no step has an attestation"),
        ("an unsafe name", url("/good"), &nameless, none, 3, "of a Kubernetes namespace"),
        ("no host", "http://".into(), &task_run, none, 64, "not the address of a service"),
        ("no HTTP", "ftp://localhost".into(), &task_run, none, 64, "neither http:// nor https://"),
        ("no policy", url("/good"), &task_run, &["--policy", "x"], 64, "not an object identifier"),
        (
            "no authorities for https",
            "https://localhost:1".into(),
            &task_run,
            &["--tls-ca", "/nowhere"],
            3,
            "/nowhere",
        ),
        ("https to nobody", "https://127.0.0.1:1".into(), &task_run, none, 3, "does not answer"),
    ];
    let kept = |folder: &Path| fs::read_dir(folder).map_or(0, Iterator::count);
    for (case, url, source, more, code, text) in cases {
        let output = folder.join(case);
        let args = [&["timestamp", "--tsa", &url, source][..], more].concat();
        for to_files in [true, false] {
            // Only a file is named after the object.
            if !to_files && case == "an unsafe name" {
                continue;
            }
            let files = ["--output", output.to_str().unwrap()];
            let ran = svidence(&[&args[..], if to_files { &files } else { none }].concat());
            assert_eq!(ran.status.code(), Some(code), "{case}: {}", err(&ran));
            assert!(err(&ran).contains(text), "{case}: {}", err(&ran));
            assert_eq!((out(&ran), kept(&output)), (String::new(), 0), "{case}");
        }
    }
}

#[test]
fn several_taskruns_without_a_folder_are_a_mistake_before_the_tsa_is_asked() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (object, _) = signed(600);
    let (_, tsa) = serve(&P256);
    let one = write(folder, "one.json", object.to_string());
    let other = write(folder, "other.json", object.to_string());
    let two = write(folder, "two.jsonl", format!("{object}\n{object}\n"));
    for (case, sources) in [("one file", vec![&*two]), ("two files", vec![&*one, &*other])] {
        let ran = svidence(&[&["timestamp", "--tsa", &tsa.address][..], &sources].concat());
        assert_eq!((ran.status.code(), out(&ran)), (Some(64), String::new()), "{case}: {}", err(&ran));
        assert!(err(&ran).contains("several TaskRuns"), "{case}: {}", err(&ran));
        assert_eq!(tsa.requests.lock().unwrap().len(), 0, "{case}");
    }
}

#[test]
fn runs_of_one_name_share_a_folder() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (root, tsa) = serve(&P256);
    let root = write(folder, "tsa.pem", root);
    let tokens = folder.join("tokens");
    let tokens = tokens.to_str().unwrap();
    for i in 0..2 {
        let (object, bundle) = signed(600);
        let task_run = write(folder, &format!("{i}.json"), object.to_string());
        let bundle = write(folder, &format!("{i}.pem"), bundle);
        let ran = svidence(&["timestamp", "--tsa", &tsa.address, "--output", tokens, &task_run]);
        assert!(ran.status.success(), "{}", err(&ran));
        assert_eq!(fs::read_dir(tokens).unwrap().count(), 2 * (i + 1));
        let check =
            ["verify", "--trust-domain", "example.org", "--bundle", &bundle, "--tsa-certificate", &root];
        let ran = svidence(&[&check[..], &["--timestamps", tokens, &task_run]].concat());
        assert!(err(&ran).contains("time-stamped at"), "{}", err(&ran));
    }
}

/// Sigstore's authority says 201; others sit behind a redirect, or say what they send in words of their own.
#[test]
fn any_success_counts_and_a_redirect_on_the_same_host_is_followed() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (object, _) = signed(600);
    let task_run = write(folder, "taskrun.json", object.to_string());
    let tsa = Tsa::new(&P256);
    let root = write(folder, "tsa.pem", tsa.pem("root.pem"));
    let port = Arc::new(Mutex::new(String::new()));
    let own = port.clone();
    let server = Server::start(Box::new(move |path, query| {
        let own = own.lock().unwrap();
        let host = own.trim_start_matches("http:");
        let moved = |status: u16, to: &str| (format!("{status} Moved\r\nLocation: {to}"), vec![]);
        match path {
            "/301" => moved(301, "/200"),
            "/302" => moved(302, "200"),
            "/307" => moved(307, &format!("{own}/200")),
            "/308" => moved(308, &format!("{host}/200")),
            "/a/b" => moved(307, "?c"),
            "/a/b?c" => moved(307, "d"),
            "/a/d" => moved(307, &format!("{own}/4")),
            "/4" => moved(307, "/5"),
            "/5" => moved(307, "/200"),
            "/text" => ("200 OK\r\nContent-Type: text/html".into(), tsa.reply(query)),
            path => (format!("{} Fine", &path[1..]), tsa.reply(query)),
        }
    }));
    *port.lock().unwrap() = server.address.clone();
    for path in ["200", "201", "202", "203", "206", "226", "299", "301", "302", "307", "308", "a/b", "text"] {
        let url = format!("{}/{path}", server.address);
        let ran = svidence(&["timestamp", "--tsa", &url, "--tsa-certificate", &root, &task_run]);
        assert!(
            ran.status.success() && out(&ran).contains("svidence.dev/timestamps"),
            "{path}: {}",
            err(&ran)
        );
    }
}

#[test]
fn a_redirect_leads_from_http_to_https_and_never_back() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (object, _) = signed(600);
    let task_run = write(folder, "taskrun.json", object.to_string());
    let (root, plain) = serve(&P256);
    let root = write(folder, "tsa.pem", root);
    let back = plain.address.clone();
    let tsa = Tsa::new(&P256);
    let own_root = write(folder, "own.pem", tsa.pem("root.pem"));
    let (config, known) = support::tls::loopback();
    let answer = move |path: &str, query: &[u8]| match path {
        "/back" => (format!("307 Moved\r\nLocation: {back}/"), vec![]),
        _ => ("200 OK".into(), tsa.reply(query)),
    };
    let tls = Server::start_tls(config, Box::new(answer));
    let known = write(folder, "known.pem", known);
    let up = tls.address.clone();
    let http = Server::start(Box::new(move |_, _| (format!("308 Moved\r\nLocation: {up}/"), vec![])));
    let ask = |url: &str, root: &str| {
        svidence(&["timestamp", "--tsa", url, "--tls-ca", &known, "--tsa-certificate", root, &task_run])
    };
    let ran = ask(&http.address, &own_root);
    assert!(ran.status.success(), "{}", err(&ran));
    let ran = ask(&format!("{}/back", tls.address), &root);
    assert_eq!(ran.status.code(), Some(3), "{}", err(&ran));
    assert!(err(&ran).contains("which is no longer https"), "{}", err(&ran));
    assert_eq!(plain.requests.lock().unwrap().len(), 0);
}

#[test]
fn bad_files_and_arguments_have_their_own_errors() {
    if !require_openssl() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (object, bundle) = signed(600);
    let (root, tsa) = serve(&P256);
    let task_run = write(folder, "taskrun.json", object.to_string());
    let (bundle, root) = (write(folder, "bundle.pem", bundle), write(folder, "tsa.pem", root));
    let tokens = folder.join("tokens");
    let tokens = tokens.to_str().unwrap();
    let ran = svidence(&["timestamp", "--tsa", &tsa.address, "--output", tokens, &task_run]);
    assert!(ran.status.success(), "{}", err(&ran));
    // Passed over for its name, left out for its content, and of a TaskRun that is not looked at.
    write(Path::new(tokens), "README", "x");
    write(Path::new(tokens), "bad.tsr", "no token");
    let other = Tsa::new(&P256).stamp(&[7; 32], &["-cert"]);
    write(Path::new(tokens), "other.tsr", other);
    let (empty, key) =
        (write(folder, "empty.pem", ""), write(folder, "key.pem", "-----BEGIN PRIVATE KEY-----\n"));
    let broken = x509::pem::encode(&[0x30, 0]);
    let (mixed, useless) = (
        write(folder, "mixed.pem", format!("{broken}{}", fs::read_to_string(&root).unwrap())),
        write(folder, "useless.pem", broken),
    );
    for (case, args, code, texts) in [
        (
            "a folder",
            vec!["--tsa-certificate", &root, "--timestamps", tokens],
            0,
            vec!["bad.tsr is left out: it is not a time-stamp token", "time-stamped at"],
        ),
        (
            "two TSAs",
            vec!["--tsa-certificate", &root, "--tsa-certificate", &bundle, "--timestamps", tokens],
            0,
            vec!["time-stamped at"],
        ),
        ("no TSA", vec!["--timestamps", tokens], 64, vec!["--tsa-certificate"]),
        (
            "no such file",
            vec!["--tsa-certificate", &root, "--timestamps", "/nowhere"],
            3,
            vec!["/nowhere: No such file"],
        ),
        (
            "no such certificate",
            vec!["--tsa-certificate", "/nowhere"],
            3,
            vec!["--tsa-certificate /nowhere: No such file"],
        ),
        (
            "a certificate of no use beside a good one",
            vec!["--tsa-certificate", &mixed, "--timestamps", tokens],
            0,
            vec!["certificate 1: ", "it is left out", "time-stamped at"],
        ),
        ("none of use", vec!["--tsa-certificate", &useless], 3, vec!["certificate 1: "]),
        ("no certificate", vec!["--tsa-certificate", &empty], 3, vec!["it holds no certificate in PEM"]),
        ("a key", vec!["--tsa-certificate", &key], 3, vec!["PRIVATE KEY"]),
    ] {
        let all = [&["verify", "--trust-domain", "example.org", "--bundle", &bundle, &task_run][..], &args]
            .concat();
        let ran = svidence(&all);
        assert_eq!(ran.status.code(), Some(code), "{case}: {}", err(&ran));
        assert_eq!(out(&ran).is_empty(), code != 0, "{case}: {}", out(&ran));
        for text in texts {
            assert!(err(&ran).contains(text), "{case}: {}", err(&ran));
        }
    }
}
