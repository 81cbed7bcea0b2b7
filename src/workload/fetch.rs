//! Keeps a fresh identity at hand while the step's command runs, in a thread of its own.
//!
//! As long as nobody waits for the identity the thread sleeps, but for what the agent sends, the end of the identity's
//! validity, and attempts with growing pauses while there is none.
//!
//! A registration may come late. If the agent has other SVIDs for this process it keeps the call open and pushes the next
//! state; if it has none it refuses, and [`super::watch`] tells when that changes.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nix::sys::eventfd::{EfdFlags, EventFd};
use ring::rand::SecureRandom as _;
use tokio::sync::Notify;
use tonic::{Code, Status as GrpcStatus};
use x509::Validity;

pub use super::identity::{Accept, Identity};
use super::{
    address::Address,
    client::{self, Answer, FetchError, Seconds, Stream},
    generated::X509svidResponse,
    identity::from_message,
    retry::{Backoff, attempt_deadline},
    svid::SvidError,
    watch::Watch,
};
use crate::surroundings;

/// How often an identity whose time has not come is looked at while somebody waits for it.
const CLOCK_POLL: Duration = Duration::from_millis(200);
/// A call that has been without an answer for less says nothing beside what was said before it.
const SILENCE: Duration = Duration::from_secs(2);
/// Longer than a step runs, and within what timers can do.
const UNLIMITED: Duration = Duration::from_secs(30 * 86400);
/// The agent is asked again by then even if it should push what changes: longer than the pauses between its streams.
const PUSHED_BY: Duration = Duration::from_secs(15);

/// Seconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a [`Fetcher`] works with.
pub struct Settings {
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

impl Settings {
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
pub enum State {
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
pub struct Report {
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
impl std::fmt::Display for Report {
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
    pub fn start(settings: Settings, accept: Accept) -> Result<Self, std::io::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let Settings { address, signing_timeout, expected, clock, random } = settings;
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
    pub fn state(&self) -> State {
        let now = (self.shared.clock)();
        let status = self.shared.lock();
        let invalid = match &status.identity {
            Some(identity) => match identity.svid.check_valid_at(now) {
                Ok(()) => return State::Ready,
                Err(error) => Some(FetchError::Svid(error)),
            },
            None => None,
        };
        match &status.last {
            Some(error) if error.is_final() || (status.is_hopeless && status.begun.is_some()) => {
                State::Failed(error.clone())
            }
            last => State::Waiting { attempts: status.attempts, last: invalid.or_else(|| last.clone()) },
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
    pub fn report(&self, now: Instant) -> Report {
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
        Report {
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

struct Work {
    shared: Arc<Shared>,
    random: Box<dyn FnMut() -> u64 + Send>,
    accept: Accept,
    /// The pauses until signing begins, from then on, and from then on if the agent pushes what changes.
    unhurried: Backoff,
    hurried: Backoff,
    pushed: Backoff,
}

impl Work {
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let watch = Watch::default();
        let random = (self.random)();
        let rounds = async {
            // Ends when nothing will change any more, not even when signing begins.
            while self.round(&watch).await.is_some() {}
            watch.want(false);
            std::future::pending().await
        };
        let watching = async {
            watch.run(&shared.address, random).await;
            std::future::pending().await
        };
        tokio::select! {
            () = rounds => {}
            () = watching => {}
            () = shared.over.notified() => {}
        }
    }

    /// One attempt, its stream, and the pause behind it. `None` if it was the last one.
    async fn round(&mut self, watch: &Watch) -> Option<()> {
        if self.shared.has_begun() {
            self.shared.time_for_attempt()?;
        }
        let (mut stream, mut failed) = match self.attempt(watch).await {
            Err(error) => (None, Some(error)),
            Ok((Err(error), stream)) => (Some(stream), Some(error)),
            Ok((Ok(identity), stream)) => {
                self.shared.lock().end_attempt();
                self.keep(identity);
                (Some(stream), None)
            }
        };
        if let Some(error) = &failed {
            self.shared.update(|status| status.fail_attempt(error));
        }
        watch.want(failed.as_ref().is_some_and(|error| self.may_be_pushed(error)));
        let mut until = None;
        loop {
            if let (None, Some(stream)) = (&failed, &mut stream) {
                failed = Some(self.follow(stream).await);
                until = None;
            }
            let error = failed.as_ref()?;
            if error.is_final() {
                return None;
            }
            if matches!(error, FetchError::Ended { .. }) {
                stream = None;
            }
            let until =
                *until.get_or_insert_with(|| Instant::now() + self.pause(error, stream.is_some(), watch));
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => return Some(()),
                () = self.shared.begun(), if !self.shared.has_begun() => return Some(()),
                () = watch.news.notified() => return Some(()),
                // Stays open without an identity of this step: the next state is pushed.
                message = next(stream.as_mut()) => failed = self.take_in(message).err(),
            }
        }
    }

    /// Whether it is worth watching for an end of this refusal.
    fn may_be_pushed(&self, error: &FetchError) -> bool {
        error.code() == Some(Code::PermissionDenied)
            && self.shared.has_begun()
            && self.shared.time_for_attempt().is_some()
    }

    /// How long to wait before the next attempt. `is_open`: whether the stream of the last one is.
    fn pause(&mut self, error: &FetchError, is_open: bool, watch: &Watch) -> Duration {
        let random = (self.random)();
        if !self.shared.has_begun() {
            self.unhurried.next_unhurried(random)
        } else if watch.is_live() && error.code() == Some(Code::PermissionDenied) {
            PUSHED_BY
        } else if is_open && !error.is_permanent() {
            self.pushed.next_watched(random)
        } else {
            self.hurried.next(random)
        }
    }

    /// One attempt.
    async fn attempt(&self, watch: &Watch) -> Result<Answer<Identity>, FetchError> {
        self.shared.lock().under_way = Some(Instant::now());
        // An attempt goes on when signing begins: giving it up would only make the agent start anew.
        let begun = async {
            self.shared.begun().await;
            self.shared.time_for_attempt().unwrap_or_default()
        };
        let judge = |message| self.judge(message);
        client::attempt(&self.shared.address, begun, &watch.news, &judge).await
    }

    /// The message's identity of this step; one that has expired already is of no use.
    fn judge(&self, message: X509svidResponse) -> Result<Identity, FetchError> {
        let now = (self.shared.clock)();
        let identity = from_message(message, now, &*self.accept)?;
        match identity.svid.check_valid_at(now) {
            Err(error @ SvidError::Expired { .. }) => Err(FetchError::Svid(error)),
            _ => Ok(identity),
        }
    }

    fn keep(&mut self, identity: Identity) {
        (self.unhurried, self.hurried, self.pushed) = Default::default();
        self.shared.update(|status| {
            status.identity = Some(identity);
            status.last = None;
        });
    }

    /// Takes what the stream brings until it ends or brings nothing of use.
    async fn follow(&mut self, stream: &mut Stream) -> FetchError {
        loop {
            let look_again = match self.look_at_identity() {
                Ok(look_again) => look_again,
                Err(error) => {
                    self.shared.update(|status| status.last = Some(error.clone()));
                    return error;
                }
            };
            let has_begun = self.shared.has_begun();
            let message = tokio::select! {
                message = stream.message() => message,
                () = tokio::time::sleep(look_again) => continue,
                () = self.shared.begun(), if !has_begun => continue,
            };
            if let Err(error) = self.take_in(message) {
                return error;
            }
        }
    }

    /// Takes in what an open stream brings, its end included.
    fn take_in(&mut self, message: Result<Option<X509svidResponse>, GrpcStatus>) -> Result<(), FetchError> {
        let judged = match message {
            Ok(Some(message)) => self.judge(message),
            Ok(None) => Err(FetchError::Ended { code: Code::Ok, message: String::new() }),
            Err(status) => {
                Err(FetchError::Ended { code: status.code(), message: status.message().to_owned() })
            }
        };
        let error = match judged {
            Ok(identity) => {
                self.keep(identity);
                return Ok(());
            }
            Err(error) => error,
        };
        // SPIFFE Workload API 4.3: each message is the complete state, so what it does not offer any more is
        // withdrawn, and so is everything when the agent says that there is no identity. A message that cannot
        // be used is discarded and says nothing; neither does an agent that goes away.
        let withdrawn =
            matches!(error, FetchError::Select(_) | FetchError::Ended { code: Code::PermissionDenied, .. });
        self.shared.update(|status| {
            status.identity.take_if(|_| withdrawn);
            status.last = Some(error.clone());
        });
        Err(error)
    }

    /// Tells the owner when an identity's time has come, and drops one whose time is over. Says when to look again: when
    /// its time comes or is over by the clock as it goes now. That clock may be set and machines sleep, so whoever uses
    /// the identity looks for himself, and when signing begins it is looked at anew.
    fn look_at_identity(&self) -> Result<Duration, FetchError> {
        let now = (self.shared.clock)();
        let mut status = self.shared.lock();
        let Some(identity) = &status.identity else { return Ok(UNLIMITED) };
        let Validity { not_before, not_after } = identity.svid.validity();
        match identity.svid.check_valid_at(now) {
            Ok(()) => {
                let was_waiting = status.last.take().is_some();
                drop(status);
                if was_waiting {
                    self.shared.update(|_| {});
                }
                // Valid throughout its last second.
                Ok(seconds(now, not_after.saturating_add(1)))
            }
            Err(error @ SvidError::NotYetValid { .. }) => {
                status.last = Some(FetchError::Svid(error));
                Ok(if status.begun.is_some() { CLOCK_POLL } else { seconds(now, not_before) })
            }
            Err(error) => {
                status.identity = None;
                Err(FetchError::Svid(error))
            }
        }
    }
}

/// The next message of a stream that is open; never, without one.
async fn next(stream: Option<&mut Stream>) -> Result<Option<X509svidResponse>, GrpcStatus> {
    match stream {
        Some(stream) => stream.message().await,
        None => std::future::pending().await,
    }
}

/// From one time to a later one.
fn seconds(now: i64, then: i64) -> Duration {
    Duration::from_secs(u64::try_from(then.saturating_sub(now)).unwrap_or(0)).min(UNLIMITED)
}
