//! The names that Tekton gives to what it makes (Knative `kmeta/names.go`, `ChildName`; Tekton `pkg/pod/pod.go`).

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

/// The longest name, as it may become a host name (`longest`).
pub(crate) const LONGEST: usize = 63;
/// What is left of it beside the hexadecimal digits of an MD5 (`head`).
const HEAD: usize = LONGEST - 32;

/// A name for what belongs to `parent`. One that is too long is cut, and gets the MD5 of what it would have been.
pub(crate) fn child(parent: &str, suffix: &str) -> String {
    if parent.len() + suffix.len() <= LONGEST {
        return format!("{parent}{suffix}");
    }
    // Names of Kubernetes objects are ASCII; of any other text no name follows, and this one matches none.
    if suffix.len() < HEAD {
        let head = parent.get(..HEAD - suffix.len()).unwrap_or_default();
        return format!("{head}{}{suffix}", md5(parent));
    }
    let head = parent.get(..HEAD.min(parent.len())).unwrap_or_default();
    let mut name = format!("{head}{}", md5(&format!("{parent}{suffix}")));
    let room = LONGEST.saturating_sub(name.len());
    name.push_str(suffix.get(..room).unwrap_or_default());
    name.truncate(name.trim_end_matches(|last: char| !last.is_ascii_alphanumeric()).len());
    name
}

/// Digits of an MD5 that are left at least where the number of a run is put in the place of the last ones.
#[cfg(feature = "cli")]
const FEWEST_DIGITS: usize = 24;

/// Whether a name may be one that [`child`] gives to what belongs to `parent`, such as a run of a PipelineRun, for a suffix that begins with
/// `-` and is not known.
#[cfg(feature = "cli")]
pub(crate) fn may_be_child(parent: &str, name: &str) -> bool {
    let is_short = name.strip_prefix(parent).is_some_and(|rest| rest.starts_with('-'));
    let (head, digest) = (parent.get(..HEAD.min(parent.len())).unwrap_or_default(), md5(parent));
    let is_of_digest = || {
        let (before, after) = name.split_once(digest.as_str())?;
        Some(parent.starts_with(before) && before.len() < HEAD && after.starts_with('-'))
    };
    // With a long suffix the MD5 is of both.
    let is_cut = || {
        let digits = name.strip_prefix(head)?.bytes().take_while(u8::is_ascii_hexdigit).count();
        Some(digits >= FEWEST_DIGITS)
    };
    is_short || is_of_digest() == Some(true) || is_cut() == Some(true)
}

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().fold(String::with_capacity(32), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether Tekton gives a pod of this name to a TaskRun of that name, and for which attempt: 0 for `<taskrun>-pod`,
/// n for `<taskrun>-pod-retry<n>`.
pub fn pod_names_match(task_run: &str, pod: &str) -> Option<u32> {
    let retry = match pod.rsplit_once("-pod-retry") {
        Some((_, digits)) if is_count(digits) => digits.parse().ok()?,
        _ => 0,
    };
    (pod_name(task_run, retry) == pod).then_some(retry)
}

/// The name of the pod that Tekton makes for an attempt of a TaskRun.
pub fn pod_name(task_run: &str, retry: u32) -> String {
    match retry {
        0 => child(task_run, "-pod"),
        _ => child(task_run, &format!("-pod-retry{retry}")),
    }
}

/// A decimal number as Go prints one that is at least 1.
fn is_count(digits: &str) -> bool {
    !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}
