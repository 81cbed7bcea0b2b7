//! What is asked of an API server: one object, or a page of a list.

use super::{error::KubernetesError, rule::Rule};
use crate::sources::run_name::RunKind;

/// Group and version of everything that is asked for.
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

/// A kind in paths and in rules of RBAC.
fn resource(kind: RunKind) -> &'static str {
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
}

impl Request<'_> {
    /// The path below the server. Names and namespaces were checked, so none of them holds a slash.
    pub(super) fn path(&self) -> String {
        let (kind, namespace) = self.place();
        let namespace = namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
        let name = self.name().map(|name| format!("/{name}")).unwrap_or_default();
        format!("/apis/{GROUP_VERSION}/{namespace}{}{name}", resource(kind))
    }

    pub(super) fn query(&self) -> Vec<(&'static str, &str)> {
        let (mut query, selector) = match self {
            Self::Get { .. } => (Vec::new(), &None),
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
            Self::Get { name, .. } => Some(name),
            Self::List { .. } | Self::Watch { .. } => None,
        }
    }

    fn place(&self) -> (RunKind, Option<&str>) {
        match self {
            Self::Get { kind, namespace, .. } => (*kind, Some(namespace)),
            Self::List { kind, namespace, .. } | Self::Watch { kind, namespace, .. } => (*kind, *namespace),
        }
    }

    /// What would allow it.
    pub(super) fn rule(&self) -> Rule {
        let (kind, namespace) = self.place();
        Rule {
            verb: match self {
                Self::Get { .. } => "get",
                Self::List { .. } => "list",
                Self::Watch { .. } => "watch",
            },
            resource: resource(kind).to_owned(),
            api_group: GROUP.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: None,
        }
    }

    pub(super) fn no_tekton(&self) -> KubernetesError {
        let (kind, _) = self.place();
        KubernetesError::NoTekton { resource: resource(kind), group_version: GROUP_VERSION }
    }
}
