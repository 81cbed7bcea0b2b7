//! Events: what people who look at an object are told about it (`kubectl describe`).

use std::time::Duration;

use serde_json::json;
use unixtime::UnixSeconds;

use super::{
    access::Access,
    client::{Client, bytes},
    error::KubernetesError,
    request::Request,
};

/// Characters of a message (Kubernetes, `pkg/apis/core/validation`).
const LONGEST_MESSAGE: usize = 1024;

/// Bytes of an answer that are read: the event as it was noted.
const LARGEST_ANSWER: u64 = 1 << 20;

/// The object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Such as `v1`.
    pub api_version: &'static str,
    /// Such as `Pod`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// A warning about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What it is about.
    pub about: About,
    /// One word for machines, such as `NotRegistered`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// When.
    pub at: UnixSeconds,
}

/// Notes events in a cluster.
pub struct Events {
    client: Client,
    /// Who notes them: a component and an instance of it.
    source: (&'static str, String),
    noted: u64,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Events {
    /// By this access, as this component and instance of it; no answer may take longer than `patience`. Nothing is sent yet.
    pub fn new(access: Access, source: (&'static str, String), patience: Duration) -> Self {
        Self { client: Client::new(access, patience), source, noted: 0 }
    }

    /// Notes a warning.
    pub fn warn(&mut self, warning: &Warning) -> Result<(), KubernetesError> {
        let Warning { about, reason, message, at } = warning;
        self.noted += 1;
        // As client-go names them, by the object and when; a cut name must not end in a hyphen.
        let object: String = about.name.chars().take(200).collect();
        let object = object.trim_end_matches(|last: char| !last.is_ascii_alphanumeric());
        let name = format!("{object}.{:x}.{:x}", at.get(), self.noted);
        let at = at.to_string();
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": about.namespace},
            "involvedObject": {
                "apiVersion": about.api_version, "kind": about.kind, "namespace": about.namespace,
                "name": about.name, "uid": about.uid,
            },
            "type": "Warning", "reason": reason, "message": cut(message),
            "source": {"component": self.source.0, "host": self.source.1},
            "firstTimestamp": at, "lastTimestamp": at, "count": 1,
            "reportingComponent": self.source.0, "reportingInstance": self.source.1,
        });
        let request = Request::Event { namespace: &about.namespace, event: &event.to_string() };
        let mut body = self.client.page(&request)?;
        // To its end, so that the connection serves again. The event is noted whether or not its answer comes whole.
        let _ = bytes(&mut body, LARGEST_ANSWER);
        Ok(())
    }
}

fn cut(message: &str) -> &str {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => message.get(..end).unwrap_or_default(),
        None => message,
    }
}
