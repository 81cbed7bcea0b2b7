//! References to other steps in a text, `$(steps…)`. Tekton finds and reads them in several places, each with a rule of its own:
//!
//! | place | rule, where `.` is no newline | here |
//! |---|---|---|
//! | the entrypoint, results (`pkg/internal/resultref`, `StepResultRegex`) | `\$\(steps\..*?\.results\..*?\)` | [`to_results`] |
//! | the same, taken apart (`ParseStepExpression`) | split at each `.`, four or five parts | [`StepResultReference`] |
//! | the entrypoint, artifacts (`internal/artifactref`, `StepArtifactRegex`) | `\$\(steps\.([^.]+)\.(?:inputs\|outputs)\.([^.)]+)\)` | [`to_artifacts`] |
//! | the controller, a task's result (`pkg/apis/pipeline/v1/result_validation.go`, `ExtractStepResultName`) | the first of `\$\(steps\.(.*?)\.results\.(.*?)\)` | `taken_from` |
//!
//! So a task's result may be taken from the step `a.b`, to which an entrypoint's reference cannot lead. Those to tasks,
//! `$(tasks…)`, are the pipeline's (`tekton::pipelinerun::references`).

use memchr::{memchr, memmem};

const START: &[u8] = b"$(steps.";
const MIDDLE: &[u8] = b".results.";

/// All references to step results, in order, none overlapping.
pub(crate) fn to_results(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    find_all(text, result_reference)
}

/// All references to artifacts, in order, none overlapping.
pub(crate) fn to_artifacts(text: &[u8]) -> impl Iterator<Item = ArtifactReference<'_>> {
    find_all(text, |body| artifact_reference(body).ok_or(0)).filter_map(ArtifactReference::parse)
}

/// Step and step result that a task's result of this value is taken from: the first reference in it.
#[cfg(feature = "cli")]
pub(crate) fn taken_from(value: &str) -> Option<(&str, &str)> {
    let reference = std::str::from_utf8(to_results(value.as_bytes()).next()?).ok()?;
    reference.strip_prefix("$(steps.")?.strip_suffix(')')?.split_once(".results.")
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

/// What is between the dots of `$(…)`.
fn parts(reference: &[u8]) -> Vec<&[u8]> {
    let inner = reference.strip_prefix(b"$(").unwrap_or(reference);
    inner.strip_suffix(b")").unwrap_or(inner).split(|&byte| byte == b'.').collect()
}

/// `$(steps.<step>.outputs.<artifact>)` or `$(steps.<step>.inputs.<artifact>)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArtifactReference<'a> {
    /// All of it.
    pub(crate) text: &'a [u8],
    /// Name of the step.
    pub(crate) step: &'a [u8],
    /// Whether the step made it.
    pub(crate) is_output: bool,
    /// Name of the artifact.
    pub(crate) artifact: &'a [u8],
}

impl<'a> ArtifactReference<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let [_, step, direction, artifact] = parts(text)[..] else { return None };
        Some(Self { text, step, is_output: direction == b"outputs", artifact })
    }
}

/// Why the entrypoint cannot read a reference to a result, in Tekton's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResultReferenceError {
    #[error(
        "must be one of the form 1). \"steps.<stepName>.results.<resultName>\"; 2). \
         \"steps.<stepName>.results.<objectResultName>.<individualAttribute>\""
    )]
    Form,
    #[error(
        "must be one of the form 1). \"tasks.<taskName>.results.<resultName>\"; 2). \
         \"tasks.<taskName>.results.<objectResultName>.<individualAttribute>\"; 3). \
         \"steps.<stepName>.results.<resultName>\"; 4). \
         \"steps.<stepName>.results.<objectResultName>.<individualAttribute>\""
    )]
    TooManyParts,
}

/// `$(steps.<step>.results.<result>)`, with `[<index>]`, `[*]` or `.<key>` behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepResultReference<'a> {
    /// Name of the step.
    pub(crate) step: &'a [u8],
    /// Name of the result.
    pub(crate) result: Vec<u8>,
    /// Which part of it.
    pub(crate) part: StepResultPart<'a>,
}

/// A part of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepResultPart<'a> {
    /// All of a text.
    Whole,
    /// `[*]`: all elements of an array.
    All,
    /// `[<index>]`: an element of an array, from 0; what is too large for a number of Go's is the largest one.
    At(u64),
    /// `.<key>`: a member of an object.
    Member(&'a [u8]),
}

impl<'a> StepResultReference<'a> {
    /// Takes a reference apart (`ParseStepExpression`). A result of which a member is taken keeps its brackets.
    pub(crate) fn parse(reference: &'a [u8]) -> Result<Self, ResultReferenceError> {
        match parts(reference)[..] {
            [b"steps", step, b"results", result] => {
                let (result, part) = split_index(result);
                Ok(Self { step, result, part })
            }
            [b"steps", step, b"results", result, key] => {
                Ok(Self { step, result: result.to_vec(), part: StepResultPart::Member(key) })
            }
            [b"steps", _, b"results", _, _, _, ..] => Err(ResultReferenceError::TooManyParts),
            _ => Err(ResultReferenceError::Form),
        }
    }
}

