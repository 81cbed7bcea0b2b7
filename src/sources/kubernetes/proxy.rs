//! Which proxy leads to an API server, by the rules of Go's `golang.org/x/net/http/httpproxy`, which kubectl follows.

use std::{ffi::OsString, net::IpAddr};

use ureq::{Proxy, http::Uri};

use super::error::AccessError;

/// The proxy that leads to `server`: the kubeconfig's `proxy-url`, which `NO_PROXY` does not matter to, else the environment's.
pub(crate) fn of_cluster(
    proxy_url: Option<&str>,
    server: &str,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Proxy>, AccessError> {
    let uri: Uri = server.parse().map_err(|_| AccessError::NotHttps(server.to_owned()))?;
    let (field, url) = match proxy_url.filter(|url| !url.is_empty()) {
        Some(url) => ("proxy-url", Some(url.to_owned())),
        None => {
            let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443));
            let text = |name: &str| variable(name)?.into_string().ok();
            ("HTTPS_PROXY", of_environment(host, port, &text))
        }
    };
    let Some(url) = url else { return Ok(None) };
    // It may hold a password, so it is not repeated.
    let refused = |reason: &str| AccessError::Value {
        field,
        of: format!("the way to {server}"),
        reason: reason.to_owned(),
    };
    if url.split_once("://").is_some_and(|(scheme, _)| !matches!(scheme, "http" | "https")) {
        return Err(refused("only proxies of http:// and https:// are known"));
    }
    Proxy::new(&url)
        .map(Some)
        .map_err(|_| refused("it is not the address of a proxy, such as http://proxy:3128"))
}

/// The proxy that the environment names for `https://host:port`, if any. Go takes `HTTPS_PROXY` before `https_proxy`.
fn of_environment(host: &str, port: u16, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let of = |upper: &str, lower: &str| {
        [upper, lower].into_iter().find_map(|name| variable(name).filter(|text| !text.is_empty()))
    };
    let proxy = of("HTTPS_PROXY", "https_proxy")?;
    let no_proxy = of("NO_PROXY", "no_proxy").unwrap_or_default();
    uses_proxy(host, port, &no_proxy).then_some(proxy)
}

/// `useProxy` of httpproxy: never for this machine, and not for what `NO_PROXY` names.
fn uses_proxy(host: &str, port: u16, no_proxy: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
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
    if let Ok(named) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address == Some(named);
    }
    let (name, named_port) = entry.rsplit_once(':').unwrap_or((entry, ""));
    if !named_port.is_empty() && named_port != port.to_string() {
        return false;
    }
    let name = name.trim_matches(['[', ']']);
    if let Ok(named) = name.parse::<IpAddr>() {
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
    use super::of_environment;

    /// Expectations are those of `httpproxy`'s own tests and documentation.
    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        for (host, port, no_proxy, is_used) in [
            ("api.example.org", 6443, "", true),
            ("localhost", 6443, "", false),
            ("127.0.0.9", 6443, "", false),
            ("[::1]", 6443, "", false),
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
            let proxy = of_environment(host, port, &variable);
            assert_eq!(proxy.is_some(), is_used, "{host}:{port} with NO_PROXY={no_proxy:?}");
        }
        let both = |name: &str| (name.eq_ignore_ascii_case("https_proxy")).then(|| format!("http://{name}"));
        assert_eq!(of_environment("a.org", 443, &both).as_deref(), Some("http://HTTPS_PROXY"));
        let http = |name: &str| (name == "HTTP_PROXY").then(|| "http://p".to_owned());
        assert_eq!(of_environment("a.org", 443, &http), None, "HTTP_PROXY is for http alone");
    }
}
