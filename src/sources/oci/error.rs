//! Why an image's attestations, or one of them, could not be read.

use super::credentials::{CredentialOrigin, RegistryCredentialError};

/// Why an image's attestations, or one of them, could not be read. A `host` is that of the registry, or of whom it sends on to.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// No connection.
    #[error(
        "{host} cannot be reached: {reason}; see that its name is right and that it can be reached from here"
    )]
    Connect {
        /// Who.
        host: String,
        /// Why.
        reason: String,
    },
    /// A certificate of somebody else, as far as it is known.
    #[error(
        "the certificate of {host} is not accepted: {reason}; give the authority (PEM) that issued it with --ca-file"
    )]
    Certificate {
        /// Whose.
        host: String,
        /// Why.
        reason: String,
    },
    /// Something that is not TLS.
    #[error(
        "{host} does not speak TLS on this port; see that its name is right (a registry on this machine may be named with http:// before it)"
    )]
    NoTls {
        /// Who.
        host: String,
    },
    /// No answer in time.
    #[error("{host} did not answer within {seconds} s; try again, or wait longer with --request-timeout")]
    Timeout {
        /// Who.
        host: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {host} was lost: {reason}; try again")]
    Lost {
        /// Who.
        host: String,
        /// Why.
        reason: String,
    },
    /// Nobody who could answer, for the moment.
    #[error("{host} has no time for this ({reason}); try again later")]
    Busy {
        /// Who.
        host: String,
        /// What it says.
        reason: String,
        /// Seconds after which it wants to be asked again, if it says so.
        retry_after: Option<u64>,
    },
    /// 401, with or without a credential.
    #[error("{host} does not let this be read (HTTP status 401): {}{}", reason_of(origin, host), words(said))]
    Unauthorized {
        /// Who.
        host: String,
        /// Where the credential is from.
        origin: CredentialOrigin,
        /// What it says.
        said: String,
    },
    /// 403.
    #[error(
        "{host} does not allow this to be read (HTTP status 403): {}{}",
        reason_of(origin, host),
        words(said)
    )]
    Forbidden {
        /// Who.
        host: String,
        /// Where the credential is from.
        origin: CredentialOrigin,
        /// What it says.
        said: String,
    },
    /// No credential can be had although there should be one.
    #[error(transparent)]
    Credential(#[from] RegistryCredentialError),
    /// A way to log in that is not known.
    #[error("{host} wants a login of a kind that is not known here; Bearer and Basic are")]
    Challenge {
        /// Who.
        host: String,
    },
    /// A place that no credential may be sent to.
    #[error(
        "{host} sends the login to {realm:?}, which {reason}; nothing was sent there. See with those who run the registry"
    )]
    Realm {
        /// Who.
        host: String,
        /// Where to.
        realm: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An answer of the service that gives tokens, which is none.
    #[error("{realm}, where {host} has its logins, gives no token ({what})")]
    NoToken {
        /// The registry.
        host: String,
        /// The service's host.
        realm: String,
        /// What comes instead.
        what: String,
    },
    /// The repository is not there.
    #[error("{host} has no repository {repository}; see that the name is right, and that you may read it")]
    NoRepository {
        /// Who.
        host: String,
        /// Which.
        repository: String,
    },
    /// A redirect that is not followed.
    #[error("{host} sends on to {to}, {reason}, which is not followed")]
    Redirect {
        /// Who.
        host: String,
        /// Where to, without what may be secret in it.
        to: String,
        /// Why not.
        reason: &'static str,
    },
    /// Somebody else answers.
    #[error("what answers at {host} is not a registry ({what}); see that its name is right")]
    NotARegistry {
        /// Who.
        host: String,
        /// What it is, as far as it is known.
        what: String,
    },
    /// Another status.
    #[error("{host} answers with HTTP status {status}{}", words(said))]
    Status {
        /// Who.
        host: String,
        /// The number.
        status: u16,
        /// What it says.
        said: String,
    },
    /// Something else than its digest names.
    #[error(
        "the registry handed over something other than {digest}: {what}. It may be damaged there or on the way: try again, and ask those who run the registry"
    )]
    OtherContent {
        /// What was asked for.
        digest: String,
        /// What came.
        what: String,
    },
    /// Content that is named in a manifest or a list, and is not there.
    #[error("the registry names {digest} and does not have it; ask those who run it")]
    Missing {
        /// What was asked for.
        digest: String,
    },
    /// More bytes than are read.
    #[error("{what} is larger than {mib} MiB, more than any that Tekton Chains writes; it is not read")]
    TooLarge {
        /// What.
        what: String,
        /// The limit, MiB.
        mib: u64,
    },
    /// More than are read.
    #[error("it has more than {limit} {what}, which are not read; no image of Tekton Chains has so many")]
    TooMany {
        /// What of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Content that is nothing that attestations are in.
    #[error("{0}, so it holds no attestation that can be read")]
    NotAttestations(String),
    /// A descriptor whose content cannot be asked for.
    #[error("what is in it is named in a way that is not known here: {0}")]
    Descriptor(String),
    /// Pages that never end, or lead elsewhere.
    #[error("the list of its referrers {0}, so it is not known to be whole")]
    Pages(&'static str),
}

/// What is to be done about a login that is not enough.
fn reason_of(origin: &CredentialOrigin, host: &str) -> String {
    match origin {
        CredentialOrigin::NotAsked => "and it asks for no login".to_owned(),
        CredentialOrigin::Nobody { searched } if searched.is_empty() => {
            format!("there is no file with credentials; log in with docker login {host}")
        }
        CredentialOrigin::Nobody { searched } => format!(
            "there is no credential for it in {}; log in with docker login {host}, and see that there is such a repository",
            searched.join(" or in ")
        ),
        origin => format!("the credential is that {origin}; log in again, or see what it may read"),
    }
}

fn words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(". It says: {said}") }
}

impl OciError {
    /// Whether the same request may be answered a moment later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Busy { .. })
    }

    /// Whether whatever else is asked of the registry about the image would fail alike.
    pub(super) fn is_about_all(&self) -> bool {
        !matches!(
            self,
            Self::OtherContent { .. }
                | Self::TooLarge { .. }
                | Self::TooMany { .. }
                | Self::NotAttestations(_)
                | Self::Descriptor(_)
                | Self::Pages(_)
                | Self::Redirect { .. }
                | Self::Missing { .. }
                | Self::Status { .. }
        )
    }
}
