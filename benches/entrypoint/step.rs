//! One step under one of the two programs, in the private `/tekton`.

use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::CString,
    fs,
    os::{
        fd::AsRawFd as _,
        unix::fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use nix::{
    errno::Errno,
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn},
    sys::{
        inotify::{AddWatchFlags, InitFlags, Inotify},
        ptrace,
        resource::{UsageWho, getrusage},
        signal::Signal,
        time::TimeValLike as _,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

/// The user of the steps that share an agent with another workload.
pub(crate) const OTHER_USER: u32 = 65532;
const STATUS_AT_EXIT: i32 = nix::libc::PTRACE_EVENT_EXIT;

/// Nanoseconds of CLOCK_MONOTONIC.
pub(crate) fn now() -> u64 {
    let at = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    u64::try_from(at.num_nanoseconds()).unwrap()
}

/// From one moment to another, in milliseconds.
pub(crate) fn ms(from: u64, to: u64) -> f64 {
    (to as f64 - from as f64) / 1e6
}

/// What the step's container runs.
#[derive(Clone, Copy)]
pub(crate) enum Command {
    /// `/bin/true`
    True,
    /// `child.c`, with how long it takes and how many results it writes.
    Child { takes: Duration, results: usize },
}

/// A step, not started yet. Its folder is `/tekton/run/<index>`.
#[derive(Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) program: &'a Path,
    pub(crate) index: usize,
    pub(crate) command: Command,
    /// Whether it waits for [`Step::wait_file`], or for a file that is there.
    pub(crate) waits: bool,
    /// The address of the Workload API, if it signs.
    pub(crate) socket: Option<&'a str>,
    /// Whether it runs as [`OTHER_USER`].
    pub(crate) as_other: bool,
    /// The number of the namespace's services, of which the kubelet makes variables.
    pub(crate) service_links: usize,
}

impl<'a> Step<'a> {
    pub(crate) fn new(program: &'a Path, command: Command) -> Self {
        Step { program, index: 0, command, waits: false, socket: None, as_other: false, service_links: 0 }
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(format!("/tekton/run/{}", self.index))
    }

    pub(crate) fn wait_file(&self) -> PathBuf {
        PathBuf::from(format!("/tekton/before/{}/out", self.index))
    }

    fn post_file(&self) -> PathBuf {
        Path::new(Posts::FOLDER).join(self.index.to_string())
    }

    pub(crate) fn message(&self) -> String {
        fs::read_to_string(self.folder().join("termination")).unwrap()
    }

    fn arguments(&self) -> Vec<String> {
        let folder = self.folder().display().to_string();
        let mut arguments: Vec<String> = Vec::new();
        if self.as_other {
            let user = [&format!("--reuid={OTHER_USER}"), "--regid=65532", "--clear-groups"];
            arguments.push("setpriv".into());
            arguments.extend(user.map(str::to_owned));
        }
        arguments.push(self.program.display().to_string());
        match self.waits {
            true => arguments.extend(["-wait_file".into(), self.wait_file().display().to_string()]),
            false => arguments
                .extend(["-wait_file", "/tekton/downward/ready", "-wait_file_content"].map(str::to_owned)),
        }
        for (flag, file) in [
            ("-post_file", self.post_file().display().to_string()),
            ("-termination_path", format!("{folder}/termination")),
            ("-step_metadata_dir", format!("{folder}/status")),
        ] {
            arguments.extend([flag.into(), file]);
        }
        if let Some(socket) = self.socket {
            arguments.extend(["-enable_spire", "-spire_socket_path", socket].map(str::to_owned));
        }
        match self.command {
            Command::True => arguments.extend(["-entrypoint", "/bin/true", "--"].map(str::to_owned)),
            Command::Child { takes, results } => {
                let names: Vec<String> = (0..results).map(|i| format!("digest-{i:02}")).collect();
                if !names.is_empty() {
                    arguments.extend(["-results".into(), names.join(",")]);
                }
                arguments.extend(["-entrypoint", "/tekton/bin/child", "--"].map(str::to_owned));
                arguments.extend([
                    format!("{folder}/stamps"),
                    takes.as_millis().to_string(),
                    results.to_string(),
                ]);
            }
        }
        arguments
    }

    /// Lays the step's files out anew and starts it.
    pub(crate) fn start(&self) -> Running<'a> {
        let (folder, before) = (self.folder(), self.wait_file());
        for directory in [&folder, before.parent().unwrap()] {
            let _ = fs::remove_dir_all(directory);
            fs::create_dir_all(directory).unwrap();
        }
        let _ = fs::remove_file(self.post_file());
        // Steps that run at the same time write the same results; the first one finds none.
        let results = fs::read_dir("/tekton/results").unwrap().map(Result::unwrap);
        results.filter(|_| self.index == 0).for_each(|result| fs::remove_file(result.path()).unwrap());
        fs::create_dir_all(folder.join("status")).unwrap();
        fs::write(folder.join("termination"), "").unwrap();
        fs::write(folder.join("stamps"), [0; 16]).unwrap();
        for name in [format!("step-bench-{}", self.index), self.index.to_string()] {
            let link = Path::new("/tekton/steps").join(name);
            let _ = fs::remove_file(&link);
            symlink(folder.join("status"), link).unwrap();
        }
        if self.as_other {
            let files = ["status", "termination", "stamps", ""].map(|file| folder.join(file));
            for file in files {
                nix::unistd::chown(file.as_path(), Some(OTHER_USER.into()), Some(OTHER_USER.into())).unwrap();
            }
        }
        let c_string = |text: &String| CString::new(text.as_bytes()).unwrap();
        let arguments: Vec<CString> = self.arguments().iter().map(c_string).collect();
        let environment = [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", c"HOME=/"];
        let mut environment: Vec<CString> = environment.map(CString::from).to_vec();
        environment.extend((0..self.service_links).flat_map(service_link));
        let program = if self.as_other { Path::new("/usr/bin/setpriv") } else { self.program };
        let mut files = PosixSpawnFileActions::init().unwrap();
        let null = fs::File::open("/dev/null").unwrap();
        let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        files.add_dup2(null.as_raw_fd(), 0).unwrap();
        files.add_dup2(log.as_raw_fd(), 1).unwrap();
        files.add_dup2(log.as_raw_fd(), 2).unwrap();
        let attributes = PosixSpawnAttr::init().unwrap();
        let cpu = cpu_of_children();
        let started = now();
        let pid = posix_spawn(program, &files, &attributes, &arguments, &environment).unwrap();
        Running { step: *self, pid, started, cpu }
    }
}

/// What the kubelet sets for a service (Kubernetes pkg/kubelet/envvars FromServices).
fn service_link(number: usize) -> [CString; 7] {
    let name = format!("A_SERVICE_{number:05}");
    let port = format!("{name}_PORT_80_TCP");
    [
        format!("{name}_SERVICE_HOST=10.96.17.42"),
        format!("{name}_SERVICE_PORT=80"),
        format!("{name}_PORT=tcp://10.96.17.42:80"),
        format!("{port}=tcp://10.96.17.42:80"),
        format!("{port}_PROTO=tcp"),
        format!("{port}_PORT=80"),
        format!("{port}_ADDR=10.96.17.42"),
    ]
    .map(|variable| CString::new(variable).unwrap())
}

/// A step under way.
pub(crate) struct Running<'a> {
    step: Step<'a>,
    pub(crate) pid: Pid,
    pub(crate) started: u64,
    cpu: Duration,
}

