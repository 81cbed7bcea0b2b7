//! The loop that judges: what the watches tell comes in, and every run that has ended gets its verdict, one after the other.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};

use unixtime::UnixSeconds;

use crate::{
    controller::{
        cache::Scope,
        config::Configuration,
        identity::{Own, OwnIdentity},
        judging::{
            authorities::{Authorities, AuthoritiesError},
            backlog::{Backlog, Open},
            ended::EndedRun,
            judge::{CLOCK_SKEW, Found, judge},
            note::{NoteOutcome, note},
            run_id::RunId,
            verdict::Judged,
        },
        leading::Leadership,
        metrics::Metrics,
        objects::Seen,
        registrar::pause_after,
        stamping::{due::Due, run::Stamper},
    },
    sources::{
        kubernetes::{by_name::RunsByName, error::KubernetesError, event::Warning, follow::Told},
        run_name::{RunKind, RunName},
    },
    verify::{Policy, Trust, Verdict},
    workload::{bundle::X509Bundle, id::TrustDomain},
};

/// A run that has ended longer ago gets an event only if it is invalid: nobody looks at it any more, and a controller that
/// is new to a cluster finds many.
const TOLD_FOR: Duration = Duration::from_secs(3600);

/// The code of the finding that certificates had expired: it is too late for time stamps (docs/verify.md "Codes").
const UNPROVEN: &str = "time-unproven";
/// Where this controller does not act it looks so often whether it does.
const ACTING_AGAIN: Duration = Duration::from_secs(2);
/// If there is no room for runs that lack time stamps, it is looked again after this time.
const ROOM_AGAIN: Duration = Duration::from_secs(5);

/// What comes in.
#[derive(Debug)]
pub enum JudgingHeard {
    /// Of runs, and when that came.
    Runs(RunKind, Scope, Told<Seen>, Instant),
    /// The configuration that is in force.
    Configured(Box<Configuration>),
    /// The identity or who acts has changed.
    LookAgain,
}

/// What is said of it in the log.
#[derive(Debug)]
pub enum JudgingSaid {
    /// The PipelineRuns cannot be followed.
    NotFollowed(KubernetesError),
    /// A run has its verdict.
    Judged {
        /// The run.
        id: RunId,
        /// The verdict.
        judged: Box<Judged>,
    },
    /// A run could not be judged, or its verdict not noted; it is tried again.
    NotJudged {
        /// The run.
        id: RunId,
        /// Why not.
        error: KubernetesError,
        /// After how long.
        pause: Duration,
    },
    /// Not all authorities are known or kept.
    Authorities(AuthoritiesError),
    /// The controller's own trust domain is not the one that runs are to belong to.
    OtherTrustDomain {
        /// Its own.
        own: String,
        /// The other one.
        configured: String,
    },
}

/// What the loop works with.
pub struct JudgingSurroundings {
    /// What comes in.
    pub heard: Receiver<JudgingHeard>,
    /// The runs of the cluster.
    pub runs: RunsByName,
    /// The controller's own identity, whose trust domain's authorities count.
    pub identity: OwnIdentity,
    /// Whether this controller is the one that acts.
    pub leadership: Leadership,
    /// What is counted.
    pub metrics: Metrics,
    /// Where warnings go that are to be noted as events.
    pub warnings: SyncSender<Warning>,
    /// Where authorities are kept besides in memory.
    pub folder: Option<PathBuf>,
    /// Where runs are handed over that lack time stamps.
    pub stamper: Stamper,
    /// What is to be said in the log.
    pub say: Box<dyn Fn(JudgingSaid) + Send>,
    /// The clock.
    pub now: fn() -> UnixSeconds,
}

