//! The few system calls that the `nix` crate has no safe form of.
#![allow(unsafe_code)]

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

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
