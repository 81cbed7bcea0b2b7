//! What requests have in common: how long they may take, and why there is no answer.

use std::{io, time::Duration};

use ureq::{
    Agent, Body, Proxy, RequestBuilder,
    http::{Response, Uri, header},
    typestate::{WithBody, WithoutBody},
};

use super::error::OciError;
use crate::{
    http::proxies::{self, Proxies, ProxyError},
    io_error,
    sources::authorities::{BODY_TAKES, ServerAuthorities},
    tls,
};

/// A way to web servers.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    agent: Agent,
    patience: Duration,
    proxies: Proxies,
}

impl Connection {
    pub(super) fn new(proxies: &Proxies, authorities: &ServerAuthorities, patience: Duration) -> Self {
        Self { agent: authorities.agent(None, patience), patience, proxies: proxies.clone() }
    }

    /// A request for what is there, by the way that leads there.
    pub(super) fn get(&self, to: &Uri) -> Result<RequestBuilder<WithoutBody>, OciError> {
        Ok(self.agent.get(to).config().proxy(self.proxy(to)?).build())
    }

    /// The same for sending something there.
    pub(super) fn post(&self, to: &Uri) -> Result<RequestBuilder<WithBody>, OciError> {
        Ok(self.agent.post(to).config().proxy(self.proxy(to)?).build())
    }

    fn proxy(&self, to: &Uri) -> Result<Option<Proxy>, OciError> {
        let refused = |error: ProxyError| OciError::Connect { host: host_of(to), reason: error.to_string() };
        self.proxies.to(to).map_err(refused)
    }

    /// Why a request to an address, of `host`, has no answer.
    pub(super) fn unanswered(&self, error: ureq::Error, to: &Uri, host: &str) -> OciError {
        let proxy = self.proxies.to(to).ok().flatten();
        match proxy.and_then(|proxy| proxies::words(&proxy, &error)) {
            Some(reason) => OciError::Connect { host: host.to_owned(), reason },
            None => self.failed(error, host),
        }
    }

    /// How long to wait for an answer.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Why `host` gives no whole answer.
    fn failed(&self, error: ureq::Error, host: &str) -> OciError {
        let host = host.to_owned();
        let not_connected = |host: String, reason: String| OciError::Connect { host, reason };
        match error {
            ureq::Error::Timeout(ureq::Timeout::RecvBody) => {
                OciError::Timeout { host, seconds: (self.patience * BODY_TAKES).as_secs() }
            }
            ureq::Error::Timeout(_) => OciError::Timeout { host, seconds: self.patience.as_secs() },
            ureq::Error::Rustls(error) => not_trusted(&error, host),
            ureq::Error::HostNotFound => not_connected(host, "no such host".to_owned()),
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    OciError::Lost { host, reason: io_error::words(&error) }
                }
                io::ErrorKind::TimedOut => OciError::Timeout { host, seconds: self.patience.as_secs() },
                _ => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(error) => not_trusted(error, host),
                    None => not_connected(host, io_error::words(&error)),
                },
            },
            ureq::Error::Protocol(error) => {
                OciError::NotARegistry { host, what: format!("no answer of HTTP: {error}") }
            }
            other => not_connected(host, other.to_string()),
        }
    }

    /// The body of an answer; `None` if it is longer than so many bytes.
    pub(super) fn body(
        &self,
        response: &mut Response<Body>,
        limit: u64,
        host: &str,
    ) -> Result<Option<Vec<u8>>, OciError> {
        match response.body_mut().with_config().limit(limit).read_to_vec() {
            Ok(body) => Ok(Some(body)),
            Err(ureq::Error::BodyExceedsLimit(_)) => Ok(None),
            Err(error) => Err(self.failed(error, host)),
        }
    }
}

/// Why there is no TLS.
fn not_trusted(error: &rustls::Error, host: String) -> OciError {
    match error {
        rustls::Error::InvalidMessage(_) => OciError::NoTls { host },
        rustls::Error::InvalidCertificate(error) => OciError::Certificate { host, reason: tls::words(error) },
        other => OciError::Connect { host, reason: other.to_string() },
    }
}

/// Host and port of an address, as it is shown: nothing else of it, since it may be signed.
pub(super) fn host_of(address: &Uri) -> String {
    address.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default()
}

/// Seconds after which the server wants to be asked again, if it says so. One that names a time of day is asked when we like.
pub(super) fn retry_after(response: &Response<Body>) -> Option<u64> {
    response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}
