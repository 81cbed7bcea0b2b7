//! Which system calls `entrypoint` makes in each of its modes, and that it needs none that Tekton's does not make: where a seccomp
//! profile refuses them, it does what it does without one. The program is the one that is shipped, with its own C library.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use nix::errno::Errno;
use support::{
    barred::{Barred, Call, barred, calls, named, traced},
    skip::lacks,
    spire::{EntryOptions, Spire, SpireOptions},
    step::{As, Mount, Pod, end, tekton, until},
};

/// Where the program stands in the pod.
const PROGRAM: &str = "/ko-app/entrypoint";

/// What a step runs: a shell, or a program that makes no calls but those of `entrypoint`, since it is one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    Shell,
    Itself,
}

type Act = fn(&Pod, u32);

/// One way to run the program.
struct Mode {
    name: &'static str,
    /// Flags, or a subcommand.
    flags: &'static [&'static str],
    /// What the step runs: a script for the shell, and the same for `entrypoint` itself.
    command: Option<(&'static str, &'static [&'static str])>,
    env: &'static [(&'static str, &'static str)],
    act: Option<Act>,
    signed: bool,
    /// How it ends, whatever is refused.
    status: &'static str,
}

const SHORT: Option<(&str, &[&str])> =
    Some(("printf value >/tekton/results/a", &["cp", "/tekton/value", "/tekton/results/a"]));
const FAILS: Option<(&str, &[&str])> = Some(("exit 3", &["-nope"]));
const LONG: Option<(&str, &[&str])> = Some((
    ": >/tekton/begun; exec sleep 20",
    &["-wait_file=/tekton/never", "-step_metadata_dir=/tekton/begun", "-entrypoint=/none"],
));

const fn mode(
    name: &'static str,
    flags: &'static [&'static str],
    command: Option<(&'static str, &'static [&'static str])>,
    status: &'static str,
) -> Mode {
    Mode { name, flags, command, env: &[], act: None, signed: false, status }
}

impl Mode {
    const fn env(self, env: &'static [(&'static str, &'static str)]) -> Mode {
        Mode { env, ..self }
    }

    const fn act(self, act: Act) -> Mode {
        Mode { act: Some(act), ..self }
    }

    const fn signed(self) -> Mode {
        Mode { signed: true, ..self }
    }
}

fn once_it_waits(pod: &Pod) {
    until("the step waits", || pod.path("run/0/status/artifacts").exists());
    thread::sleep(std::time::Duration::from_millis(50));
}

fn once_it_runs(pod: &Pod) {
    until("the command runs", || pod.path("begun").exists());
    thread::sleep(std::time::Duration::from_millis(50));
}

fn terminate(pid: u32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
}

const MODES: &[Mode] = &[
    mode("plain", &["-results=a"], SHORT, "exit 0"),
    mode("fails", &["-results=a"], FAILS, "exit"),
    mode("continues", &["-on_error=continue"], FAILS, "exit 0"),
    mode("no program", &["-entrypoint=/none"], None, "exit 1"),
    mode("refused", &["-nope"], None, "exit 2"),
    mode("copies", &["-stdout_path=/tekton/logs/o", "-stderr_path=/tekton/logs/e"], FAILS, "exit"),
    mode("waits", &["-wait_file=/tekton/run/1/out", "-results=a"], SHORT, "exit 0").act(|pod, _| {
        once_it_waits(pod);
        pod.write("run/1/out", "");
    }),
    mode("is skipped", &["-wait_file=/tekton/run/1/out"], SHORT, "exit 1").act(|pod, _| {
        once_it_waits(pod);
        pod.write("run/1/out.err", "");
    }),
    mode("TERM while it waits", &["-wait_file=/tekton/run/1/out"], SHORT, "signal 15").act(|pod, pid| {
        once_it_waits(pod);
        terminate(pid);
    }),
    mode("TERM while it runs", &[], LONG, "").act(|pod, pid| {
        once_it_runs(pod);
        terminate(pid);
    }),
    mode("cancelled", &[], LONG, "exit 9").act(|pod, _| {
        once_it_runs(pod);
        pod.write("downward/cancel", "CANCEL");
    }),
    mode("timeout", &["-timeout=200ms"], LONG, "exit 1"),
    mode("breakpoint", &["-breakpoint_on_failure"], FAILS, "exit 4").act(|pod, _| {
        until("the step has failed", || pod.read("termination").is_some_and(|message| !message.is_empty()));
        pod.write("run/0/out.breakpointexit", "4");
    }),
    mode("breakpoint before", &["-debug_before_step", "-results=a"], SHORT, "exit 0").act(|pod, _| {
        once_it_waits(pod);
        pod.write("run/0/out.beforestepexit", "0");
    }),
    mode("when", &["-when_expressions=[{\"cel\":\"'a' == 'b'\"}]"], SHORT, "exit 0"),
    mode(
        "substitution",
        &[
            "-results=a",
            "-step_results=b",
            "-entrypoint=/ko-app/entrypoint",
            "--",
            "cp",
            "/tekton/value",
            "/tekton/results/$(steps.prior.results.name)",
        ],
        None,
        "exit 0",
    ),
    mode("sidecar logs", &["-result_from=sidecar-logs", "-results=a"], SHORT, "exit 0"),
    mode(
        "credentials",
        &["-basic-git=git=https://github.com", "-basic-docker=git=https://index.docker.io/v1/"],
        SHORT,
        "exit 0",
    ),
    mode("hermetic", &["-results=a"], SHORT, "exit 0").env(&[("TEKTON_HERMETIC", "1")]),
    mode("init", &["init", PROGRAM, "/tekton/bin/entrypoint", "one", "two"], None, "exit 0"),
    mode("cp", &["cp", PROGRAM, "/tekton/bin/entrypoint"], None, "exit 0"),
    mode("decode-script", &["decode-script", "/tekton/script"], None, "exit 0"),
    mode("signed", &["-results=a"], SHORT, "exit 0").signed(),
    mode("signed, copies", &["-results=a", "-stdout_path=/tekton/logs/o"], SHORT, "exit 0").signed(),
    mode("signed, cancelled", &["-results=a"], LONG, "exit 9").signed().act(|pod, _| {
        once_it_runs(pod);
        pod.write("downward/cancel", "CANCEL");
    }),
];

/// What a run left behind.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    status: String,
    message: String,
    files: Vec<String>,
}

/// The pod of a run, and the command that runs `program` in it in this way.
fn prepare(
    program: &Path,
    mode: &Mode,
    runs: Runs,
    socket: &str,
    launch: &dyn Fn(&OsStr, &[&OsStr]) -> Vec<OsString>,
) -> (Pod, Command) {
    let mount = |source: &Path| Mount { source: source.into(), target: PROGRAM.into(), read_only: true };
    let pod = Pod::with(&["ko-app", "tekton/home"], &[mount(program)]).hostname("run-pod");
    for (name, content) in [
        ("value", "value"),
        ("script", "aGVsbG8="),
        ("run/1/status/results/name", "a"),
        ("creds-secrets/git/username", "u"),
        ("creds-secrets/git/password", "p"),
    ] {
        pod.write(name, content);
    }
    fs::create_dir_all(pod.path("creds")).unwrap();
    fs::write(pod.root().join("ko-app/svidence.json"), "{\"spire-trust-domain\":\"example.org\"}").unwrap();
    for (link, to) in [("step-one", 0), ("0", 0), ("step-prior", 1), ("1", 1)] {
        symlink(format!("/tekton/run/{to}/status"), pod.path("steps").join(link)).unwrap();
    }
    let mut args: Vec<&str> = Vec::new();
    if mode.flags.first().is_none_or(|first| first.starts_with('-')) {
        args.extend(["-post_file=/tekton/run/0/out", "-step_metadata_dir=/tekton/run/0/status"]);
    }
    if mode.signed {
        args.extend(["-enable_spire", "-spire_socket_path", socket]);
    }
    args.extend(mode.flags);
    match (mode.command, runs) {
        (None, _) => {}
        (Some((script, _)), Runs::Shell) => args.extend(["-entrypoint=/bin/sh", "--", "-c", script]),
        (Some((_, itself)), Runs::Itself) => {
            args.extend(["-entrypoint=/ko-app/entrypoint", "--"]);
            args.extend(itself);
        }
    }
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    let launched = launch(PROGRAM.as_ref(), &args);
    let rest: Vec<&OsStr> = launched[1..].iter().map(|arg| &**arg).collect();
    let mut command = pod.command(Path::new(&launched[0]), &rest, As::Process);
    command.env("HOME", "/tekton/home").envs(mode.env.iter().copied());
    (pod, command)
}

/// What is left when `program` has run in this way.
fn run(
    program: &Path,
    mode: &Mode,
    runs: Runs,
    socket: &str,
    launch: &dyn Fn(&OsStr, &[&OsStr]) -> Vec<OsString>,
) -> Left {
    let (pod, mut command) = prepare(program, mode, runs, socket, launch);
    let child: Child = command.spawn().unwrap();
    if let Some(act) = mode.act {
        act(&pod, child.id());
    }
    let (status, stderr) = match end(child) {
        Ok(ran) => (ran.status, ran.stderr),
        Err(stderr) => ("still running after 20 s".to_owned(), stderr),
    };
    let mut message = pod.message().unwrap_or_default();
    if mode.signed && message.contains("SVIDENCE.one.sig\",\"value\":\"") {
        let unsigned = message.contains("\"unsigned: ");
        message = format!(
            "{} {}",
            if unsigned { "unsigned" } else { "signed" },
            message.contains("\"value\":\"value\"")
        );
    }
    let mut files = Vec::new();
    for name in [
        "run/0/out",
        "run/0/out.err",
        "run/0/status/exitCode",
        "results/a",
        "bin/entrypoint",
        "bin/svidence.json",
        "steps/two",
        "script",
        "logs/o",
        "logs/e",
        "creds/.gitconfig",
        "home/.gitconfig",
        "home/.docker/config.json",
    ] {
        if let Ok(found) = fs::metadata(pod.path(name)) {
            files.push(format!("{name}: {:o} {}", found.permissions().mode(), found.len()));
        }
    }
    if std::env::var_os("SHOW_SYSCALLS").is_some() {
        eprintln!("{}: {status} {message} {files:?}\n{stderr}", mode.name);
    }
    Left { status, message, files }
}

/// The shipped program, or `None` and the test is skipped.
fn shipped(test: &str) -> Option<PathBuf> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/entrypoint");
    if !support::private::available(test) {
        return None;
    }
    if !shipped.is_file() {
        lacks(test, "needs dist/entrypoint; build it with `make entrypoint`");
        return None;
    }
    Some(shipped)
}

