//! What is asked of an API server: one object, a page of a list, or changes.

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

/// A request, always `GET`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    /// One object.
    Get { kind: RunKind, namespace: &'a str, name: &'a str },
    /// What changes after a version, for some seconds.
    Watch { kind: RunKind, namespace: Option<&'a str>, selector: Option<&'a str>, version: &'a str },
    /// A page: of all namespaces if none is named, and the first one without `next`.
    List { kind: RunKind, namespace: Option<&'a str>, selector: Option<&'a str>, next: Option<&'a str> },
    /// A ConfigMap.
    ConfigMap { namespace: &'a str, name: &'a str },
}

impl Request<'_> {
    /// The path below the server. Names and namespaces were checked, so none of them holds a slash.
    pub(super) fn path(&self) -> String {
        let namespace =
            self.namespace().map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
        let name = self.name().map(|name| format!("/{name}")).unwrap_or_default();
        let version = match self {
            Self::ConfigMap { .. } => "api/v1".to_owned(),
            _ => format!("apis/{GROUP_VERSION}"),
        };
        format!("/{version}/{namespace}{}{name}", self.resource())
    }

    pub(super) fn query(&self) -> Vec<(&'static str, &str)> {
        let (mut query, selector) = match self {
            Self::Get { .. } | Self::ConfigMap { .. } => (Vec::new(), &None),
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
            Self::Get { name, .. } | Self::ConfigMap { name, .. } => Some(name),
            Self::List { .. } | Self::Watch { .. } => None,
        }
    }

    fn namespace(&self) -> Option<&str> {
        match self {
            Self::Get { namespace, .. } | Self::ConfigMap { namespace, .. } => Some(namespace),
            Self::List { namespace, .. } | Self::Watch { namespace, .. } => *namespace,
        }
    }

    fn resource(&self) -> &'static str {
        match self {
            Self::Get { kind, .. } | Self::List { kind, .. } | Self::Watch { kind, .. } => of_runs(*kind),
            Self::ConfigMap { .. } => "configmaps",
        }
    }

    /// What would allow it.
    pub(super) fn rule(&self) -> Rule {
        let of_runs = |verb| (verb, GROUP, None);
        let (verb, group, name) = match self {
            Self::Get { .. } => of_runs("get"),
            Self::List { .. } => of_runs("list"),
            Self::Watch { .. } => of_runs("watch"),
            Self::ConfigMap { name, .. } => ("get", "", Some((*name).to_owned())),
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
            Self::ConfigMap { .. } => None,
            _ => Some(KubernetesError::NoTekton { resource: self.resource(), group_version: GROUP_VERSION }),
        }
    }
}
