//! A SPIFFE bundle endpoint (SPIFFE Federation 5): a trust domain's bundle over HTTPS.
//!
//! Address, profile and trust domain are always stated, and none is inferred from another (5.1, 7.2).

use std::{
    fmt, io,
    str::FromStr,
    time::{Duration, Instant},
};

use unixtime::UnixSeconds;
use ureq::{
    Agent, Body, ProxyProtocol,
    config::Config,
    http::{Response, StatusCode, Uri, header::LOCATION},
    tls::Certificate,
    unversioned::{
        resolver::DefaultResolver,
        transport::{ConnectProxyConnector, Connector as _, TcpConnector},
    },
};

use super::spiffe_tls::{NotShown, SpiffeTls, not_shown};
use crate::{
    http::{
        location,
        proxies::{self, Proxies},
    },
    io_error, tls,
    workload::{bundle::X509Bundle, id::SpiffeId},
};

/// Bytes of a document that are read: far more than any bundle has.
const LARGEST: u64 = 4 << 20;
/// The most redirects that are followed (5.2.1 allows them).
const MOST_REDIRECTS: u32 = 5;

/// Where a bundle endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl(Uri);

impl FromStr for EndpointUrl {
    type Err = &'static str;

    /// 5.2.1 and 5.2.2: https, and neither user nor password.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let uri: Uri =
            text.parse().map_err(|_| "not an address; one looks like https://spire.example.org:8443")?;
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let host = uri.host().unwrap_or_default();
        match uri.scheme_str() {
            Some("https") if host.is_empty() => Err("it names no host"),
            Some("https") if authority.contains('@') => {
                Err("a bundle endpoint's address has no user or password")
            }
            // What is not a port would silently be the usual one.
            Some("https") if authority != host && uri.port_u16().is_none_or(|port| port == 0) => {
                Err("its port is not a number from 1 to 65535")
            }
            Some("https") => Ok(Self(uri)),
            _ => Err("a bundle endpoint's address begins with https://"),
        }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How the endpoint's server proves who it is.
#[derive(Debug, Clone)]
pub enum Profile {
    /// `https_web` (5.2.1): as any web server, by one of these authorities.
    Web(Vec<Certificate<'static>>),
    /// `https_spiffe` (5.2.2): by an X509-SVID.
    Spiffe {
        /// Its SPIFFE ID.
        id: SpiffeId,
        /// The bundle of that ID's trust domain, as far as it is known already.
        bootstrap: X509Bundle,
    },
}

/// Why an endpoint gave no document.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No connection, or no whole answer.
    #[error("no answer: {reason}; see that the address is right and can be reached from here")]
    Unreachable {
        /// Why.
        reason: String,
    },
    /// Not in time.
    #[error("no answer within {seconds} s; see that the address is right and can be reached from here")]
    TimedOut {
        /// How long was waited.
        seconds: u64,
    },
    /// `https_web`: its certificate is not accepted.
    #[error(
        "its certificate is not accepted: {reason}; see --endpoint-ca, and whether the endpoint's profile is https_spiffe"
    )]
    Certificate {
        /// Why.
        reason: String,
    },
    /// `https_spiffe`: it is not the server that was meant.
    #[error("it is not the endpoint that was meant: {reason}")]
    NotShown {
        /// Why.
        reason: String,
    },
    /// Not a success.
    #[error("it answers with HTTP status {status}; see that the address is that of a bundle endpoint")]
    Status {
        /// Number and name.
        status: StatusCode,
    },
    /// It sends on where it may not.
    #[error("it sends on {what}; name the place that answers")]
    Redirected {
        /// How.
        what: &'static str,
    },
    /// Larger than any bundle.
    #[error(
        "it answers with more than {LARGEST} bytes, which no bundle has; see that the address is that of a bundle endpoint"
    )]
    TooLong,
}

/// A bundle endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where it is.
    pub url: EndpointUrl,
    /// How it proves who it is.
    pub profile: Profile,
    /// How long the whole answer may take.
    pub patience: Duration,
    /// Which proxies lead there.
    pub proxies: Proxies,
}

