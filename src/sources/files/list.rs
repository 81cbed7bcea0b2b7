//! An object of any size, member by member: the items of a List are handed on one at a time.
//!
//! `kind` may come after `items`, as in what kubectl prints. Then they are taken for a List's, which they must be in the end;
//! and they must say what they are themselves, as only a TaskRunList's need not.

use std::io::Read;

use crate::{
    sources::{
        error::{LARGEST_OBJECT, Rest},
        failure::ReadFailure,
        files::{input::Input, nesting::bracketed},
        sink::{FoundDocument, Sink, Stopped},
    },
    tekton::{
        strict::{
            case_variant,
            node::{Content, Member, Node},
        },
        taskrun::Inherited,
        unsuitable::Unsuitable,
    },
};

/// Why the object could not be read to its end.
type Step<T> = Result<Result<T, ReadFailure>, Stopped>;

macro_rules! step {
    ($step:expr) => {
        match $step? {
            Ok(value) => value,
            Err(failure) => return Ok(Err(failure)),
        }
    };
}

/// What a page says of its list (`metav1.ListMeta`).
pub(in crate::sources) struct Page {
    /// What the next page is asked for with, if there is one.
    pub(in crate::sources) next: Option<String>,
    /// From where on changes can be watched.
    pub(in crate::sources) version: String,
}

/// Hands on the items of a list of `kind`, as an API server answers with.
pub(in crate::sources) fn page(reader: &mut dyn Read, kind: &str, sink: &mut dyn Sink) -> Step<Page> {
    let mut input = Input::new(reader, false);
    step!(next(&mut input, sink));
    let envelope = step!(envelope(&mut input, sink));
    // To its end: what is cut there is not whole either, and the connection can be used again.
    match input.skip_space(sink)? {
        Ok(None) => {}
        Ok(Some(_)) => return Ok(Err(ReadFailure::expected("the end of the list", input.line()))),
        Err(error) => return Ok(Err(ReadFailure::Read(error))),
    }
    let list: Node = match serde_json::from_slice(&envelope.text) {
        Ok(list) => list,
        Err(error) => return Ok(Err(ReadFailure::List(error.to_string()))),
    };
    let found = envelope.kind.unwrap_or_default();
    if found.strip_suffix("List") != Some(kind) || !envelope.has_items {
        return Ok(Err(ReadFailure::List(format!("its kind is {found:?}, not {kind}List"))));
    }
    let text = |key: &str| list.get("metadata")?.get(key)?.text().map(str::to_owned);
    let next = text("continue").filter(|token| !token.is_empty());
    match part(&list) {
        // It says that there is more, but not how to ask for it.
        Some(failure) if next.is_none() => Ok(Err(failure)),
        _ => Ok(Ok(Page { next, version: text("resourceVersion").unwrap_or_default() })),
    }
}

/// Hands on the object that the input starts with, or the items of the List that it is.
pub(super) fn members(input: &mut Input<'_>, sink: &mut dyn Sink) -> Step<()> {
    let first_line = input.line();
    let envelope = step!(envelope(input, sink));
    envelope.finish(first_line, sink)
}

