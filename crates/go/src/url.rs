//! URLs as Go's net/url reads and writes them, as far as `-basic-git` needs it: what is no URL, and in which words; whether
//! there is a path; the same URL with another user.

use crate::{
    net::{self, Family, IpLiteralError},
    text::quote_bytes,
};

/// What is no URL, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse {}: {reason}", quote_bytes(.url))]
pub struct UrlError {
    /// What was given; without its fragment, unless it is the fragment that is wrong.
    pub url: Vec<u8>,
    /// What is wrong with it.
    pub reason: Reason,
}

/// Why something is no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A byte below space, or DEL.
    #[error("net/url: invalid control character in URL")]
    ControlCharacter,
    /// It begins with a colon.
    #[error("missing protocol scheme")]
    NoScheme,
    /// `a b:c`: neither a scheme nor a relative path.
    #[error("first path segment in URL cannot contain colon")]
    Colon,
    /// Characters before the `@` that may not be there.
    #[error("net/url: invalid userinfo")]
    User,
    /// A bracket that is not the first character, or an IPv4 address in brackets.
    #[error("invalid IP-literal")]
    IpLiteral,
    /// A bracket that is not closed.
    #[error("missing ']' in host")]
    Bracket,
    /// Not a number.
    #[error("invalid port {} after host", quote_bytes(.port))]
    Port {
        /// From the colon, or whatever is there in its place.
        port: Vec<u8>,
    },
    /// No IPv6 address between the brackets.
    #[error("invalid host: {0}")]
    Host(#[from] IpLiteralError),
    /// A percent sign without two digits, or for a byte that must not be encoded.
    #[error("invalid URL escape {}", quote_bytes(.escape))]
    Escape {
        /// The escape.
        escape: Vec<u8>,
    },
    /// A character that no host name has.
    #[error("invalid character {} in host name", quote_bytes(.character))]
    HostCharacter {
        /// The character.
        character: Vec<u8>,
    },
}

/// The parts of a URL; where it is said, with percent escapes resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Url {
    scheme: Vec<u8>,
    /// What follows a scheme without a slash: then there is neither host nor path.
    opaque: Vec<u8>,
    /// Resolved.
    host: Vec<u8>,
    path: Escaped,
    /// With its question mark.
    query: Vec<u8>,
    fragment: Escaped,
}

/// A part that keeps the way in which it was escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Escaped {
    resolved: Vec<u8>,
    raw: Vec<u8>,
}

impl Url {
    /// Go url.Parse.
    pub fn parse(text: &[u8]) -> Result<Self, UrlError> {
        let (main, fragment) = cut(text, b'#');
        let mut url = Self::parse_main(main).map_err(|reason| UrlError { url: main.to_vec(), reason })?;
        url.fragment = Escaped::parse(fragment.unwrap_or_default(), Part::Fragment)
            .map_err(|reason| UrlError { url: text.to_vec(), reason })?;
        Ok(url)
    }

    fn parse_main(text: &[u8]) -> Result<Self, Reason> {
        if text.iter().any(u8::is_ascii_control) {
            return Err(Reason::ControlCharacter);
        }
        let mut url = Self::default();
        let (scheme, rest) = split_scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let at = rest.iter().position(|&b| b == b'?').unwrap_or(rest.len());
        let (mut rest, query) = rest.split_at(at);
        url.query = query.to_vec();
        if !rest.starts_with(b"/") {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Ok(url);
            }
            if cut(rest, b'/').0.contains(&b':') {
                return Err(Reason::Colon);
            }
        }
        if let Some(after) = rest.strip_prefix(b"//")
            && (!url.scheme.is_empty() || !after.starts_with(b"/"))
        {
            let end = after.iter().position(|&b| b == b'/').unwrap_or(after.len());
            url.host = parse_authority(&url.scheme, &after[..end])?;
            rest = &after[end..];
        }
        url.path = Escaped::parse(rest, Part::Path)?;
        Ok(url)
    }

    /// True if it names more than a host.
    pub fn has_path(&self) -> bool {
        !matches!(&self.path.resolved[..], b"" | b"/")
    }

    /// The URL with this user and password in place of its own (Go url.UserPassword, URL.String). A URL without slash after
    /// its scheme has no place for them.
    pub fn with_user(&self, username: &[u8], password: &[u8]) -> Vec<u8> {
        let mut out = self.scheme.clone();
        if !self.scheme.is_empty() {
            out.push(b':');
        }
        if self.opaque.is_empty() {
            out.extend(b"//");
            out.extend(escape(username, Part::User));
            out.push(b':');
            out.extend(escape(password, Part::User));
            out.push(b'@');
            out.extend(escape(&self.host, Part::Host));
            out.extend(self.path.text(Part::Path));
        } else {
            out.extend(&self.opaque);
        }
        out.extend(&self.query);
        if !self.fragment.resolved.is_empty() {
            out.push(b'#');
            out.extend(self.fragment.text(Part::Fragment));
        }
        out
    }
}

impl Escaped {
    fn parse(raw: &[u8], part: Part) -> Result<Self, Reason> {
        Ok(Self { resolved: unescape(raw, part)?, raw: raw.to_vec() })
    }