/// How a step went. Moments are nanoseconds of CLOCK_MONOTONIC.
pub(crate) struct Ended {
    pub(crate) started: u64,
    /// When its command's main began and ended; zero for [`Command::True`].
    pub(crate) child: (u64, u64),
    /// When the process had ended.
    pub(crate) ended: u64,
    /// Of the program, its command included; only if nothing else ended meanwhile.
    pub(crate) cpu: Duration,
    pub(crate) succeeded: bool,
}

impl Running<'_> {
    /// Waits for its end, which must be a success.
    pub(crate) fn end(self) -> Ended {
        let status = waitpid(self.pid, None).unwrap();
        self.ended(status, now()).succeeded_or_panic()
    }

    /// The end of a step that somebody else has waited for.
    pub(crate) fn ended(&self, status: WaitStatus, ended: u64) -> Ended {
        let folder = self.step.folder();
        let stamps = fs::read(folder.join("stamps")).unwrap();
        let stamp = |i: usize| u64::from_ne_bytes(stamps[i..i + 8].try_into().unwrap());
        let succeeded = status == WaitStatus::Exited(self.pid, 0) && self.step.post_file().exists();
        if !succeeded {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            eprintln!("{} ended with {status:?}:\n{log}", self.step.program.display());
        }
        Ended {
            started: self.started,
            child: (stamp(0), stamp(8)),
            ended,
            cpu: cpu_of_children() - self.cpu,
            succeeded,
        }
    }

    /// The memory at its largest, in bytes, of a step that waits: VmHWM, read while each of its threads is stopped on its
    /// way out.
    pub(crate) fn largest_memory(self) -> u64 {
        let options = ptrace::Options::PTRACE_O_TRACEEXIT | ptrace::Options::PTRACE_O_TRACECLONE;
        ptrace::seize(self.pid, options).unwrap();
        fs::File::create(self.step.wait_file()).unwrap();
        let mut largest = 0;
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Err(Errno::EINTR) => continue,
                status => status.unwrap(),
            };
            match status {
                WaitStatus::PtraceEvent(thread, _, event) => {
                    if event == STATUS_AT_EXIT {
                        largest = largest.max(high_water_mark(thread).unwrap_or(0));
                    }
                    resume(thread, None);
                }
                WaitStatus::Stopped(thread, signal) => {
                    resume(thread, Some(signal));
                }
                end if end.pid() == Some(self.pid) => {
                    self.ended(end, now()).succeeded_or_panic();
                    assert!(largest > 0, "no thread was stopped on its way out");
                    return largest;
                }
                _ => {}
            }
        }
    }
}

