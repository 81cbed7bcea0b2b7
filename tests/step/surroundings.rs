//! What surrounds the program when it is started: few descriptors, streams that nobody reads or that are in non-blocking mode, signals
//! that come at any moment. The shipped program bears what Tekton's bears, which is run beside it.

use crate::support;

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use support::{
    barred::{Barred, barred, named, traced},
    modes::{Left, MODES, Mode, Runs, each, mode, once_it_runs, prepare, run, shipped, spire},
    spire::Spire,
    step::{end, tekton},
};

/// The mode of this name.
fn known(name: &str) -> &'static Mode {
    MODES.iter().find(|mode| mode.name == name).unwrap_or_else(|| panic!("no mode {name}"))
}

/// Started by `by`, whose last arguments are the program and its own.
fn by<'a>(by: &'a [&'a str]) -> impl Fn(&OsStr, &[&OsStr]) -> Vec<OsString> + 'a {
    move |program, args| {
        by.iter().map(OsString::from).chain([program].iter().chain(args).map(|arg| arg.into())).collect()
    }
}

/// Both programs.
fn both(test: &str) -> Option<(PathBuf, PathBuf)> {
    Some((shipped(test)?, tekton()?.into()))
}

/// How it ended, and what it told the steps after it.
fn ended(left: &Left) -> (&str, Vec<&String>) {
    (&left.status, left.files.iter().filter(|file| file.starts_with("run/0/out")).collect())
}

/// Of descriptors, the soft limit and the hard one. Go raises the soft one for itself.
#[test]
fn few_descriptors_are_enough_where_they_are_for_tektons() {
    let Some((ours, theirs)) = both("few_descriptors_are_enough_where_they_are_for_tektons") else { return };
    let spire = spire();
    let socket = spire.as_ref().map(Spire::socket_uri).unwrap_or_default();
    let mut cases = Vec::new();
    for name in ["plain", "copies", "signed", "signed, copies"] {
        // Below 8 Go's runtime ends without a post file.
        for limit in ["3:1000", "4:1000", "8:8", "9:9", "11:11", "12:12", "15:15", "18:18", "30:30"] {
            if spire.is_some() || !known(name).signed {
                cases.push((known(name), limit));
            }
        }
    }
    each(&cases, |(mode, limit)| {
        let limit = format!("--nofile={limit}");
        let by = ["/usr/bin/prlimit", &limit];
        let ran = |program: &Path| run(program, mode, Runs::Shell, &socket, &self::by(&by));
        let (theirs, ours) = (ran(&theirs), ran(&ours));
        // Tekton's could not start the command; ours may have enough.
        let failed = theirs.status == "exit 1";
        let differs = !failed && ended(&theirs) != ended(&ours);
        let lost = ended(&ours).1.is_empty() || ours.message.is_empty();
        (differs || lost).then(|| format!("{}, {limit}:\n  Tekton {theirs:?}\n  ours {ours:?}", mode.name))
    });
}

/// What it writes to is in non-blocking mode, and its reader slow: it waits.
#[test]
fn a_slow_reader_of_a_stream_in_non_blocking_mode_is_waited_for() {
    const SIZE: usize = 300_000;
    const SCRIPT: &str = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3";
    const NON_BLOCKING: &str =
        "use Fcntl; fcntl($_, F_SETFL, O_NONBLOCK | O_WRONLY) or die for *STDOUT, *STDERR; exec @ARGV";
    let test = "a_slow_reader_of_a_stream_in_non_blocking_mode_is_waited_for";
    let Some((ours, theirs)) = both(test) else { return };
    const COPIES: &[&str] = &["-stdout_path=/tekton/logs/o", "-stderr_path=/tekton/logs/e"];
    let mode = mode("large output", COPIES, Some((SCRIPT, &[])), "exit 3");
    each(&[("Tekton", theirs), ("ours", ours)], |(whose, program)| {
        let launch = by(&["/usr/bin/perl", "-e", NON_BLOCKING]);
        let (_pod, mut command) = prepare(program, &mode, Runs::Shell, "", &launch);
        let mut child = command.spawn().unwrap();
        thread::sleep(Duration::from_secs(1));
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| stdout.read_to_end(&mut out).unwrap());
            stderr.read_to_end(&mut err).unwrap();
        });
        let status = support::step::status(child.wait().unwrap());
        let said = String::from_utf8_lossy(&err[err.len().min(SIZE)..]).into_owned();
        let is_whole = out.len() == SIZE && err.starts_with(&vec![0; SIZE]);
        (!is_whole || status != "exit 3")
            .then(|| format!("{whose}: {status}, {} and {} bytes: {said}", out.len(), err.len()))
    });
}

