//! Whose certificate the server may have.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use ureq::tls::{Certificate, TlsConfig};

use super::error::ResultsError;
use crate::tls;

/// Authorities that vouch for the server.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// Why a text holds no authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesError {
    /// Broken PEM.
    #[error("it is not PEM: {0}")]
    Pem(String),
    /// Nothing of use in it.
    #[error("there is no certificate in it")]
    Empty,
    /// A certificate that cannot be used.
    #[error("certificate {0} of it cannot be read")]
    Certificate(usize),
}

impl Authorities {
    /// All certificates of a text.
    pub fn from_pem(text: &[u8]) -> Result<Self, AuthoritiesError> {
        let all = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
        let all = all.map_err(|error| AuthoritiesError::Pem(error.to_string()))?;
        if all.is_empty() {
            return Err(AuthoritiesError::Empty);
        }
        let mut store = RootCertStore::empty();
        match all.iter().position(|certificate| store.add(certificate.clone()).is_err()) {
            Some(place) => Err(AuthoritiesError::Certificate(place + 1)),
            None => Ok(Self(all)),
        }
    }

    /// For HTTP/2 alone.
    pub(super) fn for_grpc(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.0.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    pub(super) fn for_rest(&self) -> TlsConfig {
        let all: Vec<Certificate<'static>> =
            self.0.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        tls::trusting(&all).build()
    }
}

/// Why there is no connection.
pub(super) fn not_connected(error: &io::Error) -> ResultsError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => not_trusted(error),
        None => ResultsError::Connect { reason: crate::io_error::words(error) },
    }
}

/// Why there is no TLS.
pub(super) fn not_trusted(error: &rustls::Error) -> ResultsError {
    let reason = match error {
        rustls::Error::InvalidMessage(_) => return ResultsError::NoTls,
        rustls::Error::NoApplicationProtocol => return ResultsError::NoHttp2,
        rustls::Error::InvalidCertificate(error) => tls::words(error),
        other => return ResultsError::Connect { reason: other.to_string() },
    };
    ResultsError::Certificate { reason }
}
