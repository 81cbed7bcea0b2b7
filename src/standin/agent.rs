//! The Workload API on a unix socket, serving what a [`DevCa`] issued.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use tokio::sync::oneshot;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status};

use crate::{
    standin::ca::{DevCa, IssuedSvid},
    workload::generated::{
        X509svid, X509svidRequest, X509svidResponse,
        spiffe_workload_api_server::{SpiffeWorkloadApi, SpiffeWorkloadApiServer},
    },
};

/// A running Workload API; it stops when dropped.
pub struct DevAgent {
    socket: PathBuf,
    identity: Arc<Mutex<Option<X509svidResponse>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl DevAgent {
    /// Listens on `socket`, whose path has at most 107 bytes, and refuses every workload until [`Self::serve`].
    pub fn start(socket: &Path) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { tokio::net::UnixListener::bind(socket) })?;
        let identity = Arc::new(Mutex::new(None));
        let (stop, stopped) = oneshot::channel();
        let service = SpiffeWorkloadApiServer::new(Service { identity: identity.clone() });
        let thread = std::thread::Builder::new().name("devagent".into()).spawn(move || {
            let server = tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(UnixListenerStream::new(listener));
            runtime.block_on(async {
                tokio::select! {
                    _ = server => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { socket: socket.to_owned(), identity, stop: Some(stop), thread: Some(thread) })
    }

    /// Hands out this SVID from now on.
    pub fn serve(&self, ca: &DevCa, svid: &IssuedSvid) {
        let svid = X509svid {
            spiffe_id: svid.spiffe_id.clone(),
            x509_svid: svid.certificate.clone(),
            x509_svid_key: svid.key.to_vec(),
            bundle: ca.certificate().to_vec(),
            hint: String::new(),
        };
        let response = X509svidResponse { svids: vec![svid], ..Default::default() };
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
    }

    /// The address, `unix:///…`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

impl Drop for DevAgent {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

struct Service {
    identity: Arc<Mutex<Option<X509svidResponse>>>,
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for Service {
    type FetchX509SVIDStream = ReceiverStream<Result<X509svidResponse, Status>>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        // SPIFFE Workload Endpoint, section 5: the header keeps requests forged across protocols away.
        if request.metadata().get("workload.spiffe.io").is_none_or(|value| value != "true") {
            return Err(Status::invalid_argument("security header missing from request"));
        }
        let identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let response = identity.ok_or_else(|| Status::permission_denied("no identity issued"))?;
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        sender.send(Ok(response)).await.map_err(|_| Status::unavailable("the client is gone"))?;
        // The stream stays open, as a real agent's does, until the client leaves.
        tokio::spawn(async move { sender.closed().await });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
