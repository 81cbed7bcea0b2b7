//! References to other steps in a text (Tekton pkg/internal/resultref, internal/artifactref).
//!
//! * results: `\$\(steps\..*?\.results\..*?\)`, where `.` is no newline;
//! * artifacts: `\$\(steps\.([^.]+)\.(?:inputs|outputs)\.([^.)]+)\)`.

use memchr::{memchr, memmem};

const START: &[u8] = b"$(steps.";

/// All references to step results, in order, none overlapping.
pub(crate) fn to_results(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    find_all(text, result_reference)
}

/// All references to artifacts, in order, none overlapping.
pub(crate) fn to_artifacts(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    find_all(text, |body| artifact_reference(body).ok_or(0))
}

/// `reference` gives the length of what follows the start mark, if it is a reference; else how much of it may be passed over,
/// since no reference can begin there.
fn find_all(text: &[u8], reference: fn(&[u8]) -> Result<usize, usize>) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(at) = find(&text[from..], START) {
            let start = from + at;
            let body = start + START.len();
            match reference(&text[body..]) {
                Ok(length) => {
                    from = body + length;
                    return Some(&text[start..from]);
                }
                Err(passed) => from = body + passed,
            }
        }
        None
    })
}

/// Without an end on this line, nothing that begins later on it has one.
fn result_reference(body: &[u8]) -> Result<usize, usize> {
    const MIDDLE: &[u8] = b".results.";
    let line = &body[..memchr(b'\n', body).unwrap_or(body.len())];
    let after = find(line, MIDDLE).ok_or(line.len())? + MIDDLE.len();
    Ok(after + memchr(b')', &line[after..]).ok_or(line.len())? + 1)
}

fn artifact_reference(body: &[u8]) -> Option<usize> {
    let name = body.iter().position(|&b| b == b'.').filter(|&length| length > 0)?;
    let rest = &body[name + 1..];
    let direction =
        [&b"inputs."[..], b"outputs."].into_iter().find(|direction| rest.starts_with(direction))?;
    let artifact = &rest[direction.len()..];
    let end = artifact.iter().position(|&b| b == b'.' || b == b')').filter(|&length| length > 0)?;
    (artifact[end] == b')').then_some(name + 1 + direction.len() + end + 1)
}

pub(crate) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memmem::find(text, what)
}

/// What is between `$(` and `)`.
pub(crate) fn inner(reference: &[u8]) -> &[u8] {
    let inner = reference.strip_prefix(b"$(").unwrap_or(reference);
    inner.strip_suffix(b")").unwrap_or(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found() {
        let found = |text: &str| {
            let text = text.as_bytes();
            let texts = |found: &mut dyn Iterator<Item = &[u8]>| {
                found.map(|one| String::from_utf8(one.to_vec()).unwrap()).collect::<Vec<_>>()
            };
            (texts(&mut to_results(text)), texts(&mut to_artifacts(text)))
        };
        for (text, results, artifacts) in [
            ("plain", &[][..], &[][..]),
            ("$(steps.a.results.b)", &["$(steps.a.results.b)"], &[]),
            (
                "x $(steps.a.results.b[0]) $(steps.c.results.d)",
                &["$(steps.a.results.b[0])", "$(steps.c.results.d)"],
                &[],
            ),
            ("$(steps.a.results.o.key)", &["$(steps.a.results.o.key)"], &[]),
            ("$(steps.a\n.results.b)", &[], &[]),
            ("$(steps.a.results.b", &[], &[]),
            ("$(steps.x) $(steps.a.results.b)", &["$(steps.x) $(steps.a.results.b)"], &[]),
            (
                "$(steps.a.outputs.image)$(steps.a.inputs.src)",
                &[],
                &["$(steps.a.outputs.image)", "$(steps.a.inputs.src)"],
            ),
            ("$(steps.a.inputs.src.x)", &[], &[]),
            ("$(steps..inputs.src)", &[], &[]),
            ("$(steps.a.exitCode.path)", &[], &[]),
            ("$(steps.x) $(steps.a.outputs.b)", &[], &["$(steps.a.outputs.b)"]),
            ("$(params.x)", &[], &[]),
        ] {
            let expected =
                (results.iter().map(|&s| s.into()).collect(), artifacts.iter().map(|&s| s.into()).collect());
            assert_eq!(found(text), expected, "in {text:?}");
        }
        assert_eq!(inner(b"$(steps.a.results.b)"), b"steps.a.results.b");
    }
}
