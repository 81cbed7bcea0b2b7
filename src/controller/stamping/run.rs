//! The loop that has runs time-stamped: first those whose certificates expire first, one after the other, until all have their tokens or
//! their certificates have expired.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::rand::SystemRandom;
use unixtime::UnixSeconds;
use ureq::tls::Certificate;

use crate::{
    controller::{
        config::TIMESTAMP_CERTIFICATES,
        judging::{judge::CLOCK_SKEW, run_id::RunId},
        leading::Leadership,
        metrics::Metrics,
        registrar::pause_after,
        stamping::{due::Due, trusted::Trusted},
    },
    http::proxies::Proxies,
    sources::{
        kubernetes::{
            PatchedPart,
            by_name::{Changed, RunsByName},
            error::KubernetesError,
            event::{About, Warning},
        },
        run_name::RunName,
    },
    tsa::{
        authority::{AskError, Authority},
        service::Service,
        url::TsaUrl,
    },
};

/// Runs that may wait for their tokens in memory; all others are found by their missing tokens.
const MOST: usize = 1000;
/// How long a TSA may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so many failures in a row somebody should look at the TSA.
const MANY: u32 = 5;
/// Where this controller does not act it looks so often whether it does.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What comes in.
#[derive(Debug)]
pub enum StampingHeard {
    /// The TSA that is to be asked, if any, and those that count.
    Configured(Option<TsaUrl>, Box<Trusted>),
    /// A run that lacks tokens.
    Due(Box<Due>),
}

/// What is said of it in the log.
#[derive(Debug)]
pub enum StampingSaid {
    /// A run has its tokens.
    Stamped {
        /// The run.
        id: RunId,
        /// How many are new.
        tokens: usize,
    },
    /// A run does not get tokens any more.
    Missed {
        /// The run.
        id: RunId,
        /// Why not.
        reason: String,
    },
    /// There is no token yet; it is tried again.
    Failed {
        /// The run.
        id: RunId,
        /// Why not.
        reason: String,
        /// The reason's code.
        code: &'static str,
        /// After how long.
        pause: Duration,
    },
    /// Somebody should look at the TSA.
    Persists {
        /// One word for machines.
        reason: &'static str,
        /// For people.
        message: String,
    },
}

/// Where runs are handed over that lack tokens.
#[derive(Debug, Clone)]
pub struct Stamper {
    tell: Sender<StampingHeard>,
    waiting: Arc<AtomicUsize>,
}

/// What a stamper hands over.
#[derive(Debug)]
pub struct Queue {
    heard: Receiver<StampingHeard>,
    waiting: Arc<AtomicUsize>,
}

impl Stamper {
    /// A stamper, and what [`run`] takes.
    pub fn new() -> (Self, Queue) {
        let (tell, heard) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        (Self { tell, waiting: waiting.clone() }, Queue { heard, waiting })
    }

    /// Whether there is room for another run.
    pub fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Acquire) < MOST
    }

    /// Hands a run over; `false` if there is no room. It never waits.
    pub fn stamp(&self, due: Due) -> bool {
        let has_room = self.has_room();
        if has_room {
            self.waiting.fetch_add(1, Ordering::AcqRel);
            // It ends only with the process.
            let _ = self.tell.send(StampingHeard::Due(Box::new(due)));
        }
        has_room
    }

    /// Says which TSA is to be asked, if any, and which count.
    pub fn configured(&self, url: Option<TsaUrl>, trusted: Trusted) {
        let _ = self.tell.send(StampingHeard::Configured(url, Box::new(trusted)));
    }
}

/// What the loop works with.
pub struct StampingSurroundings {
    /// What comes in.
    pub queue: Queue,
    /// The runs of the cluster.
    pub runs: RunsByName,
    /// Who vouches for the web server of a TSA, for https.
    pub authorities: Vec<Certificate<'static>>,
    /// Proxies that may lead to a TSA.
    pub proxies: Proxies,
    /// Whether this controller is the one that acts.
    pub leadership: Leadership,
    /// What is counted.
    pub metrics: Metrics,
    /// Where warnings go that are to be noted as events.
    pub warnings: SyncSender<Warning>,
    /// What is to be said in the log.
    pub say: Box<dyn Fn(StampingSaid) + Send>,
    /// The clock.
    pub now: fn() -> UnixSeconds,
}

