//! The fields of a DER structure (X.690), taken one after the other.

use crate::workload::der::{Element, element, elements};

use super::error::TokenError;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// `[number]`, constructed.
pub(super) const fn tagged(number: u8) -> u8 {
    0xa0 | number
}

/// `[number]`, primitive.
pub(super) const fn tagged_primitive(number: u8) -> u8 {
    0x80 | number
}

/// The error of a structure that is not as it must be.
pub(super) const fn malformed(what: &'static str) -> TokenError {
    TokenError::Malformed { what }
}

/// A reader of fields; `what` names the structure in errors.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields in an element's content.
    pub(super) fn new(content: &'a [u8], what: &'static str) -> Fields<'a> {
        Fields { rest: content, what }
    }

    /// The fields of the one element of this tag that fills the input.
    pub(super) fn of(input: &'a [u8], tag: u8, what: &'static str) -> Result<Fields<'a>, TokenError> {
        let mut outer = Fields::new(input, what);
        let inner = outer.next(tag)?;
        outer.end()?;
        Ok(Fields::new(inner, what))
    }

    fn malformed(&self) -> TokenError {
        TokenError::Malformed { what: self.what }
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn next(&mut self, tag: u8) -> Result<&'a [u8], TokenError> {
        Ok(self.next_whole(tag)?.content)
    }

    /// The next element, which must have this tag.
    pub(super) fn next_whole(&mut self, tag: u8) -> Result<Element<'a>, TokenError> {
        match element(self.rest) {
            Some((found, rest)) if found.tag == tag => {
                self.rest = rest;
                Ok(found)
            }
            _ => Err(self.malformed()),
        }
    }

    /// The content of the next element if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, TokenError> {
        if self.rest.first() == Some(&tag) { self.next(tag).map(Some) } else { Ok(None) }
    }

    /// The tag of the next element.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// An INTEGER of at most 63 bits that is not negative, as short as it can be.
    pub(super) fn number(&mut self, tag: u8) -> Result<i64, TokenError> {
        let digits = self.integer(tag)?;
        if digits.len() > 8 || digits[0] & 0x80 != 0 {
            return Err(self.malformed());
        }
        Ok(digits.iter().fold(0, |number, digit| number << 8 | i64::from(*digit)))
    }

    /// The content of an INTEGER of any size, which must be as short as it can be and is not empty.
    pub(super) fn integer(&mut self, tag: u8) -> Result<&'a [u8], TokenError> {
        let digits = self.next(tag)?;
        match digits {
            [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(self.malformed()),
            digits => Ok(digits),
        }
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), TokenError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }

    /// The bytes that are left.
    pub(super) fn content(self) -> &'a [u8] {
        self.rest
    }

    /// All elements that are left.
    pub(super) fn all(self) -> Result<Vec<Element<'a>>, TokenError> {
        elements(self.rest).ok_or(TokenError::Malformed { what: self.what })
    }
}

/// The object identifier of an AlgorithmIdentifier. No algorithm that is checked has parameters that matter, and authorities differ in
/// whether they write NULL for none.
pub(super) fn algorithm<'a>(content: &'a [u8], what: &'static str) -> Result<&'a [u8], TokenError> {
    let mut fields = Fields::new(content, what);
    let oid = fields.next(OID)?;
    if fields.all()?.len() > 1 { Err(TokenError::Malformed { what }) } else { Ok(oid) }
}
