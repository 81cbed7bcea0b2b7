//! Which proxy leads to a web server, by the rules of Go's `golang.org/x/net/http/httpproxy`, which kubectl and Tekton's tools follow.

use std::{ffi::OsString, fmt, io::ErrorKind, net::IpAddr};

use ureq::{Proxy, http::Uri};

use crate::io_error;

/// The proxies that the environment names: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, or the same in small letters. Each is read when
/// it leads somewhere.
#[derive(Clone, Default)]
pub struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    no_proxy: String,
}

/// The address of a proxy, perhaps with a password, and the variable that names it.
#[derive(Clone)]
struct Named {
    variable: &'static str,
    url: String,
}

impl fmt::Debug for Proxies {
    /// Without addresses, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |named: &Option<Named>| named.as_ref().map(|named| named.variable);
        let mut all = f.debug_struct("Proxies");
        all.field("https", &name(&self.https))
            .field("http", &name(&self.http))
            .field("no_proxy", &self.no_proxy);
        all.finish()
    }
}

/// A proxy of the environment that cannot be used. Its address is not repeated, since it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{variable}, which leads there, cannot be used: {error}; NO_PROXY may name hosts that need no proxy")]
pub struct ProxyError {
    /// Who names it.
    pub variable: &'static str,
    /// What is wrong with it.
    pub error: NotAProxy,
}

/// Why a text is not the address of a proxy that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAProxy {
    /// Such as `socks5://`.
    #[error("only proxies of http:// and https:// are known")]
    Scheme,
    /// Anything else.
    #[error("it is not the address of a proxy, such as http://proxy:3128")]
    Address,
}

impl Proxies {
    /// Those of an environment. Go takes the names in capitals before the others, and an empty one for none.
    pub fn of(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| variable(name)?.into_string().ok().filter(|text| !text.is_empty());
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|variable| Some(Named { variable, url: text(variable)? }))
        };
        Self {
            https: first(["HTTPS_PROXY", "https_proxy"]),
            http: first(["HTTP_PROXY", "http_proxy"]),
            no_proxy: first(["NO_PROXY", "no_proxy"]).map(|named| named.url).unwrap_or_default(),
        }
    }

    /// The proxy that leads to a server of `https://` or `http://`, if one does.
    pub fn to(&self, server: &Uri) -> Result<Option<Proxy>, ProxyError> {
        let (named, port) = match server.scheme_str() {
            Some("https") => (&self.https, 443),
            Some("http") => (&self.http, 80),
            _ => return Ok(None),
        };
        let (host, port) = (server.host().unwrap_or_default(), server.port_u16().unwrap_or(port));
        match named {
            Some(Named { variable, url }) if uses_proxy(host, port, &self.no_proxy) => {
                read(url).map(Some).map_err(|error| ProxyError { variable, error })
            }
            _ => Ok(None),
        }
    }
}

/// Reads the address of a proxy: `[SCHEME://][USER:PASSWORD@]HOST[:PORT]`, perhaps with a path, which says nothing.
pub fn read(url: &str) -> Result<Proxy, NotAProxy> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err(NotAProxy::Scheme);
    }
    // Whoever reads half of it sends the password to another place.
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if behind.contains('@') || !is_port(authority.rsplit_once('@').map_or(authority, |(_, host)| host)) {
        return Err(NotAProxy::Address);
    }
    Proxy::new(&format!("{scheme}://{rest}")).map_err(|_| NotAProxy::Address)
}

