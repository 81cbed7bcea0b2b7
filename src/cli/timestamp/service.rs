//! A TSA that is asked over HTTP (RFC 3161 3.4).

use std::{str::FromStr, time::Duration};

use ureq::{
    Agent, Body,
    http::{Response, StatusCode, Uri, header},
    tls::Certificate,
};
use x509::time_stamp::MAX_TOKEN;

use crate::{io_error, tls};

/// The most redirects that are followed.
const MOST_REDIRECTS: usize = 5;
/// The most characters of an error's text that are repeated.
const MOST_WORDS: usize = 200;

/// The address of a TSA: absolute, http or https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TsaUrl(Uri);

impl FromStr for TsaUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            return Err("it begins with neither http:// nor https://");
        }
        match text.parse::<Uri>() {
            Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(Self(uri)),
            _ => Err("not the address of a service; one looks like http://timestamp.example.org/tsa"),
        }
    }
}

impl std::fmt::Display for TsaUrl {
    /// Without user and password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.0.path_and_query().map_or("/", |path| path.as_str());
        write!(f, "{}://{}{path}", self.scheme(), self.authority())
    }
}

impl TsaUrl {
    pub(super) fn is_https(&self) -> bool {
        self.scheme() == "https"
    }

    fn scheme(&self) -> &str {
        self.0.scheme_str().unwrap_or_default()
    }

    /// Host and port.
    fn authority(&self) -> &str {
        let authority = self.0.authority().map(|authority| authority.as_str()).unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }

    /// The place that a `Location` names from here (RFC 3986 4.2, 5.2), if it may be followed: it is on the same host, and not
    /// without TLS if this one is with it.
    fn redirected(&self, location: &str) -> Result<Self, ServiceError> {
        let refuse = |why| ServiceError::Elsewhere { url: self.to_string(), to: location.to_owned(), why };
        let (scheme, authority, here) = (self.scheme(), self.authority(), self.0.path());
        let absolute = match location {
            _ if location.contains("://") => location.to_owned(),
            _ if location.starts_with("//") => format!("{scheme}:{location}"),
            _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
            _ if location.starts_with('?') => format!("{scheme}://{authority}{here}{location}"),
            _ => {
                let folder = here.rsplit_once('/').map_or("", |(folder, _)| folder);
                format!("{scheme}://{authority}{folder}/{location}")
            }
        };
        let to: Self = absolute.parse().map_err(|_| refuse("which is not an address of http or https"))?;
        let host = |url: &Self| url.0.host().map(str::to_ascii_lowercase);
        if host(self) != host(&to) {
            return Err(refuse("which is another host"));
        }
        if self.is_https() && !to.is_https() {
            return Err(refuse("which is no longer https"));
        }
        Ok(to)
    }
}

/// Why a TSA gave no answer that could be a time stamp. It would befall the next request, too.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServiceError {
    /// No answer.
    #[error(
        "the TSA {url} does not answer: {}; see that the address is right and can be reached from here",
        cause(error)
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// Why.
        error: Box<ureq::Error>,
    },
    /// Not a success.
    #[error("the TSA {url} answers with HTTP status {status}{words}; {advice}")]
    Status {
        /// Who.
        url: String,
        /// Number and name.
        status: StatusCode,
        /// Empty, or a colon and the beginning of what it says.
        words: String,
        /// What to do.
        advice: &'static str,
    },
    /// A redirect that is not followed.
    #[error(
        "the TSA {url} sends on to {to}, {why}, so nothing was asked there; if that is the right TSA, name it with --tsa"
    )]
    Elsewhere {
        /// Who.
        url: String,
        /// Where to.
        to: String,
        /// Why it is not followed.
        why: &'static str,
    },
    /// One redirect after the other.
    #[error(
        "the TSA {url} sends on more than {MOST_REDIRECTS} times; name the place that answers with --tsa"
    )]
    TooManyRedirects {
        /// Who was asked first.
        url: String,
    },
    /// A body that no token has.
    #[error(
        "the TSA {url} answers with more than {MAX_TOKEN} bytes, which no time stamp has; see that the address is that of a \
         time-stamp service"
    )]
    TooLong {
        /// Who.
        url: String,
    },
    /// Something in the place of a time stamp.
    #[error(
        "the TSA {url} answers with {content}, not with a time stamp; see that the address is that of its service"
    )]
    NotAToken {
        /// Who.
        url: String,
        /// Such as "nothing" or "text/html".
        content: String,
    },
}

