//! A SPIFFE bundle endpoint (SPIFFE Federation 5): a trust domain's bundle over HTTPS.
//!
//! Address, profile and trust domain are always stated, and none is inferred from another (5.1, 7.2).

use std::{fmt, io, str::FromStr, time::Duration};

use unixtime::UnixSeconds;
use ureq::{
    Agent,
    config::Config,
    http::{StatusCode, Uri},
    tls::Certificate,
    unversioned::{
        resolver::DefaultResolver,
        transport::{Connector as _, TcpConnector},
    },
};

use super::spiffe_tls::{NotShown, SpiffeTls, not_shown};
use crate::{
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
}

impl Endpoint {
    /// Its document, not looked at yet. `now` is the time that an SVID must be valid at.
    pub fn fetch(&self, now: UnixSeconds) -> Result<Vec<u8>, EndpointError> {
        let mut response = self.agent(now)?.get(&self.url.0).call().map_err(|error| self.failed(error))?;
        match response.status() {
            StatusCode::OK => {
                let body = response.body_mut().with_config().limit(LARGEST).read_to_vec();
                body.map_err(|error| self.failed(error))
            }
            status if status.is_redirection() => Err(EndpointError::Redirected { what: "to another place" }),
            status => Err(EndpointError::Status { status }),
        }
    }

    fn agent(&self, now: UnixSeconds) -> Result<Agent, EndpointError> {
        let config = Agent::config_builder()
            .timeout_global(Some(self.patience))
            .http_status_as_error(false)
            .https_only(true)
            .user_agent(concat!("svidence/", env!("CARGO_PKG_VERSION")));
        Ok(match &self.profile {
            Profile::Web(authorities) => {
                let tls = tls::trusting(authorities).build();
                let config: Config = config.tls_config(tls).max_redirects(MOST_REDIRECTS).build();
                config.into()
            }
            Profile::Spiffe { id, bootstrap } => {
                // The ID is that of this server: another one has another.
                let config = config.max_redirects(0).max_redirects_will_error(false).proxy(None).build();
                let tls = SpiffeTls::new(id.clone(), bootstrap.clone(), now)
                    .map_err(|error| EndpointError::Unreachable { reason: error.to_string() })?;
                Agent::with_parts(config, TcpConnector::default().chain(tls), DefaultResolver::default())
            }
        })
    }

    fn failed(&self, error: ureq::Error) -> EndpointError {
        match error {
            ureq::Error::Timeout(_) => EndpointError::TimedOut { seconds: self.patience.as_secs() },
            ureq::Error::BodyExceedsLimit(_) => EndpointError::TooLong,
            ureq::Error::TooManyRedirects => EndpointError::Redirected { what: "again and again" },
            ureq::Error::RequireHttpsOnly(_) => {
                EndpointError::Redirected { what: "to a place without https" }
            }
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
