//! Verifying what lies beside images in a registry.
//!
//! * [`found`]: what is handed over, and in which order; [`refused`]: what is not read, and that it shows; [`named`]: images by name.
//! * [`logins`]: credentials, and whom they are shown to; [`elsewhere`]: redirects; [`proxies`]: the ways to all of these hosts.
//!
//! Most layers hold a TaskRun as a whole: how other formats are read is no matter of the registry's (tests/verify/chains.rs).

#![cfg(feature = "cli")]

mod elsewhere;
mod found;
mod logins;
mod named;
mod proxies;
mod refused;
mod registry;
#[path = "../support/mod.rs"]
mod support;

use std::{fs, process::Command, sync::OnceLock};

use serde_json::{Value, json};
use support::{
    chains::{self, Chains},
    command::{Ran, path},
};

/// An attestation of the demo's TaskRun with another name, which keeps it from being verified and makes its text its own.
fn task_run(name: &str) -> String {
    let mut object = run();
    object["metadata"]["name"] = name.into();
    attestation(&object)
}

/// An attestation of the demo's TaskRun, which is verified: always the same text.
fn genuine() -> String {
    attestation(&run())
}

/// As the build type slsa-tekton keeps a TaskRun.
fn attestation(run: &Value) -> String {
    static CHAINS: OnceLock<Chains> = OnceLock::new();
    let mut envelope = CHAINS.get_or_init(Chains::new).envelope(&chains::pipeline_tekton(&[run]));
    envelope["signatures"] = json!([]);
    envelope.to_string()
}

/// The demo's TaskRun.
fn run() -> Value {
    serde_json::from_str(&fs::read_to_string(path("taskrun.json")).unwrap()).unwrap()
}

/// A home without credentials, whose files tests may add.
fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// `svidence` with nothing in its environment but this.
fn svidence(environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_svidence"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// `svidence verify --from oci` of these images, trusting what the demo's TaskRun is signed under.
fn verify_with(environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let bundle = path("bundle.pem");
    let trust = ["--trust-domain", "example.org", "--bundle", &bundle, "-o", "json"];
    svidence(environment, &[&["verify", "--from", "oci"], arguments, &trust].concat())
}

/// The same without an environment.
fn verify(arguments: &[&str]) -> Ran {
    verify_with(&[], arguments)
}

/// Where things were found beside the image, in the order of the report, with the verdict of each.
fn places(ran: &Ran, image: &str) -> Vec<(String, String)> {
    let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let place = |line: Value| {
        let file = line["place"]["file"].as_str()?.strip_prefix(image)?.strip_prefix(", ")?.to_owned();
        Some((file, line["verdict"].as_str()?.to_owned()))
    };
    lines.filter_map(place).collect()
}

fn shown(case: &str, ran: &Ran) -> String {
    format!("{case}: exit {}\n{}\n{}", ran.code, ran.err, ran.out.chars().take(3000).collect::<String>())
}

/// That it says all of these, on standard error or in the report.
fn says(case: &str, ran: &Ran, all: &[&str]) {
    for one in all {
        assert!(
            ran.err.contains(one) || ran.out.contains(one),
            "it does not say {one:?}: {}",
            shown(case, ran)
        );
    }
}
