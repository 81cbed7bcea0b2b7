//! Keeps the SPIRE server's entries like those that there should be.
//!
//! It always goes from what should be to what there is, so that whatever was interrupted, by a crash, an outage or somebody else, is mended
//! by doing the same again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use tonic::Code;

use crate::controller::{
    cache::{Cache, Dirty},
    config::{Configuration, Registration},
    objects::Metadata,
    registration::{
        desired::{Desired, Refusal, entries, entries_by_owner},
        difference::{Difference, Present, entries_of},
        entry::{ClusterTag, Entry, EntryId, Subject, sort},
    },
    spire::{
        client::{AT_ONCE, EntryApi, Outcome},
        error::SpireError,
        generated::RegistrationEntry,
    },
};

/// A refusal that lasts so long is told, seconds: before, what is known of the TaskRun may be older than what is known of the pod.
const REFUSED_FOR: i64 = 10;
/// The alias of a node that no pod needs goes after so long, seconds: another pod may need it soon, and an agent learns of a new one only
/// after some seconds.
const ALIAS_KEPT: i64 = 3600;

/// Something to be told.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// A pod or TaskRun has its entries.
    Registered {
        /// Which.
        object: Object,
        /// Since when that was due.
        since: Instant,
        /// Their number.
        entries: usize,
    },
    /// Entries were taken away.
    Removed {
        /// How many.
        entries: usize,
    },
    /// A pod or TaskRun gets no entries.
    Refused {
        /// Which.
        object: Object,
        /// Why.
        refusal: Refusal,
    },
    /// Entries of ours are gone, and we did not delete them.
    Vanished {
        /// How many.
        entries: usize,
    },
    /// The SPIRE server has another entry in the place of one of ours.
    Occupied {
        /// Ours.
        id: String,
        /// Its ID, if it is known.
        by: String,
    },
    /// The SPIRE server does not do it for one entry.
    NotDone {
        /// What.
        what: &'static str,
        /// Which entry.
        id: String,
        /// gRPC status of the entry.
        code: Code,
        /// The server's words.
        message: String,
    },
}

/// A pod or TaskRun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// `Pod` or `TaskRun`.
    pub kind: &'static str,
    /// Its namespace, name and UID.
    pub metadata: Metadata,
    /// The TaskRun that it is or says it belongs to.
    pub task_run: Option<String>,
}

/// What should be, and for which object, if that is there.
type Wanted = (Option<Object>, Result<Desired, Refusal>);

/// What was refused, when first, and whether that was told.
#[derive(Debug)]
struct Refused {
    since: i64,
    refusal: Refusal,
    is_told: bool,
}

/// Keeps entries.
#[derive(Debug)]
pub struct Registrar {
    tag: ClusterTag,
    /// `None`: not known, so they have to be listed.
    present: Option<Present>,
    refused: HashMap<Subject, Refused>,
    /// When the alias of a node was needed last, Unix seconds.
    aliases: BTreeMap<EntryId, i64>,
}

impl Registrar {
    /// For this cluster; nothing is known of the SPIRE server's entries.
    pub fn new(tag: ClusterTag) -> Self {
        Self { tag, present: None, refused: HashMap::new(), aliases: BTreeMap::new() }
    }

    /// Whether there is anything that time alone may change.
    pub fn is_busy(&self) -> bool {
        self.present.as_ref().is_some_and(|present| !present.is_empty()) || !self.refused.is_empty()
    }

    /// The number of entries that the SPIRE server has, as far as is known.
    pub fn entries(&self) -> usize {
        self.present.as_ref().map_or(0, BTreeMap::len)
    }

    /// Everything is to be listed: another server, or another trust domain.
    pub fn forget(&mut self) {
        self.present = None;
    }

    /// Looks at what the SPIRE server really has, and notes that everything is to be looked at.
    pub fn compare(&mut self, api: &EntryApi, cache: &mut Cache, now: i64) -> Result<Vec<News>, SpireError> {
        let listed = api.list(self.tag.hint())?;
        let ours = listed.into_iter().filter(|entry| self.tag.is_ours(entry));
        let present: Present = ours
            .map(|mut entry| {
                sort(&mut entry);
                (EntryId::of(&entry), entry)
            })
            .collect();
        let known = self.present.take().unwrap_or_default();
        // Those that the server has dropped itself, since they have expired, are not missed.
        let is_missed = |(id, entry): &(&EntryId, &RegistrationEntry)| {
            !present.contains_key(*id) && (entry.expires_at == 0 || entry.expires_at > now)
        };
        let vanished = known.iter().filter(is_missed).count();
        let at = Instant::now();
        cache.look_at_all(at);
        cache.look_again(present.keys().filter_map(|id| Some((self.tag.subject_of(id)?, at))));
        let aliases = present.keys().filter(|id| self.tag.subject_of(id).is_none());
        for alias in aliases {
            self.aliases.entry(alias.clone()).or_insert(now);
        }
        self.aliases.retain(|id, _| present.contains_key(id));
        self.present = Some(present);
        Ok((vanished > 0).then_some(News::Vanished { entries: vanished }).into_iter().collect())
    }

