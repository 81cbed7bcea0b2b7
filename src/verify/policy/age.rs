//! How old evidence may be.

use std::time::Duration;

use serde::Deserialize;
use unixtime::UnixSeconds;

/// A time span in whole seconds, at least one: a number and `s`, `m`, `h` or `d`, as in `720h` or `30d`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MaxAge {
    text: String,
    span: Duration,
}

/// Why a text is not an age.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an age: write a number above 0 and s, m, h or d, for example 720h or 30d")]
pub struct AgeError(String);

impl MaxAge {
    /// Whether what was signed at `signed_at` is older than this at `now`.
    pub fn is_exceeded(&self, signed_at: UnixSeconds, now: UnixSeconds) -> bool {
        now.since(signed_at) > self.span
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for MaxAge {
    type Error = AgeError;

    fn try_from(text: String) -> Result<Self, AgeError> {
        let parse = || {
            let unit = text.chars().last()?;
            let number = text.strip_suffix(unit)?;
            let factor = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86400,
                _ => return None,
            };
            // A sign is part of Rust's numbers and not of an age.
            if !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            number.parse::<i64>().ok()?.checked_mul(factor).filter(|seconds| *seconds > 0)?.try_into().ok()
        };
        match parse() {
            Some(seconds) => Ok(Self { text, span: Duration::from_secs(seconds) }),
            None => Err(AgeError(text)),
        }
    }
}
