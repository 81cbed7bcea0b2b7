//! Bearer tokens: sent to the server that they are for, and never shown.

use std::{fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use unixtime::UnixSeconds;
use ureq::http::HeaderValue;
use zeroize::Zeroizing;

/// A bearer token (RFC 6750): one word of ASCII.
pub(crate) struct Token(Zeroizing<String>);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum BearerTokenError {
    /// The operating system's answer.
    #[error("it cannot be read: {}", crate::io_error::words(.0))]
    Unreadable(io::Error),
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// More than one word, or not ASCII.
    #[error("it holds more than a token: a token is one word of ASCII in one line")]
    NotAToken,
}

impl Token {
    /// What a file holds now.
    pub(crate) fn of_file(path: &Path) -> Result<Self, BearerTokenError> {
        let content = fs::read(path).map(Zeroizing::new).map_err(BearerTokenError::Unreadable)?;
        Self::of(&content)
    }

    /// A text, whatever white space is around it.
    pub(crate) fn of(text: &[u8]) -> Result<Self, BearerTokenError> {
        match text.trim_ascii() {
            [] => Err(BearerTokenError::Empty),
            token if token.iter().all(u8::is_ascii_graphic) => {
                Ok(Self(Zeroizing::new(String::from_utf8_lossy(token).into_owned())))
            }
            _ => Err(BearerTokenError::NotAToken),
        }
    }

    /// When it expires, if it is a JWT that says so (RFC 7519, 4.1.4). It is not checked: whoever it is for does that.
    pub(crate) fn expires(&self) -> Option<UnixSeconds> {
        let payload = URL_SAFE_NO_PAD.decode(self.0.split('.').nth(1)?).ok()?;
        serde_json::from_slice::<serde_json::Value>(&payload).ok()?.get("exp")?.as_i64().map(UnixSeconds::new)
    }

    /// The value of the header `Authorization`.
    pub(crate) fn header(&self) -> HeaderValue {
        let bearer = Zeroizing::new(format!("Bearer {}", self.0.as_str()));
        // It is ASCII, so it is a value.
        let mut value = HeaderValue::from_str(&bearer).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

/// Characters of a server's text that are repeated.
const MOST_WORDS: usize = 400;

/// What a server says, in one line and not too long, without the token: some servers repeat what they were sent.
pub(crate) fn quote(text: &str, token: Option<&Token>) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = match token {
        Some(token) => words.replace(token.0.as_str(), "(the token)"),
        None => words,
    };
    words.chars().take(MOST_WORDS).collect()
}
