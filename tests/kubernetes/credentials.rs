//! As whom the cluster is asked.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};

use crate::{Expected, check, cluster::ApiServer, genuine, verify};

/// A file that is a program.
fn program(server: &ApiServer, name: &str, script: &str) -> String {
    let path = server.write(name, format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn exec(command: &str) -> Value {
    json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": command, "interactiveMode": "Never", "installHint": "Install it.",
        "env": [{"name": "GIVEN", "value": "variable"}], "args": ["an argument"], "provideClusterInfo": true,
    }})
}

#[test]
fn every_kind_of_credential_leads_to_the_cluster() {
    let Some(server) = ApiServer::shared() else { return };
    server.restore(&genuine("ship"));
    let reads = json!([{"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": ["get"]}]);
    for who in
        [("ServiceAccount", "verifier"), ("User", "certified"), ("User", "alice"), ("Group", "readers")]
    {
        server.allow(who, Some("default"), &reads);
    }
    let impersonate = |resource: &str, group: &str| json!({"apiGroups": [group], "resources": [resource], "verbs": ["impersonate"]});
    let all = json!([
        impersonate("users", ""),
        impersonate("groups", ""),
        impersonate("uids", "authentication.k8s.io"),
    ]);
    server.allow(("User", "proxy"), None, &all);
    let token = server.token();
    let (certificate, key) = server.issue("certified", &[]);
    server.write("certified.crt", &certificate);
    server.write("certified.key", &key);
    server.write("token", format!("{token}\n"));
    server.write("ca.pem", server.ca_pem());
    let of_proxy = server.kubeconfig_of("proxy", &[]);
    let cluster = server.cluster();
    let in_file = json!({"server": server.url, "certificate-authority": "ca.pem"});
    let given = |status: &Value| {
        let credential = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status,
        });
        format!("cat <<'E'\n{credential}\nE")
    };
    let expects = "test \"$1$GIVEN\" = 'an argumentvariable' || exit 7\n\
        case $KUBERNETES_EXEC_INFO in *certificate-authority-data*https://*) ;; *) exit 8;; esac\n";
    let gives_token =
        program(&server, "gives-token", &format!("{expects}{}", given(&json!({"token": token}))));
    let gives_certificate = program(
        &server,
        "gives-certificate",
        &given(&json!({
            "clientCertificateData": certificate, "clientKeyData": key, "expirationTimestamp": "2999-01-01T00:00:00Z",
        })),
    );
    let files = json!({"client-certificate": "certified.crt", "client-key": "certified.key"});
    let mut named = cluster.clone();
    named["server"] = json!(server.url.replace("127.0.0.1", "localhost"));
    named["tls-server-name"] = json!("kubernetes");
    let mut plain_named = named.clone();
    plain_named.as_object_mut().unwrap().remove("tls-server-name");
    let misnamed = |name: &str| {
        let mut cluster = named.clone();
        cluster["tls-server-name"] = json!(name);
        cluster
    };
    let (slash, space) = (misnamed("kubernetes/x"), misnamed("kubernetes x"));
    let impersonating = |more: &Value| {
        let text = fs::read_to_string(&of_proxy).unwrap();
        let mut user = serde_json::from_str::<Value>(&text).unwrap()["users"][0]["user"].take();
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    };
    let verified: (i32, &str) = (0, "");
    let table: &[(&str, &Value, Value, (i32, &str))] = &[
        ("a certificate in files", &in_file, files.clone(), verified),
        ("a token", &cluster, json!({"token": token}), verified),
        ("a token in a file", &cluster, json!({"tokenFile": "token"}), verified),
        ("a program that gives a token", &cluster, exec(&gives_token), verified),
        ("a program beside the kubeconfig", &cluster, exec("./gives-token"), verified),
        ("a program that gives a certificate", &cluster, exec(&gives_certificate), verified),
        ("a certificate for another name", &named, files.clone(), verified),
        (
            "a name for the server with a slash",
            &slash,
            files.clone(),
            (3, "tls-server-name of cluster \"test\" cannot be used: \"kubernetes/x\" is neither"),
        ),
        ("a name for the server with a space", &space, files.clone(), (3, "is neither the name of a host")),
        ("somebody else, by the kubeconfig", &cluster, impersonating(&json!({"as": "alice"})), verified),
        (
            "a group, by the kubeconfig",
            &cluster,
            impersonating(&json!({"as": "bob", "as-groups": ["readers"], "as-uid": "7"})),
            verified,
        ),
        (
            "nobody",
            &cluster,
            json!({}),
            (
                3,
                "does not allow it (403): taskruns.tekton.dev \"ship-build\" is forbidden: User \"system:anonymous\"",
            ),
        ),
        (
            "a token that is not one",
            &cluster,
            json!({"token": "nobodys"}),
            (3, "does not accept the credential of user \"test-user\" of the kubeconfig (401)"),
        ),
        (
            "an empty token file",
            &cluster,
            json!({"tokenFile": "/dev/null"}),
            (3, "the token file /dev/null: it is empty"),
        ),
        (
            "a token file that is not there",
            &cluster,
            json!({"tokenFile": "none"}),
            (3, "none: it cannot be read: No such file or directory"),
        ),
        (
            "a certificate without its key",
            &cluster,
            json!({"client-certificate": "certified.crt"}),
            (3, "its client-key is missing"),
        ),
        (
            "a key of another certificate",
            &cluster,
            json!({"client-certificate": "certified.crt", "client-key": "server.key"}),
            (3, "see that certificate and key belong together"),
        ),
        (
            "a password",
            &cluster,
            json!({"username": "a", "password": "b"}),
            (3, "Kubernetes has dropped passwords"),
        ),
        (
            "a provider",
            &cluster,
            json!({"auth-provider": {"name": "oidc"}}),
            (3, "use the provider's plug-in"),
        ),
        ("extra", &cluster, json!({"as": "alice", "as-user-extra": {"a": ["b"]}}), (3, "as-user-extra")),
        (
            "a program that is not there",
            &cluster,
            exec("./none"),
            (3, "cannot be started: No such file or directory; Install it."),
        ),
        ("a program that fails", &cluster, exec("false"), (3, "failed (exit status: 1)")),
        (
            "a program that says something else",
            &cluster,
            exec("echo"),
            (3, "does not print an ExecCredential"),
        ),
        (
            "no CA",
            &json!({"server": server.url}),
            files.clone(),
            (3, "the kubeconfig names no CA for the cluster \"test\""),
        ),
        (
            "insecure",
            &json!({"server": server.url, "insecure-skip-tls-verify": true}),
            files.clone(),
            (3, "insecure-skip-tls-verify for the cluster \"test\""),
        ),
        (
            "without TLS",
            &json!({"server": "http://127.0.0.1:1", "certificate-authority": "ca.pem"}),
            files.clone(),
            (3, "is not https://"),
        ),
        (
            "another CA",
            &json!({"server": server.url, "certificate-authority": "certified.crt"}),
            files.clone(),
            (3, "its certificate is not accepted: none of the authorities that are trusted has issued it"),
        ),
        (
            "another host",
            &plain_named,
            files.clone(),
            (3, "its certificate is not accepted: it is for another host"),
        ),
        (
            "nobody there",
            &json!({"server": "https://127.0.0.1:1", "certificate-authority": "ca.pem"}),
            files.clone(),
            (3, "does not answer: Connection refused"),
        ),
        (
            "no such host",
            &json!({"server": "https://nowhere.invalid", "certificate-authority": "ca.pem"}),
            files.clone(),
            (3, "the API server https://nowhere.invalid does not answer: "),
        ),
    ];
    for (case, cluster, user, (code, says)) in table {
        let kubeconfig = server.kubeconfig("test-user", cluster, user);
        let ran = verify(&[], &["--kubeconfig", &kubeconfig, "taskrun/ship-build"]);
        let verdicts: &[_] = if *code == 0 { &[("verified", 1)] } else { &[] };
        check(case, &ran, &Expected { code: *code, verdicts, says: &[says] });
        assert!(!format!("{}{}", ran.out, ran.err).contains(&token), "{case}: a token is shown");
    }
    let as_whom: &[(&str, &[&str], i32, &str)] = &[
        ("a user", &["--as", "alice"], 0, ""),
        (
            "a group",
            &["--as", "carol", "--as-group", "others", "--as-group", "readers", "--as-uid", "u"],
            0,
            "",
        ),
        ("somebody who may not", &["--as", "carol"], 3, "User \"carol\" cannot get resource \"taskruns\""),
    ];
    for (case, arguments, code, says) in as_whom {
        let ran = verify(&[("KUBECONFIG", &of_proxy)], &[&["taskrun/ship-build"], *arguments].concat());
        let verdicts: &[_] = if *code == 0 { &[("verified", 1)] } else { &[] };
        check(case, &ran, &Expected { code: *code, verdicts, says: &[says] });
    }
}
