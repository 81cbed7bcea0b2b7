//! Runs are judged as they finish, each once.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt as _,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    Expected, check,
    cluster::ApiServer,
    command, genuine,
    pages::between,
    rights::{apply, objects},
    support::{command::Ran, scripted::response},
    verify,
};

fn running(object: &Value) -> Value {
    let mut object = object.clone();
    object["status"] = json!({"conditions": [{"type": "Succeeded", "status": "Unknown"}]});
    object
}

/// A TaskRun of no PipelineRun, which nobody signed under its name.
fn alone(name: &str) -> Value {
    let mut object = genuine("ship").swap_remove(1);
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.remove("ownerReferences");
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("uid".to_owned(), json!(name));
    object
}

#[test]
fn runs_are_judged_as_they_finish_and_once() {
    let Some(server) = ApiServer::with_tekton() else { return };
    apply(&server, &objects("verifier.yaml", "default"));
    let user = json!({"token": server.token_of("svidence-verifier")});
    let kubeconfig = server.kubeconfig("verifier", &server.cluster(), &user);
    let release = genuine("failed-results");
    let (alone_1, alone_2) = (alone("alone-1"), alone("alone-2"));
    server.restore(&genuine("ship"));
    server.restore(release.iter().map(running).collect::<Vec<_>>().iter().chain([&running(&alone_1)]));
    let (out, err) = (server.folder.path().join("out"), server.folder.path().join("err"));
    let mut child = command(&[("KUBECONFIG", &kubeconfig)], &["--watch", "-v"])
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let ran =
        |code| Ran { code, out: fs::read_to_string(&out).unwrap(), err: fs::read_to_string(&err).unwrap() };
    let mut wait_for = |lines: usize| {
        while ran(0).out.lines().count() < lines {
            assert_eq!(child.try_wait().unwrap(), None, "{}", ran(0).err);
            thread::sleep(Duration::from_millis(50));
        }
    };
    // Those that had finished, then a PipelineRun with its TaskRuns, which are not told before.
    wait_for(6);
    server.restore(&release[1..]);
    server.restore([&alone_1]);
    wait_for(7);
    server.restore(&release[..1]);
    wait_for(13);
    // What begins again with a list tells nothing twice.
    server.restore(genuine("ship").iter().chain(&release).chain([&alone_1]));
    server.compact();
    server.restore([&alone_2]);
    wait_for(14);
    // Not SIGINT: a shell that runs the tests in the background lets them ignore it.
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(15), "{status}");
    let says = &[
        "watching namespace default for PipelineRuns",
        "PipelineRun default/ship",
        "PipelineRun default/release",
    ];
    let verdicts = &[("verified", 12), ("invalid", 2)];
    check("all of it", &ran(0), &Expected { code: 0, verdicts, says });
}

/// Something between ends each watch in another way, which the real server does not do at will; lists are its own.
#[test]
fn a_watch_that_is_cut_begins_again_and_tells_nothing_twice() {
    let Some(server) = ApiServer::with_tekton() else { return };
    let server = Arc::new(server);
    server.restore(&genuine("ship"));
    let (_scripted, kubeconfig) = between(&server, |server, path, answer| {
        static WATCHES: AtomicUsize = AtomicUsize::new(0);
        if !path.contains("watch=true") {
            return answer;
        }
        let expired = r#"{"kind":"Status","status":"Failure","reason":"Expired","code":410}"#;
        match WATCHES.fetch_add(1, Relaxed) {
            0 => {
                server.restore([&alone("alone-0")]);
                response("200 OK", "", "{\"type\":\"MODIFIED\",\"object\":{\"metad")
            }
            1 => response("410 Gone", "", expired),
            2 => response("200 OK", "", &format!("{{\"type\":\"ERROR\",\"object\":{expired}}}\n")),
            _ => response("401 Unauthorized", "", ""),
        }
    });
    let ran = verify(&[("KUBECONFIG", &kubeconfig)], &["--watch"]);
    let says = &["(401)", "PipelineRun default/ship"];
    check("to its end", &ran, &Expected { code: 1, verdicts: &[("verified", 6), ("invalid", 1)], says });
}

#[test]
fn a_watch_has_no_end_to_write_a_report_at_and_ends_where_it_may_not_go_on() {
    let Some(server) = ApiServer::shared() else { return };
    let rules = json!([
        {"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": ["list"]},
        {"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": ["list"]},
    ]);
    server.allow(("User", "lister"), Some("default"), &rules);
    let kubeconfig = server.kubeconfig_of("lister", &[]);
    for (case, arguments, code, says) in [
        ("without the verb", &["--watch", "-l", "test=none"][..], 3, "verbs: [\"watch\"]"),
        (
            "a report with an end",
            &["--watch", "-o", "sarif=/nonexistent/x"],
            64,
            "--watch writes text and json",
        ),
        ("named", &["--watch", "taskrun/a"], 64, "cannot be used with"),
        ("finished or not", &["--watch", "--all-finished"], 64, "cannot be used with"),
    ] {
        check(
            case,
            &verify(&[("KUBECONFIG", &kubeconfig)], arguments),
            &Expected { code, verdicts: &[], says: &[says] },
        );
    }
}
