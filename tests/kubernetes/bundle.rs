//! The bundle from a ConfigMap of the cluster.

use std::{fs, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{Expected, check, cluster::ApiServer, genuine, ran, support::command::Ran};

pub(crate) fn svidence(kubeconfig: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
    ran(command.args(arguments).env_clear().env("KUBECONFIG", kubeconfig))
}

/// `svidence verify` of the genuine run `ship-build` with the bundle of a ConfigMap.
fn verify(kubeconfig: &str, key: &str, more: &[&str]) -> Ran {
    let verify = ["verify", "--trust-domain=example.org", "--at=2026-11-28T09:08:30Z", "-o", "json"];
    svidence(kubeconfig, &[&verify[..], &["--bundle-configmap", key], more].concat())
}

#[test]
fn a_config_map_holds_the_bundle() {
    let Some(server) = ApiServer::shared() else { return };
    let runs = genuine("ship");
    server.restore(&runs);
    let folder = format!("{}/testdata/pipelineruns/ship", env!("CARGO_MANIFEST_DIR"));
    let pem = fs::read_to_string(format!("{folder}/bundle.pem")).unwrap();
    let create = |name: &str, content: Value| {
        let mut object = json!({"metadata": {"name": name}});
        object.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        server.create("/api/v1/namespaces/default/configmaps", &object);
    };
    create("spire-bundle", json!({"data": {"bundle.crt": pem}}));
    create("two-keys", json!({"data": {"ca.crt": "other", "bundle.crt": pem}}));
    create("packed", json!({"binaryData": {"bundle.crt": STANDARD.encode(&pem)}}));
    create("empty", json!({}));
    create("text", json!({"data": {"bundle.crt": "not a bundle"}}));
    let admin = server.kubeconfig_of("admin", &["system:masters"]);
    let stranger = server.kubeconfig_of("stranger", &[]);
    let reader = server.kubeconfig_of("bundle-reader", &[]);
    let rules = json!([{
        "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["spire-bundle"],
    }]);
    server.allow(("User", "bundle-reader"), Some("default"), &rules);
    let file = server.write("ship-build.json", {
        let is_it = |object: &&Value| object["metadata"]["name"] == "ship-build";
        runs.iter().find(is_it).unwrap().to_string()
    });
    let file: &[&str] = &[file.to_str().unwrap()];
    let here: &[&str] = &["--from", "kubernetes", "taskrun/ship-build"];
    let elsewhere = [file, &["--kubeconfig", &admin]].concat();
    let verified: (i32, &str) = (0, "");
    let refused = |says| (3, says);
    type Row<'a> = (&'a str, &'a str, &'a str, &'a [&'a str], (i32, &'a str));
    let table: &[Row<'_>] = &[
        ("beside the runs", &admin, "default/spire-bundle", here, verified),
        ("for runs in a file", &admin, "default/spire-bundle", file, verified),
        ("by another kubeconfig", &stranger, "default/spire-bundle", &elsewhere, verified),
        ("with its key", &admin, "default/spire-bundle:bundle.crt", file, verified),
        ("one of two keys", &admin, "default/two-keys:bundle.crt", file, verified),
        ("binary", &admin, "default/packed", file, verified),
        ("by somebody who may read it", &reader, "default/spire-bundle", file, verified),
        (
            "by somebody who may not read it",
            &stranger,
            "default/spire-bundle",
            file,
            refused(
                "a Role in namespace default needs the rule {apiGroups: [\"\"], resources: [\"configmaps\"], verbs: [\"get\"], \
                 resourceNames: [\"spire-bundle\"]}",
            ),
        ),
        (
            "two keys",
            &admin,
            "default/two-keys",
            file,
            refused("has 2 keys (bundle.crt, ca.crt); name one of them"),
        ),
        (
            "no such key",
            &admin,
            "default/two-keys:x",
            file,
            refused("has no key \"x\"; it has bundle.crt, ca.crt"),
        ),
        (
            "no key",
            &admin,
            "default/empty",
            file,
            refused("the ConfigMap is empty; see that SPIRE has written it"),
        ),
        ("no such ConfigMap", &admin, "default/other", file, refused("the cluster has no such ConfigMap")),
        (
            "no such namespace",
            &admin,
            "nowhere/spire-bundle",
            file,
            refused("the cluster has no such ConfigMap"),
        ),
        ("no bundle", &admin, "default/text", file, refused("--bundle-configmap default/text: ")),
        ("no namespace", &admin, "spire-bundle", file, (64, "it must be NS/NAME or NS/NAME:KEY")),
        ("a path", &admin, "default/../secrets/x", file, (64, "the name is ")),
        ("a key with a slash", &admin, "default/a:b/c", file, (64, "the key has characters")),
        (
            "a kubeconfig that is not there",
            "/nonexistent",
            "default/spire-bundle",
            file,
            refused("/nonexistent"),
        ),
    ];
    for (case, kubeconfig, key, more, (code, says)) in table {
        let ran = verify(kubeconfig, key, more);
        let verdicts: &[_] = if *code == 0 { &[("verified", 1)] } else { &[] };
        check(case, &ran, &Expected { code: *code, verdicts, says: &[says] });
    }
}

#[test]
fn a_store_takes_the_bundle_of_a_config_map() {
    let Some(server) = ApiServer::shared() else { return };
    let folder = format!("{}/testdata/pipelineruns/ship", env!("CARGO_MANIFEST_DIR"));
    let pem = fs::read_to_string(format!("{folder}/bundle.pem")).unwrap();
    let object = json!({"metadata": {"name": "for-a-store"}, "data": {"bundle.crt": pem}});
    server.create("/api/v1/namespaces/default/configmaps", &object);
    let admin = server.kubeconfig_of("admin", &["system:masters"]);
    let store = tempfile::tempdir().unwrap();
    let store = store.path().join("authorities");
    let add = ["bundle", "add", "--trust-domain=example.org", "--store", store.to_str().unwrap()];
    let ran = svidence(&admin, &[&add[..], &["--bundle-configmap", "default/for-a-store"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.contains("1 authority new, 0 known"), "{}", ran.out);
    let ran = svidence(&admin, &[&add[..], &["--bundle-configmap", "default/for-a-store"]].concat());
    assert!(ran.out.contains("0 authorities new, 1 known"), "{}{}", ran.out, ran.err);
    let bundle = format!("{folder}/bundle.pem");
    let ran = svidence(&admin, &[&add[..], &["--bundle", &bundle, "--as", "alice"]].concat());
    assert!(ran.code == 64 && ran.err.contains("--as is for --bundle-configmap"), "{}", ran.err);
}