/// Judges until nobody tells anything any more.
pub fn run(surroundings: JudgingSurroundings) {
    let mut judging = Judging {
        surroundings,
        backlog: Backlog::default(),
        configuration: None,
        policy: Policy::default(),
        trusted: None,
        failures: 0,
        next_try: Instant::now(),
        acts: false,
    };
    loop {
        judging.surroundings.metrics.to_judge(judging.backlog.count());
        let first = match judging.wait(Instant::now()) {
            None => judging.surroundings.heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => judging.surroundings.heard.recv_timeout(wait),
        };
        let mut next = match first {
            Ok(heard) => Some(heard),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        while let Some(heard) = next {
            judging.take(heard);
            next = judging.surroundings.heard.try_recv().ok();
        }
        let at = Instant::now();
        judging.look_at_leadership(at);
        if !judging.judge_next(at) {
            judging.look_for_time_stamps(at);
        }
    }
}

/// What has become of a run that was to be judged.
enum Done {
    /// It was judged, and has its verdict.
    Noted(Box<Found>, Box<EndedRun>),
    /// The verdict that it had is right.
    Stands(Box<Found>),
    /// It has changed meanwhile.
    Again,
    /// There is nothing to judge.
    Nothing,
    /// This controller may not act any more.
    Stopped,
}

/// The authorities of a trust domain, and the identity that they were seen with last.
struct Trusted {
    trust_domain: TrustDomain,
    authorities: Authorities,
    seen_with: Option<Arc<Own>>,
}

struct Judging {
    surroundings: JudgingSurroundings,
    backlog: Backlog,
    configuration: Option<Box<Configuration>>,
    /// What counts besides the bundle: the time-stamp authorities.
    policy: Policy,
    trusted: Option<Trusted>,
    /// Of the API server's, in a row.
    failures: u32,
    next_try: Instant,
    /// Whether it was the one that acts when that was looked at last.
    acts: bool,
}

impl Judging {
    /// How long there is nothing to do if nothing comes in; `None`: for ever.
    fn wait(&self, at: Instant) -> Option<Duration> {
        if !self.surroundings.leadership.is_held(at) {
            return Some(ACTING_AGAIN);
        }
        let can_judge = self.is_on() && self.own().is_some();
        let room_again = if self.surroundings.stamper.has_room() { Duration::ZERO } else { ROOM_AGAIN };
        let unstamped = (self.is_stamping() && self.backlog.has_unstamped()).then_some(room_again);
        let wait = [self.backlog.wait(at), unstamped].into_iter().flatten().min().filter(|_| can_judge)?;
        Some(wait.max(self.next_try.saturating_duration_since(at)))
    }

    /// Notes whether this controller is the one that acts. It may not have been for a moment that nobody told of.
    fn look_at_leadership(&mut self, at: Instant) {
        let is_held = self.surroundings.leadership.is_held(at);
        if is_held && !self.acts {
            self.backlog.act(at);
        }
        self.acts = is_held;
    }

    fn is_on(&self) -> bool {
        self.configuration.as_ref().is_some_and(|configuration| configuration.settings.judging)
    }

    /// Whether a time-stamp authority is to be asked.
    fn is_stamping(&self) -> bool {
        self.configuration
            .as_ref()
            .is_some_and(|configuration| configuration.settings.timestamp_url.is_some())
    }

    fn own(&self) -> Option<Arc<Own>> {
        let own = self.surroundings.identity.get((self.surroundings.now)()).ok()?;
        let configured = &self.configuration.as_ref()?.shared.trust_domain;
        (own.id.trust_domain() == configured).then_some(own)
    }

    fn take(&mut self, heard: JudgingHeard) {
        match heard {
            JudgingHeard::Runs(kind, scope, told, at) => {
                let acts = self.surroundings.leadership.is_held(at);
                self.backlog.take(kind, &scope, told, acts, at);
            }
            JudgingHeard::Configured(configuration) => {
                let settings = &configuration.settings;
                let trusted = settings.timestamp_certificates.clone();
                self.policy = Policy { time_stamps: trusted.time_stamps().clone(), ..Policy::default() };
                self.surroundings.stamper.configured(settings.timestamp_url.clone(), trusted);
                self.configuration = Some(configuration);
                self.look_at_authorities();
            }
            JudgingHeard::LookAgain => self.look_at_authorities(),
        }
    }

    /// Takes in the authorities that have come with a new identity.
    fn look_at_authorities(&mut self) {
        let now = (self.surroundings.now)();
        let (Some(configuration), Ok(own)) = (&self.configuration, self.surroundings.identity.get(now))
        else {
            return;
        };
        let (trust_domain, configured) = (own.id.trust_domain(), &configuration.shared.trust_domain);
        if trust_domain != configured {
            let (own, configured) = (trust_domain.to_string(), configured.to_string());
            return (self.surroundings.say)(JudgingSaid::OtherTrustDomain { own, configured });
        }
        let folder = &self.surroundings.folder;
        let fresh = || Trusted {
            trust_domain: trust_domain.clone(),
            authorities: Authorities::new(trust_domain.clone(), folder.clone()),
            seen_with: None,
        };
        let known = self.trusted.take().filter(|known| known.trust_domain == *trust_domain);
        let trusted = self.trusted.insert(known.unwrap_or_else(fresh));
        if trusted.seen_with.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &own)) {
            return;
        }
        if let Err(error) = trusted.authorities.see(&own.bundle, now) {
            self.surroundings.metrics.not_judged(error.code());
            (self.surroundings.say)(JudgingSaid::Authorities(error));
        }
        trusted.seen_with = Some(own);
    }

    fn bundle(&self) -> Option<X509Bundle> {
        match self.trusted.as_ref()?.authorities.bundle() {
            Ok(bundle) => Some(bundle),
            Err(error) => {
                self.surroundings.metrics.not_judged(error.code());
                (self.surroundings.say)(JudgingSaid::Authorities(error));
                None
            }
        }
    }

    /// By what runs are judged now.
    fn trust(&mut self, at: Instant, now: UnixSeconds) -> Option<Trust> {
        let Some(bundle) = self.bundle() else {
            self.failures = self.failures.saturating_add(1);
            self.next_try = at + pause_after(self.failures);
            return None;
        };
        Some(Trust { bundle, intermediates: Vec::new(), now, at: None, clock_skew: CLOCK_SKEW })
    }

    fn may_ask(&self, at: Instant) -> bool {
        let is_due = self.is_on() && at >= self.next_try && self.surroundings.leadership.is_held(at);
        is_due && self.own().is_some()
    }

    /// Looks again at a run that lacks time stamps, to hand it over. Its verdict stays.
    fn look_for_time_stamps(&mut self, at: Instant) {
        let is_wanted = self.is_stamping() && self.may_ask(at) && self.surroundings.stamper.has_room();
        if !is_wanted || !self.backlog.has_unstamped() {
            return;
        }
        let now = (self.surroundings.now)();
        let Some(trust) = self.trust(at, now) else { return };
        let Some((not_after, id)) = self.backlog.next_unstamped() else { return };
        if not_after < now {
            return self.missed(&id);
        }
        let Ok(name) = id.name.parse() else { return };
        let run = RunName { kind: id.kind, name };
        let found = judge(&mut self.surroundings.runs, &id, run, &trust, &self.policy);
        let ended = Instant::now();
        self.backlog.took(&id.namespace, ended.saturating_duration_since(at), ended);
        match found {
            Ok(found) => {
                self.failures = 0;
                found.and_then(|found| found.due).into_iter().for_each(|due| self.hand_over(due));
            }
            Err(error) => {
                self.surroundings.metrics.not_stamped(error.code());
                if error.is_about_object() {
                    return self.missed(&id);
                }
                self.failures = self.failures.saturating_add(1);
                self.next_try = ended + pause_after(self.failures);
                self.lacks_time_stamps(not_after, id);
            }
        }
    }

    fn hand_over(&mut self, due: Due) {
        let (id, expires_after) = (due.id.clone(), due.expires_after);
        if self.is_stamping() && !self.surroundings.stamper.stamp(due) {
            self.lacks_time_stamps(expires_after, id);
        }
    }

    fn lacks_time_stamps(&mut self, not_after: UnixSeconds, id: RunId) {
        if let Some(gone) = self.backlog.lacks_time_stamps(not_after, id) {
            self.missed(&gone);
        }
    }

    /// A run gets no time stamps any more: its certificates have expired, too many lack some, or it cannot be read.
    fn missed(&self, id: &RunId) {
        self.surroundings.metrics.missed(&id.namespace);
        let message = "it was not handed over for time stamps in time: its time is unproven once its certificates have expired";
        self.warn_of("NotTimestamped", id, message.to_owned());
    }

    /// Judges the next run; whether one was due.
    fn judge_next(&mut self, at: Instant) -> bool {
        let Some((id, open)) = self.backlog.next(at).filter(|_| self.may_ask(at)) else { return false };
        self.judge_this(at, RunId::clone(&id), &open);
        true
    }

    fn judge_this(&mut self, at: Instant, id: RunId, open: &Open) {
        let now = (self.surroundings.now)();
        let Some(trust) = self.trust(at, now) else { return };
        // What has no name that Kubernetes admits cannot be asked for.
        let Ok(name) = id.name.parse() else { return self.backlog.pass_over(&id) };
        let run = RunName { kind: id.kind, name };
        let began = Instant::now();
        let done = self.judge_one(&id, run, open, trust);
        let ended = Instant::now();
        self.backlog.took(&id.namespace, ended.saturating_duration_since(began), ended);
        match done {
            Ok(Done::Noted(found, ended)) => self.done(id, open, *found, &ended, began),
            Ok(Done::Stands(found)) => self.stands(&id, *found, began, ended),
            Ok(Done::Again) => {
                self.backlog.try_again(&id, ended + pause_after(open.failures.saturating_add(1)));
            }
            Ok(Done::Nothing) => self.backlog.pass_over(&id),
            Ok(Done::Stopped) => return,
            Err(error) => return self.failed(id, open, error),
        }
        self.failures = 0;
    }

    /// Judges a run, and notes its verdict unless the one that it has is right.
    fn judge_one(
        &mut self,
        id: &RunId,
        run: RunName,
        open: &Open,
        mut trust: Trust,
    ) -> Result<Done, KubernetesError> {
        let now = trust.now;
        if let Some(at) = open.may_stand.filter(|at| *at <= now) {
            trust.at = Some(at);
            let then = judge(&mut self.surroundings.runs, id, run.clone(), &trust, &self.policy)?;
            let Some(then) = then else { return Ok(Done::Nothing) };
            if then.stands(at, self.with_condition()) {
                return Ok(Done::Stands(Box::new(then)));
            }
            trust.at = None;
        }
        let found = judge(&mut self.surroundings.runs, id, run.clone(), &trust, &self.policy)?;
        let Some(found) = found else { return Ok(Done::Nothing) };
        // It may have taken long.
        if !self.surroundings.leadership.is_held(Instant::now()) {
            return Ok(Done::Stopped);
        }
        if open.as_noted.is_some_and(|mark| found.is_as(mark)) {
            return Ok(Done::Stands(Box::new(found)));
        }
        Ok(match self.note(id, &run, &found, now)? {
            NoteOutcome::Done(ended) => Done::Noted(Box::new(found), ended),
            NoteOutcome::Changed => Done::Again,
            NoteOutcome::Gone => Done::Nothing,
        })
    }

    fn note(
        &mut self,
        id: &RunId,
        run: &RunName,
        found: &Found,
        now: UnixSeconds,
    ) -> Result<NoteOutcome, KubernetesError> {
        let with_condition = self.with_condition();
        note(&mut self.surroundings.runs, id, run, &found.judged, with_condition, now)
    }

    fn with_condition(&self) -> bool {
        self.configuration.as_ref().is_some_and(|configuration| configuration.settings.condition)
    }

    /// The verdict that a run had is right.
    fn stands(&mut self, id: &RunId, found: Found, began: Instant, at: Instant) {
        let Found { ended, due, .. } = found;
        self.backlog.done(id, &ended, true, began, at);
        // It may be of long ago.
        let now = (self.surroundings.now)();
        if let Some(due) = due.filter(|due| due.expires_after >= now) {
            self.hand_over(due);
        }
    }

    fn done(&mut self, id: RunId, open: &Open, found: Found, ended: &EndedRun, began: Instant) {
        let Found { judged, due, .. } = found;
        let took = open.since.elapsed();
        self.surroundings.metrics.judged(&id.namespace, judged.verdict.as_str(), took);
        self.backlog.done(&id, ended, false, began, Instant::now());
        self.warn(&id, &judged, ended.completed);
        if let Some(due) = due {
            self.hand_over(due);
        } else if self.is_stamping() && judged.finding == Some(UNPROVEN) && id.kind == RunKind::TaskRun {
            self.surroundings.metrics.missed(&id.namespace);
        }
        (self.surroundings.say)(JudgingSaid::Judged { id, judged: Box::new(judged) });
    }

    fn warn(&self, id: &RunId, judged: &Judged, completed: Option<UnixSeconds>) {
        let at = (self.surroundings.now)();
        let is_old = completed.is_some_and(|completed| completed < at - TOLD_FOR);
        let reason = match judged.verdict {
            Verdict::Verified => return,
            Verdict::Invalid => "VerdictInvalid",
            _ if is_old => return,
            Verdict::Weak => "VerdictWeak",
            Verdict::Absent => "VerdictAbsent",
            Verdict::Unchecked => "VerdictUnchecked",
        };
        let message = format!("{}: {}", judged.finding.unwrap_or_default(), judged.words);
        self.warn_of(reason, id, message);
    }

    fn warn_of(&self, reason: &'static str, id: &RunId, message: String) {
        let at = (self.surroundings.now)();
        let about = id.about();
        // It is in the log, too; a flood of them must not hold up anything.
        let _ = self.surroundings.warnings.try_send(Warning { about, reason, message, at });
    }

    /// What the API server refuses because of the run itself does not keep others waiting.
    fn failed(&mut self, id: RunId, open: &Open, error: KubernetesError) {
        let (at, pause) = (Instant::now(), pause_after(open.failures.saturating_add(1)));
        self.backlog.try_again(&id, at + pause);
        if !error.is_about_object() {
            self.failures = self.failures.saturating_add(1);
            self.next_try = at + pause_after(self.failures);
        }
        self.surroundings.metrics.not_judged(error.code());
        (self.surroundings.say)(JudgingSaid::NotJudged { id, error, pause });
    }
}
