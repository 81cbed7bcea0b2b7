//! BER (X.690 8) put into the form of DER, as far as the tokens of real authorities need it: some have indefinite lengths, and strings
//! in pieces. What is signed are the octets of a string, or is signed in DER (RFC 5652 5.4), so no signature is lost by it.

use crate::der::{self, GENERALIZED_TIME, OCTET_STRING, UTF8_STRING, write};

/// Levels of nesting that are read. It bounds the work; no token has half of them.
const DEEPEST: usize = 30;

const CONSTRUCTED: u8 = 0x20;
/// What may come in pieces.
const STRINGS: [u8; 3] = [OCTET_STRING, UTF8_STRING, GENERALIZED_TIME];

/// The one element that fills `input`, with definite lengths as short as they can be, and strings in one piece. The order of sets and
/// all values stay as they are. `None`: it is not BER, or nested too deeply.
pub(super) fn definite(input: &[u8]) -> Option<Vec<u8>> {
    let (element, rest) = element(input, DEEPEST)?;
    rest.is_empty().then_some(element)
}

fn element(input: &[u8], deepest: usize) -> Option<(Vec<u8>, &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (length, rest) = read_length(rest)?;
    let (mut content, mut rest) = match length {
        Some(length) => rest.split_at_checked(length)?,
        None => (rest, &[][..]),
    };
    if tag & CONSTRUCTED == 0 {
        return length.map(|_| (write(tag, &[content]), rest));
    }
    let string = Some(tag & !CONSTRUCTED).filter(|string| STRINGS.contains(string));
    let mut parts = Vec::new();
    loop {
        match (length, content) {
            (Some(_), []) => break,
            (None, [0, 0, after @ ..]) => {
                rest = after;
                break;
            }
            _ => {}
        }
        let (part, after) = element(content, deepest.checked_sub(1)?)?;
        match (string, der::read(&part)?) {
            (None, _) => parts.extend(part),
            (Some(string), (piece, _)) if piece.tag == OCTET_STRING || piece.tag == string => {
                parts.extend(piece.content);
            }
            _ => return None,
        }
        content = after;
    }
    Some((write(string.unwrap_or(tag), &[&parts]), rest))
}

/// A length, `None` if it is indefinite.
fn read_length(input: &[u8]) -> Option<(Option<usize>, &[u8])> {
    let (&first, rest) = input.split_first()?;
    if first < 0x80 {
        return Some((Some(usize::from(first)), rest));
    }
    let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    if digits.is_empty() {
        return Some((None, rest));
    }
    let add = |length: usize, digit: &u8| length.checked_mul(256)?.checked_add(usize::from(*digit));
    Some((Some(digits.iter().try_fold(0, add)?), rest))
}
