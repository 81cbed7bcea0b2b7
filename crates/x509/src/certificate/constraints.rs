//! Name constraints (RFC 5280 4.2.1.10).
//!
//! URI and DNS constraints are evaluated. A constraint of any other form, or one that is not written as the standard has
//! it, is not: a certificate that holds a name of that form is then neither within nor without, and is refused.

use super::Certificate;
use crate::der::{self, EMPTY_SEQUENCE, SEQUENCE};

const RFC822_NAME: u8 = 1;
const DNS_NAME: u8 = 2;
const DIRECTORY_NAME: u8 = 4;
const URI: u8 = 6;

/// The names of RFC 5280 4.2.1.6, by their tags.
const FORMS: [&str; 9] = [
    "otherName",
    "rfc822Name",
    "dNSName",
    "x400Address",
    "directoryName",
    "ediPartyName",
    "uniformResourceIdentifier",
    "iPAddress",
    "registeredID",
];

/// emailAddress, an attribute of subjects that constraints on rfc822Name bind, too.
const EMAIL_ADDRESS: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];

/// Why a certificate is not within the name constraints of a CA above it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name lies in an excluded subtree.
    #[error("the name {name:?} is excluded by {constraint:?}")]
    Excluded {
        /// The name.
        name: String,
        /// The constraint, as it is in the CA's certificate.
        constraint: String,
    },
    /// The name lies in none of the permitted subtrees.
    #[error("the name {name:?} is in none of the permitted subtrees")]
    NotPermitted {
        /// The name.
        name: String,
    },
    /// RFC 5280 4.2.1.10: a URI whose host is not a domain name cannot be held against a constraint.
    #[error("the name {name:?} has no domain name, so it cannot be held against a constraint")]
    NoDomain {
        /// The name.
        name: String,
    },
    /// A constraint on names of a form that is not evaluated here.
    #[error("a constraint on names of the form {form}, which is not evaluated here, applies to it")]
    NotEvaluated {
        /// Such as `directoryName`.
        form: &'static str,
    },
    /// More comparisons than allowed.
    #[error("more names and constraints than can be compared")]
    TooMany,
}

/// A CA's name constraints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameConstraints {
    permitted: Subtrees,
    excluded: Subtrees,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Subtrees {
    uris: Vec<String>,
    dns: Vec<String>,
    /// Forms with constraints that are not evaluated, by tag.
    other: u16,
}

impl NameConstraints {
    /// Reads the extension's value: permitted and excluded subtrees, not both absent, none empty.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let outer = der::read_only(value).filter(|outer| outer.tag == SEQUENCE)?;
        let fields = der::read_all(outer.content)?;
        let (permitted, excluded) = match fields.as_slice() {
            [permitted] if permitted.tag == 0xa0 => (Some(permitted), None),
            [excluded] if excluded.tag == 0xa1 => (None, Some(excluded)),
            [permitted, excluded] if (permitted.tag, excluded.tag) == (0xa0, 0xa1) => {
                (Some(permitted), Some(excluded))
            }
            _ => return None,
        };
        let read = |field: Option<&der::Element<'_>>| match field {
            Some(field) => Subtrees::parse(field.content),
            None => Some(Subtrees::default()),
        };
        Some(Self { permitted: read(permitted)?, excluded: read(excluded)? })
    }

    /// Holds the names of a certificate below the CA against its constraints. Each comparison takes one off `comparisons`.
    pub fn check(&self, certificate: &Certificate, comparisons: &mut usize) -> Result<(), NameError> {
        check(&self.permitted.uris, &self.excluded.uris, certificate.uri_sans(), comparisons, Uri::parse)?;
        check(&self.permitted.dns, &self.excluded.dns, certificate.dns_sans(), comparisons, Dns::parse)?;
        let unevaluated = (self.permitted.other | self.excluded.other) & forms(certificate);
        match FORMS.iter().enumerate().find(|(tag, _)| unevaluated & 1 << tag != 0) {
            Some((_, form)) => Err(NameError::NotEvaluated { form }),
            None => Ok(()),
        }
    }
}

