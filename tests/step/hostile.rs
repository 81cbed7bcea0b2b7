//! What a step's own code can put in the entrypoint's way: it neither hangs nor keeps the next step waiting.

use std::time::{Duration, Instant};

use crate::support;
use support::step::{As, OURS, Pod, available, usual};

fn sh<'a>(script: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    usual(&[flags, &["-entrypoint", "/bin/sh", "--", "-c", script]].concat())
}

#[test]
fn nothing_in_the_place_of_a_file_that_others_wait_for_stops_the_step() {
    if !available("nothing_in_the_place_of_a_file_that_others_wait_for_stops_the_step") {
        return;
    }
    for (case, script, status, posted) in [
        ("FIFO at exitCode", "mkfifo /tekton/run/0/status/exitCode", "exit 0", "run/0/out"),
        ("FIFO at the post file", "mkfifo /tekton/run/0/out", "exit 0", "run/0/out"),
        ("FIFO at the error post file", "mkfifo /tekton/run/0/out.err; exit 3", "exit 3", "run/0/out.err"),
        ("link at the post file", "ln -s /nowhere/x /tekton/run/0/out", "exit 0", "run/0/out"),
        ("link at exitCode", "ln -s /nowhere/x /tekton/run/0/status/exitCode", "exit 0", "run/0/out"),
        ("device at exitCode", "mknod /tekton/run/0/status/exitCode c 1 5", "exit 0", "run/0/out"),
        ("folder at exitCode", "mkdir /tekton/run/0/status/exitCode", "exit 1", "run/0/out.err"),
        ("content in the post file", "echo x >/tekton/run/0/out", "exit 0", "run/0/out"),
        ("folder at the post file", "mkdir /tekton/run/0/out", "exit 0", "run/0/out"),
    ] {
        if case == "device at exitCode" && !nix::unistd::geteuid().is_root() {
            // Ordinary users cannot make one.
            continue;
        }
        for run_as in [As::Process, As::First] {
            let pod = Pod::new();
            let ran = pod.run(OURS, &sh(script, &[]), run_as);
            assert_eq!(ran.status, status, "{case}, {run_as:?}: {}", ran.stderr);
            let found = std::fs::symlink_metadata(pod.path(posted));
            assert!(found.is_ok_and(|found| !found.is_symlink()), "{case}, {run_as:?}: {posted}");
        }
    }
}

#[test]
fn folders_that_were_exchanged_for_links_are_not_followed() {
    if !available("folders_that_were_exchanged_for_links_are_not_followed") {
        return;
    }
    for (case, script) in [
        ("results", "rmdir /tekton/run/0/status/results; ln -s /proc/self /tekton/run/0/status/results"),
        (
            "status",
            "mv /tekton/run/0/status /tekton/run/0/x; mkdir /tekton/l; ln -s /proc/self /tekton/l/results; ln -s /tekton/l /tekton/run/0/status",
        ),
    ] {
        let pod = Pod::new();
        let ran = pod.run(OURS, &sh(script, &["-step_results", "maps"]), As::Process);
        assert_eq!(ran.status, "exit 1", "{case}: {}", ran.stderr);
        assert!(ran.stderr.contains("symbolic link"), "{case}: {}", ran.stderr);
        let message = pod.read("termination").unwrap_or_default();
        assert!(!message.contains("maps"), "{case}: {message}");
    }
}

#[test]
fn a_step_that_leaves_ever_new_processes_is_ended_in_time() {
    if !available("a_step_that_leaves_ever_new_processes_is_ended_in_time") {
        return;
    }
    // Each of them makes orphans for ten seconds, as fast as it can.
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do \
        (end=$(( $(date +%s) + 10 )); while [ $(date +%s) -lt $end ]; do for j in 1 2 3 4 5 6 7 8; do (/bin/true &); done; done) & \
        done; exit 0";
    let pod = Pod::new();
    let start = Instant::now();
    let ran = pod.run(OURS, &sh(script, &["-timeout", "5s"]), As::First);
    assert_eq!(ran.status, "exit 0", "{}", ran.stderr);
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
    assert!(pod.read("run/0/out").is_some());
}