/// Takes every `\[([0-9])*\*?\]` out of a result's name; the first of them is the index (`ParseResultName`).
fn split_index(result: &[u8]) -> (Vec<u8>, StepResultPart<'static>) {
    let (mut name, mut index) = (Vec::new(), None);
    let mut rest = result;
    while let Some(&first) = rest.first() {
        match bracketed(rest) {
            Some(inside) => {
                index.get_or_insert(inside);
                rest = &rest[inside.len() + 2..];
            }
            None => {
                name.push(first);
                rest = &rest[1..];
            }
        }
    }
    let part = match index {
        None | Some(b"") => StepResultPart::Whole,
        Some(b"*") => StepResultPart::All,
        // Go's Atoi: what is not a number is 0, what is too large is the largest.
        Some(digits) if digits.ends_with(b"*") => StepResultPart::At(0),
        Some(digits) => {
            let digits = String::from_utf8_lossy(digits);
            StepResultPart::At(digits.parse().unwrap_or(u64::MAX).min(i64::MAX.cast_unsigned()))
        }
    };
    (name, part)
}

fn bracketed(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"[")?;
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let star = usize::from(text.get(digits) == Some(&b'*'));
    (text.get(digits + star) == Some(&b']')).then(|| &text[..digits + star])
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
            (texts(&mut to_results(text)), texts(&mut to_artifacts(text).map(|one| one.text)))
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
    }

    #[test]
    fn references_are_taken_apart_as_tekton_does() {
        use ResultReferenceError::{Form, TooManyParts};
        for (reference, expected) in [
            ("$(steps.a.results.b)", Ok(("a", "b", StepResultPart::Whole))),
            ("$(steps.a.results.b[2])", Ok(("a", "b", StepResultPart::At(2)))),
            ("$(steps.a.results.b.k)", Ok(("a", "b", StepResultPart::Member(b"k")))),
            ("$(steps.a.results.b[*].k)", Ok(("a", "b[*]", StepResultPart::Member(b"k")))),
            ("$(steps.a.results.b.k.l)", Err(TooManyParts)),
            ("$(steps.a.b.results.c)", Err(Form)),
            ("$(steps.x) $(steps.a.results.b)", Err(Form)),
        ] {
            let read = StepResultReference::parse(reference.as_bytes());
            let expected = expected.map(|(step, result, part)| {
                let (step, result) = (step.as_bytes(), result.as_bytes().to_vec());
                StepResultReference { step, result, part }
            });
            assert_eq!(read, expected, "{reference}");
        }
        let artifacts = to_artifacts(b"$(steps.a.inputs.b)$(steps.c.outputs.d)");
        let artifacts: Vec<_> =
            artifacts.map(|found| (found.step, found.is_output, found.artifact)).collect();
        assert_eq!(artifacts, [(&b"a"[..], false, &b"b"[..]), (b"c", true, b"d")]);
    }

    #[test]
    fn indexes_as_tekton_reads_them() {
        for (result, name, part) in [
            ("r", "r", StepResultPart::Whole),
            ("r[]", "r", StepResultPart::Whole),
            ("r[*]", "r", StepResultPart::All),
            ("r[0]", "r", StepResultPart::At(0)),
            ("r[12]", "r", StepResultPart::At(12)),
            ("r[3*]", "r", StepResultPart::At(0)),
            ("r[x][1]", "r[x]", StepResultPart::At(1)),
            ("r[1][2]s", "rs", StepResultPart::At(1)),
            ("r[1", "r[1", StepResultPart::Whole),
            ("r[**]", "r[**]", StepResultPart::Whole),
            ("r[99999999999999999999]", "r", StepResultPart::At(i64::MAX.cast_unsigned())),
        ] {
            assert_eq!(split_index(result.as_bytes()), (name.as_bytes().to_vec(), part), "{result}");
        }
    }

    #[cfg(feature = "cli")]
    #[test]
    fn the_result_of_a_step_that_a_task_takes() {
        for (value, expected) in [
            ("$(steps.a.results.b)", Some(("a", "b"))),
            ("x $(steps.a.results.b) $(steps.c.results.d)", Some(("a", "b"))),
            ("$(steps.a.b.results.c.d)", Some(("a.b", "c.d"))),
            ("$(steps.x) $(steps.a.results.b)", Some(("x) $(steps.a", "b"))),
            ("$(steps.a\n.results.b) $(steps.c.results.d)", Some(("c", "d"))),
            ("$(steps.results.b)", None),
            ("$(steps..results.)", Some(("", ""))),
            ("$(steps.a.results.b", None),
            ("é$(steps.é.results.é)", Some(("é", "é"))),
            ("", None),
        ] {
            assert_eq!(taken_from(value), expected, "{value:?}");
        }
    }
}
