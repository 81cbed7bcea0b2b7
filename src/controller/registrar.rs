//! Keeps the SPIRE server's entries like those that there should be.
//!
//! It always goes from what should be to what there is, so that whatever was interrupted, by a crash, an outage or somebody else, is mended
//! by doing the same again.

mod round;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use tonic::Code;
use unixtime::UnixSeconds;

use self::round::Round;
use crate::controller::{
    cache::{Cache, OwnerRun},
    config::{Configuration, Registration},
    news::{News, Object, Obstacle},
    registration::{
        desired::{Desired, RegistrationRefusal, entries, entries_by_owner},
        difference::{Difference, Kept, Present, entries_of},
        entry::{ClusterTag, EntryId, Subject, WantedEntry},
    },
    spire::{
        client::{AT_ONCE, Entries, EntryOutcome},
        error::SpireError,
    },
};

/// A refusal that lasts so long is told: before, what is known of the TaskRun may be older than what is known of the pod.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// The alias of a node that no pod needs goes after so long: another pod may need it soon, and an agent learns of a new one only
/// after some seconds.
const ALIAS_KEPT: Duration = Duration::from_secs(3600);

/// So many pods and TaskRuns are looked at before what they need is done: the entries of thousands would be in memory else.
const LOOKED_AT: usize = 200;

/// What should be, and for which object, if that is there.
type Wanted = (Option<Object>, Result<Desired, RegistrationRefusal>);

/// What was refused, when first, and whether that was told.
#[derive(Debug)]
struct Refused {
    since: UnixSeconds,
    refusal: RegistrationRefusal,
    is_told: bool,
}

/// What a round has come to, if no call has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// All is as it should be, as far as is known.
    Done,
    /// The SPIRE server's entries were not what they were taken for: there is more to do.
    Again,
}

/// Who gets entries for the first time.
struct Newcomer {
    subject: Subject,
    object: Object,
    since: Instant,
    entries: Vec<WantedEntry>,
}

/// Keeps entries.
#[derive(Debug)]
pub struct Registrar {
    tag: ClusterTag,
    /// `None`: not known, so they have to be listed.
    present: Option<Present>,
    refused: HashMap<Subject, Refused>,
    /// When the alias of a node was needed last.
    aliases: BTreeMap<EntryId, UnixSeconds>,
    /// Aliases in whose place there is somebody else's entry that serves as well, and when that expires; `None` for never.
    accepted: BTreeMap<EntryId, Option<UnixSeconds>>,
    /// What lacks some of its first entries.
    incomplete: HashSet<Subject>,
    /// Whose obstacle was told, by the first part of the IDs of its entries.
    obstructed: BTreeSet<EntryId>,
    /// Entries that were to be deleted, without an answer.
    leaving: BTreeSet<EntryId>,
}

impl Registrar {
    /// For this cluster; nothing is known of the SPIRE server's entries.
    pub fn new(tag: ClusterTag) -> Self {
        Self {
            tag,
            present: None,
            refused: HashMap::new(),
            aliases: BTreeMap::new(),
            accepted: BTreeMap::new(),
            incomplete: HashSet::new(),
            obstructed: BTreeSet::new(),
            leaving: BTreeSet::new(),
        }
    }

    /// Whether there is anything that time alone may change.
    pub fn is_busy(&self) -> bool {
        let has_entries = self.present.as_ref().is_some_and(|present| !present.is_empty());
        has_entries || !self.refused.is_empty() || !self.incomplete.is_empty()
    }

    /// The number of entries that the SPIRE server has, as far as is known.
    pub fn entries(&self) -> usize {
        self.present.as_ref().map_or(0, BTreeMap::len)
    }

    /// Everything is to be listed and looked at: another server, another trust domain, or another controller has acted.
    pub fn forget(&mut self) {
        *self = Self::new(self.tag.clone());
    }

