//! The few system calls that the `nix` crate has no safe form of, or none that fits.
#![allow(unsafe_code)]

#[cfg(all(target_env = "musl", not(feature = "cli")))]
mod musl;

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    io::{self, PipeReader, PipeWriter, Read as _, pipe},
    os::{
        fd::{AsRawFd as _, IntoRawFd as _, RawFd},
        unix::process::ExitStatusExt as _,
    },
    process::ExitStatus,
    sync::atomic::{AtomicI32, Ordering},
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        resource::{Resource, getrlimit, rlim_t, setrlimit},
        signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction},
    },
};

/// Opens each of the three standard streams that the caller left closed so that writing to it fails. The runtime would open them
/// on `/dev/null` before `main`, and a report that nobody gets would pass for written.
#[cfg(feature = "cli")]
#[used]
// SAFETY: the loader calls what is in this section, once and before `main`, with arguments that need not be taken.
#[unsafe(link_section = ".init_array")]
static KEEP_CLOSED_STREAMS: extern "C" fn() = {
    extern "C" fn keep_closed() {
        for descriptor in 0..=2 {
            // SAFETY: both calls take integers and a constant text, and may be made at any time. The lower ones are open by
            // then, so that the number that is given is this one.
            unsafe {
                if libc::fcntl(descriptor, libc::F_GETFD) == -1 {
                    libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
                }
            }
        }
    }
    keep_closed
};

/// Blocks every signal that can be blocked when the program is loaded, before `main` and before the standard library starts. A
/// program that has this in it must take up its signals with [`LoopEvents`](crate::step::program::events::LoopEvents).
#[macro_export]
macro_rules! block_signals_when_loaded {
    () => {
        #[used]
        // SAFETY: the loader calls what is in this section, once and before `main`, with arguments that need not be taken.
        #[unsafe(link_section = ".init_array")]
        static BLOCK_SIGNALS: extern "C" fn() = $crate::step::program::sys::block_signals;
    };
}

/// Blocks every signal that can be blocked, for this thread and those that it starts.
pub extern "C" fn block_signals() {
    // There is none that could fail.
    let _ = SigSet::all().thread_block();
}

/// The writing end of the pipe of [`receive_signals`].
static RECEIVED: AtomicI32 = AtomicI32::new(-1);

/// Receives signals where the system has no signalfd: a handler writes the number of each one, in a byte, into a pipe. Unblocks
/// them. What reads from the pipe gets it for as long as the process lives.
pub fn receive_signals() -> io::Result<PipeReader> {
    let (received, tell) = pipe()?;
    for end in [received.as_raw_fd(), tell.as_raw_fd()] {
        // SAFETY: takes integers; both ends are new, so no other flag is lost.
        Errno::result(unsafe { libc::fcntl(end, libc::F_SETFL, libc::O_NONBLOCK) })?;
    }
    RECEIVED.store(tell.into_raw_fd(), Ordering::Relaxed);
    #[expect(clippy::as_conversions, reason = "the C structure holds the address of the handler as a number")]
    let handler = note_signal as *const () as usize;
    let action = libc::sigaction {
        sa_sigaction: handler,
        sa_flags: libc::SA_RESTART | libc::SA_SIGINFO,
        // SAFETY: a set of signals is plain bits; all others wait while one is noted.
        ..unsafe { std::mem::zeroed() }
    };
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the handler makes two system calls, which signal handlers may. What cannot be handled is refused.
        unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
    }
    SigSet::empty().thread_set_mask()?;
    Ok(received)
}

