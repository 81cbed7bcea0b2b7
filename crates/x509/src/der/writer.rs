//! Elements made of their parts.

use super::BIT_STRING;

/// One DER element of these parts.
pub fn write(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut out = Vec::with_capacity(length + 4);
    out.push(tag);
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let octets = length.to_be_bytes();
            let digits = octets.iter().skip_while(|octet| **octet == 0);
            out.push(digits.clone().fold(0x80, |count, _| count + 1));
            out.extend(digits);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// The content of a DER INTEGER that holds an unsigned big-endian number.
pub fn unsigned(number: &[u8]) -> Vec<u8> {
    let start = number.iter().position(|&b| b != 0).unwrap_or(number.len());
    let significant = &number[start..];
    match significant.first() {
        Some(0..=0x7f) => significant.to_vec(),
        _ => [&[0], significant].concat(),
    }
}

/// A BIT STRING of whole bytes.
pub fn bit_string(content: &[u8]) -> Vec<u8> {
    write(BIT_STRING, &[&[0], content])
}
