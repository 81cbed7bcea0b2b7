//! Where kubeconfigs are, and how several are one.

use std::fs;

use serde_json::{Value, json};

use crate::{Expected, check, cluster::ApiServer, genuine, verify};

#[test]
fn several_kubeconfigs_are_one() {
    let Some(server) = ApiServer::shared() else { return };
    server.restore(&genuine("ship"));
    let admin = server.kubeconfig_of("admin", &["system:masters"]);
    let parsed: Value = serde_json::from_str(&fs::read_to_string(&admin).unwrap()).unwrap();
    let user = parsed["users"][0]["user"].clone();
    let write = |name: &str, config: &Value| server.write(name, config.to_string()).display().to_string();
    let contexts = write(
        "contexts",
        &json!({
            "current-context": "here",
            "contexts": [
                {"name": "here", "context": {"cluster": "real", "user": "me", "namespace": "default"}},
                {"name": "there", "context": {"cluster": "real", "user": "me", "namespace": "nowhere"}},
                {"name": "lost", "context": {"cluster": "none", "user": "me"}},
                {"name": "nobody", "context": {"cluster": "real", "user": "none"}},
            ],
        }),
    );
    let cluster = write("cluster", &json!({"clusters": [{"name": "real", "cluster": server.cluster()}]}));
    let users = write("users", &json!({"current-context": "there", "users": [{"name": "me", "user": user}]}));
    let other = write("other", &json!({"users": [{"name": "me", "user": {"token": "another's"}}]}));
    let empty = server.write("empty", "").display().to_string();
    let none = "/nonexistent/config";
    let broken = server.write("broken", "clusters: [").display().to_string();
    let unset = write("unset", &json!({"clusters": [{"name": "real", "cluster": server.cluster()}]}));
    type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str], i32, &'a str);
    let table: &[Row<'_>] = &[
        ("three", &[&contexts, &cluster, &users], &[], 0, ""),
        ("the first one counts", &[none, &empty, &contexts, &users, &cluster, &other], &[], 0, ""),
        ("the first one counts, in another order", &[&contexts, &cluster, &other, &users], &[], 3, "(401)"),
        ("another context", &[&contexts, &cluster, &users], &["--context", "there"], 2, "not in the cluster"),
        (
            "another namespace",
            &[&contexts, &cluster, &users],
            &["--context", "there", "-n", "default"],
            0,
            "",
        ),
        (
            "no such context",
            &[&contexts],
            &["--context", "x"],
            3,
            "has no context \"x\"; it has here, lost, nobody, there",
        ),
        (
            "no such cluster",
            &[&contexts, &cluster],
            &["--context", "lost"],
            3,
            "has no cluster \"none\"; it has real",
        ),
        (
            "no such user",
            &[&contexts, &cluster, &users],
            &["--context", "nobody"],
            3,
            "has no user \"none\"; it has me",
        ),
        ("no context", &[&unset], &[], 3, "has no current-context; choose one with --context: it has none"),
        ("broken", &[&contexts, &broken], &[], 3, "broken: it is not a kubeconfig"),
    ];
    for (case, files, arguments, code, says) in table {
        let list = files.join(":");
        let ran = verify(&[("KUBECONFIG", &list)], &[&["taskrun/ship-build"], *arguments].concat());
        let verdicts: &[_] = if *code == 0 { &[("verified", 1)] } else { &[] };
        check(case, &ran, &Expected { code: *code, verdicts, says: &[says] });
    }
    // As kubectl writes it.
    let base64 = |text: &Value| text.as_str().unwrap().to_owned();
    let yaml = format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    extensions:\n    - extension:\n        provider: minikube.sigs.k8s.io\n\
         \x20     name: cluster_info\n    server: {}\n  name: real\ncontexts:\n- context:\n    cluster: real\n    user: me\n  name: here\n\
         current-context: here\nkind: Config\npreferences: {{}}\nusers:\n- name: me\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
        base64(&server.cluster()["certificate-authority-data"]),
        server.url,
        base64(&user["client-certificate-data"]),
        base64(&user["client-key-data"]),
    );
    let written = server.write("yaml", yaml).display().to_string();
    let ran = verify(&[("KUBECONFIG", &written)], &["taskrun/ship-build"]);
    check("in YAML", &ran, &Expected { code: 0, verdicts: &[("verified", 1)], says: &[] });
    // At home, where nothing else is said.
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".kube")).unwrap();
    fs::copy(&admin, home.path().join(".kube/config")).unwrap();
    let ran = verify(&[("HOME", home.path().to_str().unwrap())], &["taskrun/ship-build"]);
    check("at home", &ran, &Expected { code: 0, verdicts: &[("verified", 1)], says: &[] });
}