/// The object that the input starts with, without what is in `items`: those are handed on.
fn envelope(input: &mut Input<'_>, sink: &mut dyn Sink) -> Step<Envelope> {
    if input.bytes().first() != Some(&b'{') {
        return Ok(Err(ReadFailure::Unsuitable(Unsuitable::Array)));
    }
    let mut envelope = Envelope::default();
    step!(envelope.copy(input, 1));
    if step!(next(input, sink)) == b'}' {
        step!(envelope.copy(input, 1));
        return Ok(Ok(envelope));
    }
    loop {
        let length = step!(string(input, sink));
        let key = serde_json::from_slice::<String>(&input.bytes()[..length]).unwrap_or_default();
        step!(envelope.copy(input, length));
        if step!(next(input, sink)) != b':' {
            return Ok(Err(ReadFailure::expected("a colon", input.line())));
        }
        step!(envelope.copy(input, 1));
        let first = step!(next(input, sink));
        if key == "items" && first == b'[' && envelope.may_be_list() {
            envelope.has_items = true;
            let inherited = envelope.inherited();
            step!(items(input, &inherited, sink));
            envelope.text.extend(b"[]");
        } else {
            let length = step!(value(input, first, sink));
            envelope.note(&key, &input.bytes()[..length]);
            step!(envelope.copy(input, length));
        }
        let after = step!(next(input, sink));
        step!(envelope.copy(input, 1));
        match after {
            b'}' => return Ok(Ok(envelope)),
            b',' => step!(next(input, sink)),
            _ => return Ok(Err(ReadFailure::expected("a comma or the end of the object", input.line()))),
        };
    }
}

/// The items of a List, from its bracket to the closing one.
fn items(input: &mut Input<'_>, inherited: &Inherited, sink: &mut dyn Sink) -> Step<()> {
    input.consume(1);
    if step!(next(input, sink)) == b']' {
        input.consume(1);
        return Ok(Ok(()));
    }
    loop {
        let first = step!(next(input, sink));
        let length = step!(value(input, first, sink));
        sink.take(FoundDocument::Json {
            bytes: &input.bytes()[..length],
            line: input.line(),
            inherited: Some(inherited),
        })?;
        input.consume(length);
        let after = step!(next(input, sink));
        input.consume(1);
        match after {
            b']' => return Ok(Ok(())),
            b',' => {}
            _ => return Ok(Err(ReadFailure::expected("a comma or the end of the items", input.line()))),
        }
    }
}

/// The byte after white space.
fn next(input: &mut Input<'_>, sink: &mut dyn Sink) -> Step<u8> {
    Ok(match input.skip_space(sink)? {
        Ok(Some(byte)) => Ok(byte),
        Ok(None) => Err(ReadFailure::unclosed(input.line())),
        Err(error) => Err(ReadFailure::Read(error)),
    })
}

/// The length of the value that the input starts with.
fn value(input: &mut Input<'_>, first: u8, sink: &mut dyn Sink) -> Step<usize> {
    match first {
        b'{' | b'[' => bracketed(input, 0, sink),
        b'"' => string(input, sink),
        b',' | b']' | b'}' | b':' => Ok(Err(ReadFailure::expected("a value", input.line()))),
        _ => until(input, sink, |bytes| {
            bytes.iter().position(|byte| byte.is_ascii_whitespace() || b",]}".contains(byte))
        }),
    }
}

/// The length of the string that the input starts with.
fn string(input: &mut Input<'_>, sink: &mut dyn Sink) -> Step<usize> {
    if input.bytes().first() != Some(&b'"') {
        return Ok(Err(ReadFailure::expected("a key", input.line())));
    }
    until(input, sink, |bytes| {
        let mut escaped = false;
        let end = bytes.iter().skip(1).position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        })?;
        Some(end + 2)
    })
}

/// Reads until `length` finds the end of something.
fn until(input: &mut Input<'_>, sink: &mut dyn Sink, length: impl Fn(&[u8]) -> Option<usize>) -> Step<usize> {
    // Looked at again from its start, so after twice as much each time.
    let mut wanted = 0;
    loop {
        let there = input.bytes().len();
        if there >= wanted {
            if let Some(length) = length(input.bytes()) {
                return Ok(Ok(length));
            }
            wanted = 2 * there;
        }
        if there > LARGEST_OBJECT {
            return Ok(Err(ReadFailure::TooLarge(Rest::NotRead)));
        }
        match input.more(sink)? {
            Ok(true) => {}
            Ok(false) => {
                let line = input.line();
                return Ok(length(input.bytes()).ok_or_else(|| ReadFailure::unclosed(line)));
            }
            Err(error) => return Ok(Err(ReadFailure::Read(error))),
        }
    }
}