/// Nobody reads what it logs while the command runs, or it is more than a file may have: the signal that this brings is its own
/// affair, however it gets its signals. Tekton's hands it on, which ends this command.
#[test]
fn a_signal_that_a_write_of_ours_brings_is_not_the_steps() {
    const SCRIPT: &str =
        "trap 'exit 5' PIPE XFSZ; : >/tekton/begun; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; done";
    const FULL: &str = "head -c 512 /dev/zero >/tekton/log; exec 2>>/tekton/log; ulimit -f 1";
    let test = "a_signal_that_a_write_of_ours_brings_is_not_the_steps";
    let Some((ours, theirs)) = both(test) else { return };
    let mode = mode("logs", &[], Some((SCRIPT, &[])), "exit 0");
    let signalfd = named("signalfd4");
    let cases = [
        (&ours, ":", &[][..], "exit 0"),
        (&ours, ":", &signalfd, "exit 0"),
        (&ours, FULL, &[], "exit 0"),
        (&ours, FULL, &signalfd, "exit 0"),
        (&theirs, ":", &[], "exit 5"),
        (&theirs, FULL, &[], "exit 5"),
    ];
    each(&cases, |(program, surroundings, refused, ends)| {
        let launch = |program: &OsStr, args: &[&OsStr]| {
            let surroundings = format!("{surroundings}; exec \"$@\"");
            let barred = barred(program, args, Barred::Only(refused), Errno::EPERM);
            ["/bin/sh", "-c", &surroundings, "sh"].iter().map(OsString::from).chain(barred).collect()
        };
        let (pod, mut command) = prepare(program, &mode, Runs::Shell, "", &launch);
        let mut child = command.spawn().unwrap();
        drop(child.stderr.take());
        once_it_runs(&pod);
        // "Error while waiting for cancellation".
        pod.write("downward/cancel.err", "");
        let status = support::step::status(child.wait().unwrap());
        (status != *ends).then(|| {
            format!("{}, {surroundings}, without {refused:?}: {status}, not {ends}", program.display())
        })
    });
}

/// Whether SIGTERM is blocked in a process.
fn is_blocked(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap_or("0");
    u64::from_str_radix(blocked.trim(), 16).unwrap_or_default() >> (Signal::SIGTERM as u32 - 1) & 1 == 1
}

