//! Lives of steps that differ from Tekton's on purpose, or that two runs one after the other cannot show.

use std::{
    os::unix::fs::{PermissionsExt as _, symlink},
    process::{Child, Command},
    time::{Duration, Instant},
};

use crate::support;
use support::{
    skip::emulated,
    step::{As, OURS, Pod, available, finish, until, usual},
};

const STARTED: &str = "{\"key\":\"StartedAt\",\"value\":\"T\",\"type\":3}";

fn signal(child: &Child, name: &str) {
    assert!(
        Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success()
    );
}

fn sh<'a>(script: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    usual(&[flags, &["-entrypoint", "/bin/sh", "--", "-c", script]].concat())
}

/// Early failures post `.err`, so that later steps do not wait for ever (docs/architecture.md 4.4).
#[test]
fn early_failures_are_posted() {
    if !available("early_failures_are_posted") {
        return;
    }
    let run = ["-entrypoint", "/bin/true"];
    for (args, status) in [
        (&["-nope"][..], "exit 2"),
        (&["-timeout", "x"], "exit 2"),
        (&["-h"], "exit 0"),
        (&["-when_expressions=[{", "-entrypoint=/bin/echo", "--", "x"], "exit 1"),
        (&["-when_expressions={}", "-entrypoint=/bin/echo", "--", "x"], "exit 1"),
        (&["-when_expressions=[{\"cel\":\"1 == 'x'\"}]", "-entrypoint=/bin/echo", "--", "x"], "exit 1"),
        (&["-timeout=-1s", "-entrypoint=/bin/echo", "--", "x"], "exit 1"),
        (&[], "exit 1"),
        (&["-enable_spire", "-results=a,SVIDENCE.x", "-entrypoint=/bin/true"], "exit 1"),
        (&["-enable_spire", "-step_results=SVIDENCE.x", "-entrypoint=/bin/true"], "exit 1"),
        (&["-enable_spire", "-results=a,a", "-entrypoint=/bin/true"], "exit 1"),
        (&["-enable_spire", "-results=../a", "-entrypoint=/bin/true"], "exit 1"),
        (&["-step_metadata_dir=/tekton/termination/x", "-entrypoint=/bin/true"], "exit 1"),
        (&["-termination_path=/tekton/none/x", "-entrypoint=/bin/true"], "exit 1"),
        (&["-results=foo", "-entrypoint=/bin/mkdir", "--", "/tekton/results/foo"], "exit 1"),
        (&["-entrypoint=/bin/echo", "--", "$(steps.a.results.list[2])"], "exit 1"),
    ] {
        let pod = Pod::new();
        symlink("/tekton/run/1/status", pod.path("steps/step-a")).unwrap();
        pod.write("run/1/status/results/list", "[\"a\",\"b\"]");
        let ran = pod.step(args);
        assert_eq!(ran.status, status, "{args:?}: {}", ran.stderr);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "", "{args:?}: nothing runs");
        assert!(
            pod.read("run/0/out.err").is_some() && pod.read("run/0/out").is_none(),
            "{args:?}: post file"
        );
        assert!(!ran.stderr.is_empty(), "{args:?}: says why");
    }
    // Without signing the names are Tekton's affair.
    let pod = Pod::new();
    assert_eq!(pod.step(&[&["-results=a,SVIDENCE.x,a"], &run[..]].concat()).status, "exit 0");
}

