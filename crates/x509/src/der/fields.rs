//! The fields of a DER structure, taken one after the other.

use super::{Element, INTEGER, read, read_all};

/// A structure that is not as it must be: the name of it or of its field, or a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// A reader of fields; `what` names the structure in errors.
pub struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields in an element's content.
    pub fn new(content: &'a [u8], what: &'static str) -> Self {
        Fields { rest: content, what }
    }

    /// The fields of the one element of this tag that fills the input.
    pub fn of(input: &'a [u8], tag: u8, what: &'static str) -> Result<Self, Malformed> {
        let mut outer = Fields::new(input, what);
        let inner = outer.next(tag)?;
        outer.end()?;
        Ok(Fields::new(inner, what))
    }

    /// The content of the next element, which must have this tag.
    pub fn next(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        Ok(self.next_whole(tag)?.content)
    }

    /// The next element, which must have this tag.
    pub fn next_whole(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        match read(self.rest) {
            Some((found, rest)) if found.tag == tag => {
                self.rest = rest;
                Ok(found)
            }
            _ => Err(Malformed(self.what)),
        }
    }

    /// The content of the next element if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.peek() == Some(tag) { self.next(tag).map(Some) } else { Ok(None) }
    }

    /// The tag of the next element.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// An INTEGER of at most 63 bits that is not negative, as short as it can be; of this tag if it is tagged.
    pub fn number(&mut self, tag: u8) -> Result<i64, Malformed> {
        let digits = self.digits(tag)?;
        if digits.len() > 8 || digits[0] & 0x80 != 0 {
            return Err(Malformed(self.what));
        }
        Ok(digits.iter().fold(0, |number, digit| number << 8 | i64::from(*digit)))
    }

    /// The content of an INTEGER of any size, which must be as short as it can be and is not empty.
    pub fn integer(&mut self) -> Result<&'a [u8], Malformed> {
        self.digits(INTEGER)
    }

    fn digits(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        match self.next(tag)? {
            [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(Malformed(self.what)),
            digits => Ok(digits),
        }
    }

    /// Nothing may follow.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed(self.what)) }
    }

    /// The bytes that are left.
    pub fn content(self) -> &'a [u8] {
        self.rest
    }

    /// All elements that are left.
    pub fn all(self) -> Result<Vec<Element<'a>>, Malformed> {
        read_all(self.rest).ok_or(Malformed(self.what))
    }
}
