//! Tekton Results that asks a real kube-apiserver who may read its records: the least rights, and whose token is sent.

use crate::cluster;
use crate::results;
use crate::rights;
use crate::support;
use crate::tsa;

use std::{collections::BTreeMap, fs, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cluster::ApiServer;
use results::server::{AUTH, PLAIN, Results};
use rights::{apply, lacking, objects};
use serde_json::{Value, json};
use support::{
    command::{Ran, svidence},
    peers,
};

/// What signed the genuine PipelineRun.
const BUNDLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/pipelineruns/ship/bundle.pem");
/// The group of Results' rights.
const GROUP: &str = "results.tekton.dev";

/// Tekton Results with a genuine PipelineRun, and the cluster that it asks, in one network.
struct Archive {
    cluster: ApiServer,
    results: Results,
}

impl Archive {
    /// `None`, and the test is skipped, where something is missing.
    fn start() -> Option<Self> {
        let mut results = Results::start(false)?;
        peers::require("etcd").and_then(|_| peers::require("kube-apiserver"))?;
        let cluster = results.network.inside(ApiServer::start)?;
        results.network.inside(|| {
            let account = json!({"metadata": {"name": "results-api"}});
            cluster.create("/api/v1/namespaces/default/serviceaccounts", &account);
            // What `system:auth-delegator` gives to the server of a real installation.
            let rule = |group: &str, resource: &str| json!({"apiGroups": [group], "resources": [resource], "verbs": ["create"]});
            let rules = json!([
                rule("authentication.k8s.io", "tokenreviews"),
                rule("authorization.k8s.io", "subjectaccessreviews"),
            ]);
            cluster.allow(("ServiceAccount", "results-api"), None, &rules);
            cluster.write("token", cluster.token_of("results-api"));
        });
        let port = cluster.url.rsplit(':').next().unwrap().parse().unwrap();
        results.ask(cluster.folder.path(), port);
        let read = |file: &str| -> Value {
            let path = format!("{}/testdata/pipelineruns/ship/{file}.json", env!("CARGO_MANIFEST_DIR"));
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
        };
        results.store("default/results/ship/records/ship", "tekton.dev/v1.PipelineRun", &read("pipelinerun"));
        for task_run in read("taskruns")["items"].as_array().unwrap() {
            let record =
                format!("default/results/ship/records/{}", task_run["metadata"]["name"].as_str().unwrap());
            results.store(&record, "tekton.dev/v1.TaskRun", task_run);
        }
        Some(Self { cluster, results })
    }

    /// Creates an account of namespace default with these objects; gives the file with its token. `namespace`: where its rights are.
    fn account(&self, objects: &[Value], namespace: &str) -> String {
        let name = objects[0]["metadata"]["name"].as_str().unwrap();
        self.results.network.inside(|| {
            apply(&self.cluster, objects);
            for (resource, verb) in self::rights::rights(objects) {
                let user = format!("system:serviceaccount:default:{name}");
                let attributes =
                    json!({"group": GROUP, "resource": resource, "verb": verb, "namespace": namespace});
                self.cluster
                    .wait_until_allowed(&json!({"spec": {"user": user, "resourceAttributes": attributes}}));
            }
            self.token_file(name)
        })
    }

    /// A file with a new token of an account of namespace default.
    fn token_file(&self, account: &str) -> String {
        self.cluster.write(&format!("{account}.token"), self.cluster.token_of(account)).display().to_string()
    }

    fn verify(&self, address: &str, more: &[&str]) -> Ran {
        self.verify_with(&[], address, more)
    }

    fn verify_with(&self, environment: &[(&str, &str)], address: &str, more: &[&str]) -> Ran {
        let ca = self.results.ca_file();
        let from = ["verify", "--from", "results", "--results-api", address, "--ca-file", &ca, "-o", "json"];
        let bundle = if more.contains(&"--bundle-configmap") { &[][..] } else { &["--bundle", BUNDLE] };
        let trust = ["--trust-domain", "example.org", "--at", "2026-11-28T09:08:30Z"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
        command.args(from).args(trust).args(bundle).args(more).env_clear().envs(environment.iter().copied());
        let output = self.results.network.inside(|| command.output().unwrap());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

fn addresses() -> [String; 2] {
    [format!("grpcs://127.0.0.1:{AUTH}"), format!("https://127.0.0.1:{AUTH}")]
}

/// That all of the PipelineRun was verified.
fn is_verified(case: &str, ran: &Ran) {
    let verdicts =
        ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["verdict"].clone());
    let verdicts: Vec<Value> = verdicts.collect();
    assert_eq!((ran.code, verdicts), (0, vec![json!("verified"); 6]), "{case}: {}", ran.err);
}

/// That nothing was read, for this reason.
fn is_refused(case: &str, ran: &Ran, reason: &str) {
    assert!(ran.code == 3 && ran.err.contains(reason), "{case}: {}\n{}", ran.code, ran.err);
    assert!(!ran.out.contains("\"verified\""), "{case}: {}", ran.out);
}

#[test]
fn the_verifiers_roles_are_enough_and_nothing_of_them_can_be_taken_away() {
    let Some(archive) = Archive::start() else { return };
    let of_one = objects("results/results.yaml", "default");
    let of_all = objects("results-everywhere/results.yaml", "default");
    // Where the rights are, as Kubernetes is asked: `-` where all are counted.
    for (case, whole, parent, elsewhere) in
        [("one namespace", &of_one, "default", "-"), ("all", &of_all, "-", "other")]
    {
        let name = if parent == "-" { "everywhere" } else { "svidence-verifier" };
        let token = archive.account(&lacking(whole, name, None), parent);
        let rights = self::rights::rights(whole);
        assert_eq!(rights.len(), 2, "{case}: every right of it is tried below");
        for address in addresses() {
            let case = format!("{address}: {case}");
            let parent_given = ["--parent", parent, "--token-file", &token];
            for run in [&[][..], &["pipelinerun/ship"]] {
                is_verified(&case, &archive.verify(&address, &[&parent_given[..], run].concat()));
            }
            let ran =
                archive.verify(&address, &["--parent", elsewhere, "--token-file", &token, "--allow-empty"]);
            match elsewhere {
                "-" => is_refused(&format!("{case}: elsewhere"), &ran, "permission denied"),
                _ => assert_eq!(ran.code, 0, "{case}: {}", ran.err),
            }
        }
        for (number, right) in rights.iter().enumerate() {
            let lacks = lacking(whole, &format!("{name}-lacks-{number}"), Some(number));
            let token = archive.account(&lacks, parent);
            for address in addresses() {
                let ran = archive.verify(&address, &["--parent", parent, "--token-file", &token]);
                is_refused(&format!("{address}: {case} without {right:?}"), &ran, "permission denied");
            }
        }
    }
}

#[test]
fn somebody_else_may_ask_as_the_verifier_and_as_nobody_else() {
    let Some(archive) = Archive::start() else { return };
    archive.account(&objects("results/results.yaml", "default"), "default");
    let mut impersonation = objects("impersonation/impersonation.yaml", "default");
    // Results knows its callers by their tokens, which a real cluster gives to accounts.
    impersonation[1]["subjects"] = json!([{"kind": "ServiceAccount", "name": "ci", "namespace": "default"}]);
    let token = archive.results.network.inside(|| {
        archive.cluster.create("/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "ci"}}));
        apply(&archive.cluster, &impersonation);
        let attributes = json!({
            "resource": "serviceaccounts", "verb": "impersonate", "namespace": "default", "name": "svidence-verifier",
        });
        let user = "system:serviceaccount:default:ci";
        archive.cluster.wait_until_allowed(&json!({"spec": {"user": user, "resourceAttributes": attributes}}));
        archive.token_file("ci")
    });
    let asked = ["--parent", "default", "--token-file", &token];
    for address in addresses() {
        is_refused(&address, &archive.verify(&address, &asked), "permission denied");
        let of = |account: &str| {
            let account = format!("system:serviceaccount:default:{account}");
            archive.verify(&address, &[&asked[..], &["--as", &account]].concat())
        };
        is_verified(&address, &of("svidence-verifier"));
        is_refused(&address, &of("verifier"), "the right to impersonate");
    }
}

/// The lines of a report, with how often each is there.
fn lines(ran: &Ran) -> BTreeMap<&str, usize> {
    let mut lines = BTreeMap::new();
    ran.out.lines().for_each(|line| *lines.entry(line).or_default() += 1);
    lines
}

#[test]
fn the_pods_of_the_indexed_job_verify_all_of_the_archive_once() {
    let Some(archive) = Archive::start() else { return };
    // Nobody has signed these: a pipeline in a pipeline, with a TaskRun.
    for family in 0..6 {
        let uid = |number: usize| format!("{:08x}-0000-4000-8000-000000000000", 10 * family + number);
        let store = |kind: &str, number: usize, owner: Option<usize>| {
            let owners = owner.map(|owner| json!([{"kind": "PipelineRun", "uid": uid(owner)}]));
            let parent = owner.map(|owner| format!("run-{family}-{owner}"));
            let object = json!({
                "apiVersion": "tekton.dev/v1", "kind": kind,
                "metadata": {
                    "name": format!("run-{family}-{number}"), "namespace": "default", "uid": uid(number),
                    "ownerReferences": owners.unwrap_or(json!([])),
                    "labels": {"tekton.dev/pipelineRun": parent.unwrap_or_default()},
                },
                "status": {"completionTime": format!("2026-11-{:02}T10:00:00Z", 28 + number)},
            });
            let record = format!("default/results/{family}/records/{number}");
            archive.results.store(&record, &format!("tekton.dev/v1.{kind}"), &object);
        };
        store("PipelineRun", 0, None);
        // What is outside of the time that is asked for comes along.
        store("PipelineRun", 1, Some(0));
        store("TaskRun", 2, Some(1));
    }
    let token = archive.account(&objects("results/results.yaml", "default"), "default");
    let manifest = format!("{}/config/gates/kubernetes/archive.yaml", env!("CARGO_MANIFEST_DIR"));
    let job: Value = serde_saphyr::from_str(&fs::read_to_string(manifest).unwrap()).unwrap();
    let path = "/apis/batch/v1/namespaces/default/jobs?fieldValidation=Strict&dryRun=All";
    let made = archive.results.network.inside(|| archive.cluster.create(path, &job));
    let (spec, pod) = (&made["spec"], &made["spec"]["template"]["spec"]);
    assert_eq!((&spec["completionMode"], &spec["backoffLimitPerIndex"]), (&json!("Indexed"), &json!(0)));
    assert_eq!(pod["serviceAccountName"], "svidence-verifier");
    let rules =
        json!([{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]);
    assert_eq!(spec["podFailurePolicy"]["rules"], rules);
    assert!(pod["containers"][0]["resources"]["limits"]["memory"].is_string(), "{pod}");
    // What a pod leaves behind has to outlive it.
    let of_reports = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "reports");
    assert!(of_reports.unwrap()["persistentVolumeClaim"]["claimName"].is_string(), "{pod}");
    let folder = tempfile::tempdir().unwrap();
    let completions = spec["completions"].as_u64().unwrap();
    for address in addresses() {
        // What the pod of an index runs, with what is mounted there.
        let run = |index: Option<u64>| {
            let part = index.map_or("whole".to_owned(), |index| index.to_string());
            let report = folder.path().join(format!("part-{part}.jsonl"));
            let replaced = |word: &Value| -> Option<String> {
                let word = word.as_str().unwrap();
                let (name, value) = word.split_once('=').unwrap_or((word, ""));
                Some(match name {
                    "--output" => {
                        assert_eq!(value, "json=/reports/part-$(JOB_COMPLETION_INDEX).jsonl");
                        format!("{name}=json={}", report.display())
                    }
                    "--results-api" => format!("{name}={address}"),
                    "--ca-file" => format!("{name}={}", archive.results.ca_file()),
                    "--bundle" => format!("{name}={BUNDLE}"),
                    "--until" => format!("{name}=2026-11-29T00:00:00Z"),
                    "--shard" => word.replace("$(JOB_COMPLETION_INDEX)", &index?.to_string()),
                    _ => word.to_owned(),
                })
            };
            let mut args: Vec<String> =
                pod["containers"][0]["args"].as_array().unwrap().iter().filter_map(replaced).collect();
            args.extend([format!("--token-file={token}"), "--at=2026-11-28T09:08:30Z".to_owned()]);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let ran = archive.results.network.inside(|| svidence(&args, ""));
            assert_eq!(ran.out, "", "{address}: {part}");
            Ran { out: fs::read_to_string(report).unwrap(), ..ran }
        };
        let whole = run(None);
        assert_eq!(lines(&whole).len(), 6 + 6 * 3, "{address}: {}", whole.err);
        let parts: Vec<Ran> = (0..completions).map(|index| run(Some(index))).collect();
        let mut union = BTreeMap::new();
        for part in &parts {
            assert!(lines(part).len() < lines(&whole).len(), "{address}: {}", part.err);
            lines(part).into_iter().for_each(|(line, times)| *union.entry(line).or_default() += times);
        }
        assert_eq!(union, lines(&whole), "{address}");
    }
}

/// A kubeconfig of this cluster with these users, each with a context of its name; the first is the current one.
fn kubeconfig(archive: &Archive, file: &str, users: &[(&str, Value)]) -> String {
    let named = |key: &str, entry: &dyn Fn(&str, &Value) -> Value| -> Vec<Value> {
        users.iter().map(|(name, user)| json!({"name": name, key: entry(name, user)})).collect()
    };
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": users[0].0,
        "clusters": [{"name": "test", "cluster": archive.cluster.cluster()}],
        "contexts": named("context", &|name, _| json!({"cluster": "test", "user": name})),
        "users": named("user", &|_, user| user.clone()),
    });
    archive.cluster.write(file, config.to_string()).display().to_string()
}

#[test]
fn a_kubeconfig_that_is_named_gives_the_token() {
    let Some(archive) = Archive::start() else { return };
    let token_file = archive.account(&objects("results/results.yaml", "default"), "default");
    let token = fs::read_to_string(&token_file).unwrap();
    let of_nobody = archive.results.network.inside(|| archive.cluster.token());
    let (certificate, key) = archive.cluster.issue("admin", &["system:masters"]);
    let certificate = json!({"client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key)});
    // Each time that it is asked it says so, and gives a token that is good for no longer than one request.
    let asked = archive.cluster.folder.path().join("asked");
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": token, "expirationTimestamp": "2020-01-01T00:00:00Z"},
    });
    let script = format!("echo asked >> {}; echo '{credential}'", asked.display());
    let plugin = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh", "args": ["-c", script], "interactiveMode": "Never",
    }});
    let verifier = "system:serviceaccount:default:svidence-verifier";
    let config = kubeconfig(
        &archive,
        "several",
        &[
            ("token", json!({"token": token})),
            ("file", json!({"tokenFile": token_file})),
            ("plugin", plugin),
            ("certificate", certificate),
            ("nobody", json!({"token": of_nobody})),
            ("instead", json!({"token": of_nobody, "as": verifier})),
        ],
    );
    let bundle =
        json!({"metadata": {"name": "bundle"}, "data": {"bundle.crt": fs::read_to_string(BUNDLE).unwrap()}});
    archive
        .results
        .network
        .inside(|| archive.cluster.create("/api/v1/namespaces/default/configmaps", &bundle));
    let named = ["--kubeconfig", config.as_str()];
    let of = |context: &'static str| ["--kubeconfig", &config, "--context", context];
    let from_cluster = ["--bundle-configmap", "default/bundle"];
    let admin = archive.cluster.kubeconfig_of("admin", &["system:masters"]);
    type Row<'a> = (&'a str, Vec<&'a str>, i32, &'a str);
    let rows: Vec<Row<'_>> = vec![
        ("its current context", named.to_vec(), 0, ""),
        ("a token in a file", of("file").to_vec(), 0, ""),
        ("a plug-in", of("plugin").to_vec(), 0, ""),
        ("a context of KUBECONFIG", vec!["--context", "token"], 0, ""),
        (
            "a certificate",
            of("certificate").to_vec(),
            3,
            "user \"certificate\" of the kubeconfig cannot be used: it has none",
        ),
        ("somebody without the right", of("nobody").to_vec(), 3, "permission denied"),
        ("somebody who may not stand in", of("instead").to_vec(), 3, "the right to impersonate"),
        ("no such context", of("other").to_vec(), 3, "has no context \"other\""),
        ("KUBECONFIG alone", vec![], 3, "it wants a token, and none was given"),
        (
            "for the bundle alone",
            [&["--kubeconfig", &admin][..], &from_cluster].concat(),
            3,
            "it wants a token",
        ),
        (
            "for the bundle, and a token",
            [&["--kubeconfig", &admin, "--token-file", &token_file][..], &from_cluster].concat(),
            0,
            "",
        ),
        ("two tokens", [&named[..], &["--token-file", &token_file]].concat(), 64, "leave one of them out"),
    ];
    for address in addresses() {
        for (case, more, code, says) in &rows {
            let case = format!("{address}: {case}");
            let ran = archive.verify_with(
                &[("KUBECONFIG", &config)],
                &address,
                &[&["--parent", "default"], &more[..]].concat(),
            );
            assert_eq!(ran.code, *code, "{case}: {}", ran.err);
            assert!(ran.err.contains(says), "{case}: {}", ran.err);
            let is_shown =
                [&token, &of_nobody].iter().any(|token| ran.out.contains(*token) || ran.err.contains(*token));
            assert!(!is_shown, "{case}: the token is shown");
            if *code == 0 {
                is_verified(&case, &ran);
            }
        }
    }
    // How many there are, and the records, over each protocol.
    assert!(fs::read_to_string(asked).unwrap().lines().count() >= 4, "the plug-in is asked again");
    let plain = format!("http://127.0.0.1:{PLAIN}");
    let ran = archive.verify(&plain, &[&["--parent", "default"], &named[..]].concat());
    assert!(ran.code == 64 && ran.err.contains("or leave out --kubeconfig"), "{}", ran.err);
}