/// In hermetic mode the program sees no network but a loopback that is down, and is the first process.
#[test]
fn hermetic_steps_have_no_network() {
    const TEST: &str = "hermetic_steps_have_no_network";
    if !available(TEST) || emulated(TEST, "no namespaces can be made") {
        return;
    }
    let script = "echo $$; awk 'NR > 2 { print $1 }' /proc/self/net/dev; exit 7";
    for (hermetic, resource, isolated) in
        [("1", None, true), ("1", Some(""), true), ("1", Some("name"), false), ("true", None, false)]
    {
        let pod = Pod::new();
        let args = sh(script, &["-stdout_path=/tekton/log"]);
        let args: Vec<&std::ffi::OsStr> = args.iter().map(std::ffi::OsStr::new).collect();
        let mut command = pod.command(OURS.as_ref(), &args, As::Process);
        command.env_remove("TEKTON_RESOURCE_NAME").env("TEKTON_HERMETIC", hermetic);
        command.envs(resource.map(|name| ("TEKTON_RESOURCE_NAME", name)));
        let ran = finish(command.spawn().unwrap());
        let case = format!("TEKTON_HERMETIC={hermetic}, TEKTON_RESOURCE_NAME={resource:?}");
        if isolated && !nix::unistd::geteuid().is_root() {
            assert_eq!(ran.status, "exit 1", "{case}: not for ordinary users: {}", ran.stderr);
            continue;
        }
        assert_eq!(ran.status, "exit 7", "{case}: {}", ran.stderr);
        let output = String::from_utf8_lossy(&ran.stdout);
        assert_eq!(output.lines().next() == Some("1"), isolated, "{case}: {output}");
        if isolated {
            assert_eq!(output, "1\nlo:\n", "{case}");
        }
        assert_eq!(pod.read("log").as_deref(), Some(&*output), "{case}: the copy");
    }
}

/// What a user process wrote into the termination file is not merged in; result files are not followed out of their
/// directory and cannot hang us (docs/architecture.md 4.3).
#[test]
fn the_message_is_ours() {
    if !available("the_message_is_ours") {
        return;
    }
    let forged = "echo '[{\"key\":\"foo\",\"value\":\"forged\",\"type\":1}]' >/tekton/termination; ";
    for (script, status, message) in [
        (
            "printf mine >/tekton/results/foo",
            "exit 0",
            format!("[{{\"key\":\"foo\",\"value\":\"mine\",\"type\":1}},{STARTED}]"),
        ),
        ("true", "exit 0", format!("[{STARTED}]")),
        ("ln -s /etc/hostname /tekton/results/foo", "exit 1", format!("[{STARTED}]")),
        ("mkfifo /tekton/results/foo", "exit 1", format!("[{STARTED}]")),
        ("mknod /tekton/results/foo c 1 5", "exit 1", format!("[{STARTED}]")),
    ] {
        let pod = Pod::new();
        let script = format!("{forged}{script}");
        let ran = pod.run(OURS, &sh(&script, &["-results", "foo"]), As::Process);
        assert_eq!(ran.status, status, "{script}: {}", ran.stderr);
        assert_eq!(pod.message().as_deref(), Some(&message[..]), "{script}");
    }
    let pod = Pod::new();
    let ran = pod.run(
        OURS,
        &sh("rm /tekton/termination; ln -s /tekton/other /tekton/termination", &[]),
        As::Process,
    );
    assert_eq!(ran.status, "exit 1", "termination file replaced by a link: {}", ran.stderr);
    assert!(pod.read("other").is_none() && pod.read("run/0/out.err").is_some());
}

/// Message, then exitCode, then post file (docs/architecture.md 4.1).
#[test]
fn the_post_file_comes_last() {
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    if !available("the_post_file_comes_last") {
        return;
    }
    let pod = Pod::new();
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK).unwrap();
    let file = inotify.add_watch(&pod.path("termination"), AddWatchFlags::IN_CLOSE_WRITE).unwrap();
    // Both are made under other names before, and then get theirs.
    let status = inotify.add_watch(&pod.path("run/0/status"), AddWatchFlags::IN_MOVED_TO).unwrap();
    let run = inotify.add_watch(&pod.path("run/0"), AddWatchFlags::IN_MOVED_TO).unwrap();
    assert_eq!(pod.run(OURS, &sh("true", &[]), As::Process).status, "exit 0");
    let order: Vec<_> = inotify.read_events().unwrap().into_iter().map(|event| event.wd).collect();
    assert_eq!(order, [file, status, run]);
    let left =
        |folder: &str| std::fs::read_dir(pod.path(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(
        !left("run/0")
            .chain(left("run/0/status"))
            .any(|name| name.display().to_string().contains("unfinished"))
    );
}

/// As the container's first process, what the step left behind is ended before the message is written
/// (docs/architecture.md 4.2).
#[test]
fn leftovers_are_ended() {
    if !available("leftovers_are_ended") {
        return;
    }
    let pod = Pod::new();
    let script = "(trap '' TERM HUP INT
        exec setsid sh -c 'n=100; while :; do n=$((n+1)); printf $n >/tekton/results/foo; done') &
        sleep 0.2; exit 3";
    for _ in 0..3 {
        let begin = Instant::now();
        let ran = pod.run(OURS, &sh(script, &["-results", "foo"]), As::First);
        assert_eq!(ran.status, "exit 3", "{}", ran.stderr);
        assert!(begin.elapsed() < Duration::from_secs(5), "took {:?}", begin.elapsed());
        // Empty if it was killed between truncating and writing.
        let last = pod.read("results/foo").unwrap();
        let message = format!("[{{\"key\":\"foo\",\"value\":\"{last}\",\"type\":1}},{STARTED}]");
        assert_eq!(pod.message(), Some(message), "nothing is written after results are read");
    }
}

