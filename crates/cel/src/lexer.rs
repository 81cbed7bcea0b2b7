//! Tokens of CEL (cel-go parser/gen/CEL.g4, lexer rules): the longest match wins.

use crate::source::{Issues, Location, Source};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    End,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Name,
    /// A field name in backquotes.
    QuotedName,
    /// A keyword or a sign.
    Sign(&'static str),
}

/// A token and the code points it covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Longer ones first.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":",
    "+", "*", "/", "%",
];
const KEYWORDS: [&str; 4] = ["in", "true", "false", "null"];

/// All tokens, with [`TokenKind::End`] as the last one. What is not a token is reported and left out.
pub(super) fn tokens(source: &Source, issues: &mut Issues) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut lexer = Lexer { letters: &source.letters };
    let mut at = 0;
    while at < source.letters.len() {
        if let Some(end) = lexer.blank(at) {
            at = end;
            continue;
        }
        match lexer.token(at) {
            Some((kind, end)) => {
                tokens.push(Token { kind, start: at, end });
                at = end;
            }
            None => {
                let end = lexer.unknown(at);
                let text = source.slice(at, end);
                let message = format!("Syntax error: token recognition error at: '{text}'");
                issues.report(Location::At(at), message);
                at = end;
            }
        }
    }
    tokens.push(Token { kind: TokenKind::End, start: at, end: at });
    tokens
}

struct Lexer<'a> {
    letters: &'a [char],
}

impl Lexer<'_> {
    fn letter(&self, at: usize) -> Option<char> {
        self.letters.get(at).copied()
    }

    fn is(&self, at: usize, test: impl Fn(char) -> bool) -> bool {
        self.letter(at).is_some_and(test)
    }

    /// The end of the letters from `at` that pass the test.
    fn run(&self, at: usize, test: impl Fn(char) -> bool) -> usize {
        at + self.letters[at.min(self.letters.len())..].iter().take_while(|&&c| test(c)).count()
    }

    fn blank(&self, at: usize) -> Option<usize> {
        let blanks = self.run(at, |c| matches!(c, '\t' | ' ' | '\r' | '\n' | '\u{c}'));
        if blanks > at {
            return Some(blanks);
        }
        (self.is(at, |c| c == '/') && self.is(at + 1, |c| c == '/')).then(|| self.run(at, |c| c != '\n'))
    }

    fn token(&mut self, at: usize) -> Option<(TokenKind, usize)> {
        let first = self.letter(at)?;
        if let Some(found) = self.quoted(at) {
            return Some(found);
        }
        if first.is_ascii_digit() || first == '.' && self.is(at + 1, |c| c.is_ascii_digit()) {
            return Some(self.number(at));
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let end = self.run(at, |c| c.is_ascii_alphanumeric() || c == '_');
            let word: String = self.letters[at..end].iter().collect();
            let keyword = KEYWORDS.into_iter().find(|&keyword| keyword == word);
            return Some((keyword.map_or(TokenKind::Name, TokenKind::Sign), end));
        }
        if first == '`' {
            let end = self.run(at + 1, |c| c.is_ascii_alphanumeric() || "_.-/ ".contains(c));
            return (end > at + 1 && self.is(end, |c| c == '`')).then_some((TokenKind::QuotedName, end + 1));
        }
        let sign = SIGNS
            .into_iter()
            .find(|sign| sign.chars().enumerate().all(|(i, c)| self.letter(at + i) == Some(c)))?;
        Some((TokenKind::Sign(sign), at + sign.len()))
    }

    fn number(&self, at: usize) -> (TokenKind, usize) {
        let digit = |c: char| c.is_ascii_digit();
        if self.letters[at..].starts_with(&['0', 'x']) {
            let end = self.run(at + 2, |c| c.is_ascii_hexdigit());
            if end > at + 2 {
                return self.whole_number(end);
            }
        }
        let mut end = self.run(at, digit);
        let whole = end;
        if self.is(end, |c| c == '.') && self.is(end + 1, digit) {
            end = self.run(end + 1, digit);
        }
        if self.is(end, |c| matches!(c, 'e' | 'E')) {
            let sign = usize::from(self.is(end + 1, |c| matches!(c, '+' | '-')));
            if self.is(end + 1 + sign, digit) {
                end = self.run(end + 1 + sign, digit);
            }
        }
        if end > whole { (TokenKind::Double, end) } else { self.whole_number(end) }
    }

    fn whole_number(&self, end: usize) -> (TokenKind, usize) {
        if self.is(end, |c| matches!(c, 'u' | 'U')) {
            (TokenKind::Uint, end + 1)
        } else {
            (TokenKind::Int, end)
        }
    }

    fn quoted(&self, at: usize) -> Option<(TokenKind, usize)> {
        let mut start = at;
        let bytes = self.is(start, |c| matches!(c, 'b' | 'B'));
        start += usize::from(bytes);
        let raw = self.is(start, |c| matches!(c, 'r' | 'R'));
        start += usize::from(raw);
        let quote = self.letter(start).filter(|&c| c == '"' || c == '\'')?;
        let triple =
            self.letters[start..].starts_with(&[quote; 3]).then(|| self.string_end(start + 3, quote, 3, raw));
        let end = triple.flatten().or_else(|| self.string_end(start + 1, quote, 1, raw))?;
        Some((if bytes { TokenKind::Bytes } else { TokenKind::Text }, end))
    }

    /// Where the literal whose content begins at `at` ends, its closing quotes included.
    fn string_end(&self, mut at: usize, quote: char, quotes: usize, raw: bool) -> Option<usize> {
        loop {
            match self.letter(at)? {
                c if c == quote && self.run(at, |c| c == quote) - at >= quotes => return Some(at + quotes),
                '\n' | '\r' if quotes == 1 => return None,
                '\\' if !raw => at = self.escape(at + 1)?,
                _ => at += 1,
            }
        }
    }

    /// The end of the escape sequence after its backslash.
    fn escape(&self, at: usize) -> Option<usize> {
        let hex = |count: usize| {
            (1..=count).all(|i| self.is(at + i, |c| c.is_ascii_hexdigit())).then_some(at + 1 + count)
        };
        match self.letter(at)? {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`' => Some(at + 1),
            'x' | 'X' => hex(2),
            'u' => hex(4),
            'U' => hex(8),
            '0'..='3' => (1..=2).all(|i| self.is(at + i, |c| matches!(c, '0'..='7'))).then_some(at + 3),
            _ => None,
        }
    }

    /// How far cel-go reads before it gives up on what begins here: up to the first letter that does not fit.
    fn unknown(&self, at: usize) -> usize {
        let end = match self.letter(at) {
            Some(quote @ ('"' | '\'')) => {
                let mut end = self.run(at + 1, |c| !matches!(c, '\\' | '\n' | '\r') && c != quote);
                while self.is(end, |c| c == '\\')
                    && let Some(next) = self.escape(end + 1)
                {
                    end = self.run(next, |c| !matches!(c, '\\' | '\n' | '\r') && c != quote);
                }
                end + usize::from(self.is(end, |c| c == '\\')) + 1
            }
            Some('`') => self.run(at + 1, |c| c.is_ascii_alphanumeric() || "_.-/ ".contains(c)) + 1,
            Some('&' | '|' | '=') => at + 2,
            _ => at + 1,
        };
        end.min(self.letters.len())
    }
}
