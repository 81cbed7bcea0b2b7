//! Whose certificate a server may have, where somebody says so: of an archive and of a registry.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use ureq::tls::{Certificate, TlsConfig};

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
    pub(crate) fn for_grpc(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
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

    /// For HTTP/1.1.
    pub(crate) fn for_web(&self) -> TlsConfig {
        let all: Vec<Certificate<'static>> =
            self.0.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        tls::trusting(&all).build()
    }
}
