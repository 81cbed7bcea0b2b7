//! The lock of a store's folder: two that add at once must not lose what the other one has added.

use std::{
    fs::{File, TryLockError},
    io, thread,
    time::Duration,
};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Locks a folder until it is closed. `false`: another process has held the lock for all of `patience`.
pub fn lock_within(folder: &File, patience: Duration) -> io::Result<bool> {
    let mut waited = Duration::ZERO;
    loop {
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) if waited < patience => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => return Ok(true),
        }
        waited += LOOK;
    }
}