    /// Looks at what the SPIRE server really has, and notes that everything is to be looked at.
    pub fn compare(
        &mut self,
        api: &dyn Entries,
        cache: &mut Cache,
        now: UnixSeconds,
    ) -> Result<Vec<News>, SpireError> {
        let mut present = Present::new();
        api.list(self.tag.hint(), &mut |entry| {
            if self.tag.is_ours(&entry) {
                present.insert(EntryId::of(&entry), Kept::of(entry));
            }
        })?;
        let known = self.present.take().unwrap_or_default();
        // Those that the server has dropped itself, since they have expired, are not missed; nor those that it may have deleted for us.
        let is_missed = |(id, entry): &(&EntryId, &Kept)| {
            !present.contains_key(*id) && !self.leaving.contains(*id) && is_valid(entry.expiry, now)
        };
        let vanished = known.iter().filter(is_missed).count();
        let at = Instant::now();
        cache.forget_over(at, now);
        cache.look_at_all(at);
        cache.look_again(present.keys().filter_map(|id| Some((self.tag.subject_of(id)?, at))));
        let aliases = present.keys().filter(|id| self.tag.subject_of(id).is_none());
        for alias in aliases {
            self.aliases.entry(alias.clone()).or_insert(now);
        }
        self.aliases.retain(|id, _| present.contains_key(id));
        self.present = Some(present);
        self.accepted.clear();
        self.leaving.clear();
        let mut news: Vec<News> =
            (vanished > 0).then_some(News::Vanished { entries: vanished }).into_iter().collect();
        news.extend(self.obstructed(api.unserved(), cache));
        Ok(news)
    }

    /// Takes away all entries of ours, since they are kept in another way from now on; gives how many are gone and how many are not.
    pub fn withdraw(&mut self, api: &dyn Entries) -> Result<(usize, usize), SpireError> {
        let mut ids = Vec::new();
        api.list(self.tag.hint(), &mut |entry| ids.extend(self.tag.is_ours(&entry).then_some(entry.id)))?;
        let mut left = 0;
        for ids in ids.chunks(AT_ONCE) {
            let is_left = |outcome: &&EntryOutcome| !matches!(outcome.code, Code::Ok | Code::NotFound);
            left += api.delete(ids)?.iter().filter(is_left).count();
        }
        Ok((ids.len().saturating_sub(left), left))
    }

    /// Whether the SPIRE server's entries are known.
    pub fn knows_entries(&self) -> bool {
        self.present.is_some()
    }

    /// Gives what is to be looked at the entries that it should have, and takes all others from it. If that fails, for all or for some, what
    /// failed is to be looked at again.
    pub fn settle(
        &mut self,
        api: &dyn Entries,
        cache: &mut Cache,
        configuration: &Configuration,
        now: UnixSeconds,
    ) -> (Vec<News>, Result<Settled, SpireError>) {
        let subjects = cache.take_dirty();
        let all: Vec<(&Subject, Instant)> =
            subjects.iter().map(|(subject, since)| (subject, *since)).collect();
        let (mut news, mut round, mut done) = (Vec::new(), Round::default(), Ok(()));
        for part in all.chunks(LOOKED_AT) {
            let (difference, newcomers) = self.difference(part, cache, configuration, now, &mut news);
            done = self.apply(api, &difference, now, &mut round);
            newcomers.into_iter().for_each(|newcomer| news.extend(self.registered(newcomer, now)));
            if done.is_err() {
                break;
            }
        }
        if done.is_ok() {
            let unneeded = Difference::without(self.unneeded_aliases(now));
            done = self.apply(api, &unneeded, now, &mut round);
        }
        news.extend((round.removed > 0).then_some(News::Removed { entries: round.removed }));
        news.extend(self.obstructed(std::mem::take(&mut round.obstacles), cache));
        let is_again = round.is_all_again || !round.again.is_empty();
        if done.is_err() || round.is_all_again {
            cache.look_again(subjects);
        } else {
            let since = |subject: &Subject| subjects.get(subject).copied().unwrap_or_else(Instant::now);
            cache.look_again(round.again.into_iter().map(|subject| {
                let since = since(&subject);
                (subject, since)
            }));
        }
        let result = match (done, round.failed) {
            (Err(error), _) | (Ok(()), Some(error)) => Err(error),
            (Ok(()), None) if is_again => Ok(Settled::Again),
            (Ok(()), None) => Ok(Settled::Done),
        };
        (news, result)
    }