/// SPIRE with an identity for whoever runs the tests.
fn spire() -> Option<Spire> {
    let spire = Spire::start(SpireOptions::default())?;
    spire.entry(EntryOptions::new("/ns/default/taskrun/run"));
    Some(spire)
}

/// The modes that can be run here.
fn modes(spire: Option<&Spire>) -> Vec<&'static Mode> {
    MODES.iter().filter(|mode| spire.is_some() || !mode.signed).collect()
}

/// Which calls `program` makes in this mode.
fn calls_of(program: &Path, mode: &Mode, socket: &str) -> BTreeSet<Call> {
    let (pod, mut command) = prepare(program, mode, Runs::Itself, socket, &traced);
    let pod = &pod;
    thread::scope(|scope| {
        let traced = || {
            let child = command.spawn().unwrap();
            let pid = child.id();
            let act = || {
                scope.spawn(move || mode.act.map(|act| act(pod, pid)));
            };
            calls(child, program, act)
        };
        // A thread of its own, which has no other children.
        scope.spawn(traced).join().unwrap()
    })
}

/// Runs `work` for each of them, some at a time: most wait most of the time.
fn each<T: Sync>(all: &[T], work: impl Fn(&T) -> Option<String> + Sync) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    failed.lock().unwrap().extend(work(one));
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), all.len(), failed.join("\n"));
}

