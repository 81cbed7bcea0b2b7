//! A step that waits or whose command runs costs nothing: what wakes the entrypoint is counted.
use crate::support;

use std::{
    fs,
    ops::RangeInclusive,
    os::unix::net::UnixListener,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use support::{
    pod::Pod,
    spire::{EntryOptions, Spire, SpireOptions},
};

/// By then the first looks, attempts and joined calls are over.
const SETTLED: Duration = Duration::from_secs(2);
/// How long wake-ups are counted.
const WINDOW: Duration = Duration::from_millis(2500);
/// One look a second.
const FALLBACK: RangeInclusive<u64> = 2..=3;

/// Whoever is awake goes to sleep again, which the kernel counts for each thread.
fn wake_ups(process: &Child) -> u64 {
    let threads = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let counts = threads.map(|thread| {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        count.trim().parse::<u64>().unwrap()
    });
    counts.sum()
}

/// Counts while the second step of a pod waits for its file or runs its command.
#[track_caller]
fn assert_wakes(
    case: &str,
    socket: Option<&str>,
    downward: bool,
    waits: bool,
    expected: RangeInclusive<u64>,
) {
    let pod = Pod::new("idle", &["one", "two"]);
    if !downward {
        fs::remove_dir_all(pod.root().join("tekton/downward")).unwrap();
    }
    if !waits {
        pod.write("tekton/run/0/out", "");
    }
    let mut step = pod.step(1).script("echo >$RESULTS/../running; exec sleep 6");
    if let Some(socket) = socket {
        step = step.signed(socket);
    }
    let mut process = step.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = |file: &Path| {
        let start = Instant::now();
        while !file.exists() {
            assert!(start.elapsed() < Duration::from_secs(10), "{case}: no {}", file.display());
            thread::sleep(Duration::from_millis(5));
        }
    };
    // The directories below the metadata directory are made just before it waits.
    until(&pod.root().join(if waits { "tekton/run/1/status/artifacts" } else { "tekton/running" }));
    thread::sleep(SETTLED);
    let (before, start) = (wake_ups(&process), Instant::now());
    thread::sleep(WINDOW);
    let woken = wake_ups(&process) - before;
    // On a busy machine it lasts longer.
    let over = start.elapsed().saturating_sub(WINDOW).as_secs_f64() / WINDOW.as_secs_f64();
    let expected = *expected.start()..=*expected.end() + (*expected.end() as f64 * over).ceil() as u64;
    let ended = process.try_wait().unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(ended, None, "{case}: still there");
    assert!(expected.contains(&woken), "{case}: {woken} wake-ups in {WINDOW:?}, expected {expected:?}");
}

#[test]
fn a_waiting_step_looks_once_a_second() {
    assert_wakes("unsigned", None, true, true, FALLBACK);
    assert_wakes("signed", Some("unix:///nowhere/a.sock"), true, true, FALLBACK);
}

/// How often a process has read from anything: changes in a folder are read.
fn reads(process: &Child) -> u128 {
    let counts = fs::read_to_string(format!("/proc/{}/io", process.id())).unwrap();
    counts.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap().parse().unwrap()
}

/// An earlier step that does nothing else than write into its folder once took 70 % of a processor from the one that waits.
#[test]
fn a_waiting_step_sleeps_while_others_write_into_the_folder() {
    let writes = |folder: &Path, i: u64| fs::write(folder.join("log"), i.to_string()).unwrap();
    let creates = |folder: &Path, i: u64| {
        let file = folder.join(format!("file-{}", i % 10));
        fs::write(&file, "").unwrap();
        fs::rename(&file, folder.join("file")).unwrap();
    };
    for (case, write) in [("writes", &writes as &dyn Fn(&Path, u64)), ("creates", &creates)] {
        let pod = Pod::new("idle", &["one", "two"]);
        let folder = pod.root().join("tekton/run/0");
        let step = pod.step(1);
        let mut process = step.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !pod.root().join("tekton/run/1/status/artifacts").exists() {
            thread::sleep(Duration::from_millis(5));
        }
        let busy = |until: Instant| {
            let mut count = 0;
            while Instant::now() < until {
                write(&folder, count);
                count += 1;
            }
            count
        };
        busy(Instant::now() + Duration::from_millis(300));
        let (before, start) = (reads(&process), Instant::now());
        let count = busy(start + WINDOW);
        let (read, took) = (reads(&process) - before, start.elapsed());
        // Every two milliseconds it reads until there is nothing more: twice, and now and then once more. That takes a released program
        // 1 % of a processor; before, it was nearly twice for each file.
        let most = 2 * took.as_millis() + 50;
        assert!(read <= most, "{case}: {read} reads while {count} files were written in {took:?}");
        fs::write(folder.join("out"), "").unwrap();
        assert!(process.wait().unwrap().success(), "{case}");
    }
}

#[test]
fn while_the_command_runs_only_the_cancel_file_is_looked_at() {
    assert_wakes("there may be a cancel file", None, true, false, FALLBACK);
    assert_wakes("no directory for one", None, false, false, 0..=0);
}

#[test]
fn while_the_command_runs_a_warm_agent_wakes_nobody() {
    let Some(spire) = Spire::start(SpireOptions::default()) else { return };
    spire.entry(EntryOptions::new("/ns/default/taskrun/idle"));
    assert_wakes("warm agent", Some(&spire.socket_uri()), false, false, 0..=0);
    spire.freeze_agent();
    assert_wakes("frozen agent", Some(&spire.socket_uri()), false, false, 0..=0);
}

#[test]
fn while_the_command_runs_an_agent_that_holds_the_call_wakes_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("a.sock");
    let _silent = UnixListener::bind(&socket).unwrap();
    let address = format!("unix://{}", socket.display());
    assert_wakes("connects and gets no answer", Some(&address), false, false, 0..=0);
}

#[test]
fn while_the_command_runs_a_missing_agent_is_asked_for_ever_less_often() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix://{}", folder.path().join("a.sock").display());
    // Pauses of 1 to 2 s by now, and one or two wake-ups for each attempt.
    assert_wakes("no agent", Some(&address), false, false, 1..=6);
}
