//! What is asked of an API server: one object, a page of a list, changes, or a review of what one may do.

use super::{error::KubernetesError, rule::Rule};
use crate::sources::run_name::RunKind;

/// Group and version of runs.
const GROUP: &str = "tekton.dev";
const GROUP_VERSION: &str = "tekton.dev/v1";
/// Objects of a page; kubectl asks for as many.
const PAGE: &str = "500";
/// Seconds of a watch: another kind is watched after it.
const WATCHED: &str = "2";

/// A kind as objects say it.
pub(super) fn name(kind: RunKind) -> &'static str {
    match kind {
        RunKind::TaskRun => "TaskRun",
        RunKind::PipelineRun => "PipelineRun",
    }
}

/// A kind of run in paths and in rules of RBAC.
fn of_runs(kind: RunKind) -> &'static str {
    match kind {
        RunKind::TaskRun => "taskruns",
        RunKind::PipelineRun => "pipelineruns",
    }
}

/// A kind of object that is not a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObjectKind {
    ConfigMap,
    Deployment,
}

impl ObjectKind {
    /// As objects say it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Deployment => "Deployment",
        }
    }

    /// Group, version of the path, resource.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::ConfigMap => ("", "api/v1", "configmaps"),
            Self::Deployment => ("apps", "apis/apps/v1", "deployments"),
        }
    }
}

/// What an API server says of whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReviewKind {
    /// Who that is (`SelfSubjectReview`).
    Who,
    /// Whether that may do something (`SelfSubjectAccessReview`).
    May,
}

impl ReviewKind {
    /// Group, version of the path, resource.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Who => ("authentication.k8s.io", "apis/authentication.k8s.io/v1", "selfsubjectreviews"),
            Self::May => ("authorization.k8s.io", "apis/authorization.k8s.io/v1", "selfsubjectaccessreviews"),
        }
    }
}

/// A request; all but a review are `GET`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    /// One object.
    Get { kind: RunKind, namespace: &'a str, name: &'a str },
    /// What changes after a version, for some seconds.
    Watch { kind: RunKind, namespace: Option<&'a str>, selector: Option<&'a str>, version: &'a str },
    /// A page: of all namespaces if none is named, and the first one without `next`.
    List { kind: RunKind, namespace: Option<&'a str>, selector: Option<&'a str>, next: Option<&'a str> },
    /// An object that is not a run.
    Object { kind: ObjectKind, namespace: &'a str, name: &'a str },
    /// A review, which changes nothing.
    Review { kind: ReviewKind, review: &'a str },
}

impl Request<'_> {
    /// The path below the server. Names and namespaces were checked, so none of them holds a slash.
    pub(super) fn path(&self) -> String {
        let namespace =
            self.namespace().map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
        let name = self.name().map(|name| format!("/{name}")).unwrap_or_default();
        let version = match self {
            Self::Object { kind, .. } => kind.names().1.to_owned(),
            Self::Review { kind, .. } => kind.names().1.to_owned(),
            _ => format!("apis/{GROUP_VERSION}"),
        };
        format!("/{version}/{namespace}{}{name}", self.resource())
    }

    pub(super) fn query(&self) -> Vec<(&'static str, &str)> {
        let (mut query, selector) = match self {
            Self::Get { .. } | Self::Object { .. } | Self::Review { .. } => (Vec::new(), &None),
            Self::Watch { selector, version, .. } => (
                vec![
                    ("watch", "true"),
                    ("resourceVersion", *version),
                    ("allowWatchBookmarks", "true"),
                    ("timeoutSeconds", WATCHED),
                ],
                selector,
            ),
            Self::List { selector, next, .. } => {
                let next = next.map(|next| ("continue", next));
                ([Some(("limit", PAGE)), next].into_iter().flatten().collect(), selector)
            }
        };
        query.extend(selector.map(|selector| ("labelSelector", selector)));
        query
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Get { name, .. } | Self::Object { name, .. } => Some(name),
            Self::List { .. } | Self::Watch { .. } | Self::Review { .. } => None,
        }
    }

    /// What is sent with it.
    pub(super) fn body(&self) -> Option<&str> {
        match self {
            Self::Review { review, .. } => Some(review),
            _ => None,
        }
    }

    fn namespace(&self) -> Option<&str> {
        match self {
            Self::Get { namespace, .. } | Self::Object { namespace, .. } => Some(namespace),
            Self::Review { .. } => None,
            Self::List { namespace, .. } | Self::Watch { namespace, .. } => *namespace,
        }
    }

    fn resource(&self) -> &'static str {
        match self {
            Self::Get { kind, .. } | Self::List { kind, .. } | Self::Watch { kind, .. } => of_runs(*kind),
            Self::Object { kind, .. } => kind.names().2,
            Self::Review { kind, .. } => kind.names().2,
        }
    }

    /// What would allow it.
    pub(super) fn rule(&self) -> Rule {
        let of_runs = |verb| (verb, GROUP, None);
        let (verb, group, name) = match self {
            Self::Get { .. } => of_runs("get"),
            Self::List { .. } => of_runs("list"),
            Self::Watch { .. } => of_runs("watch"),
            Self::Object { kind, name, .. } => ("get", kind.names().0, Some((*name).to_owned())),
            Self::Review { kind, .. } => ("create", kind.names().0, None),
        };
        Rule {
            verb,
            resource: self.resource().to_owned(),
            api_group: group.to_owned(),
            namespace: self.namespace().map(str::to_owned),
            name,
        }
    }

    /// What it means that the API server does not know the kind; `None` of a kind that each one knows.
    pub(super) fn no_tekton(&self) -> Option<KubernetesError> {
        match self {
            Self::Object { .. } | Self::Review { .. } => None,
            _ => Some(KubernetesError::NoTekton { resource: self.resource(), group_version: GROUP_VERSION }),
        }
    }
}