/// As the first process it takes in orphans (docs/architecture.md 4.2).
#[test]
fn orphans_are_reaped() {
    if !available("orphans_are_reaped") {
        return;
    }
    let pod = Pod::new();
    let script = "for i in 1 2 3; do (sh -c 'sleep 0.1; exit 9' &) ; done; sleep 0.5; grep -l '^State:.Z' /proc/[0-9]*/status; exit 0";
    let ran = pod.run(OURS, &sh(script, &[]), As::First);
    assert_eq!((&ran.status[..], String::from_utf8_lossy(&ran.stdout)), ("exit 0", "".into()));
}

/// The next step starts when the file appears, not at the next second.
#[test]
fn waiting_ends_at_once() {
    if !available("waiting_ends_at_once") {
        return;
    }
    type Act = fn(&Pod);
    let cases: [(&str, &[&str], Act, &str); 5] = [
        ("created", &[], |pod| pod.write("run/1/out", ""), "exit 0"),
        ("failed", &[], |pod| pod.write("run/1/out.err", ""), "exit 1"),
        (
            "filled",
            &["-wait_file_content"],
            |pod| {
                pod.write("run/1/out", "");
                std::thread::sleep(Duration::from_millis(50));
                std::fs::write(pod.path("run/1/out"), "x").unwrap();
            },
            "exit 0",
        ),
        (
            "renamed into place",
            &[],
            |pod| {
                pod.write("run/1/.out", "");
                std::fs::rename(pod.path("run/1/.out"), pod.path("run/1/out")).unwrap();
            },
            "exit 0",
        ),
        (
            "through a new directory",
            &["-wait_file", "/tekton/new/sub/out"],
            |pod| pod.write("new/sub/out", ""),
            "exit 0",
        ),
    ];
    for (name, flags, act, status) in cases {
        let pod = Pod::new();
        let flags = [&["-wait_file", "/tekton/run/1/out"], flags].concat();
        let child = pod.start(OURS, &sh("true", &flags), As::Process);
        // The directories below the metadata directory are made just before it waits; then it sleeps in poll.
        until("the step waits", || pod.path("run/0/status/artifacts").exists());
        std::thread::sleep(Duration::from_millis(100));
        let begin = Instant::now();
        act(&pod);
        let ran = finish(child);
        assert_eq!(ran.status, status, "{name}: {}", ran.stderr);
        assert!(begin.elapsed() < Duration::from_millis(600), "{name}: took {:?}", begin.elapsed());
    }
}

/// A file that gives no event is found by looking every second: here the target of a link, in another directory.
#[test]
fn files_without_events_are_found() {
    if !available("files_without_events_are_found") {
        return;
    }
    let pod = Pod::new();
    symlink("/tekton/results/out", pod.path("run/1/out")).unwrap();
    let child = pod.start(OURS, &sh("true", &["-wait_file", "/tekton/run/1/out"]), As::Process);
    until("the step waits", || pod.path("run/0/status/artifacts").exists());
    std::thread::sleep(Duration::from_millis(100));
    pod.write("results/out", "");
    assert_eq!(finish(child).status, "exit 0");
}

