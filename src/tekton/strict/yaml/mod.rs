//! Reading YAML that every reader reads the same way: YAML 1.1 (kubectl and other Go programs by `sigs.k8s.io/yaml`, PyYAML)
//! and YAML 1.2. What one of them might read otherwise is refused with the line that it is in.
//!
//! Accepted are block and flow collections, plain, quoted and block scalars, anchors and aliases, and comments: all that those
//! programs write. Refused are characters that end a line or stop the reader for some ([`text`]); tags, directives, merge
//! keys, complex keys and unusual spacing ([`structure`]); and scalars without quotes that some take for a number, a date or
//! the like ([`scalar`]). `tests/verify/readers.rs` compares it with the Go package.

mod scalar;
mod structure;
mod text;

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, StructureStyle, options};
use serde_json::Value;
pub(crate) use text::{Between, Marker, is_blank, marker};

use crate::tekton::strict::{
    node::{Content, Member, Node, repeated},
    parser_words::plain,
};

/// Why a text is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {}", plain(what))]
pub struct YamlError {
    /// Where, from 1.
    pub line: u64,
    /// What is wrong there.
    pub what: Cow<'static, str>,
}

/// What becomes of a date without quotes, which PyYAML takes for a date and Go for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// It is refused.
    Refused,
    /// It is a text, in a file that only svidence reads.
    Text,
}

/// Reads a text without document markers. `None`: nothing is in it but comments. `first_line` is the line of the input that
/// it starts in.
pub(crate) fn read(text: &str, first_line: u64, dates: Dates) -> Result<Option<Node>, YamlError> {
    let at = |line: u64, what| YamlError { line: first_line + line - 1, what };
    let text = text::checked(text).map_err(|(line, what)| at(line, what))?;
    let mut builder = Builder::new(&text, first_line, dates);
    for event in Parser::new_from_str_with_options(
        &text,
        options! {
            strict_indentation: true,
            disallow_directives: true,
            block_scalar_eof_without_line_feed: true,
            emit_comments: false,
        },
    ) {
        let (event, span) = event.map_err(|error| at(line_of(&error), error.info().into()))?;
        let start = u64::try_from(span.start.line()).unwrap_or_default();
        let range = span.byte_range().unwrap_or_default();
        builder.take(event, range, start).map_err(|what| at(start, what))?;
    }
    builder.finish()
}

fn line_of(error: &ScanError) -> u64 {
    u64::try_from(error.marker().line()).unwrap_or(1).max(1)
}

/// The documents of a text.
pub fn documents(text: &str, dates: Dates) -> Result<Vec<Value>, YamlError> {
    Ok(nodes(text, dates)?.into_iter().map(Value::from).collect())
}

/// The same, with the lines that they are in.
pub(crate) fn nodes(text: &str, dates: Dates) -> Result<Vec<Node>, YamlError> {
    let mut documents = Vec::new();
    let mut state = Between::Start;
    let (mut start, mut first_line, mut at) = (0, 1, 0);
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let at_line = |what: &'static str| YamlError { line: number, what: what.into() };
        let marker = marker(line.as_bytes()).map_err(at_line)?;
        if marker != Marker::None {
            let document = read(&text[start..at], first_line, dates)?;
            state = state.marker(marker, document.is_some()).map_err(at_line)?;
            documents.extend(document);
            (start, first_line) = (at + line.len(), number + 1);
        } else if !is_blank(line.as_bytes()) {
            state.content().map_err(at_line)?;
        }
        at += line.len();
    }
    documents.extend(read(&text[start..], first_line, dates)?);
    Ok(documents)
}

/// A collection that is not closed yet.
enum Open {
    List { line: u64, anchor: usize, items: Vec<Node> },
    Object { line: u64, anchor: usize, members: Vec<Member>, key: Option<(String, u64)> },
}

/// Makes a tree of events, and looks at the text between them.
struct Builder<'a> {
    text: &'a str,
    first_line: u64,
    dates: Dates,
    open: Vec<Open>,
    /// How many of those are in brackets.
    flow: usize,
    gaps: structure::Gaps<'a>,
    anchors: HashMap<usize, Node>,
    copies: Copies,
    /// Nodes that are written out.
    nodes: usize,
    root: Option<Node>,
}

/// How much may still be copied for anchors and aliases.
struct Copies {
    nodes: usize,
    bytes: usize,
}

impl Copies {
    /// Go refuses a document of which 99 of 100 nodes are copies, or fewer of a large one (`go.yaml.in/yaml/v2`, `decode.go`,
    /// `allowedAliasRatio`); this is less in any document.
    const MOST: Self = Self { nodes: 20_000, bytes: 1 << 20 };
    const TIMES: usize = 50;

    fn copy(&mut self, node: &Node) -> Option<Node> {
        self.nodes = self.nodes.checked_sub(1)?;
        let content = match &node.content {
            Content::Text(text) => {
                self.bytes = self.bytes.checked_sub(text.len())?;
                Content::Text(text.clone())
            }
            Content::List(items) => {
                Content::List(items.iter().map(|item| self.copy(item)).collect::<Option<_>>()?)
            }
            Content::Object(members) => {
                let member = |member: &Member| {
                    self.bytes = self.bytes.checked_sub(member.key.len())?;
                    Some(Member {
                        key: member.key.clone(),
                        line: member.line,
                        value: self.copy(&member.value)?,
                    })
                };
                Content::Object(members.iter().map(member).collect::<Option<_>>()?)
            }
            other => other.clone(),
        };
        Some(Node { line: node.line, content })
    }
}

type Refused<T = ()> = Result<T, Cow<'static, str>>;

