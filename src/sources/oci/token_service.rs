//! The service that gives tokens for a registry (distribution "Token Authentication" and "OAuth2 Token Authentication").

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use ureq::http::{Uri, header::AUTHORIZATION};

use super::{
    connection::{Connection, host_of},
    credentials::{Credential, CredentialOrigin},
    error::OciError,
    reference::Repository,
    secret::{Secret, quote},
};
use crate::sources::loopback::is_loopback;

/// Bytes of an answer that are read.
const LARGEST_ANSWER: u64 = 1 << 20;
/// What a service calls this program.
const CLIENT: &str = "svidence";

#[derive(Deserialize)]
struct Answer {
    token: Option<Secret>,
    access_token: Option<Secret>,
}

/// A service, as a registry names it.
pub(super) struct TokenService<'a> {
    pub(super) connection: &'a Connection,
    pub(super) repository: &'a Repository,
    pub(super) realm: &'a str,
    pub(super) service: Option<&'a str>,
    pub(super) scope: Option<&'a str>,
}

/// User and password as `Basic` has them (RFC 7617).
pub(super) fn basic(user: &str, password: &Secret) -> Secret {
    Secret::new(STANDARD.encode(format!("{user}:{}", password.text())))
}

impl TokenService<'_> {
    /// A token for reading the repository: for a credential, or as anybody gets one.
    pub(super) fn token(
        &self,
        credential: Option<&Credential>,
        origin: &CredentialOrigin,
        secrets: &[Secret],
    ) -> Result<Secret, OciError> {
        let realm = self.address()?;
        let (registry, host) = (self.repository.registry(), host_of(&realm));
        let scope = format!("repository:{}:pull", self.repository.path());
        let scope = self.scope.unwrap_or(&scope);
        let mut about = vec![("scope", scope)];
        about.extend(self.service.map(|service| ("service", service)));
        let response = match credential {
            Some(Credential::Identity(token)) => {
                about.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", CLIENT),
                    ("refresh_token", token.text()),
                ]);
                self.connection.post(&realm)?.send_form(about)
            }
            Some(Credential::Password { user, password }) => {
                let login = format!("Basic {}", basic(user, password).text());
                self.connection.get(&realm)?.query_pairs(about).header(AUTHORIZATION, login).call()
            }
            Some(Credential::Registry(_)) | None => self.connection.get(&realm)?.query_pairs(about).call(),
        };
        let mut response = response.map_err(|error| self.connection.unanswered(error, &realm, &host))?;
        let status = response.status().as_u16();
        let body = self.connection.body(&mut response, LARGEST_ANSWER, &host)?.unwrap_or_default();
        let said = || match status {
            200 => String::new(),
            _ => quote(&String::from_utf8_lossy(&body), secrets),
        };
        let no_token =
            |what: String| OciError::NoToken { host: registry.to_owned(), realm: host.clone(), what };
        match (status, credential) {
            (200, _) => {
                let answer: Answer = serde_json::from_slice(&body)
                    .map_err(|_| no_token("its answer is not JSON with a token".to_owned()))?;
                let token = answer.token.or(answer.access_token).filter(|token| !token.text().is_empty());
                token.ok_or_else(|| no_token("its answer has none".to_owned()))
            }
            // What is wrong with a token that is to be refreshed is 400 (RFC 6749, 5.2).
            (401, _) | (400, Some(Credential::Identity(_))) => Err(OciError::Unauthorized {
                host: registry.to_owned(),
                origin: origin.clone(),
                said: said(),
            }),
            (403, _) => {
                Err(OciError::Forbidden { host: registry.to_owned(), origin: origin.clone(), said: said() })
            }
            (429 | 500 | 502..=504, _) => Err(OciError::Busy {
                host,
                reason: format!("HTTP status {status}"),
                retry_after: super::connection::retry_after(&response),
            }),
            (status, _) => Err(no_token(format!("HTTP status {status}"))),
        }
    }

    /// Where it is, if a credential may be sent there: over TLS, or on this machine if the registry itself is not asked over TLS.
    fn address(&self) -> Result<Uri, OciError> {
        let refused = |reason| OciError::Realm {
            host: self.repository.registry().to_owned(),
            realm: self.realm.chars().take(200).collect(),
            reason,
        };
        let address: Uri = self.realm.parse().map_err(|_| refused("is not an address"))?;
        let authority = address.authority().map(|authority| authority.as_str()).unwrap_or_default();
        if authority.is_empty() || authority.contains('@') {
            return Err(refused("is not the address of a server"));
        }
        let host = address.host().unwrap_or_default().trim_matches(['[', ']']);
        match address.scheme_str() {
            Some("https") => Ok(address),
            Some("http") if !self.repository.is_tls() && is_loopback(host) => Ok(address),
            _ => Err(refused("is not encrypted")),
        }
    }
}
