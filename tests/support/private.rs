//! A root folder of its own for a program: the host's files, with a pod's in their place where it has some. Nothing is made in the
//! host's own root folder. Needs root, or user namespaces.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use super::skip;

/// How a program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// As an ordinary process.
    Process,
    /// As the first process of a PID namespace, as in a container.
    First,
}

/// A file or folder that stands at another place in the private root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is.
    pub source: PathBuf,
    /// Where the program sees it, from `/` on. No folder that the host mounts there is written to: it must be below one of the
    /// private root's own.
    pub target: String,
    /// Whether it can be read only.
    pub read_only: bool,
}

/// The folder that stands for `/`.
#[derive(Debug)]
pub struct PrivateRoot {
    folder: PathBuf,
    hostname: Option<String>,
}

impl PrivateRoot {
    /// Lays out `folder`: what is in it already stays its own, everything else of `/` is the host's, but for `/tekton`.
    pub fn new(folder: &Path, mounts: &[Mount]) -> Self {
        // What `/` is exchanged for has to be a mount itself.
        let mut table = line(folder, folder, "none", "rbind");
        fs::create_dir_all(folder.join(".host")).unwrap();
        for entry in fs::read_dir("/").unwrap().map(Result::unwrap) {
            let place = folder.join(entry.file_name());
            if place.symlink_metadata().is_ok()
                || ["proc", "tekton"].map(OsStr::new).contains(&&*entry.file_name())
            {
                continue;
            }
            let kind = entry.file_type().unwrap();
            if kind.is_symlink() {
                symlink(fs::read_link(entry.path()).unwrap(), place).unwrap();
            } else if kind.is_dir() {
                fs::create_dir(&place).unwrap();
                table += &line(&entry.path(), &place, "none", "rbind");
            }
        }
        for mount in mounts {
            let place = folder.join(mount.target.trim_start_matches('/'));
            if mount.source.is_dir() {
                fs::create_dir_all(&place).unwrap();
            } else {
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                fs::write(&place, "").unwrap();
            }
            table += &line(&mount.source, &place, "none", if mount.read_only { "bind,ro" } else { "bind" });
        }
        let proc = folder.join("proc");
        fs::create_dir_all(&proc).unwrap();
        for (run_as, of_proc) in [
            (As::Process, line(Path::new("/proc"), &proc, "none", "rbind")),
            (As::First, line(Path::new("proc"), &proc, "proc", "defaults")),
        ] {
            fs::write(table_of(folder, run_as), format!("{table}{of_proc}")).unwrap();
        }
        Self { folder: folder.to_owned(), hostname: None }
    }

    /// With this host name.
    pub fn hostname(self, name: &str) -> Self {
        Self { hostname: Some(name.to_owned()), ..self }
    }

    /// The command that runs `program` (a path in the private root) there, in the folder `directory`. Its stdin is empty; its
    /// output is collected.
    pub fn command<S: AsRef<OsStr>>(
        &self,
        directory: &str,
        program: &Path,
        args: &[S],
        run_as: As,
    ) -> Command {
        // Whoever runs the tests may ignore signals, as nohup does; a container ignores none.
        let mut command = Command::new("/usr/bin/env");
        command.args(["--default-signal", "/usr/bin/unshare"]);
        if !nix::unistd::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "--propagation", "private"]);
        if self.hostname.is_some() {
            command.arg("--uts");
        }
        if run_as == As::First {
            command.args(["--pid", "--fork", "--kill-child"]);
        }
        command.args(["/bin/sh", "-c", ENTER]).arg(table_of(&self.folder, run_as)).arg(&self.folder);
        command.arg(self.hostname.as_deref().unwrap_or_default()).arg(directory).arg(program).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Arguments: the table of mounts, the folder that becomes `/`, the host name, the working directory, the program and its arguments.
/// By paths, since a test may want an empty `PATH`. Not by chroot(2): a process in one cannot make user namespaces, as hermetic steps do.
const ENTER: &str = r#"
/bin/mount --all --fstab "$0" && cd "$1" || exit 125
[ -z "$2" ] || /bin/hostname "$2" || exit 125
/sbin/pivot_root . .host && /bin/umount --lazy /.host || exit 125
directory=$3; shift 3; unset PWD OLDPWD
exec /usr/bin/env --chdir "$directory" -- "$@"
"#;

fn table_of(folder: &Path, run_as: As) -> PathBuf {
    folder.join(match run_as {
        As::Process => ".mounts",
        As::First => ".mounts-first",
    })
}

/// A line of fstab(5).
fn line(source: &Path, target: &Path, kind: &str, options: &str) -> String {
    let text = |path: &Path| path.to_str().unwrap().replace('\\', "\\134").replace(' ', "\\040");
    format!("{} {} {kind} {options} 0 0\n", text(source), text(target))
}

/// The command that runs what its arguments say with `folder` as `/`, and nothing else of the host's.
pub fn in_nothing_but(folder: &Path) -> Command {
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg("--root").arg(folder).arg("--");
    command
}

/// True if programs can be given a root of their own. If not, the test is skipped ([`skip::lacks`]).
pub fn available(test: &str) -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    let available = *AVAILABLE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let root = PrivateRoot::new(folder.path(), &[]);
        let mut command = root.command("/", Path::new("/bin/true"), &[""; 0], As::First);
        command.output().is_ok_and(|output| output.status.success())
    });
    if !available {
        skip::lacks(test, "namespaces and mounts are not permitted here");
    }
    available
}
