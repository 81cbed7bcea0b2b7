//! Verifying runs where they are: against a real kube-apiserver with Tekton's definitions.
//!
//! * [`runs`]: which runs are judged; [`shards`]: in which part; [`pages`]: lists, and what may go wrong with them; [`rules`]: what may be forbidden.
//! * [`watch`]: runs as they finish.
//! * [`credentials`], [`kubeconfigs`], [`pod`], [`proxies`]: how the cluster is reached; [`bundle`]: the bundle from a ConfigMap of it;
//!   [`gates`]: the gates that run in it;
//!   [`inspect_and_timestamp`]: the commands that share its sources; [`doctor`]: what would stand in the way.

#![cfg(feature = "cli")]

mod bundle;
#[path = "../support/cluster.rs"]
mod cluster;
mod credentials;
mod doctor;
mod gates;
mod inspect_and_timestamp;
mod kubeconfigs;
mod pages;
mod pod;
mod proxies;
#[path = "../support/rights.rs"]
mod rights;
mod rules;
mod runs;
mod shards;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tsa.rs"]
mod tsa;
mod watch;

use std::{fs, process::Command};

use cluster::ApiServer;
use serde_json::{Value, json};
use support::command::Ran;

/// `svidence verify` of the cluster, trusting what signed the genuine PipelineRuns when it did.
fn verify(environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
    ran(&mut command(environment, arguments))
}

/// Runs a command to its end.
fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn command(environment: &[(&str, &str)], arguments: &[&str]) -> Command {
    let bundle = format!("{}/testdata/pipelineruns/ship/bundle.pem", env!("CARGO_MANIFEST_DIR"));
    let trust = ["--trust-domain", "example.org", "--bundle", &bundle, "--at", "2026-11-28T09:08:30Z"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
    command
        .args(["verify", "--from", "kubernetes", "-o", "json"])
        .args(trust)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied());
    command
}

/// What a walk is to say.
struct Expected<'a> {
    code: i32,
    /// Verdicts in the report, with the number of each; all others: none.
    verdicts: &'a [(&'a str, usize)],
    /// What standard error or the report says.
    says: &'a [&'a str],
}

fn check(case: &str, ran: &Ran, expected: &Expected<'_>) {
    let shown = || format!("{case}\n{}\n{}", ran.err, ran.out.chars().take(3000).collect::<String>());
    assert_eq!(ran.code, expected.code, "{}", shown());
    for verdict in ["verified", "invalid", "absent", "unchecked", "weak"] {
        let of_run = |line: &str| {
            serde_json::from_str::<Value>(line)
                .ok()
                .filter(|line| !line["taskRun"].is_null() || !line["pipelineRun"].is_null())
        };
        let found = ran.out.lines().filter_map(of_run).filter(|line| line["verdict"] == verdict).count();
        let count =
            expected.verdicts.iter().find(|(name, _)| *name == verdict).map_or(0, |(_, count)| *count);
        assert_eq!(found, count, "{verdict}: {}", shown());
    }
    for says in expected.says {
        assert!(ran.err.contains(says) || ran.out.contains(says), "it does not say {says:?}: {}", shown());
    }
}

/// A PipelineRun and its TaskRuns as a real cluster left them, all with a label.
fn genuine(folder: &str) -> Vec<Value> {
    let read = |file: &str| -> Value {
        let path = format!("{}/testdata/pipelineruns/{folder}/{file}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let mut objects = vec![read("pipelinerun")];
    objects.extend(read("taskruns")["items"].as_array().unwrap().iter().cloned());
    for object in &mut objects {
        // A child without Tekton's labels is found by its PipelineRun's reference.
        if object["metadata"]["name"] == "ship-report" {
            object["metadata"]["labels"] = json!({});
        }
        object["metadata"]["labels"]["test"] = json!("genuine");
    }
    objects
}

/// The same in another namespace, which their evidence is not about, with its name as their label.
fn moved(folder: &str, namespace: &str) -> Vec<Value> {
    let mut objects = genuine(folder);
    for object in &mut objects {
        object["metadata"]["namespace"] = json!(namespace);
        object["metadata"]["labels"]["test"] = json!(namespace);
    }
    objects
}

fn admin(server: &ApiServer) -> String {
    server.kubeconfig_of("admin", &["system:masters"])
}
