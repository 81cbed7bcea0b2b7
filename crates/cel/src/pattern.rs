//! RE2 patterns as Go reads them (Go regexp/syntax/parse.go), written anew for the `regex` crate's engine. It is used
//! directly, as one of its parts is enough: the one that takes time in proportion to pattern and text.
//!
//! The two agree on what a pattern means once it is spelled out: here every character becomes its number, every class a
//! list of ranges, every flag a group of its own. What Go refuses never gets there. As only "matches or not" is asked,
//! groups do not capture and greed does not matter.

mod classes;
mod escapes;

use std::fmt::Write as _;

use regex_automata::{
    nfa::thompson::{
        self, WhichCaptures,
        pikevm::{Cache, PikeVM},
    },
    util::syntax,
};

use crate::pattern::classes::posix_class;

/// Repetitions, multiplied where they are nested (Go parse.go).
const MOST_REPEATS: u64 = 1_000;
/// Groups inside groups (Go parse.go maxHeight).
const DEEPEST: usize = 1_000;
/// Bytes that a compiled pattern may take.
const LARGEST: usize = 1 << 20;

/// Why a pattern is none.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Go's words, with the part they are about.
    #[error("error parsing regexp: {what}: `{part}`")]
    Syntax {
        /// What is wrong.
        what: &'static str,
        /// The part.
        part: String,
    },
    /// It compiles to too much.
    #[error("the regular expression needs more than {LARGEST} bytes of memory; use fewer repetitions in it")]
    TooLarge,
}

/// A pattern, understood.
#[derive(Debug)]
pub struct Pattern {
    spelled_out: String,
    /// Roughly how many states it compiles to.
    pub weight: u64,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Regex {
    engine: PikeVM,
    cache: Cache,
}

impl Regex {
    /// Whether it matches somewhere in the text.
    pub fn is_match(&mut self, text: &str) -> bool {
        self.engine.is_match(&mut self.cache, text)
    }
}

impl Pattern {
    /// Compiles it, to match anywhere in a text.
    pub fn compile(&self) -> Result<Regex, PatternError> {
        // What is spelled out has no syntax to get wrong.
        build(&self.spelled_out).ok_or(PatternError::TooLarge)
    }

    /// The same for a pattern that the whole text must match.
    pub fn compile_whole(&self) -> Result<Regex, PatternError> {
        build(&format!("\\A{}\\z", self.spelled_out)).ok_or(PatternError::TooLarge)
    }
}

fn build(pattern: &str) -> Option<Regex> {
    let states = thompson::Config::new().nfa_size_limit(Some(LARGEST)).which_captures(WhichCaptures::None);
    // Groups are counted before, and each becomes several.
    let groups = syntax::Config::new().nest_limit(10_000);
    let engine = PikeVM::builder().syntax(groups).thompson(states).build(pattern).ok()?;
    let cache = engine.create_cache();
    Some(Regex { engine, cache })
}

const INVALID_RANGE: &str = "invalid character class range";

/// Reads a pattern.
pub fn read(pattern: &str) -> Result<Pattern, PatternError> {
    let mut reader = Reader { whole: pattern, rest: pattern, depth: 0, properties: Vec::new() };
    let piece = reader.alternatives(Flags::default())?;
    if !reader.rest.is_empty() {
        return Err(refused("unexpected )", pattern));
    }
    Ok(Pattern { spelled_out: piece.text, weight: piece.weight })
}

fn refused(what: &'static str, part: &str) -> PatternError {
    PatternError::Syntax { what, part: part.to_owned() }
}

/// Those flags that change what matches.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    any_case: bool,
    many_lines: bool,
    dot_takes_newline: bool,
}

/// A part of the pattern, spelled out.
#[derive(Debug, Default)]
struct Piece {
    text: String,
    weight: u64,
    repeats: u64,
}

impl Piece {
    fn new(text: impl Into<String>, weight: u64) -> Self {
        Self { text: text.into(), weight, repeats: 1 }
    }

    fn join(&mut self, other: &Self) {
        self.text += &other.text;
        self.weight = self.weight.saturating_add(other.weight);
        self.repeats = self.repeats.max(other.repeats);
    }
}

/// What a sequence is made of.
enum Item<'a> {
    /// It matches something by itself.
    Piece(Piece),
    /// How often what is before it is repeated: at least, and at most.
    Repetition((u64, Option<u64>)),
    /// `|`
    Or,
    /// Flags up to the end of the group: a repetition after them is of what is before them.
    Flags,
    /// What `\Q` and `\E` enclose: a repetition after it is of its last character alone.
    Quoted(&'a str),
}

struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
    depth: usize,
    /// The names in `\p{name}` so far, and as which properties they are known.
    properties: Vec<(&'a str, String)>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// The text from there up to here.
    fn since(&self, start: &'a str) -> &'a str {
        &start[..start.len() - self.rest.len()]
    }

    /// Up to the end or a closing parenthesis.
    fn alternatives(&mut self, mut flags: Flags) -> Result<Piece, PatternError> {
        let mut whole = Piece::new("(?:", 1);
        // The last piece, which a repetition would be of; and that repetition, if it has one.
        let mut last: Option<Piece> = None;
        let mut repetition: Option<&'a str> = None;
        while let Some(c) = self.rest.chars().next().filter(|c| *c != ')') {
            let start = self.rest;
            let next = match self.item(c, &mut flags)? {
                Item::Repetition(counts) => {
                    last = Some(self.repetition(start, counts, last.take(), repetition)?);
                    repetition = Some(start);
                    continue;
                }
                Item::Piece(piece) => Some(piece),
                Item::Or => {
                    if let Some(last) = last.take() {
                        whole.join(&last);
                    }
                    whole.text.push('|');
                    None
                }
                Item::Flags => None,
                Item::Quoted(text) => {
                    for c in text.chars() {
                        if let Some(last) = last.replace(character(c, flags)) {
                            whole.join(&last);
                        }
                    }
                    None
                }
            };
            repetition = None;
            if let Some(next) = next
                && let Some(last) = last.replace(next)
            {
                whole.join(&last);
            }
        }
        if let Some(last) = last {
            whole.join(&last);
        }
        whole.text.push(')');
        Ok(whole)
    }

    /// What begins here, with `c`.
    fn item(&mut self, c: char, flags: &mut Flags) -> Result<Item<'a>, PatternError> {
        let start = self.rest;
        let piece = match c {
            '(' => return Ok(self.group(flags)?.map_or(Item::Flags, Item::Piece)),
            '[' => return self.class(*flags).map(Item::Piece),
            '\\' if start.starts_with("\\Q") => return Ok(Item::Quoted(self.quoted())),
            '\\' => return self.escaped(*flags).map(Item::Piece),
            '{' => match self.counts() {
                Some((least, most)) => {
                    let wrong =
                        least > MOST_REPEATS || most.is_some_and(|most| most > MOST_REPEATS || most < least);
                    if wrong {
                        return Err(refused("invalid repeat count", self.since(start)));
                    }
                    return Ok(Item::Repetition((least, most)));
                }
                None => character(c, *flags),
            },
            '|' => {
                self.next();
                return Ok(Item::Or);
            }
            '*' | '+' | '?' => {
                self.next();
                return Ok(Item::Repetition(match c {
                    '*' => (0, None),
                    '+' => (1, None),
                    _ => (0, Some(1)),
                }));
            }
            '.' => Piece::new(if flags.dot_takes_newline { "(?s:.)" } else { "[^\\n]" }, 8),
            '^' => Piece::new(if flags.many_lines { "(?m:^)" } else { "\\A" }, 1),
            '$' => Piece::new(if flags.many_lines { "(?m:$)" } else { "\\z" }, 1),
            c => character(c, *flags),
        };
        self.next();
        Ok(Item::Piece(piece))
    }

    /// The repetition of `last` whose operator began at `start`; `before` is where that of `last` itself did, if it is one.
    fn repetition(
        &mut self,
        start: &'a str,
        (least, most): (u64, Option<u64>),
        last: Option<Piece>,
        before: Option<&'a str>,
    ) -> Result<Piece, PatternError> {
        if self.rest.starts_with('?') {
            self.take(1);
        }
        let operator = self.since(start);
        if let Some(before) = before {
            return Err(refused("invalid nested repetition operator", self.since(before)));
        }
        let last = last.ok_or_else(|| refused("missing argument to repetition operator", operator))?;
        let repeat = repeated_piece(&last, least, most);
        if start.starts_with('{') && repeat.repeats > MOST_REPEATS {
            return Err(refused("invalid repeat count", operator));
        }
        Ok(repeat)
    }

    /// `{2}`, `{2,}` or `{2,3}`; anything else is not a repetition, and left where it is.
    fn counts(&mut self) -> Option<(u64, Option<u64>)> {
        let inside = &self.rest[1..self.rest.find('}')?];
        let number = |digits: &str| {
            let plain = !digits.is_empty()
                && digits.bytes().all(|c| c.is_ascii_digit())
                && (digits.len() == 1 || !digits.starts_with('0'));
            plain.then(|| digits.parse().unwrap_or(u64::MAX))
        };
        let counts = match inside.split_once(',') {
            None => number(inside).map(|count| (count, Some(count)))?,
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        self.take(inside.len() + 2);
        Some(counts)
    }

    /// A group; `None` if it only sets flags.
    fn group(&mut self, flags: &mut Flags) -> Result<Option<Piece>, PatternError> {
        let mut inner = *flags;
        if self.rest.starts_with("(?P<") || self.rest.starts_with("(?<") {
            let start = self.rest;
            let from = if start.starts_with("(?P<") { 4 } else { 3 };
            let end = start.find('>').ok_or_else(|| refused("invalid named capture", start))?;
            let (capture, name) = (&start[..=end], &start[from..end]);
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return Err(refused("invalid named capture", capture));
            }
            self.take(end + 1);
        } else if self.rest.starts_with("(?") {
            inner = self.flags(*flags)?;
            if self.rest.starts_with(')') {
                self.take(1);
                *flags = inner;
                return Ok(None);
            }
            self.take(1);
        } else {
            self.take(1);
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(refused("expression nests too deeply", self.whole));
        }
        let piece = self.alternatives(inner)?;
        self.depth -= 1;
        if self.next() != Some(')') {
            return Err(refused("missing closing )", self.whole));
        }
        Ok(Some(piece))
    }

    /// The flags of `(?flags)` or `(?flags:`; what ends them is left.
    fn flags(&mut self, mut flags: Flags) -> Result<Flags, PatternError> {
        let start = self.rest;
        self.take(2);
        let (mut on, mut seen) = (true, false);
        loop {
            let before = self.rest;
            match self.next() {
                Some('i') => flags.any_case = on,
                Some('m') => flags.many_lines = on,
                Some('s') => flags.dot_takes_newline = on,
                Some('U') => {}
                Some('-') if on => {
                    on = false;
                    seen = false;
                    continue;
                }
                Some(':' | ')') if on || seen => {
                    self.rest = before;
                    return Ok(flags);
                }
                _ => return Err(refused("invalid or unsupported Perl syntax", self.since(start))),
            }
            seen = true;
        }
    }

    /// A character class in brackets.
    fn class(&mut self, flags: Flags) -> Result<Piece, PatternError> {
        let start = self.rest;
        self.take(1);
        let mut out = String::from("[");
        if self.rest.starts_with('^') {
            self.take(1);
            out.push('^');
        }
        let mut weight = 8;
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.rest.starts_with("[:")
                && let Some(end) = self.rest[2..].find(":]")
            {
                let name = self.take(end + 4);
                out += posix_class(name).ok_or_else(|| refused(INVALID_RANGE, name))?;
                continue;
            }
            if self.rest.starts_with('\\')
                && let Some((class, more)) = self.named_class()?
            {
                out += &class;
                weight += more;
                continue;
            }
            let range = self.rest;
            let low = self.class_character(start)?;
            let mut high = low;
            if self.rest.starts_with('-') && self.rest.len() > 1 && !self.rest.starts_with("-]") {
                self.take(1);
                high = self.class_character(start)?;
                if high < low {
                    return Err(refused(INVALID_RANGE, self.since(range)));
                }
            }
            let _ = write!(out, "\\x{{{:x}}}-\\x{{{:x}}}", low as u32, high as u32);
            weight += 1;
        }
        self.take(1);
        out.push(']');
        Ok(Piece::new(if flags.any_case { format!("(?i:{out})") } else { out }, weight))
    }

    fn class_character(&mut self, class: &'a str) -> Result<char, PatternError> {
        if self.rest.starts_with('\\') {
            return self.escaped_character();
        }
        self.next().ok_or_else(|| refused("missing closing ]", class))
    }
}

fn character(c: char, flags: Flags) -> Piece {
    let number = format!("\\x{{{:x}}}", c as u32);
    if flags.any_case { Piece::new(format!("(?i:{number})"), 3) } else { Piece::new(number, 1) }
}

fn repeated_piece(piece: &Piece, least: u64, most: Option<u64>) -> Piece {
    let operator = match (least, most) {
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (least, None) => format!("{{{least},}}"),
        (least, Some(most)) => format!("{{{least},{most}}}"),
    };
    let counted = !matches!(operator.as_str(), "*" | "+" | "?");
    let times = most.unwrap_or(least).max(1);
    Piece {
        text: format!("(?:{}){operator}", piece.text),
        weight: piece.weight.saturating_mul(times).saturating_add(1),
        repeats: match (counted, most) {
            (false, _) => piece.repeats,
            // Nothing is left of it.
            (true, Some(0)) => 1,
            (true, _) => piece.repeats.saturating_mul(times),
        },
    }
}
