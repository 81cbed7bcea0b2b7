//! The API over gRPC.

use std::{
    error::Error as _,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tonic::{
    Request, Status,
    metadata::MetadataMap,
    transport::{Channel, Endpoint, Uri},
};
use tower_service::Service;
use ureq::Proxy;

use super::{
    address::ResultsAddress,
    archive::{Archive, Each, Ended, ORDER, Page, Record},
    caller::{Caller, Credential},
    connection::not_connected,
    error::ResultsError,
    generated::{ListRecordsRequest, RecordListSummaryRequest, results_client::ResultsClient},
    tunnel,
};
use crate::sources::authorities::ServerAuthorities;

/// Bytes of an answer that is read: five records of the size that the server admits, which its database may lengthen.
const LARGEST_ANSWER: usize = 64 << 20;
/// Bytes that may be under way: a page comes in one piece.
const WINDOW: u32 = 8 << 20;

/// A client that connects when it must.
pub(super) struct Grpc {
    address: ResultsAddress,
    dial: Dial,
    caller: Caller,
    patience: Duration,
    runtime: Runtime,
    client: Option<ResultsClient<Channel>>,
}

impl Grpc {
    pub(super) fn new(
        address: ResultsAddress,
        authorities: &ServerAuthorities,
        caller: Caller,
        patience: Duration,
        proxy: Option<Proxy>,
    ) -> Result<Self, ResultsError> {
        let unusable = |reason: String| ResultsError::Connect { reason };
        let tls = match address.is_tls {
            false => None,
            true => {
                let config = authorities.for_grpc().map_err(|error| unusable(error.to_string()))?;
                let name = ServerName::try_from(address.host.clone())
                    .map_err(|error| unusable(error.to_string()))?;
                Some((TlsConnector::from(config), name))
            }
        };
        let dial = Dial { authority: address.authority(), proxy, tls };
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|error| unusable(crate::io_error::words(&error)))?;
        Ok(Self { address, dial, caller, patience, runtime, client: None })
    }

    /// Calls, on a new connection if there is none.
    fn call<M, A, F>(
        &mut self,
        parent: &str,
        message: M,
        call: impl FnOnce(ResultsClient<Channel>, Request<M>) -> F,
    ) -> Result<A, ResultsError>
    where
        F: Future<Output = Result<tonic::Response<A>, Status>>,
    {
        let credential = self.caller.credential()?;
        let seconds = self.patience.as_secs();
        let (address, dial, client) = (&self.address, &self.dial, self.client.take());
        let asking = async {
            let client = match client {
                Some(client) => client,
                None => connect(address, dial.clone()).await?,
            };
            let mut request = Request::new(message);
            *request.metadata_mut() = MetadataMap::from_headers(credential.headers.clone());
            match call(client.clone(), request).await {
                Ok(answer) => Ok((client, answer.into_inner())),
                Err(status) => Err(refused(&status, &credential, parent)),
            }
        };
        // A timer can be made within the runtime only.
        let answered = self.runtime.block_on(async { timeout(self.patience, asking).await });
        let (client, answer) = answered.map_err(|_| ResultsError::Timeout { seconds })??;
        self.client = Some(client);
        Ok(answer)
    }
}

impl Archive for Grpc {
    fn total(&mut self, parent: &str, filter: &str) -> Result<Option<u64>, ResultsError> {
        let request = RecordListSummaryRequest {
            parent: parent.into(),
            summary: "total".into(),
            filter: filter.into(),
        };
        let answer = self.call(parent, request, |mut client, request| async move {
            client.get_record_list_summary(request).await
        })?;
        let total = answer.summary.first().and_then(|summary| summary.fields.get("total"));
        let number = total.and_then(|total| match total.kind {
            Some(prost_types::value::Kind::NumberValue(number)) => Some(number),
            _ => None,
        });
        // A count: whole, and small enough to be exact.
        let number = number.filter(|number| *number >= 0.0 && number.fract() == 0.0);
        #[expect(clippy::as_conversions, reason = "whole and not negative")]
        let count = number.map(|number| number as u64);
        Ok(count)
    }

    fn page(&mut self, page: Page<'_>, each: &mut Each<'_>) -> Result<Option<String>, Ended> {
        let request = ListRecordsRequest {
            parent: page.parent.into(),
            filter: page.filter.into(),
            page_size: i32::try_from(page.size).unwrap_or(i32::MAX),
            page_token: page.token.into(),
            order_by: ORDER.into(),
        };
        let answer = self.call(page.parent, request, |mut client, request| async move {
            client.list_records(request).await
        })?;
        for record in answer.records {
            let data = record.data.unwrap_or_default();
            each(Record { name: record.name, uid: record.uid, kind: data.r#type, value: data.value })?;
        }
        Ok(Some(answer.next_page_token).filter(|token| !token.is_empty()))
    }
}

async fn connect(address: &ResultsAddress, dial: Dial) -> Result<ResultsClient<Channel>, ResultsError> {
    let scheme = if address.is_tls { "https" } else { "http" };
    let unusable = |error: tonic::transport::Error| ResultsError::Connect { reason: error.to_string() };
    let channel = Endpoint::from_shared(format!("{scheme}://{}", address.authority()))
        .and_then(|endpoint| endpoint.user_agent(concat!("svidence/", env!("CARGO_PKG_VERSION"))))
        .map_err(unusable)?
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .connect_with_connector(dial)
        .await
        .map_err(|error| match deepest_io(&error) {
            Some(error) => not_connected(error),
            None => unusable(error),
        })?;
    Ok(ResultsClient::new(channel).max_decoding_message_size(LARGEST_ANSWER))
}

/// The system's error behind another one.
fn deepest_io<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut current = Some(error);
    let mut found = None;
    while let Some(error) = current {
        found = error.downcast_ref::<io::Error>().or(found);
        current = error.source();
    }
    found
}

fn refused(status: &Status, credential: &Credential, parent: &str) -> ResultsError {
    // What did not come from the server.
    if let Some(source) = status.source() {
        return match deepest_io(source) {
            Some(error) => ResultsError::Lost { reason: crate::io_error::words(error) },
            None => ResultsError::Lost { reason: credential.quote(status.message()) },
        };
    }
    ResultsError::answered(status.code().into(), credential.quote(status.message()), parent)
}

/// Makes a connection each time that one is needed.
#[derive(Clone)]
struct Dial {
    authority: String,
    proxy: Option<Proxy>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A connection, encrypted or not.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Service<Uri> for Dial {
    type Response = TokioIo<Box<dyn Wire>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { authority, proxy, tls } = self.clone();
        Box::pin(async move {
            let socket = match &proxy {
                None => TcpStream::connect(authority).await?,
                Some(proxy) => tunnel::through(proxy, &authority).await?,
            };
            socket.set_nodelay(true)?;
            let wire: Box<dyn Wire> = match tls {
                None => Box::new(socket),
                Some((connector, name)) => {
                    let stream = connector.connect(name, socket).await?;
                    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                        return Err(io::Error::other(rustls::Error::NoApplicationProtocol));
                    }
                    Box::new(stream)
                }
            };
            Ok(TokioIo::new(wire))
        })
    }
}
