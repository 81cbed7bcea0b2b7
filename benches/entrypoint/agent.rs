//! The agent as another workload sees it.

use std::sync::mpsc::{Receiver, channel};

use svidence::workload::{
    address::Address,
    client::{Client, MessageStream, connect, request},
};
use tokio::runtime::Runtime;

use super::{
    figures::Samples,
    step::{ms, now},
};

/// How long the agent itself takes for FetchX509SVID on an open connection, in milliseconds.
pub(crate) struct Calls {
    runtime: Runtime,
    client: Client,
    pub(crate) samples: Samples,
}

impl Calls {
    pub(crate) fn new(socket: &str) -> Self {
        let runtime = runtime();
        let client = runtime.block_on(connect(&address(socket))).unwrap();
        Self { runtime, client, samples: Samples::default() }
    }

    /// Makes one call.
    pub(crate) fn sample(&mut self) {
        let begun = now();
        self.runtime.block_on(async {
            let mut stream = open(&mut self.client).await;
            stream.message().await.unwrap().unwrap();
        });
        self.samples.push(ms(begun, now()));
    }
}

/// When the agent had something new for this process, and its SPIFFE IDs.
pub(crate) type News = (u64, Vec<String>);

/// Follows the stream of this process, in a thread that ends with the agent.
pub(crate) fn watch(socket: &str) -> Receiver<News> {
    let (sender, receiver) = channel();
    let address = address(socket);
    std::thread::spawn(move || {
        runtime().block_on(async {
            let mut stream = open(&mut connect(&address).await.unwrap()).await;
            while let Ok(Some(message)) = stream.message().await {
                let ids = message.svids.into_iter().map(|svid| svid.spiffe_id).collect();
                if sender.send((now(), ids)).is_err() {
                    break;
                }
            }
        });
    });
    receiver
}

async fn open(client: &mut Client) -> MessageStream {
    client.fetch_x509svid(request()).await.unwrap().into_inner()
}

fn address(socket: &str) -> Address {
    socket.parse().unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
