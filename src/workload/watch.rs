//! Learns at once that an identity is there for a process that the agent has refused.
//!
//! The Workload API ends the call of a process without an identity, so that it has to be asked again and again, which costs
//! the agent an attestation each time. SPIRE's agent serves Envoy's secret discovery service (SDS) on the same socket, and
//! that keeps the stream of such a process open: it pushes a message whenever the entries or SVIDs that match the process
//! change (SPIRE pkg/agent/endpoints/sdsv3). Only the trust bundle is asked for, so that no key is sent, and what a
//! message holds is not looked at: that there is one says that it is worth asking the Workload API.
//!
//! Where an agent serves no SDS there are the pauses of [`super::retry`] alone.

use std::{
    cell::Cell,
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use http_body::{Body as _, Frame};
use tokio::sync::Notify;
use tonic::codegen::{Bytes, Service as _, http};

use super::{address::Address, client::channel, retry::Backoff};

/// Envoy api/envoy/service/secret/v3/sds.proto, with the authority that the Workload API's client has too.
const STREAM_SECRETS: &str = "http://localhost/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";

/// A gRPC message, not compressed and 8 bytes long: a `DiscoveryRequest` whose `resource_names` (field 3, a string) are SPIRE's
/// name for the bundle of the agent's trust domain (`default_bundle_name` of its configuration).
const REQUEST: &[u8] = b"\0\0\0\0\x08\x1a\x06ROOTCA";

/// A watch over what matches this process, and the signals between it and whoever asks.
#[derive(Default)]
pub(super) struct Watch {
    is_wanted: Cell<bool>,
    changed: Notify,
    is_live: Cell<bool>,
    /// It is worth asking.
    pub(super) news: Notify,
}

impl Watch {
    /// Turns the watch on or off.
    pub(super) fn want(&self, is_wanted: bool) {
        if self.is_wanted.replace(is_wanted) != is_wanted {
            self.changed.notify_one();
        }
    }

    /// Whether the agent will push what changes.
    pub(super) fn is_live(&self) -> bool {
        self.is_live.get()
    }

    /// Watches whenever it is wanted; ends when the agent turns out not to serve that. Streams are opened anew after pauses
    /// that `random` spreads, and the first message of each is news as well: what changed before is not pushed.
    pub(super) async fn run(&self, address: &Address, random: u64) {
        let mut pauses = Backoff::new();
        loop {
            while !self.is_wanted.get() {
                self.changed.notified().await;
            }
            tokio::select! {
                () = self.follow(address) => {
                    self.want(false);
                    if !self.is_live.replace(false) {
                        return;
                    }
                    self.news.notify_one();
                }
                () = tokio::time::sleep(pauses.next_watched(random)) => {}
                () = self.changed.notified() => self.is_live.set(false),
            }
        }
    }

    /// One stream, to its end. Why it ends makes no difference: the Workload API's calls tell.
    async fn follow(&self, address: &Address) {
        let Ok(mut channel) = channel(address).await else { return };
        let request = http::Request::post(STREAM_SECRETS)
            .version(http::Version::HTTP_2)
            .header(http::header::CONTENT_TYPE, "application/grpc")
            .header(http::header::TE, "trailers")
            .body(tonic::body::Body::new(Requests(Some(Bytes::from_static(REQUEST)))));
        let Ok(request) = request else { return };
        if poll_fn(|context| channel.poll_ready(context)).await.is_err() {
            return;
        }
        let Ok(response) = channel.call(request).await else { return };
        let mut frames = pin!(response.into_body());
        while let Some(Ok(frame)) = poll_fn(|context| frames.as_mut().poll_frame(context)).await {
            if frame.is_data() {
                self.is_live.set(true);
                self.news.notify_one();
            }
        }
    }
}

/// One message, and the promise of more: the agent ends the stream when the requests end.
struct Requests(Option<Bytes>);

impl http_body::Body for Requests {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(message) => Poll::Ready(Some(Ok(Frame::data(message)))),
            None => Poll::Pending,
        }
    }
}
