//! Which cluster it is. Kubernetes gives clusters no name; the UID of the namespace `kube-system` is as old as the cluster, and no
//! other cluster has it.

use std::time::Duration;

use serde::Deserialize;

use super::{
    access::Access,
    client::{Client, bytes},
    error::KubernetesError,
    request::Request,
};

const NAMESPACE: &str = "kube-system";
/// The most bytes of an answer that are read.
const LARGEST: u64 = 1 << 20;

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    uid: String,
}

/// The cluster's UID. No part of the answer may take longer than `patience`.
pub fn fetch(access: Access, patience: Duration) -> Result<String, KubernetesError> {
    let odd = |reason: &str| KubernetesError::Odd { reason: reason.to_owned() };
    let body = Client::new(access, patience).object(&Request::Namespace { name: NAMESPACE })?;
    let mut body = body.ok_or_else(|| odd("it has no namespace kube-system"))?;
    let bytes = bytes(&mut body, LARGEST)?;
    let object: Object = serde_json::from_slice(&bytes).map_err(|_| odd("it is not a namespace"))?;
    Ok(object.metadata.uid)
}
