//! Reading YAML: a stream of documents, each an object or a List, whose items are handed on one at a time.
//!
//! Nothing but lines is looked at to find where documents and items end, which is only right if what is in them is whole: a
//! text in quotes may go on in a line that looks like the next item. So each piece is read at once, before the one after it
//! is looked for, and nothing is read after one that is broken.

use std::mem;

use memchr::memchr;

use crate::{
    sources::{
        error::{LARGEST_OBJECT, Rest},
        failure::ReadFailure,
        files::{input::Input, list},
        sink::{FoundDocument, Sink, Stopped},
    },
    tekton::{
        strict::{
            node::{Content, Member, Node, repeated},
            yaml::{self, Between, Dates, Marker, YamlError},
        },
        taskrun::Inherited,
    },
};

/// Items are kept until so many bytes of them were read, as what comes after them says more of what they are.
const HELD: usize = 1 << 20;

/// Why reading ends before the input does.
enum Lost {
    Stopped(Stopped),
    Failed(ReadFailure),
}

impl From<Stopped> for Lost {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<ReadFailure> for Lost {
    fn from(failure: ReadFailure) -> Self {
        Self::Failed(failure)
    }
}

/// Hands on every document of an input that is not JSON.
pub(super) fn split(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), Stopped> {
    let mut stream = Stream { input, sink, found: false, between: Between::Start };
    loop {
        match stream.document() {
            Ok(true) => {}
            Ok(false) if stream.found => return Ok(()),
            Ok(false) => return sink.take(FoundDocument::Failed(ReadFailure::Empty)),
            Err(Lost::Stopped(stopped)) => return Err(stopped),
            Err(Lost::Failed(failure)) => return sink.take(FoundDocument::Failed(failure)),
        }
    }
}

struct Stream<'a, 'b> {
    input: &'a mut Input<'b>,
    sink: &'a mut dyn Sink,
    /// Whether there was any document.
    found: bool,
    between: Between,
}

/// Lines of the input and where they start.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    line: u64,
}

/// What the next line is.
enum Line {
    /// The document ends here; another one may follow.
    Marker(Marker, u64),
    /// The input ends.
    End,
    /// So many bytes of the document.
    Of(usize),
}

impl Stream<'_, '_> {
    /// Reads one document. `false`: it was the last one.
    fn document(&mut self) -> Result<bool, Lost> {
        let mut text = Piece::default();
        loop {
            let length = match self.line()? {
                Line::Of(length) => length,
                end => {
                    let found = self.whole(&text)?;
                    return self.ended(end, found);
                }
            };
            if is_items(&self.input.bytes()[..length])
                && let Some(head) = Head::of(&text)?
            {
                match self.items(head, &mut text)? {
                    None => continue,
                    Some(another) => return Ok(another),
                }
            }
            text.take(self.input, length)?;
        }
    }

    /// An object of its own, or a List that was not read item by item.
    fn whole(&mut self, text: &Piece) -> Result<bool, Lost> {
        let Some(node) = text.read()? else { return Ok(false) };
        self.found = true;
        self.sink.take(FoundDocument::Yaml { node, weight: text.bytes.len(), inherited: None })?;
        Ok(true)
    }

    /// A document ends, with or without anything in it. Gives whether another one follows.
    fn ended(&mut self, end: Line, has_content: bool) -> Result<bool, Lost> {
        let Line::Marker(marker, line) = end else { return Ok(false) };
        self.between = self.between.marker(marker, has_content).map_err(|what| failure(line, what))?;
        Ok(true)
    }

