//! Why a cluster did not hand over what was asked for.

use std::{fmt, path::PathBuf};

use super::rule::RbacRule;
use crate::sources::token::BearerTokenError;

/// Why access to a cluster is not known, or is refused before anything is sent.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Nothing says where the cluster is.
    #[error("{}; name a kubeconfig with --kubeconfig FILE", without_kubeconfig(looked, *is_meant))]
    NoKubeconfig {
        /// Files that were looked for.
        looked: Vec<PathBuf>,
        /// An argument or the environment means a kubeconfig, so that a pod's own account will not do.
        is_meant: bool,
    },
    /// A file cannot be read.
    #[error("{}: {}", path.display(), crate::io_error::words(error))]
    File {
        /// Which.
        path: PathBuf,
        /// From the operating system.
        error: std::io::Error,
    },
    /// A kubeconfig cannot be read.
    #[error("{}: it is not a kubeconfig: {reason}", path.display())]
    Kubeconfig {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Something that is referred to is not there.
    #[error("the kubeconfig has no {kind} {name:?}; it has {}", those(known))]
    Missing {
        /// `context`, `cluster` or `user`.
        kind: &'static str,
        /// What it should be called.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// No context is chosen.
    #[error("the kubeconfig has no current-context; choose one with --context: it has {}", those(.0))]
    NoContext(Vec<String>),
    /// A server without TLS.
    #[error("the server {0} of the cluster is not https://; svidence talks to a cluster only with TLS")]
    NotHttps(String),
    /// No authority to check the server with.
    #[error(
        "the kubeconfig names no CA for the cluster {0:?}, and svidence trusts none but that one; set it with kubectl config set-cluster {0} \
         --certificate-authority=FILE --embed-certs"
    )]
    NoCa(String),
    /// The server is not to be checked.
    #[error(
        "the kubeconfig says insecure-skip-tls-verify for the cluster {0:?}: whoever is in between could answer for it; remove that, and set \
         certificate-authority"
    )]
    Insecure(String),
    /// A value of a kubeconfig cannot be used.
    #[error("{field} of {of} cannot be used: {reason}")]
    Value {
        /// Its name in a kubeconfig, or the option.
        field: &'static str,
        /// Such as `user "ci"`.
        of: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// A token's file is of no use.
    #[error("the token file {}: {error}", path.display())]
    Token {
        /// Which.
        path: PathBuf,
        /// Why.
        error: BearerTokenError,
    },
    /// A program that should give a credential does not.
    #[error("the credential plug-in {command:?} of the kubeconfig {reason}")]
    Plugin {
        /// As the kubeconfig names it.
        command: String,
        /// What it did, and what to do.
        reason: String,
    },
}

fn without_kubeconfig(looked: &[PathBuf], is_meant: bool) -> String {
    let looked: Vec<String> = looked.iter().map(|path| path.display().to_string()).collect();
    let there = match looked.as_slice() {
        [] => "there is no kubeconfig: neither KUBECONFIG nor HOME is set".to_owned(),
        [path] => format!("there is no kubeconfig: {path} does not exist"),
        paths => format!("there is no kubeconfig: none of {} exists", paths.join(", ")),
    };
    if is_meant { there } else { format!("{there}, and this is not a pod") }
}

/// Names in a message.
pub(super) fn those(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

/// Why a cluster did not answer a request as it should.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// There is no credential to send.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// No answer.
    #[error("the API server {server} does not answer: {cause}; {advice}")]
    Unreachable {
        /// Where it was looked for.
        server: String,
        /// Why.
        cause: String,
        /// What to do.
        advice: &'static str,
    },
    /// 401.
    #[error(
        "the API server does not accept the credential of {credential} (401); it may have expired: log in again, or make a new one with \
         kubectl create token"
    )]
    Unauthorized {
        /// Whose.
        credential: String,
    },
    /// 403.
    #[error("the API server does not allow it (403): {words}; {rule}")]
    Forbidden {
        /// What the server says.
        words: String,
        /// What would allow it.
        rule: Box<RbacRule>,
    },
    /// 404 of the kind.
    #[error(
        "the API server knows no {resource} of {group_version}: Tekton Pipelines is not installed there, or too old (v0.43 was the first)"
    )]
    NoTekton {
        /// Such as `taskruns`.
        resource: &'static str,
        /// `tekton.dev/v1`.
        group_version: &'static str,
    },
    /// 404 of an object that was there a moment ago.
    #[error("{name} of namespace {namespace} was deleted before it could be read; it is not judged")]
    Deleted {
        /// Its kind and name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// 410 within a list.
    #[error(
        "the list expired before it was read to its end (410): what follows is not read; ask again, or for less at a time with -l or -n"
    )]
    Expired,
    /// Any other status.
    #[error("the API server answers with HTTP status {status}{words}; {advice}")]
    Status {
        /// The number.
        status: u16,
        /// Empty, or a colon and what it says.
        words: Words,
        /// What to do.
        advice: &'static str,
    },
    /// The connection ended within an answer.
    #[error(
        "the connection to the API server was cut in the middle of its answer ({cause}): what follows is not read; ask again"
    )]
    Cut {
        /// Why.
        cause: String,
    },
    /// A run with all that belongs to it.
    #[error(
        "it and what belongs to it could not be read within {seconds} s, so it is not judged here, for the sake of others: svidence verify --from \
         kubernetes takes the time"
    )]
    TooLong {
        /// How long it was tried.
        seconds: u64,
    },
    /// Something in the place of an answer.
    #[error("the answer is not one of the API server's: {reason}; see that nothing stands between")]
    Odd {
        /// What is wrong.
        reason: String,
    },
}

impl KubernetesError {
    /// Whether it is the object itself that an API server refuses: others need not wait.
    pub fn is_about_object(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 400..=499) && *status != 429,
            Self::Odd { .. } | Self::Deleted { .. } | Self::TooLong { .. } => true,
            _ => false,
        }
    }

    /// A short stable name, for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Access(_) => "no-credential",
            Self::Unreachable { .. } => "unreachable",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::NoTekton { .. } => "no-tekton",
            Self::Deleted { .. } => "deleted",
            Self::Expired => "list-expired",
            Self::Status { .. } => "refused-by-server",
            Self::Cut { .. } => "answer-cut",
            Self::TooLong { .. } => "too-long",
            Self::Odd { .. } => "odd-answer",
        }
    }

    /// Whether the same may succeed a moment later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Cut { .. } | Self::Status { status: 429 | 500..=599, .. }
        )
    }
}

/// Empty, or a colon and some words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub String);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}
