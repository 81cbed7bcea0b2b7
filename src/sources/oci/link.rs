//! Where a list goes on: headers `Link` (RFC 8288, "Link Serialisation in HTTP Headers").

use ureq::http::HeaderValue;

use super::error::OciError;

/// The address of the next page, of all headers `Link` of an answer. What cannot be read might be one, so it is an error.
pub(super) fn next_page(headers: &[HeaderValue]) -> Result<Option<String>, OciError> {
    let mut next: Option<String> = None;
    for header in headers {
        let text = header.to_str().ok();
        let links = text.and_then(links).ok_or(OciError::Pages("has a link that cannot be read"))?;
        for Link { address, .. } in links.into_iter().filter(|link| link.is_next) {
            if next.as_deref().is_some_and(|other| other != address) {
                return Err(OciError::Pages("has two next pages"));
            }
            next = Some(address);
        }
    }
    Ok(next)
}

struct Link {
    address: String,
    is_next: bool,
}

/// The links of one header; `None` if it is not a list of links.
fn links(header: &str) -> Option<Vec<Link>> {
    let mut links = Vec::new();
    let mut rest = header.trim_start_matches(BETWEEN);
    while !rest.is_empty() {
        let (address, after) = rest.strip_prefix('<')?.split_once('>')?;
        let mut is_next = false;
        rest = after.trim_start_matches(SPACE);
        while let Some(after) = rest.strip_prefix(';') {
            let (name, value, after) = parameter(after)?;
            let mut relations = value.split_ascii_whitespace();
            is_next |= name.eq_ignore_ascii_case("rel")
                && relations.any(|relation| relation.eq_ignore_ascii_case("next"));
            rest = after;
        }
        links.push(Link { address: address.to_owned(), is_next });
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start_matches(BETWEEN);
        }
    }
    Some(links)
}

const SPACE: [char; 2] = [' ', '\t'];
const BETWEEN: [char; 3] = [' ', '\t', ','];

/// The name and the value of a parameter, and what follows it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let end = text.find(['=', ';', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let name = name.trim_matches(SPACE);
    let Some(value) = rest.strip_prefix('=').map(|value| value.trim_start_matches(SPACE)) else {
        return Some((name, String::new(), rest));
    };
    let (value, rest) = match value.strip_prefix('"') {
        Some(value) => quoted(value)?,
        None => {
            let end = value.find([';', ',']).unwrap_or(value.len());
            let (value, rest) = value.split_at_checked(end)?;
            (value.to_owned(), rest)
        }
    };
    let rest = rest.trim_start_matches(SPACE);
    (rest.is_empty() || rest.starts_with([';', ','])).then_some((name, value, rest))
}

/// A quoted string after its first quotation mark, and what follows it (RFC 9110, "Quoted Strings").
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            char => value.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_or_missed_by_nobody() {
        for (case, headers, expected) in [
            ("none", vec![], Ok(None)),
            ("an empty one", vec![""], Ok(None)),
            ("one", vec!["<a>; rel=\"next\""], Ok(Some("a"))),
            ("without quotation marks and in capitals", vec!["<a>;REL=Next"], Ok(Some("a"))),
            ("another relation", vec!["<a>; rel=first"], Ok(None)),
            ("a word in another one", vec!["<a>; rel=nextish; title=next"], Ok(None)),
            ("several relations", vec!["<a>; rel=\"last  next\""], Ok(Some("a"))),
            ("the second link", vec!["<a>; rel=first, <b>; rel=next"], Ok(Some("b"))),
            ("the second header", vec!["<a>; rel=first", "<b>; rel=next"], Ok(Some("b"))),
            ("after other parameters", vec!["<a>; title=\"x, \\\"y; z\" ; rel=next"], Ok(Some("a"))),
            ("marks in an address", vec!["<a?x=1,2;3>; rel=next"], Ok(Some("a?x=1,2;3"))),
            ("one twice", vec!["<a>; rel=next, <a>; rel=next"], Ok(Some("a"))),
            ("two", vec!["<a>; rel=next", "<b>; rel=next"], Err(())),
            ("an address without brackets", vec!["a; rel=next"], Err(())),
            ("an address without an end", vec!["<a; rel=next"], Err(())),
            ("a quotation without an end", vec!["<a>; rel=\"next"], Err(())),
            ("something after a quotation", vec!["<a>; rel=\"next\"x"], Err(())),
            ("not ASCII", vec!["<\u{e4}>; rel=next"], Err(())),
        ] {
            let headers = headers.iter().map(|text| HeaderValue::from_bytes(text.as_bytes()).unwrap());
            let found = next_page(&headers.collect::<Vec<_>>()).map_err(|_| ());
            assert_eq!(found, expected.map(|address: Option<&str>| address.map(str::to_owned)), "{case}");
        }
    }
}
