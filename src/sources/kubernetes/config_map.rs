//! What a key of a ConfigMap holds.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{
    access::Access,
    client::Client,
    error::{KubernetesError, those},
    read::object,
    request::{ObjectKind, Request},
    rule::RbacRule,
    runs::Namespace,
};
use crate::sources::run_name::Name;

/// A ConfigMap, and perhaps a key of it: `NS/NAME` or `NS/NAME:KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigMapKey {
    namespace: Namespace,
    name: Name,
    key: Option<String>,
}

impl ConfigMapKey {
    /// What allows to read it.
    pub fn rule(&self) -> RbacRule {
        let (namespace, name) = (self.namespace.as_str(), self.name.as_str());
        Request::Object { kind: ObjectKind::ConfigMap, namespace, name }.rule()
    }
}

impl FromStr for ConfigMapKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, rest) = text
            .split_once('/')
            .ok_or("it must be NS/NAME or NS/NAME:KEY, for example spire/spire-bundle")?;
        let (name, key) = rest.split_once(':').map_or((rest, None), |(name, key)| (name, Some(key)));
        // Kubernetes `IsConfigMapKey`.
        let is_key = |key: &str| {
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if key.is_some_and(|key| !is_key(key)) {
            return Err("the key has characters that no key of a ConfigMap has".to_owned());
        }
        Ok(Self {
            namespace: namespace.parse().map_err(|reason| format!("the namespace is {reason}"))?,
            name: name.parse().map_err(|reason| format!("the name is {reason}"))?,
            key: key.map(str::to_owned),
        })
    }
}

impl fmt::Display for ConfigMapKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace.as_str(), self.name.as_str())?;
        self.key.iter().try_for_each(|key| write!(f, ":{key}"))
    }
}

/// Why a ConfigMap gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConfigMapError {
    /// The API server does not hand it out.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// There is none of that name.
    #[error("the cluster has no such ConfigMap; see that namespace, name and context are right")]
    Missing,
    /// It has no such key.
    #[error("the ConfigMap has no key {key:?}; it has {}", those(.known))]
    NoKey {
        /// The one that was asked for.
        key: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// It holds nothing.
    #[error("the ConfigMap is empty; see that SPIRE has written it")]
    Empty,
    /// None is named, and there are several.
    #[error("the ConfigMap has {} keys ({}); name one of them: NS/NAME:KEY", .0.len(), those(.0))]
    WhichKey(Vec<String>),
    /// `binaryData` that is not base64.
    #[error("the value of the key {0:?} is not base64")]
    Value(String),
}

/// The part of a ConfigMap that counts; no key is in both.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigMap {
    pub(super) data: Option<BTreeMap<String, String>>,
    binary_data: Option<BTreeMap<String, String>>,
}

impl ConfigMap {
    /// `None`: there is none of that name.
    pub(super) fn read(
        client: &mut Client,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Self>, KubernetesError> {
        object(client, ObjectKind::ConfigMap, namespace, name)
    }
}

/// What the key holds, or, if none is named, the only one that there is. No part of the answer may take longer than `patience`.
pub fn fetch(access: Access, of: &ConfigMapKey, patience: Duration) -> Result<Vec<u8>, ConfigMapError> {
    let (namespace, name) = (of.namespace.as_str(), of.name.as_str());
    let found = ConfigMap::read(&mut Client::new(access, patience), namespace, name)?;
    let ConfigMap { data, binary_data } = found.ok_or(ConfigMapError::Missing)?;
    let (texts, mut packed) = (data.unwrap_or_default(), binary_data.unwrap_or_default());
    let known: Vec<String> = texts.keys().chain(packed.keys()).cloned().collect();
    let key = match (&of.key, known.as_slice()) {
        (Some(key), _) => key,
        (None, [key]) => key,
        (None, []) => return Err(ConfigMapError::Empty),
        (None, _) => return Err(ConfigMapError::WhichKey(known)),
    };
    if let Some(text) = texts.get(key) {
        return Ok(text.clone().into_bytes());
    }
    let value =
        packed.remove(key).ok_or_else(|| ConfigMapError::NoKey { key: key.clone(), known: known.clone() })?;
    STANDARD.decode(value).map_err(|_| ConfigMapError::Value(key.clone()))
}
