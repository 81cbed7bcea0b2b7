//! Of several controllers one acts: the one that holds the lease.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::timeout};
use unixtime::UnixSeconds;

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

/// Whether this controller is the one that acts: it holds the lease, if there is one, and was not told to end.
#[derive(Debug, Clone, Default)]
pub struct Leadership {
    /// Until when the lease is held; `None`: there is none.
    lease: Option<Arc<Mutex<Option<Instant>>>>,
    end: Arc<End>,
}

#[derive(Debug, Default)]
struct End {
    is_told: AtomicBool,
    told: Notify,
}

impl Leadership {
    /// There is no other one.
    pub fn undisputed() -> Self {
        Self::default()
    }

    /// As long as the lease is held, which it is not yet.
    pub fn by_lease() -> Self {
        Self { lease: Some(Arc::default()), ..Self::default() }
    }

    /// Whether it may act at this time.
    pub fn is_held(&self, at: Instant) -> bool {
        self.left(at).is_some()
    }

    /// How long it may act from this time on, unless the lease is renewed; `None`: not at all.
    fn left(&self, at: Instant) -> Option<Duration> {
        if self.end.is_told.load(Ordering::Acquire) {
            return None;
        }
        let Some(until) = &self.lease else { return Some(Duration::MAX) };
        let until = *until.lock().unwrap_or_else(PoisonError::into_inner);
        until?.checked_duration_since(at).filter(|left| !left.is_zero())
    }

    /// It was told to end: from now on it may not act, and what it waits for is not waited for any longer.
    pub fn end(&self) {
        self.end.is_told.store(true, Ordering::Release);
        self.end.told.notify_one();
    }

    /// Ends when it may no longer act. One at a time may wait for that, in a runtime with timers.
    pub async fn over(&self) {
        while let Some(left) = self.left(Instant::now()) {
            // Then it may have been renewed.
            let _ = timeout(left, self.end.told.notified()).await;
        }
    }

    fn set(&self, until: Option<Instant>) {
        if let Some(known) = &self.lease {
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
    now: fn() -> UnixSeconds,
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
