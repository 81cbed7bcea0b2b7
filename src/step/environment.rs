//! The step's environment, and the references in it and in the command that this version does not resolve.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The environment variables in their order; of duplicates the first one counts, as Go has it (contract 3.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// From variables in their order.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let mut seen = std::collections::HashSet::new();
        Environment(variables.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect())
    }

    /// This process's own.
    pub fn of_process() -> Environment {
        Environment::new(std::env::vars_os())
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// All variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

/// The first reference to another step's results or artifacts in a text (the patterns of contract 3.4 and 3.5):
/// `$(steps.<name>.results.<result>)`, `$(steps.<name>.outputs.<artifact>)`, `$(steps.<name>.inputs.<artifact>)`.
pub fn reference(text: &OsStr) -> Option<&OsStr> {
    const START: &[u8] = b"$(steps.";
    let text = text.as_bytes();
    let mut from = 0;
    while let Some(at) = find(&text[from..], START) {
        let start = from + at;
        let body = &text[start + START.len()..];
        if let Some(length) = result_reference(body).or_else(|| artifact_reference(body)) {
            return Some(OsStr::from_bytes(&text[start..start + START.len() + length]));
        }
        from = start + 1;
    }
    None
}

/// `.*?\.results\..*?\)` with `.` excluding the newline.
fn result_reference(body: &[u8]) -> Option<usize> {
    const MIDDLE: &[u8] = b".results.";
    let line = &body[..body.iter().position(|&b| b == b'\n').unwrap_or(body.len())];
    let after = find(line, MIDDLE)? + MIDDLE.len();
    Some(after + find(&line[after..], b")")? + 1)
}

/// `([^.]+)\.(?:inputs|outputs)\.([^.)]+)\)`
fn artifact_reference(body: &[u8]) -> Option<usize> {
    let name = body.iter().position(|&b| b == b'.').filter(|&length| length > 0)?;
    let rest = &body[name + 1..];
    let direction =
        [&b"inputs."[..], b"outputs."].into_iter().find(|direction| rest.starts_with(direction))?;
    let artifact = &rest[direction.len()..];
    let end = artifact.iter().position(|&b| b == b'.' || b == b')').filter(|&length| length > 0)?;
    (artifact[end] == b')').then_some(name + 1 + direction.len() + end + 1)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found() {
        for (text, found) in [
            ("plain", None),
            ("$(steps.a.results.b)", Some("$(steps.a.results.b)")),
            ("x $(steps.a.results.b[0]) y", Some("$(steps.a.results.b[0])")),
            ("$(steps.a.results.o.key)", Some("$(steps.a.results.o.key)")),
            ("$(steps.a\n.results.b)", None),
            ("$(steps.a.results.b", None),
            ("$(steps.a.outputs.image)", Some("$(steps.a.outputs.image)")),
            ("$(steps.a.inputs.src)", Some("$(steps.a.inputs.src)")),
            ("$(steps.a.inputs.src.x)", None),
            ("$(steps..inputs.src)", None),
            ("$(steps.a.exitCode.path)", None),
            ("$(steps.x) $(steps.a.outputs.b)", Some("$(steps.a.outputs.b)")),
            ("$(params.x)", None),
        ] {
            assert_eq!(reference(OsStr::new(text)), found.map(OsStr::new), "in {text:?}");
        }
    }

    #[test]
    fn the_first_duplicate_counts() {
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let environment = Environment::new([pair("A", "1"), pair("B", "2"), pair("A", "3")]);
        assert_eq!(environment.get("A"), Some(OsStr::new("1")));
        assert_eq!(environment.iter().count(), 2);
    }
}
