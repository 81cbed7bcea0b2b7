//! The ways to run the program, in a pod of its own, and what each leaves behind.

use std::{
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

use super::{
    private,
    skip::{emulated, lacks},
    spire::{EntryOptions, Spire, SpireOptions},
    step::{As, Mount, Pod, end, until},
};

/// Where the program stands in the pod.
pub const PROGRAM: &str = "/ko-app/entrypoint";

/// What a step runs: a shell, or a program that makes no calls but those of `entrypoint`, since it is one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    Shell,
    Itself,
}

pub type Act = fn(&Pod, u32);

/// One way to run the program.
pub struct Mode {
    pub name: &'static str,
    /// Flags, or a subcommand.
    pub flags: &'static [&'static str],
    /// What the step runs: a script for the shell, and the same for `entrypoint` itself.
    pub command: Option<(&'static str, &'static [&'static str])>,
    pub env: &'static [(&'static str, &'static str)],
    pub act: Option<Act>,
    pub signed: bool,
    /// How it ends, whatever is refused.
    pub status: &'static str,
}

pub const SHORT: Option<(&str, &[&str])> =
    Some(("printf value >/tekton/results/a", &["cp", "/tekton/value", "/tekton/results/a"]));
pub const FAILS: Option<(&str, &[&str])> = Some(("exit 3", &["-nope"]));
pub const LONG: Option<(&str, &[&str])> = Some((
    ": >/tekton/begun; exec sleep 20",
    &["-wait_file=/tekton/never", "-step_metadata_dir=/tekton/begun", "-entrypoint=/none"],
));

pub const fn mode(
    name: &'static str,
    flags: &'static [&'static str],
    command: Option<(&'static str, &'static [&'static str])>,
    status: &'static str,
) -> Mode {
    Mode { name, flags, command, env: &[], act: None, signed: false, status }
}

impl Mode {
    pub const fn env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }

    pub const fn act(self, act: Act) -> Self {
        Self { act: Some(act), ..self }
    }

    pub const fn signed(self) -> Self {
        Self { signed: true, ..self }
    }
}

pub fn once_it_waits(pod: &Pod) {
    until("the step waits", || pod.path("run/0/status/artifacts").exists());
    thread::sleep(std::time::Duration::from_millis(50));
}

pub fn once_it_runs(pod: &Pod) {
    until("the command runs", || pod.path("begun").exists());
    thread::sleep(std::time::Duration::from_millis(50));
}

pub fn terminate(pid: u32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGTERM)
        .unwrap();
}

pub const MODES: &[Mode] = &[
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
        pod.put("run/0/out.breakpointexit", "4");
    }),
    mode("breakpoint before", &["-debug_before_step", "-results=a"], SHORT, "exit 0").act(|pod, _| {
        once_it_waits(pod);
        pod.put("run/0/out.beforestepexit", "0");
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
pub struct Left {
    pub status: String,
    pub message: String,
    pub files: Vec<String>,
}

/// The pod of a run, and the command that runs `program` in it in this way.
pub fn prepare(
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
pub fn run(
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
pub fn shipped(test: &str) -> Option<PathBuf> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/entrypoint");
    if !private::available(test) {
        return None;
    }
    if emulated(test, "a program's system calls cannot be refused or traced") {
        return None;
    }
    if !shipped.is_file() {
        lacks(test, "needs dist/entrypoint; build it with `make entrypoint`");
        return None;
    }
    Some(shipped)
}

/// SPIRE with an identity for whoever runs the tests.
pub fn spire() -> Option<Spire> {
    let spire = Spire::start(SpireOptions::default())?;
    spire.entry(EntryOptions::new("/ns/default/taskrun/run"));
    Some(spire)
}

/// The modes that can be run here.
pub fn modes(spire: Option<&Spire>) -> Vec<&'static Mode> {
    MODES.iter().filter(|mode| spire.is_some() || !mode.signed).collect()
}

/// Runs `work` for each of them, some at a time: most wait most of the time.
pub fn each<T: Sync>(all: &[T], work: impl Fn(&T) -> Option<String> + Sync) {
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

pub fn unbarred(program: &OsStr, args: &[&OsStr]) -> Vec<OsString> {
    [program].iter().chain(args).map(|&arg| arg.to_owned()).collect()
}