    /// Notes that one has its entries, if it does.
    fn registered(&mut self, newcomer: Newcomer, now: UnixSeconds) -> Option<News> {
        let Newcomer { subject, object, since, entries } = newcomer;
        if !entries.iter().all(|entry| self.is_there(&entry.id, now)) {
            self.incomplete.insert(subject);
            return None;
        }
        self.forget_subject(&subject);
        let own = entries.iter().filter(|entry| self.tag.subject_of(&entry.id).is_some());
        Some(News::Registered { object, since, entries: own.count() })
    }

    fn forget_subject(&mut self, subject: &Subject) {
        self.incomplete.remove(subject);
        self.obstructed.remove(&self.tag.entry(subject, ""));
    }

    /// Whether the SPIRE server has an entry, or for an alias another one that serves.
    fn is_there(&self, id: &EntryId, now: UnixSeconds) -> bool {
        self.is_present(id) || self.is_accepted(id, now)
    }

    fn is_accepted(&self, id: &EntryId, now: UnixSeconds) -> bool {
        self.accepted.get(id).is_some_and(|expiry| is_valid(*expiry, now))
    }

    /// What is to be told of obstacles: each once for whom it is in the way of.
    fn obstructed(&mut self, obstacles: Vec<(EntryId, Obstacle)>, cache: &Cache) -> Vec<News> {
        let mut news = Vec::new();
        for (id, obstacle) in obstacles {
            let subject = self.tag.subject_of(&id);
            let whose = subject.as_ref().map_or_else(|| id.clone(), |subject| self.tag.entry(subject, ""));
            if self.obstructed.insert(whose) {
                let object = subject.and_then(|subject| object(&subject, cache));
                news.push(News::Obstructed { object, id: id.to_string(), obstacle });
            }
        }
        news
    }

    /// What has to change for these, and which of them get entries for the first time.
    fn difference(
        &mut self,
        subjects: &[(&Subject, Instant)],
        cache: &Cache,
        configuration: &Configuration,
        now: UnixSeconds,
        news: &mut Vec<News>,
    ) -> (Difference, Vec<Newcomer>) {
        let present = self.present.take().unwrap_or_default();
        let (mut difference, mut newcomers) = (Difference::default(), Vec::new());
        for &(subject, since) in subjects {
            let is_known = entries_of(subject, &present, &self.tag).next().is_some();
            let (object, wanted) = self.wanted(subject, is_known, cache, configuration, now);
            let mut is_partial = false;
            let desired = match (wanted, &object) {
                (Err(refusal), Some(object)) => {
                    news.extend(self.refuse(subject, object, refusal, now));
                    Vec::new()
                }
                (wanted, _) => {
                    self.refused.remove(subject);
                    match wanted {
                        Ok(Desired::Entries(entries)) => entries,
                        Ok(Desired::SoFar(entries)) => {
                            is_partial = true;
                            entries
                        }
                        _ => Vec::new(),
                    }
                }
            };
            if desired.is_empty() {
                self.forget_subject(subject);
            }
            // It is the first one.
            let alias = desired.first().map(|alias| &alias.id);
            let is_served = alias.is_some_and(|alias| self.is_accepted(alias, now));
            self.aliases.extend(alias.filter(|_| !is_served).map(|alias| (alias.clone(), now)));
            let ours = desired.get(usize::from(is_served)..).unwrap_or_default();
            difference.add(subject, ours, &present, &self.tag);
            let is_new = !desired.is_empty() && (!is_known || self.incomplete.contains(subject));
            // It is one when it has all of them.
            self.incomplete.extend((is_new && is_partial).then(|| subject.clone()));
            newcomers.extend(object.filter(|_| is_new && !is_partial).map(|object| Newcomer {
                subject: subject.clone(),
                object,
                since,
                entries: desired,
            }));
        }
        self.present = Some(present);
        (difference, newcomers)
    }