impl Subtrees {
    /// A list of GeneralSubtree { base }. minimum and maximum, which the standard has no use for, are not evaluated.
    fn parse(list: &[u8]) -> Option<Self> {
        let mut read = Self::default();
        let subtrees = der::read_all(list)?;
        for subtree in &subtrees {
            let fields = der::read_all(subtree.content)?;
            let base = fields.first().filter(|_| subtree.tag == SEQUENCE)?;
            let form = base.tag & 0x1f;
            if base.tag & 0xc0 != 0x80 || FORMS.get(usize::from(form)).is_none() {
                return None;
            }
            let text = str::from_utf8(base.content).ok().filter(|_| fields.len() == 1);
            match (form, text) {
                (URI, Some(text)) if is_domain(text.strip_prefix('.').unwrap_or(text)) || text.is_empty() => {
                    read.uris.push(text.to_owned());
                }
                (DNS_NAME, Some(text)) if is_domain(text) || text.is_empty() => {
                    read.dns.push(text.to_owned());
                }
                _ => read.other |= 1 << form,
            }
        }
        (!subtrees.is_empty()).then_some(read)
    }
}

/// The forms of the names a certificate holds, by tag.
fn forms(certificate: &Certificate) -> u16 {
    let subject = certificate.subject_der();
    let email = subject.windows(EMAIL_ADDRESS.len()).any(|part| part == EMAIL_ADDRESS);
    certificate.0.extensions.other_names
        | u16::from(!certificate.uri_sans().is_empty()) << URI
        | u16::from(!certificate.dns_sans().is_empty()) << DNS_NAME
        | u16::from(subject != EMPTY_SEQUENCE) << DIRECTORY_NAME
        | u16::from(email) << RFC822_NAME
}

/// A name that can be held against constraints of its form.
trait Constrained {
    /// Whether all of it lies in the subtree.
    fn is_within(&self, subtree: &str) -> bool;
    /// Whether some of it lies in the subtree.
    fn touches(&self, subtree: &str) -> bool;
}

fn check<'a, N: Constrained>(
    permitted: &[String],
    excluded: &[String],
    names: &'a [String],
    comparisons: &mut usize,
    parse: impl Fn(&'a str) -> Option<N>,
) -> Result<(), NameError> {
    if permitted.is_empty() && excluded.is_empty() {
        return Ok(());
    }
    let cost = names.len().saturating_mul(permitted.len() + excluded.len());
    *comparisons = comparisons.checked_sub(cost).ok_or(NameError::TooMany)?;
    for text in names {
        let name = parse(text).ok_or_else(|| NameError::NoDomain { name: text.clone() })?;
        if let Some(constraint) = excluded.iter().find(|subtree| name.touches(subtree)) {
            return Err(NameError::Excluded { name: text.clone(), constraint: constraint.clone() });
        }
        if !permitted.is_empty() && !permitted.iter().any(|subtree| name.is_within(subtree)) {
            return Err(NameError::NotPermitted { name: text.clone() });
        }
    }
    Ok(())
}

/// A URI, by its host.
struct Uri<'a> {
    host: &'a str,
}

impl<'a> Uri<'a> {
    /// RFC 3986 3.2: what follows `//`, without user and port. An IP address is not a domain name.
    fn parse(text: &'a str) -> Option<Self> {
        let (_, rest) = text.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = host.split_once(':').map_or(host, |(host, _)| host);
        (is_domain(host) && host.parse::<std::net::Ipv4Addr>().is_err()).then_some(Uri { host })
    }
}

impl Constrained for Uri<'_> {
    /// `.suffix` stands for every host below it, any other text for one host.
    fn is_within(&self, subtree: &str) -> bool {
        match subtree.strip_prefix('.') {
            Some(suffix) => is_below(self.host, suffix),
            None => subtree.is_empty() || self.host.eq_ignore_ascii_case(subtree),
        }
    }

    fn touches(&self, subtree: &str) -> bool {
        self.is_within(subtree)
    }
}

/// A DNS name, which may stand for all names one label below it (`*.`).
struct Dns<'a> {
    base: &'a str,
    wildcard: bool,
}

impl<'a> Dns<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let base = text.strip_prefix("*.").unwrap_or(text);
        is_domain(base).then_some(Dns { base, wildcard: base.len() != text.len() })
    }
}

impl Constrained for Dns<'_> {
    fn is_within(&self, subtree: &str) -> bool {
        subtree.is_empty() || self.base.eq_ignore_ascii_case(subtree) || is_below(self.base, subtree)
    }

    fn touches(&self, subtree: &str) -> bool {
        self.is_within(subtree) || (self.wildcard && is_below(subtree, self.base))
    }
}

/// Whether `name` is `domain` with labels in front.
fn is_below(name: &str, domain: &str) -> bool {
    let split = name.len().checked_sub(domain.len() + 1);
    split.and_then(|split| name.split_at_checked(split)).is_some_and(|(labels, rest)| {
        !labels.is_empty() && rest.starts_with('.') && rest[1..].eq_ignore_ascii_case(domain)
    })
}

/// Labels of letters, digits, `-` and `_`, which the host of a URI may have (RFC 3986 3.2.2), none empty.
fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}