/// A TSA.
pub(super) struct Service {
    agent: Agent,
    url: TsaUrl,
}

impl Service {
    /// `authorities` vouch for the web server, for https.
    pub(super) fn new(url: TsaUrl, authorities: &[Certificate<'static>], timeout: Duration) -> Self {
        let agent = Agent::config_builder()
            .tls_config(tls::trusting(authorities).build())
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // Followed here: the request stays what it is, and on its host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build()
            .into();
        Self { agent, url }
    }

    /// The answer to a TimeStampReq: of any success, a body that may be a TimeStampResp by its size and beginning.
    pub(super) fn ask(&self, query: &[u8]) -> Result<Vec<u8>, ServiceError> {
        let mut url = self.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut response = self
                .agent
                .post(&url.0)
                .content_type("application/timestamp-query")
                .header(header::ACCEPT, "application/timestamp-reply")
                .send(query)
                .map_err(|error| unreachable(&url, error))?;
            let status = response.status();
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            match (status.as_u16(), location) {
                // Not 303, which names a page about the request.
                (301 | 302 | 307 | 308, Some(location)) => url = url.redirected(location)?,
                (200..=299, _) => return answer(&url, &mut response),
                _ => {
                    let (url, words) = (url.to_string(), words(&mut response));
                    return Err(ServiceError::Status { url, status, words, advice: advice(status) });
                }
            }
        }
        Err(ServiceError::TooManyRedirects { url: self.url.to_string() })
    }
}

fn cause(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => io_error::words(error),
        other => other.to_string(),
    }
}

fn unreachable(url: &TsaUrl, error: ureq::Error) -> ServiceError {
    ServiceError::Unreachable { url: url.to_string(), error: Box::new(error) }
}

/// Bytes of a body that are read: more than any time stamp has.
fn most() -> u64 {
    u64::try_from(MAX_TOKEN).unwrap_or(u64::MAX)
}

/// The body, whatever it says of its type: authorities say all kinds of things.
fn answer(url: &TsaUrl, response: &mut Response<Body>) -> Result<Vec<u8>, ServiceError> {
    let content = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content = content.unwrap_or("something else").to_owned();
    let body = match response.body_mut().with_config().limit(most()).read_to_vec() {
        Ok(body) => body,
        Err(ureq::Error::BodyExceedsLimit(_)) => return Err(ServiceError::TooLong { url: url.to_string() }),
        Err(error) => return Err(unreachable(url, error)),
    };
    let not_a_token = |content| Err(ServiceError::NotAToken { url: url.to_string(), content });
    match body.first() {
        None => not_a_token("nothing".to_owned()),
        // A SEQUENCE, as every TimeStampResp is.
        Some(0x30) => Ok(body),
        Some(_) => not_a_token(content),
    }
}

/// The beginning of what an error says, if that is text.
fn words(response: &mut Response<Body>) -> String {
    let body = response.body_mut().with_config().limit(most()).read_to_vec().unwrap_or_default();
    let text = String::from_utf8(body).unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    let words: String = words.join(" ").chars().take(MOST_WORDS).collect();
    // A page is not a message.
    if words.is_empty() || words.starts_with('<') { String::new() } else { format!(": {words}") }
}

fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 | 407 => {
            "it wants to know who asks: put user and password into the address, or take another TSA"
        }
        408 | 429 | 500..=599 => "ask again later",
        300..=399 => "see where it sends you and name that place with --tsa",
        _ => "see that the address is that of its time-stamp service (Sigstore's ends in /api/v1/timestamp)",
    }
}
