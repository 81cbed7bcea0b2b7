//! What a case is: steps that are run one after the other in one pod, and what the pod holds before.

use std::{
    ffi::OsStr,
    fs::{Permissions, set_permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    process::{Child, Command},
    time::{Duration, Instant},
};

use nix::errno::Errno;

use crate::support::{
    barred::{Barred, barred, named},
    step::{As, Pod, usual},
};

/// What is compared of stderr. The whole of it is only for those who look; a pod's users read the reason.
#[derive(Clone, Copy)]
pub(crate) enum Stderr {
    /// The last line, without the time.
    Last,
    /// All of it, without times: flag errors with their usage text.
    All,
    /// That both name this cause, each in its own words.
    Names(&'static str),
}

type Prepare = Box<dyn Fn(&Pod) + Send + Sync>;
type Act = fn(&Pod, &Child);

/// One run of an entrypoint.
pub(crate) struct Step {
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) env: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) prepare: Vec<Prepare>,
    /// What happens while the first step runs.
    pub(crate) act: Option<Act>,
    pub(crate) stderr: Stderr,
    pub(crate) run_as: As,
    /// What it is started by, in place of being started at once.
    pub(crate) by: Vec<String>,
    /// Only root can have it so.
    pub(crate) needs_root: bool,
    /// What Tekton's run must show, so that the case is about what it says.
    pub(crate) shows: Vec<String>,
}

/// A case with exactly these arguments.
pub(crate) fn bare(name: &str, args: &[&str]) -> Case {
    let args = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    Case {
        name: name.to_owned(),
        steps: vec![Step { args, env: Vec::new() }],
        prepare: Vec::new(),
        act: None,
        stderr: Stderr::Last,
        run_as: As::Process,
        by: Vec::new(),
        needs_root: false,
        shows: Vec::new(),
    }
}

/// A case with a post file and a metadata directory.
pub(crate) fn case(name: &str, args: &[&str]) -> Case {
    bare(name, &usual(args))
}

/// A case whose command is this script.
pub(crate) fn shell(name: &str, script: &str, flags: &[&str]) -> Case {
    case(name, &sh(script, flags))
}

/// A case whose command says what it sees.
pub(crate) fn probe(name: &str, flags: &[&str]) -> Case {
    case(name, &[flags, &["-entrypoint", "/tekton/bin/probe", "--", "a", "b c", ""]].concat())
}

fn sh<'a>(script: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    [flags, &["-entrypoint", "/bin/sh", "--", "-c", script]].concat()
}

/// Waits until something is so, for three seconds at most: what did not come to pass is seen when the runs are compared.
pub(crate) fn soon(so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(3);
    while !so() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Case {
    /// An environment variable of the last step.
    pub(crate) fn env(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.raw_env(name.as_bytes(), value.as_ref())
    }

    pub(crate) fn raw_env(mut self, name: &[u8], value: &[u8]) -> Self {
        self.steps.last_mut().unwrap().env.push((name.to_vec(), value.to_vec()));
        self
    }

    /// More arguments of the last step.
    pub(crate) fn args(mut self, args: &[&[u8]]) -> Self {
        self.steps.last_mut().unwrap().args.extend(args.iter().map(|arg| arg.to_vec()));
        self
    }

    /// Another step, which is run in the same pod when the one before has ended.
    pub(crate) fn then(mut self, script: &str, flags: &[&str]) -> Self {
        let wait = ["-wait_file", "/tekton/run/0/out", "-post_file", "/tekton/run/1/out"];
        let own =
            ["-step_metadata_dir", "/tekton/run/1/status", "-termination_path", "/tekton/termination-1"];
        let args = [&wait[..], &own, &sh(script, flags)].concat();
        let args = args.into_iter().map(|arg| arg.as_bytes().to_vec()).collect();
        self.steps.push(Step { args, env: Vec::new() });
        self
    }

    /// A file below `/tekton`.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let (path, content) = (path.to_owned(), content.as_ref().to_vec());
        self.prepare(move |pod| pod.write(&path, &content))
    }

    /// A link below `/tekton`.
    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        let (path, target) = (path.to_owned(), target.to_owned());
        self.prepare(move |pod| symlink(&target, pod.path(&path)).unwrap())
    }

    /// The result of an earlier step, `prior`, which is the pod's second so that it does not meet the one under test.
    pub(crate) fn result(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.file(&format!("run/1/status/results/{name}"), value).prior()
    }

    /// The step `prior`.
    pub(crate) fn prior(self) -> Self {
        self.prepare(|pod| {
            let link = pod.path("steps/step-prior");
            if link.symlink_metadata().is_err() {
                symlink("/tekton/run/1/status", link).unwrap();
            }
        })
    }

    pub(crate) fn prepare(mut self, prepare: impl Fn(&Pod) + Send + Sync + 'static) -> Self {
        self.prepare.push(Box::new(prepare));
        self
    }

    /// What is done once the first step runs.
    pub(crate) fn act(mut self, act: Act) -> Self {
        self.act = Some(act);
        self
    }

    pub(crate) fn stderr(mut self, stderr: Stderr) -> Self {
        self.stderr = stderr;
        self
    }

    /// The first process of its PID namespace.
    pub(crate) fn first(mut self) -> Self {
        self.run_as = As::First;
        self
    }

    /// Run by an ordinary user, to whom all that is there so far belongs.
    pub(crate) fn user(mut self) -> Self {
        let user = ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--"];
        self.by = user.map(str::to_owned).to_vec();
        self.root().prepare(|pod| {
            let owned = Command::new("chown").args(["-R", "65532:65532"]).arg(pod.root()).status();
            assert!(owned.unwrap().success());
            set_permissions(pod.root(), Permissions::from_mode(0o755)).unwrap();
        })
    }

    /// Run by a root that can do nothing that other users cannot.
    pub(crate) fn powerless(mut self) -> Self {
        self.by = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"].map(str::to_owned).to_vec();
        self.root()
    }

    /// Where these system calls fail.
    pub(crate) fn barred(mut self, calls: &str, errno: Errno) -> Self {
        let launcher = barred(OsStr::new(""), &[], Barred::Only(&named(calls)), errno);
        let launcher = launcher.split_last().unwrap().1.iter();
        self.by.extend(launcher.map(|word| word.to_str().unwrap().to_owned()));
        self
    }

    /// Under a limit of ulimit(1).
    pub(crate) fn limited(mut self, limit: &str) -> Self {
        let shell = format!("ulimit {limit}; exec \"$@\"");
        self.by = ["/bin/sh", "-c", &shell, "sh"].map(str::to_owned).to_vec();
        self
    }

    /// Only where the tests are run by root.
    pub(crate) fn root(mut self) -> Self {
        self.needs_root = true;
        self
    }

    pub(crate) fn shows(mut self, what: &str) -> Self {
        self.shows.push(what.to_owned());
        self
    }
}

impl Step {
    pub(crate) fn args(&self) -> Vec<&OsStr> {
        self.args.iter().map(|arg| OsStr::from_bytes(arg)).collect()
    }
}
