//! Where the API of Tekton Results is.

use std::{fmt, str::FromStr};

use ureq::http::Uri;

use crate::sources::loopback::is_loopback;

/// How it is spoken to. Its server answers both on one port; ingresses and routes often let only REST through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Rest,
}

/// The address of a Results API: `grpcs://` or `https://`, and on this machine also `grpc://` or `http://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultsAddress {
    pub(super) protocol: Protocol,
    pub(super) is_tls: bool,
    /// A name or an IP address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// What comes before `/apis/results.tekton.dev`, over REST: empty, or with a slash at its start and none at its end.
    pub(super) prefix: String,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultsAddressError {
    /// Another scheme, or none.
    #[error("it begins with neither grpcs:// nor https:// (REST)")]
    Scheme,
    /// Not a host with or without port.
    #[error(
        "not the address of a server; one looks like grpcs://tekton-results-api-service.tekton-pipelines.svc:8080"
    )]
    Host,
    /// A user or password in it.
    #[error("it holds a user or password, which the API does not take; give a token with --token-file")]
    UserInfo,
    /// A path or query that is not used.
    #[error("it has {0}, which is not used; give the address up to there")]
    Surplus(&'static str),
    /// Not encrypted, and not on this machine.
    #[error(
        "it is not encrypted, so whoever is on the way could change what is read; use {0}:// (plain {1}:// is for this machine \
         alone, for example for kubectl port-forward)"
    )]
    Plain(&'static str, &'static str),
}

impl FromStr for ResultsAddress {
    type Err = ResultsAddressError;

    fn from_str(text: &str) -> Result<Self, ResultsAddressError> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let (protocol, is_tls) = match scheme.as_deref() {
            Some("grpcs") => (Protocol::Grpc, true),
            Some("grpc") => (Protocol::Grpc, false),
            Some("https") => (Protocol::Rest, true),
            Some("http") => (Protocol::Rest, false),
            _ => return Err(ResultsAddressError::Scheme),
        };
        let uri: Uri = text.parse().map_err(|_| ResultsAddressError::Host)?;
        let authority = uri.authority().ok_or(ResultsAddressError::Host)?;
        if authority.as_str().contains('@') {
            return Err(ResultsAddressError::UserInfo);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        // A port that is no number of 16 bits is taken for none.
        let has_port = authority.as_str().len() > authority.host().len();
        if host.is_empty() || (has_port && authority.port_u16().is_none()) {
            return Err(ResultsAddressError::Host);
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(ResultsAddressError::Surplus("a query or fragment"));
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        match protocol {
            Protocol::Grpc if !prefix.is_empty() => return Err(ResultsAddressError::Surplus("a path")),
            Protocol::Rest if prefix.contains("/apis/") || prefix.ends_with("/apis") => {
                return Err(ResultsAddressError::Surplus("the path of the API itself (/apis/…)"));
            }
            _ => {}
        }
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = Self { protocol, is_tls, host, port, prefix };
        match (address.is_plain_elsewhere(), protocol) {
            (false, _) => Ok(address),
            (true, Protocol::Grpc) => Err(ResultsAddressError::Plain("grpcs", "grpc")),
            (true, Protocol::Rest) => Err(ResultsAddressError::Plain("https", "http")),
        }
    }
}

impl ResultsAddress {
    /// Whether it is encrypted: a token is sent only then.
    pub fn is_encrypted(&self) -> bool {
        self.is_tls
    }

    fn is_plain_elsewhere(&self) -> bool {
        !self.is_tls && !is_loopback(&self.host)
    }

    /// `host:port`, with brackets where the host needs them.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// As proxies are looked up for it: `None` without TLS, which is for this machine.
    pub fn for_proxies(&self) -> Option<Uri> {
        let https = || Uri::builder().scheme("https").authority(self.authority()).path_and_query("/").build();
        self.is_tls.then(https)?.ok()
    }

    /// What every request over REST begins with.
    pub(super) fn base(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}/apis/results.tekton.dev/v1alpha2/parents", self.authority(), self.prefix)
    }
}

impl fmt::Display for ResultsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.protocol, self.is_tls) {
            (Protocol::Grpc, true) => "grpcs",
            (Protocol::Grpc, false) => "grpc",
            (Protocol::Rest, true) => "https",
            (Protocol::Rest, false) => "http",
        };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}
