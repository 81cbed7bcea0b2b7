//! What is asked of an API server: one object, a page of a list, changes, a review of what one may do, to note an event, to hold a lease,
//! to change a run, or to keep registration entries.

use super::{error::KubernetesError, rule::RbacRule};
use crate::sources::run_name::RunKind;

/// Group and version of runs.
const GROUP: &str = "tekton.dev";
const GROUP_VERSION: &str = "tekton.dev/v1";
/// Group of what spire-controller-manager defines.
const SPIRE_GROUP: &str = "spire.spiffe.io";
/// Objects of a page; kubectl asks for as many.
const PAGE: &str = "500";
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

/// What lists are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed {
    Runs(RunKind),
    Pods,
    ConfigMaps,
    StaticEntries,
}

impl From<RunKind> for Listed {
    fn from(kind: RunKind) -> Self {
        Self::Runs(kind)
    }
}

impl Listed {
    /// Group, version of the path, resource.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Runs(kind) => (GROUP, "apis/tekton.dev/v1", of_runs(kind)),
            Self::Pods => ("", "api/v1", "pods"),
            Self::ConfigMaps => ("", "api/v1", "configmaps"),
            Self::StaticEntries => (SPIRE_GROUP, "apis/spire.spiffe.io/v1alpha1", "clusterstaticentries"),
        }
    }
}

/// What of a list is meant, besides the namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Selector<'a> {
    /// As kubectl's `-l`.
    pub(super) labels: Option<&'a str>,
    /// As kubectl's `--field-selector`.
    pub(super) fields: Option<&'a str>,
}

impl<'a> Selector<'a> {
    pub(super) fn labels(labels: Option<&'a str>) -> Self {
        Self { labels, fields: None }
    }