/// Notes a signal, but for a fault of our own, which ends us, and what we have caused.
extern "C" fn note_signal(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    const FAULTS: [c_int; 6] =
        [libc::SIGILL, libc::SIGTRAP, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];
    let errno = Errno::last();
    // SAFETY: the kernel gives a valid pointer, and these calls may be made by a signal handler.
    unsafe {
        let (code, sender) = ((*info).si_code, (*info).si_pid());
        if FAULTS.contains(&signal) && code > 0 {
            libc::signal(signal, libc::SIG_DFL);
        } else if !is_our_own(signal, sender) {
            // Signals have numbers up to 64.
            let number = signal.to_le_bytes()[0];
            libc::write(RECEIVED.load(Ordering::Relaxed), (&raw const number).cast(), 1);
        }
    }
    errno.set();
}

/// True for what a call of ours has caused, SIGPIPE or SIGXFSZ where we write: it says that we sent it. But for SIGCHLD, with which
/// we do wake ourselves.
pub fn is_our_own(signal: i32, sender: i32) -> bool {
    signal != libc::SIGCHLD && sender == nix::unistd::getpid().as_raw()
}

/// The number of a signal.
#[expect(clippy::as_conversions, reason = "an enumeration of nix, which has no other way to its numbers")]
pub fn number(signal: Signal) -> c_int {
    signal as c_int
}

/// Sends a signal by number to a process (or, with a negative number, to a group), whatever the outcome: nothing can be
/// done about a process that is already gone. `nix` knows no real-time signals, which a step may well be sent.
pub fn send(target: i32, signal: i32) {
    // SAFETY: kill takes two integers and touches no memory.
    unsafe {
        libc::kill(target, signal);
    }
}

/// Takes the status of one child that has ended, if there is one. `nix` fails for a child that a real-time signal
/// killed, after its status is gone.
pub fn reap() -> Option<(i32, ExitStatus)> {
    let mut status = 0;
    // SAFETY: the pointer is to a live integer, which is all that waitpid writes.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    (pid > 0).then(|| (pid, ExitStatus::from_raw(status)))
}

/// Takes the status of this child if it has ended.
pub fn reap_child(pid: i32) -> Option<ExitStatus> {
    let mut status = 0;
    // SAFETY: the pointer is to a live integer, which is all that waitpid writes.
    let ended = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
    (ended == pid).then(|| ExitStatus::from_raw(status))
}

/// Restores a signal's default action and says whether it was ignored before.
pub fn default_action(signal: Signal) -> bool {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler function is installed, so none can run in an unsafe context.
    match unsafe { sigaction(signal, &default) } {
        Ok(before) => matches!(before.handler(), SigHandler::SigIgn),
        Err(_) => false,
    }
}

/// How many descriptors a process may have, and how many it may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MostDescriptors {
    now: rlim_t,
    ever: rlim_t,
}

impl MostDescriptors {
    /// Raises a low limit of ours as far as we may, as Go's runtime does. Returns what it was, for those that we start.
    pub fn raise() -> Option<Self> {
        /// More than we ever have.
        const ENOUGH: rlim_t = 64;
        let (now, ever) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        let raised = Self { now: ever.min(ENOUGH), ever };
        (now < raised.now && raised.set().is_ok()).then_some(Self { now, ever })
    }

    fn set(self) -> Result<(), Errno> {
        setrlimit(Resource::RLIMIT_NOFILE, self.now, self.ever)
    }
}

/// A program to start.
#[derive(Debug, Clone, Copy)]
pub struct ProgramToStart<'a> {
    /// The file to execute.
    pub file: &'a CString,
    /// Its name as it was called, and its arguments.
    pub argv: &'a [CString],
    /// Its environment, each as `NAME=value`.
    pub environment: &'a [CString],
    /// Which of our descriptors it has under which number.
    pub descriptors: &'a [(RawFd, RawFd)],
    /// How many descriptors it may have, if other than we.
    pub most_descriptors: Option<MostDescriptors>,
}

/// What a program has as its standard input.
pub const STDIN: &CStr = c"/dev/null";

