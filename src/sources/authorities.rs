//! Whose certificate a server may have, where somebody says so: of an archive and of a registry.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use ureq::{
    Agent, Proxy,
    tls::{Certificate, TlsConfig},
};

use crate::tls;

/// How much longer all of an answer may take than its beginning: what reads it may be slower than the server.
pub(crate) const BODY_TAKES: u32 = 10;

/// Authorities that vouch for the server.
#[derive(Debug, Clone, Default)]
pub struct ServerAuthorities(Vec<CertificateDer<'static>>);

/// Why a text holds no authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerAuthoritiesError {
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

impl ServerAuthorities {
    /// All certificates of a text.
    pub fn from_pem(text: &[u8]) -> Result<Self, ServerAuthoritiesError> {
        let all = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
        let all = all.map_err(|error| ServerAuthoritiesError::Pem(error.to_string()))?;
        if all.is_empty() {
            return Err(ServerAuthoritiesError::Empty);
        }
        let mut store = RootCertStore::empty();
        match all.iter().position(|certificate| store.add(certificate.clone()).is_err()) {
            Some(place) => Err(ServerAuthoritiesError::Certificate(place + 1)),
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

    /// A client of HTTP/1.1 that waits `patience` for an answer and [`BODY_TAKES`] times that for all of it, and follows no redirect: a
    /// credential goes to the host that it is for and to no other. Without TLS a server is on this machine, where no proxy leads to.
    pub(crate) fn agent(&self, proxy: Option<Proxy>, patience: Duration) -> Agent {
        let config = Agent::config_builder()
            .tls_config(self.for_web())
            .proxy(proxy)
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_recv_body(Some(patience * BODY_TAKES))
            .http_status_as_error(false)
            .user_agent(concat!("svidence/", env!("CARGO_PKG_VERSION")))
            .max_redirects(0)
            .max_redirects_will_error(false);
        config.build().into()
    }

    fn for_web(&self) -> TlsConfig {
        let all: Vec<Certificate<'static>> =
            self.0.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        tls::trusting(&all).build()
    }
}
