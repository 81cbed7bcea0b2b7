//! Running the step's program (docs/tekton-contract.md 3.7; Tekton cmd/entrypoint/runner.go).

use std::{
    ffi::{CString, OsStr, OsString},
    fs::File,
    io::PipeWriter,
    os::{
        fd::AsRawFd as _,
        unix::{ffi::OsStrExt, process::ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use go::{
    errno::errno_reason,
    exec::{self, LookupError},
};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::{
        signal::{SigSet, Signal},
        stat::Mode,
    },
    unistd::Pid,
};

use crate::step::{
    log,
    outcome::End,
    program::{
        environment::Environment,
        events::{LoopEvents, Watched, Woken},
        hermetic,
        streams::{self, Copy, Stream, StreamError},
        sys::{self, MostDescriptors},
    },
    roots::Roots,
    turn::wait,
};

/// How long left-over processes get to disappear after they were killed; one in an uninterruptible sleep may never.
const LEFTOVERS: Duration = Duration::from_secs(2);

/// How long nothing watches for cancellation: a watch would keep a short step's process from ending for the milliseconds
/// that the kernel takes to retire it.
const UNWATCHED: Duration = Duration::from_millis(100);

/// Why the program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such program.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A copy of the output could not be set up.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The system refused.
    #[error("fork/exec {}: {}", .program.display(), errno_reason(*.errno))]
    Exec {
        /// The file to execute.
        program: PathBuf,
        /// What the system said.
        errno: Errno,
    },
}

/// What is to run, and how.
#[derive(Debug, Clone)]
pub struct Command<'a> {
    /// The program's name as given, and its arguments.
    pub argv: &'a [OsString],
    /// Its environment.
    pub environment: &'a Environment,
    /// `-stdout_path`; empty means none.
    pub stdout_path: &'a Path,
    /// `-stderr_path`; empty means none.
    pub stderr_path: &'a Path,
    /// Whether it runs without a network.
    pub hermetic: bool,
    /// For what hermetic mode needs of `/proc`.
    pub roots: &'a Roots,
    /// How many descriptors it may have, if other than we.
    pub most_descriptors: Option<MostDescriptors>,
}

/// The watch for `/tekton/downward/cancel` (docs/tekton-contract.md 3.7.2). A `.err` file beside it or an error ends the watch.
#[derive(Debug)]
pub struct Cancellation {
    file: PathBuf,
    watching: bool,
    seen: bool,
    looking: bool,
    unwatched_until: Option<Instant>,
}

impl Cancellation {
    /// A watch for this file. At first it is only looked at.
    pub fn new(file: PathBuf) -> Self {
        let unwatched_until = Some(Instant::now() + UNWATCHED);
        Self { file, watching: true, seen: false, looking: true, unwatched_until }
    }

    /// Looks whether cancellation was asked for.
    pub fn look(&mut self, events: &LoopEvents) -> bool {
        if self.seen || !self.watching {
            return self.seen;
        }
        if self.unwatched_until.is_none_or(|until| until <= Instant::now()) {
            self.unwatched_until = None;
            // Without the downward volume there is nothing to look at every second; should its directory appear after
            // all, the watch on the directory above tells.
            self.looking = events.watch(&self.file, true) != Watched::Ancestor;
        }
        match wait::there(&self.file, true) {
            Ok(there) => self.seen = there,
            Err(error) => {
                log::error("Error while waiting for cancellation", &error.to_string());
                self.watching = false;
            }
        }
        self.seen
    }

    /// True if the file has to be looked at even if nothing wakes the loop.
    pub fn looking(&self) -> bool {
        self.looking && self.watching && !self.seen
    }

    /// When to look again because nothing watches until then.
    fn look_at(&self) -> Option<Instant> {
        self.unwatched_until.filter(|_| self.looking())
    }
}

/// What became of the program.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// True if it was started at all.
    pub started: bool,
    /// True if a signal came meanwhile that asks the container to end: what is left to do has to be quick.
    pub asked_to_end: bool,
}

impl Ran {
    /// There was no program.
    pub fn not_started(end: End) -> Self {
        Self { end, started: false, asked_to_end: false }
    }
}

