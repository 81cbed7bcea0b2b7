//! Pods with Secrets, and the comparison of all that is left below `/tekton/creds` and in `$HOME`.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, PermissionsExt as _, symlink},
    },
    path::Path,
};

use super::step::{As, OURS, Pod, Ran, available, content, finish, tekton, untimed};

pub(crate) const HOME: &str = "/tekton/home";

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) args: Vec<Vec<u8>>,
    /// `None`: not set at all.
    pub(crate) home: Option<&'static str>,
    /// Run as root in the pod before the program, which is `"$@"`.
    pub(crate) shell: &'static str,
    pub(crate) prepare: fn(&Pod),
    /// The subcommand or the command.
    pub(crate) rest: &'static [&'static str],
}

pub(crate) const STEP: &[&str] = &["-entrypoint", "/bin/true"];

pub(crate) fn case(name: &'static str, args: &[&str]) -> Case {
    raw(name, &args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>())
}

pub(crate) fn raw(name: &'static str, args: &[&[u8]]) -> Case {
    let args = args.iter().map(|arg| arg.to_vec()).collect();
    Case { name, args, home: Some(HOME), shell: "exec \"$@\"", prepare: |_| {}, rest: STEP }
}

impl Case {
    pub(crate) fn home(mut self, home: Option<&'static str>) -> Self {
        self.home = home;
        self
    }
    pub(crate) fn shell(mut self, shell: &'static str) -> Self {
        self.shell = shell;
        self
    }
    pub(crate) fn prepare(mut self, prepare: fn(&Pod)) -> Self {
        self.prepare = prepare;
        self
    }
    pub(crate) fn rest(mut self, rest: &'static [&'static str]) -> Self {
        self.rest = rest;
        self
    }
}

/// A Secret as the kubelet mounts it: links into a folder that is exchanged as a whole.
pub(crate) fn secret(pod: &Pod, name: &str, files: &[(&str, &[u8])]) {
    let folder = pod.path("creds-secrets").join(name);
    fs::create_dir_all(folder.join("..2026_08_01")).unwrap();
    symlink("..2026_08_01", folder.join("..data")).unwrap();
    for (file, content) in files {
        fs::write(folder.join("..2026_08_01").join(file), content).unwrap();
        symlink(Path::new("..data").join(file), folder.join(file)).unwrap();
    }
}

pub(crate) fn pod() -> Pod {
    let pod = Pod::new();
    for folder in ["creds", "creds-secrets", "home"] {
        fs::create_dir(pod.path(folder)).unwrap();
    }
    let basic = |name, username: &[u8], password: &[u8]| {
        secret(&pod, name, &[("username", username), ("password", password)]);
    };
    basic("git", b"user", b"s3cret");
    basic("git2", b"second", b"other");
    basic("lines", b"user\n", b"pass\r\n");
    basic("bytes", b"\xff\xe2\x80\xc3\xa4", b"p\xfe\x00");
    basic("quotes", b"do\\main\\\"us'er", b"\"p\\w\" '");
    basic("signs", b"u:s@e/r?#[]&=+ %41", b"-._~!$&'()*+,;=:@/?#[] \t<>{}|^`");
    basic("html", b"<u&s>\xe2\x80\xa8", b"<p&w>\xef\xbf\xbd\x08\x0c\x7f");
    basic("empty", b"", b"");
    secret(&pod, "ssh", &[("ssh-privatekey", b"-----KEY 1-----\n"), ("known_hosts", b"host key1\n")]);
    secret(&pod, "ssh2", &[("ssh-privatekey", b"-----KEY 2-----"), ("known_hosts", b"other key2")]);
    secret(&pod, "bare", &[("ssh-privatekey", b"\xff\x00KEY 3\r\n")]);
    // More than a pipe holds.
    secret(&pod, "long", &[("ssh-privatekey", &b"KEY ".repeat(50_000))]);
    secret(&pod, "no-hosts", &[("ssh-privatekey", b""), ("known_hosts", b"")]);
    secret(&pod, "half", &[("username", b"user")]);
    secret(&pod, "nothing", &[]);
    pod
}

/// Puts a Docker configuration into the Secret `name`.
pub(crate) fn docker(pod: &Pod, name: &str, file: &str, json: &[u8]) {
    secret(pod, name, &[(file, json)]);
}

/// Everything compared, as text.
pub(crate) fn observe(case: &Case, program: &str) -> String {
    let pod = pod();
    fs::set_permissions(pod.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    (case.prepare)(&pod);
    let mut args = vec![OsStr::new("-c"), OsStr::new(case.shell), OsStr::new("sh"), OsStr::new(program)];
    args.extend(case.args.iter().map(|arg| OsStr::from_bytes(arg)));
    args.extend(case.rest.iter().map(OsStr::new));
    let mut command = pod.command(Path::new("/bin/sh"), &args, As::Process);
    match case.home {
        Some(home) => command.env("HOME", home),
        None => command.env_remove("HOME"),
    };
    let ran: Ran = finish(command.spawn().unwrap());
    let mut seen = format!("status: {}\nstdout: {:?}\n", ran.status, String::from_utf8_lossy(&ran.stdout));
    for line in ran.stderr.lines() {
        seen += &format!("stderr: {}\n", untimed(line).replace(program, "PROGRAM"));
    }
    for folder in ["creds", "home"] {
        tree(&pod.path(folder), folder, &mut seen);
    }
    seen
}

/// Kinds, modes, link targets and contents of a path and what is below it.
pub(crate) fn tree(path: &Path, name: &str, seen: &mut String) {
    let Ok(found) = fs::symlink_metadata(path) else {
        *seen += &format!("{name}: absent\n");
        return;
    };
    let mode = found.permissions().mode() & 0o7777;
    let kind = found.file_type();
    if kind.is_symlink() {
        *seen += &format!("{name}: -> {}\n", fs::read_link(path).unwrap().display());
    } else if kind.is_dir() {
        *seen += &format!("{name}: folder {mode:o}\n");
        if mode & 0o500 != 0o500 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(Result::unwrap).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            tree(&entry.path(), &format!("{name}/{}", entry.file_name().display()), seen);
        }
    } else if kind.is_file() {
        let content = content(path);
        *seen += &format!("{name}: file {mode:o} \"{}\"\n", content.escape_ascii());
    } else {
        *seen += &format!("{name}: FIFO {}, {mode:o}\n", kind.is_fifo());
    }
}

pub(crate) fn compare(test: &str, cases: &[Case]) {
    let Some(tekton) = tekton() else { return };
    if !available(test) {
        return;
    }
    let mut differences = Vec::new();
    for case in cases {
        let (theirs, ours) = (observe(case, &tekton), observe(case, OURS));
        if theirs != ours {
            differences.push(format!("== {}\n-- Tekton\n{theirs}-- ours\n{ours}", case.name));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} cases differ\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
}
