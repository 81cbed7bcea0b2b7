//! Scalars: what each is to all readers.
//!
//! Sources of the rules for plain ones: `resolve.go` of `go.yaml.in/yaml/v2` (which `sigs.k8s.io/yaml` carries),
//! `resolver.py` of PyYAML, and the core schema of YAML 1.2.2. What any of them takes for something else than a text is
//! refused, but for plain decimal integers, `true`, `false`, `null` and nothing at all, which are the same to all.

use std::borrow::Cow;

use crate::tekton::strict::{node::Content, yaml::Dates};

type Refused<T = Content> = Result<T, Cow<'static, str>>;

/// Digits of the largest integers that are the same to all.
const LARGEST: usize = 18;

/// A scalar without quotes, as it is written and as it was read.
pub(crate) fn plain(raw: &str, value: &str, in_brackets: bool, dates: Dates) -> Refused {
    if raw.is_empty() {
        return Ok(Content::Null);
    }
    if raw.starts_with(['%', '@', '`', '&', '*', '!', '|', '>', '\'', '"', '#', ',', '[', ']', '{', '}']) {
        return Err(format!("{raw} must be in quotes").into());
    }
    if raw.contains('\t') {
        return Err("a tab outside of quotes; readers differ on what it is".into());
    }
    if in_brackets && raw.contains([':', '?', '#', '\n']) {
        return Err(format!("{} must be in quotes within brackets", first_line(raw)).into());
    }
    // One of several lines has a blank in it, which no number has.
    if raw != value && !raw.contains('\n') {
        return Err(format!("{} is read in two ways; quote it", first_line(raw)).into());
    }
    match raw {
        "null" => return Ok(Content::Null),
        "true" => return Ok(Content::Bool(true)),
        "false" => return Ok(Content::Bool(false)),
        _ => {}
    }
    if is_integer(raw)
        && let Ok(number) = raw.parse::<i64>()
    {
        return Ok(Content::Number(number.into()));
    }
    if is_date(value) && dates == Dates::Text {
        return Ok(Content::Text(value.to_owned()));
    }
    let what = match value {
        value if is_number(value) => "number",
        value if is_date(value) => "date",
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "True" | "TRUE" => "boolean",
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "False" | "FALSE" => "boolean",
        "~" | "Null" | "NULL" => "null",
        "<<" => "merge key",
        "=" => "default value",
        _ => return Ok(Content::Text(value.to_owned())),
    };
    Err(format!(
        "{} without quotes is a {what} to some readers and not to others; quote it, or give JSON",
        first_line(raw)
    )
    .into())
}

fn first_line(raw: &str) -> &str {
    raw.split('\n').next().unwrap_or_default()
}

/// Whether all readers take it for the same integer.
fn is_integer(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    let is_plain =
        digits == "0" && digits.len() == raw.len() || digits.starts_with(|c| ('1'..='9').contains(&c));
    is_plain && digits.len() <= LARGEST && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether some reader takes it for a number: with underscores, in base 2, 8, 16 or 60, with a fraction or exponent.
fn is_number(value: &str) -> bool {
    let unsigned = value.strip_prefix(['+', '-']).unwrap_or(value);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let Some(first) = unsigned.bytes().next() else { return false };
    let begins_with_point = first == b'.' && unsigned.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    // Go leaves out underscores before it looks, after a sign too.
    let begins_with_underscore = first == b'_' && unsigned.len() < value.len();
    if !(first.is_ascii_digit() || begins_with_point || begins_with_underscore) {
        return false;
    }
    let text = unsigned.replace('_', "");
    let all = |text: &str, digit: fn(&u8) -> bool| !text.is_empty() && text.as_bytes().iter().all(digit);
    if let Some((prefix, digits)) = text.split_at_checked(2) {
        let matches = match prefix {
            "0x" | "0X" => all(digits, u8::is_ascii_hexdigit),
            "0o" | "0O" => all(digits, |byte| matches!(byte, b'0'..=b'7')),
            "0b" | "0B" => all(digits, |byte| matches!(byte, b'0' | b'1')),
            _ => false,
        };
        if matches {
            return true;
        }
    }
    is_decimal(&text) || is_sexagesimal(&text)
}

fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && exponent.is_none_or(|exponent| digits(exponent) && !exponent.is_empty())
}

/// `1:30`, ninety to YAML 1.1.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let first = parts.next().is_some_and(|part| !part.is_empty() && digits(part));
    let mut rest = parts.map(|part| part.split_once('.').unwrap_or((part, ""))).peekable();
    first
        && rest.peek().is_some()
        && rest.all(|(part, fraction)| {
            matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']) && digits(fraction)
        })
}

/// Whether it begins as a date does: year, month and day with hyphens, and nothing after it or a time.
fn is_date(value: &str) -> bool {
    let mut parts = value.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let day = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let time = &rest[day..];
    let mut time = time.strip_suffix(['Z', 'z']).unwrap_or(time).bytes();
    let is_time = matches!(time.next(), None | Some(b'T' | b't' | b' '))
        && time.all(|byte| byte.is_ascii_digit() || b": .+-".contains(&byte));
    year.len() == 4 && digits(year) && month.len() <= 2 && digits(month) && (1..=2).contains(&day) && is_time
}

/// A scalar in double quotes. Its escapes must be such as every reader knows.
pub(crate) fn double_quoted(raw: &str, value: &str) -> Refused {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let escape = &rest[at + 1..];
        let length = match escape.bytes().next() {
            Some(b'0' | b'a' | b'b' | b't' | b'n' | b'v' | b'f' | b'r' | b'e' | b' ' | b'"' | b'\\') => 1,
            Some(b'N' | b'_' | b'L' | b'P' | b'\n') => 1,
            Some(b'x') => hexadecimal(escape, 2)?,
            Some(b'u') => hexadecimal(escape, 4)?,
            Some(b'U') => hexadecimal(escape, 8)?,
            _ => return Err("an escape in double quotes that not all readers know".into()),
        };
        rest = &escape[length..];
    }
    Ok(Content::Text(value.to_owned()))
}

/// The length of an escape that names a character.
fn hexadecimal(escape: &str, digits: usize) -> Refused<usize> {
    let code = escape.get(1..=digits).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
    match code.and_then(char::from_u32) {
        Some(_) => Ok(1 + digits),
        None => {
            Err("an escape that some readers do not take for a character; write the character itself".into())
        }
    }
}

/// A key, as it is written.
pub(crate) fn key(raw: &str) -> Refused<()> {
    if raw.contains('\n') {
        return Err("a key of several lines".into());
    }
    if raw.chars().count() > LONGEST_KEY {
        return Err(format!("a key of more than {LONGEST_KEY} characters").into());
    }
    Ok(())
}

/// What is wrong with a key `<<`, however it is written.
pub(crate) const MERGE_KEY: &str =
    "a merge key (<<): readers differ on whether it overrides what is beside it; write it out";

/// Longer ones are no simple keys to some readers.
const LONGEST_KEY: usize = 1000;