    /// The aliases that no pod has needed for long.
    fn unneeded_aliases(&self, now: UnixSeconds) -> Vec<EntryId> {
        let is_old = |(_, needed): &(&EntryId, &UnixSeconds)| now.since(**needed) >= ALIAS_KEPT;
        let unneeded = self.aliases.iter().filter(is_old).map(|(id, _)| id);
        unneeded.filter(|id| self.is_present(id)).cloned().collect()
    }

    fn is_present(&self, id: &EntryId) -> bool {
        self.present.as_ref().is_some_and(|present| present.contains_key(id))
    }

    /// What one should have. `is_known`: it has entries already.
    fn wanted(
        &self,
        subject: &Subject,
        is_known: bool,
        cache: &Cache,
        configuration: &Configuration,
        now: UnixSeconds,
    ) -> Wanted {
        let nothing = (None, Ok(Desired::Nothing));
        match (subject, configuration.settings.registration) {
            (
                Subject::Pod(uid),
                way @ (Registration::Pod | Registration::ClusterStaticEntry | Registration::Off),
            ) => {
                let known = cache.pod(uid).filter(|_| is_known || way != Registration::Off);
                let Some((pod, run)) = known else { return nothing };
                let wanted = match run {
                    OwnerRun::Over => Ok(Desired::Nothing),
                    OwnerRun::Missing => entries(pod, None, configuration, &self.tag, now),
                    OwnerRun::Known(run) => entries(pod, Some(run), configuration, &self.tag, now),
                };
                (object(subject, cache), wanted)
            }
            (Subject::TaskRun(uid), way @ (Registration::Owner | Registration::Off)) => {
                let known = cache.task_run(uid).filter(|_| is_known || way == Registration::Owner);
                let Some(task_run) = known else { return nothing };
                (object(subject, cache), entries_by_owner(task_run, configuration, &self.tag, now))
            }
            (Subject::Pod(_), Registration::Owner)
            | (Subject::TaskRun(_), Registration::Pod | Registration::ClusterStaticEntry) => nothing,
        }
    }

    /// Notes that one is refused; tells it once, when it has lasted.
    fn refuse(
        &mut self,
        subject: &Subject,
        object: &Object,
        refusal: RegistrationRefusal,
        now: UnixSeconds,
    ) -> Option<News> {
        let fresh = || Refused { since: now, refusal: refusal.clone(), is_told: false };
        let refused = self.refused.entry(subject.clone()).or_insert_with(fresh);
        if refused.refusal != refusal {
            *refused = fresh();
        }
        let is_due = !refused.is_told && now.since(refused.since) >= REFUSED_FOR;
        refused.is_told |= is_due;
        is_due.then(|| News::Refused { object: object.clone(), refusal })
    }
}

/// Whether an entry that expires then, `None` for never, has not expired.
fn is_valid(expiry: Option<UnixSeconds>, now: UnixSeconds) -> bool {
    expiry.is_none_or(|expiry| expiry > now)
}

/// What entries are for, if it is still there.
fn object(subject: &Subject, cache: &Cache) -> Option<Object> {
    match subject {
        Subject::Pod(uid) => cache.pod(uid).map(|(pod, _)| Object {
            kind: "Pod",
            metadata: pod.metadata.clone(),
            task_run: pod.task_run.clone(),
        }),
        Subject::TaskRun(uid) => cache.task_run(uid).map(|task_run| Object {
            kind: "TaskRun",
            metadata: task_run.metadata.clone(),
            task_run: Some(task_run.metadata.name.clone()),
        }),
    }
}

/// The pause after so many failures in a row: half a second, then each twice as long, up to ten seconds, since steps wait for their identity
/// for a minute by default.
pub fn pause_after(failures: u32) -> Duration {
    Duration::from_millis(500 << failures.saturating_sub(1).min(5)).min(Duration::from_secs(10))
}
