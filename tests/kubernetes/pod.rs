//! In a pod, which asks with its own account. The root and the environment are this test's.

use std::{fs, time::Duration};

use serde_json::json;
use svidence::sources::{
    kubernetes::{
        Kubernetes,
        access::{Access, AccessSurroundings, Wanted},
        runs::Runs,
    },
    source::Source,
    walk::for_each,
};
use unixtime::UnixSeconds;

use crate::{cluster::ApiServer, genuine};

/// What a walk of this access finds, as lines.
fn walked(access: Access, runs: Runs) -> Vec<String> {
    let mut found = Vec::new();
    let kubernetes = Kubernetes::new(access, runs, Duration::from_secs(60));
    for_each(Source::Kubernetes(Box::new(kubernetes)), &mut |_, outcome| {
        found.push(match outcome {
            Ok(object) => object.metadata.name,
            Err(error) => error.to_string(),
        });
    });
    found
}

#[test]
fn a_pod_asks_with_its_own_account() {
    let Some(server) = ApiServer::shared() else { return };
    server.restore(&genuine("ship"));
    let rules = json!([{"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": ["get"]}]);
    server.allow(("ServiceAccount", "verifier"), Some("default"), &rules);
    let root = tempfile::tempdir().unwrap();
    let account = root.path().join("var/run/secrets/kubernetes.io/serviceaccount");
    fs::create_dir_all(&account).unwrap();
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    let find = || {
        let variable = |name: &str| match name {
            "KUBERNETES_SERVICE_HOST" => Some("127.0.0.1".into()),
            "KUBERNETES_SERVICE_PORT" => Some((&port).into()),
            _ => None,
        };
        Access::find(
            Wanted::default(),
            &AccessSurroundings { variable: &variable, root: root.path(), now: || UnixSeconds::new(0) },
        )
    };
    let files = [("ca.crt", server.ca_pem()), ("namespace", "default".to_owned()), ("token", server.token())];
    for (name, content) in &files {
        let lacks =
            find().map(|access| walked(access, ship_build())).unwrap_or_else(|error| vec![error.to_string()]);
        assert!(lacks[0].contains(&format!("serviceaccount/{name}: ")), "without {name}: {lacks:?}");
        fs::write(account.join(name), content).unwrap();
    }
    let access = find().unwrap();
    assert_eq!(access.namespace, "default");
    assert_eq!(walked(access, ship_build()), ["ship-build"]);
}

fn ship_build() -> Runs {
    Runs::Named("default".parse().unwrap(), vec!["taskrun/ship-build".parse().unwrap()])
}
