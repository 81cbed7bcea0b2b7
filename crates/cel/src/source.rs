//! The expression's text, and what is wrong with it, said as cel-go does (common/source.go, common/error.go).

use std::fmt::Write as _;

/// cel-go cuts its list of errors here.
const MOST_ISSUES: usize = 100;
/// No line longer than this is repeated below an error (common/error.go maxSnippetLength).
const LONGEST_SNIPPET: usize = 16_384;

/// The text by code points, which is how cel-go counts.
pub(super) struct Source {
    pub(super) letters: Vec<char>,
    /// Offset of the first letter of each line.
    lines: Vec<usize>,
}

/// Where an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Location {
    /// The expression as a whole.
    Nowhere,
    /// The code point with this offset.
    At(usize),
}

/// One error of parsing or type-checking.
#[derive(Debug, Clone)]
pub(super) struct Issue {
    pub(super) place: Location,
    pub(super) message: String,
}

/// The errors of one phase.
#[derive(Debug, Default)]
pub(super) struct Issues {
    kept: Vec<Issue>,
    count: usize,
}

impl Issues {
    pub(super) fn report(&mut self, place: Location, message: String) {
        self.count += 1;
        if self.kept.len() < MOST_ISSUES {
            self.kept.push(Issue { place, message });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them in the order of the text, each with its line and a mark below it.
    pub(super) fn display(mut self, source: &Source) -> String {
        self.kept.sort_by_key(|issue| issue.place);
        let mut texts: Vec<String> = self.kept.iter().map(|issue| source.display(issue)).collect();
        if self.count > MOST_ISSUES {
            texts.push(format!("{} more errors were truncated", self.count - MOST_ISSUES));
        }
        texts.join("\n")
    }
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        let letters: Vec<char> = text.chars().collect();
        let mut lines = vec![0];
        lines.extend(letters.iter().enumerate().filter(|&(_, &c)| c == '\n').map(|(at, _)| at + 1));
        Self { letters, lines }
    }

    /// The text between two offsets.
    pub(super) fn slice(&self, start: usize, end: usize) -> String {
        self.letters[start.min(self.letters.len())..end.min(self.letters.len())].iter().collect()
    }

    fn display(&self, issue: &Issue) -> String {
        let Location::At(at) = issue.place else {
            return format!("ERROR: <input>:-1:0: {}", issue.message);
        };
        let line = self.lines.partition_point(|&start| start <= at) - 1;
        let column = at - self.lines[line];
        // cel-go's parser has no column for the end of nothing.
        let shown = if self.letters.is_empty() { 0 } else { column + 1 };
        let mut out = format!("ERROR: <input>:{}:{shown}: {}", line + 1, issue.message);
        let end = self.lines.get(line + 1).map_or(self.letters.len(), |next| next - 1);
        let snippet = self.slice(self.lines[line], end).replace('\t', " ");
        if self.letters.is_empty() || snippet.len() > LONGEST_SNIPPET {
            return out;
        }
        let _ = write!(out, "\n | {snippet}\n | ");
        let mut letters = snippet.chars();
        for c in letters.by_ref().take(column) {
            out.push(if c.is_ascii() { '.' } else { '\u{ff0e}' });
        }
        out.push(if letters.next().is_none_or(|c| c.is_ascii()) { '^' } else { '\u{ff3e}' });
        out
    }
}
