//! What a watch says, event by event (`metav1.WatchEvent`).

use std::io::{BufRead as _, BufReader, Read};

use serde::{Deserialize, de::DeserializeOwned};

use crate::sources::error::LARGEST_OBJECT;

/// What has become of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Change {
    /// It is new.
    Added,
    /// It has changed.
    Modified,
    /// It is no longer there.
    Deleted,
    /// Nothing; the object has a version alone.
    Bookmark,
}

/// What comes next.
pub(super) enum Next<T> {
    /// An event.
    Event(Change, T),
    /// Nothing: the watch has ended in its time.
    End,
    /// Nothing of use: it was cut, or says that what is known is too old (410, as a rule).
    Broken,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Event<T> {
    #[serde(rename = "type")]
    change: Change,
    object: T,
}

/// The events of one watch, of which one at a time is in memory.
pub(super) struct Events<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
}

impl<R: Read> Events<R> {
    /// Those in the body of an answer.
    pub(super) fn new(body: R) -> Self {
        Self { reader: BufReader::new(body), line: Vec::new() }
    }

    /// Waits for the next one.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Next<T> {
        self.line.clear();
        let limit = u64::try_from(LARGEST_OBJECT).unwrap_or(u64::MAX);
        match self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line) {
            Ok(0) => Next::End,
            Ok(_) if self.line.ends_with(b"\n") => match serde_json::from_slice(&self.line) {
                Ok(Event { change, object }) => Next::Event(change, object),
                Err(_) => Next::Broken,
            },
            _ => Next::Broken,
        }
    }
}
