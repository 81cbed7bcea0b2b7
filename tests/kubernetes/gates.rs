//! The gates that run in a cluster: what their containers would run, with the rights that config/verifier gives.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::{
    bundle::svidence,
    cluster::ApiServer,
    genuine,
    rights::{apply, objects},
};

fn documents(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(format!("{}/config/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let read = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap();
    text.split("\n---\n").map(read).collect()
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// A cluster with the runs of `ship`, the bundle, and the verifier's rights; and a kubeconfig with the verifier's token.
fn cluster() -> Option<(ApiServer, String)> {
    let server = ApiServer::with_tekton()?;
    server.restore(genuine("ship").iter().chain(&genuine("failed-results")));
    server.create("/api/v1/namespaces", &json!({"metadata": {"name": "spire"}}));
    let pem =
        fs::read_to_string(format!("{}/testdata/pipelineruns/ship/bundle.pem", env!("CARGO_MANIFEST_DIR")));
    let bundle = json!({"metadata": {"name": "spire-bundle"}, "data": {"bundle.crt": pem.unwrap()}});
    server.create("/api/v1/namespaces/spire/configmaps", &bundle);
    apply(&server, &objects("verifier.yaml", "default"));
    apply(&server, &documents("verifier/bundle/bundle.yaml"));
    let token = server.token_of("svidence-verifier");
    let kubeconfig = server.kubeconfig("gate", &server.cluster(), &json!({"token": token}));
    Some((server, kubeconfig))
}

/// Runs what a container would run, once the API server has heard of its rights.
fn run(kubeconfig: &str, arguments: &[String]) -> (i32, String) {
    for _ in 0..100 {
        // The certificates have expired since.
        let arguments = arguments.iter().map(String::as_str);
        let dated: Vec<&str> =
            arguments.clone().take(1).chain(["--at=2026-11-28T09:08:30Z"]).chain(arguments.skip(1)).collect();
        let ran = svidence(kubeconfig, &dated);
        if !ran.err.contains("(403)") {
            return (ran.code, ran.err);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("it is not allowed to");
}

#[test]
fn the_task_and_the_job_verify_with_the_rights_of_the_verifier() {
    let Some((server, kubeconfig)) = cluster() else { return };
    let [task] = &documents("gates/tekton/task.yaml")[..] else { panic!("not one Task") };
    let spec = &task["spec"];
    let [step] = &spec["steps"].as_array().unwrap()[..] else { panic!("not one step") };
    assert_eq!(step["command"], json!(["/ko-app/svidence"]));
    let declared: BTreeSet<&str> =
        spec["params"].as_array().unwrap().iter().map(|param| param["name"].as_str().unwrap()).collect();
    type Row<'a> = (&'a str, &'a str, &'a [&'a str], &'a str, i32, Option<&'a str>);
    let rows: &[Row<'_>] = &[
        (
            "a PipelineRun",
            "pipelinerun/ship",
            &["--require-result=ship-build:digest"],
            "true",
            0,
            Some("verified"),
        ),
        ("a TaskRun", "taskrun/ship-build", &[], "true", 0, Some("verified")),
        ("one that failed", "pipelinerun/release", &[], "true", 1, Some("invalid")),
        (
            "a demand that is not met",
            "taskrun/ship-build",
            &["--require-result=x"],
            "true",
            2,
            Some("absent"),
        ),
        ("not strict", "taskrun/ship-build", &["--require-result=x"], "false", 0, Some("absent")),
        ("none of that name", "taskrun/none", &[], "true", 2, Some("absent")),
        ("no name", "", &[], "true", 64, None),
        ("an argument for a name", "--allow-empty", &[], "true", 64, None),
    ];
    for (case, run_name, demands, strict, code, verdict) in rows {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let texts = [
            ("params.TRUST_DOMAIN", "example.org".to_owned()),
            ("params.BUNDLE", "spire/spire-bundle".to_owned()),
            ("params.STRICT", (*strict).to_owned()),
            ("params.RUN", (*run_name).to_owned()),
            ("context.taskRun.namespace", "default".to_owned()),
            ("results.summary.path", at("summary")),
            ("workspaces.report.path", at("")),
        ];
        let lists = [("params.DEMANDS", demands)];
        let of_params = texts.iter().map(|(name, _)| *name).chain(lists.iter().map(|(name, _)| *name));
        let used: BTreeSet<&str> = of_params.filter_map(|name| name.strip_prefix("params.")).collect();
        assert_eq!(used, declared);
        let mut arguments = Vec::new();
        for word in words(&step["args"]) {
            match lists.iter().find(|(name, _)| word == format!("$({name}[*])")) {
                Some((_, list)) => arguments.extend(list.iter().map(|word| (*word).to_owned())),
                None => arguments.push(
                    texts.iter().fold(word, |word, (name, value)| word.replace(&format!("$({name})"), value)),
                ),
            }
        }
        assert!(!arguments.iter().any(|word| word.contains("$(")), "{arguments:?}");
        let (found, text) = run(&kubeconfig, &arguments);
        assert_eq!(found, *code, "{case}: {text}");
        let Some(verdict) = verdict else { continue };
        let summary = fs::read_to_string(at("summary")).unwrap();
        assert!(summary.len() < 300, "a result of a Task has room for 4,096 bytes: {summary}");
        assert_eq!(
            serde_json::from_str::<Value>(&summary).unwrap()["verdict"],
            *verdict,
            "{case}: {summary}"
        );
        for file in ["svidence.jsonl", "svidence.html", "svidence.md"] {
            assert!(folder.path().join(file).exists(), "{case}: {file}");
        }
    }
    let [job] = &documents("gates/argocd/presync.yaml")[..] else { panic!("not one Job") };
    let made = server.create("/apis/batch/v1/namespaces/default/jobs?fieldValidation=Strict&dryRun=All", job);
    let pod = &made["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "svidence-verifier");
    let arguments = words(&pod["containers"][0]["args"]);
    let build =
        genuine("ship").into_iter().find(|object| object["metadata"]["name"] == "ship-build").unwrap();
    let results = build["status"]["results"].as_array().unwrap();
    let digest = results.iter().find(|result| result["name"] == "digest").unwrap()["value"].as_str().unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    for (deployed, code) in [(digest, 0), (other.as_str(), 1)] {
        let named = |word: &String| {
            word.replace("build-7-build:", "ship-build:").replace("build-7", "ship").replace(&other, deployed)
        };
        let (found, text) = run(&kubeconfig, &arguments.iter().map(named).collect::<Vec<_>>());
        assert_eq!(found, code, "{deployed}: {text}");
    }
}
