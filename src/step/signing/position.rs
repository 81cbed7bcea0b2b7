//! Which step of which pod this is.

use std::{fs, os::unix::ffi::OsStrExt, path::Path};

use crate::{evidence::attestation::step_name, step::roots::Roots, workload::id::parse_uid};

/// A step's place in its TaskRun, from the links that `step-init` made in `/tekton/steps` (docs/tekton-contract.md 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepPosition {
    /// The step's name: that of its container, without the `step-` prefix.
    pub name: String,
    /// Its index, from 0.
    pub index: u32,
    /// The number of steps.
    pub count: u32,
}

/// Finds the step whose links lead to this metadata directory. `None` if the links do not tell.
pub fn step(roots: &Roots, step_metadata_dir: &Path) -> Option<StepPosition> {
    let (mut name, mut index, mut count) = (None, None, 0);
    let mut entries: Vec<_> = fs::read_dir(roots.steps()).ok()?.filter_map(Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let ours = target == step_metadata_dir;
        let link = entry.file_name();
        let number = link
            .to_str()
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok());
        match number {
            Some(number) => {
                count += 1;
                if ours {
                    index = Some(number);
                }
            }
            None if ours && name.is_none() => {
                let link = link.to_str()?;
                name = Some(step_name(link).to_owned());
            }
            None => {}
        }
    }
    Some(StepPosition { name: name?, index: index?, count })
}

/// The pod's UID, from the kubelet's directory (`…/pods/<uid>/…`) behind the container's mounts. `None` if no mount shows
/// one, or if they disagree and those that the kubelet itself makes do not settle it: a step may mount another pod's
/// directory.
pub fn pod_uid(roots: &Roots) -> Option<[u8; 16]> {
    let mounts = fs::read(roots.proc.join("self").join("mountinfo")).ok()?;
    let termination = roots.termination();
    let (mut all, mut made_by_kubelet) = (Vec::new(), Vec::new());
    for line in mounts.split(|&b| b == b'\n') {
        // proc(5): ID, parent ID, major:minor, root, mount point, …
        let mut fields = line.split(|&b| b == b' ').skip(3);
        let (Some(root), Some(point)) = (fields.next(), fields.next()) else { continue };
        let Some(uid) = uid_in(root) else { continue };
        all.push(uid);
        if point == b"/etc/hosts" || point == termination.as_os_str().as_bytes() {
            made_by_kubelet.push(uid);
        }
    }
    one(all).or_else(|| one(made_by_kubelet))
}

fn one(mut uids: Vec<[u8; 16]>) -> Option<[u8; 16]> {
    uids.sort();
    uids.dedup();
    if uids.len() == 1 { uids.pop() } else { None }
}

fn uid_in(path: &[u8]) -> Option<[u8; 16]> {
    let mut parts = path.split(|&b| b == b'/');
    while let Some(part) = parts.next() {
        if part == b"pods" {
            let uid = std::str::from_utf8(parts.clone().next()?).ok()?;
            let uid = parse_uid(&uid.to_ascii_lowercase());
            if uid.is_some() && parts.clone().nth(1).is_some() {
                return uid;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_in_mounted_paths() {
        const UID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
        for (path, found) in [
            (format!("/var/lib/kubelet/pods/{UID}/etc-hosts"), true),
            (format!("/kubelet/pods/{UID}/volumes/x"), true),
            (format!("/pods/{UID}"), false),
            ("/var/lib/kubelet/pods/static-pod/etc-hosts".to_owned(), false),
            ("/".to_owned(), false),
        ] {
            assert_eq!(uid_in(path.as_bytes()), found.then(|| parse_uid(UID).unwrap()), "in {path}");
        }
    }
}