    /// The items of a List that starts with `head`, and what follows them. Gives whether another document follows; `None` if
    /// they are no items on lines of their own after all, and are in `text` now.
    fn items(&mut self, head: Head, text: &mut Piece) -> Result<Option<bool>, Lost> {
        let items_line = self.input.line();
        let length = self.next_line()?;
        text.take(self.input, length)?;
        let mut item = Piece::default();
        // How far the items are indented, once that is known.
        let mut depth = None;
        let mut held = Held::default();
        let end = loop {
            let length = match self.line()? {
                Line::Of(length) => length,
                end => break end,
            };
            let line = &self.input.bytes()[..length];
            if yaml::is_blank(line) {
                item.take(self.input, length)?;
                continue;
            }
            let indentation = line.iter().take_while(|byte| **byte == b' ').count();
            let begins = matches!(&line[indentation..], [b'-', b' ' | b'\r' | b'\n', ..] | [b'-']);
            match depth {
                None if !begins => {
                    text.append(item)?;
                    return Ok(None);
                }
                None => depth = Some(indentation),
                Some(depth) if indentation == depth && begins => {
                    self.item(mem::take(&mut item), &head, &mut held)?;
                }
                Some(depth) if indentation <= depth => break Line::Of(length),
                Some(_) => {}
            }
            item.take(self.input, length)?;
        };
        if depth.is_none() {
            text.append(item)?;
            let found = self.whole(text)?;
            return self.ended(end, found).map(Some);
        }
        self.item(item, &head, &mut held)?;
        let mut tail = Piece::default();
        let mut end = end;
        while let Line::Of(length) = end {
            tail.take(self.input, length)?;
            end = self.line()?;
        }
        // What is still held is only handed on once it is known that they are items.
        let envelope = head.envelope(items_line, &tail)?;
        match list::check_list(&envelope) {
            Ok(()) => {
                held.release(&list::inherited(&envelope), self.sink)?;
                if let Some(part) = list::part(&envelope) {
                    self.sink.take(FoundDocument::Failed(part))?;
                }
            }
            Err(reason) => self.sink.take(FoundDocument::Failed(ReadFailure::List(reason)))?,
        }
        self.ended(end, true).map(Some)
    }

    /// One item, read at once; handed on if enough are held.
    fn item(&mut self, item: Piece, head: &Head, held: &mut Held) -> Result<(), Lost> {
        self.found = true;
        let node = item.read().and_then(|node| match node.map(|node| node.content) {
            Some(Content::List(mut items)) if items.len() == 1 => Ok(items.remove(0)),
            _ => Err(failure(item.line, "it is not one item of the list that it is in")),
        });
        match node {
            Ok(node) => held.items.push((node, item.bytes.len())),
            Err(failure) => {
                held.release(&head.inherited, self.sink)?;
                return Err(failure.into());
            }
        }
        held.bytes += item.bytes.len();
        if held.bytes > HELD {
            held.release(&head.inherited, self.sink)?;
        }
        Ok(())
    }

    /// The next line of a document, not used yet. Markers are used.
    fn line(&mut self) -> Result<Line, Lost> {
        let length = self.next_line()?;
        if length == 0 {
            return Ok(Line::End);
        }
        let line = &self.input.bytes()[..length];
        let marker = yaml::marker(line).map_err(|what| failure(self.input.line(), what))?;
        if marker == Marker::None {
            if !yaml::is_blank(line) {
                self.between.content().map_err(|what| failure(self.input.line(), what))?;
            }
            return Ok(Line::Of(length));
        }
        let line = self.input.line();
        self.input.consume(length);
        Ok(Line::Marker(marker, line))
    }

    /// The length of the line that comes next, with its end; 0 if there is none.
    fn next_line(&mut self) -> Result<usize, Lost> {
        let mut searched = 0;
        loop {
            if let Some(end) = memchr(b'\n', &self.input.bytes()[searched..]) {
                return Ok(searched + end + 1);
            }
            searched = self.input.bytes().len();
            if searched > LARGEST_OBJECT {
                return Err(ReadFailure::TooLarge(Rest::NotRead).into());
            }
            match self.input.more(self.sink)? {
                Ok(true) => {}
                Ok(false) => return Ok(searched),
                Err(error) => return Err(ReadFailure::Read(error).into()),
            }
        }
    }
}