impl Ended {
    fn succeeded_or_panic(self) -> Self {
        assert!(self.succeeded, "a step failed, so nothing can be said");
        self
    }
}

/// Tells when post files appear, as another step would see it.
pub(crate) struct Posts {
    appeared: Receiver<(usize, u64)>,
    kept: RefCell<HashMap<usize, u64>>,
}

impl Posts {
    /// It stays: retiring a watch would keep the watches of others from being retired.
    const FOLDER: &str = "/tekton/posts";

    /// Starts watching, in a thread that ends with the program.
    pub(crate) fn watch() -> Self {
        fs::create_dir_all(Self::FOLDER).unwrap();
        fs::set_permissions(Self::FOLDER, fs::Permissions::from_mode(0o777)).unwrap();
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
        // Ours are made under another name.
        let appears = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        inotify.add_watch(Self::FOLDER, appears).unwrap();
        let (sender, appeared) = channel();
        std::thread::spawn(move || {
            while let Ok(events) = inotify.read_events() {
                let at = now();
                for event in events {
                    let name = event.name.unwrap_or_default().into_string().unwrap_or_default();
                    // The post file of a failure has another name.
                    if let Ok(index) = name.parse() {
                        let _ = sender.send((index, at));
                    }
                }
            }
        });
        Self { appeared, kept: RefCell::default() }
    }

    /// When the post file of step `index` last appeared, which has ended well.
    pub(crate) fn of(&self, index: usize) -> u64 {
        loop {
            self.kept.borrow_mut().extend(self.appeared.try_iter());
            if let Some(at) = self.kept.borrow_mut().remove(&index) {
                return at;
            }
            let next = self.appeared.recv_timeout(Duration::from_secs(10));
            self.kept.borrow_mut().extend([next.expect("a step that ended well has a post file")]);
        }
    }

    /// Forgets what appeared so far.
    pub(crate) fn clear(&self) {
        self.kept.borrow_mut().clear();
        self.appeared.try_iter().for_each(drop);
    }
}

fn resume(thread: Pid, signal: Option<Signal>) {
    match ptrace::cont(thread, signal) {
        // Its process ends, and took it along.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("cannot resume {thread}: {error}"),
    }
}

/// Nothing once the memory is given back.
fn high_water_mark(thread: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn cpu_of_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(microseconds).unwrap())
}
