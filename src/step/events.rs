//! The one wait loop of a step (design 4.2): signals, ended children, files, timers and other descriptors in one `poll`.
//!
//! It is level-triggered: a caller looks at what it waits for, and if that is not there calls [`Events::wait`], which
//! returns when something may have changed. It is also the only place where children are waited for; as the first
//! process of a container it thereby reaps orphans.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::sys;

/// How often awaited files are looked at where the file system may give no events (contract 3.2).
pub const FALLBACK: Duration = Duration::from_secs(1);

/// What [`Events::wait`] brought.
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
        self.signals.iter().any(|&signal| ASKING.iter().any(|&asking| asking as i32 == signal))
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

/// The loop's descriptors.
pub struct Events {
    signals: SignalFd,
    inotify: Option<Inotify>,
    watches: RefCell<HashSet<WatchDescriptor>>,
    ignored: HashSet<i32>,
    /// More children may have ended than one turn takes in; unlike the other sources they do not make `poll` return.
    more: Cell<bool>,
}

/// What one turn of the loop takes in at most of each kind. Processes that end, or signals and changes that come, faster than
/// we take them in must not keep us from timers and cancellation.
const CHILDREN_A_TURN: usize = 64;
const SIGNALS_A_TURN: usize = 32;
const CHANGES_A_TURN: usize = 16;

impl Events {
    /// Blocks every signal that can be blocked and from now on receives them here. Must be called before any thread is
    /// started: threads inherit the mask.
    pub fn start() -> io::Result<Events> {
        // SIGHUP and SIGINT stay ignored if they were when we started (nohup); contract 3.7.3.
        let ignored = [Signal::SIGHUP, Signal::SIGINT]
            .into_iter()
            .filter(|&signal| sys::default_action(signal))
            .map(|signal| signal as i32)
            .collect();
        // An ignored SIGCHLD would take every child's status away.
        sys::default_action(Signal::SIGCHLD);
        sys::default_action(Signal::SIGTERM);
        let all = SigSet::all();
        all.thread_block()?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok();
        let watches = RefCell::default();
        Ok(Events { signals, inotify, watches, ignored, more: Cell::new(false) })
    }

    /// True if the signal was ignored when the process started.
    pub fn was_ignored(&self, signal: i32) -> bool {
        self.ignored.contains(&signal)
    }

    /// Watches for a file to appear or change. To be repeated before each look at the file: the watch moves up the path as
    /// directories appear, and repeating it costs one system call.
    pub fn watch(&self, file: &Path) -> Watched {
        let Some(inotify) = &self.inotify else { return Watched::Nothing };
        let created = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
        let changed = created
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        // The bit is missing from nix: a second watch on a directory must not narrow the first one.
        let add = AddWatchFlags::from_bits_retain(nix::libc::IN_MASK_ADD);
        let mut flags = changed;
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
        let Some(inotify) = &self.inotify else { return };
        for watch in self.watches.borrow_mut().drain() {
            // The directory may be gone, and its watch with it.
            let _ = inotify.rm_watch(watch);
        }
        self.forget_changes();
    }

    /// Waits until a signal comes, a child ends, a watched directory changes, one of `descriptors` is readable or
    /// closed, or `deadline` passes. `looking`: awaited files are to be looked at after [`FALLBACK`] in any case.
    pub fn wait(&self, descriptors: &[BorrowedFd<'_>], deadline: Option<Instant>, looking: bool) -> Woken {
        let mut polled = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        polled.extend(self.inotify.as_ref().map(|inotify| PollFd::new(inotify.as_fd(), PollFlags::POLLIN)));
        polled.extend(descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
        // Any error of poll means the same as a wake-up: the caller looks again.
        let timeout = if self.more.get() { PollTimeout::ZERO } else { timeout(deadline, looking) };
        let _ = poll(&mut polled, timeout);
        self.woken()
    }

    /// What has come in so far; does not wait.
    pub fn woken(&self) -> Woken {
        let mut woken = Woken::default();
        let signals = std::iter::from_fn(|| self.signals.read_signal().ok().flatten());
        for signal in signals.take(SIGNALS_A_TURN) {
            let number = signal.ssi_signo as i32;
            if number != Signal::SIGCHLD as i32 {
                woken.signals.push(number);
            }
        }
        self.forget_changes();
        // Not only after SIGCHLD: one signal may stand for several children.
        woken.ended.extend(std::iter::from_fn(sys::reap).take(CHILDREN_A_TURN));
        self.more.set(woken.ended.len() == CHILDREN_A_TURN);
        woken
    }

    /// What changed does not matter: the caller looks at its files.
    fn forget_changes(&self) {
        if let Some(inotify) = &self.inotify {
            let _ = (0..CHANGES_A_TURN).find(|_| inotify.read_events().is_err());
        }
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
    let milliseconds = shortest.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128);
    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
}
