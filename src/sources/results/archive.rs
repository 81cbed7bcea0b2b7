//! What is asked of the API, whichever way it is spoken to.

use prost::bytes::Bytes;

use super::error::ResultsError;
use crate::sources::sink::Stopped;

/// A record: an object that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// `NAMESPACE/results/RESULT/records/RECORD`. The namespace is that of whoever filed it, not always the object's.
    pub(super) name: String,
    /// The server's own number of the record.
    pub(super) uid: String,
    /// What it says it holds, such as `tekton.dev/v1.TaskRun`.
    pub(super) kind: String,
    /// The object in JSON.
    pub(super) value: Bytes,
}

/// A page that is asked for, oldest records first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'a> {
    /// `NAMESPACE/results/-`
    pub(super) parent: &'a str,
    pub(super) filter: &'a str,
    /// Most records of it.
    pub(super) size: u32,
    /// Where it begins; empty: at the beginning.
    pub(super) token: &'a str,
}

/// In which order records come: new ones come last, so that what comes is everything up to some time.
pub(super) const ORDER: &str = "create_time asc";

/// Takes a record.
pub(super) type Each<'a> = dyn FnMut(Record) -> Result<(), Stopped> + 'a;

/// Why a page ends too early.
#[derive(Debug)]
pub(super) enum Ended {
    /// Nobody takes its records any more.
    Stopped,
    /// It could not be read, or not to its end.
    Failed(ResultsError),
}

impl From<Stopped> for Ended {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<ResultsError> for Ended {
    fn from(error: ResultsError) -> Self {
        Self::Failed(error)
    }
}

/// The API.
pub(super) trait Archive {
    /// How many records a filter selects; `None` if it does not say, as when its database is away.
    fn total(&mut self, parent: &str, filter: &str) -> Result<Option<u64>, ResultsError>;

    /// Hands on the records of a page; gives what the next one begins with, if there is one.
    fn page(&mut self, page: Page<'_>, each: &mut Each<'_>) -> Result<Option<String>, Ended>;
}