/// Whether a line is the key of a List's items, which are in the lines after it.
fn is_items(line: &[u8]) -> bool {
    line.strip_prefix(b"items:")
        .is_some_and(|rest| rest.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\n')))
}

fn failure(line: u64, what: &'static str) -> ReadFailure {
    ReadFailure::Yaml(YamlError { line, what: what.into() }, Rest::NotRead)
}

impl Piece {
    /// Takes the next line.
    fn take(&mut self, input: &mut Input<'_>, length: usize) -> Result<(), Lost> {
        if self.bytes.is_empty() {
            self.line = input.line();
        }
        if self.bytes.len() + length > LARGEST_OBJECT {
            return Err(ReadFailure::TooLarge(Rest::NotRead).into());
        }
        self.bytes.extend(&input.bytes()[..length]);
        input.consume(length);
        Ok(())
    }

    fn append(&mut self, other: Self) -> Result<(), Lost> {
        if self.bytes.len() + other.bytes.len() > LARGEST_OBJECT {
            return Err(ReadFailure::TooLarge(Rest::NotRead).into());
        }
        self.bytes.extend(other.bytes);
        Ok(())
    }

    fn read(&self) -> Result<Option<Node>, ReadFailure> {
        let text = match std::str::from_utf8(&self.bytes) {
            Ok(text) => text,
            Err(error) => {
                let lines = memchr::memchr_iter(b'\n', &self.bytes[..error.valid_up_to()]).count();
                let line = self.line + u64::try_from(lines).unwrap_or_default();
                return Err(failure(line, "it is not UTF-8"));
            }
        };
        yaml::read(text, self.line, Dates::Refused).map_err(|error| ReadFailure::Yaml(error, Rest::NotRead))
    }

    /// Whether the members of an object go on here: its first line that says anything is not indented, and opens no bracket.
    fn is_at_margin(&self) -> bool {
        let mut lines = self.bytes.split(|byte| *byte == b'\n').filter(|line| !yaml::is_blank(line));
        lines.next().is_none_or(|line| !matches!(line.first(), Some(b' ' | b'{')))
    }
}

/// What comes before the items.
struct Head {
    members: Vec<Member>,
    inherited: Inherited,
}

impl Head {
    /// `None`: an object that is no List.
    fn of(text: &Piece) -> Result<Option<Self>, ReadFailure> {
        let members = match text.read()?.map(|node| node.content) {
            None => Vec::new(),
            Some(Content::Object(members)) if text.is_at_margin() => members,
            Some(_) => return Ok(None),
        };
        let member = |key: &str| {
            let member = members.iter().find(|member| member.key == key)?;
            Some(member.value.text().unwrap_or_default().to_owned())
        };
        let (kind, api_version) = (member("kind"), member("apiVersion"));
        if kind.as_ref().is_some_and(|kind| !kind.ends_with("List")) {
            return Ok(None);
        }
        let inherited = Inherited { is_task_run: kind.as_deref() == Some("TaskRunList"), api_version };
        Ok(Some(Self { members, inherited }))
    }

    /// All of the List but its items.
    fn envelope(&self, items_line: u64, tail: &Piece) -> Result<Node, ReadFailure> {
        let mut members = self.members.clone();
        let items = Node { line: items_line, content: Content::List(Vec::new()) };
        members.push(Member { key: "items".to_owned(), line: items_line, value: items });
        match tail.read()?.map(|node| node.content) {
            None => {}
            Some(Content::Object(more)) if tail.is_at_margin() => members.extend(more),
            Some(_) => return Err(failure(tail.line, "it does not belong to the List that ends before it")),
        }
        if let Some(Member { key, line, .. }) = repeated(&members) {
            let what = format!("the key {key:?} appears twice in one object").into();
            return Err(ReadFailure::Yaml(YamlError { line: *line, what }, Rest::NotRead));
        }
        Ok(Node { line: 0, content: Content::Object(members) })
    }
}

/// Items that were read and not handed on yet.
#[derive(Default)]
struct Held {
    items: Vec<(Node, usize)>,
    bytes: usize,
}

impl Held {
    fn release(&mut self, inherited: &Inherited, sink: &mut dyn Sink) -> Result<(), Stopped> {
        for (node, weight) in self.items.drain(..) {
            sink.take(FoundDocument::Yaml { node, weight, inherited: Some(inherited) })?;
        }
        Ok(())
    }
}
