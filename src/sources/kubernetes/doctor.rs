//! What of a cluster would stand in the way: who asks, until when, what that may do, and how Tekton is set up.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use unixtime::UnixSeconds;

use super::{
    access::Access,
    client::Client,
    config_map::ConfigMap,
    error::KubernetesError,
    read::object,
    request::{ObjectKind, Request, ReviewKind},
    rule::RbacRule,
};

/// The most bytes of an answer that are read.
const LARGEST: u64 = 4 << 20;

/// A cluster that is examined; nothing in it is changed.
pub struct Examined {
    client: Client,
}

impl std::fmt::Debug for Examined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examined").finish_non_exhaustive()
    }
}

/// Whoever asks, in the API server's eyes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Such as `system:serviceaccount:default:svidence-verifier`.
    pub username: String,
    /// Their groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// What is sent to say who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What messages call whoever it is given to, such as `user "ci" of the kubeconfig`.
    pub owner: String,
    /// What it is.
    pub kind: SentKind,
    /// Whether another one comes by itself before it expires.
    pub is_renewed: bool,
    /// Whether it is used to speak for somebody else.
    pub impersonates: bool,
}

/// What is sent. An API server looks at a certificate before it looks at a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentKind {
    /// A certificate, in DER.
    Certificate(Vec<u8>),
    /// A token, and until when it is good, as far as it or whoever gave it says so.
    Token(Option<UnixSeconds>),
    /// Nothing.
    Nothing,
}

#[derive(Deserialize)]
struct Review<T> {
    status: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Who {
    user_info: User,
}

#[derive(Deserialize)]
struct May {
    allowed: bool,
}

#[derive(Deserialize)]
struct Deployment {
    spec: DeploymentSpec,
}

#[derive(Deserialize)]
struct DeploymentSpec {
    template: PodTemplate,
}

#[derive(Deserialize)]
struct PodTemplate {
    spec: PodSpec,
}

#[derive(Deserialize)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    args: Vec<String>,
}

impl Examined {
    /// By this access; no part of an answer may take longer than `patience`. Nothing is sent yet.
    pub fn new(access: Access, patience: Duration) -> Self {
        Self { client: Client::new(access, patience) }
    }

    /// Who asks (`SelfSubjectReview`, of Kubernetes 1.28 and later).
    pub fn who(&mut self) -> Result<User, KubernetesError> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        self.review::<Who>(ReviewKind::Who, &review).map(|who| who.user_info)
    }

    /// Whether that is allowed (`SelfSubjectAccessReview`).
    pub fn may(&mut self, rule: &RbacRule) -> Result<bool, KubernetesError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "verb": rule.verb, "resource": rule.resource, "group": rule.api_group,
                "namespace": rule.namespace.as_deref().unwrap_or_default(), "name": rule.name.as_deref().unwrap_or_default(),
            }},
        });
        self.review::<May>(ReviewKind::May, &review).map(|may| may.allowed)
    }

    /// What says who asks.
    pub fn sent(&mut self) -> Result<Sent, KubernetesError> {
        let credential = self.client.credential()?;
        let certificate = credential.certificate.as_ref().and_then(|certificate| certificate.chain.first());
        let kind = match (certificate, &credential.token) {
            (Some(certificate), _) => SentKind::Certificate(certificate.der().to_vec()),
            (None, Some(token)) => SentKind::Token(token.expires().or(credential.good_until)),
            (None, None) => SentKind::Nothing,
        };
        let is_renewed = credential.is_renewed;
        let (owner, impersonates) = self.client.owner();
        Ok(Sent { owner, kind, is_renewed, impersonates })
    }

    /// What the API server's clock said last, and what ours said then.
    pub fn clocks(&self) -> Option<(UnixSeconds, UnixSeconds)> {
        self.client.clocks
    }

    /// The texts of a ConfigMap; `None`: there is none of that name.
    pub fn config_map(
        &mut self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, KubernetesError> {
        let found = ConfigMap::read(&mut self.client, namespace, name)?;
        Ok(found.map(|found| found.data.unwrap_or_default()))
    }

    /// The arguments of a Deployment's containers, one after another; `None`: there is none of that name.
    pub fn arguments(&mut self, namespace: &str, name: &str) -> Result<Option<Vec<String>>, KubernetesError> {
        let found = object::<Deployment>(&mut self.client, ObjectKind::Deployment, namespace, name)?;
        Ok(found.map(|found| {
            found.spec.template.spec.containers.into_iter().flat_map(|container| container.args).collect()
        }))
    }

    fn review<T: DeserializeOwned>(
        &mut self,
        kind: ReviewKind,
        review: &serde_json::Value,
    ) -> Result<T, KubernetesError> {
        let mut body = self.client.page(&Request::Review { kind, review: &review.to_string() })?;
        let text = body.with_config().limit(LARGEST).read_to_vec();
        let text = text.map_err(|error| KubernetesError::Cut { cause: error.to_string() })?;
        let review: Review<T> = serde_json::from_slice(&text)
            .map_err(|_| KubernetesError::Odd { reason: "it is not what was asked for".to_owned() })?;
        Ok(review.status)
    }
}
