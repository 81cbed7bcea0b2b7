//! What the fetcher's thread does: attempt after attempt, and what the stream of one brings (docs/architecture.md 3.1).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tonic::{Code, Status as GrpcStatus};
use unixtime::UnixSeconds;
use x509::Validity;

use super::Shared;
use crate::workload::{
    client::{self, Answer, FetchError, MessageStream},
    generated::X509svidResponse,
    identity::{Accept, Identity, from_message},
    retry::Backoff,
    svid::SvidError,
    watch::Watch,
};

/// How often an identity whose time has not come is looked at while somebody waits for it.
const CLOCK_POLL: Duration = Duration::from_millis(200);
/// Longer than a step runs, and within what timers can do.
const UNLIMITED: Duration = Duration::from_secs(30 * 86400);
/// The agent is asked again by then even if it should push what changes: longer than the pauses between its streams.
const PUSHED_BY: Duration = Duration::from_secs(15);

pub(super) struct Work {
    pub(super) shared: Arc<Shared>,
    pub(super) random: Box<dyn FnMut() -> u64 + Send>,
    pub(super) accept: Accept,
    /// The pauses until signing begins, from then on, and from then on if the agent pushes what changes.
    pub(super) unhurried: Backoff,
    pub(super) hurried: Backoff,
    pub(super) pushed: Backoff,
}

impl Work {
    pub(super) async fn run(mut self) {
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
    async fn follow(&mut self, stream: &mut MessageStream) -> FetchError {
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
                Ok(until(now, not_after + Duration::from_secs(1)))
            }
            Err(error @ SvidError::NotYetValid { .. }) => {
                status.last = Some(FetchError::Svid(error));
                Ok(if status.begun.is_some() { CLOCK_POLL } else { until(now, not_before) })
            }
            Err(error) => {
                status.identity = None;
                Err(FetchError::Svid(error))
            }
        }
    }
}

/// The next message of a stream that is open; never, without one.
async fn next(stream: Option<&mut MessageStream>) -> Result<Option<X509svidResponse>, GrpcStatus> {
    match stream {
        Some(stream) => stream.message().await,
        None => std::future::pending().await,
    }
}

/// From one time to a later one.
fn until(now: UnixSeconds, then: UnixSeconds) -> Duration {
    then.since(now).min(UNLIMITED)
}
