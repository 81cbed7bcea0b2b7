//! The one rule of RBAC that a request needs.

use std::fmt;

/// What a Role, or a ClusterRole if there is no namespace, has to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RbacRule {
    /// Such as `list`.
    pub verb: &'static str,
    /// Such as `taskruns`.
    pub resource: String,
    /// Empty for Kubernetes' own.
    pub api_group: String,
    /// Where; `None` for all of them.
    pub namespace: Option<String>,
    /// The one object that it is about, if it can be named.
    pub name: Option<String>,
}

impl fmt::Display for RbacRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, resource, api_group, namespace, name } = self;
        match namespace {
            Some(namespace) => write!(f, "a Role in namespace {namespace} needs")?,
            None => f.write_str("a ClusterRole needs")?,
        }
        write!(
            f,
            " the rule {{apiGroups: [\"{api_group}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]"
        )?;
        if let Some(name) = name {
            write!(f, ", resourceNames: [\"{name}\"]")?;
        }
        f.write_str("}")
    }
}
