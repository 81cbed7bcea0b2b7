//! References to other steps in a text (Tekton pkg/internal/resultref, internal/artifactref).
//!
//! * results: `\$\(steps\..*?\.results\..*?\)`, where `.` is no newline;
//! * artifacts: `\$\(steps\.([^.]+)\.(?:inputs|outputs)\.([^.)]+)\)`.

const START: &[u8] = b"$(steps.";

/// All references to step results, in order, none overlapping.
pub(super) fn to_results(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    find_all(text, result_reference)
}

/// All references to artifacts, in order, none overlapping.
pub(super) fn to_artifacts(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    find_all(text, artifact_reference)
}

/// `reference` gives the length of what follows the start mark, if it is a reference.
fn find_all(text: &[u8], reference: fn(&[u8]) -> Option<usize>) -> impl Iterator<Item = &[u8]> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(at) = find(&text[from..], START) {
            let start = from + at;
            let body = start + START.len();
            if let Some(length) = reference(&text[body..]) {
                from = body + length;
                return Some(&text[start..from]);
            }
            from = start + 1;
        }
        None
    })
}

fn result_reference(body: &[u8]) -> Option<usize> {
    const MIDDLE: &[u8] = b".results.";
    let line = &body[..body.iter().position(|&b| b == b'\n').unwrap_or(body.len())];
    let after = find(line, MIDDLE)? + MIDDLE.len();
    Some(after + find(&line[after..], b")")? + 1)
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

pub(super) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Go's strings.ReplaceAll.
pub(super) fn replace_all(text: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find(rest, what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(with);
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// What stands between `$(` and `)`.
pub(super) fn inner(reference: &[u8]) -> &[u8] {
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
        assert_eq!(replace_all(b"a$(x)b$(x)", b"$(x)", b"$(x)1"), b"a$(x)1b$(x)1");
        assert_eq!(inner(b"$(steps.a.results.b)"), b"steps.a.results.b");
    }
}
