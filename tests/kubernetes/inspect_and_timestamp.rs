//! The commands besides `verify` that read runs: `inspect` and `timestamp`.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    admin,
    bundle::svidence,
    cluster::ApiServer,
    genuine,
    support::command::Ran,
    tsa::{RSA, Server, Tsa, require_openssl},
};

/// A label that the runs of one test have.
fn labelled(label: &str) -> Vec<Value> {
    let mut objects = genuine("ship");
    objects.iter_mut().for_each(|object| object["metadata"]["labels"]["test"] = json!(label));
    objects
}

/// The same in a namespace of their own, one of which has not finished.
fn with_one_that_runs(namespace: &str) -> Vec<Value> {
    let mut objects = labelled(namespace);
    let running = json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "spec": {},
        "metadata": {"name": "running", "labels": {"state": "running"}, "uid": "r"},
    });
    objects.push(running);
    objects.iter_mut().for_each(|object| object["metadata"]["namespace"] = json!(namespace));
    objects
}

#[test]
fn inspect_shows_runs_of_the_cluster() {
    let Some(server) = ApiServer::shared() else { return };
    server.restore(&with_one_that_runs("inspected"));
    let (admin, stranger) = (admin(&server), server.kubeconfig_of("stranger-inspect", &[]));
    let bundle = format!("{}/testdata/pipelineruns/ship/bundle.pem", env!("CARGO_MANIFEST_DIR"));
    let dsse = ["-o", "dsse", "--trust-domain=example.org", "--bundle", &bundle, "taskrun/ship-build"];
    type Row<'a> = (&'a str, &'a str, Vec<&'a str>, i32, usize, &'a str);
    let rows: Vec<Row<'_>> = vec![
        ("a TaskRun", &admin, vec!["-o", "json", "taskrun/ship-build"], 0, 1, ""),
        ("a PipelineRun's TaskRuns", &admin, vec!["-o", "json", "pipelinerun/ship"], 0, 5, ""),
        ("all", &admin, vec!["-o", "json"], 0, 6, ""),
        ("by label", &admin, vec!["-o", "json", "-l", "tekton.dev/pipelineRun=ship"], 0, 4, ""),
        (
            "none of that name",
            &admin,
            vec!["-o", "json", "taskrun/none"],
            3,
            0,
            "taskrun/none is not in namespace inspected",
        ),
        ("nothing there", &admin, vec!["-o", "json", "-l", "test=none"], 3, 0, "no run found in the cluster"),
        (
            "forbidden",
            &stranger,
            vec!["-o", "json", "taskrun/ship-build"],
            3,
            0,
            "a Role in namespace inspected needs the rule",
        ),
        (
            "waited for",
            &admin,
            vec!["-o", "json", "--wait=1s", "taskrun/running"],
            0,
            1,
            "waiting up to 1 s for taskrun/running",
        ),
    ];
    for (case, kubeconfig, more, code, lines, says) in rows {
        let from = ["inspect", "--from=kubernetes", "-n", "inspected"];
        let ran = svidence(kubeconfig, &[&from[..], &more].concat());
        assert_eq!((ran.code, ran.out.lines().count()), (code, lines), "{case}: {}", ran.err);
        assert!(ran.err.contains(says), "{case}: {}", ran.err);
        let is_shown = |line: &str| serde_json::from_str::<Value>(line).unwrap()["taskRun"].is_string();
        assert!(ran.out.lines().all(is_shown), "{case}: {}", ran.out);
    }
    // Where it is said to be, what is signed can be rebuilt.
    server.restore(&genuine("ship"));
    let ran = svidence(&admin, &[&["inspect", "--from=kubernetes", "-n", "default"][..], &dsse].concat());
    assert_eq!((ran.code, ran.out.lines().count()), (0, 2), "{}", ran.err);
}

/// A real TSA, and arguments that name it.
fn authority(server: &ApiServer) -> (Server, Vec<String>) {
    let tsa = Tsa::new(&RSA);
    let root = server.write("tsa-root.pem", tsa.pem("root.pem")).display().to_string();
    let running = Server::start(Box::new(move |_, query| ("200 OK".into(), tsa.reply(query))));
    let url = running.address.clone();
    (running, vec!["--tsa".to_owned(), url, "--tsa-certificate".to_owned(), root])
}

