//! TLS with a server that shows an X509-SVID (SPIFFE Federation 5.2.2): not its host's name counts, but its SPIFFE ID.

use std::{
    fmt,
    io::{Read as _, Write as _},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, ConfigBuilder, DigitallySignedStruct, OtherError,
    SignatureScheme, StreamOwned,
    client::{
        WantsClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use unixtime::UnixSeconds;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};
use x509::Certificate;

use crate::workload::{
    bundle::X509Bundle,
    chain::{PathError, find_path},
    id::SpiffeId,
    svid_rules::{SvidRule, check_leaf},
};

/// Why a server is not the one that was meant.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum NotShown {
    #[error("its certificate cannot be read: {0}")]
    Unreadable(x509::CertificateError),
    #[error("its certificate is not an X509-SVID: {0}")]
    NotAnSvid(SvidRule),
    #[error("it is {found}, not {expected}")]
    OtherId { found: String, expected: String },
    #[error("its SVID leads to no authority of the bundle: {0}")]
    NoPath(PathError),
}

/// Takes servers with this SPIFFE ID.
#[derive(Debug)]
struct ShowsId {
    id: SpiffeId,
    /// Of the ID's trust domain.
    bundle: X509Bundle,
    now: UnixSeconds,
    provider: Arc<CryptoProvider>,
}

impl ShowsId {
    fn check(&self, leaf: &[u8], intermediates: &[CertificateDer<'_>]) -> Result<(), NotShown> {
        let parse = |der: &[u8]| Certificate::parse(der).map_err(NotShown::Unreadable);
        let leaf = parse(leaf)?;
        let found = check_leaf(&leaf).map_err(NotShown::NotAnSvid)?;
        if found != self.id {
            let (found, expected) = (found.to_string(), self.id.to_string());
            return Err(NotShown::OtherId { found, expected });
        }
        let intermediates =
            intermediates.iter().map(|der| parse(der)).collect::<Result<Vec<Certificate>, _>>()?;
        let intermediates: Vec<&Certificate> = intermediates.iter().collect();
        find_path(&leaf, &intermediates, &self.bundle, self.now).map(drop).map_err(NotShown::NoPath)
    }
}

impl ServerCertVerifier for ShowsId {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, intermediates)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|error| CertificateError::Other(OtherError(Arc::new(error))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Connects to the server with this SPIFFE ID.
#[derive(Debug)]
pub(super) struct SpiffeTls {
    config: Arc<ClientConfig>,
}

impl SpiffeTls {
    /// `bundle` is of the ID's trust domain.
    pub(super) fn new(id: SpiffeId, bundle: X509Bundle, now: UnixSeconds) -> Result<Self, rustls::Error> {
        Ok(Self { config: Arc::new(to_server(id, bundle, now)?.with_no_client_auth()) })
    }
}

/// TLS with the server that has this SPIFFE ID, but for what the client shows. `bundle` is of the ID's trust domain; `now` is in Unix
/// seconds.
pub(crate) fn to_server(
    id: SpiffeId,
    bundle: X509Bundle,
    now: UnixSeconds,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = ShowsId { id, bundle, now, provider: provider.clone() };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

/// Why the server was not taken for the one that was meant, if that is why there is no TLS.
pub(crate) fn not_shown(error: &rustls::Error) -> Option<&NotShown> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.downcast_ref(),
        _ => None,
    }
}

impl<In: Transport> Connector<In> for SpiffeTls {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        // A proxy: what is said through it to the server is encrypted afterwards.
        if details.uri.scheme_str() == Some("http") {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| ureq::Error::Tls("the host has no name"))?;
        let mut conn = ClientConnection::new(self.config.clone(), name)?;
        let mut sock = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        sock.set_timeout(details.timeout);
        conn.complete_io(&mut sock)?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Encrypted { buffers, stream: StreamOwned { conn, sock } })))
    }
}

/// An encrypted connection.
pub(super) struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").finish_non_exhaustive()
    }
}
