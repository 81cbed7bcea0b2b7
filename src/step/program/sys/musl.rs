//! What takes the place of musl's own functions in the program as it is shipped: for everything that is linked into it, the
//! standard library and what that does before `main` among them.
//!
//! On x86-64 musl makes calls that Go's programs never make (`open` where they make `openat`), so a seccomp profile that was
//! recorded from Tekton's entrypoint refuses them. Each of these makes a call that Tekton's makes too, or falls back to one.
#![expect(clippy::as_conversions, reason = "numbers of C, whose widths differ between calls")]

use std::ffi::{c_int, c_long, c_ulong, c_void};

use nix::{
    errno::Errno,
    libc::{self, epoll_event, pollfd},
};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::ffi::{c_char, c_int, c_long, c_uint};

    use nix::libc::{self, AT_FDCWD};

    // SAFETY of all: the caller keeps the contract of the function whose place this takes, and the call made has the same one.

    #[unsafe(no_mangle)]
    extern "C" fn open(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
        unsafe { libc::openat(AT_FDCWD, path, flags, mode) }
    }

    /// The kernel fills in what is musl's `struct stat` too.
    fn stat_at(path: *const c_char, found: *mut libc::stat, flags: c_int) -> c_int {
        unsafe {
            libc::syscall(libc::SYS_newfstatat, c_long::from(AT_FDCWD), path, found, c_long::from(flags))
                as c_int
        }
    }

    #[unsafe(no_mangle)]
    extern "C" fn stat(path: *const c_char, found: *mut libc::stat) -> c_int {
        stat_at(path, found, 0)
    }

    #[unsafe(no_mangle)]
    extern "C" fn lstat(path: *const c_char, found: *mut libc::stat) -> c_int {
        stat_at(path, found, libc::AT_SYMLINK_NOFOLLOW)
    }

    #[unsafe(no_mangle)]
    extern "C" fn mkdir(path: *const c_char, mode: c_uint) -> c_int {
        unsafe { libc::mkdirat(AT_FDCWD, path, mode) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn symlink(target: *const c_char, link: *const c_char) -> c_int {
        unsafe { libc::symlinkat(target, AT_FDCWD, link) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn readlink(path: *const c_char, into: *mut c_char, size: usize) -> isize {
        unsafe { libc::readlinkat(AT_FDCWD, path, into, size) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn unlink(path: *const c_char) -> c_int {
        unsafe { libc::unlinkat(AT_FDCWD, path, 0) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
        unsafe { libc::renameat(AT_FDCWD, from, AT_FDCWD, to) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn chmod(path: *const c_char, mode: c_uint) -> c_int {
        unsafe { libc::fchmodat(AT_FDCWD, path, mode, 0) }
    }
}

/// Go's programs wait with epoll alone.
#[unsafe(no_mangle)]
extern "C" fn poll(polled: *mut pollfd, count: c_ulong, timeout: c_int) -> c_int {
    let wait =
        libc::timespec { tv_sec: (timeout / 1000).into(), tv_nsec: (timeout % 1000 * 1_000_000).into() };
    let wait = if timeout < 0 { std::ptr::null() } else { &raw const wait };
    // SAFETY: the caller gives `count` entries, as poll demands.
    unsafe {
        match libc::ppoll(polled, count, wait, std::ptr::null()) {
            -1 if Errno::last() != Errno::EINTR => {
                poll_by_epoll(std::slice::from_raw_parts_mut(polled, count as usize), timeout)
            }
            ready => ready,
        }
    }
}

fn poll_by_epoll(polled: &mut [pollfd], timeout: c_int) -> c_int {
    // SAFETY: the calls take integers, and pointers to what lives in this frame.
    unsafe {
        let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        if epoll < 0 {
            // For this one the standard library, before `main`, takes another way; all others look again.
            Errno::EAGAIN.set();
            return -1;
        }
        let mut ready = false;
        for (index, entry) in polled.iter_mut().enumerate() {
            entry.revents = 0;
            // The bits are the same ones.
            let mut event = epoll_event { events: entry.events as u32, u64: index as u64 };
            if libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, entry.fd, &mut event) < 0 {
                // What cannot be waited for, such as a file, is always ready.
                entry.revents = if Errno::last() == Errno::EPERM { entry.events } else { libc::POLLNVAL };
                ready |= entry.revents != 0;
            }
        }
        let mut events = [epoll_event { events: 0, u64: 0 }; 8];
        let come = libc::epoll_wait(
            epoll,
            events.as_mut_ptr(),
            events.len() as c_int,
            if ready { 0 } else { timeout },
        );
        let failed = Errno::last();
        libc::close(epoll);
        for event in events.iter().take(usize::try_from(come).unwrap_or(0)) {
            polled[event.u64 as usize].revents = event.events as i16;
        }
        if come < 0 && !ready {
            failed.set();
            return -1;
        }
        polled.iter().filter(|entry| entry.revents != 0).count() as c_int
    }
}

/// musl itself opens up memory that it has just mapped: for threads' stacks, and for what its allocator keeps account in.
/// Nothing is in it yet, so it can as well be mapped anew.
#[unsafe(no_mangle)]
extern "C" fn __mprotect(at: *mut c_void, length: usize, protection: c_int) -> c_int {
    const NEW: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the caller owns these pages, and has written nothing to them.
    unsafe {
        if libc::syscall(libc::SYS_mprotect, at, length, c_long::from(protection)) == 0 {
            return 0;
        }
        let is_new = libc::mmap(at, length, protection, NEW, -1, 0) != libc::MAP_FAILED;
        if is_new { 0 } else { -1 }
    }
}

#[unsafe(no_mangle)]
extern "C" fn mprotect(at: *mut c_void, length: usize, protection: c_int) -> c_int {
    __mprotect(at, length, protection)
}