/// What Tekton's entrypoint and the shell call; see testdata/syscalls.
const RECORDED: &str = include_str!("../testdata/syscalls/tekton-entrypoint.txt");

fn unbarred(program: &OsStr, args: &[&OsStr]) -> Vec<OsString> {
    [program].iter().chain(args).map(|&arg| arg.to_owned()).collect()
}

/// The calls on the lines of the recorded list that begin so.
fn recorded(kinds: &[&str]) -> BTreeSet<Call> {
    let lines = RECORDED.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(kind, _)| kinds.contains(kind)).flat_map(|(_, names)| named(names)).collect()
}

/// What each mode leaves without a filter, beside the mode.
fn free<'a>(program: &Path, modes: &[&'a Mode], runs: Runs, socket: &str) -> Vec<(&'a Mode, Left)> {
    let free = Mutex::new(Vec::new());
    each(modes, |mode| {
        let left = run(program, mode, runs, socket, &unbarred);
        let wrong = !left.status.starts_with(mode.status);
        let said = wrong.then(|| format!("{}, without a filter: {left:?}", mode.name));
        free.lock().unwrap().push((*mode, left));
        said
    });
    free.into_inner().unwrap()
}

/// Runs each mode as `bars` says with each error, and compares it with what it leaves without a filter.
fn compare(program: &Path, runs: Runs, socket: &str, cases: &[(&Mode, &Left, Barred<'_>)]) {
    let cases: Vec<_> =
        cases.iter().flat_map(|case| [Errno::EPERM, Errno::ENOSYS].map(|errno| (case, errno))).collect();
    each(&cases, |((mode, free, bars), errno)| {
        let launch = |program: &OsStr, args: &[&OsStr]| barred(program, args, *bars, *errno);
        let left = run(program, mode, runs, socket, &launch);
        (left != **free)
            .then(|| format!("{}, {bars:?} {errno}:\n  {left:?}\n  without a filter: {free:?}", mode.name))
    });
}

/// In each mode, with all refused that neither Tekton's entrypoint nor the shell of the recorded profile calls.
#[test]
fn runs_where_tektons_runs() {
    let Some(program) = shipped("runs_where_tektons_runs") else { return };
    let spire = spire();
    let socket = spire.as_ref().map(Spire::socket_uri).unwrap_or_default();
    let allowed: Vec<Call> = recorded(&["entrypoint", "shell"]).into_iter().collect();
    let free = free(&program, &modes(spire.as_ref()), Runs::Shell, &socket);
    let cases: Vec<_> = free.iter().map(|(mode, free)| (*mode, free, Barred::AllBut(&allowed))).collect();
    compare(&program, Runs::Shell, &socket, &cases);
}

/// All calls that Tekton's entrypoint does not make, in each mode, and each one by itself, in some. What the step runs makes none but
/// those of `entrypoint`.
#[test]
fn needs_no_call_that_tektons_does_not_make() {
    /// More would take long and show the same.
    const MODES_A_CALL: usize = 3;
    let Some(program) = shipped("needs_no_call_that_tektons_does_not_make") else { return };
    let spire = spire();
    let socket = spire.as_ref().map(Spire::socket_uri).unwrap_or_default();
    let tektons = recorded(&["entrypoint"]);
    let free = free(&program, &modes(spire.as_ref()), Runs::Itself, &socket);
    let mut alone: BTreeMap<Call, Vec<(&Mode, &Left)>> = BTreeMap::new();
    for (mode, free) in &free {
        for call in calls_of(&program, mode, &socket).difference(&tektons) {
            alone.entry(*call).or_default().push((*mode, free));
        }
    }
    assert!(!alone.is_empty());
    let allowed: Vec<Call> = tektons.into_iter().collect();
    let mut cases: Vec<_> = free.iter().map(|(mode, free)| (*mode, free, Barred::AllBut(&allowed))).collect();
    for (call, made_in) in &alone {
        // From the first to the last: those that sign come last.
        let some = made_in.iter().step_by(made_in.len().div_ceil(MODES_A_CALL));
        cases.extend(some.map(|(mode, free)| (*mode, *free, Barred::Only(std::slice::from_ref(call)))));
    }
    compare(&program, Runs::Itself, &socket, &cases);
}

/// The calls of a paragraph of docs/operations.md: on the line after the one that ends with this text.
fn documented(after: &str) -> BTreeSet<Call> {
    let docs = include_str!("../docs/operations.md");
    let list =
        docs.split_once(after).unwrap_or_else(|| panic!("docs/operations.md does not say {after:?}")).1;
    let names = list.trim_start().lines().next().unwrap().replace(['`', ','], "");
    let calls: BTreeSet<Call> = named(&names).into_iter().collect();
    assert!(!calls.is_empty(), "no calls after {after:?}");
    calls
}

/// A profile that an operator makes from the list must let every mode run, so the list grows only on purpose.
#[test]
fn the_documented_calls_are_those_that_are_made() {
    let Some(program) = shipped("the_documented_calls_are_those_that_are_made") else { return };
    let Some(spire) = spire() else { return };
    let made: BTreeSet<Call> =
        modes(Some(&spire)).iter().flat_map(|mode| calls_of(&program, mode, &spire.socket_uri())).collect();
    let needed = documented("needs these system calls, as Tekton's does:");
    let spared = documented("It does without these where they are refused:");
    let listed: BTreeSet<Call> = needed.union(&spared).copied().collect();
    let differs = |one: &BTreeSet<Call>, other: &BTreeSet<Call>| -> String {
        one.difference(other).map(|call| format!(" {call}")).collect()
    };
    assert_eq!(differs(&made, &listed), "", "made, and not listed in docs/operations.md");
    if cfg!(target_arch = "x86_64") {
        assert_eq!(differs(&listed, &made), "", "listed in docs/operations.md, and not made");
    }
    assert_eq!(differs(&needed, &recorded(&["entrypoint"])), "", "needed, and Tekton's does not make them");
}

/// The profile is what Tekton's entrypoint really calls, and no more.
#[test]
fn tekton_makes_the_calls_of_the_recorded_profile() {
    let test = "tekton_makes_the_calls_of_the_recorded_profile";
    let Some(program) = tekton().map(PathBuf::from).filter(|_| support::private::available(test)) else {
        return;
    };
    let Some(spire) = spire() else { return };
    let made: BTreeSet<Call> =
        modes(Some(&spire)).iter().flat_map(|mode| calls_of(&program, mode, &spire.socket_uri())).collect();
    let missing: Vec<Call> = recorded(&["entrypoint"]).difference(&made).copied().collect();
    assert!(missing.is_empty(), "Tekton's does not make {missing:?}");
}
