//! `ClusterStaticEntry` objects (spire-controller-manager, `spire.spiffe.io/v1alpha1`): registration entries that somebody wishes to have, of
//! which spire-controller-manager makes such of the SPIRE server.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use ureq::Body;

use super::{
    access::Access,
    client::{Client, bytes},
    error::KubernetesError,
    request::{Listed, Request, Selector},
};

/// Group and version of the objects.
pub const API_VERSION: &str = "spire.spiffe.io/v1alpha1";
/// The most bytes of an answer that are read: a page has 500 objects.
const LARGEST: u64 = 32 << 20;

/// What an API server did of what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// All.
    Done,
    /// There is one of that name already, or it has changed since it was read.
    Conflict,
    /// There is none of that name.
    Missing,
    /// It is not as the definition of its kind says.
    Invalid {
        /// The server's words.
        message: String,
    },
}

/// Those of one cluster.
pub struct StaticEntries {
    client: Client,
}

impl std::fmt::Debug for StaticEntries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticEntries").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PageMetadata {
    #[serde(rename = "continue")]
    next: String,
}

impl StaticEntries {
    /// By this access. No answer may take longer than `patience`, and nothing is asked twice.
    pub fn new(access: Access, patience: Duration) -> Self {
        Self { client: Client::new(access, patience).asking_once() }
    }

    /// All that a selector of labels, as kubectl's `-l`, means.
    pub fn list(&mut self, labels: &str) -> Result<Vec<Value>, KubernetesError> {
        let (mut all, mut next) = (Vec::new(), None::<String>);
        loop {
            let request = Request::List {
                kind: Listed::StaticEntries,
                namespace: None,
                selector: Selector::labels(Some(labels)),
                next: next.as_deref(),
            };
            let mut body = self.client.page(&request)?;
            let page: Page = read(&mut body)?;
            all.extend(page.items);
            match page.metadata.next {
                end if end.is_empty() => return Ok(all),
                more => next = Some(more),
            }
        }
    }

    /// The one of this name.
    pub fn get(&mut self, name: &str) -> Result<Option<Value>, KubernetesError> {
        let body = self.client.object(&Request::StaticEntry { name })?;
        body.map(|mut body| read(&mut body)).transpose()
    }

    /// Makes one.
    pub fn create(&mut self, entry: &Value) -> Result<Written, KubernetesError> {
        let entry = entry.to_string();
        written(self.client.page(&Request::NewStaticEntry { entry: &entry }).map(Some))
    }

    /// Puts it in the place of the one of its name, if that still has the version that it states.
    pub fn replace(&mut self, name: &str, entry: &Value) -> Result<Written, KubernetesError> {
        let entry = entry.to_string();
        written(self.client.object(&Request::ReplaceStaticEntry { name, entry: &entry }))
    }

    /// Deletes the one of this name, if it is still as it was found.
    pub fn delete(&mut self, name: &str, found: &Value) -> Result<Written, KubernetesError> {
        let of = |place| found.pointer(place);
        let preconditions =
            json!({"uid": of("/metadata/uid"), "resourceVersion": of("/metadata/resourceVersion")});
        let options =
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}).to_string();
        written(self.client.object(&Request::DeleteStaticEntry { name, options: &options }))
    }
}

fn read<T: DeserializeOwned>(body: &mut Body) -> Result<T, KubernetesError> {
    let bytes = bytes(body, LARGEST)?;
    let odd =
        |_| KubernetesError::Odd { reason: "it is not a ClusterStaticEntry, or a list of them".to_owned() };
    serde_json::from_slice(&bytes).map_err(odd)
}

fn written(result: Result<Option<Body>, KubernetesError>) -> Result<Written, KubernetesError> {
    match result {
        Ok(Some(mut body)) => {
            // To its end, so that the connection serves again. It is done whether or not the answer comes whole.
            let _ = bytes(&mut body, LARGEST);
            Ok(Written::Done)
        }
        Ok(None) => Ok(Written::Missing),
        Err(KubernetesError::Status { status: 409, .. }) => Ok(Written::Conflict),
        Err(KubernetesError::Status { status: 422, words, .. }) => Ok(Written::Invalid { message: words.0 }),
        Err(error) => Err(error),
    }
}
