//! One step with any arguments, and a `/tekton` of its own.

use std::{
    ffi::OsStr,
    fs::Permissions,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use super::peers;
pub use super::private::{As, Mount, PrivateRoot, available};

/// Our program under test.
pub const OURS: &str = env!("CARGO_BIN_EXE_entrypoint");

/// A `/tekton` with what a pod has there, in a root of its own.
pub struct Pod {
    folder: tempfile::TempDir,
    root: PrivateRoot,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// `exit 3`, `signal 15`.
    pub status: String,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    /// The last line of stderr without the time before it.
    pub fn last_line(&self) -> &str {
        untimed(self.stderr.lines().last().unwrap_or_default())
    }
}

/// A log line without Go's `2026/08/01 10:00:00 `.
pub fn untimed(line: &str) -> &str {
    let time = line.len() > 20 && line.is_char_boundary(20) && {
        line.bytes()
            .zip("0000/00/00 00:00:00 ".bytes())
            .all(|(is, like)| is == like || like == b'0' && is.is_ascii_digit())
    };
    if time { &line[20..] } else { line }
}

impl Pod {
    pub fn new() -> Self {
        Self::with(&[], &[])
    }

    /// A pod in whose root these folders are its own too, and with these mounts.
    pub fn with(own: &[&str], mounts: &[Mount]) -> Self {
        let folder = tempfile::Builder::new().prefix("pod-").tempdir().unwrap();
        let tekton = folder.path().join("tekton");
        for directory in ["run/0/status", "run/1/status", "results", "steps", "downward", "artifacts", "bin"]
        {
            std::fs::create_dir_all(tekton.join(directory)).unwrap();
        }
        std::fs::write(tekton.join("termination"), "").unwrap();
        for own in own {
            std::fs::create_dir_all(folder.path().join(own)).unwrap();
        }
        let root = PrivateRoot::new(folder.path(), mounts);
        Self { folder, root }
    }

    /// With this host name: a pod's own name.
    pub fn hostname(self, name: &str) -> Self {
        Self { root: self.root.hostname(name), ..self }
    }

    /// The folder that stands for `/`.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A file of the pod: the path below `/tekton`, seen from outside.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join("tekton").join(below)
    }

    pub fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Writes a file that somebody waits for: it has its content when it has its name.
    pub fn put(&self, below: &str, content: &str) {
        let new = format!("{below}.new");
        self.write(&new, content);
        std::fs::rename(self.path(&new), self.path(below)).unwrap();
    }

    pub fn read(&self, below: &str) -> Option<String> {
        std::fs::read(self.path(below)).ok().map(|raw| String::from_utf8_lossy(&raw).into_owned())
    }

    /// The termination message with the start time replaced.
    pub fn message(&self) -> Option<String> {
        self.read("termination").map(|message| without_time(&message))
    }

    /// The command that runs `program` in this pod.
    pub fn command(&self, program: &Path, args: &[&OsStr], run_as: As) -> Command {
        // Without -step_metadata_dir a step writes into the current directory.
        let mut command = self.root.command("/tekton", program, args, run_as);
        command.env_remove("TZ").env("LC_ALL", "C");
        command
    }

    pub fn start(&self, program: &str, args: &[&str], run_as: As) -> Child {
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        self.command(Path::new(program), &args, run_as).spawn().unwrap()
    }

    pub fn run(&self, program: &str, args: &[&str], run_as: As) -> Ran {
        finish(self.start(program, args, run_as))
    }

    /// Runs our program as a usual step: with metadata directory and post file; `args` come after those.
    pub fn step(&self, args: &[&str]) -> Ran {
        self.run(OURS, &usual(args), As::Process)
    }
}

/// The arguments of a usual first step.
pub fn usual<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["-post_file", "/tekton/run/0/out", "-step_metadata_dir", "/tekton/run/0/status"];
    all.extend(args);
    all
}

/// Waits for a program's end; one that takes more than 20 s is killed and the test fails.
pub fn finish(child: Child) -> Ran {
    end(child).unwrap_or_else(|stderr| panic!("still running after 20 s; stderr: {stderr}"))
}

/// Waits for a program's end; one that takes more than 20 s is killed, and what it wrote to stderr is the error.
pub fn end(child: Child) -> Result<Ran, String> {
    let pid = child.id();
    let (done, waiting) = std::sync::mpsc::channel();
    let guard = std::thread::spawn(move || {
        if waiting.recv_timeout(Duration::from_secs(20)).is_err() {
            let all: Vec<String> = with_descendants(pid).iter().map(u32::to_string).collect();
            let _ = Command::new("kill").arg("-KILL").args(all).status();
            return true;
        }
        false
    });
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if guard.join().unwrap() {
        return Err(stderr);
    }
    Ok(Ran { status: status(output.status), stdout: output.stdout, stderr })
}

/// A process and those below it, which hold its streams.
fn with_descendants(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let below = children.split_whitespace().filter_map(|child| child.parse().ok()).flat_map(with_descendants);
    std::iter::once(pid).chain(below).collect()
}

/// `exit 3`, `signal 15`.
pub fn status(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit {code}"),
        (_, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

/// The message with the value of `StartedAt` replaced by `T`, if it has the right form.
pub fn without_time(message: &str) -> String {
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

/// Where Tekton's own entrypoint is, if it was built.
pub fn tekton() -> Option<String> {
    peers::require("tekton-entrypoint").map(|peer| peer.to_str().unwrap().to_owned())
}

/// The content of a file of ours, also where its mode keeps us from reading it.
pub fn content(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|_| {
        let permissions = std::fs::metadata(file).unwrap().permissions();
        std::fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
        let content = std::fs::read(file).unwrap();
        std::fs::set_permissions(file, permissions).unwrap();
        content
    })
}

/// Waits until something is so.
pub fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