    /// The name of the one object that is meant, if it is one.
    fn name(self) -> Option<&'a str> {
        self.fields?.strip_prefix("metadata.name=")
    }

    fn query(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let labels = self.labels.map(|labels| ("labelSelector", labels));
        labels.into_iter().chain(self.fields.map(|fields| ("fieldSelector", fields)))
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

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method<'a> {
    Get,
    /// With these options (`metav1.DeleteOptions`).
    Delete(&'a str),
    /// With this body.
    Post(&'a str),
    /// With this body.
    Put(&'a str),
    /// By this JSON Merge Patch (RFC 7386).
    Patch(&'a str),
}

/// The part of a run that is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchedPart {
    /// All but its status.
    Main,
    /// Its status.
    Status,
}

/// A request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    /// One object.
    Get { kind: RunKind, namespace: &'a str, name: &'a str },
    /// What changes after a version, for some seconds.
    Watch {
        kind: Listed,
        namespace: Option<&'a str>,
        selector: Selector<'a>,
        version: &'a str,
        seconds: &'a str,
    },
    /// A page: of all namespaces if none is named, and the first one without `next`.
    List { kind: Listed, namespace: Option<&'a str>, selector: Selector<'a>, next: Option<&'a str> },
    /// A namespace itself.
    Namespace { name: &'a str },
    /// An event that is to be noted.
    Event { namespace: &'a str, event: &'a str },
    /// A lease.
    Lease { namespace: &'a str, name: &'a str },
    /// A lease that is to be made.
    NewLease { namespace: &'a str, lease: &'a str },
    /// A lease that is to be replaced.
    Replace { namespace: &'a str, name: &'a str, lease: &'a str },
    /// A run, a part of which is to be changed.
    Patch { kind: RunKind, part: PatchedPart, namespace: &'a str, name: &'a str, patch: &'a str },
    /// A registration entry.
    StaticEntry { name: &'a str },
    /// A registration entry that is to be made.
    NewStaticEntry { entry: &'a str },
    /// A registration entry that is to be replaced.
    ReplaceStaticEntry { name: &'a str, entry: &'a str },
    /// A registration entry that is to be deleted.
    DeleteStaticEntry { name: &'a str, options: &'a str },
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
        let (_, version, resource) = self.names();
        format!("/{version}/{namespace}{resource}{name}{}", self.part())
    }

    pub(super) fn query(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Watch { selector, version, seconds, .. } => {
                let mut query = vec![
                    ("watch", "true"),
                    ("resourceVersion", *version),
                    ("allowWatchBookmarks", "true"),
                    ("timeoutSeconds", *seconds),
                ];
                query.extend(selector.query());
                query
            }
            Self::List { selector, next, .. } => {
                let next = next.map(|next| ("continue", next));
                [Some(("limit", PAGE)), next].into_iter().flatten().chain(selector.query()).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Get { name, .. }
            | Self::Object { name, .. }
            | Self::Namespace { name }
            | Self::Lease { name, .. }
            | Self::Patch { name, .. }
            | Self::Replace { name, .. }
            | Self::StaticEntry { name }
            | Self::ReplaceStaticEntry { name, .. }
            | Self::DeleteStaticEntry { name, .. } => Some(name),
            _ => None,
        }
    }

    /// How it is sent.
    pub(super) fn method(&self) -> Method<'_> {
        match self {
            Self::Review { review: body, .. }
            | Self::Event { event: body, .. }
            | Self::NewLease { lease: body, .. }
            | Self::NewStaticEntry { entry: body } => Method::Post(body),
            Self::Replace { lease: body, .. } | Self::ReplaceStaticEntry { entry: body, .. } => {
                Method::Put(body)
            }
            Self::Patch { patch, .. } => Method::Patch(patch),
            Self::DeleteStaticEntry { options, .. } => Method::Delete(options),
            _ => Method::Get,
        }
    }

    /// What follows the name in paths, and the resource in rules.
    fn part(&self) -> &'static str {
        match self {
            Self::Patch { part: PatchedPart::Status, .. } => "/status",
            _ => "",
        }
    }

    fn namespace(&self) -> Option<&str> {
        match self {
            Self::Get { namespace, .. }
            | Self::Object { namespace, .. }
            | Self::Event { namespace, .. }
            | Self::Lease { namespace, .. }
            | Self::NewLease { namespace, .. }
            | Self::Patch { namespace, .. }
            | Self::Replace { namespace, .. } => Some(namespace),
            Self::Review { .. }
            | Self::Namespace { .. }
            | Self::StaticEntry { .. }
            | Self::NewStaticEntry { .. }
            | Self::ReplaceStaticEntry { .. }
            | Self::DeleteStaticEntry { .. } => None,
            Self::List { namespace, .. } | Self::Watch { namespace, .. } => *namespace,
        }
    }

    /// Group, version of the path, resource.
    fn names(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Get { kind, .. } | Self::Patch { kind, .. } => Listed::Runs(*kind).names(),
            Self::List { kind, .. } | Self::Watch { kind, .. } => kind.names(),
            Self::Object { kind, .. } => kind.names(),
            Self::Review { kind, .. } => kind.names(),
            Self::Namespace { .. } => ("", "api/v1", "namespaces"),
            Self::Event { .. } => ("", "api/v1", "events"),
            Self::StaticEntry { .. }
            | Self::NewStaticEntry { .. }
            | Self::ReplaceStaticEntry { .. }
            | Self::DeleteStaticEntry { .. } => Listed::StaticEntries.names(),
            Self::Lease { .. } | Self::NewLease { .. } | Self::Replace { .. } => {
                ("coordination.k8s.io", "apis/coordination.k8s.io/v1", "leases")
            }
        }
    }

    /// What would allow it.
    pub(super) fn rule(&self) -> RbacRule {
        let (verb, name) = match self {
            Self::Get { .. } => ("get", None),
            Self::List { selector, .. } => ("list", selector.name()),
            Self::Watch { selector, .. } => ("watch", selector.name()),
            Self::Object { name, .. } | Self::Namespace { name } | Self::Lease { name, .. } => {
                ("get", Some(*name))
            }
            Self::Review { .. } | Self::Event { .. } | Self::NewLease { .. } => ("create", None),
            Self::Replace { name, .. } => ("update", Some(*name)),
            Self::Patch { .. } => ("patch", None),
            // Their names are not known before.
            Self::StaticEntry { .. } => ("get", None),
            Self::NewStaticEntry { .. } => ("create", None),
            Self::ReplaceStaticEntry { .. } => ("update", None),
            Self::DeleteStaticEntry { .. } => ("delete", None),
        };
        let (group, _, resource) = self.names();
        RbacRule {
            verb,
            resource: format!("{resource}{}", self.part()),
            api_group: group.to_owned(),
            namespace: self.namespace().map(str::to_owned),
            name: name.map(str::to_owned),
        }
    }

    /// What to do if the API server knows no such thing.
    pub(super) fn advice_if_unknown(&self) -> &'static str {
        match self.names() {
            (SPIRE_GROUP, ..) => {
                "see that spire-controller-manager and its definitions (clusterstaticentries.spire.spiffe.io) are installed"
            }
            _ => "see that the server in the kubeconfig is an API server",
        }
    }

    /// What it means that the API server does not know the kind; `None` of a kind that each one knows.
    pub(super) fn no_tekton(&self) -> Option<KubernetesError> {
        let (group, _, resource) = self.names();
        (group == GROUP).then_some(KubernetesError::NoTekton { resource, group_version: GROUP_VERSION })
    }
}
