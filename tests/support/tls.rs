//! TLS of the servers that tests put on this machine's loopback.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// TLS with a certificate for 127.0.0.1 and for names that nobody but a test's proxy knows (`*.elsewhere.test`), and that certificate in
/// PEM, which vouches for itself.
pub fn loopback() -> (Arc<ServerConfig>, String) {
    let made =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "*.elsewhere.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![made.cert.der().clone()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (Arc::new(config), made.cert.pem())
}
