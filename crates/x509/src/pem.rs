//! Certificates in PEM (RFC 7468), read from any text that they are in, and written as Go writes them.

use std::iter::Peekable;

use base64::{Engine as _, engine::general_purpose::STANDARD};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const CERTIFICATE: &str = "CERTIFICATE";
const PUBLIC_KEY: &str = "PUBLIC KEY";

/// Characters in a line (RFC 7468 2).
const LINE: usize = 64;

/// Why a block is of no use. The texts speak of the file as "it".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Its lines are not those of a block, so where others begin is not known.
    #[error("its PEM is damaged: {reason} (block {number})")]
    Damaged {
        /// Which block, from 1.
        number: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// What is in the block is damaged, and no other.
    #[error("its PEM is damaged: it is not base64 (block {number})")]
    NotBase64 {
        /// Which block, from 1.
        number: usize,
    },
    /// A private key or anything else.
    #[error("it holds a PEM block of type {label:?} (block {number}); only {expected} blocks belong in it")]
    Label {
        /// Which block, from 1.
        number: usize,
        /// The label.
        label: String,
        /// The label that it should have.
        expected: &'static str,
    },
}

/// Whether the text has a block of any kind in it.
pub fn is_in(text: &str) -> bool {
    text.contains(BEGIN)
}

/// The content of each CERTIFICATE block, in order.
pub fn certificates(text: &str) -> impl Iterator<Item = Result<Vec<u8>, PemError>> {
    blocks(text, CERTIFICATE)
}

/// The content of each PUBLIC KEY block (SubjectPublicKeyInfo), in order.
pub fn public_keys(text: &str) -> impl Iterator<Item = Result<Vec<u8>, PemError>> {
    blocks(text, PUBLIC_KEY)
}

fn blocks<'a>(
    text: &'a str,
    expected: &'static str,
) -> impl Iterator<Item = Result<Vec<u8>, PemError>> + use<'a> {
    let mut lines = text.lines().map(str::trim).peekable();
    let mut number = 0;
    std::iter::from_fn(move || {
        let label = lines.find_map(|line| line.strip_prefix(BEGIN))?;
        number += 1;
        Some(read_block((label, expected), number, &mut lines))
    })
}

/// The content of a block, from the line behind the one that begins it on.
fn read_block<'a>(
    (label, expected): (&str, &'static str),
    number: usize,
    lines: &mut Peekable<impl Iterator<Item = &'a str>>,
) -> Result<Vec<u8>, PemError> {
    let damaged = |reason| PemError::Damaged { number, reason };
    let label = label.strip_suffix(DASHES).ok_or(damaged("its first line has no end"))?;
    if label != expected {
        return Err(PemError::Label { number, label: label.to_owned(), expected });
    }
    let mut encoded = String::new();
    loop {
        let line = lines.next_if(|line| !line.starts_with(BEGIN));
        let line = line.ok_or(damaged("the END line is missing"))?;
        match line.strip_prefix(END) {
            None => encoded.push_str(line),
            Some(end) if end.strip_suffix(DASHES) == Some(label) => break,
            Some(_) => return Err(damaged("the END line does not match")),
        }
    }
    STANDARD.decode(encoded).map_err(|_| PemError::NotBase64 { number })
}

/// A certificate as PEM.
pub fn encode(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut out = format!("{BEGIN}{CERTIFICATE}{DASHES}\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, remaining) = rest.split_at(rest.len().min(LINE));
        out.push_str(line);
        out.push('\n');
        rest = remaining;
    }
    out.push_str(END);
    out.push_str(CERTIFICATE);
    out.push_str(DASHES);
    out.push('\n');
    out
}