/// Signals while waiting: what ends a Go program ends us, after `.err` is posted (docs/tekton-contract.md 3.7.3,
/// docs/architecture.md 4.4).
#[test]
fn signals_while_waiting() {
    if !available("signals_while_waiting") {
        return;
    }
    for (name, status) in [
        ("TERM", "signal 15"),
        ("INT", "signal 2"),
        ("HUP", "signal 1"),
        ("QUIT", "exit 2"),
        ("USR1", "exit 0"),
        ("USR2", "exit 0"),
        ("PIPE", "exit 0"),
        ("ALRM", "exit 0"),
        ("WINCH", "exit 0"),
        ("40", "exit 0"),
    ] {
        let pod = Pod::new();
        let child = pod.start(OURS, &sh("true", &["-wait_file", "/tekton/run/1/out"]), As::Process);
        until("the step waits", || pod.path("run/0/status/artifacts").exists());
        signal(&child, name);
        if status == "exit 0" {
            std::thread::sleep(Duration::from_millis(100));
            pod.write("run/1/out", "");
        }
        assert_eq!(finish(child).status, status, "{name}");
        assert_eq!(pod.read("run/0/out.err").is_some(), status != "exit 0", "{name}: post file");
        let message = if status == "exit 0" { format!("[{STARTED}]") } else { String::new() };
        assert_eq!(pod.message(), Some(message), "{name}: message");
    }
}

/// Whoever ends a breakpoint makes the file first and writes then; a file that stays empty is not an exit code, which counts as 0.
#[test]
fn a_breakpoint_ends_with_what_is_written() {
    if !available("a_breakpoint_ends_with_what_is_written") {
        return;
    }
    for (content, status) in [(Some("1\n"), "exit 1"), (None, "exit 0")] {
        let pod = Pod::new();
        let child = pod.start(OURS, &sh("exit 3", &["-breakpoint_on_failure"]), As::Process);
        until("the step has ended", || pod.message() == Some(format!("[{STARTED}]")));
        pod.write("run/0/out.breakpointexit", "");
        if let Some(content) = content {
            std::thread::sleep(Duration::from_millis(200));
            pod.write("run/0/out.breakpointexit", content);
        }
        assert_eq!(finish(child).status, status, "{content:?}");
        assert_eq!(pod.read("run/0/out.err"), None, "{content:?}: whoever debugs posts");
    }
}

/// Whoever debugs a step may be in its container already when it fails: nothing of it is ended before the pause.
#[test]
fn nothing_is_ended_before_a_breakpoint() {
    if !available("nothing_is_ended_before_a_breakpoint") {
        return;
    }
    let pod = Pod::new();
    let script = "setsid sh -c 'while :; do date +%s%N >/tekton/alive; sleep 0.02; done' & exit 3";
    let child = pod.start(OURS, &sh(script, &["-breakpoint_on_failure"]), As::First);
    until("the step has ended", || pod.message() == Some(format!("[{STARTED}]")));
    std::thread::sleep(Duration::from_millis(100));
    let before = pod.read("alive");
    until("the shell still runs", || pod.read("alive") != before);
    pod.put("run/0/out.breakpointexit", "4");
    assert_eq!(finish(child).status, "exit 4");
}

/// SIGHUP that was ignored at the start (nohup) stays ignored while waiting; the program has it at its default.
#[test]
fn ignored_signals_stay_ignored() {
    if !available("ignored_signals_stay_ignored") {
        return;
    }
    let tekton = support::step::tekton();
    for program in [Some(OURS.to_owned()), tekton].into_iter().flatten() {
        let pod = Pod::new();
        let script = "trap '' HUP; exec \"$@\"";
        let flags = ["-wait_file=/tekton/run/1/out", "-entrypoint=awk", "--"];
        let show = ["/^SigIgn/ { print substr($2, 10) }", "/proc/self/status"];
        let args = [&["-c", script, "sh", &program][..], &usual(&[&flags[..], &show].concat())].concat();
        let child = pod.start("/bin/sh", &args, As::Process);
        until("the step waits", || pod.path("run/0/status/artifacts").exists());
        signal(&child, "HUP");
        std::thread::sleep(Duration::from_millis(100));
        pod.write("run/1/out", "");
        let ran = finish(child);
        assert_eq!(
            (&ran.status[..], &ran.stdout[..]),
            ("exit 0", &b"0000000\n"[..]),
            "{program}: {}",
            ran.stderr
        );
    }
}

