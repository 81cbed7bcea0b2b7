//! Hermetic mode: a step's program runs without a network (docs/tekton-contract.md 3.7; Tekton
//! cmd/entrypoint/namespaces_linux.go).

use std::fs;

use nix::{errno::Errno, libc};

use crate::step::{
    program::{environment::Environment, sys},
    roots::Roots,
};

/// New mount, process, network and user namespaces; nothing is mounted and no interface is up in them.
const NAMESPACES: libc::c_int =
    libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWUSER;
/// Every user and group keeps its number.
const EVERYBODY: &str = "0 0 4294967295";

/// True if the step is to run so: `TEKTON_HERMETIC` is 1, and no `TEKTON_RESOURCE_NAME` switches that off.
pub fn is_wanted(environment: &Environment) -> bool {
    let named = environment.get("TEKTON_RESOURCE_NAME").is_some_and(|name| !name.is_empty());
    !named && environment.get("TEKTON_HERMETIC").is_some_and(|hermetic| hermetic == "1")
}

/// Starts the program in them. Mapping all users needs privilege: without it this is `EPERM`.
pub fn spawn(program: &sys::ProgramToStart<'_>, roots: &Roots) -> Result<i32, Errno> {
    sys::spawn(NAMESPACES, program, |pid| map(pid, roots))
}

fn map(pid: i32, roots: &Roots) -> Result<(), Errno> {
    let write = |file: &str, content: &str| {
        let error = fs::write(roots.proc.join(pid.to_string()).join(file), content).err();
        match error.map(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))) {
            None => Ok(()),
            // The child is not dumpable, as we are, so its files in /proc are root's: opening one fails earlier than writing.
            Some(Errno::EACCES) => Err(Errno::EPERM),
            Some(errno) => Err(errno),
        }
    };
    write("uid_map", EVERYBODY)?;
    match write("setgroups", "allow") {
        // Older than Linux 3.19.
        Ok(()) | Err(Errno::ENOENT) => write("gid_map", EVERYBODY),
        refused => refused,
    }
}
