//! The few system calls that the `nix` crate has no safe form of, or none that fits.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char};
use std::io::{PipeReader, PipeWriter, Read as _, pipe};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Opens each of the three standard streams that the caller left closed so that writing to it fails. The runtime would open them
/// on `/dev/null` before `main`, and a report that nobody gets would pass for written.
#[cfg(feature = "cli")]
#[used]
// SAFETY: the loader calls what stands in this section, once and before `main`, with arguments that need not be taken.
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

/// Starts a program in namespaces of its own: `namespaces` are CLONE_NEW… flags, a user namespace among them. `map` is called
/// with the child's PID before the program runs and gives it its users; if it fails, the program is not run. Otherwise as
/// posix_spawn: own process group, empty signal mask, all signals at their default, each pair of `descriptors` duplicated from
/// the first to the second.
pub fn spawn_in_namespaces(
    namespaces: libc::c_int,
    program: &CString,
    argv: &[CString],
    environment: &[CString],
    descriptors: &[(RawFd, RawFd)],
    map: impl FnOnce(i32) -> Result<(), Errno>,
) -> Result<i32, Errno> {
    let broken = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, environment) = (pointers(argv), pointers(environment));
    let (mapped, tell_mapped) = pipe().map_err(broken)?;
    let (mut failure, tell_failure) = pipe().map_err(broken)?;
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    // The first two arguments are flags and stack; on s390x the other way round (clone(2)).
    let (first, second) = if cfg!(target_arch = "s390x") { (0, flags) } else { (flags, 0) };
    // SAFETY: without CLONE_VM and CLONE_THREAD this is fork. The child has one thread and a copy of our memory, in which
    // another thread may have held a lock: until execve or _exit it makes system calls only and allocates nothing.
    let pid = unsafe { libc::syscall(libc::SYS_clone, first, second, 0_usize, 0_usize, 0_usize) };
    if pid == 0 {
        drop(tell_mapped);
        // SAFETY: we are the child, and all pointers are to strings that live in this frame, the lists end with null.
        unsafe { child(&mapped, &tell_failure, program, &argv, &environment, descriptors) }
    }
    let pid = i32::try_from(Errno::result(pid)?).unwrap_or_default();
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

/// The child's part of [`spawn_in_namespaces`].
///
/// # Safety
///
/// Only for a process that was just forked, with lists of pointers to strings that end with null.
unsafe fn child(
    mapped: &PipeReader,
    tell_failure: &PipeWriter,
    program: &CString,
    argv: &[*const c_char],
    environment: &[*const c_char],
    descriptors: &[(RawFd, RawFd)],
) -> ! {
    // SAFETY: async-signal-safe calls with pointers to what lives as long as the process.
    unsafe {
        let mut byte = 0_u8;
        if libc::read(mapped.as_raw_fd(), (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(1);
        }
        libc::setpgid(0, 0);
        let done = descriptors.iter().all(|&(from, to)| libc::dup2(from, to) >= 0);
        for signal in 1..=libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        if done {
            libc::execve(program.as_ptr(), argv.as_ptr(), environment.as_ptr());
        }
        let errno = Errno::last_raw().to_ne_bytes();
        libc::write(tell_failure.as_raw_fd(), errno.as_ptr().cast(), errno.len());
        libc::_exit(1)
    }
}