#[derive(Default)]
struct Envelope {
    text: Vec<u8>,
    kind: Option<String>,
    api_version: Option<String>,
    has_items: bool,
}

impl Envelope {
    fn copy(&mut self, input: &mut Input<'_>, length: usize) -> Step<()> {
        if self.text.len() + length > LARGEST_OBJECT {
            return Ok(Err(ReadFailure::TooLarge(Rest::NotRead)));
        }
        self.text.extend(&input.bytes()[..length]);
        input.consume(length);
        Ok(Ok(()))
    }

    fn note(&mut self, key: &str, value: &[u8]) {
        let text = || serde_json::from_slice(value).ok();
        match key {
            "kind" => self.kind = text(),
            "apiVersion" => self.api_version = text().map(|version: String| short(&version)),
            _ => {}
        }
    }

    fn may_be_list(&self) -> bool {
        self.kind.as_ref().is_none_or(|kind| kind.ends_with("List"))
    }

    fn inherited(&self) -> Inherited {
        let is_task_run = self.kind.as_deref() == Some("TaskRunList");
        Inherited { is_task_run, api_version: self.api_version.clone() }
    }

    /// What is left is an object of its own, or must be a List, read as strictly as any object.
    fn finish(self, line: u64, sink: &mut dyn Sink) -> Step<()> {
        if !self.has_items {
            sink.take(FoundDocument::Json { bytes: &self.text, line, inherited: None })?;
            return Ok(Ok(()));
        }
        let list = match serde_json::from_slice::<Node>(&self.text) {
            Err(error) => Err(error.to_string()),
            Ok(list) => check_list(&list).map(|()| part(&list)),
        };
        match list {
            Err(reason) => sink.take(FoundDocument::Failed(ReadFailure::List(reason)))?,
            Ok(None) => {}
            Ok(Some(part)) => sink.take(FoundDocument::Failed(part))?,
        }
        Ok(Ok(()))
    }
}

/// Fields of a List (Kubernetes `metav1.List`).
const FIELDS: [&str; 4] = ["apiVersion", "items", "kind", "metadata"];

/// What its items may leave out.
pub(super) fn inherited(list: &Node) -> Inherited {
    let text = |key: &str| list.get(key).and_then(Node::text);
    let api_version = text("apiVersion").map(short);
    Inherited { is_task_run: text("kind") == Some("TaskRunList"), api_version }
}

/// A version as every item of its list is told it: longer than any that there is, it is cut.
fn short(version: &str) -> String {
    version.chars().take(100).collect()
}

/// Whether an object is a List to every reader of it.
pub(super) fn check_list(list: &Node) -> Result<(), String> {
    let kind = list.get("kind").and_then(Node::text).unwrap_or_default();
    match list.members().iter().find(|member| case_variant(&member.key, &FIELDS).is_some()) {
        Some(Member { key, .. }) => {
            Err(format!("its field {key:?} is written in another case than Kubernetes'"))
        }
        None if kind.ends_with("List") => Ok(()),
        None => Err(format!("its kind is {kind:?}")),
    }
}

/// What a List says of items that are not in it, as an API server answers a reader who asks for so many at a time
/// (`metav1.ListMeta`, `continue` and `remainingItemCount`).
pub(super) fn part(list: &Node) -> Option<ReadFailure> {
    let metadata = list.get("metadata")?;
    let stated = |key: &str| metadata.get(key).map(|value| &value.content);
    let goes_on = |content: &Content| match content {
        Content::Null => false,
        Content::Text(token) => !token.is_empty(),
        _ => true,
    };
    let remaining = match stated("remainingItemCount") {
        Some(Content::Number(number)) => number.as_u64(),
        _ => None,
    };
    let is_part = stated("continue").is_some_and(goes_on) || remaining.is_some_and(|remaining| remaining > 0);
    is_part.then_some(ReadFailure::Part(remaining))
}
