//! Texts as Go's standard library writes them: quoted strings, system errors, cleaned paths.
//!
//! Users and scripts grep logs for these; they are part of "equal to Tekton".

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// Go's `%q` of a string: strconv.Quote.
pub fn quote(text: &OsStr) -> String {
    quote_bytes(text.as_bytes())
}

/// As [`quote`], for bytes.
pub fn quote_bytes(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            quote_char(&mut out, c);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}

fn quote_char(out: &mut String, c: char) {
    match c {
        '"' | '\\' => {
            out.push('\\');
            out.push(c);
        }
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if c < ' ' || c == '\u{7f}' => {
            let _ = write!(out, "\\x{:02x}", c as u32);
        }
        c if printable(c) => out.push(c),
        c if (c as u32) < 0x1_0000 => {
            let _ = write!(out, "\\u{:04x}", c as u32);
        }
        c => {
            let _ = write!(out, "\\U{:08x}", c as u32);
        }
    }
}

/// Go's strconv.IsPrint for one character. Rust has the same table behind `escape_debug`, which leaves combining
/// characters alone unless they come first.
fn printable(c: char) -> bool {
    let text = ['a', c].iter().collect::<String>();
    text.escape_debug().nth(1) != Some('\\') || c == '\'' || c == '"' || c == '\\'
}

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
                None => format!("errno {}", other as i32),
            }
        }
    }
}

/// Go's *fs.PathError: `open /x: no such file or directory`.
pub fn path_error(operation: &str, path: &Path, error: &io::Error) -> String {
    format!("{operation} {}: {}", path.display(), reason(error))
}

/// Go's filepath.Join: elements joined with `/`, empty ones left out, the whole cleaned (filepath.Clean).
pub fn join(elements: &[&OsStr]) -> PathBuf {
    let parts: Vec<&[u8]> = elements.iter().map(|e| e.as_bytes()).filter(|e| !e.is_empty()).collect();
    if parts.is_empty() {
        return PathBuf::new();
    }
    clean(&parts.join(&b'/'))
}

fn clean(path: &[u8]) -> PathBuf {
    let rooted = path.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(&last) if last != b".." => {
                    kept.pop();
                }
                _ if rooted => {}
                _ => kept.push(part),
            },
            _ => kept.push(part),
        }
    }
    let mut out = if rooted { b"/".to_vec() } else { Vec::new() };
    out.extend(kept.join(&b'/'));
    if out.is_empty() {
        out.push(b'.');
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        for (raw, quoted) in [
            (&b"plain"[..], r#""plain""#),
            (b"a\"b\\c", r#""a\"b\\c""#),
            (b"\x00\x07\x7f\xff", r#""\x00\a\x7f\xff""#),
            ("é'\u{301}\u{feff}\u{a0}\u{e000}".as_bytes(), "\"é'\u{301}\\ufeff\\u00a0\\ue000\""),
            (b"\xe2\x80", r#""\xe2\x80""#),
        ] {
            assert_eq!(quote(OsStr::from_bytes(raw)), quoted, "quoting {raw:?}");
        }
    }

    #[test]
    fn joins_as_go_does() {
        for (elements, joined) in [
            (&["", "results"][..], "results"),
            (&["/tekton//run/./0/status/", "results"], "/tekton/run/0/status/results"),
            (&["/..", "x"], "/x"),
            (&["a/../..", "x"], "../x"),
            (&["."], "."),
        ] {
            let elements: Vec<&OsStr> = elements.iter().map(OsStr::new).collect();
            assert_eq!(join(&elements), Path::new(joined), "joining {elements:?}");
        }
    }
}
