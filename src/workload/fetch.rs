//! Keeps a fresh identity at hand while the step's command runs, in a thread of its own.
//!
//! As long as nobody waits for the identity the thread sleeps, but for what the agent sends, the end of the identity's
//! validity, and attempts with growing pauses while there is none.
//!
//! A registration may come late. If the agent has other SVIDs for this process it keeps the call open and pushes the next
//! state; if it has none it refuses, and [`super::watch`] tells when that changes.

mod work;

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nix::sys::eventfd::{EfdFlags, EventFd};
use ring::rand::SecureRandom as _;
use tokio::sync::Notify;
use unixtime::UnixSeconds;

use self::work::Work;
pub use super::identity::{Accept, Identity};
use super::{
    address::Address,
    client::{FetchError, Seconds},
    retry::{Backoff, attempt_deadline},
};
use crate::surroundings;

/// A call that has been without an answer for less says nothing beside what was said before it.
const SILENCE: Duration = Duration::from_secs(2);

/// Seconds since the epoch.
pub type Clock = Arc<dyn Fn() -> UnixSeconds + Send + Sync>;

/// What a [`Fetcher`] works with.
pub struct FetchSettings {
    /// Where the Workload API listens.
    pub address: Address,
    /// How long is waited once signing has begun; zero: for one attempt.
    pub signing_timeout: Duration,
    /// The identity that is looked for, in words, for the final report.
    pub expected: String,
    /// The clock that certificates are checked with.
    pub clock: Clock,
    /// Randomness that spreads the attempts.
    pub random: Box<dyn FnMut() -> u64 + Send>,
}

impl FetchSettings {
    /// Settings with the system's clock and randomness, and 60 s for signing.
    pub fn new(address: Address, expected: String) -> Self {
        let random = ring::rand::SystemRandom::new();
        Self {
            address,
            signing_timeout: Duration::from_secs(60),
            expected,
            clock: Arc::new(surroundings::now_in_seconds),
            random: Box::new(move || {
                let mut bytes = [0; 8];
                // Without randomness the pauses are merely not spread.
                let _ = random.fill(&mut bytes);
                u64::from_ne_bytes(bytes)
            }),
        }
    }
}

/// Where a [`Fetcher`] stands.
#[derive(Debug, Clone, PartialEq)]
pub enum FetchState {
    /// No identity that is valid now.
    Waiting {
        /// Attempts that have ended, since signing began if it has.
        attempts: u32,
        /// What the last one ended with, which may have been before signing began.
        last: Option<FetchError>,
    },
    /// An identity that is valid now.
    Ready,
    /// Asking again is pointless.
    Failed(FetchError),
}

/// All that there is to say when no identity came.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchReport {
    /// Attempts made, since signing began if it has, with the one under way.
    pub attempts: u32,
    /// Time passed, since signing began if it has.
    pub elapsed: Duration,
    /// The last that the agent or the system said: an attempt that our own deadline cuts says nothing, and replaces nothing.
    pub last: Option<FetchError>,
    /// How long the last attempt has been without an answer, if it is.
    pub unanswered: Option<Duration>,
    /// The socket.
    pub address: Address,
    /// What was looked for.
    pub expected: String,
}

/// Cause and advice come first: whoever has room for a part only cuts off the rest.
impl std::fmt::Display for FetchReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(error) = &self.last {
            write!(f, "{error}; ")?;
            error.hint().map_or(Ok(()), |hint| write!(f, "{hint}; "))?;
        }
        if let Some(unanswered) = self.unanswered.filter(|time| self.last.is_none() || *time >= SILENCE) {
            write!(
                f,
                "the SPIRE agent has not answered the last call for {}: it holds calls while an SVID is not signed yet \
                 and while it asks the kubelet about the pod, its log says which; ",
                Seconds(unanswered)
            )?;
        }
        let plural = if self.attempts == 1 { "" } else { "s" };
        let Self { attempts, elapsed, address, expected, .. } = self;
        write!(f, "{attempts} attempt{plural} in {} at {address}, for {expected}", Seconds(*elapsed))
    }
}

/// A background thread that keeps the identity fresh.
///
/// It is not joined: dropping the fetcher tells the thread to end, and it does so at once. The thread handles no signals
/// and inherits the mask of the thread that starts it, so that one should have blocked those that it waits for.
pub struct Fetcher {
    shared: Arc<Shared>,
}

struct Shared {
    status: Mutex<Status>,
    /// Wakes the thread: signing has begun.
    begun: Notify,
    /// Ends the thread.
    over: Notify,
    /// Wakes the owner: the state may have changed.
    changed: EventFd,
    clock: Clock,
    address: Address,
    expected: String,
    signing_timeout: Duration,
    started: Instant,
}

#[derive(Default)]
struct Status {
    identity: Option<Identity>,
    /// Attempts that have ended.
    attempts: u32,
    /// When the attempt that is under way began.
    under_way: Option<Instant>,
    /// How long the last attempt took, if it was cut.
    cut_after: Option<Duration>,
    last: Option<FetchError>,
    /// Whether the last two attempts were refused with one and the same permanent reason: the agent had its chance to bring
    /// another SVID.
    is_hopeless: bool,
    /// When signing began.
    begun: Option<Instant>,
}

