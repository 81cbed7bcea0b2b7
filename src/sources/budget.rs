//! How much of the input may be under way at once, so that memory does not grow with it.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::sources::{error::LARGEST_OBJECT, sink::Stopped};

/// Bytes of documents after which a batch is full.
pub(super) const BATCH: usize = 256 << 10;
/// Bytes of documents under way: more than one large object at a time is not worth its memory.
pub(super) const UNDER_WAY: usize = 2 * LARGEST_OBJECT;

/// How many bytes may still be under way.
pub(super) struct Budget {
    limit: usize,
    free: Mutex<Option<usize>>,
    changed: Condvar,
    /// Room of batches that were judged: what is given back to the system has to be cleared by it again.
    rooms: Mutex<Vec<Vec<u8>>>,
}

impl Budget {
    /// So many bytes.
    pub(super) fn of(limit: usize) -> Self {
        Self { limit, free: Mutex::new(Some(limit)), changed: Condvar::new(), rooms: Mutex::default() }
    }

    /// Waits until there is room for so many bytes; gives what was taken.
    pub(super) fn take(&self, bytes: usize) -> Result<usize, Stopped> {
        let bytes = bytes.min(self.limit);
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .changed
            .wait_while(free, |free| free.is_some_and(|free| free < bytes))
            .unwrap_or_else(PoisonError::into_inner);
        let left = free.as_mut().ok_or(Stopped)?;
        *left -= bytes;
        Ok(bytes)
    }

    /// Room for the bytes of a batch, empty.
    pub(super) fn room(&self) -> Vec<u8> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps room, but not that of a large object.
    pub(super) fn keep(&self, mut room: Vec<u8>) {
        if (1..=2 * BATCH).contains(&room.capacity()) {
            room.clear();
            self.rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
        }
    }

    pub(super) fn give_back(&self, bytes: usize) {
        if let Some(free) = self.free.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            *free += bytes;
        }
        self.changed.notify_one();
    }
}

pub(super) struct CloseOnDrop<'a>(pub(super) &'a Budget);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.changed.notify_one();
    }
}
