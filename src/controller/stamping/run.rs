//! The loop that has runs time-stamped: first those whose certificates expire first, one token after the other, until all have theirs, or
//! their certificates have expired.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel},
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
        stamping::{
            due::{Due, is_too_late},
            places::Places,
            queue::{MOST_ATTEMPTS, Queue, Work},
            trusted::Trusted,
        },
    },
    http::proxies::Proxies,
    sources::{
        kubernetes::{
            PatchedPart,
            by_name::{Changed, RunsByName},
            error::KubernetesError,
            event::Warning,
        },
        run_name::RunName,
    },
    tsa::{
        authority::{AskError, Authority},
        service::Service,
        url::TsaUrl,
    },
    verify::prove::time::ToStamp,
};

/// How long a TSA may take for an answer, and each place to which it sends on.
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
    places: Places,
}

/// What stampers hand over.
#[derive(Debug)]
pub struct HandedOver {
    heard: Receiver<StampingHeard>,
    places: Places,
}

impl Stamper {
    /// A stamper, and what [`run`] takes.
    pub fn new() -> (Self, HandedOver) {
        let (tell, heard) = channel();
        let places = Places::default();
        (Self { tell, places: places.clone() }, HandedOver { heard, places })
    }

    /// Whether it makes sense to look for another run ([`Places::has_room`]).
    pub fn has_room(&self) -> bool {
        self.places.has_room()
    }

    /// Hands a run over; `false` if there is no room for one of its namespace. It never waits.
    pub fn stamp(&self, due: Due) -> bool {
        let has_place = self.places.take(&due.id.namespace);
        if has_place {
            // It ends only with the process.
            let _ = self.tell.send(StampingHeard::Due(Box::new(due)));
        }
        has_place
    }

    /// Says which TSA is to be asked, if any, and which count.
    pub fn configured(&self, url: Option<TsaUrl>, trusted: Trusted) {
        let _ = self.tell.send(StampingHeard::Configured(url, Box::new(trusted)));
    }
}

/// What the loop works with.
pub struct StampingSurroundings {
    /// What comes in.
    pub handed_over: HandedOver,
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
        trusted: Trusted::default(),
        queue: Queue::default(),
        failures: 0,
        bad_answers: 0,
    };
    loop {
        stamping.surroundings.metrics.to_stamp(stamping.queue.len());
        let heard = &stamping.surroundings.handed_over.heard;
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
            next = stamping.surroundings.handed_over.heard.try_recv().ok();
        }
        stamping.stamp_next(Instant::now());
    }
}

struct Stamping {
    surroundings: StampingSurroundings,
    authority: Option<Authority>,
    trusted: Trusted,
    queue: Queue,
    /// Of the TSA's, in a row.
    failures: u32,
    /// Of its answers that prove nothing, in a row.
    bad_answers: u32,
}

/// Why there is no token.
enum Fault {
    /// The TSA gave no answer.
    Tsa(AskError),
    /// What it answers proves nothing.
    Answer(String),
    /// A certificate has expired meanwhile.
    Expired,
}

/// Why tokens are not stored.
enum NotStored {
    /// The API server says so.
    Error(KubernetesError),
    /// It says that the run is another one, or has changed meanwhile.
    Other,
}

impl NotStored {
    /// Whether others need not wait.
    fn is_about_run(&self) -> bool {
        match self {
            Self::Error(error) => error.is_about_object(),
            Self::Other => true,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Error(error) => error.code(),
            Self::Other => "conflict",
        }
    }
}

impl std::fmt::Display for NotStored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Other => {
                f.write_str("the API server says that there is another run of that name, or that it changes all the time (409)")
            }
        }
    }
}

/// A token for a step, in base64, checked at `now` after it has come.
fn fetch(authority: &Authority, step: &ToStamp, now: fn() -> UnixSeconds) -> Result<String, Fault> {
    let bad = |error: &dyn std::fmt::Display| Fault::Answer(format!("step {}: {error}", step.step));
    let (_, token) = authority.ask(&step.attestation, &SystemRandom::new()).map_err(|error| match error {
        AskError::Answer(error) => bad(&error),
        AskError::Service(_) | AskError::Random => Fault::Tsa(error),
    })?;
    let now = now();
    match step.check_time(&token, now, CLOCK_SKEW) {
        Ok(()) => Ok(STANDARD.encode(token)),
        Err(error) if is_too_late(&error, step.not_after(), now) => Err(Fault::Expired),
        Err(error) => Err(bad(&error)),
    }
}

impl Stamping {
    /// How long there is nothing to do if nothing comes in; `None`: for ever.
    fn wait(&self, at: Instant) -> Option<Duration> {
        let wait = self.queue.wait(at)?;
        match self.surroundings.leadership.is_held(at) {
            true => Some(wait),
            false => Some(wait.max(LOOK_AGAIN)),
        }
    }

    fn take(&mut self, heard: StampingHeard) {
        match heard {
            StampingHeard::Configured(url, trusted) => self.configure(url, *trusted),
            // Judged again, so it is what the run lacks now.
            StampingHeard::Due(due) => {
                let namespace = due.id.namespace.clone();
                if self.authority.is_none() || self.queue.put(*due) {
                    self.give_back(&namespace);
                }
            }
        }
    }