impl<'a> Builder<'a> {
    fn new(text: &'a str, first_line: u64, dates: Dates) -> Self {
        let gaps = structure::Gaps::new(text);
        Builder {
            text,
            first_line,
            dates,
            open: Vec::new(),
            flow: 0,
            gaps,
            anchors: HashMap::new(),
            copies: Copies::MOST,
            nodes: 0,
            root: None,
        }
    }

    fn take(&mut self, event: Event<'_>, range: std::ops::Range<usize>, line: u64) -> Refused {
        let line = self.first_line + line - 1;
        match event {
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd
            | Event::DocumentStart(false, None) => Ok(()),
            Event::SequenceStart(style, anchor, None) => {
                self.begin(style, range)?;
                self.open.push(Open::List { line, anchor, items: Vec::new() });
                Ok(())
            }
            Event::MappingStart(style, anchor, None) => {
                if style == StructureStyle::Flow && self.text.as_bytes().get(range.start) != Some(&b'{') {
                    return Err("a key in a list; put it into braces".into());
                }
                self.begin(style, range)?;
                self.open.push(Open::Object { line, anchor, members: Vec::new(), key: None });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Scalar(value, style, anchor, None) => self.scalar(&value, style, anchor, range, line),
            Event::Alias(anchor) => self.alias(anchor, range),
            Event::DocumentStart(..) => Err("a second document".into()),
            _ => Err("a tag (!); leave it out, or give JSON".into()),
        }
    }

    fn begin(&mut self, style: StructureStyle, range: std::ops::Range<usize>) -> Refused {
        if self.wants_key() {
            return Err("a key that is a list or an object; kubectl and others read it otherwise".into());
        }
        if style == StructureStyle::Flow {
            self.gaps.flow_start(range.start)?;
            self.flow += 1;
        } else if self.flow > 0 {
            return Err("lines within brackets".into());
        }
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Object { key: None, .. }))
    }

    fn scalar(
        &mut self,
        value: &str,
        style: ScalarStyle,
        anchor: usize,
        range: std::ops::Range<usize>,
        line: u64,
    ) -> Refused {
        let is_key = self.wants_key();
        if self.open.is_empty() {
            return Err("it is neither an object nor a list".into());
        }
        self.gaps.scalar(range.clone(), style)?;
        let raw = &self.text[range];
        let content = match style {
            _ if is_key && value == "<<" => return Err(scalar::MERGE_KEY.into()),
            ScalarStyle::Plain => scalar::plain(raw, value, self.flow > 0, self.dates)?,
            ScalarStyle::DoubleQuoted => scalar::double_quoted(raw, value)?,
            ScalarStyle::SingleQuoted | ScalarStyle::Literal | ScalarStyle::Folded => {
                Content::Text(value.to_owned())
            }
        };
        if !is_key {
            return self.add(Node { line, content }, anchor);
        }
        if anchor != 0 {
            return Err("an anchor (&) at a key; leave it out".into());
        }
        let Content::Text(key) = content else {
            return Err(format!("the key {raw} is not a text without quotes; quote it").into());
        };
        scalar::key(raw)?;
        if let Some(Open::Object { key: slot, .. }) = self.open.last_mut() {
            *slot = Some((key, line));
        }
        Ok(())
    }

    /// What an anchor stands at, once more.
    fn alias(&mut self, anchor: usize, range: std::ops::Range<usize>) -> Refused {
        if self.wants_key() {
            return Err("an alias (*) as a key; write out what it stands for".into());
        }
        self.gaps.alias(range)?;
        let node = self.anchors.get(&anchor).and_then(|node| self.copies.copy(node));
        self.add(node.ok_or("an alias (*) that stands for too much, or for what it is in; write it out")?, 0)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Refused {
        self.nodes += 1;
        if anchor != 0 {
            let copy =
                self.copies.copy(&node).ok_or("an anchor (&) at too much; write it out where it is used")?;
            self.anchors.insert(anchor, copy);
        }
        match self.open.last_mut() {
            None if self.root.is_none() => self.root = Some(node),
            None => return Err("a second document".into()),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Object { members, key, .. }) => match key.take() {
                Some((key, line)) => members.push(Member { key, line, value: node }),
                None => return Err("a value without a key".into()),
            },
        }
        Ok(())
    }

    fn close(&mut self) -> Refused {
        self.flow = self.flow.saturating_sub(1);
        match self.open.pop() {
            None => Err("a collection that ends before it starts".into()),
            Some(Open::List { line, anchor, items }) => {
                self.add(Node { line, content: Content::List(items) }, anchor)
            }
            Some(Open::Object { key: Some((key, _)), .. }) => {
                Err(format!("the key {key:?} has no value").into())
            }
            Some(Open::Object { line, anchor, members, key: None }) => {
                if let Some(Member { key, line, .. }) = repeated(&members) {
                    return Err(
                        format!("the key {key:?} appears twice in one object, again in line {line}").into()
                    );
                }
                self.add(Node { line, content: Content::Object(members) }, anchor)
            }
        }
    }

    fn finish(mut self) -> Result<Option<Node>, YamlError> {
        let last =
            u64::try_from(memchr::memchr_iter(b'\n', self.text.as_bytes()).count()).unwrap_or_default();
        let (first, gaps) = (self.first_line, self.gaps.end());
        gaps.map_err(|what| YamlError { line: first + last, what })?;
        if Copies::MOST.nodes - self.copies.nodes > Copies::TIMES * self.nodes {
            return Err(YamlError { line: first, what: "it consists of little but aliases (*)".into() });
        }
        Ok(self.root)
    }
}
