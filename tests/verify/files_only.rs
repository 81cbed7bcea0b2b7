//! Verification of files opens no socket and reads nothing but the files that were named.
//!
//! The built program runs under ptrace, thread by thread and system call by system call, so that nothing has to be installed and
//! nothing escapes: `/proc/<tid>/syscall` tells which call a stopped thread is in, `/proc/<tid>/mem` the path it gives.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// What a program did.
#[derive(Debug, Default)]
struct Traced {
    code: Option<i32>,
    /// Files and folders opened, as named in the call.
    opened: BTreeSet<String>,
    /// Calls that make or use a socket, or could do so unseen.
    sockets: BTreeSet<&'static str>,
    calls: usize,
}

const SOCKET_CALLS: [(libc::c_long, &str); 10] = [
    (libc::SYS_socket, "socket"),
    (libc::SYS_socketpair, "socketpair"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_bind, "bind"),
    (libc::SYS_listen, "listen"),
    (libc::SYS_accept4, "accept4"),
    (libc::SYS_sendto, "sendto"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_io_uring_setup, "io_uring_setup"),
    (libc::SYS_pidfd_getfd, "pidfd_getfd"),
];

/// Runs svidence and watches it and all that it starts.
fn traced(arguments: &[&str]) -> Traced {
    let mut child = Command::new("/bin/sh")
        // Cargo's paths of libraries are searched before the system's.
        .env_clear()
        // Stopped until it is watched.
        .args(["-c", "kill -STOP $$; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_svidence")])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = Pid::from_raw(child.id().try_into().unwrap());
    let stopped = waitpid(first, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert!(matches!(stopped, WaitStatus::Stopped(..)), "{stopped:?}");
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(first, options).unwrap();
    kill(first, Signal::SIGCONT).unwrap();
    let mut traced = Traced::default();
    let mut is_svidence = false;
    // Other threads of the tests wait for their own children.
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    loop {
        let status = match waitpid(None, Some(flags)) {
            Err(Errno::EINTR) => continue,
            status => status.unwrap(),
        };
        match status {
            WaitStatus::PtraceSyscall(thread) => {
                if is_svidence {
                    look(thread, &mut traced);
                }
                resume(thread, None);
            }
            WaitStatus::PtraceEvent(thread, _, event) => {
                is_svidence |= event == libc::PTRACE_EVENT_EXEC;
                resume(thread, None);
            }
            WaitStatus::Stopped(thread, signal) => resume(thread, Some(signal)),
            WaitStatus::Exited(process, code) if process == first => {
                traced.code = Some(code);
                break;
            }
            WaitStatus::Signaled(process, signal, _) if process == first => panic!("it ended with {signal}"),
            _ => {}
        }
    }
    // Its end was seen above.
    let _ = child.try_wait();
    assert!(is_svidence && traced.calls > 0, "nothing was seen");
    traced
}

fn resume(thread: Pid, signal: Option<Signal>) {
    match ptrace::syscall(thread, signal) {
        // It was killed meanwhile.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("resuming {thread}: {error}"),
    }
}

/// Notes the system call that a thread begins or ends.
fn look(thread: Pid, traced: &mut Traced) {
    let Ok(call) = fs::read_to_string(format!("/proc/{thread}/syscall")) else { return };
    let mut words = call.split_whitespace();
    // -1, or "running", is none.
    let Some(number) = words.next().and_then(|word| word.parse::<libc::c_long>().ok()) else { return };
    let arguments: Vec<u64> =
        words.filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()).collect();
    traced.calls += 1;
    if let Some((_, name)) = SOCKET_CALLS.iter().find(|(call, _)| *call == number) {
        traced.sockets.insert(name);
    }
    let path = match number {
        libc::SYS_openat | libc::SYS_openat2 | libc::SYS_execveat => arguments[1],
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => arguments[0],
        libc::SYS_execve => arguments[0],
        libc::SYS_open_by_handle_at => panic!("a file was opened without a name"),
        _ => return,
    };
    traced.opened.extend(text(thread, path));
}