#[test]
fn a_daemon_that_holds_a_copied_stream_does_not_outlive_a_timeout() {
    if !available("a_daemon_that_holds_a_copied_stream_does_not_outlive_a_timeout") {
        return;
    }
    let pod = Pod::new();
    let start = Instant::now();
    let flags = ["-timeout", "500ms", "-stdout_path", "/tekton/copy"];
    let ran = pod.run(OURS, &sh("setsid sleep 60 & exec sleep 60", &flags), As::First);
    assert_eq!(ran.status, "exit 1", "{}", ran.stderr);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(pod.read("termination").unwrap_or_default().contains("TimeoutExceeded"));
}

#[test]
fn a_time_zone_that_never_ends_is_utc() {
    if !available("a_time_zone_that_never_ends_is_utc") {
        return;
    }
    for zone in ["/dev/zero", "/tekton/fifo"] {
        let pod = Pod::new();
        nix::unistd::mkfifo(&pod.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let args: Vec<_> = sh("true", &[]).iter().map(std::ffi::OsString::from).collect();
        let args: Vec<_> = args.iter().map(std::ffi::OsString::as_os_str).collect();
        let mut command = pod.command(std::path::Path::new(OURS), &args, As::Process);
        let ran = support::step::finish(command.env("TZ", zone).spawn().unwrap());
        assert_eq!(ran.status, "exit 0", "{zone}: {}", ran.stderr);
        let message = pod.read("termination").unwrap();
        assert!(message.contains("Z\",\"type\":3"), "{zone}: {message}");
    }
}

#[test]
fn a_bad_flag_before_the_post_file_is_told_to_the_others() {
    if !available("a_bad_flag_before_the_post_file_is_told_to_the_others") {
        return;
    }
    for args in
        [&["-nope", "-post_file", "/tekton/run/0/out"][..], &["-timeout=x", "--post_file=/tekton/run/0/out"]]
    {
        let pod = Pod::new();
        let ran = pod.run(OURS, args, As::Process);
        assert_eq!(ran.status, "exit 2", "{args:?}: {}", ran.stderr);
        assert!(pod.read("run/0/out.err").is_some(), "{args:?}");
    }
}

/// What an earlier step left cannot keep this one busy or exhaust its memory by being referred to.
#[test]
fn references_to_hostile_results_are_bounded() {
    if !available("references_to_hostile_results_are_bounded") {
        return;
    }
    let own = "$(steps.a.results.r)";
    let bomb = own.repeat(10_000);
    let many_elements = format!("[{}\"\"]", "\"\",".repeat(600_000));
    let artifacts =
        format!(r#"{{"outputs":[{{"name":"x","values":[{{"uri":"{}"}}]}}]}}"#, "u".repeat(1_800_000));
    let scan = "$(steps.".repeat(16_000);
    for (case, result, provenance, argument, count) in [
        ("a result that refers to itself", &bomb[..], "", format!("{own}{own}"), 1),
        ("a large artifact, often", "", &artifacts, "$(steps.a.outputs.x)".repeat(2000), 1),
        (
            "a large artifact by way of a result",
            &"$(steps.a.outputs.x)".repeat(2000),
            &artifacts,
            own.to_owned(),
            1,
        ),
        ("a long array, often", &many_elements, "", "$(steps.a.results.r[*])".to_owned(), 500),
        ("what looks like references", "", "", scan, 4),
    ] {
        let pod = Pod::new();
        std::os::unix::fs::symlink("/tekton/run/1/status", pod.path("steps/step-a")).unwrap();
        pod.write("run/1/status/results/r", result);
        pod.write("run/1/status/artifacts/provenance.json", provenance);
        let limited = ["-c", "ulimit -v 600000; exec \"$@\"", "sh", OURS];
        let flags = usual(&["-entrypoint", "/bin/true", "--"]);
        let arguments = vec![&argument[..]; count];
        let start = Instant::now();
        let ran = pod.run("/bin/sh", &[&limited[..], &flags, &arguments].concat(), As::Process);
        // What is refused is not replaced; whether the program can be started with what is left is the kernel's affair.
        assert!(["exit 0", "exit 1"].contains(&&ran.status[..]), "{case}: {}: {}", ran.status, ran.stderr);
        assert!(start.elapsed() < Duration::from_secs(10), "{case}: took {:?}", start.elapsed());
        let posted = ["run/0/out", "run/0/out.err"].iter().filter(|file| pod.read(file).is_some());
        assert_eq!(posted.count(), 1, "{case}: a post file");
    }
}
