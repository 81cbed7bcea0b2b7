//! Lists, and what may go wrong with them.

use std::{
    fs,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    Expected, admin, check,
    cluster::ApiServer,
    command,
    support::scripted::{Scripted, response},
    verify,
};

#[test]
fn a_cluster_without_tekton_says_so() {
    let Some(server) = ApiServer::start() else { return };
    let kubeconfig = server.kubeconfig_of("admin", &["system:masters"]);
    for (arguments, resource) in [(&[][..], "pipelineruns"), (&["taskrun/ship-build"], "taskruns")] {
        let ran = verify(&[("KUBECONFIG", &kubeconfig)], arguments);
        let says = format!("knows no {resource} of tekton.dev/v1: Tekton Pipelines is not installed there");
        check(resource, &ran, &Expected { code: 3, verdicts: &[], says: &[&says, "no-tekton"] });
    }
}

/// The real answer to a request, or what something between makes of it.
pub(crate) type Between = fn(&ApiServer, &str, String) -> String;

/// Something between that speaks for the cluster, for what a real one cannot be made to do at will.
pub(crate) fn between(server: &Arc<ApiServer>, what: Between) -> (Scripted, String) {
    // The thread that answers outlives the test, and the server must not.
    let real = Arc::downgrade(server);
    let scripted = Scripted::start(Box::new(move |path, _| {
        let Some(real) = real.upgrade() else { return response("503 Service Unavailable", "", "") };
        let (status, body) = real.get(path);
        what(
            &real,
            path,
            response(&format!("{status} Answered"), "Content-Type: application/json\r\n", &body),
        )
    }));
    let authority = STANDARD.encode(&scripted.certificate);
    let cluster =
        json!({"server": format!("https://{}", scripted.address), "certificate-authority-data": authority});
    let name = format!("between-{}", scripted.address.replace(':', "-"));
    let kubeconfig = server.kubeconfig(&name, &cluster, &json!({"token": "a-secret-token"}));
    (scripted, kubeconfig)
}

/// Only so much of an answer; the connection ends there.
fn cut(answer: &str, behind: &str) -> String {
    let end = answer.rfind(behind).unwrap_or_else(|| panic!("{behind} is not in {answer}"));
    answer[..end].to_owned()
}

fn is_second_page(path: &str) -> bool {
    path.contains("continue=")
}

