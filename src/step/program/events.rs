//! The one wait loop of a step (docs/architecture.md 4.2): signals, ended children, files, timers and other descriptors in one
//! `poll`.
//!
//! It is level-triggered: a caller looks at what it waits for, and if that is not there calls [`LoopEvents::wait`], which
//! returns when something may have changed. It is also the only place where children are waited for; as the first
//! process of a container it thereby reaps orphans.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashSet,
    io::{self, PipeReader, Read as _},
    os::fd::{AsFd as _, BorrowedFd},
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};

use crate::step::program::sys;

/// The most milliseconds that `poll` takes.
const LONGEST_POLL: u128 = 0x7fff_ffff;
/// How often awaited files are looked at where the file system may give no events (docs/tekton-contract.md 3.2).
pub const FALLBACK: Duration = Duration::from_secs(1);

/// What [`LoopEvents::wait`] brought.
#[derive(Debug, Default)]
pub struct Woken {
    /// Signals received, by number, in order, SIGCHLD not among them.
    pub signals: Vec<i32>,
    /// Children that ended.
    pub ended: Vec<(i32, ExitStatus)>,
}

impl Woken {
    /// True if one of the signals asks the process to end.
    pub fn asks_to_end(&self) -> bool {
        const ASKING: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];
        self.signals.iter().any(|&signal| ASKING.iter().any(|&asking| sys::number(asking) == signal))
    }
}

/// How well a file is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Changes in its directory wake the loop.
    Directory,
    /// Its directory does not exist; the creation of the next part of its path wakes the loop.
    Ancestor,
    /// Nothing can be watched (limits, or a kernel without inotify): only looking helps.
    Nothing,
}

/// Where signals come from.
enum Signals {
    Descriptor(SignalFd),
    /// Of handlers, for where a seccomp profile or an old kernel refuses signalfd.
    Pipe(PipeReader),
}

impl Signals {
    fn receive() -> io::Result<Self> {
        match SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC) {
            Ok(descriptor) => Ok(Self::Descriptor(descriptor)),
            Err(_) => Ok(Self::Pipe(sys::receive_signals()?)),
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Descriptor(descriptor) => descriptor.as_fd(),
            Self::Pipe(pipe) => pipe.as_fd(),
        }
    }

    /// The number of the next signal that somebody else sent; does not wait.
    fn next(&self) -> Option<i32> {
        loop {
            match self {
                Self::Descriptor(descriptor) => {
                    let signal = descriptor.read_signal().ok().flatten()?;
                    let (number, sender) = (signal.ssi_signo.cast_signed(), signal.ssi_pid.cast_signed());
                    if !sys::is_our_own(number, sender) {
                        return Some(number);
                    }
                }
                Self::Pipe(pipe) => {
                    let mut number = [0];
                    let mut pipe = pipe;
                    return pipe.read_exact(&mut number).ok().map(|()| i32::from(number[0]));
                }
            }
        }
    }
}

/// The loop's descriptors.
pub struct LoopEvents {
    signals: Signals,
    /// Made when the first file is watched.
    inotify: OnceCell<Option<Inotify>>,
    watches: RefCell<HashSet<WatchDescriptor>>,
    ignored: HashSet<i32>,
    changes: Changes,
    /// More children may have ended than one turn takes in; unlike the other sources they do not make `poll` return.
    more: Cell<bool>,
}

/// What one turn of the loop takes in at most of each kind. Processes that end, or signals and changes that come, faster than
/// we take them in must not keep us from timers and cancellation.
const CHILDREN_A_TURN: usize = 64;
const SIGNALS_A_TURN: usize = 32;
const CHANGES_A_TURN: usize = 16;

impl LoopEvents {
    /// Blocks every signal that can be blocked and from now on receives them here. Must be called before any thread is
    /// started: threads inherit the mask.
    pub fn start() -> io::Result<Self> {
        // SIGHUP and SIGINT stay ignored if they were when we started (nohup); docs/tekton-contract.md 3.7.3.
        let ignored = [Signal::SIGHUP, Signal::SIGINT]
            .into_iter()
            .filter(|&signal| sys::default_action(signal))
            .map(sys::number)
            .collect();
        // An ignored SIGCHLD would take every child's status away.
        sys::default_action(Signal::SIGCHLD);
        sys::default_action(Signal::SIGTERM);
        sys::block_signals();
        let signals = Signals::receive()?;
        let (inotify, watches, changes) = (OnceCell::new(), RefCell::default(), Changes::default());
        Ok(Self { signals, inotify, watches, ignored, changes, more: Cell::new(false) })
    }

    /// True if the signal was ignored when the process started.
    pub fn was_ignored(&self, signal: i32) -> bool {
        self.ignored.contains(&signal)
    }

    /// Watches for a file to appear and, if `content` is asked for, to be written to. To be repeated before each look at the file:
    /// the watch moves up the path as directories appear, and repeating it costs a system call or two. What is written to other
    /// files of its directory wakes nobody.
    pub fn watch(&self, file: &Path, content: bool) -> Watched {
        let init = || Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok();
        let Some(inotify) = self.inotify.get_or_init(init) else { return Watched::Nothing };
        // The bit is missing from nix: a second watch on a directory must not narrow the first one.
        let add = AddWatchFlags::from_bits_retain(nix::libc::IN_MASK_ADD);
        let watched = self.watch_directory(inotify, file, add);
        // After its directory, in which it is seen to appear if it is not there yet.
        let written = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CLOSE_WRITE;
        if content && let Ok(watch) = inotify.add_watch(file, written | add) {
            self.watches.borrow_mut().insert(watch);
        }
        watched
    }

