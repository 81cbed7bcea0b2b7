//! Whether a step set a result or found it so: told rightly however the file is treated, and without keeping the command waiting for
//! slow storage.

use crate::support;

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use support::{
    pod::{Pod, StepOutcome},
    signed::{Cluster, entry},
    skip,
    slow::SlowFs,
};
use svidence::evidence::attestation::Attestation;
use time::OffsetDateTime;

/// True if the attestation says that the step set its one result.
fn is_set(case: &str, outcome: &StepOutcome) -> bool {
    let value = entry(outcome.message(), "SVIDENCE.one.sig").unwrap_or_default();
    let attestation = Attestation::from_value(&value)
        .unwrap_or_else(|error| panic!("{case}: {error}: {value}: {}", outcome.stderr()));
    match (&attestation.results[..], attestation.set_hints.len(), attestation.found_hints.len()) {
        ([result], 0, 0) => result.set,
        ([], 1, 0) => true,
        ([], 0, 1) => false,
        _ => panic!("{case}: {attestation:?}"),
    }
}

#[test]
fn found_means_that_nothing_changed() {
    let cluster = Cluster::new("run");
    for (case, before, script, set) in [
        ("made", None, "printf v >$RESULTS/a", true),
        ("untouched", Some("v"), "true", false),
        ("read", Some("v"), "cat $RESULTS/a", false),
        ("another value", Some("v"), "printf w >$RESULTS/a", true),
        (
            "another value of the same time",
            Some("v"),
            "printf w >$RESULTS/a; touch -d '2020-01-01 00:00:00.5' $RESULTS/a",
            true,
        ),
        ("more", Some("v"), "printf w >>$RESULTS/a", true),
        ("replaced by another value", Some("v"), "printf w >$RESULTS/b; mv $RESULTS/b $RESULTS/a", true),
        // By its bytes it is the same.
        ("written again", Some("v"), "sleep 0.1; printf v >$RESULTS/a", false),
        (
            "replaced by the same",
            Some("v"),
            "sleep 0.1; printf v >$RESULTS/b; mv $RESULTS/b $RESULTS/a",
            false,
        ),
        ("another mode", Some("v"), "sleep 0.1; chmod 600 $RESULTS/a", false),
        ("removed and made", Some("v"), "rm $RESULTS/a; printf w >$RESULTS/a", true),
    ] {
        for aged in [true, false] {
            let case = format!("{case}, {}", if aged { "made long ago" } else { "made just now" });
            let pod = cluster.pod(&["one"], &[]);
            let file = pod.root().join("tekton/results/a");
            if let Some(content) = before {
                fs::write(&file, content).unwrap();
                if aged {
                    fs::File::open(&file)
                        .unwrap()
                        .set_modified(std::time::UNIX_EPOCH + Duration::from_millis(1_577_836_800_500))
                        .unwrap();
                    thread::sleep(Duration::from_millis(30));
                }
            }
            let outcome = pod.step(0).signed(&cluster.agent.address()).results(&["a"]).script(script).run();
            assert_eq!(outcome.output.status.code(), Some(0), "{case}: {}", outcome.stderr());
            assert_eq!(is_set(&case, &outcome), set, "{case}: {}", outcome.stderr());
        }
    }
}

/// Starts a step whose results are on `storage`, and says after how long its command has run.
fn start(pod: &Pod, cluster: &Cluster, then: impl FnOnce()) -> (Duration, StepOutcome) {
    let ran = pod.root().join("ran");
    let step = pod.step(0).signed(&cluster.agent.address()).results(&["a"]);
    let step = step.script(&format!(": >{}", ran.display()));
    let begin = Instant::now();
    let child = step.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !ran.exists() && begin.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(5));
    }
    let took = begin.elapsed();
    then();
    (took, step.outcome(child.wait_with_output().unwrap(), OffsetDateTime::now_utc()))
}

fn can_mount(test: &str) -> bool {
    let can = nix::unistd::geteuid().is_root() && fs::File::open("/dev/fuse").is_ok();
    if !can {
        skip::lacks(test, "FUSE file systems cannot be mounted here");
    }
    can
}

#[test]
fn slow_storage_of_results_does_not_keep_the_command_waiting() {
    if !can_mount("slow_storage_of_results_does_not_keep_the_command_waiting") {
        return;
    }
    const READS_TAKE: Duration = Duration::from_secs(8);
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[]);
    let _storage = SlowFs::at(&pod.root().join("tekton/results"), "a", "v", READS_TAKE);
    let (took, outcome) = start(&pod, &cluster, || ());
    assert!(took < READS_TAKE / 2, "{took:?}");
    assert_eq!(outcome.output.status.code(), Some(0), "{}", outcome.stderr());
    assert!(!is_set("slow", &outcome), "{}", outcome.message());
}

#[test]
fn storage_that_hangs_does_not_keep_the_command_from_starting_and_nothing_is_claimed_of_it() {
    if !can_mount("storage_that_hangs_does_not_keep_the_command_from_starting_and_nothing_is_claimed_of_it") {
        return;
    }
    let cluster = Cluster::new("run");
    let pod = cluster.pod(&["one"], &[]);
    let storage = SlowFs::at(&pod.root().join("tekton/results"), "a", "v", Duration::ZERO);
    storage.hang(true);
    let (took, outcome) = start(&pod, &cluster, || storage.hang(false));
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(entry(outcome.message(), "a").as_deref(), Some("v"), "{}", outcome.stderr());
    let evidence = entry(outcome.message(), "SVIDENCE.one.sig").unwrap();
    assert!(evidence.starts_with("unsigned: it is not known whether this step set result a "), "{evidence}");
    assert_eq!(outcome.output.status.code(), Some(1), "{}", outcome.stderr());
}