    /// Whether the SPIRE server's entries are known.
    pub fn knows_entries(&self) -> bool {
        self.present.is_some()
    }

    /// Gives what is to be looked at the entries that it should have, and takes all others from it. If that fails, it is to be looked at
    /// again.
    pub fn settle(
        &mut self,
        api: &EntryApi,
        cache: &mut Cache,
        configuration: &Configuration,
        now: i64,
    ) -> (Vec<News>, Result<(), SpireError>) {
        let subjects = cache.take_dirty();
        let mut news = Vec::new();
        let (difference, registered) = self.difference(&subjects, cache, configuration, now, &mut news);
        if difference.is_empty() {
            return (news, Ok(()));
        }
        let mut again = BTreeSet::new();
        let done = self.apply(api, difference, &mut again, &mut news);
        let present = self.present.as_ref();
        let is_there = |entry: &Entry| present.is_some_and(|present| present.contains_key(&entry.id));
        for (object, since, entries) in registered {
            // Not the alias, which may be somebody else's.
            let own = entries.iter().filter(|entry| self.tag.subject_of(&entry.id).is_some());
            let (there, missing): (Vec<&Entry>, Vec<&Entry>) = own.partition(|entry| is_there(entry));
            if missing.is_empty() {
                news.push(News::Registered { object, since, entries: there.len() });
            }
        }
        let at = Instant::now();
        let since = |subject: Subject| {
            let since = subjects.get(&subject).copied().unwrap_or(at);
            (subject, since)
        };
        cache.look_again(again.into_iter().map(since));
        if done.is_err() {
            cache.look_again(subjects);
        }
        (news, done)
    }

    /// What has to change for these, and which of them get entries for the first time.
    fn difference(
        &mut self,
        subjects: &Dirty,
        cache: &Cache,
        configuration: &Configuration,
        now: i64,
        news: &mut Vec<News>,
    ) -> (Difference, Vec<(Object, Instant, Vec<Entry>)>) {
        let present = self.present.take().unwrap_or_default();
        let (mut difference, mut registered) = (Difference::default(), Vec::new());
        for (subject, since) in subjects {
            let is_known = entries_of(subject, &present, &self.tag).next().is_some();
            let (object, wanted) = self.wanted(subject, is_known, cache, configuration, now);
            let desired = match (wanted, &object) {
                (Err(refusal), Some(object)) => {
                    news.extend(self.refuse(subject, object, refusal, now));
                    Vec::new()
                }
                (wanted, _) => {
                    self.refused.remove(subject);
                    match wanted {
                        Ok(Desired::Entries(entries)) => entries,
                        _ => Vec::new(),
                    }
                }
            };
            let alias = desired.iter().find(|entry| self.tag.subject_of(&entry.id).is_none());
            if let Some(alias) = alias {
                self.aliases.insert(alias.id.clone(), now);
            }
            difference.add(subject, &desired, &present, &self.tag);
            let object = object.filter(|_| !is_known && !desired.is_empty());
            registered.extend(object.map(|object| (object, *since, desired)));
        }
        let is_old = |(_, needed): &(&EntryId, &i64)| now - **needed >= ALIAS_KEPT;
        let unneeded = self.aliases.iter().filter(is_old).map(|(id, _)| id);
        difference.delete.extend(unneeded.filter(|id| present.contains_key(id)).cloned());
        self.present = Some(present);
        (difference, registered)
    }

    /// What one should have. `is_known`: it has entries already.
    fn wanted(
        &self,
        subject: &Subject,
        is_known: bool,
        cache: &Cache,
        configuration: &Configuration,
        now: i64,
    ) -> Wanted {
        let nothing = (None, Ok(Desired::Nothing));
        match (subject, configuration.settings.registration) {
            (Subject::Pod(uid), way @ (Registration::Pod | Registration::Off)) => {
                let known = cache.pod(uid).filter(|_| is_known || way == Registration::Pod);
                let Some((pod, task_run)) = known else { return nothing };
                let object =
                    Object { kind: "Pod", metadata: pod.metadata.clone(), task_run: pod.task_run.clone() };
                (Some(object), entries(pod, task_run, configuration, &self.tag, now))
            }
            (Subject::TaskRun(uid), way @ (Registration::Owner | Registration::Off)) => {
                let known = cache.task_run(uid).filter(|_| is_known || way == Registration::Owner);
                let Some(task_run) = known else { return nothing };
                let metadata = task_run.metadata.clone();
                let object = Object { kind: "TaskRun", task_run: Some(metadata.name.clone()), metadata };
                (Some(object), entries_by_owner(task_run, configuration, &self.tag, now))
            }
            (Subject::Pod(_), Registration::Owner) | (Subject::TaskRun(_), Registration::Pod) => nothing,
        }
    }

