//! The archive of Tekton Results, asked from within a pod, with the token of its service account. The root of files is this test's.

use crate::results;
use crate::support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use results::{
    kubernetes::{NOBODY, READER},
    server::{AUTH, Results},
};
use serde_json::json;
use support::scripted::{Scripted, response};
use svidence::sources::{
    authorities::ServerAuthorities,
    results::{Caller, Question, Results as Archive, TokenSource, Window},
    source::Source,
    walk::for_each,
};

/// A pod's files, with an account or without.
struct Pod {
    root: tempfile::TempDir,
}

impl Pod {
    fn new(has_account: bool) -> Self {
        let pod = Self { root: tempfile::tempdir().unwrap() };
        if has_account {
            fs::create_dir_all(pod.token().parent().unwrap()).unwrap();
        }
        pod
    }

    fn token(&self) -> PathBuf {
        self.root.path().join("var/run/secrets/kubernetes.io/serviceaccount/token")
    }

    /// The archive there, of namespace `default`.
    fn archive(&self, address: &str, ca: &Path) -> Archive {
        Archive {
            address: address.parse().unwrap(),
            authorities: ServerAuthorities::from_pem(&fs::read(ca).unwrap()).unwrap(),
            caller: Caller { token: TokenSource::of_pod(self.root.path()), impersonation: None },
            question: Question {
                parent: "default".parse().unwrap(),
                window: Window::default(),
                runs: Vec::new(),
                pipeline_runs_alone: false,
            },
            patience: Duration::from_secs(20),
            proxy: None,
        }
    }
}

/// What a walk finds, as lines: names, or why there is none.
fn walked(archive: Archive) -> Vec<String> {
    let mut found = Vec::new();
    let shown = format!("{archive:?}");
    for_each(Source::Results(Box::new(archive)), &mut |_, outcome| {
        found.push(match outcome {
            Ok(object) => object.metadata.name,
            Err(error) => error.to_string(),
        });
    });
    found.push(shown);
    found
}

#[test]
fn a_pod_asks_with_its_own_token() {
    let Some(results) = Results::start(true) else { return };
    let object = json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "one", "namespace": "default"}});
    results.store("default/results/r/records/one", "tekton.dev/v1.TaskRun", &object);
    let ca = PathBuf::from(results.ca_file());
    let (account, none) = (Pod::new(true), Pod::new(false));
    let line = |token: &str| Some(token.to_owned());
    for address in [format!("grpcs://127.0.0.1:{AUTH}"), format!("https://127.0.0.1:{AUTH}")] {
        for (case, pod, token, expected) in [
            ("no account", &none, None, "it wants a token, and none was given"),
            ("no file", &account, None, "serviceaccount/token is of no use: it cannot be read: No such file"),
            ("an empty file", &account, line(""), "serviceaccount/token is of no use: it is empty"),
            ("a line's end alone", &account, line("\n"), "serviceaccount/token is of no use: it is empty"),
            (
                "two lines",
                &account,
                line(&format!("{READER}\n{READER}\n")),
                "serviceaccount/token is of no use: it holds more than a token",
            ),
            ("without a right", &account, line(NOBODY), "permission denied"),
            ("a token", &account, line(READER), "one"),
            ("a token with a line's end", &account, line(&format!("{READER}\n")), "one"),
            ("with white space around it", &account, line(&format!(" {READER} \r\n")), "one"),
        ] {
            match token {
                Some(token) => fs::write(pod.token(), token).unwrap(),
                None => drop(fs::remove_file(pod.token())),
            }
            let found = results.network.inside(|| walked(pod.archive(&address, &ca)));
            assert_eq!(found.len(), 2, "{address}: {case}: {found:?}");
            let is_right = if expected == "one" { found[0] == expected } else { found[0].contains(expected) };
            assert!(is_right, "{address}: {case}: {found:?}");
            let is_shown = found.iter().any(|line| line.contains(READER) || line.contains(NOBODY));
            assert!(!is_shown, "{address}: {case}: {found:?}");
        }
    }
}

/// A server that replaces the pod's token while it answers: a fake, since of a real one's answers nobody knows when they come.
#[test]
fn a_token_that_is_replaced_in_the_middle_of_a_walk_is_read_again() {
    let record = |name: &str| {
        let object = json!({"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": name, "namespace": "default"}});
        let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, object.to_string());
        let data = json!({"type": "tekton.dev/v1.TaskRun", "value": value});
        json!({"name": format!("default/results/r/records/{name}"), "uid": name, "data": data})
    };
    // What the file holds after each answer; `None`: it is gone.
    type Case = (&'static str, [Option<&'static str>; 2], &'static [&'static str], &'static [&'static str]);
    let cases: [Case; 4] = [
        (
            "replaced twice",
            [Some("the.second"), Some("the.third\n")],
            &["the.first", "the.second", "the.third"],
            &["a", "b"],
        ),
        ("not replaced", [Some("the.first"), Some("the.first")], &["the.first"; 3], &["a", "b"]),
        (
            "gone in between",
            [Some("the.second"), None],
            &["the.first", "the.second"],
            &["a", "token is of no use: it cannot be read"],
        ),
        (
            "empty in between",
            [Some("the.second"), Some("\n")],
            &["the.first", "the.second"],
            &["a", "it is empty"],
        ),
    ];
    for (case, contents, tokens, expected) in cases {
        let pod = Pod::new(true);
        fs::write(pod.token(), "the.first\n").unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (file, noted) = (pod.token(), seen.clone());
        let (first, second) = (record("a"), record("b"));
        let server = Scripted::start(Box::new(move |path, headers| {
            let bearer = headers.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
            let mut seen = noted.lock().unwrap();
            seen.push(bearer.unwrap_or("none").to_owned());
            match contents.get(seen.len() - 1) {
                Some(Some(content)) => fs::write(&file, content).unwrap(),
                Some(None) => fs::remove_file(&file).unwrap(),
                None => {}
            }
            let answer = match (path.contains("/summary?"), path.contains("page_token=")) {
                (true, _) => json!({"summary": [{"total": 2}]}),
                (false, false) => json!({"records": [first], "next_page_token": "x"}),
                (false, true) => json!({"records": [second]}),
            };
            response("200 OK", "", &answer.to_string())
        }));
        let ca = pod.root.path().join("ca.pem");
        fs::write(&ca, &server.certificate).unwrap();
        let found = walked(pod.archive(&format!("https://{}", server.address), &ca));
        let (found, shown) = (&found[..found.len() - 1], &found[found.len() - 1]);
        assert_eq!(*seen.lock().unwrap(), tokens, "{case}: {found:?}");
        assert_eq!(found.len(), expected.len(), "{case}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{case}: {found}");
        }
        assert!(!format!("{found:?}{shown}").contains("the."), "{case}: a token is shown: {found:?} {shown}");
    }
}
