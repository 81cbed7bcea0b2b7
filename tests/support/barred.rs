//! Programs under a seccomp filter, and the system calls that a program makes.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Child,
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::Signal,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// A system call, by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call(libc::c_long);

macro_rules! calls {
    ($($number:ident)*) => { &[$((stringify!($number), libc::$number)),*] };
}

/// Those that tests speak of.
const NAMES: &[(&str, libc::c_long)] = calls! {
    SYS_bind SYS_brk SYS_capget SYS_chdir SYS_clock_gettime SYS_clock_nanosleep SYS_clone SYS_clone3 SYS_close SYS_connect
    SYS_copy_file_range SYS_dup SYS_dup3 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_eventfd2 SYS_execve SYS_exit
    SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fadvise64 SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat SYS_fcntl SYS_fstat
    SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex SYS_getcwd SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getpeername
    SYS_getpid SYS_getppid SYS_getrandom SYS_getsockname SYS_getsockopt SYS_gettid SYS_getuid SYS_inotify_add_watch
    SYS_inotify_init1 SYS_inotify_rm_watch SYS_ioctl SYS_kill SYS_linkat SYS_lseek SYS_madvise SYS_membarrier SYS_mkdirat
    SYS_mknodat SYS_mmap SYS_mprotect SYS_mremap SYS_munmap SYS_nanosleep SYS_newfstatat SYS_openat SYS_openat2 SYS_pidfd_open
    SYS_pidfd_send_signal SYS_pipe2 SYS_ppoll SYS_prctl SYS_pread64 SYS_prlimit64 SYS_pwrite64 SYS_read SYS_readlinkat SYS_readv
    SYS_recvfrom SYS_recvmsg SYS_renameat SYS_renameat2 SYS_restart_syscall SYS_rseq SYS_rt_sigaction SYS_rt_sigprocmask
    SYS_rt_sigreturn SYS_sched_getaffinity SYS_sched_yield SYS_sendfile SYS_sendmsg SYS_sendto SYS_set_robust_list
    SYS_set_tid_address SYS_setpgid SYS_setsockopt SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_socket SYS_socketpair SYS_splice
    SYS_statfs SYS_statx SYS_symlinkat SYS_sysinfo SYS_tgkill SYS_tkill SYS_truncate SYS_umask SYS_uname SYS_unlinkat SYS_utimensat
    SYS_wait4 SYS_waitid SYS_write SYS_writev
};

/// Those that arm64 does not have.
#[cfg(target_arch = "x86_64")]
const OLD_NAMES: &[(&str, libc::c_long)] = calls! {
    SYS_access SYS_arch_prctl SYS_chmod SYS_dup2 SYS_epoll_create SYS_epoll_wait SYS_fork SYS_getrlimit SYS_link SYS_lstat SYS_mkdir
    SYS_mknod SYS_open SYS_pipe SYS_poll SYS_readlink SYS_rename SYS_rmdir SYS_select SYS_stat SYS_symlink SYS_unlink SYS_vfork
};
#[cfg(not(target_arch = "x86_64"))]
const OLD_NAMES: &[(&str, libc::c_long)] = &[];