/// Whether what follows the host is nothing or a port.
fn is_port(host: &str) -> bool {
    let behind = match host.rsplit_once(']') {
        Some((_, behind)) => behind,
        None => host.find(':').map_or("", |colon| host.get(colon..).unwrap_or_default()),
    };
    behind.is_empty()
        || behind.strip_prefix(':').is_some_and(|port| {
            port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
}

/// The name and port of a proxy, which may be shown.
pub(crate) fn name(proxy: &Proxy) -> String {
    format!("{}:{}", proxy.host(), proxy.port())
}

/// What is wrong with the proxy that a request was to take, if that is why it failed: the proxy looks up the server's name, so one that
/// is not known here is its own.
pub(crate) fn words(proxy: &Proxy, error: &ureq::Error) -> Option<String> {
    let name = name(proxy);
    match error {
        ureq::Error::HostNotFound => Some(format!("the proxy {name} cannot be used: no such host")),
        ureq::Error::ConnectProxyFailed(reason) if reason.contains("407") => Some(wants_another_user(&name)),
        ureq::Error::ConnectProxyFailed(reason) => {
            // A status comes twice.
            let reason = reason.rsplit_once('/').map_or(reason.as_str(), |(_, status)| status);
            Some(format!(
                "the proxy {name} does not connect ({reason}); NO_PROXY may name hosts that need none"
            ))
        }
        ureq::Error::Io(error) if is_of_connecting(error.kind()) => {
            Some(format!("the proxy {name} cannot be used: {}", io_error::words(error)))
        }
        _ => None,
    }
}

/// What there is to say of a proxy that answers 407.
pub(crate) fn wants_another_user(name: &str) -> String {
    format!(
        "the proxy {name} wants another user and password (407); HTTPS_PROXY may name them: http://USER:PASSWORD@HOST:PORT"
    )
}

/// Whether an error is one of making a connection, and not of one that there is. That a name is not known has no kind of its own.
fn is_of_connecting(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::TimedOut
            | ErrorKind::WouldBlock
            | ErrorKind::Interrupted
            | ErrorKind::InvalidData
            | ErrorKind::InvalidInput
    )
}

/// `useProxy` of httpproxy: never for this machine, and not for what `NO_PROXY` names.
fn uses_proxy(host: &str, port: u16, no_proxy: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let address = address_of(&host);
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return false;
    }
    let entries = no_proxy.split(',').map(|entry| entry.trim().to_ascii_lowercase());
    !entries.filter(|entry| !entry.is_empty()).any(|entry| is_named(&entry, &host, address, port))
}

/// Whether an entry of `NO_PROXY` is about the host: `*`, a network, an address or a domain, the last two with a port if one likes.
fn is_named(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, length)) = entry.split_once('/')
        && let (Ok(network), Ok(length)) = (network.parse(), length.parse())
    {
        return address.is_some_and(|address| is_within(address, network, length));
    }
    if let Some(named) = address_of(entry.trim_matches(['[', ']'])) {
        return address == Some(named);
    }
    let (name, named_port) = entry.rsplit_once(':').unwrap_or((entry, ""));
    if !named_port.is_empty() && named_port != port.to_string() {
        return false;
    }
    let name = name.trim_matches(['[', ']']);
    if let Some(named) = address_of(name) {
        return address == Some(named);
    }
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    // Part of an address is not part of a name.
    address.is_none()
        && match name.strip_prefix('.') {
            Some(_) => host.ends_with(name),
            None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
        }
}

/// An IPv4 address is the same one in the form of IPv6.
fn address_of(host: &str) -> Option<IpAddr> {
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn is_within(address: IpAddr, network: IpAddr, length: u32) -> bool {
    let (one, other, width) = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits()), u128::from(other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), 128),
        _ => return false,
    };
    length <= width && (length == 0 || (one ^ other) >> (width - length) == 0)
}

#[cfg(test)]
mod tests {
    use super::{NotAProxy, Proxies, ProxyError, read};

    fn leads(variable: &dyn Fn(&str) -> Option<String>, server: &str) -> Result<Option<String>, ProxyError> {
        let proxies = Proxies::of(&|name| variable(name).map(Into::into));
        proxies.to(&server.parse().unwrap()).map(|proxy| proxy.map(|proxy| super::name(&proxy)))
    }

