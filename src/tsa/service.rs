//! A TSA that is asked over HTTP (RFC 3161 3.4).

use std::time::Duration;

use ureq::{
    Agent, Body,
    http::{Response, StatusCode, header},
    tls::Certificate,
};
use x509::time_stamp::MAX_TOKEN;

use crate::{
    http::proxies::{self, Proxies},
    io_error, tls,
    tsa::url::TsaUrl,
};

/// The most redirects that are followed.
const MOST_REDIRECTS: usize = 5;
/// The most characters of an error's text that are repeated.
const MOST_WORDS: usize = 200;

/// Why a TSA gave no answer that could be a time stamp. It would befall the next request, too.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
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
    /// The proxy that leads there cannot be used.
    #[error("the TSA {url} cannot be asked: {reason}")]
    Proxy {
        /// Where it was looked for.
        url: String,
        /// Why.
        reason: String,
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
        "the TSA {url} sends on to {to}, {why}, so nothing was asked there; if that is the right TSA, give its address instead"
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
        "the TSA {url} sends on more than {MOST_REDIRECTS} times; give the address of the place that answers instead"
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

impl ServiceError {
    /// A short stable name, for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::Proxy { .. } => "unreachable",
            Self::Status { .. } => "status",
            Self::Elsewhere { .. } | Self::TooManyRedirects { .. } => "redirect",
            Self::TooLong { .. } | Self::NotAToken { .. } => "not-a-token",
        }
    }
}

/// A TSA.
#[derive(Debug)]
pub struct Service {
    agent: Agent,
    url: TsaUrl,
    proxies: Proxies,
}

impl Service {
    /// `authorities` vouch for the web server, for https; `proxies` may lead there.
    pub fn new(
        url: TsaUrl,
        authorities: &[Certificate<'static>],
        proxies: Proxies,
        timeout: Duration,
    ) -> Self {
        let agent = Agent::config_builder()
            .tls_config(tls::trusting(authorities).build())
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // Followed here: the request stays what it is, and on its host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build()
            .into();
        Self { agent, url, proxies }
    }

    /// The answer to a TimeStampReq: of any success, a body that may be a TimeStampResp by its size and beginning.
    pub fn ask(&self, query: &[u8]) -> Result<Vec<u8>, ServiceError> {
        let mut url = self.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut response = self.send(&url, query)?;
            let status = response.status();
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            match (status.as_u16(), location) {
                // Not 303, which names a page about the request.
                (301 | 302 | 307 | 308, Some(location)) => {
                    let refuse =
                        |why| ServiceError::Elsewhere { url: url.to_string(), to: location.to_owned(), why };
                    url = url.redirected(location).map_err(refuse)?;
                }
                (200..=299, _) => return answer(&url, &mut response),
                _ => {
                    let (url, words) = (url.to_string(), words(&mut response));
                    return Err(ServiceError::Status { url, status, words, advice: advice(status) });
                }
            }
        }
        Err(ServiceError::TooManyRedirects { url: self.url.to_string() })
    }

    fn send(&self, url: &TsaUrl, query: &[u8]) -> Result<Response<Body>, ServiceError> {
        let not_by_proxy = |reason: String| ServiceError::Proxy { url: url.to_string(), reason };
        let request = self
            .agent
            .post(url.uri())
            .content_type("application/timestamp-query")
            .header(header::ACCEPT, "application/timestamp-reply");
        let proxy = self.proxies.to(url.uri()).map_err(|error| not_by_proxy(error.to_string()))?;
        let request = request.config().proxy(proxy.clone()).build();
        request.send(query).map_err(|error| match proxy.and_then(|proxy| proxies::words(&proxy, &error)) {
            Some(reason) => not_by_proxy(reason),
            None => unreachable(url, error),
        })
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
        300..=399 => "see where it sends you and give that address instead",
        _ => "see that the address is that of its time-stamp service (Sigstore's ends in /api/v1/timestamp)",
    }
}
