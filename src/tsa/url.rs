//! The address of a TSA, and where it may send on to.

use std::str::FromStr;

use ureq::http::Uri;

use crate::http::location;

/// The address of a TSA: absolute, http or https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsaUrl(Uri);

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
        write!(f, "{}://{}{path}", self.scheme(), location::authority(&self.0))
    }
}

impl TsaUrl {
    /// Whether it is asked over TLS.
    pub fn is_https(&self) -> bool {
        self.scheme() == "https"
    }

    /// As an HTTP client takes it, with user and password.
    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }

    fn scheme(&self) -> &str {
        self.0.scheme_str().unwrap_or_default()
    }

    /// The place that a `Location` names from here (RFC 3986 4.2, 5.2), if it may be followed: it is on the same host, and not
    /// without TLS if this one is with it. The error is why not, behind the place's name.
    pub(super) fn redirected(&self, location: &str) -> Result<Self, &'static str> {
        let absolute = location::resolved(&self.0, location);
        let to: Self = absolute.parse().map_err(|_| "which is not an address of http or https")?;
        let host = |url: &Self| url.0.host().map(str::to_ascii_lowercase);
        if host(self) != host(&to) {
            return Err("which is another host");
        }
        if self.is_https() && !to.is_https() {
            return Err("which is no longer https");
        }
        Ok(to)
    }
}