/// Has runs time-stamped until nobody tells anything any more.
pub fn run(surroundings: StampingSurroundings) {
    let mut stamping = Stamping {
        surroundings,
        authority: None,
        due: BTreeMap::new(),
        failures: 0,
        bad_answers: 0,
        next_try: Instant::now(),
    };
    loop {
        let waiting = stamping.due.len();
        stamping.surroundings.metrics.to_stamp(waiting);
        let heard = &stamping.surroundings.queue.heard;
        let first = match stamping.wait(Instant::now()) {
            None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => heard.recv_timeout(wait),
        };
        let mut next = match first {
            Ok(heard) => Some(heard),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        while let Some(heard) = next {
            stamping.take(heard);
            next = stamping.surroundings.queue.heard.try_recv().ok();
        }
        stamping.stamp_next(Instant::now());
    }
}

struct Stamping {
    surroundings: StampingSurroundings,
    authority: Option<Authority>,
    due: BTreeMap<RunId, Due>,
    /// Of the TSA's, in a row.
    failures: u32,
    /// Of its answers that prove nothing, in a row.
    bad_answers: u32,
    next_try: Instant,
}

/// Why a run has no tokens yet.
enum Fault {
    /// It would befall all others.
    Tsa(AskError),
    /// What the TSA answers proves nothing.
    Answer(String),
    /// They cannot be stored.
    Cluster(KubernetesError),
}

impl Stamping {
    /// How long there is nothing to do if nothing comes in; `None`: for ever.
    fn wait(&self, at: Instant) -> Option<Duration> {
        let first = self.due.values().map(|due| due.not_before).min()?;
        let wait = first.max(self.next_try).saturating_duration_since(at);
        match self.surroundings.leadership.is_held(at) {
            true => Some(wait),
            false => Some(wait.max(LOOK_AGAIN)),
        }
    }

    fn take(&mut self, heard: StampingHeard) {
        match heard {
            StampingHeard::Configured(url, trusted) => {
                let StampingSurroundings { authorities, proxies, .. } = &self.surroundings;
                let service = |url| Service::new(url, authorities, proxies.clone(), PATIENCE);
                let trusted = trusted.time_stamps().clone();
                self.authority = url.map(|url| Authority::new(service(url), None, trusted));
                (self.failures, self.bad_answers, self.next_try) = (0, 0, Instant::now());
                if self.authority.is_none() {
                    std::mem::take(&mut self.due).into_keys().for_each(|_| self.count_out());
                }
            }
            // Judged again, so it is what the run lacks now.
            StampingHeard::Due(due) => {
                if self.authority.is_none() || self.due.insert(due.id.clone(), *due).is_some() {
                    self.count_out();
                }
            }
        }
    }

    fn count_out(&self) {
        self.surroundings.queue.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Works on the run whose certificates expire first, of those that may be tried.
    fn stamp_next(&mut self, at: Instant) {
        if at < self.next_try || !self.surroundings.leadership.is_held(at) {
            return;
        }
        let ready = self.due.values().filter(|due| due.not_before <= at);
        let Some(id) = ready.min_by_key(|due| due.not_after()).map(|due| due.id.clone()) else { return };
        let Some(mut due) = self.due.remove(&id) else { return };
        // What has all its tokens is only to be stored.
        let now = (self.surroundings.now)();
        if let Some(not_after) = due.not_after().filter(|not_after| *not_after < now) {
            self.count_out();
            return self.missed(&due.id, not_after);
        }
        match self.fetch(&mut due).and_then(|()| self.store(&due)) {
            Ok(is_stored) => {
                (self.failures, self.bad_answers) = (0, 0);
                self.count_out();
                if is_stored {
                    self.surroundings.metrics.stamped(&due.id.namespace, due.fetched);
                    (self.surroundings.say)(StampingSaid::Stamped { id, tokens: due.fetched });
                }
            }
            Err(fault) => self.failed(due, &fault),
        }
    }

    /// Fetches the tokens that a run lacks. Those that it got before a failure are kept.
    fn fetch(&self, due: &mut Due) -> Result<(), Fault> {
        let Some(authority) = &self.authority else { return Ok(()) };
        while let Some(step) = due.steps.last() {
            let (_, token) =
                authority.ask(&step.attestation, &SystemRandom::new()).map_err(|error| match error {
                    AskError::Answer(error) => Fault::Answer(format!("step {}: {error}", step.step)),
                    AskError::Service(_) | AskError::Random => Fault::Tsa(error),
                })?;
            step.check_time(&token, (self.surroundings.now)(), CLOCK_SKEW)
                .map_err(|error| Fault::Answer(format!("step {}: {error}", step.step)))?;
            due.tokens.insert(step.step.clone(), STANDARD.encode(token));
            due.fetched += 1;
            due.steps.pop();
        }
        Ok(())
    }

    /// Stores tokens on the run; whether it is still there.
    fn store(&mut self, due: &Due) -> Result<bool, Fault> {
        // It may have taken long.
        if !self.surroundings.leadership.is_held(Instant::now()) {
            return Ok(false);
        }
        let Ok(name) = due.id.name.parse() else { return Ok(false) };
        let run = RunName { kind: due.id.kind, name };
        let changed = self.surroundings.runs.patch(&due.id.namespace, &run, PatchedPart::Main, &due.patch());
        changed.map(|changed| matches!(changed, Changed::Done(_))).map_err(Fault::Cluster)
    }

    fn failed(&mut self, mut due: Due, fault: &Fault) {
        let at = Instant::now();
        due.failures = due.failures.saturating_add(1);
        let mut pause = pause_after(due.failures);
        let (code, reason) = match fault {
            Fault::Tsa(error) => {
                self.failures = self.failures.saturating_add(1);
                pause = pause_after(self.failures);
                self.next_try = at + pause;
                (error.code(), error.to_string())
            }
            Fault::Answer(reason) => {
                self.bad_answers = self.bad_answers.saturating_add(1);
                due.not_before = at + pause;
                // Its advice is for the command line.
                ("bad-answer", reason.replace("--tsa-certificate", TIMESTAMP_CERTIFICATES))
            }
            Fault::Cluster(error) => {
                due.not_before = at + pause;
                if !error.is_about_object() {
                    self.next_try = at + pause;
                }
                (error.code(), format!("the tokens cannot be stored: {error}"))
            }
        };
        self.surroundings.metrics.not_stamped(code);
        let id = due.id.clone();
        self.due.insert(id.clone(), due);
        (self.surroundings.say)(StampingSaid::Failed { id, reason: reason.clone(), code, pause });
        // Once for each outage: one that does not answer when that has lasted.
        let told = match fault {
            Fault::Tsa(_) if self.failures == MANY => Some("TimestampAuthorityUnavailable"),
            Fault::Answer(_) if self.bad_answers == 1 => Some("TimestampAuthorityInvalid"),
            _ => None,
        };
        if let Some(told) = told {
            let message = format!("no run is time-stamped: {reason}");
            (self.surroundings.say)(StampingSaid::Persists { reason: told, message });
        }
    }

    fn missed(&self, id: &RunId, not_after: UnixSeconds) {
        let reason = format!(
            "its certificates have expired ({not_after}) before there was a time stamp: from now on its time is unproven",
        );
        self.surroundings.metrics.missed(&id.namespace);
        let RunId { namespace, name, uid, .. } = id.clone();
        let about = About { api_version: "tekton.dev/v1", kind: "TaskRun", namespace, name, uid };
        let (at, message) = ((self.surroundings.now)(), reason.clone());
        // It is in the log, too; a flood of them must not hold up anything.
        let _ = self.surroundings.warnings.try_send(Warning { about, reason: "NotTimestamped", message, at });
        (self.surroundings.say)(StampingSaid::Missed { id: id.clone(), reason });
    }
}
