//! Paths joined and cleaned as Go's `path/filepath` does.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

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
    use std::path::Path;

    use super::*;

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
