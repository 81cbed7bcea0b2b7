//! Objects of config/ agree with each other and with the program: arguments, ports, names, rights, and keys of the ConfigMap.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;
use svidence::{
    controller::config::{self, Configuration, Registration},
    step::signing::config::KEYS,
};

use crate::{
    kustomize::{OVERLAYS, Objects, file, overlay},
    text,
};

/// Tekton's own keys and the steps', and the controller's.
fn known_keys() -> BTreeSet<&'static str> {
    KEYS.into_iter().chain(config::KEYS).collect()
}

/// The entries of the ConfigMap config-spire.
fn settings(objects: &Objects) -> Vec<(String, String)> {
    let map = &objects["ConfigMap tekton-pipelines/config-spire"]["data"];
    let text = |(key, value): (&String, &Value)| (key.clone(), value.as_str().expect("text").to_owned());
    map.as_object().expect("data").iter().map(text).collect()
}

#[test]
fn each_overlay_says_what_the_controller_understands() {
    let known = known_keys();
    for name in OVERLAYS {
        let mut settings = settings(&overlay(name));
        for (key, _) in &settings {
            assert!(known.contains(key.as_str()), "{name}: nobody reads {key}");
        }
        let read = Configuration::from_entries(settings.clone());
        if name == "pinned" {
            // Whoever forgets the hash must be told.
            let refusal = read.expect_err("pinned without a hash").to_string();
            assert!(refusal.contains(config::ENTRYPOINT_SHA256), "{refusal}");
            for (_, value) in settings.iter_mut().filter(|(key, _)| key == config::ENTRYPOINT_SHA256) {
                *value = "ab".repeat(32);
            }
        }
        let read = Configuration::from_entries(settings).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.settings.attest.pins(), name == "pinned", "{name}");
        let by_objects = read.settings.registration == Registration::ClusterStaticEntry;
        assert_eq!(by_objects, name == "registration-by-controller-manager", "{name}");
    }
}

/// The arguments of the Deployment's container: names, with values.
fn arguments(container: &Value) -> Vec<(String, String)> {
    let [Value::String(subcommand), flags @ ..] = &container["args"].as_array().expect("arguments")[..]
    else {
        panic!("no arguments")
    };
    assert_eq!(subcommand, "controller");
    let split = |flag: &Value| {
        let (name, value) = flag.as_str().expect("text").split_once('=').expect("--name=value");
        (name.to_owned(), value.to_owned())
    };
    flags.iter().map(split).collect()
}

fn help() -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_svidence"))
        .args(["controller", "--help"])
        .output()
        .expect("it starts");
    String::from_utf8(ran.stdout).expect("UTF-8")
}

#[test]
fn the_deployment_agrees_with_the_arguments_and_probes_of_the_program() {
    let objects = file("config/controller/controller.yaml");
    let deployment = &objects["Deployment tekton-pipelines/svidence-controller"]["spec"];
    let pod = &deployment["template"];
    let container = &pod["spec"]["containers"][0];
    let help = help();
    let arguments = arguments(container);
    let of = |name: &str| {
        let found = arguments.iter().find(|(flag, _)| flag == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("the Deployment has no {name}"))
    };
    for (flag, _) in &arguments {
        assert!(help.contains(&format!("{flag} <")), "svidence controller has no {flag}:\n{help}");
    }
    let port = &container["ports"][0];
    let (_, listens) = of("--listen").rsplit_once(':').expect("IP:PORT");
    assert_eq!(port["containerPort"].to_string(), listens, "containerPort");
    assert_eq!(pod["metadata"]["annotations"]["prometheus.io/port"], listens, "what Prometheus asks");
    let answers = text("src/controller/probes.rs");
    for probe in ["livenessProbe", "readinessProbe"] {
        let asks = &container[probe]["httpGet"];
        assert_eq!(asks["port"], port["name"], "{probe}");
        let path = asks["path"].as_str().expect("a path");
        assert!(answers.contains(&format!("{path:?}")), "{probe}: nothing answers {path}");
    }
    let mount = container["volumeMounts"][0]["mountPath"].as_str().expect("a path");
    assert!(help.contains(&format!("unix://{mount}/")), "no agent is asked in {mount} by default");
    assert_eq!(pod["metadata"]["labels"], deployment["selector"]["matchLabels"], "labels and selector");
    assert!(
        deployment["replicas"] == 1 || arguments.iter().any(|(flag, _)| flag == "--lease"),
        "two would act"
    );
}

#[test]
fn names_agree() {
    let objects = file("config/controller/controller.yaml");
    let deployment = &objects["Deployment tekton-pipelines/svidence-controller"];
    let pod = &deployment["spec"]["template"]["spec"];
    let account = pod["serviceAccountName"].as_str().expect("an account");
    let namespace = deployment["metadata"]["namespace"].as_str().expect("a namespace");
    assert!(objects.contains_key(&format!("ServiceAccount {namespace}/{account}")), "{account} is not there");
    let role = &objects[&format!("Role {namespace}/{account}")]["rules"];
    let named = |resource: &str| {
        let rules = role.as_array().expect("rules").iter();
        let names = rules
            .filter(|rule| rule["resources"][0] == resource)
            .find_map(|rule| rule["resourceNames"][0].as_str());
        format!("{namespace}/{}", names.unwrap_or_else(|| panic!("no rule names a {resource}")))
    };
    for (flag, value) in arguments(&pod["containers"][0]) {
        match flag.as_str() {
            "--config" => assert_eq!(value, named("configmaps")),
            "--lease" => assert_eq!(value, named("leases")),
            _ => {}
        }
    }
    for other in ["controller", "condition", "static-entries/static-entries"] {
        let objects = file(&format!("config/controller/{other}.yaml"));
        for (name, object) in objects.iter().filter(|(_, object)| object.get("roleRef").is_some()) {
            let subject = &object["subjects"][0];
            assert!(
                subject["name"] == account && subject["namespace"] == namespace,
                "{other}: {name}: {subject}"
            );
            let role = &object["roleRef"];
            let kind = role["kind"].as_str().expect("a kind");
            let of = if kind == "Role" { namespace } else { "-" };
            let bound = format!("{kind} {of}/{}", role["name"].as_str().expect("a name"));
            assert!(objects.contains_key(&bound), "{other}: {name}: no {bound}");
        }
    }
    let user = format!("'system:serviceaccount:{namespace}:{account}'");
    assert!(text("config/controller/policy.yaml").contains(&user), "the policy lets another note verdicts");
    let identity = &file("config/controller/identity.yaml")["ClusterSPIFFEID -/svidence-controller"]["spec"];
    let container = pod["containers"][0]["name"].as_str().expect("a name");
    let selects = [
        format!("k8s:ns:{namespace}"),
        format!("k8s:sa:{account}"),
        format!("k8s:container-name:{container}"),
    ];
    assert_eq!(identity["workloadSelectorTemplates"], serde_json::json!(selects));
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&identity["podSelector"]["matchLabels"], labels, "whose pods have the controller's identity");
}
