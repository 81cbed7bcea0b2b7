//! Why the SPIRE server did not do what it was asked.

use tonic::{Code, Status};

use crate::controller::identity::IdentityError;

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DialError {
    /// Nothing to show.
    #[error("the controller has no identity to show to the SPIRE server: {0}")]
    NoIdentity(#[from] IdentityError),
    /// The identity is of no use there.
    #[error(
        "the controller's identity {id} is not of the trust domain {trust_domain} that spire-trust-domain says; correct the one or the other"
    )]
    OtherTrustDomain {
        /// The identity.
        id: String,
        /// As configured.
        trust_domain: String,
    },
    /// Nobody there.
    #[error("cannot connect to the SPIRE server at {address}: {reason}; see spire-server-addr")]
    Connect {
        /// Where.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// It is not the SPIRE server.
    #[error("what answers at {address} is not the SPIRE server: {reason}; see spire-server-addr")]
    NotTheServer {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
    /// No TLS.
    #[error(
        "no TLS with {address}: {reason}; see spire-server-addr, and that it is the port of the server's API"
    )]
    Tls {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
}

/// Why a call of the Entry API failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpireError {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// Not in time.
    #[error("the SPIRE server did not answer within {seconds} s; see its log")]
    TimedOut {
        /// How long was waited.
        seconds: u64,
    },
    /// Not asked, or no longer waited for.
    #[error("this controller may not act any more, so the SPIRE server is not asked")]
    Stopped,
    /// Asked, but not done for some entries, for a reason that may pass.
    #[error("the SPIRE server did not {what} {count} of the entries; {id}: {code:?}: {message}; see its log")]
    Entries {
        /// How many.
        count: usize,
        /// What it was to do with the first one.
        what: &'static str,
        /// The first one.
        id: String,
        /// gRPC status of that.
        code: Code,
        /// The server's words about that.
        message: String,
    },
    /// It does not take us for an administrator.
    #[error(
        "the SPIRE server does not allow it: {message}; the registration entry of the controller's pod needs admin: true, or its SPIFFE ID \
         must be among the server's admin_ids"
    )]
    Denied {
        /// The server's words.
        message: String,
    },
    /// The connection ended.
    #[error("the connection to the SPIRE server was lost: {message}")]
    Lost {
        /// What is known of it.
        message: String,
    },
    /// Anything else that it says.
    #[error("the SPIRE server answers {code:?}: {message}; see its log")]
    Refused {
        /// gRPC status.
        code: Code,
        /// The server's words.
        message: String,
    },
    /// The API server did not keep entries as objects.
    #[error("the ClusterStaticEntry objects cannot be kept: {message}")]
    StaticEntries {
        /// Why not, and what to do.
        message: String,
    },
    /// An answer that does not fit the call.
    #[error("the SPIRE server answered about {found} entries where {expected} were meant")]
    Odd {
        /// How many it spoke about.
        found: usize,
        /// How many there were.
        expected: usize,
    },
}

impl SpireError {
    pub(super) fn of(status: &Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => Self::Denied { message },
            Code::Unavailable | Code::Cancelled | Code::Unknown => Self::Lost { message },
            code => Self::Refused { code, message },
        }
    }

    /// A short stable name, for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Dial(DialError::NoIdentity(_)) => "no-identity",
            Self::Dial(DialError::OtherTrustDomain { .. }) => "other-trust-domain",
            Self::Dial(DialError::Connect { .. }) => "unreachable",
            Self::Dial(DialError::NotTheServer { .. }) => "not-the-server",
            Self::Dial(DialError::Tls { .. }) => "tls",
            Self::TimedOut { .. } => "timeout",
            Self::Stopped => "stopped",
            Self::Entries { .. } => "entry",
            Self::Denied { .. } => "denied",
            Self::Lost { .. } => "lost",
            Self::Refused { .. } => "refused",
            Self::StaticEntries { .. } => "static-entries",
            Self::Odd { .. } => "odd",
        }
    }
}