#[test]
fn a_list_is_read_page_by_page_and_what_is_missing_is_said() {
    let Some(server) = ApiServer::shared() else { return };
    let runs: Vec<Value> = (0..1100)
        .map(|number| {
            let metadata = json!({
                "name": format!("page-{number:04}"), "namespace": "pages", "uid": number.to_string(), "labels": {"test": "pages"},
            });
            json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": metadata, "spec": {}})
        })
        .collect();
    server.restore(&runs);
    let table: &[(&str, Between, i32, usize, &[&str])] = &[
        ("three pages", |_, _, answer| answer, 2, 1100, &["1100 TaskRuns"]),
        (
            // etcd forgets what the second page would be read from.
            "it expires",
            |server, path, answer| {
                if !is_second_page(path) && path.contains("taskruns") {
                    server.compact();
                }
                answer
            },
            3,
            500,
            &["the list expired before it was read to its end (410)", "list-expired"],
        ),
        (
            "cut in the middle of an object",
            |_, path, answer| {
                if is_second_page(path) { cut(&answer, "\"name\":\"page-0700\"") } else { answer }
            },
            3,
            700,
            &["was cut in the middle of its answer", "answer-cut"],
        ),
        (
            "cut behind the last object",
            |_, path, answer| {
                if is_second_page(path) { cut(&answer, "],\"kind\":\"TaskRunList\"") } else { answer }
            },
            3,
            1000,
            &["was cut in the middle of its answer"],
        ),
        (
            "a page for people",
            |_, _, _| response("200 OK", "Content-Type: text/html\r\n", "<html>Log in"),
            3,
            0,
            &["the answer is not one of the API server's", "odd-answer"],
        ),
        (
            "somewhere else",
            |_, _, _| response("302 Found", "Location: https://login.example.org/\r\n", ""),
            3,
            0,
            &["HTTP status 302", "a redirect is not followed"],
        ),
        (
            "busy for a moment",
            |_, path, answer| {
                static ASKED: AtomicUsize = AtomicUsize::new(0);
                match is_second_page(path) && ASKED.fetch_add(1, Relaxed) < 2 {
                    true => response("429 Too Many Requests", "Retry-After: 1\r\n", ""),
                    false => answer,
                }
            },
            2,
            1100,
            &[],
        ),
        (
            "busy for good",
            |_, _, _| response("429 Too Many Requests", "Retry-After: 0\r\n", "too many requests"),
            3,
            0,
            &["HTTP status 429: too many requests; ask again later", "refused-by-server"],
        ),
        (
            "busy",
            |_, _, _| response("503 Service Unavailable", "", "no healthy upstream for a-secret-token"),
            3,
            0,
            &["HTTP status 503: no healthy upstream for (the token); ask again later", "refused-by-server"],
        ),
        (
            "another kind",
            |_, path, answer| {
                if path.contains("taskruns") {
                    answer.replace("\"TaskRunList\"", "\"PodList\"    ")
                } else {
                    answer
                }
            },
            3,
            500,
            &["its kind is \"PodList\", not TaskRunList"],
        ),
        (
            "always the same page",
            |server, path, _| {
                let (_, body) = server.get("/apis/tekton.dev/v1/namespaces/pages/taskruns?limit=500");
                let mut page: Value = serde_json::from_str(&body).unwrap();
                page["metadata"]["continue"] = json!("again");
                if path.contains("pipelineruns") {
                    page = json!({"kind": "PipelineRunList", "apiVersion": "tekton.dev/v1", "metadata": {}, "items": []});
                }
                response("200 OK", "", &page.to_string())
            },
            3,
            1000,
            &["its list goes on where it began"],
        ),
        (
            "runs of another namespace",
            |_, path, answer| match is_second_page(path) {
                true => answer.replace("\"namespace\":\"pages\"", "\"namespace\":\"other\""),
                false => answer,
            },
            3,
            500,
            &["in a list of namespace pages there is a run of another one", "odd-answer"],
        ),
        (
            "pages that lead to each other",
            |_, path, answer| {
                if path.contains("pipelineruns") {
                    return answer;
                }
                let next = if path.contains("continue=a") { "b" } else { "a" };
                let page = json!({
                    "kind": "TaskRunList", "apiVersion": "tekton.dev/v1", "metadata": {"continue": next, "resourceVersion": "1"},
                    "items": [],
                });
                response("200 OK", "", &page.to_string())
            },
            3,
            0,
            &["its list goes on where it began"],
        ),
        (
            "more, but nobody says how to ask for it",
            |_, path, answer| {
                let more = r#"{"kind":"TaskRunList","apiVersion":"tekton.dev/v1","metadata":{"remainingItemCount":7},"items":[]}"#;
                if path.contains("taskruns") { response("200 OK", "", more) } else { answer }
            },
            3,
            0,
            &["there are more objects, but not how to ask for them"],
        ),
    ];
    for (case, what, code, judged, says) in table {
        let (_scripted, kubeconfig) = between(&server, *what);
        let ran = verify(&[("KUBECONFIG", &kubeconfig)], &["-n", "pages", "--all-finished"]);
        check(case, &ran, &Expected { code: *code, verdicts: &[("absent", *judged)], says });
    }
}

/// The largest resident memory of a verification in MB, as long as it could be seen.
fn peak(kubeconfig: &str, arguments: &[&str]) -> u64 {
    let mut child = command(&[("KUBECONFIG", kubeconfig)], arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let kilobytes = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak = kilobytes.map_or(peak, |text| text.parse().unwrap());
        thread::sleep(Duration::from_millis(5));
    }
    peak >> 10
}

#[test]
fn memory_does_not_grow_with_the_list() {
    let Some(server) = ApiServer::shared() else { return };
    let run = |number: usize| {
        let labels = json!({"test": if number < 1000 { "few" } else { "many" }});
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "spec": {"taskSpec": {"description": "x".repeat(11_000)}},
            "metadata": {"name": format!("large-{number}"), "namespace": "large", "labels": labels},
        })
    };
    for start in [0, 1000, 2000, 3000, 4000, 5000] {
        let runs: Vec<Value> = (start..start + 1000).map(run).collect();
        server.restore(&runs);
    }
    let kubeconfig = admin(&server);
    let few = peak(&kubeconfig, &["-n", "large", "-l", "test=few"]);
    let many = peak(&kubeconfig, &["-n", "large", "-l", "test=many"]);
    // Those that are more are 44 MB.
    assert!(few > 0 && many < few + 10, "{few} MB for 1000 and {many} MB for 5000");
}