    /// Notes that one is refused; tells it once, when it has lasted.
    fn refuse(&mut self, subject: &Subject, object: &Object, refusal: Refusal, now: i64) -> Option<News> {
        let fresh = || Refused { since: now, refusal: refusal.clone(), is_told: false };
        let refused = self.refused.entry(subject.clone()).or_insert_with(fresh);
        if refused.refusal != refusal {
            *refused = fresh();
        }
        let is_due = !refused.is_told && now - refused.since >= REFUSED_FOR;
        refused.is_told |= is_due;
        is_due.then(|| News::Refused { object: object.clone(), refusal })
    }

    /// Changes what has to change, and keeps what has become of it. `again` gets what is to be looked at again.
    fn apply(
        &mut self,
        api: &EntryApi,
        difference: Difference,
        again: &mut BTreeSet<Subject>,
        news: &mut Vec<News>,
    ) -> Result<(), SpireError> {
        for entries in difference.create.chunks(AT_ONCE) {
            for (entry, outcome) in entries.iter().zip(api.create(entries)?) {
                self.created(entry, outcome, again, news);
            }
        }
        for entries in difference.update.chunks(AT_ONCE) {
            for (entry, outcome) in entries.iter().zip(api.update(entries)?) {
                self.updated(entry, outcome, again, news);
            }
        }
        let ids: Vec<String> = difference.delete.iter().map(ToString::to_string).collect();
        let mut removed = 0;
        for (ids, entries) in ids.chunks(AT_ONCE).zip(difference.delete.chunks(AT_ONCE)) {
            for (id, outcome) in entries.iter().zip(api.delete(ids)?) {
                match outcome.code {
                    Code::Ok | Code::NotFound => {
                        self.present.as_mut().map(|present| present.remove(id));
                        removed += 1;
                    }
                    _ => news.push(not_done("delete", id.to_string(), outcome)),
                }
            }
        }
        news.extend((removed > 0).then_some(News::Removed { entries: removed }));
        Ok(())
    }

    fn created(
        &mut self,
        entry: &RegistrationEntry,
        outcome: Outcome,
        again: &mut BTreeSet<Subject>,
        news: &mut Vec<News>,
    ) {
        let id = EntryId::of(entry);
        match (outcome.code, &outcome.entry) {
            (Code::Ok, _) => self.keep(entry.clone()),
            // It was there, perhaps otherwise: that is seen when it is looked at again.
            (Code::AlreadyExists, Some(known)) if known.id == entry.id && self.tag.is_ours(known) => {
                self.keep(known.clone());
                again.extend(self.tag.subject_of(&id));
            }
            // A node may have its alias from somebody else, which serves as well.
            (Code::AlreadyExists, Some(_)) if self.tag.subject_of(&id).is_none() => {}
            (Code::AlreadyExists, known) => {
                let by = known.as_ref().map(|known| known.id.clone()).unwrap_or_default();
                news.push(News::Occupied { id: entry.id.clone(), by });
            }
            _ => news.push(not_done("create", entry.id.clone(), outcome)),
        }
    }

    fn updated(
        &mut self,
        entry: &RegistrationEntry,
        outcome: Outcome,
        again: &mut BTreeSet<Subject>,
        news: &mut Vec<News>,
    ) {
        let id = EntryId::of(entry);
        match outcome.code {
            Code::Ok => self.keep(entry.clone()),
            Code::NotFound => {
                self.present.as_mut().map(|present| present.remove(&id));
                again.extend(self.tag.subject_of(&id));
            }
            _ => news.push(not_done("update", entry.id.clone(), outcome)),
        }
    }

    fn keep(&mut self, mut entry: RegistrationEntry) {
        sort(&mut entry);
        self.present.get_or_insert_default().insert(EntryId::of(&entry), entry);
    }
}

fn not_done(what: &'static str, id: String, outcome: Outcome) -> News {
    News::NotDone { what, id, code: outcome.code, message: outcome.message }
}

/// The pause after so many failures in a row: half a second, then each twice as long, up to ten seconds, since steps wait for their identity
/// for a minute by default.
pub fn pause_after(failures: u32) -> Duration {
    Duration::from_millis(500 << failures.saturating_sub(1).min(5)).min(Duration::from_secs(10))
}