#[test]
fn the_first_process_ends_with_2() {
    if !available("the_first_process_ends_with_2") {
        return;
    }
    let pod = Pod::new();
    let child = pod.start(OURS, &sh("true", &["-wait_file", "/tekton/run/1/out"]), As::First);
    until("the step waits", || pod.path("run/0/status/artifacts").exists());
    // The child of unshare is the first process of the namespace.
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let first = std::fs::read_to_string(children).unwrap();
    assert!(Command::new("kill").args(["-TERM", first.trim()]).status().unwrap().success());
    assert_eq!(finish(child).status, "exit 2");
    assert!(pod.read("run/0/out.err").is_some());
}

/// Every signal but SIGCHLD goes to the program's group, real-time signals too.
#[test]
fn signals_are_forwarded() {
    if !available("signals_are_forwarded") {
        return;
    }
    for name in ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "PIPE", "WINCH", "40"] {
        let pod = Pod::new();
        // `wait` returns when a trapped signal comes; the grandchild is of the same group and dies of it or not.
        let script =
            format!("trap 'echo got; exit 0' {name}; touch /tekton/ready; while :; do sleep 0.02; done");
        let child = pod.start(OURS, &sh(&script, &[]), As::Process);
        until("the program runs", || pod.path("ready").exists());
        signal(&child, name);
        let ran = finish(child);
        assert_eq!((&ran.status[..], &ran.stdout[..]), ("exit 0", &b"got\n"[..]), "{name}: {}", ran.stderr);
    }
}

/// Cancellation, with its directory there from the start or not.
#[test]
fn cancellation() {
    if !available("cancellation") {
        return;
    }
    for (name, made) in [("written later", true), ("directory made later", false)] {
        let pod = Pod::new();
        if !made {
            std::fs::remove_dir(pod.path("downward")).unwrap();
        }
        let child = pod.start(
            OURS,
            &sh("touch /tekton/ready; exec sleep 15", &["-on_error", "continue"]),
            As::Process,
        );
        until("the program runs", || pod.path("ready").exists());
        let begin = Instant::now();
        pod.write("downward/cancel", "cancelled");
        let ran = finish(child);
        assert_eq!(ran.status, "exit 9", "{name}: {}", ran.stderr);
        assert!(begin.elapsed() < Duration::from_millis(700), "{name}: took {:?}", begin.elapsed());
        assert_eq!(pod.read("run/0/status/exitCode").as_deref(), Some("killed"), "{name}");
        assert!(pod.read("run/0/out.err").is_some(), "{name}");
        let message = format!("[{STARTED},{{\"key\":\"Reason\",\"value\":\"Cancelled\",\"type\":3}}]");
        assert_eq!(pod.message(), Some(message), "{name}");
    }
}

/// Timeout kills the program itself only; with copies it waits for whoever holds the streams (docs/tekton-contract.md 3.7.1).
#[test]
fn timeout_kills_the_direct_child() {
    if !available("timeout_kills_the_direct_child") {
        return;
    }
    for (flags, waits) in
        [(&["-timeout=200ms"][..], false), (&["-timeout=200ms", "-stdout_path=/tekton/log"], true)]
    {
        let pod = Pod::new();
        let begin = Instant::now();
        let ran = pod.run(
            OURS,
            &sh("sleep 1.5 2>/dev/null & sleep 20 >/dev/null 2>&1", &[flags, &[]].concat()),
            As::Process,
        );
        // Without copies our own stdout is what the left-over holds, so the test's pipe is waited for in both cases; the
        // post file tells them apart.
        let posted = std::fs::metadata(pod.path("run/0/out.err")).unwrap().modified().unwrap();
        let took = posted.elapsed().map(|ago| begin.elapsed().saturating_sub(ago)).unwrap();
        assert_eq!(ran.status, "exit 1", "{flags:?}: {}", ran.stderr);
        assert_eq!(took > Duration::from_secs(1), waits, "{flags:?}: posted after {took:?}");
    }
}

