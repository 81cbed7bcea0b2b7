//! Why a source does not hand over what is in it.

use std::io;

use crate::{
    sources::{
        kubernetes::error::KubernetesError,
        not_read::{NotRead, UnnamedFiles},
        oci::OciError,
        results::ResultsError,
    },
    tekton::{
        chains::ChainsError, pipelinerun::PipelineRunError, strict::parser_words::plain,
        taskrun::TaskRunError, unsuitable::Unsuitable,
    },
    verify::{Verdict, facts::Detail},
};

/// Why an input gives no TaskRun.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or folder is not read.
    #[error("{path}: {reason}")]
    NotRead {
        /// As given or found.
        path: String,
        /// Why not.
        reason: NotRead,
    },
    /// More files are not read than are named.
    #[error("{path}: {unnamed}")]
    Unnamed {
        /// The folder that they are in.
        path: String,
        /// How many.
        unnamed: UnnamedFiles,
    },
    /// The input holds something else than TaskRuns.
    #[error("{path}: {what}")]
    Unsuitable {
        /// As given or found.
        path: String,
        /// What it is.
        what: Unsuitable,
    },
    /// Reading ends in the middle.
    #[error("{path}: it cannot be read any further: {}", crate::io_error::words(error))]
    Read {
        /// As given.
        path: String,
        /// From the operating system.
        error: io::Error,
    },
    /// Neither JSON nor YAML.
    #[error("{path}: not {format}: {}{rest}", plain(error))]
    Syntax {
        /// As given, with the number of the object.
        path: String,
        /// JSON or YAML.
        format: &'static str,
        /// With line and column.
        error: String,
        /// What becomes of the rest.
        rest: Rest,
    },
    /// An object that is not a TaskRun.
    #[error("{path}: {error}")]
    Object {
        /// As given, with the number of the object.
        path: String,
        /// Why not.
        error: TaskRunError,
    },
    /// A PipelineRun that cannot be read.
    #[error("{path}: {error}")]
    PipelineRun {
        /// As given, with the number of the object.
        path: String,
        /// Why not.
        error: PipelineRunError,
    },
    /// An attestation of Tekton Chains that gives no run.
    #[error("{path}: {error}")]
    Chains {
        /// As given, with the number of the object.
        path: String,
        /// Why not.
        error: Box<ChainsError>,
    },
    /// A run of which something else is said on the command line.
    #[error("{path}: {found} is not what {stated} says; leave that out, or give what it says alone")]
    OtherRun {
        /// As given, with the number of the object.
        path: String,
        /// Namespace and name.
        found: String,
        /// The arguments.
        stated: String,
    },
    /// More than [`LARGEST_OBJECT`].
    #[error("{path}: the object is larger than {} MiB, more than Kubernetes keeps{rest}", LARGEST_OBJECT >> 20)]
    TooLarge {
        /// As given, with the number of the object.
        path: String,
        /// What becomes of the rest.
        rest: Rest,
    },
    /// What was taken for a List and is not one.
    #[error("{path}: its items were taken for those of a List, but {reason}")]
    List {
        /// As given.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A List that is not whole.
    #[error(
        "{path}: it is only a part of a List: {} not in it; kubectl get … -o json reads it to its end",
        lacking(*remaining)
    )]
    Part {
        /// As given.
        path: String,
        /// How many items it lacks, if it says so.
        remaining: Option<u64>,
    },
    /// The archive is not read, or not to its end.
    #[error("Tekton Results at {path}: {error}")]
    Results {
        /// Its address.
        path: String,
        /// Why not.
        error: Box<ResultsError>,
    },
    /// An image's attestations, or one of them, are not read.
    #[error("{path}: {error}")]
    Oci {
        /// The image, and where beside it.
        path: String,
        /// Why not.
        error: Box<OciError>,
    },
    /// A cluster is not read, or not to the end of a list.
    #[error("{path}: {error}")]
    Kubernetes {
        /// What was asked for.
        path: String,
        /// Why not.
        error: Box<KubernetesError>,
    },
    /// Nothing in it.
    #[error("{path}: there is no object in it")]
    Empty {
        /// As given.
        path: String,
    },
    /// A bug.
    #[error("{path}: checking it panicked, which is a bug in svidence; it is not verified")]
    Panicked {
        /// As given, with the number of the object.
        path: String,
    },
}