    /// Expectations are those of `httpproxy`'s own tests and documentation.
    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        for (host, port, no_proxy, is_used) in [
            ("api.example.org", 6443, "", true),
            ("localhost", 6443, "", false),
            ("127.0.0.9", 6443, "", false),
            ("[::1]", 6443, "", false),
            ("[::ffff:127.0.0.9]", 6443, "", false),
            ("[::ffff:10.1.2.3]", 6443, "10.0.0.0/8", false),
            ("10.1.2.3", 6443, "::ffff:10.1.2.3", false),
            ("api.example.org", 6443, "*", false),
            ("api.example.org", 6443, "other.org, example.org", false),
            ("example.org", 6443, "example.org", false),
            ("badexample.org", 6443, "example.org", true),
            ("API.Example.ORG", 6443, "example.org", false),
            ("example.org", 6443, ".example.org", true),
            ("api.example.org", 6443, ".example.org", false),
            ("api.example.org", 6443, "*.example.org", false),
            ("api.example.org", 6443, "*example.org", true),
            ("api.example.org", 6443, "api.example.org:6443", false),
            ("api.example.org", 6443, "api.example.org:443", true),
            ("10.0.3.4", 6443, "10.0.0.0/16", false),
            ("10.1.3.4", 6443, "10.0.0.0/16", true),
            ("10.1.3.4", 6443, "0.0.0.0/0", false),
            ("10.1.3.4", 6443, "10.1.3.4", false),
            ("10.1.3.4", 6443, "10.1.3.4:443", true),
            ("10.1.3.4", 6443, "3.4", true),
            ("api.example.org", 6443, "api.example.org:", false),
            ("api.example.org", 6443, "api.example.org:https", true),
            ("[fd00::7]", 6443, "fd00::/8", false),
            ("[fe80::7]", 6443, "fd00::/8", true),
            ("[fd00::7]", 6443, "[fd00::7]:6443", false),
            ("[fd00::7]", 6443, "fd00::7", false),
        ] {
            let variable = |name: &str| match name {
                "HTTPS_PROXY" => Some("http://proxy:3128".to_owned()),
                "NO_PROXY" => Some(no_proxy.to_owned()),
                _ => None,
            };
            let proxy = leads(&variable, &format!("https://{host}:{port}/path")).unwrap();
            assert_eq!(proxy.is_some(), is_used, "{host}:{port} with NO_PROXY={no_proxy:?}");
        }
    }

    #[test]
    fn the_scheme_says_which_variable_counts() {
        for (case, variables, server, expected) in [
            ("capitals first", &["HTTPS_PROXY", "https_proxy"][..], "https://a.org", Some("HTTPS_PROXY")),
            ("small letters", &["https_proxy"], "https://a.org", Some("https_proxy")),
            ("of http alone", &["HTTP_PROXY", "ALL_PROXY", "all_proxy"], "https://a.org", None),
            ("for http", &["HTTPS_PROXY", "HTTP_PROXY", "http_proxy"], "http://a.org", Some("HTTP_PROXY")),
            ("of https alone", &["HTTPS_PROXY"], "http://a.org", None),
            ("none", &[], "https://a.org", None),
        ] {
            let variable = |name: &str| variables.contains(&name).then(|| format!("http://{name}:1"));
            let proxy = leads(&variable, server).unwrap();
            assert_eq!(proxy, expected.map(|name| format!("{name}:1")), "{case}");
        }
        let ports = [("https://a.org", true), ("https://a.org:444", false), ("https://a.org:443", true)];
        for (server, is_named) in ports {
            let variable = |name: &str| match name {
                "HTTPS_PROXY" => Some("http://p".to_owned()),
                "NO_PROXY" => Some("a.org:443".to_owned()),
                _ => None,
            };
            assert_eq!(leads(&variable, server).unwrap().is_none(), is_named, "{server}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_without_its_password() {
        for (url, expected) in [
            ("socks5://me:secret@proxy:1", NotAProxy::Scheme),
            ("ftp://me:secret@proxy", NotAProxy::Scheme),
            ("http://me:secret@", NotAProxy::Address),
            ("me:secret@pro xy", NotAProxy::Address),
            // What was read of these would be port 80, or the user's name as the host.
            ("http://me:secret@proxy:31x8", NotAProxy::Address),
            ("http://me:secret@proxy:99999", NotAProxy::Address),
            ("http://me:secret@proxy:0", NotAProxy::Address),
            ("http://me:secret@proxy:", NotAProxy::Address),
            ("http://me:secret@[::2]31", NotAProxy::Address),
            ("http://me:sec/secret@proxy", NotAProxy::Address),
            ("http://me:sec#secret@proxy", NotAProxy::Address),
            ("http://me:sec?secret@proxy:3128", NotAProxy::Address),
        ] {
            let variable = |name: &str| (name == "HTTPS_PROXY").then(|| url.to_owned());
            let error = leads(&variable, "https://a.org").unwrap_err();
            assert_eq!(error, ProxyError { variable: "HTTPS_PROXY", error: expected }, "{url}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
            assert_eq!(leads(&variable, "https://localhost"), Ok(None), "{url}: it leads nowhere");
        }
        for url in [
            "http://me:secret@proxy:3128",
            "me:secret@proxy",
            "https://me:secret@proxy",
            "HTTP://me:secret@proxy:3128/",
            "http://me:secret@[::2]:3128",
        ] {
            let variable = |name: &str| name.eq_ignore_ascii_case("https_proxy").then(|| url.into());
            let shown = format!("{:?} {:?}", Proxies::of(&variable), read(url).unwrap());
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
