//! Runs that wait for their tokens: which one comes next, and when it is tried again. No input or output.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use unixtime::UnixSeconds;

use crate::{
    controller::{judging::run_id::RunId, registrar::pause_after, stamping::due::Due},
    verify::prove::time::ToStamp,
};

/// After so many attempts to store its tokens that failed because of the run itself it is given up.
pub const MOST_ATTEMPTS: u32 = 10;

/// What is to be done for a run, which is out of the queue until it is put back.
#[derive(Debug)]
pub enum Work {
    /// A token is to be fetched for this step.
    Ask(Due, ToStamp),
    /// Its tokens are to be stored.
    Store(Due),
    /// Its certificates have expired while it lacked tokens.
    Expired(Due),
}

/// Failures in a row of somebody whom all runs need.
#[derive(Debug, Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    fn failed(&mut self, at: Instant) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let pause = pause_after(self.failures);
        self.until = Some(at + pause);
        pause
    }
}

/// Runs that wait for their tokens.
#[derive(Debug, Default)]
pub struct Queue {
    due: BTreeMap<RunId, Due>,
    /// The TSA's: for runs that lack tokens.
    tsa: Pause,
    /// The API server's: for runs whose tokens are to be stored.
    cluster: Pause,
}

impl Queue {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Takes in a run that was judged, so `due` is what it lacks now. Whether it has waited before.
    pub fn put(&mut self, mut due: Due) -> bool {
        let known = self.due.remove(&due.id);
        let has_waited = known.is_some();
        if let Some(known) = known {
            due.take_over(known);
        }
        self.put_back(due);
        has_waited
    }

    /// Another TSA is asked, or another configuration is in force: nobody has failed yet. `keeps`: whether tokens count that were fetched.
    pub fn begin_again(&mut self, keeps: bool) {
        (self.tsa, self.cluster) = (Pause::default(), Pause::default());
        if !keeps {
            self.due.values_mut().for_each(Due::forget_fetched);
        }
    }

    /// Takes out all.
    pub fn take_all(&mut self) -> impl Iterator<Item = RunId> + use<> {
        std::mem::take(&mut self.due).into_keys()
    }

    /// How long there is nothing to do if nothing comes in; `None`: for ever.
    pub fn wait(&self, at: Instant) -> Option<Duration> {
        let first = self.due.values().map(|due| self.ready(due)).min()?;
        Some(first.saturating_duration_since(at))
    }

    fn ready(&self, due: &Due) -> Instant {
        let pause = if due.is_whole() { &self.cluster } else { &self.tsa };
        pause.until.map_or(due.not_before, |until| due.not_before.max(until))
    }

    /// Takes out the next run: first those that were not tried in vain, of them those whose tokens are only to be stored, and then that
    /// whose certificates expire first.
    pub fn next(&mut self, at: Instant, now: UnixSeconds) -> Option<Work> {
        let ready = self.due.values().filter(|due| self.ready(due) <= at);
        let first = ready.min_by_key(|due| (due.setbacks, !due.is_whole(), due.expires_after))?;
        let id = first.id.clone();
        let mut due = self.due.remove(&id)?;
        Some(match due.expires_after < now {
            true if !due.is_whole() => Work::Expired(due),
            _ => match due.steps.pop() {
                Some(step) => Work::Ask(due, step),
                None => Work::Store(due),
            },
        })
    }

    fn put_back(&mut self, due: Due) {
        self.due.insert(due.id.clone(), due);
    }

    /// There is a token, in base64, for this step.
    pub fn fetched(&mut self, mut due: Due, step: ToStamp, token: String) {
        self.tsa = Pause::default();
        due.fetched.push((step, token));
        self.put_back(due);
    }

    /// The TSA gave no answer. After how long it is asked again.
    pub fn not_answered(&mut self, mut due: Due, step: ToStamp, at: Instant) -> Duration {
        due.steps.push(step);
        self.put_back(due);
        self.tsa.failed(at)
    }

    /// The TSA's answer proves nothing. After how long it is asked again: about another run if there is one, as it may be about this one.
    pub fn answered_badly(&mut self, mut due: Due, step: ToStamp, at: Instant) -> Duration {
        due.setbacks = due.setbacks.saturating_add(1);
        self.not_answered(due, step, at)
    }

    /// The API server has answered.
    pub fn server_answered(&mut self) {
        self.cluster = Pause::default();
    }

    /// Tokens were not stored, for a reason that has nothing to do with this run. After how long that is tried again; `None`: it is given up,
    /// as its certificates have expired.
    pub fn not_stored(&mut self, mut due: Due, at: Instant, now: UnixSeconds) -> Option<Duration> {
        due.setbacks = due.setbacks.saturating_add(1);
        let pause = self.cluster.failed(at);
        let is_kept = now <= due.expires_after;
        if is_kept {
            self.put_back(due);
        }
        is_kept.then_some(pause)
    }

    /// Tokens of this run were refused. After how long that is tried again; `None`: it is given up, as it was refused [`MOST_ATTEMPTS`]
    /// times, or its certificates have expired.
    pub fn refused(&mut self, mut due: Due, at: Instant, now: UnixSeconds) -> Option<Duration> {
        self.server_answered();
        due.failures = due.failures.saturating_add(1);
        due.setbacks = due.setbacks.saturating_add(1);
        if due.failures >= MOST_ATTEMPTS || due.expires_after < now {
            return None;
        }
        let pause = pause_after(due.failures);
        due.not_before = at + pause;
        self.put_back(due);
        Some(pause)
    }

    /// Nothing was tried, as this controller is not the one that acts; it is looked at again after `pause`.
    pub fn put_off(&mut self, mut due: Due, at: Instant, pause: Duration) {
        due.not_before = at + pause;
        self.put_back(due);
    }
}