    fn watch_directory(&self, inotify: &Inotify, file: &Path, add: AddWatchFlags) -> Watched {
        let created = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
        let mut flags = created | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        let mut watched = Watched::Directory;
        let mut at = file.parent();
        while let Some(directory) = at {
            let named = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            match inotify.add_watch(named, flags | add) {
                Ok(watch) => {
                    self.watches.borrow_mut().insert(watch);
                    return watched;
                }
                Err(Errno::ENOENT) => {
                    flags = created;
                    watched = Watched::Ancestor;
                    at = directory.parent();
                }
                Err(_) => return Watched::Nothing,
            }
        }
        Watched::Nothing
    }

    /// Ends all watches. The kernel takes some milliseconds to retire one, in the background; an inotify instance that is
    /// closed with watches, by the end of the process at the latest, waits for it.
    pub fn unwatch(&self) {
        let Some(inotify) = self.inotify() else { return };
        for watch in self.watches.borrow_mut().drain() {
            // The directory may be gone, and its watch with it.
            let _ = inotify.rm_watch(watch);
        }
        self.forget_changes();
    }

    /// Waits until a signal comes, a child ends, a watched directory changes, one of `descriptors` is readable or
    /// closed, or `deadline` passes. `looking`: awaited files are to be looked at after [`FALLBACK`] in any case.
    pub fn wait(&self, descriptors: &[BorrowedFd<'_>], deadline: Option<Instant>, looking: bool) -> Woken {
        let unheard_until = self.changes.unheard_until(Instant::now());
        let inotify = self.inotify().filter(|_| unheard_until.is_none());
        let mut polled = vec![PollFd::new(self.signals.fd(), PollFlags::POLLIN)];
        polled.extend(inotify.map(|inotify| PollFd::new(inotify.as_fd(), PollFlags::POLLIN)));
        polled.extend(descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
        let until = deadline.into_iter().chain(unheard_until).min();
        // Any error of poll means the same as a wake-up: the caller looks again.
        let timeout = if self.more.get() { PollTimeout::ZERO } else { timeout(until, looking) };
        let _ = poll(&mut polled, timeout);
        self.woken()
    }

    /// What has come in so far; does not wait.
    pub fn woken(&self) -> Woken {
        let mut woken = Woken::default();
        for number in std::iter::from_fn(|| self.signals.next()).take(SIGNALS_A_TURN) {
            if number != sys::number(Signal::SIGCHLD) {
                woken.signals.push(number);
            }
        }
        self.forget_changes();
        // Not only after SIGCHLD: one signal may stand for several children.
        woken.ended.extend(std::iter::from_fn(sys::reap).take(CHILDREN_A_TURN));
        self.more.set(woken.ended.len() == CHILDREN_A_TURN);
        woken
    }

    fn inotify(&self) -> Option<&Inotify> {
        self.inotify.get().and_then(Option::as_ref)
    }

    /// What changed does not matter: the caller looks at its files.
    fn forget_changes(&self) {
        let Some(inotify) = self.inotify() else { return };
        let mut changes = [0; 16 * 1024];
        let mut came = false;
        for _ in 0..CHANGES_A_TURN {
            let Ok(length) = nix::unistd::read(inotify, &mut changes) else { break };
            came = true;
            // A change that did not fit would be no longer than this.
            if length + LONGEST_CHANGE <= changes.len() {
                break;
            }
        }
        if came {
            self.changes.came(Instant::now());
        }
    }
}

/// In bytes: a header and a name (inotify(7)).
const LONGEST_CHANGE: usize = 16 + 256;

/// Changes that nobody waits for must not keep us busy, however fast they come: after [`BURST`] of them each one buys its turn
/// of the loop with [`A_CHANGE`] in which changes are not heard.
#[derive(Default)]
struct Changes {
    /// When everything that came is paid for.
    paid_at: Cell<Option<Instant>>,
}

/// A turn costs some ten microseconds, so this is at most half a hundredth of a processor; and it is how much later than at once
/// an awaited file may be seen among others that come and go.
const A_CHANGE: Duration = Duration::from_millis(2);
const BURST: Duration = Duration::from_millis(32);

impl Changes {
    fn came(&self, now: Instant) {
        let from = self.paid_at.get().map_or(now, |paid_at| paid_at.max(now));
        self.paid_at.set(Some(from + A_CHANGE));
    }

    fn unheard_until(&self, now: Instant) -> Option<Instant> {
        self.paid_at.get()?.checked_sub(BURST).filter(|until| *until > now)
    }
}

fn timeout(deadline: Option<Instant>, looking: bool) -> PollTimeout {
    let until = deadline.map(|at| at.saturating_duration_since(Instant::now()));
    let shortest = match (until, looking) {
        (Some(until), true) => until.min(FALLBACK),
        (Some(until), false) => until,
        (None, true) => FALLBACK,
        (None, false) => return PollTimeout::NONE,
    };
    // Rounded up: waking just before a deadline would be waking twice.
    let milliseconds = shortest.as_nanos().div_ceil(1_000_000).min(LONGEST_POLL);
    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
}