impl SourceError {
    /// What it counts as: what cannot be read is unchecked; what is read, and can hold no evidence, has none.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Chains { error, .. } if matches!(**error, ChainsError::HoldsNothing { .. }) => {
                Verdict::Absent
            }
            _ => Verdict::Unchecked,
        }
    }

    /// Under which code programs find it.
    pub fn code(&self) -> &'static str {
        match self.verdict() {
            Verdict::Absent => "no-evidence",
            _ => "unreadable",
        }
    }

    /// What is wrong, for programs.
    pub fn detail(&self) -> Detail {
        match self {
            Self::NotRead { .. } | Self::Unnamed { .. } | Self::Read { .. } => Detail::NOT_READ,
            Self::Unsuitable { what, .. } | Self::Object { error: TaskRunError::Unsuitable(what), .. } => {
                detail_of(what)
            }
            Self::Syntax { .. } => Detail::SYNTAX,
            Self::Object { error: TaskRunError::Shape(_), .. }
            | Self::PipelineRun {
                error: PipelineRunError::Shape(_) | PipelineRunError::NotConverted(_),
                ..
            } => Detail::SHAPE,
            Self::PipelineRun { error: PipelineRunError::Version(_), .. } => Detail::OTHER_KIND,
            Self::OtherRun { .. } => Detail::OTHER_RUN,
            Self::Chains { error, .. } => match **error {
                ChainsError::HoldsNothing { .. } => Detail::HOLDS_NOTHING,
                ChainsError::Unnamed(_) => Detail::UNNAMED_RUN,
                ChainsError::OtherPipelineRun { .. } => Detail::OTHER_RUN,
                ChainsError::Predicate(_) | ChainsError::BuildType(_) => Detail::OTHER_STATEMENT,
                _ => Detail::SHAPE,
            },
            Self::TooLarge { .. } => Detail::OBJECT_TOO_LARGE,
            Self::List { .. } => Detail::LIST,
            Self::Part { .. } => Detail::PART_OF_LIST,
            Self::Results { error, .. } if error.is_not_whole() => Detail::ARCHIVE_NOT_WHOLE,
            Self::Results { .. } => Detail::NOT_READ,
            Self::Oci { error, .. } => detail_of_registry(error),
            Self::Kubernetes { error, .. } => detail_of_answer(error),
            Self::Empty { .. } => Detail::EMPTY,
            Self::Panicked { .. } => Detail::PANICKED,
        }
    }
}

fn detail_of(what: &Unsuitable) -> Detail {
    match what {
        Unsuitable::NoKind => Detail::NO_KIND,
        Unsuitable::ApiStatus(_)
        | Unsuitable::PipelineRun(..)
        | Unsuitable::Pod(..)
        | Unsuitable::CustomRun(_)
        | Unsuitable::Definition(_)
        | Unsuitable::TaskRunVersion(_)
        | Unsuitable::Kind(..) => Detail::OTHER_KIND,
        _ => Detail::NO_OBJECT,
    }
}

fn detail_of_answer(error: &KubernetesError) -> Detail {
    match error {
        KubernetesError::Access(_) => Detail::NO_CREDENTIAL,
        KubernetesError::Unreachable { .. } => Detail::UNREACHABLE,
        KubernetesError::Unauthorized { .. } => Detail::UNAUTHORIZED,
        KubernetesError::Forbidden { .. } => Detail::FORBIDDEN,
        KubernetesError::NoTekton { .. } => Detail::NO_TEKTON,
        KubernetesError::Deleted { .. } | KubernetesError::TooLong { .. } => Detail::NOT_READ,
        KubernetesError::Expired => Detail::LIST_EXPIRED,
        KubernetesError::Status { .. } => Detail::REFUSED_BY_SERVER,
        KubernetesError::Cut { .. } => Detail::ANSWER_CUT,
        KubernetesError::Odd { .. } => Detail::ODD_ANSWER,
    }
}

fn detail_of_registry(error: &OciError) -> Detail {
    match error {
        OciError::Connect { .. }
        | OciError::Certificate { .. }
        | OciError::NoTls { .. }
        | OciError::Timeout { .. } => Detail::UNREACHABLE,
        OciError::Lost { .. } => Detail::ANSWER_CUT,
        OciError::Unauthorized { .. } => Detail::UNAUTHORIZED,
        OciError::Forbidden { .. } => Detail::FORBIDDEN,
        OciError::Credential(_)
        | OciError::Challenge { .. }
        | OciError::Realm { .. }
        | OciError::NoToken { .. } => Detail::NO_CREDENTIAL,
        OciError::Busy { .. } | OciError::Status { .. } => Detail::REFUSED_BY_SERVER,
        OciError::NoRepository { .. } | OciError::Missing { .. } | OciError::TooMany { .. } => {
            Detail::NOT_READ
        }
        OciError::TooLarge { .. } => Detail::OBJECT_TOO_LARGE,
        OciError::OtherContent { .. } => Detail::OTHER_CONTENT,
        OciError::NotARegistry { .. }
        | OciError::Redirect { .. }
        | OciError::NotAttestations(_)
        | OciError::Descriptor(_)
        | OciError::Pages(_) => Detail::ODD_ANSWER,
    }
}

fn lacking(remaining: Option<u64>) -> String {
    match remaining {
        None | Some(0) => "more items exist that are".to_owned(),
        Some(1) => "1 more item exists that is".to_owned(),
        Some(count) => format!("{count} more items exist that are"),
    }
}

/// What becomes of the input after something that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It is judged.
    Read,
    /// Nobody can tell where it goes on.
    NotRead,
}

impl std::fmt::Display for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read => Ok(()),
            Self::NotRead => f.write_str("; what follows in it is not read"),
        }
    }
}

/// The largest object that is read, bytes. An API server keeps none of more than some 1.5 MB (etcd's limit); what is read
/// takes a multiple of this in memory, at worst.
pub(crate) const LARGEST_OBJECT: usize = 16 << 20;