impl Endpoint {
    /// Its document, not looked at yet. `now` is the time that an SVID must be valid at.
    pub fn fetch(&self, now: UnixSeconds) -> Result<Vec<u8>, EndpointError> {
        let (agent, started) = (self.agent(now)?, Instant::now());
        let mut at = self.url.0.clone();
        for _ in 0..=MOST_REDIRECTS {
            let left = self.patience.checked_sub(started.elapsed()).filter(|left| !left.is_zero());
            let left = left.ok_or(EndpointError::TimedOut { seconds: self.patience.as_secs() })?;
            let mut response = self.ask(&agent, &at, left)?;
            let status = response.status();
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            match (status.as_u16(), location, &self.profile) {
                (200, ..) => {
                    let body = response.body_mut().with_config().limit(LARGEST).read_to_vec();
                    return body.map_err(|error| self.failed(error));
                }
                (301..=303 | 307 | 308, Some(location), Profile::Web(_)) => {
                    let to = location::resolved(&at, location).parse();
                    let to = to.ok().filter(|to: &Uri| to.host().is_some_and(|host| !host.is_empty()));
                    at = to.ok_or(EndpointError::Redirected { what: "to what is no address" })?;
                    if at.scheme_str() != Some("https") {
                        return Err(EndpointError::Redirected { what: "to a place without https" });
                    }
                }
                // The ID of https_spiffe is that of this server: another one has another.
                _ if status.is_redirection() => {
                    return Err(EndpointError::Redirected { what: "to another place" });
                }
                _ => return Err(EndpointError::Status { status }),
            }
        }
        Err(EndpointError::Redirected { what: "again and again" })
    }

    /// Asks for what is there, by the way that leads there.
    fn ask(&self, agent: &Agent, at: &Uri, left: Duration) -> Result<Response<Body>, EndpointError> {
        let unreachable = |reason: String| EndpointError::Unreachable { reason };
        let proxy = self.proxies.to(at).map_err(|error| unreachable(error.to_string()))?;
        if let (Some(proxy), Profile::Spiffe { .. }) = (&proxy, &self.profile)
            && proxy.protocol() != ProxyProtocol::Http
        {
            let name = proxies::name(proxy);
            return Err(unreachable(format!(
                "the proxy {name} is not one of http://, and with https_spiffe no other is used"
            )));
        }
        let request = agent.get(at).config().proxy(proxy.clone()).timeout_global(Some(left)).build();
        request.call().map_err(|error| match proxy.and_then(|proxy| proxies::words(&proxy, &error)) {
            Some(reason) => unreachable(reason),
            None => self.failed(error),
        })
    }

    fn agent(&self, now: UnixSeconds) -> Result<Agent, EndpointError> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .https_only(true)
            // Followed here, each by the way that leads there.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("svidence/", env!("CARGO_PKG_VERSION")));
        Ok(match &self.profile {
            Profile::Web(authorities) => {
                let config: Config = config.tls_config(tls::trusting(authorities).build()).build();
                config.into()
            }
            Profile::Spiffe { id, bootstrap } => {
                let tls = SpiffeTls::new(id.clone(), bootstrap.clone(), now)
                    .map_err(|error| EndpointError::Unreachable { reason: error.to_string() })?;
                let by_proxy = ().chain(ConnectProxyConnector::default());
                let connector = by_proxy.chain(TcpConnector::default()).chain(tls);
                Agent::with_parts(config.build(), connector, DefaultResolver::default())
            }
        })
    }

    fn failed(&self, error: ureq::Error) -> EndpointError {
        match error {
            ureq::Error::Timeout(_) => EndpointError::TimedOut { seconds: self.patience.as_secs() },
            ureq::Error::BodyExceedsLimit(_) => EndpointError::TooLong,
            ureq::Error::HostNotFound => EndpointError::Unreachable { reason: "no such host".to_owned() },
            ureq::Error::Rustls(error) => refused(&error),
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                EndpointError::TimedOut { seconds: self.patience.as_secs() }
            }
            ureq::Error::Io(error) => {
                match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(error) => refused(error),
                    None => EndpointError::Unreachable { reason: io_error::words(&error) },
                }
            }
            other => EndpointError::Unreachable { reason: other.to_string() },
        }
    }
}

/// Why there is no TLS.
fn refused(error: &rustls::Error) -> EndpointError {
    if let Some(not_shown) = not_shown(error) {
        let advice = match not_shown {
            NotShown::OtherId { .. } => "; see --endpoint-id",
            NotShown::NoPath(_) => "; see that --endpoint-bundle is recent",
            NotShown::Unreadable(_) | NotShown::NotAnSvid(_) => "",
        };
        return EndpointError::NotShown { reason: format!("{not_shown}{advice}") };
    }
    match error {
        rustls::Error::InvalidCertificate(error) => EndpointError::Certificate { reason: tls::words(error) },
        rustls::Error::InvalidMessage(_) => {
            EndpointError::Unreachable { reason: "it does not speak TLS".to_owned() }
        }
        other => EndpointError::Unreachable { reason: other.to_string() },
    }
}
