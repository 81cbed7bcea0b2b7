//! What `svidence doctor` finds in a cluster: each fault is made, and none is found where there is none.

use std::{collections::HashMap, fs};

use serde_json::{Value, json};

use crate::{
    bundle::svidence,
    cluster::ApiServer,
    rules::{apply, objects},
};

/// A check's status, and what was found with what to do.
fn checks(kubeconfig: &str, arguments: &[&str]) -> (i32, HashMap<String, (String, String)>) {
    let ran = svidence(kubeconfig, &[&["doctor", "-o", "json"], arguments].concat());
    assert_eq!(ran.err, "", "{arguments:?}");
    let mut found = HashMap::new();
    for line in ran.out.lines() {
        let check: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
        let said = format!("{} | {}", text("found"), text("action"));
        let one: &mut (String, String) = found.entry(text("check")).or_default();
        one.0 = text("status");
        one.1.push_str(&said);
    }
    (ran.code, found)
}

/// Puts the settings of Tekton into a namespace.
fn tekton(server: &ApiServer, namespace: &str, flag: &str, trust_domain: &str, image: &[&str]) {
    server.create("/api/v1/namespaces", &json!({"metadata": {"name": namespace}}));
    let config_map = |name: &str, data: Value| {
        let object = json!({"metadata": {"name": name}, "data": data});
        server.create(&format!("/api/v1/namespaces/{namespace}/configmaps"), &object);
    };
    config_map("feature-flags", json!({"enforce-nonfalsifiability": flag}));
    config_map("config-spire", json!({"_example": "words", "spire-trust-domain": trust_domain}));
    let labels = json!({"app": "controller"});
    let containers = json!([{"name": "controller", "image": "controller", "args": image}]);
    server.create(
        &format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
        &json!({
            "metadata": {"name": "tekton-pipelines-controller"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
        }),
    );
}

#[test]
fn a_cluster_is_examined() {
    let Some(server) = ApiServer::with_tekton() else { return };
    let ours = ["-entrypoint-image", "registry.example.org/svidence/entrypoint:0.1.0"];
    tekton(&server, "tekton-pipelines", "spire", "example.org", &ours);
    let tektons =
        ["-entrypoint-image=ghcr.io/tektoncd/pipeline/entrypoint-bff0a22da108bc2f16c818c97641a296@sha256:1"];
    tekton(&server, "stock", "none", "other.org", &tektons);
    tekton(&server, "odd", "spire", "not a trust domain", &["-nop-image", "x"]);
    apply(&server, &objects("verifier.yaml", "default"));
    let admin = server.kubeconfig_of("admin", &["system:masters"]);
    let token = json!({"token": server.token_of("svidence-verifier")});
    let verifier = server.kubeconfig("verifier", &server.cluster(), &token);
    let guest = server.kubeconfig_of("guest", &[]);
    let nobody = server.kubeconfig("nobody", &server.cluster(), &json!({"token": "nobodys"}));
    let bundle = format!("{}/testdata/pipelineruns/ship/bundle.pem", env!("CARGO_MANIFEST_DIR"));
    let td = "--trust-domain=example.org";
    // The kubeconfig, arguments, exit code, and of some checks the status and what they say.
    type Row<'a> = (&'a str, &'a str, &'a [&'a str], i32, &'a [(&'a str, &'a str, &'a str)]);
    let table: &[Row<'_>] = &[
        (
            "all is well",
            &admin,
            &[td],
            0,
            &[
                ("api-server", "ok", "takes whoever asks for admin"),
                ("clock", "ok", "no more than 10 s"),
                ("rights", "ok", "admin may read what is verified"),
                ("tekton-signing", "ok", "enforce-nonfalsifiability: spire"),
                ("config-spire", "ok", "in the trust domain example.org"),
                ("entrypoint-image", "ok", "registry.example.org/svidence/entrypoint:0.1.0"),
                ("registration", "skipped", "no configuration of spire-controller-manager"),
                ("bundle", "skipped", ""),
                ("credential", "warning", "whoever finds it has it for years"),
            ],
        ),
        (
            "Tekton as it comes",
            &admin,
            &[td, "--tekton-namespace=stock"],
            1,
            &[
                (
                    "tekton-signing",
                    "failed",
                    "enforce-nonfalsifiability: none) | kubectl patch configmap feature-flags -n stock",
                ),
                ("config-spire", "failed", "in the trust domain other.org, not in example.org"),
                ("entrypoint-image", "failed", "Tekton's own entrypoint: ghcr.io/tektoncd/"),
                ("rights", "ok", ""),
            ],
        ),
        (
            "odd settings",
            &admin,
            &["--tekton-namespace=odd"],
            1,
            &[
                ("config-spire", "failed", "spire-trust-domain"),
                ("entrypoint-image", "failed", "no argument -entrypoint-image"),
                ("tekton-signing", "ok", ""),
            ],
        ),
        (
            "no Tekton there",
            &admin,
            &["--tekton-namespace=nowhere"],
            1,
            &[(
                "tekton-signing",
                "failed",
                "there is no ConfigMap feature-flags in namespace nowhere | install Tekton",
            )],
        ),
        (
            "the verifier",
            &verifier,
            &["--watch"],
            0,
            &[
                ("rights", "ok", "system:serviceaccount:default:svidence-verifier may read"),
                (
                    "credential",
                    "ok",
                    "the token of system:serviceaccount:default:svidence-verifier is good until",
                ),
                ("tekton-signing", "skipped", "(403)"),
                ("entrypoint-image", "skipped", "resources: [\"deployments\"]"),
            ],
        ),
        (
            "the verifier elsewhere",
            &verifier,
            &["-n", "stock"],
            1,
            &[("rights", "failed", "a Role in namespace stock needs the rule {apiGroups: [\"tekton.dev\"]")],
        ),
        (
            "the verifier everywhere",
            &verifier,
            &["-A"],
            1,
            &[("rights", "failed", "may not list pipelineruns | a ClusterRole needs the rule")],
        ),
        (
            "the verifier, for the bundle",
            &verifier,
            &[td, "--bundle-configmap=default/spire-bundle"],
            1,
            &[
                ("bundle", "failed", "(403)"),
                (
                    "rights",
                    "failed",
                    "may not get configmaps | a Role in namespace default needs the rule {apiGroups: [\"\"]",
                ),
            ],
        ),
        ("a guest", &guest, &[], 1, &[("rights", "failed", "guest may not get taskruns")]),
        ("nobody", &nobody, &[], 1, &[("api-server", "failed", "(401)")]),
        (
            "a bundle whose authorities have expired or not",
            &admin,
            &[td, "--bundle", &bundle],
            i32::from(expired(&bundle)),
            &[("bundle", if expired(&bundle) { "failed" } else { "ok" }, "")],
        ),
        (
            "a bundle that is not there",
            &admin,
            &[td, "--bundle=/nonexistent"],
            1,
            &[("bundle", "failed", "/nonexistent")],
        ),
        ("no kubeconfig", "/nonexistent", &[], 1, &[("kubeconfig", "failed", "/nonexistent")]),
    ];
    for (case, kubeconfig, arguments, code, expected) in table {
        let (found_code, found) = checks(kubeconfig, arguments);
        for (check, status, says) in *expected {
            let (found_status, said) =
                found.get(*check).unwrap_or_else(|| panic!("{case}: no {check} in {found:?}"));
            assert_eq!(found_status, status, "{case}, {check}: {said}");
            assert!(said.contains(says), "{case}, {check}: {said}");
        }
        assert_eq!(found_code, *code, "{case}: {found:?}");
    }
    server.create("/api/v1/namespaces", &json!({"metadata": {"name": "spire-system"}}));
    for (name, text, status) in [
        ("spire-controller-manager", "clusterName: x\n", "warning"),
        ("spire-controller-manager-config", "entryIDPrefix: x\n", "ok"),
    ] {
        let object = json!({"metadata": {"name": name}, "data": {"controller-manager-config.yaml": text}});
        server.create("/api/v1/namespaces/spire-system/configmaps", &object);
        assert_eq!(checks(&admin, &[]).1["registration"].0, status, "{name}");
    }
    let ran = svidence(&admin, &["doctor", "--tekton-namespace=stock"]);
    assert!(ran.out.contains("failed   tekton-signing   steps are not told to sign"), "{}", ran.out);
    assert!(ran.out.contains("\n                          do: kubectl patch configmap"), "{}", ran.out);
}

/// Whether the authorities of this file have expired today.
fn expired(bundle: &str) -> bool {
    let pem = fs::read_to_string(bundle).unwrap();
    let blocks =
        x509::pem::certificates(&pem).map(|block| x509::Certificate::parse(&block.unwrap()).unwrap());
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    !blocks.map(|authority| authority.validity()).any(|validity| validity.contains(now))
}

#[test]
fn without_a_cluster_nothing_of_it_is_a_fault() {
    let home = tempfile::tempdir().unwrap();
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_svidence"))
        .args(["doctor", "-o", "json"])
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(0), "{out}");
    let statuses = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["status"].clone());
    assert_eq!(statuses.collect::<Vec<_>>(), ["skipped", "skipped"], "{out}");
}
