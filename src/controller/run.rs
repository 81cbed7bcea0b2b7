//! The loop: what the cluster and the agent tell comes in, and the SPIRE server's entries are kept like what should be.

mod told;

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender},
    time::{Duration, Instant},
};

use serde_json::Value;
use unixtime::UnixSeconds;

use crate::{
    controller::{
        cache::{Cache, Scope},
        config::Configuration,
        identity::{IdentityError, OwnIdentity},
        judging::run::{JudgingHeard, JudgingSaid},
        leading::{Leadership, Turn},
        log::Log,
        metrics::{Metrics, State},
        news::News,
        objects::{ConfigMap, ObjectMetadata, Pod, WatchedTaskRun},
        place::{EntryPlace, wants_objects},
        registrar::{Registrar, Settled, pause_after},
        registration::entry::ClusterTag,
        spire::{
            client::EntryApi,
            error::{DialError, SpireError},
        },
        stamping,
        static_entries::kept::KeptEntries,
    },
    sources::kubernetes::{error::KubernetesError, event::Warning, follow::Told},
};

/// What comes in.
#[derive(Debug)]
pub enum Change {
    /// Of pods, and when that came.
    Pods(Scope, Told<Pod>, Instant),
    /// Of TaskRuns, and when that came.
    TaskRuns(Scope, Told<WatchedTaskRun>, Instant),
    /// Of the configuration.
    ConfigMap(Told<ConfigMap>),
    /// The controller's own identity is another one, or is gone.
    Identity,
    /// An event could not be noted.
    NotNoted(KubernetesError),
    /// Of the lease.
    Lease(Turn),
    /// Of judging.
    Judging(JudgingSaid),
    /// Of time stamps.
    Stamping(stamping::run::StampingSaid),
    /// The process is to end.
    End,
}

/// What the SPIRE server has is looked at so often as long as it has something: who deletes our entries is found out within this time.
const COMPARED: Duration = Duration::from_secs(15);
/// And so often otherwise.
const COMPARED_IDLE: Duration = Duration::from_secs(300);
/// How long the SPIRE server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The SPIRE agent's first answer may take so long before that is an error: a controller that starts has asked just now.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// What the loop works with.
pub struct Surroundings<'a> {
    /// What comes in.
    pub changes: Receiver<Change>,
    /// Where warnings go that are to be noted as events.
    pub warnings: SyncSender<Warning>,
    /// What whoever judges is to hear.
    pub judging: Sender<JudgingHeard>,
    /// The controller's own identity.
    pub identity: OwnIdentity,
    /// Where entries are kept that spire-controller-manager is to make.
    pub static_entries: KeptEntries,
    /// Whether this controller is the one that acts.
    pub leadership: Leadership,
    /// What is counted.
    pub metrics: Metrics,
    /// Where lines of the log go.
    pub log: Log<'a>,
    /// The clock.
    pub now: fn() -> UnixSeconds,
}

/// Why the loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopEnded {
    /// It was told to.
    Told,
    /// Another controller may act now.
    Lost,
}

/// Keeps entries until it is told to end. What is registered then stays, as steps are still running.
pub fn run(surroundings: Surroundings<'_>, scopes: &[Scope], tag: ClusterTag) -> io::Result<LoopEnded> {
    let mut controller = Controller {
        surroundings,
        cache: Cache::new(scopes),
        registrar: Registrar::new(tag),
        configured: None,
        config_map: None,
        failures: 0,
        unsettled: 0,
        identity_due: Some(Instant::now() + FIRST_ANSWER),
        next_try: Instant::now(),
        next_comparison: Instant::now(),
    };
    controller.surroundings.log.info("the controller has started", &[]);
    loop {
        controller.report();
        let wait = controller.wait();
        let change = match controller.surroundings.changes.recv_timeout(wait) {
            Ok(change) => Some(change),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Change::End),
        };
        // All that has come in is taken in before anything is done: many pods make one call.
        let mut next = change;
        while let Some(change) = next {
            match change {
                Change::End => {
                    controller.surroundings.log.info("the controller ends", &[]);
                    return Ok(LoopEnded::Told);
                }
                Change::Lease(Turn::Lost) => return Ok(LoopEnded::Lost),
                _ => {}
            }
            controller.take(change)?;
            next = controller.surroundings.changes.try_recv().ok();
        }
        controller.settle();
        controller.rest();
    }
}

/// A configuration, and where its entries are kept.
struct Configured {
    configuration: Configuration,
    place: EntryPlace,
}

struct Controller<'a> {
    surroundings: Surroundings<'a>,
    cache: Cache,
    registrar: Registrar,
    /// The last good one.
    configured: Option<Configured>,
    /// What an event about the configuration is about.
    config_map: Option<ObjectMetadata>,
    /// Of the SPIRE server's, in a row.
    failures: u32,
    /// Rounds in a row after which there was more to do at once.
    unsettled: u32,
    /// When the SPIRE agent must have answered; `None` once it was waited for.
    identity_due: Option<Instant>,
    next_try: Instant,
    next_comparison: Instant,
}

