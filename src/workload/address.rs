//! Where the Workload API listens (SPIFFE Workload Endpoint, section 4).

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

/// `sun_path` of Linux holds 108 bytes, the last one is the terminator (unix(7)).
const MAX_UNIX_PATH_BYTES: usize = 107;

const ACCEPTED: &str = "accepted are unix:///absolute/path, unix:/absolute/path and tcp://IP:port";

/// The address of a Workload API endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix domain socket, the usual form.
    Unix(PathBuf),
    /// Plain TCP.
    Tcp(SocketAddr),
}

/// Why a text is not a Workload API address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Breaks the rules of the standard.
    #[error("the Workload API address {text:?} cannot be used: {reason}; {ACCEPTED}")]
    Invalid {
        /// The text.
        text: String,
        /// Which rule.
        reason: &'static str,
    },
    /// A path that Linux cannot connect to.
    #[error(
        "the Workload API address {text:?} cannot be used: the socket's path has {bytes} bytes, Linux allows \
         {MAX_UNIX_PATH_BYTES}; mount the socket under a shorter path"
    )]
    PathTooLong {
        /// The text.
        text: String,
        /// Length of the path.
        bytes: usize,
    },
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let invalid = |reason| AddressError::Invalid { text: text.to_owned(), reason };
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(invalid("it has no scheme"));
        };
        if rest.contains('?') {
            return Err(invalid("a query is not allowed"));
        }
        if rest.contains('#') {
            return Err(invalid("a fragment is not allowed"));
        }
        if rest.contains('%') {
            return Err(invalid("percent-encoding is not allowed"));
        }
        if scheme.eq_ignore_ascii_case("unix") {
            unix(rest).map_err(invalid).and_then(|path| {
                if path.len() > MAX_UNIX_PATH_BYTES {
                    Err(AddressError::PathTooLong { text: text.to_owned(), bytes: path.len() })
                } else {
                    Ok(Self::Unix(PathBuf::from(path)))
                }
            })
        } else if scheme.eq_ignore_ascii_case("tcp") {
            tcp(rest).map_err(invalid).map(Address::Tcp)
        } else {
            Err(invalid("its scheme is neither unix nor tcp"))
        }
    }
}

/// Both written forms of a URI without an authority: `///path` and `/path`.
fn unix(rest: &str) -> Result<&str, &'static str> {
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some("") => return Err("it names no socket"),
        Some(_) => return Err("a host is not allowed after unix:// (three slashes start an absolute path)"),
        None => rest,
    };
    if !path.starts_with('/') {
        return Err("the socket's path is not absolute");
    }
    if path.ends_with('/') {
        return Err("it names no socket");
    }
    // RFC 3986: the characters of a path that need no percent-encoding, which is not allowed here.
    let legal = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@".contains(c);
    if path.chars().all(legal) {
        Ok(path)
    } else {
        Err("its path holds a character that a URI does not allow")
    }
}

fn tcp(rest: &str) -> Result<SocketAddr, &'static str> {
    let Some(authority) = rest.strip_prefix("//") else {
        return Err("tcp: must be followed by // and IP:port");
    };
    if authority.contains('@') {
        return Err("a user is not allowed");
    }
    if authority.contains('/') {
        return Err("a path is not allowed after IP:port");
    }
    match authority.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err("port 0 cannot be connected to"),
        Ok(address) => Ok(address),
        Err(_) if authority.parse::<std::net::IpAddr>().is_ok() || authority.ends_with(']') => {
            Err("the port is missing")
        }
        Err(_) => Err("the host is not an IP address with a port (IPv6 in brackets); names are not allowed"),
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}