impl Call {
    fn names() -> impl Iterator<Item = (&'static str, Self)> {
        NAMES.iter().chain(OLD_NAMES).map(|(name, number)| (name.trim_start_matches("SYS_"), Self(*number)))
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::names().find(|(_, call)| call == self) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "call {} of asm/unistd.h", self.0),
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred<'a> {
    /// All but these.
    AllBut(&'a [Call]),
    /// These.
    Only(&'a [Call]),
}

/// Program and arguments that run `program` so that what is barred fails with `errno`.
pub fn barred(program: &OsStr, args: &[&OsStr], barred: Barred<'_>, errno: Errno) -> Vec<OsString> {
    let (how, calls) = match barred {
        Barred::AllBut(calls) => ("allow", calls),
        Barred::Only(calls) => ("deny", calls),
    };
    let numbers: Vec<String> = calls.iter().map(|call| call.0.to_string()).collect();
    launcher(&(errno as i32).to_string(), how, &numbers.join(","), program, args)
}

/// The calls by these names, as long as this processor has them.
pub fn named(names: &str) -> Vec<Call> {
    let named = |name: &str| Call::names().find(|(known, _)| *known == name).map(|(_, call)| call);
    let calls = names.split_whitespace().map(|name| (name, named(name)));
    calls
        .filter_map(|(name, call)| {
            assert!(call.is_some() || cfg!(not(target_arch = "x86_64")), "no number is known for {name}");
            call
        })
        .collect()
}

fn launcher(errno: &str, how: &str, numbers: &str, program: &OsStr, args: &[&OsStr]) -> Vec<OsString> {
    // linux/audit.h
    let arch = if cfg!(target_arch = "x86_64") { 0xc000_003e_u32 } else { 0xc000_00b7 };
    // As text: the folder that the tests are in may be hidden from the program's root.
    let script = include_str!("barred.pl");
    let (prctl, arch) = (libc::SYS_prctl.to_string(), arch.to_string());
    let first = ["/usr/bin/perl".as_ref(), "-e".as_ref(), script.as_ref(), prctl.as_ref(), arch.as_ref()];
    let then = [errno.as_ref(), how.as_ref(), numbers.as_ref(), program];
    first.into_iter().chain(then).chain(args.iter().copied()).map(OsStr::to_owned).collect()
}

/// Program and arguments that run `program` once [`calls`] follows it.
pub fn traced(program: &OsStr, args: &[&OsStr]) -> Vec<OsString> {
    launcher("0", "stop", "", program, args)
}

/// Follows a process that was started with [`traced`] to the end of all that it starts, and tells which system calls the file
/// `program` made, in order, in all its processes and threads; not those of the programs that it runs. `act` is called once it runs.
///
/// The thread that has started it must call this.
pub fn calls(mut child: Child, program: &Path, act: impl FnOnce()) -> Vec<Call> {
    let first = Pid::from_raw(child.id() as i32);
    let program = fs::metadata(program).unwrap();
    let is_program = |pid: Pid| {
        fs::metadata(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| (exe.dev(), exe.ino()) == (program.dev(), program.ino()))
    };
    while !matches!(waitpid(first, Some(WaitPidFlag::WUNTRACED)).unwrap(), WaitStatus::Stopped(..)) {}
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(first, options).unwrap();
    let (mut calls, mut act) = (Vec::new(), Some(act));
    // By thread, whether it runs the program.
    let mut threads = BTreeMap::new();
    // Other threads of the tests wait for their own children.
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    loop {
        let (pid, deliver) = match waitpid(None, Some(flags)) {
            Ok(WaitStatus::PtraceSyscall(pid)) => {
                if *threads.entry(pid).or_insert_with(|| is_program(pid)) {
                    calls.extend(number(pid));
                }
                (pid, None)
            }
            Ok(WaitStatus::PtraceEvent(pid, _, event)) => {
                if event == libc::PTRACE_EVENT_EXEC {
                    let runs = is_program(pid);
                    threads.insert(pid, runs);
                    if runs && let Some(act) = act.take() {
                        act();
                    }
                }
                (pid, None)
            }
            // A new thread begins with this one.
            Ok(WaitStatus::Stopped(pid, Signal::SIGSTOP)) => (pid, None),
            Ok(WaitStatus::Stopped(pid, signal)) => (pid, Some(signal)),
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) if pid == first => break,
            Ok(_) => continue,
            Err(Errno::EINTR) => continue,
            Err(_) => break,
        };
        // It may have been killed meanwhile.
        let _ = ptrace::syscall(pid, deliver);
    }
    // It is gone already.
    let _ = child.wait();
    calls
}

/// The call that a stopped thread is in.
fn number(pid: Pid) -> Option<Call> {
    let registers = ptrace::getregs(pid).ok()?;
    #[cfg(target_arch = "x86_64")]
    let number = registers.orig_rax;
    #[cfg(target_arch = "aarch64")]
    let number = registers.regs[8];
    (number as libc::c_long >= 0).then_some(Call(number as libc::c_long))
}