/// Runs the program to its end: signals are forwarded to its group, cancellation and `deadline` kill it. An empty command
/// has ended well at once.
pub fn run(
    events: &LoopEvents,
    command: &Command<'_>,
    deadline: Option<Instant>,
    cancellation: &mut Cancellation,
) -> Ran {
    let mut child = match start(events, command, deadline, cancellation) {
        Ok(child) => child,
        Err(end) => return Ran::not_started(end),
    };
    let mut context: Option<End> = None;
    let mut asked_to_end = false;
    let mut leftovers_ended = false;
    while !child.complete() {
        // Once it is gone and there is haste, nobody who still holds its output is waited for, if we may end them.
        if child.status.is_some() && (context.is_some() || asked_to_end) && !leftovers_ended {
            leftovers_ended = true;
            end_leftovers(events);
            // What the end of a copy wakes may have been taken in there, and would wake us no more.
            continue;
        }
        if context.is_none() {
            if cancellation.look(events) {
                context = Some(End::Cancelled);
            } else if is_past(deadline) {
                context = Some(End::TimedOut);
            }
            if context.is_some() {
                child.kill();
            }
        }
        let running = context.is_none();
        let deadline = deadline.into_iter().chain(cancellation.look_at()).min().filter(|_| running);
        let woken = events.wait(&[], deadline, running && cancellation.looking());
        asked_to_end |= woken.asks_to_end();
        child.take(&woken);
        // Among many orphans that end, its turn might be long in coming.
        child.look();
    }
    Ran { end: child.end(context), started: true, asked_to_end }
}

/// The order is Go's: files of the copies, lookup, context, start (Go os/exec.Cmd.Start).
fn start(
    events: &LoopEvents,
    command: &Command<'_>,
    deadline: Option<Instant>,
    cancellation: &mut Cancellation,
) -> Result<Child, End> {
    let not_run = |error: StartError| End::NotRun(error.to_string());
    let Some(name) = command.argv.first() else { return Err(End::Exited(0)) };
    let stdout = open_copy(command.stdout_path).map_err(not_run)?;
    let stderr = open_copy(command.stderr_path).map_err(not_run)?;
    let program = exec::program(name, command.environment.get("PATH")).map_err(|e| not_run(e.into()))?;
    if cancellation.look(events) {
        return Err(End::Cancelled);
    }
    if is_past(deadline) {
        return Err(End::TimedOut);
    }
    spawn(command, program, stdout, stderr).map_err(not_run)
}

fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|at| Instant::now() >= at)
}

fn open_copy(path: &Path) -> Result<Option<File>, StartError> {
    if path.as_os_str().is_empty() { Ok(None) } else { Ok(Some(streams::open(path)?)) }
}

fn spawn(
    command: &Command<'_>,
    program: PathBuf,
    stdout: Option<File>,
    stderr: Option<File>,
) -> Result<Child, StartError> {
    let mut copies = Vec::new();
    let mut ends: Vec<(PipeWriter, i32)> = Vec::new();
    for (file, path, stream, number) in
        [(stdout, command.stdout_path, Stream::Out, 1), (stderr, command.stderr_path, Stream::Err, 2)]
    {
        if let Some(file) = file {
            let (copy, end) = Copy::start(stream, file, path)?;
            copies.push(copy);
            ends.push((end, number));
        }
    }
    match exec(command, &program, &ends) {
        Ok(pid) => Ok(Child { pid, status: None, copies }),
        Err(errno) => Err(StartError::Exec { program, errno }),
    }
}

/// Starts the program with `/dev/null` as its standard input.
fn exec(command: &Command<'_>, program: &Path, ends: &[(PipeWriter, i32)]) -> Result<i32, Errno> {
    let descriptors: Vec<_> = ends.iter().map(|(end, number)| (end.as_raw_fd(), *number)).collect();
    let argv: Vec<CString> = command.argv.iter().map(|arg| c_string(arg)).collect::<Result<_, _>>()?;
    let environment: Vec<CString> = command
        .environment
        .iter()
        .map(|(name, value)| {
            // With room for the NUL: there may be tens of thousands.
            let mut entry = Vec::with_capacity(name.len() + value.len() + 2);
            entry.extend_from_slice(name.as_bytes());
            entry.push(b'=');
            entry.extend_from_slice(value.as_bytes());
            CString::new(entry).map_err(|_| Errno::EINVAL)
        })
        .collect::<Result<_, _>>()?;
    let program = sys::ProgramToStart {
        file: &c_string(program.as_os_str())?,
        argv: &argv,
        environment: &environment,
        descriptors: &descriptors,
        most_descriptors: command.most_descriptors,
    };
    if command.hermetic {
        return hermetic::spawn(&program, command.roots);
    }
    let without_posix = || sys::spawn(0, &program, |_| Ok(()));
    match command.most_descriptors {
        // What posix_spawn starts has our limits.
        Some(_) => without_posix(),
        // posix_spawn makes calls that a policy may refuse (dup2, open). If it is the program that is refused, it will be again.
        None => posix(&program).or_else(|_| without_posix()),
    }
}

