//! The operating system's errors as Go's `syscall` and `io/fs` word them.
//!
//! Users and scripts search logs for these; they are part of "equal to Tekton".

use std::{io, path::Path};

use nix::errno::Errno;

/// What Go's syscall.Errno prints for this error on Linux; where it says the same as the C library but for the first
/// letter's case, that is derived.
pub fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => errno_reason(Errno::from_raw(code)),
        None => error.to_string(),
    }
}

/// As [`reason`], for an error number.
pub fn errno_reason(errno: Errno) -> String {
    match errno {
        Errno::E2BIG => "argument list too long".into(),
        Errno::ELOOP => "too many levels of symbolic links".into(),
        Errno::EIO => "input/output error".into(),
        Errno::EMFILE => "too many open files".into(),
        Errno::ENFILE => "too many open files in system".into(),
        Errno::EROFS => "read-only file system".into(),
        Errno::EXDEV => "invalid cross-device link".into(),
        Errno::ENODEV => "no such device".into(),
        Errno::EAGAIN => "resource temporarily unavailable".into(),
        Errno::EBUSY => "device or resource busy".into(),
        Errno::EDQUOT => "disk quota exceeded".into(),
        Errno::ESTALE => "stale file handle".into(),
        Errno::EBADF => "bad file descriptor".into(),
        Errno::EPIPE => "broken pipe".into(),
        Errno::ENOMEM => "cannot allocate memory".into(),
        other => {
            let text = other.desc();
            let mut letters = text.chars();
            match letters.next() {
                Some(first) => first.to_lowercase().chain(letters).collect(),
                #[expect(
                    clippy::as_conversions,
                    reason = "an enumeration of nix, which has no other way to its numbers"
                )]
                None => format!("errno {}", other as i32),
            }
        }
    }
}

/// Go's *fs.PathError: `open /x: no such file or directory`.
pub fn path_error(operation: &str, path: &Path, error: &io::Error) -> String {
    format!("{operation} {}: {}", path.display(), reason(error))
}
