//! Page after page, until all that the archive counts has come.
//!
//! A server whose database fails answers a list with what it has so far, as if that were all. So the archive is asked first how many
//! records there are. Records come in the order of their creation, so those that came are all up to some time, and as many as were
//! counted are all that were there at the beginning.

use std::{collections::HashSet, thread, time::Duration};

use super::{
    archive::{Archive, Each, Ended, Page, Record},
    error::ResultsError,
};

/// Nothing is gained by more.
const LARGEST_PAGE: u32 = 1000;
/// What the server admits.
const SMALLEST_PAGE: u32 = 5;
/// Bytes of a page up to which the next one may be twice as large, after one was too large.
const EASY_PAGE: usize = 8 << 20;
/// How long to wait before a request is repeated that failed in passing.
pub(super) const PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3)];

/// Reads what a filter selects. `pauses` are those before each repetition of one request.
pub(super) struct Reading<'a> {
    pub(super) archive: &'a mut dyn Archive,
    pub(super) parent: &'a str,
    pub(super) filter: &'a str,
    pub(super) pauses: &'a [Duration],
}

/// Where a reading is.
#[derive(Default)]
struct ReadingState {
    token: String,
    came: u64,
    /// What has been handed on of what follows the token, by the records' UIDs: more than the page, if a larger one was cut.
    of_page: HashSet<String>,
    /// What has come in this answer.
    in_answer: HashSet<String>,
    /// Where pages began.
    tokens: HashSet<String>,
    bytes: usize,
    last: Option<String>,
}

impl ReadingState {
    /// Hands on what has not come before.
    fn take(&mut self, record: Record, each: &mut Each<'_>) -> Result<(), crate::sources::sink::Stopped> {
        self.bytes += record.value.len();
        self.in_answer.insert(record.uid.clone());
        if !self.of_page.insert(record.uid.clone()) {
            return Ok(());
        }
        self.came += 1;
        self.last = Some(record.name.clone());
        each(record)
    }
}

impl Reading<'_> {
    /// Hands on each record once, and gives how many there were; an error if it may not be all of them.
    pub(super) fn read(&mut self, each: &mut Each<'_>) -> Result<u64, Ended> {
        let mut total = self.total()?;
        let mut place = ReadingState::default();
        let (mut size, mut is_repeated) = (LARGEST_PAGE, false);
        loop {
            place.bytes = 0;
            let next = match self.page(size, &mut place, each) {
                Err(Ended::Failed(ResultsError::TooLarge { .. })) if size > SMALLEST_PAGE => {
                    size = (size / 2).max(SMALLEST_PAGE);
                    continue;
                }
                Err(Ended::Failed(ResultsError::TooLarge { .. })) => {
                    return Err(ResultsError::TooLarge { page: size, after: place.last }.into());
                }
                next => next?,
            };
            match next {
                Some(next) if !place.tokens.insert(next.clone()) || place.in_answer.is_empty() => {
                    return Err(ResultsError::Circle.into());
                }
                Some(next) => {
                    place.token = next;
                    let ReadingState { of_page, in_answer, .. } = &mut place;
                    of_page.retain(|uid| !in_answer.contains(uid));
                    is_repeated = false;
                    if place.bytes <= EASY_PAGE {
                        size = (size * 2).min(LARGEST_PAGE);
                    }
                }
                // The last page, or one that was cut. What is missing begins in it, or follows it.
                None if place.came >= total && (place.token.is_empty() || !place.in_answer.is_empty()) => {
                    return Ok(place.came);
                }
                None if is_repeated && place.came >= total => return Ok(place.came),
                None if is_repeated => return Err(ResultsError::Short { total, came: place.came }.into()),
                None => {
                    is_repeated = true;
                    // Some may have been deleted meanwhile.
                    total = self.total()?;
                }
            }
        }
    }

    /// How many there are. For each connection that a server has lost to its database it says nothing once.
    fn total(&mut self) -> Result<u64, ResultsError> {
        let mut pauses = self.pauses.iter();
        loop {
            match (self.archive.total(self.parent, self.filter), pauses.next()) {
                (Ok(Some(total)), _) => return Ok(total),
                (Ok(None), Some(pause)) => thread::sleep(*pause),
                (Ok(None), None) => return Err(ResultsError::NotCounted),
                (Err(error), Some(pause)) if error.is_passing() => thread::sleep(*pause),
                (Err(error), _) => return Err(error),
            }
        }
    }

    /// One page, asked for again where that may help.
    fn page(
        &mut self,
        size: u32,
        place: &mut ReadingState,
        each: &mut Each<'_>,
    ) -> Result<Option<String>, Ended> {
        let mut pauses = self.pauses.iter();
        let token = place.token.clone();
        let page = Page { parent: self.parent, filter: self.filter, size, token: &token };
        loop {
            place.in_answer.clear();
            match (self.archive.page(page, &mut |record| place.take(record, each)), pauses.as_slice()) {
                (Err(Ended::Failed(error)), [_, ..]) if error.is_passing() => {
                    if let Some(a) = pauses.next().copied() {
                        thread::sleep(a)
                    }
                }
                (page, _) => return page,
            }
        }
    }
}
