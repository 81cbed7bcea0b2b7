//! What `svidence doctor` finds in a cluster: each fault is made, and none is found where there is none.

use std::{collections::HashMap, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    bundle::svidence,
    cluster::ApiServer,
    rights::{apply, objects},
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
                ("config-spire", "ok", "its trust domain is example.org"),
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
                ("config-spire", "failed", "its trust domain is other.org, not example.org"),
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
                ("credential", "ok", "the token of user \"verifier\" of the kubeconfig is good until"),
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

/// What the doctor says at home, where this kubeconfig is, if any.
fn at_home(kubeconfig: Option<&str>, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    if let Some(text) = kubeconfig {
        fs::create_dir(home.path().join(".kube")).unwrap();
        fs::write(home.path().join(".kube/config"), text).unwrap();
    }
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_svidence"))
        .args(["doctor", "-o", "json"])
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    let check = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        format!("{} {}", line["check"].as_str().unwrap(), line["status"].as_str().unwrap())
    };
    (ran.status.code(), out.lines().map(check).collect())
}

#[test]
fn without_a_cluster_nothing_of_it_is_a_fault_unless_one_is_meant() {
    let insecure = json!({
        "current-context": "c", "users": [{"name": "u", "user": {"token": "t"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", "insecure-skip-tls-verify": true}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    })
    .to_string();
    let (skipped, failed) =
        (["bundle skipped", "kubeconfig skipped"], ["bundle skipped", "kubeconfig failed"]);
    for (case, kubeconfig, arguments, code, checks) in [
        ("nothing", None, &[][..], 0, skipped),
        ("a namespace", None, &["-n", "builds"], 1, failed),
        ("all namespaces", None, &["-A"], 1, failed),
        ("to be watched", None, &["--watch"], 1, failed),
        ("Tekton's namespace", None, &["--tekton-namespace=x"], 1, failed),
        ("a context", None, &["--context=x"], 1, failed),
        ("not YAML", Some("clusters: ["), &[], 1, failed),
        ("no context", Some("{}"), &[], 1, failed),
        ("no TLS", Some(insecure.as_str()), &[], 1, failed),
    ] {
        let (found_code, found) = at_home(kubeconfig, arguments);
        assert_eq!(found, checks, "{case}");
        assert_eq!(found_code, Some(code), "{case}");
    }
    for arguments in [&["--intermediates=x"][..], &["--bundle-timeout=5"], &["--trust-domain=A B"]] {
        assert_eq!(at_home(None, arguments), (Some(64), Vec::new()), "{arguments:?}");
    }
    let found = at_home(None, &["--bundle=x"]);
    assert_eq!(found, (Some(1), vec!["bundle failed".to_owned(), "kubeconfig skipped".to_owned()]));
    let found = at_home(None, &["--config=/nonexistent"]);
    assert_eq!(found.1[0], "trust-domain failed", "{found:?}");
}

/// A plug-in's token is good until it says, and a token is not shown under the name that is impersonated.
#[test]
fn a_credential_is_its_owners() {
    let Some(server) = ApiServer::shared() else { return };
    let credential = |until: &str| {
        json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"token": server.token(), "expirationTimestamp": until},
        })
    };
    let exec = |name: &str, until: &str| {
        let path = server.write(name, format!("#!/bin/sh\ncat <<'E'\n{}\nE\n", credential(until)));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(Path::new(&path), mode).unwrap();
        let exec = json!({"command": path, "apiVersion": "client.authentication.k8s.io/v1"});
        server.kubeconfig(name, &server.cluster(), &json!({"exec": exec}))
    };
    let plugin = exec("doctors-plugin", "2999-01-01T00:00:00Z");
    let admin = server.kubeconfig_of("admin", &["system:masters"]);
    let somebody = "--as=system:serviceaccount:default:verifier";
    for (case, kubeconfig, arguments, status, says) in [
        (
            "a plug-in",
            &plugin,
            &[][..],
            "ok",
            "the token of user \"doctors-plugin\" of the kubeconfig is good until 20",
        ),
        (
            "somebody else",
            &admin,
            &[somebody],
            "warning",
            "the certificate of user \"admin\" of the kubeconfig is good until",
        ),
        (
            "somebody else, and the advice",
            &admin,
            &[somebody],
            "warning",
            "kubectl create token NAME -n NAMESPACE",
        ),
    ] {
        let (_, found) = checks(kubeconfig, arguments);
        let (found_status, said) = &found["credential"];
        assert!(found_status == status && said.contains(says), "{case}: {found_status} {said}");
    }
}
