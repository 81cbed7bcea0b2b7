//! The examples of the documentation work as pasted, and print what it says.

use crate::support::skip;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use serde_json::{Value, json};

/// One shell block of a document, with the lines it is said to print.
struct Example {
    script: String,
    printed: Vec<String>,
}

/// Every ```sh block, with the ```text block behind it if there is one.
fn examples(document: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let fence = line.trim_start();
        if fence != "```sh" && fence != "```text" {
            continue;
        }
        let block: Vec<String> =
            lines.by_ref().take_while(|line| line.trim_start() != "```").map(str::to_owned).collect();
        match fence {
            "```sh" => examples.push(Example { script: block.join("\n"), printed: Vec::new() }),
            _ => examples.last_mut().expect("a block of output follows a command").printed.extend(block),
        }
    }
    examples
}

/// Without OpenSSL the examples that need it are skipped ([`skip::lacks`]).
fn has_openssl() -> bool {
    if Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    skip::lacks(
        "the_examples_of_each_document_work_as_pasted",
        "openssl is not installed, which some examples use",
    );
    false
}

#[test]
fn the_examples_of_each_document_work_as_pasted() {
    let programs = Path::new(env!("CARGO_BIN_EXE_svidence")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    for (name, document) in [
        ("docs/verify.md", include_str!("../../docs/verify.md")),
        ("docs/evidence.md", include_str!("../../docs/evidence.md")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let examples = examples(document);
        assert!(!examples.is_empty(), "{name} has no example");
        for Example { script, printed } in examples {
            if script.contains("openssl") && !has_openssl() {
                continue;
            }
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &script])
                .current_dir(folder.path())
                .env("PATH", &path)
                .output()
                .unwrap();
            let shown = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(output.status.success(), "{name}: {script}\n{}: {shown}", output.status);
            for line in printed.iter().filter(|line| *line != "…") {
                assert!(
                    shown.contains(line.as_str()),
                    "{name}: {script}\ndoes not print {line:?} but\n{shown}"
                );
            }
        }
    }
}

/// What stands in for a cluster: a completed run, and another one that still runs.
const KUBECTL: &str = r#"#!/bin/sh
case "$1 $2" in
"wait --for=jsonpath={.status.completionTime}") ;;
"get taskrun") cat demo-files/taskrun.json ;;
"get pipelineruns.v1.tekton.dev") cat pipelinerun.json ;;
"get taskruns")
    printf '{"apiVersion":"v1","kind":"List","items":['
    case "$*" in
    *tekton.dev/pipelineRun=*) cat child.json ;;
    *) cat demo-files/taskrun.json; printf ',{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"running","namespace":"default","uid":"u"},"spec":{},"status":{"podName":"p"}}' ;;
    esac
    printf ']}' ;;
*) echo "kubectl $*: not expected" >&2; exit 1 ;;
esac
"#;

#[test]
fn the_recipes_for_operations_verify_what_kubectl_prints() {
    let folder = tempfile::tempdir().unwrap();
    let kubectl = folder.path().join("kubectl");
    fs::write(&kubectl, KUBECTL).unwrap();
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_svidence"));
    let path = [folder.path(), program.parent().unwrap()].map(|path| path.display().to_string()).join(":");
    let path = format!("{path}:{}", std::env::var("PATH").unwrap());
    let run = |script: &str| {
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", script]).current_dir(folder.path()).env("PATH", &path);
        let output = shell.env("RUN", "build").output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{script}\n{}: {stdout}{stderr}", output.status);
        stdout
    };
    run("svidence demo --keep demo-files && cp demo-files/bundle.pem bundle.json");
    let file = |name: &str| folder.path().join(name);
    let mut child: Value =
        serde_json::from_str(&fs::read_to_string(file("demo-files/taskrun.json")).unwrap()).unwrap();
    let uid = "d50d30d7-e374-471c-adb5-e624861d22cd";
    child["metadata"]["labels"] =
        json!({"tekton.dev/pipelineRun": "build", "tekton.dev/pipelineRunUID": uid});
    fs::write(file("child.json"), child.to_string()).unwrap();
    let reference = json!({"kind": "TaskRun", "name": "build-app", "pipelineTaskName": "app"});
    let pipeline_run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": "build", "namespace": "default", "uid": uid, "creationTimestamp": "2026-11-22T05:30:00Z"},
        "status": {
            "conditions": [{"type": "Succeeded", "status": "True"}], "pipelineSpec": {"tasks": [{"name": "app"}]},
            "childReferences": [reference],
        },
    });
    fs::write(file("pipelinerun.json"), pipeline_run.to_string()).unwrap();
    let document = include_str!("../../docs/operations.md");
    let recipes = examples(document);
    assert!(recipes.len() >= 4, "{}", recipes.len());
    for Example { script, .. } in recipes {
        assert!(run(&script).contains("default/build-app\tdigest\t"), "{script}");
    }
}