    fn configure(&mut self, url: Option<TsaUrl>, trusted: Trusted) {
        let StampingSurroundings { authorities, proxies, .. } = &self.surroundings;
        let service = |url| Service::new(url, authorities, proxies.clone(), PATIENCE);
        let time_stamps = trusted.time_stamps().clone();
        self.authority = url.map(|url| Authority::new(service(url), None, time_stamps));
        self.queue.begin_again(trusted == self.trusted);
        self.trusted = trusted;
        (self.failures, self.bad_answers) = (0, 0);
        if self.authority.is_none() {
            self.queue.take_all().for_each(|id| self.give_back(&id.namespace));
        }
    }

    fn give_back(&self, namespace: &str) {
        self.surroundings.handed_over.places.give_back(namespace);
    }

    /// Does one thing for the run that comes next, so that others, and the lease, are looked at after each.
    fn stamp_next(&mut self, at: Instant) {
        if !self.surroundings.leadership.is_held(at) {
            return;
        }
        match self.queue.next(at, (self.surroundings.now)()) {
            None => {}
            Some(Work::Ask(due, step)) => self.ask(due, step),
            Some(Work::Store(due)) => self.store(due),
            Some(Work::Expired(due)) => self.expired(&due),
        }
    }

    fn ask(&mut self, due: Due, step: ToStamp) {
        let Some(authority) = &self.authority else { return self.give_back(&due.id.namespace) };
        let fault = match fetch(authority, &step, self.surroundings.now) {
            Ok(token) => {
                (self.failures, self.bad_answers) = (0, 0);
                return self.queue.fetched(due, step, token);
            }
            Err(fault) => fault,
        };
        let (at, id) = (Instant::now(), due.id.clone());
        // An outage is told once: one of a TSA that does not answer when that has lasted.
        let (code, reason, pause, told) = match fault {
            Fault::Expired => return self.expired(&due),
            Fault::Tsa(error) => {
                self.failures = self.failures.saturating_add(1);
                let told = (self.failures == MANY).then_some("TimestampAuthorityUnavailable");
                (error.code(), error.to_string(), self.queue.not_answered(due, step, at), told)
            }
            Fault::Answer(reason) => {
                self.bad_answers = self.bad_answers.saturating_add(1);
                let told = (self.bad_answers == 1).then_some("TimestampAuthorityInvalid");
                // Its advice is for the command line.
                let reason = reason.replace("--tsa-certificate", TIMESTAMP_CERTIFICATES);
                ("bad-answer", reason, self.queue.answered_badly(due, step, at), told)
            }
        };
        self.failed(id, reason.clone(), code, pause);
        if let Some(told) = told {
            let message = format!("no run is time-stamped: {reason}");
            (self.surroundings.say)(StampingSaid::Persists { reason: told, message });
        }
    }

    fn store(&mut self, due: Due) {
        let at = Instant::now();
        // What has no name that Kubernetes admits is not there.
        let Ok(name) = due.id.name.parse() else { return self.give_back(&due.id.namespace) };
        if !self.surroundings.leadership.is_held(at) {
            return self.queue.put_off(due, at, LOOK_AGAIN);
        }
        let run = RunName { kind: due.id.kind, name };
        let patch = due.patch();
        let changed = self.surroundings.runs.patch(&due.id.namespace, &run, PatchedPart::Main, &patch);
        match changed {
            Ok(Changed::Done(_)) => {
                self.queue.server_answered();
                self.give_back(&due.id.namespace);
                let tokens = due.fetched.len();
                self.surroundings.metrics.stamped(&due.id.namespace, tokens);
                (self.surroundings.say)(StampingSaid::Stamped { id: due.id, tokens });
            }
            Ok(Changed::Gone) => {
                self.queue.server_answered();
                self.give_back(&due.id.namespace);
            }
            Ok(Changed::Other) => self.not_stored(due, &NotStored::Other),
            Err(error) => self.not_stored(due, &NotStored::Error(error)),
        }
    }

    fn not_stored(&mut self, due: Due, why: &NotStored) {
        let (at, now) = (Instant::now(), (self.surroundings.now)());
        let (id, expires_after) = (due.id.clone(), due.expires_after);
        let pause = match why.is_about_run() {
            true => self.queue.refused(due, at, now),
            false => self.queue.not_stored(due, at, now),
        };
        match pause {
            Some(pause) => self.failed(id, format!("the tokens cannot be stored: {why}"), why.code(), pause),
            None => {
                self.surroundings.metrics.not_stamped(why.code());
                let when = match expires_after < now {
                    true => format!("until its certificates expired ({expires_after})"),
                    false => format!("in {MOST_ATTEMPTS} attempts, and it is not tried again"),
                };
                self.missed(id, format!("the tokens could not be stored {when}: {why}"));
            }
        }
    }

    fn failed(&self, id: RunId, reason: String, code: &'static str, pause: Duration) {
        self.surroundings.metrics.not_stamped(code);
        (self.surroundings.say)(StampingSaid::Failed { id, reason, code, pause });
    }

    fn expired(&self, due: &Due) {
        let reason = format!(
            "its certificates have expired ({}) before there was a time stamp: from now on its time is unproven",
            due.expires_after
        );
        self.missed(due.id.clone(), reason);
    }

    /// It gets no tokens any more, and gives its place back.
    fn missed(&self, id: RunId, reason: String) {
        self.give_back(&id.namespace);
        self.surroundings.metrics.missed(&id.namespace);
        let about = id.about();
        let (at, message) = ((self.surroundings.now)(), reason.clone());
        // It is in the log, too; a flood of them must not hold up anything.
        let _ = self.surroundings.warnings.try_send(Warning { about, reason: "NotTimestamped", message, at });
        (self.surroundings.say)(StampingSaid::Missed { id, reason });
    }
}
