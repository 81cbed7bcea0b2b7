//! A pod's files below a folder of one's own, and the steps in it.
//!
//! [`Pod::new`] serves `svidence entrypoint --root`; [`Pod::private`] serves any entrypoint, Tekton's too, which sees the
//! same files as `/tekton` in a root of its own ([`super::private`]).

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use svidence::standin::taskrun::StepReport;
use tempfile::TempDir;
use time::OffsetDateTime;

use super::private::{As, PrivateRoot};

/// The files that `init` and the kubelet would have laid out.
pub struct Pod {
    folder: TempDir,
    /// The pod's name, which is its host name.
    pub name: String,
    steps: Vec<String>,
    private: Option<PrivateRoot>,
}

impl Pod {
    /// The pod `<taskrun>-pod` of namespace `default`, for `svidence entrypoint --root`.
    pub fn new(taskrun: &str, steps: &[&str]) -> Self {
        Self::lay_out(taskrun, steps, false)
    }

    /// The same for [`StepCommand::run_by`]: the links in `/tekton/steps` hold the paths of a real pod.
    pub fn private(taskrun: &str, steps: &[&str]) -> Self {
        Self::lay_out(taskrun, steps, true)
    }

    fn lay_out(taskrun: &str, steps: &[&str], private: bool) -> Self {
        let folder = tempfile::Builder::new().prefix("pod-").tempdir().unwrap();
        let steps = steps.iter().map(|&step| step.to_owned()).collect();
        let mut pod = Self { folder, name: format!("{taskrun}-pod"), steps, private: None };
        for directory in
            ["steps", "results", "downward", "artifacts", "bin", "creds", "scripts", "termination"]
        {
            fs::create_dir_all(pod.root().join("tekton").join(directory)).unwrap();
        }
        pod.private = private.then(|| PrivateRoot::new(pod.root(), &[]));
        let base = pod.base();
        for (i, step) in pod.steps.iter().enumerate() {
            fs::create_dir_all(pod.root().join(format!("tekton/run/{i}"))).unwrap();
            let status = format!("{base}/tekton/run/{i}/status");
            symlink(&status, pod.root().join(format!("tekton/steps/step-{step}"))).unwrap();
            symlink(&status, pod.root().join(format!("tekton/steps/{i}"))).unwrap();
            fs::write(pod.termination(i), "").unwrap();
        }
        pod.write("tekton/downward/ready", "READY");
        pod.write("serviceaccount/namespace", "default");
        pod
    }

    /// The folder that stands for `/`.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// What a path of the pod begins with for the step's command and flags.
    pub fn base(&self) -> String {
        if self.private.is_some() { String::new() } else { self.root().display().to_string() }
    }

    /// Writes a file below the root, its folders too.
    pub fn write(&self, path: &str, content: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The file with step `i`'s termination message; in a cluster each container has its own at `/tekton/termination`.
    pub fn termination(&self, i: usize) -> PathBuf {
        self.root().join(format!("tekton/termination/{i}"))
    }

    /// The post file of step `i`; `.err` is appended to its name on failure.
    pub fn post_file(&self, i: usize) -> PathBuf {
        self.root().join(format!("tekton/run/{i}/out"))
    }

    /// The `exitCode` file of step `i`.
    pub fn exit_code(&self, i: usize) -> Option<String> {
        fs::read_to_string(self.root().join(format!("tekton/run/{i}/status/exitCode"))).ok()
    }

    /// Another program of the pod, for pods made by [`Pod::private`]: the results sidecar.
    pub fn program(&self, program: &Path, args: &[&str]) -> Command {
        let private = self.private.as_ref().expect("a program without --root needs Pod::private");
        private.command("/", program, args, As::Process)
    }

    /// Step `i`, unsigned and without results until it is told otherwise.
    pub fn step(&self, i: usize) -> StepCommand<'_> {
        StepCommand {
            pod: self,
            index: i,
            socket: None,
            results: Vec::new(),
            step_results: Vec::new(),
            flags: Vec::new(),
            environment: Vec::new(),
            script: "true".into(),
            entrypoint: None,
            svidence: env!("CARGO_BIN_EXE_svidence").into(),
        }
    }
}

/// How one step is to be run, with the flags that the controller would give it.
#[derive(Clone)]
pub struct StepCommand<'a> {
    pod: &'a Pod,
    index: usize,
    socket: Option<String>,
    results: Vec<String>,
    step_results: Vec<String>,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    script: String,
    entrypoint: Option<PathBuf>,
    svidence: PathBuf,
}

