//! Which runs are judged.

use std::{thread, time::Duration};

use serde_json::json;

use crate::{Expected, admin, check, cluster::ApiServer, genuine, moved, verify};

#[test]
fn runs_are_judged_where_they_are() {
    let Some(server) = ApiServer::shared() else { return };
    let mut objects = genuine("ship");
    objects.extend(genuine("failed-results"));
    let running = json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "spec": {},
        "metadata": {"name": "running", "namespace": "default", "labels": {"test": "genuine"}, "uid": "r"},
    });
    // The same in another namespace, where their evidence is not about them; the PipelineRun does not name all of its children.
    let mut elsewhere = genuine("ship");
    elsewhere.iter_mut().for_each(|object| object["metadata"]["namespace"] = json!("elsewhere"));
    elsewhere[0]["status"]["childReferences"].as_array_mut().unwrap().clear();
    server.restore(objects.iter().chain(&elsewhere).chain([&running]));
    let admin = admin(&server);
    type Row<'a> = (&'a str, i32, &'a [(&'a str, usize)], &'a [&'a str]);
    let table: &[Row<'_>] = &[
        ("-l test=genuine", 0, &[("verified", 12)], &["default/running"]),
        (
            "-l test=genuine --all-finished",
            2,
            &[("verified", 12), ("absent", 1)],
            &["it has not started", "unfinished"],
        ),
        ("-l tekton.dev/pipelineRun=ship,test=genuine", 0, &[("verified", 4)], &[]),
        ("-n elsewhere", 1, &[("invalid", 6)], &["elsewhere/ship-build"]),
        ("-A -l test=genuine", 1, &[("verified", 12), ("invalid", 6)], &[]),
        ("taskrun/ship-build", 0, &[("verified", 1)], &["/namespaces/default/taskruns/ship-build"]),
        ("tr/ship-build taskruns.tekton.dev/ship-deploy", 0, &[("verified", 2)], &[]),
        ("pipelinerun/ship", 0, &[("verified", 6)], &["default/ship-report"]),
        ("pipelinerun/ship taskrun/ship-build pr/release pr/ship", 0, &[("verified", 12)], &[]),
        // Whoever belongs to it by their own account are judged, too.
        ("-n elsewhere pipelinerun/ship", 1, &[("invalid", 5)], &["elsewhere/ship-scan-0"]),
        ("taskrun/running", 2, &[("absent", 1)], &["it has not started", "unfinished"]),
        ("taskrun/none", 2, &[], &["taskrun/none is not in the cluster", "not-in-cluster"]),
        (
            "-n elsewhere taskrun/ship-build taskrun/none",
            1,
            &[("invalid", 1)],
            &["taskrun/none is not in namespace elsewhere"],
        ),
        ("-n nowhere", 3, &[], &["no run found in the cluster"]),
        ("-n nowhere --allow-empty", 0, &[], &[]),
        ("-l test=nothing-of-the-kind", 3, &[], &["no run found in the cluster"]),
        (
            "-l !!",
            3,
            &[("unchecked", 0)],
            &[
                "HTTP status 400",
                "unable to parse requirement",
                "see that -l is a selector",
                "refused-by-server",
            ],
        ),
    ];
    for (arguments, code, verdicts, says) in table {
        let split: Vec<&str> = arguments.split(' ').collect();
        let ran = verify(&[("KUBECONFIG", &admin)], &split);
        check(arguments, &ran, &Expected { code: *code, verdicts, says });
    }
}

