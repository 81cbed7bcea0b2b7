//! TLS of all that asks a web server: by whose authorities, and what is wrong with a certificate, in plain words.

use std::sync::Arc;

use rustls::{CertificateError, crypto::ring};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsConfigBuilder, TlsProvider};

/// TLS with servers that these authorities, and no others, vouch for.
pub(crate) fn trusting(authorities: &[Certificate<'static>]) -> TlsConfigBuilder {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(authorities))
}

/// What is wrong with "it", a server's certificate.
pub(crate) fn words(error: &CertificateError) -> String {
    match error {
        // Also not one that has only the name of its issuer.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "none of the authorities that are trusted has issued it".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        other => other.to_string(),
    }
}
