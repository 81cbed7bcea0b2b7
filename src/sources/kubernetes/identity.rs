//! Who asks: certificates, tokens, and programs that give either.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use unixtime::UnixSeconds;
use ureq::tls::{Certificate, PemItem, PrivateKey, parse_pem};

use super::{
    error::AccessError,
    kubeconfig::{Exec, User},
    plugin::{self, Given},
};
use crate::sources::token::Token;

/// Who asks.
#[derive(Default)]
pub(super) struct Identity {
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    pub(super) token: Option<Arc<Token>>,
    /// Replaced before it expires, so it is read again and again.
    pub(super) token_file: Option<PathBuf>,
    pub(super) exec: Option<Exec>,
}

/// A certificate and its key, in PEM.
pub(super) struct ClientCertificate {
    pub(super) chain: Vec<Certificate<'static>>,
    pub(super) key: PrivateKey<'static>,
}

/// What is sent with a request.
pub(super) struct Credential {
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    pub(super) token: Option<Arc<Token>>,
    /// From when on another one is needed.
    pub(super) expires: Option<UnixSeconds>,
    /// Whether another one comes by itself.
    pub(super) is_renewed: bool,
    /// Until when it is good, as whoever gave it says.
    pub(super) good_until: Option<UnixSeconds>,
}

/// Seconds after which a token's file is read again; client-go takes as long.
const TOKEN_IS_READ_AGAIN: Duration = Duration::from_secs(60);

impl Identity {
    /// That of a user of a kubeconfig.
    pub(super) fn of(user: User, name: &str) -> Result<Self, AccessError> {
        let of = format!("user {name:?}");
        let not_sent = [
            (
                "auth-provider",
                user.auth_provider.is_some(),
                "kubectl has dropped it, too; use the provider's plug-in (exec)",
            ),
            (
                "username",
                user.username.is_some(),
                "Kubernetes has dropped passwords; use a token or a certificate",
            ),
            ("as-user-extra", user.impersonated_extra.is_some(), "svidence does not send it; leave it out"),
        ];
        if let Some((field, _, reason)) = not_sent.into_iter().find(|(_, is_there, _)| *is_there) {
            return Err(AccessError::Value { field, of, reason: reason.to_owned() });
        }
        let chain = bytes(
            ("client-certificate-data", &of),
            user.client_certificate_data.as_deref(),
            user.client_certificate.as_deref(),
        )?;
        let key =
            bytes(("client-key-data", &of), user.client_key_data.as_deref(), user.client_key.as_deref())?;
        let lacks =
            |field, reason: &str| AccessError::Value { field, of: of.clone(), reason: reason.to_owned() };
        let certificate = match (chain, key) {
            (Some(chain), Some(key)) => Some(client_certificate(&of, &chain, &key)?),
            (None, None) => None,
            (Some(_), None) => return Err(lacks("client-certificate", "its client-key is missing")),
            (None, Some(_)) => return Err(lacks("client-key", "its client-certificate is missing")),
        };
        let token = user.token.filter(|token| !token.is_empty()).map(|token| Token::of(token.as_bytes()));
        let token = token.transpose().map_err(|error| lacks("token", &error.to_string()))?;
        Ok(Self { certificate, token: token.map(Arc::new), token_file: user.token_file, exec: user.exec })
    }

    /// What is to be sent now. `cluster` is what a program may be told of the server.
    pub(super) fn credential(&self, cluster: &Value, now: UnixSeconds) -> Result<Credential, AccessError> {
        let Self { certificate, token, token_file, exec } = self;
        if let Some(path) = token_file {
            let token =
                Token::of_file(path).map_err(|error| AccessError::Token { path: path.clone(), error })?;
            return Ok(Credential {
                certificate: certificate.clone(),
                token: Some(Arc::new(token)),
                expires: Some(now + TOKEN_IS_READ_AGAIN),
                is_renewed: true,
                good_until: None,
            });
        }
        match exec {
            // A token of the kubeconfig's own goes before it, as with client-go.
            Some(exec) if token.is_none() => given_by(exec, plugin::run(exec, cluster)?),
            _ => Ok(Credential {
                certificate: certificate.clone(),
                token: token.clone(),
                expires: None,
                is_renewed: false,
                good_until: None,
            }),
        }
    }
}

fn given_by(exec: &Exec, given: Given) -> Result<Credential, AccessError> {
    let failed =
        |reason: &str| AccessError::Plugin { command: exec.command.clone(), reason: reason.to_owned() };
    let of = format!("the credential plug-in {:?}", exec.command);
    let expires = given.expiration_timestamp.map(|text| {
        UnixSeconds::parse(&text).ok_or_else(|| failed("gives an expirationTimestamp that is not RFC 3339"))
    });
    let certificate = match (&given.client_certificate_data, &given.client_key_data) {
        (Some(chain), Some(key)) => Some(client_certificate(&of, chain.as_bytes(), key.as_bytes())?),
        (None, None) => None,
        _ => return Err(failed("gives a certificate without its key, or a key without a certificate")),
    };
    let token = given.token.map(|token| Token::of(token.as_bytes())).transpose();
    let token = token.map_err(|error| failed(&format!("gives a token that is of no use: {error}")))?;
    let expires = expires.transpose()?;
    Ok(Credential { certificate, token: token.map(Arc::new), expires, is_renewed: true, good_until: expires })
}

/// The bytes of a field that is there as base64, or in a file.
pub(super) fn bytes(
    (field, of): (&'static str, &str),
    data: Option<&str>,
    file: Option<&Path>,
) -> Result<Option<Vec<u8>>, AccessError> {
    match (data.filter(|data| !data.is_empty()), file) {
        (Some(data), _) => STANDARD.decode(data).map(Some).map_err(|_| AccessError::Value {
            field,
            of: of.to_owned(),
            reason: "it is not base64".to_owned(),
        }),
        (None, Some(path)) => {
            fs::read(path).map(Some).map_err(|error| AccessError::File { path: path.to_owned(), error })
        }
        (None, None) => Ok(None),
    }
}

/// All certificates of a PEM file.
pub(super) fn certificates(
    (field, of): (&'static str, &str),
    pem: &[u8],
) -> Result<Vec<Certificate<'static>>, AccessError> {
    let found: Vec<_> = parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        let reason = "it holds no certificate in PEM".to_owned();
        return Err(AccessError::Value { field, of: of.to_owned(), reason });
    }
    Ok(found)
}

fn client_certificate(of: &str, chain: &[u8], key: &[u8]) -> Result<Arc<ClientCertificate>, AccessError> {
    let refused = |reason: &str| AccessError::Value {
        field: "client-key",
        of: of.to_owned(),
        reason: reason.to_owned(),
    };
    let chain = certificates(("client-certificate", of), chain)?;
    let key = PrivateKey::from_pem(key).map_err(|_| refused("it holds no private key in PEM"))?;
    Ok(Arc::new(ClientCertificate { chain, key }))
}