fn timestamp(kubeconfig: &str, authority: &[String], more: &[&str]) -> Ran {
    let from = ["timestamp", "--from=kubernetes"];
    svidence(
        kubeconfig,
        &from
            .into_iter()
            .chain(authority.iter().map(String::as_str))
            .chain(more.iter().copied())
            .collect::<Vec<_>>(),
    )
}

#[test]
fn runs_of_the_cluster_are_time_stamped() {
    let Some(server) = ApiServer::shared() else { return };
    if !require_openssl() {
        return;
    }
    server.restore(&with_one_that_runs("stamped"));
    let kubeconfig = admin(&server);
    let (_running, authority) = authority(&server);
    let folder = tempfile::tempdir().unwrap();
    type Row<'a> = (&'a str, &'a [&'a str], i32, usize, &'a str);
    let rows: &[Row<'_>] = &[
        ("a TaskRun", &["taskrun/ship-build"], 0, 2, "stamped   stamped/ship-build, step "),
        ("a PipelineRun's TaskRuns", &["pipelinerun/ship"], 0, 6, ""),
        ("all that have finished", &[], 0, 6, "left out  stamped/running: it has not finished"),
        ("by label", &["-l", "tekton.dev/pipelineRun=ship"], 0, 5, ""),
        ("one that has not finished", &["taskrun/running"], 2, 0, "stamped/running"),
        ("none of that name", &["taskrun/none"], 2, 0, "taskrun/none is not in namespace stamped"),
        ("nothing finished", &["-l", "state=running"], 3, 0, "no TaskRun has finished"),
        ("nothing finished, which is accepted", &["-l", "state=running", "--allow-empty"], 0, 0, ""),
        ("nothing there", &["-l", "test=none"], 3, 0, "no run found in the cluster"),
    ];
    for (number, (case, more, code, tokens, says)) in rows.iter().enumerate() {
        let own = folder.path().join(number.to_string());
        let to = ["-n", "stamped", "--output", own.to_str().unwrap()];
        let ran = timestamp(&kubeconfig, &authority, &[&to[..], more].concat());
        let written = fs::read_dir(&own).map_or(0, Iterator::count);
        assert_eq!((ran.code, written), (*code, *tokens), "{case}: {}", ran.err);
        assert!(ran.err.contains(says), "{case}: {}", ran.err);
    }
    let ran = timestamp(&kubeconfig, &authority, &["-n", "stamped"]);
    assert!(ran.code == 64 && ran.err.contains("name a folder with --output"), "{}", ran.err);
    let ran = timestamp(&kubeconfig, &authority, &["-n", "stamped", "--watch"]);
    assert!(ran.code == 64 && ran.err.contains("--watch goes on and on"), "{}", ran.err);
    // The patch is one that the API server takes, and what it stores is used from there.
    let ran = timestamp(&kubeconfig, &authority, &["-n", "stamped", "taskrun/ship-build"]);
    assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{}", ran.err);
    server.create("/api/v1/namespaces", &json!({"metadata": {"name": "stamped"}}));
    server.patch("/apis/tekton.dev/v1/namespaces/stamped/taskruns/ship-build", &ran.out);
    let again = timestamp(&kubeconfig, &authority, &["-n", "stamped", "taskrun/ship-build"]);
    assert!(again.code == 0 && again.err.contains("kept      stamped/ship-build"), "{}", again.err);
}

#[test]
fn a_watch_time_stamps_each_run_when_it_has_finished() {
    let Some(server) = ApiServer::shared() else { return };
    if !require_openssl() {
        return;
    }
    let kubeconfig = admin(&server);
    let (_running, authority) = authority(&server);
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_svidence"));
    command
        .args(["timestamp", "--from=kubernetes", "-n", "watched-stamps", "--watch", "--output"])
        .arg(folder.path());
    command.args(&authority).env_clear().env("KUBECONFIG", &kubeconfig);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let mut build: Value =
        labelled("watched").into_iter().find(|object| object["metadata"]["name"] == "ship-build").unwrap();
    build["metadata"]["namespace"] = json!("watched-stamps");
    // One of no PipelineRun.
    build["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    thread::sleep(Duration::from_millis(500));
    server.restore([&build]);
    let next = lines.next().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.contains("watching namespace watched-stamps"), "{first}");
    assert!(next.starts_with("stamped   watched-stamps/ship-build, step "), "{next}");
}
