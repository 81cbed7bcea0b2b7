//! Why the archive, or a part of it, could not be read.

use crate::sources::{kubernetes::error::AccessError, token::BearerTokenError};

/// Why the archive, or a part of it, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// No connection.
    #[error(
        "it cannot be reached: {reason}; see that the address is right and that it can be reached from here"
    )]
    Connect {
        /// Why.
        reason: String,
    },
    /// A certificate of somebody else, as far as it is known.
    #[error(
        "its certificate is not accepted: {reason}; give the authority (PEM) that issued it with --ca-file"
    )]
    Certificate {
        /// Why.
        reason: String,
    },
    /// Something that is not TLS.
    #[error("it does not speak TLS on this port; see that the address is right")]
    NoTls,
    /// No HTTP/2, which gRPC needs.
    #[error("it does not speak HTTP/2, which gRPC needs; use https:// in place of grpcs://")]
    NoHttp2,
    /// No answer in time.
    #[error(
        "it did not answer within {seconds} s: its database or its Kubernetes may hang; try again, or wait longer with --request-timeout"
    )]
    Timeout {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The connection ended before the answer did.
    #[error("the connection was lost: {reason}")]
    Lost {
        /// Why.
        reason: String,
    },
    /// Nobody who could answer, for the moment.
    #[error("it has no time for this ({reason}); try again later")]
    Busy {
        /// What it says.
        reason: String,
    },
    /// No token to send.
    #[error("the token file {file} is of no use: {error}")]
    Token {
        /// The file.
        file: String,
        /// Why.
        error: BearerTokenError,
    },
    /// No token from the kubeconfig that was named.
    #[error(transparent)]
    Kubeconfig(Box<AccessError>),
    /// It wants a token, and none was sent.
    #[error(
        "it wants a token, and none was given: name a file with one by --token-file (kubectl create token makes one), or a kubeconfig whose \
         user has one by --kubeconfig"
    )]
    NoToken,
    /// The one answer that it has for all that is wrong with a token.
    #[error(
        "permission denied, which it says alike if the token is unknown or has expired, if it may not get and list records \
         (API group results.tekton.dev) in {namespaces}, and if it cannot ask Kubernetes; {advice}"
    )]
    Denied {
        /// Where the right is needed.
        namespaces: String,
        /// How to find out.
        advice: String,
    },
    /// The bearer may not stand in for somebody else.
    #[error(
        "{reason}; whoever the token belongs to needs the right to impersonate that user, each group and UID, given to its user name \
         and not to a group"
    )]
    Impersonation {
        /// What it says.
        reason: String,
    },
    /// A redirect: the token must not go elsewhere.
    #[error(
        "it sends on to {to}, which is not followed; if that is the right address, give it with --results-api"
    )]
    Elsewhere {
        /// Where to.
        to: String,
    },
    /// Somebody else answers.
    #[error("what answers there is not the API of Tekton Results ({what}); see that the address is right")]
    NotTheApi {
        /// What it is, as far as it is known.
        what: String,
    },
    /// An answer that says that something is wrong.
    #[error("it answers: {message} (code {code})")]
    Answered {
        /// gRPC's number.
        code: i32,
        /// What it says.
        message: String,
    },
    /// Even the smallest page is too large.
    #[error("the next {page} records{} are too large to be read together", after.as_ref().map(|name| format!(" after {name}")).unwrap_or_default())]
    TooLarge {
        /// Records that were asked for.
        page: u32,
        /// The last record that was read.
        after: Option<String>,
    },
    /// It says nothing of how many there are.
    #[error(
        "it does not say how many records there are, which is what it does when its database is away or refuses the query; \
         its answers cannot be told from those of an empty archive. See its log"
    )]
    NotCounted,
    /// Fewer records came than there are.
    #[error(
        "it has {total} records of what was asked for, but hands out only {came}, twice: its database may have failed in between. \
         Try again"
    )]
    Short {
        /// What it counts.
        total: u64,
        /// What came.
        came: u64,
    },
    /// Pages that never end.
    #[error("its pages lead back to themselves")]
    Circle,
}

impl ResultsError {
    /// What the API says with this code of gRPC's, about this parent.
    pub(super) fn answered(code: i32, message: String, parent: &str) -> Self {
        const RESOURCE_EXHAUSTED: i32 = 8;
        const OUT_OF_RANGE: i32 = 11;
        const UNAVAILABLE: i32 = 14;
        const UNAUTHENTICATED: i32 = 16;
        let is_too_large =
            message.contains("larger than max") || message.contains("message length too large");
        match code {
            RESOURCE_EXHAUSTED | OUT_OF_RANGE if is_too_large => Self::TooLarge { page: 0, after: None },
            RESOURCE_EXHAUSTED | UNAVAILABLE => Self::Busy { reason: message },
            UNAUTHENTICATED if message.contains("unable to find token") => Self::NoToken,
            UNAUTHENTICATED if message.contains("impersonat") => Self::Impersonation { reason: message },
            UNAUTHENTICATED => {
                let namespace = parent.split('/').next().unwrap_or_default();
                let (namespaces, flag) = match namespace {
                    "-" => ("all namespaces, by a ClusterRoleBinding".to_owned(), "-A".to_owned()),
                    namespace => (format!("namespace {namespace}"), format!("-n {namespace}")),
                };
                let advice =
                    format!("kubectl auth can-i list records.results.tekton.dev {flag} answers the second");
                Self::Denied { namespaces, advice }
            }
            _ => Self::Answered { code, message },
        }
    }

    /// Whether the archive answers, and it is not certain that all of it came.
    pub(crate) fn is_not_whole(&self) -> bool {
        matches!(self, Self::NotCounted | Self::Short { .. } | Self::Circle | Self::TooLarge { .. })
    }

    /// Whether the same request may be answered a moment later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Busy { .. })
    }
}