#[test]
fn runs_of_the_archive_are_inspected_and_time_stamped() {
    let Some(archive) = Archive::start() else { return };
    if !tsa::require_openssl() {
        return;
    }
    let token = archive.account(&objects("results/results.yaml", "default"), "default");
    let authority = tsa::Tsa::new(&tsa::RSA);
    let root = archive.cluster.write("tsa-root.pem", authority.pem("root.pem")).display().to_string();
    let answer: Box<tsa::Answer> = Box::new(move |_, query| ("200 OK".into(), authority.reply(query)));
    let server = archive.results.network.inside(|| tsa::Server::start(answer));
    let ca = archive.results.ca_file();
    for (number, address) in addresses().iter().enumerate() {
        let from = [
            "--from=results",
            "--results-api",
            address,
            "--ca-file",
            &ca,
            "--parent=default",
            "--token-file",
            &token,
        ];
        let run = |command: &[&str], more: &[&str]| {
            archive.results.network.inside(|| svidence(&[command, &from, more].concat(), ""))
        };
        for (case, more, code, lines, tokens, says) in [
            ("a TaskRun", vec!["taskrun/ship-build"], 0, 1, 2, ""),
            ("a PipelineRun's TaskRuns", vec!["pipelinerun/ship"], 0, 5, 6, ""),
            ("all", vec![], 0, 5, 6, ""),
            ("of some time", vec!["--until=2026-11-28T09:07:46Z"], 0, 3, 4, ""),
            ("none of that name", vec!["taskrun/none"], 3, 0, 0, "taskrun/none is not in the archive"),
        ] {
            let case = format!("{address}: {case}");
            let ran = run(&["inspect", "-o", "json"], &more);
            assert_eq!((ran.code, ran.out.lines().count()), (code, lines), "{case}: {}", ran.err);
            assert!(ran.err.contains(says), "{case}: {}", ran.err);
            let folder =
                archive.cluster.folder.path().join(format!("tokens-{number}-{lines}-{}", more.len()));
            let _ = fs::remove_dir_all(&folder);
            let to = [
                "timestamp",
                "--tsa",
                &server.address,
                "--tsa-certificate",
                &root,
                "--output",
                folder.to_str().unwrap(),
            ];
            let ran = run(&to, &more);
            let written = fs::read_dir(&folder).map_or(0, Iterator::count);
            // What is not there is absent.
            assert_eq!((ran.code, written), (if code == 0 { 0 } else { 2 }, tokens), "{case}: {}", ran.err);
            assert!(ran.err.contains(says), "{case}: {}", ran.err);
        }
        // In place of a file the patch for one of them.
        let to = ["timestamp", "--tsa", &server.address, "--tsa-certificate", &root];
        let ran = run(&to, &["taskrun/ship-build"]);
        assert!(ran.code == 0 && ran.out.contains("svidence.dev/timestamps"), "{address}: {}", ran.err);
    }
}