/// What a step left behind.
#[derive(Debug)]
pub struct StepOutcome {
    /// Exit status and output of the entrypoint.
    pub output: Output,
    /// For [`svidence::standin::taskrun::assemble`].
    pub report: StepReport,
}

impl StepOutcome {
    /// The termination message.
    pub fn message(&self) -> &str {
        std::str::from_utf8(&self.report.message).unwrap()
    }

    /// Standard error of the entrypoint and its command.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

impl StepCommand<'_> {
    /// Signs, with the Workload API at this address.
    pub fn signed(mut self, socket_uri: &str) -> Self {
        self.socket = Some(socket_uri.to_owned());
        self
    }

    /// The task's results.
    pub fn results(mut self, names: &[&str]) -> Self {
        self.results = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// The step's own results.
    pub fn step_results(mut self, names: &[&str]) -> Self {
        self.step_results = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// More flags, `["-on_error", "continue"]` for example. They come after the others, so they win.
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What the step does, for `sh -c`. `$RESULTS` is the folder of the task's results, `$STEP_RESULTS` of the step's own.
    pub fn script(mut self, script: &str) -> Self {
        self.script = script.to_owned();
        self
    }

    /// A copy of `svidence` to run, for a user who need not be let in where it was built.
    pub fn svidence(mut self, copy: &Path) -> Self {
        self.svidence = copy.to_owned();
        self
    }

    /// Has this program run the step, in place of `svidence entrypoint`; for pods made by [`Pod::private`].
    pub fn run_by(mut self, entrypoint: &Path) -> Self {
        assert!(self.pod.private.is_some(), "a program without --root needs Pod::private");
        self.entrypoint = Some(entrypoint.to_owned());
        self
    }

    /// The arguments as the controller gives them.
    pub fn arguments(&self) -> Vec<String> {
        let (base, i) = (self.pod.base(), self.index);
        let mut arguments = Vec::new();
        match i {
            0 => arguments.extend([
                "-wait_file".into(),
                format!("{base}/tekton/downward/ready"),
                "-wait_file_content".into(),
            ]),
            _ => arguments.extend(["-wait_file".into(), format!("{base}/tekton/run/{}/out", i - 1)]),
        }
        arguments.extend(["-post_file".into(), format!("{base}/tekton/run/{i}/out")]);
        arguments.extend(["-termination_path".into(), format!("{base}/tekton/termination/{i}")]);
        arguments.extend(["-step_metadata_dir".into(), format!("{base}/tekton/run/{i}/status")]);
        if let Some(socket) = &self.socket {
            arguments.extend(["-enable_spire".into(), "-spire_socket_path".into(), socket.clone()]);
        }
        for (flag, names) in [("-step_results", &self.step_results), ("-results", &self.results)] {
            if !names.is_empty() {
                arguments.extend([flag.into(), names.join(",")]);
            }
        }
        arguments.extend(self.flags.iter().cloned());
        arguments.extend(["-entrypoint", "sh", "--", "-c", &self.script].map(str::to_owned));
        arguments
    }

    /// The command, ready to be spawned.
    pub fn command(&self) -> Command {
        let root = self.pod.root();
        let mut command = match &self.entrypoint {
            None => {
                let mut command = Command::new(&self.svidence);
                command.arg("entrypoint").arg("--root").arg(root).arg("--pod-name").arg(&self.pod.name);
                command
            }
            Some(entrypoint) => {
                let private = self.pod.private.as_ref().unwrap();
                private.command("/", entrypoint, &[""; 0], As::Process)
            }
        };
        let (base, i) = (self.pod.base(), self.index);
        command
            .args(self.arguments())
            .env("RESULTS", format!("{base}/tekton/results"))
            .env("STEP_RESULTS", format!("{base}/tekton/run/{i}/status/results"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs the step to its end.
    pub fn run(&self) -> StepOutcome {
        let started = OffsetDateTime::now_utc();
        let output = self.command().output().unwrap();
        self.outcome(output, started)
    }

    /// What the step left behind, for steps that were started by hand with [`StepCommand::command`].
    pub fn outcome(&self, output: Output, started: OffsetDateTime) -> StepOutcome {
        let report = StepReport {
            name: self.pod.steps[self.index].clone(),
            message: fs::read(self.pod.termination(self.index)).unwrap(),
            // The kubelet's view of a process that a signal ended.
            exit_code: output.status.code().unwrap_or(137),
            started,
            finished: OffsetDateTime::now_utc(),
        };
        StepOutcome { output, report }
    }
}