impl Status {
    /// To be called together with storing what the attempt brought: an owner must not see the one without the other.
    fn end_attempt(&mut self) -> Duration {
        self.attempts = self.attempts.saturating_add(1);
        self.cut_after = None;
        self.under_way.take().map_or(Duration::ZERO, |begun| begun.elapsed())
    }

    /// The attempt ended with this. What was said before is kept if this one was merely cut: under load the last attempt is
    /// cut within milliseconds, and that must not hide why the others failed.
    fn fail_attempt(&mut self, error: &FetchError) {
        let took = self.end_attempt();
        let is_cut = matches!(error, FetchError::TimedOut { .. });
        self.cut_after = is_cut.then_some(took);
        self.is_hopeless = error.is_permanent() && self.last.as_ref() == Some(error);
        if !is_cut || self.last.is_none() {
            self.last = Some(error.clone());
        }
    }
}

impl Fetcher {
    /// Starts the thread. `accept` chooses among the SVIDs of each message.
    pub fn start(settings: FetchSettings, accept: Accept) -> Result<Self, std::io::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let FetchSettings { address, signing_timeout, expected, clock, random } = settings;
        let shared = Arc::new(Shared {
            status: Mutex::default(),
            begun: Notify::new(),
            over: Notify::new(),
            changed: EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            clock,
            address,
            expected,
            signing_timeout,
            started: Instant::now(),
        });
        let work = Work {
            shared: Arc::clone(&shared),
            random,
            accept,
            unhurried: Backoff::new(),
            hurried: Backoff::new(),
            pushed: Backoff::new(),
        };
        std::thread::Builder::new()
            .name("svid-fetcher".to_owned())
            .spawn(move || runtime.block_on(work.run()))?;
        Ok(Self { shared })
    }

    /// Becomes readable whenever the state may have changed; [`Fetcher::clear`] makes it unreadable again.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.shared.changed.as_fd()
    }

    /// Takes back the readability of [`Fetcher::fd`]. To be called before [`Fetcher::state`], so that no change is lost.
    pub fn clear(&self) {
        let _ = self.shared.changed.read();
    }

    /// Where it stands now.
    pub fn state(&self) -> FetchState {
        let now = (self.shared.clock)();
        let status = self.shared.lock();
        let invalid = match &status.identity {
            Some(identity) => match identity.svid.check_valid_at(now) {
                Ok(()) => return FetchState::Ready,
                Err(error) => Some(FetchError::Svid(error)),
            },
            None => None,
        };
        match &status.last {
            Some(error) if error.is_final() || (status.is_hopeless && status.begun.is_some()) => {
                FetchState::Failed(error.clone())
            }
            last => FetchState::Waiting { attempts: status.attempts, last: invalid.or_else(|| last.clone()) },
        }
    }

    /// Hands over the identity, if one is valid now.
    pub fn take(&self) -> Option<Identity> {
        let now = (self.shared.clock)();
        let mut status = self.shared.lock();
        let valid =
            status.identity.as_ref().is_some_and(|identity| identity.svid.check_valid_at(now).is_ok());
        if valid { status.identity.take() } else { None }
    }

    /// Signing begins at `now`: pauses start anew, an attempt is made at once (if one is under way and not answered yet, a
    /// second call beside it), and attempts are counted from here.
    pub fn begin(&self, now: Instant) {
        let mut status = self.shared.lock();
        status.begun = Some(now);
        status.attempts = 0;
        status.is_hopeless = false;
        drop(status);
        self.shared.begun.notify_one();
    }

    /// What to say at `now` if no identity came.
    pub fn report(&self, now: Instant) -> FetchReport {
        let clock = (self.shared.clock)();
        let status = self.shared.lock();
        let since = status.begun.unwrap_or(self.shared.started);
        let invalid = status.identity.as_ref().and_then(|identity| identity.svid.check_valid_at(clock).err());
        let unanswered =
            status.under_way.map(|begun| now.saturating_duration_since(begun)).or(status.cut_after);
        let is_silent = unanswered.is_some_and(|time| time >= SILENCE);
        // Who is silent for long has been connected to.
        let said =
            status.last.clone().filter(|said| !(is_silent && matches!(said, FetchError::Connect { .. })));
        FetchReport {
            attempts: status.attempts.saturating_add(u32::from(status.under_way.is_some())),
            elapsed: now.saturating_duration_since(since),
            last: invalid.map(FetchError::Svid).or(said),
            unanswered,
            address: self.shared.address.clone(),
            expected: self.shared.expected.clone(),
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        let identity = self.shared.lock().identity.take();
        drop(identity);
        self.shared.over.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Status> {
        // Nothing is left half-done under this lock.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells the owner.
    fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock());
        // Fails only if the counter is full, and then the descriptor is readable anyway.
        let _ = self.changed.write(1);
    }

    fn has_begun(&self) -> bool {
        self.lock().begun.is_some()
    }

    /// Waits until signing begins, if it has not.
    async fn begun(&self) {
        while !self.has_begun() {
            self.begun.notified().await;
        }
    }

    /// How long an attempt may take from now on, now that signing has begun; `None` if none is due any more.
    fn time_for_attempt(&self) -> Option<Duration> {
        let status = self.lock();
        let elapsed = status.begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        let remaining = self.signing_timeout.saturating_sub(elapsed);
        match (remaining.is_zero(), status.attempts) {
            (false, _) => Some(attempt_deadline(Some(remaining))),
            (true, 0) => Some(attempt_deadline(None)),
            (true, _) => None,
        }
    }
}
