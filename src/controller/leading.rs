//! Of several controllers one acts: the one that holds the lease.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use crate::sources::kubernetes::{
    error::KubernetesError,
    lease::{DURATION, Lease},
};

/// How often the lease is renewed, or looked at.
const RENEWED: Duration = Duration::from_secs(2);
/// A lease that was not renewed for so long is no longer held: some seconds before another one may take it.
const HELD: Duration = Duration::from_secs(8);

const _: () = assert!(HELD.as_secs() < DURATION.as_secs(), "nobody else acts before this one has stopped");

/// What becomes of the lease.
#[derive(Debug)]
pub enum Turn {
    /// This controller is the one that acts.
    Taken,
    /// It is so no longer.
    Lost,
    /// The lease could not be taken, renewed or looked at.
    Failed(KubernetesError),
}

/// Whether this controller is the one that acts.
#[derive(Debug, Clone)]
pub struct Leadership(Option<Arc<Mutex<Option<Instant>>>>);

impl Leadership {
    /// There is no other one.
    pub fn undisputed() -> Self {
        Self(None)
    }

    /// As long as the lease is held, which it is not yet.
    pub fn by_lease() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether it may act at this time.
    pub fn is_held(&self, at: Instant) -> bool {
        let Some(until) = &self.0 else { return true };
        until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| at < until)
    }

    fn set(&self, until: Option<Instant>) {
        if let Some(known) = &self.0 {
            *known.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }
}

/// Holds the lease as long as it can, and tells the loop when it has it and when it has lost it. Ends with that, or when `end` says so, and
/// then gives it up.
pub fn hold(
    mut lease: Lease,
    leadership: &Leadership,
    tell: &dyn Fn(Turn),
    end: &Receiver<()>,
    now: fn() -> i64,
) {
    let mut held: Option<Instant> = None;
    loop {
        let at = Instant::now();
        match lease.hold(at, now()) {
            Ok(true) => {
                leadership.set(Some(at + HELD));
                if held.replace(at).is_none() {
                    tell(Turn::Taken);
                }
            }
            // Somebody else has it, or was first.
            Ok(false) if held.is_some() => break,
            Ok(false) => {}
            Err(error) => {
                tell(Turn::Failed(error));
            }
        }
        if held.is_some_and(|held| held.elapsed() >= HELD) {
            break;
        }
        match end.recv_timeout(RENEWED) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                let _ = lease.release();
                return;
            }
        }
    }
    leadership.set(None);
    tell(Turn::Lost);
}