/// The text at an address of a thread. `None` after an exec, when the address means nothing any more.
fn text(thread: Pid, address: u64) -> Option<String> {
    let memory = fs::File::open(format!("/proc/{thread}/mem")).ok()?;
    let mut bytes = Vec::new();
    let mut byte = [0];
    while memory.read_at(&mut byte, address + bytes.len() as u64).ok()? == 1 && byte != [0] {
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).ok()
}

/// What any program opens: its libraries, and what the standard library and the allocator ask the kernel about memory and cores.
fn is_ambient(path: &str) -> bool {
    const FILES: [&str; 10] = [
        "/etc/ld.so.cache",
        "/etc/ld.so.preload",
        "/proc/self/cgroup",
        "/proc/self/maps",
        "/proc/self/mountinfo",
        "/proc/sys/vm/overcommit_memory",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
        "/sys/devices/system/cpu/online",
        "/dev/null",
    ];
    let is_library =
        ["/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/"].iter().any(|folder| path.starts_with(folder))
            && path.contains(".so");
    let is_limit =
        path.starts_with("/sys/fs/cgroup/") && (path.ends_with("/cpu.max") || path.contains("/cpu.cfs_"));
    FILES.contains(&path) || is_library || is_limit || path.starts_with("/sys/devices/system/node/")
}

#[test]
fn verification_of_files_opens_no_socket_and_reads_only_what_is_named() {
    if !Path::new("/proc/self/syscall").exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "the kernel has no /proc/<pid>/syscall");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("demo");
    let demo = demo.to_str().unwrap();
    // The control: what opens sockets is seen to do so, in children and threads, too.
    let made = traced(&["demo", "--keep", demo]);
    assert_eq!(made.code, Some(0));
    for call in ["socket", "bind", "listen", "connect"] {
        assert!(made.sockets.contains(call), "the demo's {call} was not seen: {:?}", made.sockets);
    }
    let path = |name: &str| format!("{demo}/{name}");
    let (object, altered, bundle) = (path("taskrun.json"), path("altered-1.json"), path("bundle.pem"));
    let many = folder.path().join("many");
    fs::create_dir(&many).unwrap();
    let many_files: Vec<String> =
        ["a.json", "b.jsonl", "c.yaml"].map(|name| format!("{}/{name}", many.display())).to_vec();
    let text = fs::read_to_string(&object).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    fs::write(&many_files[0], &text).unwrap();
    fs::write(&many_files[1], format!("{value}\n{value}\n")).unwrap();
    fs::write(&many_files[2], serde_saphyr::to_string(&value).unwrap()).unwrap();
    fs::write(many.join("notes.txt"), "not looked at").unwrap();
    let many = many.to_str().unwrap().to_owned();
    let folder_and_files: Vec<&str> =
        [many.as_str()].into_iter().chain(many_files.iter().map(String::as_str)).collect();
    for (case, arguments, code, named) in [
        ("a file", vec![&*object], 0, vec![&*object]),
        ("a forged one", vec![&*altered], 1, vec![&*altered]),
        (
            "several, with intermediates",
            vec![&*object, &*altered, "--intermediates", &*bundle],
            1,
            vec![&*object, &*altered],
        ),
        (
            "a folder",
            vec![&*many, "--only", "*.json*", "--only", "*.yaml", "-o", "json"],
            0,
            folder_and_files,
        ),
        ("standard input", vec!["-", "--allow-empty"], 3, vec![]),
    ] {
        let mut all = vec!["verify", "--trust-domain", "example.org", "--bundle", &bundle, "--jobs", "2"];
        all.extend(arguments);
        let seen = traced(&all);
        assert_eq!(seen.code, Some(code), "{case}");
        assert!(seen.sockets.is_empty(), "{case}: it called {:?}", seen.sockets);
        let named: BTreeSet<&str> = named.into_iter().chain([bundle.as_str()]).collect();
        let opened: BTreeSet<&str> =
            seen.opened.iter().map(String::as_str).filter(|path| !is_ambient(path)).collect();
        assert_eq!(opened, named, "{case}");
    }
}
