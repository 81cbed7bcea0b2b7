//! A Lease (`coordination.k8s.io/v1`): of several processes the one acts that holds it, and another one if it is not renewed in time.
//!
//! Whether it is in time is measured by the holder's renewals as they are seen here, and not by the times that they state: clocks differ.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use unixtime::UnixSeconds;
use ureq::Body;

use super::{
    access::Access,
    client::{Client, bytes},
    error::KubernetesError,
    request::Request,
    runs::Namespace,
};
use crate::sources::run_name::Name;

/// How long a lease is held without being renewed.
pub const DURATION: Duration = Duration::from_secs(12);
/// The most bytes of an answer that are read.
const LARGEST: u64 = 1 << 20;

#[derive(Debug, Deserialize)]
struct Found {
    metadata: Value,
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    holder_identity: Option<String>,
    acquire_time: Option<String>,
    renew_time: Option<String>,
    lease_transitions: Option<i64>,
}

/// A lease that may be held.
pub struct Lease {
    client: Client,
    namespace: Namespace,
    name: Name,
    /// Who this is.
    identity: String,
    /// What it said when it changed last, and when that was seen.
    seen: Option<(Spec, Instant)>,
    /// As it was written here last, if nobody has changed it since as far as is known.
    written: Option<Found>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("name", &self.name)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Lease {
    /// By this access, for whoever has this identity, which no other one has; no answer may take longer than `patience`.
    pub fn new(
        access: Access,
        (namespace, name): (Namespace, Name),
        identity: String,
        patience: Duration,
    ) -> Self {
        Self { client: Client::new(access, patience), namespace, name, identity, seen: None, written: None }
    }

    /// Takes the lease if nobody holds it, and renews it if it is held here. Whether it is held from `at` on.
    pub fn hold(&mut self, at: Instant, now: UnixSeconds) -> Result<bool, KubernetesError> {
        // Mostly nobody has changed it, which the version tells: one call, not two.
        if let Some(Found { metadata, spec }) = self.written.take() {
            let lease = self.lease(&metadata, &spec, now);
            if self.replace(&lease)? {
                return Ok(true);
            }
        }
        let Some(found) = self.get()? else {
            let lease = self.lease(&json!({"name": self.name.as_str()}), &Spec::default(), now);
            let request = Request::NewLease { namespace: self.namespace.as_str(), lease: &lease };
            return written(self.client.page(&request)).map(|body| body.is_some());
        };
        if self.seen.as_ref().is_none_or(|(spec, _)| *spec != found.spec) {
            self.seen = Some((found.spec.clone(), at));
        }
        let holder = found.spec.holder_identity.as_deref().filter(|holder| !holder.is_empty());
        let is_ours = holder == Some(&self.identity);
        let is_over =
            self.seen.as_ref().is_some_and(|(_, seen)| at.saturating_duration_since(*seen) >= DURATION);
        if holder.is_some() && !is_ours && !is_over {
            return Ok(false);
        }
        let lease = self.lease(&found.metadata, &found.spec, now);
        self.replace(&lease)
    }

    /// Gives the lease up, so that another one need not wait.
    pub fn release(&mut self) -> Result<(), KubernetesError> {
        let Some(Found { metadata, spec }) = self.get()? else { return Ok(()) };
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return Ok(());
        }
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata,
            "spec": {"holderIdentity": "", "leaseTransitions": spec.lease_transitions},
        });
        self.replace(&lease.to_string()).map(drop)
    }

    fn get(&mut self) -> Result<Option<Found>, KubernetesError> {
        let request = Request::Lease { namespace: self.namespace.as_str(), name: self.name.as_str() };
        let Some(mut body) = self.client.object(&request)? else { return Ok(None) };
        read(&mut body).map(Some)
    }

    fn replace(&mut self, lease: &str) -> Result<bool, KubernetesError> {
        let (namespace, name) = (self.namespace.as_str(), self.name.as_str());
        let answer = self.client.page(&Request::Replace { namespace, name, lease });
        let Some(mut body) = written(answer)? else { return Ok(false) };
        self.written = Some(read(&mut body)?);
        Ok(true)
    }

    /// The lease as it is held here. Its metadata have the version that was read: if it has changed since, it is not replaced.
    fn lease(&self, metadata: &Value, before: &Spec, now: UnixSeconds) -> String {
        // A MicroTime.
        let now = format!("{}.000000Z", now.to_string().trim_end_matches('Z'));
        let is_renewed = before.holder_identity.as_ref() == Some(&self.identity);
        let acquired = before.acquire_time.clone().filter(|_| is_renewed).unwrap_or_else(|| now.clone());
        let transitions = before.lease_transitions.unwrap_or(0) + i64::from(!is_renewed);
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata,
            "spec": {
                "holderIdentity": self.identity, "leaseDurationSeconds": DURATION.as_secs(), "acquireTime": acquired,
                "renewTime": now, "leaseTransitions": transitions,
            },
        });
        lease.to_string()
    }
}

fn read(body: &mut Body) -> Result<Found, KubernetesError> {
    let bytes = bytes(body, LARGEST)?;
    let odd = |_| KubernetesError::Odd { reason: "it is not a Lease".to_owned() };
    serde_json::from_slice(&bytes).map_err(odd)
}

/// The answer if it was written; `None` if somebody else was first.
fn written(answer: Result<Body, KubernetesError>) -> Result<Option<Body>, KubernetesError> {
    match answer {
        Ok(body) => Ok(Some(body)),
        Err(KubernetesError::Status { status: 409, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