impl Controller<'_> {
    /// How long there is nothing to do if nothing comes in.
    fn wait(&self) -> Duration {
        let is_waiting = self.cache.backlog() > 0 || !self.registrar.knows_entries();
        let next = if is_waiting { self.next_try } else { self.next_comparison.max(self.next_try) };
        let at = Instant::now();
        match self.configured.is_some() && self.cache.is_whole() && self.surroundings.leadership.is_held(at) {
            true => next.saturating_duration_since(at),
            false => COMPARED,
        }
    }

    fn take(&mut self, change: Change) -> io::Result<()> {
        match change {
            Change::Pods(_, Told::Failed(error), _) => self.not_followed("pods", &error),
            Change::Pods(scope, told, at) => self.cache.take_pods(&scope, told, at),
            Change::TaskRuns(_, Told::Failed(error), _) => self.not_followed("taskruns", &error),
            Change::TaskRuns(scope, told, at) => {
                self.cache.take_task_runs(&scope, told, at, (self.surroundings.now)());
            }
            Change::ConfigMap(told) => self.configure(told)?,
            // Objects need none, but whoever judges does.
            Change::Identity if self.keeps_objects() => self.tell_judging(JudgingHeard::LookAgain),
            Change::Identity => {
                let own = self.surroundings.identity.get((self.surroundings.now)());
                match own {
                    Ok(own) => {
                        let id = own.id.to_string();
                        self.surroundings
                            .log
                            .info("the controller has an identity", &[("spiffeId", id.into())]);
                    }
                    Err(error) => self.surroundings.log.error(&error.to_string(), &[]),
                }
                self.next_try = Instant::now();
                self.tell_judging(JudgingHeard::LookAgain);
            }
            Change::NotNoted(error) => {
                let text = format!("an event could not be noted: {error}");
                self.surroundings.log.error(&text, &[]);
            }
            Change::Lease(Turn::Failed(error)) => self.not_followed("leases", &error),
            Change::Lease(Turn::Taken) => {
                self.surroundings.log.info("this controller is the one that acts", &[]);
                self.tell_judging(JudgingHeard::LookAgain);
            }
            Change::Judging(said) => self.say(said),
            Change::Stamping(said) => self.say_of_time_stamps(said),
            Change::Lease(Turn::Lost) | Change::End => {}
        }
        Ok(())
    }

    /// Notes how things are.
    fn report(&self) {
        let is_leading = self.surroundings.leadership.is_held(Instant::now());
        let is_informed = self.configured.is_some() && self.cache.is_whole();
        self.surroundings.metrics.state(State {
            entries: self.registrar.entries(),
            backlog: self.cache.backlog(),
            // One that waits for the lease is as ready as it can be.
            is_ready: is_informed && (!is_leading || self.registrar.knows_entries()),
            at: Instant::now(),
        });
    }

    fn tell_judging(&self, heard: JudgingHeard) {
        // It ends only with the process.
        let _ = self.surroundings.judging.send(heard);
    }

    /// The ConfigMap as it is now, if it is there.
    fn config_map_of(&mut self, told: Told<ConfigMap>) -> Option<ConfigMap> {
        const MISSING: &str = "the ConfigMap of the configuration is not there";
        match told {
            Told::Changed(config_map) => return Some(config_map),
            Told::Listed(mut page) if !page.objects.is_empty() => return page.objects.pop(),
            Told::Listed(_) => self.surroundings.log.error(MISSING, &[]),
            Told::Gone(_) => {
                let text = format!("{MISSING} any more; the last good one stays in force");
                self.surroundings.log.error(&text, &[]);
            }
            Told::Failed(error) => self.not_followed("configmaps", &error),
        }
        None
    }

    /// Takes the configuration up, or keeps the last good one.
    fn configure(&mut self, told: Told<ConfigMap>) -> io::Result<()> {
        let Some(ConfigMap { metadata, data }) = self.config_map_of(told) else { return Ok(()) };
        self.config_map = Some(metadata.clone());
        let configuration = match Configuration::from_entries(data) {
            Ok(configuration) => configuration,
            Err(error) => {
                let stays = match self.configured {
                    Some(_) => "the last good configuration stays in force",
                    None => "nothing is registered until it is corrected",
                };
                self.warn_about_config("InvalidConfiguration", format!("{error}; {stays}"));
                return Ok(());
            }
        };
        if self.configured.as_ref().is_some_and(|known| known.configuration == configuration) {
            return Ok(());
        }
        let settings = &configuration.settings;
        let fields: [(&str, Value); 5] = [
            ("trustDomain", configuration.shared.trust_domain.to_string().into()),
            ("server", configuration.shared.server_addr.clone().into()),
            ("registration", settings.registration.as_str().into()),
            ("attest", settings.attest.as_str().into()),
            ("judging", if settings.judging { "on" } else { "off" }.into()),
        ];
        self.surroundings.log.info("the configuration is in force", &fields);
        self.tell_judging(JudgingHeard::Configured(Box::new(configuration.clone())));
        self.configured = Some(self.with_place(configuration)?);
        self.cache.look_at_all(Instant::now());
        self.next_try = Instant::now();
        Ok(())
    }

    fn keeps_objects(&self) -> bool {
        self.configured.as_ref().is_some_and(|configured| configured.place.is_objects())
    }

    /// Where the entries of a configuration are kept: where they are, if it still says so.
    fn with_place(&mut self, configuration: Configuration) -> io::Result<Configured> {
        let of = |configuration: &Configuration| {
            (configuration.shared.server_addr.clone(), configuration.shared.trust_domain.clone())
        };
        let (server, trust_domain) = of(&configuration);
        let is_objects = wants_objects(&configuration, self.keeps_objects());
        let changes_place = is_objects != self.keeps_objects();
        self.surroundings.static_entries.set_class_name(configuration.settings.class_name.clone());
        match self.configured.take() {
            Some(known) if of(&known.configuration) == of(&configuration) && !changes_place => {
                return Ok(Configured { configuration, place: known.place });
            }
            Some(known) if changes_place => self.withdraw(&known.place),
            _ => {}
        }
        self.registrar.forget();
        let Surroundings { identity, now, leadership, .. } = &self.surroundings;
        let (identity, leadership) = (identity.clone(), leadership.clone());
        let place = match is_objects {
            true => EntryPlace::Objects,
            false => {
                let api = EntryApi::new(server, trust_domain, identity, *now, PATIENCE, leadership)?;
                EntryPlace::Server(Box::new(api))
            }
        };
        Ok(Configured { configuration, place })
    }

    /// Takes away what was kept elsewhere, where it would stay for good.
    fn withdraw(&mut self, place: &EntryPlace) {
        if !self.surroundings.leadership.is_held(Instant::now()) {
            return;
        }
        let reason = match self.registrar.withdraw(place.entries(&self.surroundings.static_entries)) {
            Ok((entries, left)) => {
                if entries > 0 {
                    self.tell(News::Removed { entries });
                }
                (left > 0).then(|| format!("{left} were not deleted"))
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = reason {
            let message = format!(
                "what was registered in the former way is left, and nobody deletes it (see \"Another way to register\" in the \
                 documentation of the controller): {reason}"
            );
            self.warn_about_config("EntriesLeft", message);
        }
    }

    /// Does what is due.
    fn settle(&mut self) {
        let Some(configured) = &self.configured else { return };
        let at = Instant::now();
        if !self.cache.is_whole() || at < self.next_try || !self.surroundings.leadership.is_held(at) {
            return;
        }
        let now = (self.surroundings.now)();
        let mut news = Vec::new();
        let Configured { configuration, place } = configured;
        let api = place.entries(&self.surroundings.static_entries);
        let is_due = !self.registrar.knows_entries() || at >= self.next_comparison;
        if is_due {
            match self.registrar.compare(api, &mut self.cache, now) {
                Ok(found) => news.extend(found),
                Err(error) => return self.failed(&error),
            }
        }
        let (done, result) = self.registrar.settle(api, &mut self.cache, configuration, now);
        news.extend(done);
        news.into_iter().for_each(|news| self.tell(news));
        let next = at + if self.registrar.is_busy() { COMPARED } else { COMPARED_IDLE };
        self.next_comparison = if is_due { next } else { self.next_comparison.min(next) };
        match result {
            Ok(Settled::Done) => (self.failures, self.unsettled) = (0, 0),
            Ok(Settled::Again) => {
                (self.failures, self.unsettled) = (0, self.unsettled.saturating_add(1));
                self.next_try = Instant::now() + pause_after(self.unsettled);
            }
            Err(error) => self.failed(&error),
        }
    }

    /// One that does not act collects nothing to do: who begins to act compares, and then looks at all.
    fn rest(&mut self) {
        if self.configured.is_none() || !self.surroundings.leadership.is_held(Instant::now()) {
            self.cache.discard_dirty();
            self.registrar.forget();
        }
    }

    fn failed(&mut self, error: &SpireError) {
        if *error == SpireError::Stopped || self.waits_for_identity(error) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.surroundings.metrics.failed(error.code());
        let pause = pause_after(self.failures);
        self.next_try = Instant::now() + pause;
        let fields = [("code", error.code().into()), ("againInSeconds", pause.as_secs_f64().into())];
        self.surroundings.log.error(&error.to_string(), &fields);
        // Once for each outage, when it has lasted.
        if self.failures == 5 {
            let what = match error {
                SpireError::Entries { .. } => "not all TaskRuns can be registered",
                _ => "no TaskRun can be registered",
            };
            let message = format!("{what}: {error}");
            self.warn_about_config("SpireUnavailable", message);
        }
    }

    /// Whether it is only that the SPIRE agent, who was asked just now, has not answered yet. Its answer ends the waiting.
    fn waits_for_identity(&mut self, error: &SpireError) -> bool {
        let is_not_yet = matches!(error, SpireError::Dial(DialError::NoIdentity(IdentityError::NotYet)));
        let Some(due) = self.identity_due.take().filter(|due| is_not_yet && Instant::now() < *due) else {
            return false;
        };
        self.surroundings.log.info("the controller waits for its identity", &[]);
        self.next_try = due;
        true
    }
}
