//! A scripted endpoint of the Workload API: a fake, for what a real agent cannot be made to do at will.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::{
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use Act::{Hang, Headers, Leave, Refuse, Serve};
use svidence::workload::generated::{
    X509svidRequest, X509svidResponse,
    spiffe_workload_api_server::{SpiffeWorkloadApi, SpiffeWorkloadApiServer},
};
use tokio_stream::{
    Stream, StreamExt as _,
    wrappers::{ReceiverStream, UnixListenerStream},
};
use tonic::{Code, Request, Response, Status};

/// What the endpoint does with one call.
#[derive(Clone)]
pub enum Act {
    /// No answer at all.
    Hang,
    /// Headers and then nothing.
    Headers,
    /// A status with these words instead of a stream.
    Refuse(Code, &'static str),
    /// After this many milliseconds these messages, 100 ms apart, and then the end, if there is one.
    Serve(u64, Vec<X509svidResponse>, Option<Code>),
    /// This message, and half a second later the end, for all calls made by then; those made later hang.
    Leave(X509svidResponse),
}

/// The n-th call gets the n-th act, all later ones the last.
struct Script {
    acts: Vec<Act>,
    calls: Arc<AtomicUsize>,
    left: Arc<AtomicBool>,
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for Script {
    type FetchX509SVIDStream = Pin<Box<dyn Stream<Item = Result<X509svidResponse, Status>> + Send>>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        let headers: Vec<_> = request.metadata().get_all("workload.spiffe.io").iter().collect();
        if headers != ["true"] {
            return Err(Status::unimplemented("the security header must be there exactly once"));
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.acts[call.min(self.acts.len() - 1)].clone() {
            Hang => std::future::pending().await,
            Headers => Ok(Response::new(Box::pin(tokio_stream::pending()))),
            Refuse(code, words) => Err(Status::new(code, words)),
            Serve(delay, messages, end) => {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                let (sender, receiver) = tokio::sync::mpsc::channel(1);
                tokio::spawn(async move {
                    for message in messages {
                        let _ = sender.send(Ok(message)).await;
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    match end {
                        Some(Code::Ok) => {}
                        Some(code) => drop(sender.send(Err(Status::new(code, "scripted"))).await),
                        None => sender.closed().await,
                    }
                });
                Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
            }
            Leave(_) if self.left.load(Ordering::SeqCst) => std::future::pending().await,
            Leave(message) => {
                let (sender, receiver) = tokio::sync::mpsc::channel(2);
                sender.try_send(Ok(message)).unwrap();
                let left = Arc::clone(&self.left);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    left.store(true, Ordering::SeqCst);
                    let _ = sender.send(Err(Status::unavailable("scripted"))).await;
                });
                Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
            }
        }
    }
}

/// A scripted endpoint. Dropping it cuts all connections and leaves the socket's file.
pub struct Endpoint {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    calls: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Endpoint {
    pub fn start(socket: &Path, acts: Vec<Act>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (calls, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let _ = std::fs::remove_file(socket);
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::bind(socket).unwrap()
        };
        let count = Arc::clone(&connections);
        let service =
            SpiffeWorkloadApiServer::new(Script { acts, calls: Arc::clone(&calls), left: Arc::default() });
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let incoming = UnixListenerStream::new(listener).map(move |connection| {
                    count.fetch_add(1, Ordering::SeqCst);
                    connection
                });
                let server = tonic::transport::Server::builder().add_service(service);
                tokio::select! {
                    end = server.serve_with_incoming(incoming) => end.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { stop: Some(stop), thread: Some(thread), calls, connections }
    }

    /// On a busy machine an attempt may make more than one call.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// One for each call, and one to watch a refusal.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    #[track_caller]
    pub fn wait_for_connections(&self, case: &str, count: usize) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.connections() < count {
            assert!(Instant::now() < end, "{case}: {} connections", self.connections());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))) || std::thread::panicking());
    }
}
