//! Where a redirect leads (RFC 9110 10.2.2).

use ureq::http::Uri;

/// What a `Location` names from `here` (RFC 3986 4.2, 5.2), without user and password of `here`. Whether it is an address, and may be
/// followed, is left to who asks.
pub(crate) fn resolved(here: &Uri, location: &str) -> String {
    let scheme = here.scheme_str().unwrap_or_default();
    let authority = authority(here);
    let path = here.path();
    match location {
        _ if is_absolute(location) => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ if location.starts_with('?') => format!("{scheme}://{authority}{path}{location}"),
        _ => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let (path, rest) = location.split_at(location.find(['?', '#']).unwrap_or(location.len()));
            format!("{scheme}://{authority}{}{rest}", without_dots(&format!("{folder}/{path}")))
        }
    }
}

/// Host and port of an address.
pub(crate) fn authority(address: &Uri) -> &str {
    let authority = address.authority().map(|authority| authority.as_str()).unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Whether it begins with a scheme (RFC 3986 3.1): an address may hold another one behind its path.
fn is_absolute(location: &str) -> bool {
    let scheme = location.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|other| other.is_ascii_alphanumeric() || matches!(other, '+' | '-' | '.'))
}

/// A path that begins with a slash, without `.` and `..` (RFC 3986 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // It names a folder.
                kept.extend(is_last.then_some(""));
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::resolved;

    #[test]
    fn a_location_leads_where_rfc_3986_says() {
        for (location, expected) in [
            ("https://b.example/x", "https://b.example/x"),
            ("//b.example/x", "https://b.example/x"),
            ("/x", "https://a.example/x"),
            ("?q", "https://a.example/i/j/k?q"),
            ("x", "https://a.example/i/j/x"),
            ("./x", "https://a.example/i/j/x"),
            ("../x", "https://a.example/i/x"),
            ("../../../x", "https://a.example/x"),
            ("..", "https://a.example/i/"),
            ("x/./y/../z", "https://a.example/i/j/x/z"),
            ("/x?from=https://b.example/", "https://a.example/x?from=https://b.example/"),
            ("x?from=https://b.example/../", "https://a.example/i/j/x?from=https://b.example/../"),
        ] {
            let here = "https://u:p@a.example/i/j/k?old".parse().unwrap();
            assert_eq!(resolved(&here, location), expected, "{location}");
        }
    }
}
