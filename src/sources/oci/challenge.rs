//! What a registry wants before it answers: `WWW-Authenticate` (RFC 9110, 11.6.1; distribution "Token Authentication").

/// A way to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token from a service.
    Bearer {
        /// Its address.
        realm: String,
        /// What the service calls the registry.
        service: Option<String>,
        /// What the token is for.
        scope: Option<String>,
    },
    /// User and password.
    Basic,
}

impl Challenge {
    /// The best of those in the values of a header: a token, else a password.
    pub(super) fn best_of<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut all: Vec<Offer<'_>> = values.flat_map(offers).collect();
        let bearer = all.iter().position(|offer| offer.is("bearer") && offer.parameter("realm").is_some());
        if let Some(place) = bearer {
            let offer = all.swap_remove(place);
            let realm = offer.parameter("realm")?;
            return Some(Self::Bearer {
                realm,
                service: offer.parameter("service"),
                scope: offer.parameter("scope"),
            });
        }
        all.iter().any(|offer| offer.is("basic")).then_some(Self::Basic)
    }
}

/// A challenge as it is written.
struct Offer<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl Offer<'_> {
    fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// Of several with one name, the first.
    fn parameter(&self, name: &str) -> Option<String> {
        let found = self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    }
}

/// All challenges of one value.
fn offers(value: &str) -> Vec<Offer<'_>> {
    let mut found: Vec<Offer<'_>> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            // Nothing follows, or nothing that belongs there.
            return found;
        }
        match (after.trim_start_matches([' ', '\t']).strip_prefix('='), found.last_mut()) {
            (Some(after), Some(offer)) => {
                let (text, after) = parameter(after.trim_start_matches([' ', '\t']));
                offer.parameters.push((word, text));
                rest = after;
            }
            (Some(_), None) => return found,
            (None, _) => {
                found.push(Offer { scheme: word, parameters: Vec::new() });
                rest = after;
            }
        }
    }
}

/// A token or a quoted text at the start, and what follows it.
fn parameter(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, after) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (token.to_owned(), after);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return (value, chars.as_str()),
            '\\' => value.extend(chars.next()),
            char => value.push(char),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::Challenge::{self, Basic, Bearer};

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Some(Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) })
    }

    #[test]
    fn the_best_challenge_is_found_however_it_is_written() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        for (case, values, expected) in [
            (
                "Docker Hub",
                vec![hub],
                bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:a/b:pull,push"),
                ),
            ),
            (
                "lower case and spaces",
                vec![r#"bearer  Realm = "https://t" , service=s"#],
                bearer("https://t", Some("s"), None),
            ),
            (
                "an escaped quote",
                vec![r#"Bearer realm="https://t/\"x""#],
                bearer("https://t/\"x", None, None),
            ),
            (
                "two in one value",
                vec![r#"Basic realm="r", Bearer realm="https://t""#],
                bearer("https://t", None, None),
            ),
            (
                "two values",
                vec![r#"Basic realm="r""#, r#"Bearer realm="https://t""#],
                bearer("https://t", None, None),
            ),
            (
                "a parameter of another challenge",
                vec![r#"Bearer realm="https://t", Basic service="s""#],
                bearer("https://t", None, None),
            ),
            ("a token without a realm", vec!["Bearer", "Basic"], Some(Basic)),
            ("without parameters", vec!["Basic"], Some(Basic)),
            ("one that is not known, with a token68", vec!["Negotiate abc=="], None),
            ("not closed", vec![r#"Bearer realm="https://t"#], bearer("https://t", None, None)),
            ("nothing", vec![""], None),
            ("no scheme", vec![r#"="x""#], None),
        ] {
            assert_eq!(Challenge::best_of(values.into_iter()), expected, "{case}");
        }
    }
}