#[test]
fn what_is_wrong_with_arguments_is_said_before_anything_is_asked() {
    for (arguments, code, says) in [
        ("taskrun/running --finished --allow-empty", 64, "these are asked for by name"),
        ("taskrun/running --finished --wait 1s", 64, "these are asked for by name"),
        ("ship-build", 64, "a run is named taskrun/NAME or pipelinerun/NAME"),
        ("pod/ship-build", 64, "a run is named taskrun/NAME or pipelinerun/NAME"),
        ("taskrun/../secrets", 64, "not a name that Kubernetes admits"),
        ("taskrun/..", 64, "not a name that Kubernetes admits"),
        ("taskrun/a -A", 64, "leave them out"),
        ("taskrun/a -l a=b", 64, "leave them out"),
        ("-n a -A", 64, "cannot be used with"),
        ("-n a/b", 64, "not the name of a namespace"),
        ("--only *.json", 64, "--only is an argument for --from files"),
        ("--parent a", 64, "--parent is an argument for --from results"),
        ("--finished --all-finished", 64, "cannot be used with"),
        ("--wait 5m", 64, "required arguments were not provided"),
        ("taskrun/a --wait 5", 64, "not a duration; it looks like 90s, 30m or 1h30m"),
        ("--as-group a", 64, "--as-group and --as-uid need --as"),
        (
            "-n a",
            3,
            "neither KUBECONFIG nor HOME is set, and this is not a pod; name a kubeconfig with --kubeconfig FILE",
        ),
        ("--context a", 3, "there is no kubeconfig: neither KUBECONFIG nor HOME is set; name a kubeconfig"),
        ("--kubeconfig /nonexistent/config", 3, "/nonexistent/config: No such file or directory"),
    ] {
        let split: Vec<&str> = arguments.split(' ').collect();
        check(arguments, &verify(&[], &split), &Expected { code, verdicts: &[], says: &[says] });
    }
    let pod = [
        ("KUBECONFIG", "/nonexistent/a:/nonexistent/b"),
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
        ("KUBERNETES_SERVICE_PORT", "1"),
    ];
    let says = "none of /nonexistent/a, /nonexistent/b exists; name a kubeconfig";
    check("a pod with a KUBECONFIG", &verify(&pod, &[]), &Expected { code: 3, verdicts: &[], says: &[says] });
}

#[test]
fn runs_that_are_named_are_waited_for_and_judged_as_they_finish() {
    let Some(server) = ApiServer::shared() else { return };
    let finished = [moved("ship", "waiting"), moved("failed-results", "waiting")].concat();
    let mut running = finished.clone();
    running.iter_mut().for_each(|object| {
        object["status"] = json!({"conditions": [{"type": "Succeeded", "status": "Unknown"}]})
    });
    server.restore(&running);
    let admin = admin(&server);
    let environment = [("KUBECONFIG", admin.as_str())];
    let said = "waiting up to 2 s for taskrun/ship-build in namespace waiting to finish";
    let ran = verify(&environment, &["-n", "waiting", "--wait", "2s", "taskrun/ship-build"]);
    check("in vain", &ran, &Expected { code: 2, verdicts: &[("absent", 1)], says: &[said, "unfinished"] });
    // The evidence is about another namespace: what matters here is what comes when.
    let run = || {
        verify(&environment, &["-n", "waiting", "--wait", "10m", "pr/release", "tr/ship-build", "tr/none"])
    };
    let ran = thread::scope(|scope| {
        let waiting = scope.spawn(run);
        thread::sleep(Duration::from_secs(2));
        let (ship, release) = finished.split_at(6);
        server.restore(ship);
        thread::sleep(Duration::from_secs(2));
        server.restore(release.iter().rev());
        waiting.join().unwrap()
    });
    let said =
        "waiting up to 600 s for pipelinerun/release, taskrun/ship-build in namespace waiting to finish";
    check(
        "each by itself",
        &ran,
        &Expected { code: 1, verdicts: &[("invalid", 7)], says: &[said, "taskrun/none is not in"] },
    );
    let place = |text: &str| ran.err.find(text).unwrap_or_else(|| panic!("{text}: {}", ran.err));
    assert!(place("waiting/ship-build") < place("waiting/release-build"), "{}", ran.err);
    assert_eq!(ran.err.matches("svidence verify: waiting").count(), 1, "{}", ran.err);
}