/// Starts a program as posix_spawn does: in a process group of its own, with an empty signal mask and all signals at their
/// default. `namespaces` are CLONE_NEW… flags. `map` is called with the child's PID before the program runs and gives it its
/// users, if it has a user namespace of its own; if it fails, the program is not run.
pub fn spawn(
    namespaces: c_int,
    program: &ProgramToStart<'_>,
    map: impl FnOnce(i32) -> Result<(), Errno>,
) -> Result<i32, Errno> {
    let broken = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, environment) = (pointers(program.argv), pointers(program.environment));
    let (mapped, tell_mapped) = pipe().map_err(broken)?;
    let (mut failure, tell_failure) = pipe().map_err(broken)?;
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    // The first two arguments are flags and stack; on s390x the other way round (clone(2)).
    let (first, second) = if cfg!(target_arch = "s390x") { (0, flags) } else { (flags, 0) };
    // No handler of ours runs in the child.
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: without CLONE_VM and CLONE_THREAD this is fork. The child has one thread and a copy of our memory, in which
    // another thread may have held a lock: until execve or _exit it makes system calls only and allocates nothing.
    let pid = unsafe { libc::syscall(libc::SYS_clone, first, second, 0_usize, 0_usize, 0_usize) };
    if pid == 0 {
        drop(tell_mapped);
        // SAFETY: we are the child, and all pointers are to strings that live in this frame, the lists end with null.
        unsafe { child(&mapped, &tell_failure, program, &argv, &environment) }
    }
    let cloned = Errno::result(pid);
    mask.thread_set_mask()?;
    let pid = i32::try_from(cloned?).unwrap_or_default();
    drop(tell_failure);
    let outcome = map(pid).and_then(|()| {
        drop((mapped, tell_mapped_to(tell_mapped)));
        let mut errno = [0; 4];
        match failure.read_exact(&mut errno) {
            // Closed by execve.
            Err(_) => Ok(()),
            Ok(()) => Err(Errno::from_raw(i32::from_ne_bytes(errno))),
        }
    });
    if outcome.is_err() {
        send(pid, libc::SIGKILL);
        let mut status = 0;
        // SAFETY: the pointer is to a live integer, which is all that waitpid writes.
        unsafe { libc::waitpid(pid, &mut status, 0) };
    }
    outcome.map(|()| pid)
}

/// One byte tells the child to go on; without it, it reads the end and does not.
fn tell_mapped_to(mut child: PipeWriter) {
    use std::io::Write as _;
    let _ = child.write_all(&[1]);
}

/// The child's part of [`spawn`].
///
/// # Safety
///
/// Only for a process that was just forked, with lists of pointers to strings that end with null.
unsafe fn child(
    mapped: &PipeReader,
    tell_failure: &PipeWriter,
    program: &ProgramToStart<'_>,
    argv: &[*const c_char],
    environment: &[*const c_char],
) -> ! {
    // SAFETY: async-signal-safe calls with pointers to what lives as long as the process.
    unsafe {
        let mut byte = 0_u8;
        if libc::read(mapped.as_raw_fd(), (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(1);
        }
        libc::setpgid(0, 0);
        // dup3 by itself, since musl makes dup2 of it. It refuses to duplicate a descriptor to itself; that one has to survive.
        libc::close(0);
        let has_stdin = libc::open(STDIN.as_ptr(), libc::O_RDONLY) == 0;
        let is_done = has_stdin
            && program.descriptors.iter().all(|&(from, to)| match from == to {
                true => libc::fcntl(to, libc::F_SETFD, 0) == 0,
                false => libc::syscall(libc::SYS_dup3, from, to, 0) >= 0,
            });
        let mut errno = Errno::last_raw();
        if let Some(most) = program.most_descriptors {
            let _ = most.set();
        }
        for signal in 1..=libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        if is_done {
            libc::execve(program.file.as_ptr(), argv.as_ptr(), environment.as_ptr());
            errno = Errno::last_raw();
        }
        let errno = errno.to_ne_bytes();
        libc::write(tell_failure.as_raw_fd(), errno.as_ptr().cast(), errno.len());
        libc::_exit(1)
    }
}
