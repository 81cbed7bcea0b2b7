//! What may be forbidden, and which rule would allow it.

use serde_json::{Value, json};

use crate::{
    Expected, check,
    cluster::ApiServer,
    genuine, moved,
    rights::{apply, lacking, objects, rights},
    verify,
};

/// The rule that a message says is missing, as JSON.
fn rule(text: &str) -> Value {
    let start = text.find("{apiGroups: ").unwrap_or_else(|| panic!("no rule in {text}"));
    let end = start + text[start..].find('}').unwrap();
    serde_json::from_str(
        &["apiGroups", "resources", "verbs", "resourceNames"]
            .iter()
            .fold(text[start..=end].to_owned(), |text, key| {
                text.replace(&format!("{key}:"), &format!("\"{key}\":"))
            }),
    )
    .unwrap()
}

#[test]
fn what_is_forbidden_names_the_one_rule_that_allows_it() {
    let Some(server) = ApiServer::shared() else { return };
    server.restore(&genuine("ship"));
    let table: &[(&str, &str, &str, bool, &[&str])] = &[
        ("get", "getter", "taskrun/ship-build", true, &["get taskruns"]),
        ("get and list", "walker", "-l test=genuine", true, &["list pipelineruns", "list taskruns"]),
        (
            "all namespaces",
            "everywhere",
            "-A -l test=genuine",
            false,
            &["list pipelineruns", "list taskruns"],
        ),
        (
            "a family",
            "family",
            "pipelinerun/ship",
            true,
            &["get pipelineruns", "list taskruns", "get taskruns"],
        ),
        ("a user", "guest", "taskrun/ship-build --as alice-2", false, &["impersonate users"]),
        (
            "a group",
            "guest-2",
            "taskrun/ship-build --as alice-2 --as-group g",
            false,
            &["impersonate users", "impersonate groups"],
        ),
        (
            "a UID",
            "guest-3",
            "taskrun/ship-build --as alice-2 --as-uid u",
            false,
            &["impersonate users", "impersonate uids"],
        ),
        (
            "an account",
            "guest-4",
            "taskrun/ship-build --as system:serviceaccount:default:verifier",
            true,
            &["impersonate serviceaccounts"],
        ),
    ];
    let reads = json!([{"apiGroups": ["tekton.dev"], "resources": ["taskruns"], "verbs": ["get"]}]);
    for who in [("User", "alice-2"), ("ServiceAccount", "verifier")] {
        server.allow(who, Some("default"), &reads);
    }
    for (case, user, arguments, is_local, rules) in table {
        let kubeconfig = server.kubeconfig_of(user, &[]);
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let mut added = Vec::new();
        let last = loop {
            let ran = verify(&[("KUBECONFIG", &kubeconfig)], &arguments);
            if !ran.err.contains("(403)") || added.len() > rules.len() {
                break ran;
            }
            assert!(ran.code != 0 && ran.out.contains("\"forbidden\""), "{case}: {}\n{}", ran.err, ran.out);
            let rule = rule(&ran.err);
            added.push(format!(
                "{} {}",
                rule["verbs"][0].as_str().unwrap(),
                rule["resources"][0].as_str().unwrap()
            ));
            let place = if *is_local { "a Role in namespace default needs" } else { "a ClusterRole needs" };
            assert!(ran.err.contains(place), "{case}: {}", ran.err);
            server.allow(("User", user), Some("default").filter(|_| *is_local), &json!([rule]));
        };
        assert_eq!(added, *rules, "{case}: {}", last.err);
        assert!(last.err.contains("verified  default/ship-build"), "{case}: {}", last.err);
    }
}

#[test]
fn the_verifiers_role_is_enough_and_nothing_of_it_can_be_taken_away() {
    let Some(server) = ApiServer::shared() else { return };
    server.restore(genuine("ship").iter().chain(&moved("ship", "least")));
    let commands = [
        &["-l", "test=genuine,tekton.dev/pipelineRun=ship"][..],
        &["pipelinerun/ship"],
        &["-l", "test=genuine"],
    ];
    // Where it is allowed all, and where it lacks one right at a time.
    let whole = objects("verifier.yaml", "default");
    let rights = rights(&whole);
    assert_eq!(rights.len(), 6);
    for lacks in std::iter::once(None).chain((0..rights.len()).map(Some)) {
        let name = lacks.map_or("svidence-verifier".to_owned(), |lacks| format!("lacks-{lacks}"));
        apply(&server, &lacking(&whole, &name, lacks));
        let user = json!({"token": server.token_of(&name)});
        let kubeconfig = server.kubeconfig(&name, &server.cluster(), &user);
        // A watch that is allowed never ends: tests/kubernetes/watch.rs.
        let lacks_watch = lacks.is_some_and(|lacks| rights[lacks].1 == "watch");
        let watch = lacks_watch.then_some(&["--watch"][..]);
        let is_refused =
            |arguments: &&[&str]| verify(&[("KUBECONFIG", &kubeconfig)], arguments).err.contains("(403)");
        let failed = commands.into_iter().chain(watch).filter(is_refused).count();
        match lacks {
            None => assert_eq!(failed, 0, "with all of it"),
            Some(lacks) => assert_ne!(failed, 0, "without {:?}", rights[lacks]),
        }
        let ran = verify(&[("KUBECONFIG", &kubeconfig)], &["-n", "least", "taskrun/ship-build"]);
        check("in another namespace", &ran, &Expected { code: 3, verdicts: &[], says: &["(403)"] });
    }
    // Asked for by somebody else.
    apply(&server, &objects("impersonation/impersonation.yaml", "default"));
    let of_ci = server.kubeconfig_of("ci", &[]);
    let account = "system:serviceaccount:default:svidence-verifier";
    let ran = verify(&[("KUBECONFIG", &of_ci)], &["pipelinerun/ship", "--as", account]);
    check("as the verifier", &ran, &Expected { code: 0, verdicts: &[("verified", 6)], says: &[] });
    let ran = verify(
        &[("KUBECONFIG", &of_ci)],
        &["pipelinerun/ship", "--as", "system:serviceaccount:default:verifier"],
    );
    let says = "a Role in namespace default needs the rule {apiGroups: [\"\"], resources: [\"serviceaccounts\"], verbs: [\"impersonate\"]";
    check("as another", &ran, &Expected { code: 3, verdicts: &[], says: &[says] });
}
