//! References to results of earlier steps: `$(steps.<step>.results.<result>)`, an element `[<index>]` of an array, all of them
//! `[*]`, or a member `.<key>` of an object.

use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    rc::Rc,
};

use go::text::utf8;

use super::{Earlier, EarlierError, OutOfRange, Subjects};
use crate::tekton::{
    references::{self, StepResultPart, StepResultReference, to_results},
    value::{self, ResultValue},
};

/// Why a reference cannot be replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResultReferenceError {
    #[error(transparent)]
    Form(#[from] references::ResultReferenceError),
    #[error(transparent)]
    Earlier(#[from] EarlierError),
    #[error("failed to find replacement for {reference} to replace {word}: {error}")]
    InCommand { reference: String, word: String, error: Box<Self> },
    #[error(
        "value must be in \"$(steps.<step-name>.results.<result-name>[*])\" format, when using array results"
    )]
    ArrayInText,
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

/// What an element takes besides its bytes.
const PER_ELEMENT: usize = 64;

type Replaced<T> = Result<T, ResultReferenceError>;

/// What takes the place of a reference.
enum Replacement {
    Text(Vec<u8>),
    /// All elements of an array that has some.
    Elements(Vec<Vec<u8>>),
}

/// Environment, when expressions, command, in this order.
pub(super) fn apply(subjects: &mut Subjects<'_>, earlier: &Earlier<'_>) -> Replaced<()> {
    let results = Results { earlier, loaded: RefCell::default() };
    subjects.environment.replace(|value| results.in_text(value))?;
    for expression in subjects.when.iter_mut() {
        expression.values = results.in_words(&expression.values, |_, _, error| error)?;
        for text in [&mut expression.input, &mut expression.cel] {
            if let Some(replaced) = results.in_text(text.as_bytes())? {
                *text = OsString::from_vec(replaced);
            }
        }
    }
    let in_command = |reference: &[u8], word: &OsStr, error| match error {
        ResultReferenceError::OutOfRange(_) => error,
        error => ResultReferenceError::InCommand {
            reference: utf8(reference).0,
            word: utf8(word.as_bytes()).0,
            error: Box::new(error),
        },
    };
    *subjects.command = results.in_words(subjects.command, in_command)?;
    Ok(())
}

/// The names of a step and of one of its results.
type StepAndResult = (Vec<u8>, Vec<u8>);

/// The results of earlier steps, each read once.
struct Results<'a> {
    earlier: &'a Earlier<'a>,
    loaded: RefCell<HashMap<StepAndResult, Rc<Value>>>,
}

impl Results<'_> {
    /// A text in which arrays become empty; `None` if it has no reference.
    fn in_text(&self, text: &[u8]) -> Replaced<Option<Vec<u8>>> {
        let mut replaced: Option<Vec<u8>> = None;
        for reference in to_results(text) {
            let with = match self.replacement(reference)? {
                Replacement::Text(text) => text,
                Replacement::Elements(_) => Vec::new(),
            };
            replaced =
                Some(self.earlier.replace_all(replaced.as_deref().unwrap_or(text), reference, &with)?);
        }
        Ok(replaced)
    }

    /// Words, of which one that is nothing but a reference to an array becomes its elements.
    fn in_words(
        &self,
        words: &[OsString],
        failed: impl Fn(&[u8], &OsStr, ResultReferenceError) -> ResultReferenceError,
    ) -> Replaced<Vec<OsString>> {
        let mut out = Vec::new();
        for word in words {
            let text = word.as_bytes();
            let mut replaced = vec![text.to_vec()];
            for reference in to_results(text) {
                match self.replacement(reference).map_err(|error| failed(reference, word, error))? {
                    Replacement::Text(with) => {
                        replaced[0] = self.earlier.replace_all(&replaced[0], reference, &with)?;
                    }
                    Replacement::Elements(elements) if reference == text => replaced = elements,
                    Replacement::Elements(_) => return Err(ResultReferenceError::ArrayInText),
                }
            }
            out.extend(replaced.into_iter().map(OsString::from_vec));
        }
        Ok(out)
    }

    fn replacement(&self, reference: &[u8]) -> Replaced<Replacement> {
        let StepResultReference { step, result, part } = StepResultReference::parse(reference)?;
        let value = self.load(step, &result)?;
        Ok(match part {
            StepResultPart::Member(key) => Replacement::Text(value.member(key)),
            StepResultPart::Whole => Replacement::Text(value.text()),
            StepResultPart::All if value.elements().is_empty() => Replacement::Text(Vec::new()),
            StepResultPart::All => {
                let elements = value.elements();
                let size: usize = elements.iter().map(|element| element.len() + PER_ELEMENT).sum();
                self.earlier.spend(size)?;
                Replacement::Elements(elements.iter().map(|element| element.clone().into_bytes()).collect())
            }
            StepResultPart::At(index) => {
                let elements = value.elements();
                let at = usize::try_from(index).ok().and_then(|index| elements.get(index));
                let length = elements.len();
                let out_of_range = || OutOfRange { index, length, reference: utf8(reference).0 };
                Replacement::Text(at.cloned().ok_or_else(out_of_range)?.into_bytes())
            }
        })
    }

    fn load(&self, step: &[u8], name: &[u8]) -> Result<Rc<Value>, EarlierError> {
        let key = (step.to_vec(), name.to_vec());
        if let Some(value) = self.loaded.borrow().get(&key) {
            return Ok(value.clone());
        }
        let value = Rc::new(Value::of(self.earlier.read(step, "results", name)?));
        self.loaded.borrow_mut().insert(key, value.clone());
        Ok(value)
    }
}

/// A result as Tekton decodes it, with the bytes of the file where that is no JSON.
struct Value {
    raw: Vec<u8>,
    decoded: ResultValue,
}

impl Value {
    fn of(raw: Vec<u8>) -> Self {
        let decoded = value::decode(&utf8(&raw).0);
        Self { raw, decoded }
    }

    fn text(&self) -> Vec<u8> {
        match &self.decoded {
            ResultValue::String(text) if *text == utf8(&self.raw).0 => self.raw.clone(),
            ResultValue::String(text) => text.clone().into_bytes(),
            _ => Vec::new(),
        }
    }

    fn elements(&self) -> &[String] {
        match &self.decoded {
            ResultValue::Array(items) => items,
            _ => &[],
        }
    }

    fn member(&self, key: &[u8]) -> Vec<u8> {
        match &self.decoded {
            ResultValue::Object(members) => {
                let key = std::str::from_utf8(key).ok();
                key.and_then(|key| members.get(key)).map_or_else(Vec::new, |text| text.clone().into_bytes())
            }
            _ => Vec::new(),
        }
    }
}
