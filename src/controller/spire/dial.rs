//! Connections to the SPIRE server: it must be exactly `spiffe://<trust domain>/spire/server`, and is shown the SVID of now, so that the
//! SVID may change between two connections without a call that fails.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::pki_types::{IpAddr, Ipv4Addr, ServerName};
use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{codegen::http::Uri, transport::Channel};
use tower_service::Service;
use unixtime::UnixSeconds;

use crate::{
    bundles::spiffe_tls::{not_shown, to_server},
    controller::{identity::OwnIdentity, spire::error::DialError},
    io_error,
    workload::id::{SpiffeId, TrustDomain},
};

/// How long a connection may take to be made, TLS and all.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
/// How long what was sent may stay unacknowledged before the system gives the connection up: by itself it takes a quarter of an
/// hour.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Makes a connection each time that one is needed.
#[derive(Clone)]
pub(super) struct Dial {
    pub(super) address: String,
    pub(super) trust_domain: TrustDomain,
    pub(super) identity: OwnIdentity,
    pub(super) now: fn() -> UnixSeconds,
    /// Why the last one was not made: the channel hides it.
    pub(super) failed: Arc<Mutex<Option<DialError>>>,
}

impl Dial {
    /// A channel that connects when it is used, and again when the connection was lost.
    pub(super) fn channel(&self) -> Channel {
        // Only HTTP/2's authority: what the server shows is its SPIFFE ID.
        tonic::transport::Endpoint::from_static("https://spire-server")
            .user_agent(concat!("svidence/", env!("CARGO_PKG_VERSION")))
            .unwrap_or_else(|_| tonic::transport::Endpoint::from_static("https://spire-server"))
            .connect_with_connector_lazy(self.clone())
    }

    /// Why there was no connection, if that has happened since it was asked last.
    pub(super) fn take_failed(&self) -> Option<DialError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, DialError> {
        timeout(CONNECTED_WITHIN, self.connect_at_leisure()).await.unwrap_or_else(|_| {
            let reason = format!("no connection is made within {} s", CONNECTED_WITHIN.as_secs());
            Err(DialError::Connect { address: self.address.clone(), reason })
        })
    }

    async fn connect_at_leisure(&self) -> Result<TlsStream<TcpStream>, DialError> {
        let address = || self.address.clone();
        let own = self.identity.get((self.now)())?;
        if *own.id.trust_domain() != self.trust_domain {
            let (id, trust_domain) = (own.id.to_string(), self.trust_domain.to_string());
            return Err(DialError::OtherTrustDomain { id, trust_domain });
        }
        let tls = |reason: String| DialError::Tls { address: address(), reason };
        let server = SpiffeId::from_segments(self.trust_domain.clone(), &["spire", "server"])
            .map_err(|error| tls(error.to_string()))?;
        let config = to_server(server, own.bundle.clone(), (self.now)())
            .and_then(|config| config.with_client_auth_cert(own.chain.clone(), own.key()));
        let mut config = config.map_err(|error| tls(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connect =
            |error: io::Error| DialError::Connect { address: address(), reason: io_error::words(&error) };
        let socket = TcpStream::connect(&self.address).await.map_err(connect)?;
        socket.set_nodelay(true).map_err(connect)?;
        SockRef::from(&socket).set_tcp_user_timeout(Some(UNACKNOWLEDGED)).map_err(connect)?;
        // Not sent and not checked: no name is announced for an address.
        let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([127, 0, 0, 1])));
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
        let stream = stream.map_err(|error| self.no_tls(&error))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok(stream),
            _ => Err(tls("it offers no HTTP/2".to_owned())),
        }
    }

    fn no_tls(&self, error: &io::Error) -> DialError {
        let address = self.address.clone();
        let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (of_tls, of_tls.and_then(not_shown)) {
            (_, Some(reason)) => DialError::NotTheServer { address, reason: reason.to_string() },
            (Some(rustls::Error::InvalidMessage(_)), _) => {
                DialError::Tls { address, reason: "it does not speak TLS".to_owned() }
            }
            (Some(error), _) => DialError::Tls { address, reason: error.to_string() },
            (None, _) if error.kind() == io::ErrorKind::UnexpectedEof => {
                DialError::Connect { address, reason: "it ends the connection at once".to_owned() }
            }
            (None, _) => DialError::Connect { address, reason: io_error::words(error) },
        }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move {
            dial.connect().await.map(TokioIo::new).map_err(|error| {
                let words = error.to_string();
                *dial.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                io::Error::other(words)
            })
        })
    }
}
