//! The duties of a container's first process, and what a step may do to it that is merely much.

use std::process::Command;

use crate::support;
use support::{
    skip::emulated,
    step::{As, OURS, Pod, available, until, usual},
};

fn sh<'a>(script: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    usual(&[flags, &["-entrypoint", "/bin/sh", "--", "-c", script]].concat())
}

#[test]
fn every_exit_code_is_kept() {
    if !available("every_exit_code_is_kept") {
        return;
    }
    let script = r#"i=$1; while [ $i -lt $2 ]; do
        "$0" -post_file /tekton/run/0/out -step_metadata_dir /tekton/run/0/status -entrypoint /bin/sh -- -c "exit $i" 2>/dev/null
        got=$?; [ $got = $i ] || echo "$i became $got"
        i=$((i + 1)); done; echo "up to $i""#;
    // So few in one run that it takes no more time than a test may, even under an emulator.
    for from in (0..256).step_by(16) {
        let (pod, to) = (Pod::new(), from + 16);
        let ran = pod.run("/bin/sh", &["-c", script, OURS, &from.to_string(), &to.to_string()], As::Process);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), format!("up to {to}\n"), "{}", ran.stderr);
    }
}

/// A thousand orphans that end leave no zombie behind, while the program runs and after it.
#[test]
fn a_thousand_orphans_are_reaped() {
    if !available("a_thousand_orphans_are_reaped") {
        return;
    }
    let pod = Pod::new();
    let script = r#"i=0; while [ $i -lt 1000 ]; do (sleep 0.2 & exec true); i=$((i + 1)); done; sleep 0.7
        for status in /proc/[0-9]*/status; do grep -q '^State:.Z' $status 2>/dev/null && echo zombie; done; echo done; exit 5"#;
    let ran = pod.run(OURS, &sh(script, &[]), As::First);
    assert_eq!(
        (&ran.status[..], &*String::from_utf8_lossy(&ran.stdout)),
        ("exit 5", "done\n"),
        "{}",
        ran.stderr
    );
}

/// Every signal that can be caught reaches the whole group of the program (but SIGPROF, which Go keeps for itself).
#[test]
fn every_signal_reaches_the_group() {
    const TEST: &str = "every_signal_reaches_the_group";
    /// Those that a processor's faults bring.
    const FAULTS: [i32; 5] = [4, 5, 7, 8, 11];
    const STOPPING: [i32; 3] = [20, 21, 22];
    if !available(TEST) {
        return;
    }
    let emulated = emulated(TEST, "signals of faults and real-time signals do not reach the program");
    let not_for_the_program = [9, 17, 19, 27, 32, 33];
    let lost = |signal: i32| emulated && (FAULTS.contains(&signal) || signal > 31);
    let all: Vec<i32> =
        (1..=64).filter(|signal| !not_for_the_program.contains(signal) && !lost(*signal)).collect();
    for some in all.chunks(8) {
        let pods = some.iter().map(|signal| {
            let pod = Pod::new();
            // Nothing that is at its default: a signal that stops would stop it.
            let pause = if STOPPING.contains(signal) { ":" } else { "sleep 0.05" };
            // The grandchild is of the program's group and tells of itself. What a shell starts with `&` ignores some signals.
            let script = format!(
                "trap 'touch /tekton/got' {signal}
                 sh -c 'trap \"touch /tekton/too; exit\" {signal}; touch /tekton/child; while :; do {pause}; done'
                 [ -e /tekton/got ] && [ -e /tekton/too ]"
            );
            let child = pod.start(OURS, &sh(&script, &["-timeout=15s"]), As::First);
            (pod, child, signal)
        });
        for (pod, child, signal) in pods.collect::<Vec<_>>() {
            until(&format!("signal {signal}: the program runs"), || pod.path("child").exists());
            // The child of unshare is the first process of the namespace.
            let first = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
            let sent = Command::new("kill").args([&format!("-{signal}"), first.trim()]).status().unwrap();
            assert!(sent.success(), "signal {signal}");
            let ran = support::step::end(child)
                .unwrap_or_else(|stderr| panic!("signal {signal} ends nothing: {stderr}"));
            assert_eq!(ran.status, "exit 0", "signal {signal}: {}", ran.stderr);
        }
    }
}

/// Files of any size and number are looked at no further than they can be of use.
#[test]
fn large_and_many_results() {
    const TEST: &str = "large_and_many_results";
    if !available(TEST) || emulated(TEST, "a program needs more address space") {
        return;
    }
    let many: Vec<String> = (0..5000).map(|i| format!("r{i}")).collect();
    let many = many.join(",");
    for (case, names, script, flags, status) in [
        ("10 GB", "r", "truncate -s 10G /tekton/results/r", &[][..], "exit 1"),
        (
            "10 GB, compressed",
            "r",
            "truncate -s 10G /tekton/results/r",
            &["-compress_termination_message"],
            "exit 1",
        ),
        (
            "10 GB by the log",
            "r",
            "truncate -s 10G /tekton/results/r",
            &["-result_from=sidecar-logs"],
            "exit 0",
        ),
        ("10 GB of artifacts", "r", "truncate -s 10G /tekton/artifacts/provenance.json", &[], "exit 1"),
        ("5000 that are not there", &many, "true", &[], "exit 0"),
        ("5000 empty ones", &many, "cd /tekton/results; seq -f r%g 0 4999 | xargs touch", &[], "exit 1"),
        (
            "5000 empty ones by the log",
            &many,
            "cd /tekton/results; seq -f r%g 0 4999 | xargs touch",
            &["-result_from=sidecar-logs"],
            "exit 0",
        ),
    ] {
        let pod = Pod::new();
        // 64 MiB of address space would not hold what must not be read.
        let limited = ["-c", "ulimit -v 65536; exec \"$@\"", "sh", OURS];
        let results = ["-results", names];
        let args = [&limited[..], &sh(script, &[&results[..], flags].concat())].concat();
        let ran = pod.run("/bin/sh", &args, As::Process);
        assert_eq!(ran.status, status, "{case}: {}", ran.stderr);
        let posted = if status == "exit 0" { "run/0/out" } else { "run/0/out.err" };
        assert!(pod.read(posted).is_some(), "{case}: {posted}");
    }
}

/// Results that come and go while they are read are there or not; nothing else happens.
#[test]
fn results_that_vanish() {
    if !available("results_that_vanish") {
        return;
    }
    let script = "(cd /tekton/results; end=$(($(date +%s) + 3)); while [ $(date +%s) -lt $end ]; do
        for i in 1 2 3 4 5 6 7 8; do echo x >r; mv r s; rm s; mkdir d; rmdir d; done; done) >/dev/null 2>&1 & sleep 0.1";
    for _ in 0..30 {
        let pod = Pod::new();
        let ran = pod.run(OURS, &sh(script, &["-results", "r,s"]), As::Process);
        assert_eq!(ran.status, "exit 0", "{}", ran.stderr);
        let message = pod.message().unwrap();
        let entries: Vec<serde_json::Value> = serde_json::from_str(&message).unwrap();
        for entry in &entries[..entries.len() - 1] {
            let value = entry["value"].as_str().unwrap();
            assert!(value.is_empty() || value == "x\n", "{message}");
        }
    }
}