    /// As it was given, unless that has bytes that must be escaped (Go URL.EscapedPath, EscapedFragment).
    fn text(&self, part: Part) -> Vec<u8> {
        let fine = |&b: &u8| b"!'()*[]:@,;%".contains(&b) || part.allows(b);
        if self.raw.iter().all(fine) { self.raw.clone() } else { escape(&self.resolved, part) }
    }
}

/// A part of a URL, by what may be in it unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    /// What follows the `%25` in an IPv6 address.
    Zone,
    User,
    Fragment,
}

impl Part {
    fn allows(self, byte: u8) -> bool {
        let others: &[u8] = match self {
            Self::Path => b"$&+,/:;=@",
            Self::Host | Self::Zone => b"!\"$&'()*+,:;<=>[]",
            Self::User => b"$&+,;=",
            Self::Fragment => b"!$&()*+,/:;=?@",
        };
        byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || others.contains(&byte)
    }
}

fn cut(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&b| b == at) {
        Some(i) => (&text[..i], Some(&text[i + 1..])),
        None => (text, None),
    }
}

/// Go url.getScheme: an empty scheme and the whole, if there is none.
fn split_scheme(text: &[u8]) -> Result<(&[u8], &[u8]), Reason> {
    let end = text.iter().position(|b| !(b.is_ascii_alphanumeric() || b"+-.".contains(b)));
    match end {
        Some(0) if text[0] == b':' => Err(Reason::NoScheme),
        Some(end) if text[end] == b':' && text[0].is_ascii_alphabetic() => {
            Ok((&text[..end], &text[end + 1..]))
        }
        _ => Ok((b"", text)),
    }
}

/// Checks the user, which is replaced anyway, and returns the host with its port.
fn parse_authority(scheme: &[u8], authority: &[u8]) -> Result<Vec<u8>, Reason> {
    let Some(at) = authority.iter().rposition(|&b| b == b'@') else {
        return parse_host(scheme, authority);
    };
    let host = parse_host(scheme, &authority[at + 1..])?;
    let user = &authority[..at];
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b);
    if !user.iter().all(allowed) {
        return Err(Reason::User);
    }
    let (name, password) = cut(user, b':');
    unescape(name, Part::User)?;
    unescape(password.unwrap_or_default(), Part::User)?;
    Ok(host)
}

fn parse_host(scheme: &[u8], host: &[u8]) -> Result<Vec<u8>, Reason> {
    match host.iter().rposition(|&b| b == b'[') {
        Some(0) => return parse_ip_literal(&host[1..]),
        Some(_) => return Err(Reason::IpLiteral),
        None => {}
    }
    // Only for HTTP is every colon taken for the one before the port.
    let is_colon = |&b: &u8| b == b':';
    let colon = if matches!(scheme, b"http" | b"https") {
        host.iter().position(is_colon)
    } else {
        host.iter().rposition(is_colon)
    };
    check_port(&host[colon.unwrap_or(host.len())..])?;
    unescape(host, Part::Host)
}

/// What follows the opening bracket.
fn parse_ip_literal(text: &[u8]) -> Result<Vec<u8>, Reason> {
    let close = text.iter().rposition(|&b| b == b']').ok_or(Reason::Bracket)?;
    let (address, port) = (&text[..close], &text[close + 1..]);
    check_port(port)?;
    let zone = address.windows(3).position(|window| window == b"%25").unwrap_or(address.len());
    let mut resolved = unescape(&address[..zone], Part::Host)?;
    resolved.extend(unescape(&address[zone..], Part::Zone)?);
    match net::family(&resolved)? {
        Family::V4 => Err(Reason::IpLiteral),
        Family::V6 => Ok([b"[", &resolved[..], b"]", port].concat()),
    }
}

/// Nothing, or a colon and digits.
fn check_port(port: &[u8]) -> Result<(), Reason> {
    match port {
        [] => Ok(()),
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => Ok(()),
        _ => Err(Reason::Port { port: port.to_vec() }),
    }
}

fn unescape(text: &[u8], part: Part) -> Result<Vec<u8>, Reason> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        if *byte != b'%' {
            if matches!(part, Part::Host | Part::Zone) && byte.is_ascii() && !part.allows(*byte) {
                return Err(Reason::HostCharacter { character: vec![*byte] });
            }
            out.push(*byte);
            rest = after;
            continue;
        }
        let escape = &rest[..rest.len().min(3)];
        let wrong = || Reason::Escape { escape: escape.to_vec() };
        let value = hex(escape).ok_or_else(wrong)?;
        // In a host only bytes beyond ASCII are escaped; in a zone, what could be there itself, and the space.
        let allowed = match part {
            Part::Host => !value.is_ascii() || escape == b"%25",
            Part::Zone => value == b' ' || escape == b"%25" || Part::Host.allows(value),
            _ => true,
        };
        if !allowed {
            return Err(wrong());
        }
        out.push(value);
        rest = &rest[3..];
    }
    Ok(out)
}

/// The byte for which `%XX` stands.
fn hex(escape: &[u8]) -> Option<u8> {
    let [b'%', high, low] = escape else { return None };
    let digit = |b: &u8| char::from(*b).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn escape(text: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if part.allows(byte) {
            out.push(byte);
        } else {
            out.extend(format!("%{byte:02X}").bytes());
        }
    }
    out
}
