//! Where a redirect leads (RFC 9110 10.2.2).

use ureq::http::Uri;

/// What a `Location` names from `here` (RFC 3986 4.2, 5.2), without user and password of `here`. Whether it is an address, and may be
/// followed, is left to who asks.
pub(crate) fn resolved(here: &Uri, location: &str) -> String {
    let scheme = here.scheme_str().unwrap_or_default();
    let authority = here.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = here.path();
    match location {
        _ if location.contains("://") => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ if location.starts_with('?') => format!("{scheme}://{authority}{path}{location}"),
        _ => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{location}")
        }
    }
}