/// At 400 moments, half of them while the program starts, with signing and without. While the system loads it, before any of its code
/// runs, a signal ends it as it ends every program.
#[test]
fn term_at_any_moment_leaves_a_post_file_and_the_right_code() {
    const MOMENTS: u64 = 400;
    let Some(program) = shipped("term_at_any_moment_leaves_a_post_file_and_the_right_code") else { return };
    let spire = spire();
    let socket = spire.as_ref().map(Spire::socket_uri).unwrap_or_default();
    let file = fs::metadata(&program).unwrap();
    let is_loaded = |pid: Pid| {
        fs::metadata(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| (exe.dev(), exe.ino()) == (file.dev(), file.ino()))
    };
    const SCRIPT: &str = "sleep 0.03; printf value >/tekton/results/a";
    let unsigned = mode("unsigned", &["-results=a"], Some((SCRIPT, &[])), "");
    let signed = mode("signed", &["-results=a"], Some((SCRIPT, &[])), "").signed();
    let caught = AtomicU64::new(0);
    each(&(0..MOMENTS).collect::<Vec<_>>(), |moment| {
        let mode = if spire.is_some() && moment % 2 == 1 { &signed } else { &unsigned };
        let (pod, mut command) = prepare(&program, mode, Runs::Shell, &socket, &traced);
        let child = command.spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
        kill(pid, Signal::SIGCONT).unwrap();
        // One half while it is loaded and starts, the other from when it is loaded until the step has ended.
        let delay = if moment % 4 < 2 {
            Duration::from_micros(moment * 10)
        } else {
            while !is_loaded(pid) {
                thread::sleep(Duration::from_micros(100));
            }
            Duration::from_micros(moment * 150)
        };
        thread::sleep(delay);
        let (loaded, blocked) = (is_loaded(pid), is_blocked(pid));
        let _ = kill(pid, Signal::SIGTERM);
        let ran = match end(child) {
            Ok(ran) => ran,
            Err(stderr) => return Some(format!("{} at {moment}: hangs: {stderr}", mode.name)),
        };
        if !loaded {
            return None;
        }
        let posted = |name: &str| pod.path(name).exists();
        let message = pod.message().unwrap_or_default();
        let posts = (posted("run/0/out"), posted("run/0/out.err"));
        if blocked {
            caught.fetch_add(1, Ordering::Relaxed);
        }
        let right = match (&*ran.status, posts) {
            // Before the command, as a Go program ends.
            ("signal 15", (false, true)) => message.is_empty(),
            // The command got it: 255 is how Tekton says so.
            ("exit 255", (false, true)) => message.contains("StartedAt"),
            // The command had ended.
            ("exit 0", (true, false)) => message.contains("\"value\":\"value\""),
            ("signal 15", (false, false)) => !blocked,
            _ => false,
        };
        (!right).then(|| {
            format!("{} at {moment}: {}, {posts:?}, {message}: {}", mode.name, ran.status, ran.stderr)
        })
    });
    let caught = caught.into_inner();
    assert!(caught > MOMENTS / 8, "only {caught} came when our own code ran");
}

/// Streams that are closed or cannot be written to, and limits: as Tekton's.
#[test]
fn odd_streams_and_limits_are_borne_as_by_tektons() {
    let Some((ours, theirs)) = both("odd_streams_and_limits_are_borne_as_by_tektons") else { return };
    let mut cases = Vec::new();
    for surroundings in [
        "exec \"$@\" <&-",
        "exec \"$@\" >&-",
        "exec \"$@\" 2>&-",
        "exec \"$@\" <&- >&- 2>&-",
        "exec \"$@\" >/dev/full",
        "exec \"$@\" 2>/dev/full",
        "exec \"$@\" 1</dev/null",
        "exec \"$@\" 2</dev/null",
        "umask 0777; exec \"$@\"",
        "ulimit -c 0; ulimit -t 20; exec \"$@\"",
        "trap '' PIPE CHLD TERM HUP INT QUIT USR1; exec \"$@\"",
        "mount -t tmpfs tmpfs /dev; exec \"$@\"",
        "umount -l /proc; exec \"$@\"",
    ] {
        for mode in ["plain", "copies", "continues", "no program", "timeout"] {
            cases.push((known(mode), surroundings));
        }
    }
    each(&cases, |(mode, surroundings)| {
        let by = ["/bin/sh", "-c", surroundings, "sh"];
        let ran = |program: &Path| run(program, mode, Runs::Shell, "", &self::by(&by));
        let (theirs, ours) = (ran(&theirs), ran(&ours));
        (theirs != ours)
            .then(|| format!("{}, {surroundings}:\n  Tekton {theirs:?}\n  ours {ours:?}", mode.name))
    });
}
