//! A private `/tekton` for one step: a folder bound there in a mount namespace of the program's own.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) mod credentials;

/// Our program under test.
pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_entrypoint");

/// A folder that stands in for `/tekton`, with what a pod has there.
pub(crate) struct Pod {
    folder: tempfile::TempDir,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// `exit 3`, `signal 15`.
    pub(crate) status: String,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    /// The last line of stderr without the time before it.
    pub(crate) fn last_line(&self) -> &str {
        untimed(self.stderr.lines().last().unwrap_or_default())
    }
}

/// A log line without Go's `2026/08/01 10:00:00 `.
pub(crate) fn untimed(line: &str) -> &str {
    let time = line.len() > 20 && line.is_char_boundary(20) && {
        line.bytes()
            .zip("0000/00/00 00:00:00 ".bytes())
            .all(|(is, like)| is == like || like == b'0' && is.is_ascii_digit())
    };
    if time { &line[20..] } else { line }
}

/// How the program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    /// As an ordinary process.
    Process,
    /// As the first process of a PID namespace, as in a container.
    First,
}

impl Pod {
    pub(crate) fn new() -> Pod {
        let folder = tempfile::tempdir().unwrap();
        for directory in ["run/0/status", "run/1/status", "results", "steps", "downward", "artifacts", "bin"]
        {
            std::fs::create_dir_all(folder.path().join(directory)).unwrap();
        }
        std::fs::write(folder.path().join("termination"), "").unwrap();
        Pod { folder }
    }

    /// A file of the pod: the path below `/tekton`, seen from outside.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, below: &str) -> Option<String> {
        std::fs::read(self.path(below)).ok().map(|raw| String::from_utf8_lossy(&raw).into_owned())
    }

    /// The termination message with the start time replaced.
    pub(crate) fn message(&self) -> Option<String> {
        self.read("termination").map(|message| without_time(&message))
    }

    /// The command that runs `program` in this pod.
    pub(crate) fn command(&self, program: &Path, args: &[&OsStr], run_as: As) -> Command {
        // Whoever runs the tests may ignore signals, as nohup does; a container ignores none.
        let mut command = Command::new("/usr/bin/env");
        command.args(["--default-signal", "/usr/bin/unshare", "--mount", "--propagation", "private"]);
        if run_as == As::First {
            command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        }
        // Without -step_metadata_dir a step writes into the current directory.
        command.args(["/bin/sh", "-c", "/bin/mount --bind \"$0\" /tekton && cd /tekton && exec \"$@\""]);
        command.arg(self.folder.path()).arg(program).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("TZ").env("LC_ALL", "C");
        command
    }

    pub(crate) fn start(&self, program: &str, args: &[&str], run_as: As) -> Child {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        self.command(Path::new(program), &args, run_as).spawn().unwrap()
    }

    pub(crate) fn run(&self, program: &str, args: &[&str], run_as: As) -> Ran {
        finish(self.start(program, args, run_as))
    }

    /// Runs our program as a usual step: with metadata directory and post file; `args` come after those.
    pub(crate) fn step(&self, args: &[&str]) -> Ran {
        self.run(OURS, &usual(args), As::Process)
    }
}

/// The arguments of a usual first step.
pub(crate) fn usual<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["-post_file", "/tekton/run/0/out", "-step_metadata_dir", "/tekton/run/0/status"];
    all.extend(args);
    all
}

/// Waits for a program's end; one that takes more than 20 s is killed and the test fails.
pub(crate) fn finish(child: Child) -> Ran {
    let pid = child.id();
    let (done, waiting) = std::sync::mpsc::channel();
    let guard = std::thread::spawn(move || {
        if waiting.recv_timeout(Duration::from_secs(20)).is_err() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            return true;
        }
        false
    });
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    assert!(
        !guard.join().unwrap(),
        "still running after 20 s; stderr: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ran {
        status: status(output.status),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn status(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (_, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

/// The message with the value of `StartedAt` replaced by `T`, if it has the right form.
pub(crate) fn without_time(message: &str) -> String {
    const KEY: &str = "{\"key\":\"StartedAt\",\"value\":\"";
    let Some((before, after)) = message.split_once(KEY) else { return message.to_owned() };
    let (time, after) = after.split_once('"').unwrap();
    let form = |mask: &str| {
        time.len() == mask.len()
            && time
                .bytes()
                .zip(mask.bytes())
                .all(|(is, like)| is == like || like == b'0' && is.is_ascii_digit())
    };
    let right = form("0000-00-00T00:00:00.000Z")
        || form("0000-00-00T00:00:00.000+00:00")
        || form("0000-00-00T00:00:00.000-00:00");
    format!("{before}{KEY}{}\"{after}", if right { "T" } else { time })
}

/// True if steps can be run with a `/tekton` of their own. If not, says which test is skipped; with `CI=true` it fails.
pub(crate) fn available(test: &str) -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    let available = *AVAILABLE.get_or_init(|| {
        let made = std::fs::create_dir_all("/tekton").is_ok();
        let pod = Pod::new();
        made && pod
            .command(Path::new("/bin/true"), &[], As::First)
            .status()
            .is_ok_and(|status| status.success())
    });
    unless_ci(available, test, "unshare and mount are not permitted here")
}

/// Where Tekton's own entrypoint is, if it was built.
pub(crate) fn tekton(test: &str) -> Option<String> {
    let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/tekton-entrypoint");
    unless_ci(peer.exists(), test, "Tekton's entrypoint is not built (tests/peers/build.sh)")
        .then(|| peer.to_str().unwrap().to_owned())
}

fn unless_ci(available: bool, test: &str, reason: &str) -> bool {
    if !available {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{test}: {reason}");
        eprintln!("skipped: {test}: {reason}");
    }
    available
}

/// Waits until something is so.
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