/// While the program runs and there is nothing to look at, nothing wakes us.
#[test]
fn a_running_step_sleeps() {
    if !available("a_running_step_sleeps") {
        return;
    }
    let pod = Pod::new();
    std::fs::remove_dir(pod.path("downward")).unwrap();
    let child = pod.start(OURS, &sh("touch /tekton/ready; exec sleep 3", &[]), As::Process);
    until("the program runs", || pod.path("ready").exists());
    std::thread::sleep(Duration::from_millis(200));
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary")).unwrap().to_owned();
        (line, status.lines().next().unwrap().to_owned())
    };
    let before = switches();
    std::thread::sleep(Duration::from_millis(2200));
    assert_eq!(switches(), before);
    assert_eq!(finish(child).status, "exit 0");
}

/// `init` brings the operator's file to the steps, readable by all, and replaces an older one.
#[test]
fn init_copies_the_configuration() {
    if !available("init_copies_the_configuration") {
        return;
    }
    let pod = Pod::new();
    let init = ["init", "/tekton/image/entrypoint", "/tekton/bin/entrypoint", "step-a"];
    pod.write("image/entrypoint", "binary");
    assert_eq!(pod.run(OURS, &init, As::Process).status, "exit 0");
    assert!(!pod.path("bin/svidence.json").exists(), "none in the image, none in the pod");
    for content in ["{\"a\":1}", "{}"] {
        pod.write("image/svidence.json", content);
        let ran = pod.run(OURS, &init, As::Process);
        assert_eq!(ran.status, "exit 0", "{}", ran.stderr);
        assert_eq!(pod.read("bin/svidence.json").as_deref(), Some(content));
        let mode = std::fs::metadata(pod.path("bin/svidence.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o444);
    }
    let names: Vec<_> =
        std::fs::read_dir(pod.path("bin")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing unfinished is left: {names:?}");
}

/// Of two variables of one name the program sees the first; order and bytes stay; as with Tekton's.
#[test]
fn the_environment_is_passed_on() {
    use std::ffi::{CStr, CString};
    if emulated("the_environment_is_passed_on", "the order of variables is lost") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let environment = [c"Z=1", c"A=2", c"Z=3", c"=odd=x", c"M=\xff=", c"E=", c"PATH=/usr/bin:/bin", c"A="];
    let passed_on = |program: &str| {
        let log = folder.path().join("log");
        let _ = std::fs::remove_file(&log);
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let args = [
            program.to_owned(),
            format!("-termination_path={}", text(&folder.path().join("termination"))),
            format!("-step_metadata_dir={}", text(folder.path())),
            format!("-stdout_path={}", text(&log)),
            "-entrypoint=env".to_owned(),
        ];
        let args: Vec<CString> = args.into_iter().map(|arg| CString::new(arg).unwrap()).collect();
        let pid = nix::spawn::posix_spawn(
            program,
            &nix::spawn::PosixSpawnFileActions::init().unwrap(),
            &nix::spawn::PosixSpawnAttr::init().unwrap(),
            &args,
            &environment.map(CStr::to_owned),
        );
        nix::sys::wait::waitpid(pid.unwrap(), None).unwrap();
        std::fs::read(log).unwrap()
    };
    let ours = passed_on(OURS);
    assert_eq!(
        ours,
        b"Z=1\nA=2\n=odd=x\nM=\xff=\nE=\nPATH=/usr/bin:/bin\n",
        "{}",
        String::from_utf8_lossy(&ours)
    );
    if let Some(tekton) = support::step::tekton() {
        assert_eq!(passed_on(&tekton), ours);
    }
}
