//! DER (X.690 10, 11), read and written, as far as certificates and time stamps need it.
//!
//! Reading is strict, so that what is read has one encoding, and allocates nothing: [`read`] takes one element off the input.
//! [`fields::Fields`] reads the fields of a structure one after the other; [`write`](fn@write) makes an element of its parts.

pub mod fields;
mod writer;

pub use writer::{bit_string, unsigned, write};

/// BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// NULL.
pub const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// UTF8String.
pub const UTF8_STRING: u8 = 0x0c;
/// PrintableString.
pub const PRINTABLE_STRING: u8 = 0x13;
/// UTCTime.
pub const UTC_TIME: u8 = 0x17;
/// GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;
/// SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// SET.
pub const SET: u8 = 0x31;

/// The DER of an empty SEQUENCE, such as a subject without any attribute.
pub const EMPTY_SEQUENCE: &[u8] = &[SEQUENCE, 0];

/// `[number]`, constructed.
pub const fn tagged(number: u8) -> u8 {
    0xa0 | number
}

/// `[number]`, primitive.
pub const fn tagged_primitive(number: u8) -> u8 {
    0x80 | number
}

/// A tag with its content.
pub struct Element<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// Identifier, length and content.
    pub whole: &'a [u8],
    /// What it holds.
    pub content: &'a [u8],
}

/// Takes one element off the input. Lengths must be definite and as short as they can be (X.690 10.1).
pub fn read(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.is_empty() || digits.len() > 4 || digits[0] == 0 {
            return None;
        }
        let length = digits.iter().fold(0usize, |length, digit| length << 8 | usize::from(*digit));
        if length < 0x80 {
            return None;
        }
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = &input[..input.len() - rest.len()];
    // Tags above 30 take more bytes; no certificate has them.
    (tag & 0x1f != 0x1f).then_some((Element { tag, whole, content }, rest))
}

/// The one element that fills `input`.
pub fn read_only(input: &[u8]) -> Option<Element<'_>> {
    read(input).and_then(|(element, rest)| rest.is_empty().then_some(element))
}

/// The elements that fill `content`.
pub fn read_all(mut content: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut found = Vec::new();
    while !content.is_empty() {
        let (next, rest) = read(content)?;
        found.push(next);
        content = rest;
    }
    Some(found)
}

/// Visits the elements that fill `content`. Every certificate passes here, so nothing is allocated.
pub fn visit<'a>(mut content: &'a [u8], mut each: impl FnMut(Element<'a>) -> Option<()>) -> Option<()> {
    while !content.is_empty() {
        let (next, rest) = read(content)?;
        each(next)?;
        content = rest;
    }
    Some(())
}