/// posix_spawn does without code of ours between fork and exec: own group, empty signal mask, all signals at their
/// default.
fn posix(program: &sys::ProgramToStart<'_>) -> Result<i32, Errno> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
    )?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&SigSet::all())?;
    let mut actions = PosixSpawnFileActions::init()?;
    // The lowest number that is free. Not opened by us: we may have no descriptor to spare.
    actions.add_close(0)?;
    actions.add_open(0, sys::STDIN, OFlag::O_RDONLY, Mode::empty())?;
    for &(from, to) in program.descriptors {
        actions.add_dup2(from, to)?;
    }
    posix_spawn(program.file.as_c_str(), &actions, &attributes, program.argv, program.environment)
        .map(Pid::as_raw)
}

fn c_string(text: &OsStr) -> Result<CString, Errno> {
    CString::new(text.as_bytes()).map_err(|_| Errno::EINVAL)
}

/// The running program.
struct Child {
    pid: i32,
    status: Option<ExitStatus>,
    copies: Vec<Copy>,
}

impl Child {
    /// As in Go, the program has ended when it has exited and everybody who holds its output has closed it.
    fn complete(&self) -> bool {
        self.status.is_some() && self.copies.iter().all(Copy::complete)
    }

    /// Kills the program itself, not its group, as Tekton does (docs/tekton-contract.md 3.7.1).
    fn kill(&self) {
        if self.status.is_none() {
            sys::send(self.pid, sys::number(Signal::SIGKILL));
        }
    }

    /// Forwards signals to the program's group and notes its end.
    fn take(&mut self, woken: &Woken) {
        // Go's runtime takes SIGPROF for its own profiler and passes it on to nobody.
        for &signal in woken.signals.iter().filter(|&&signal| signal != sys::number(Signal::SIGPROF)) {
            sys::send(-self.pid, signal);
        }
        for (pid, status) in &woken.ended {
            if *pid == self.pid && self.status.is_none() {
                self.status = Some(*status);
            }
        }
    }

    /// Asks for its end alone.
    fn look(&mut self) {
        if self.status.is_none() {
            self.status = sys::reap_child(self.pid);
        }
    }

    /// Exit 0 is success even if the context ended meanwhile; any other end is then the context's
    /// (docs/tekton-contract.md 3.7.5).
    fn end(self, context: Option<End>) -> End {
        let copied =
            self.copies.into_iter().map(Copy::finish).collect::<Vec<_>>().into_iter().find_map(Result::err);
        let status = self.status.unwrap_or_default();
        match (status.success(), copied, context) {
            (true, None, _) => End::Exited(0),
            (_, _, Some(context)) => context,
            (true, Some(error), None) => End::NotRun(error.to_string()),
            (false, _, None) => match (status.code(), status.signal()) {
                (Some(code), _) => End::Exited(code),
                (None, signal) => End::Signalled(signal.unwrap_or_default()),
            },
        }
    }
}

/// Ends what the step left behind in our own PID namespace, so that nothing can touch the results any more. Only the
/// namespace's first process may do so: as any other one we would hit processes that are not the step's
/// (docs/architecture.md 4.2). True if a signal came meanwhile that asks the container to end.
pub fn end_leftovers(events: &LoopEvents) -> bool {
    if nix::unistd::getpid().as_raw() != 1 {
        return false;
    }
    let mut asked_to_end = false;
    let deadline = Instant::now() + LEFTOVERS;
    let everybody = Pid::from_raw(-1);
    while nix::sys::signal::kill(everybody, Signal::SIGKILL).is_ok() && Instant::now() < deadline {
        let pause = Instant::now() + Duration::from_millis(10);
        asked_to_end |= events.wait(&[], Some(pause.min(deadline)), false).asks_to_end();
    }
    asked_to_end | events.woken().asks_to_end()
}
