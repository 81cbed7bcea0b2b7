//! Keeps the SPIRE server's entries like those that there should be.
//!
//! It always goes from what should be to what there is, so that whatever was interrupted, by a crash, an outage or somebody else, is mended
//! by doing the same again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use tonic::Code;

use crate::controller::{
    cache::Cache,
    config::{Configuration, Registration},
    objects::Pod,
    registration::{
        desired::{Desired, Refusal, entries},
        difference::{Difference, Present, entries_of},
        entry::{ClusterTag, Entry, EntryId, sort},
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
    /// A pod has its entries.
    Registered {
        /// The pod.
        pod: Box<Pod>,
        /// Their number.
        entries: usize,
    },
    /// Entries were taken away.
    Removed {
        /// How many.
        entries: usize,
    },
    /// A pod gets no entries.
    Refused {
        /// The pod.
        pod: Box<Pod>,
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

/// A pod that was refused, when first, and whether that was told.
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
    refused: HashMap<String, Refused>,
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

    /// Everything is to be listed: another server, or another trust domain.
    pub fn forget(&mut self) {
        self.present = None;
    }

    /// Looks at what the SPIRE server really has, and notes that every pod is to be looked at.
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
        cache.look_at_all();
        cache.look_again(present.keys().filter_map(|id| self.tag.pod_of(id)).map(str::to_owned));
        let aliases = present.keys().filter(|id| self.tag.pod_of(id).is_none());
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

    /// Gives the pods that are to be looked at the entries that they should have, and takes from them all others. If that fails, they are
    /// to be looked at again.
    pub fn settle(
        &mut self,
        api: &EntryApi,
        cache: &mut Cache,
        configuration: &Configuration,
        now: i64,
    ) -> (Vec<News>, Result<(), SpireError>) {
        let pods = cache.take_dirty();
        let mut news = Vec::new();
        let (difference, registered) = self.difference(&pods, cache, configuration, now, &mut news);
        if difference.is_empty() {
            return (news, Ok(()));
        }
        let mut again = BTreeSet::new();
        let done = self.apply(api, difference, &mut again, &mut news);
        if done.is_err() {
            again.extend(pods);
        }
        for (pod, entries) in registered {
            let present = self.present.as_ref();
            let is_there = |entry: &&Entry| present.is_some_and(|present| present.contains_key(&entry.id));
            // Not the alias, which may be somebody else's.
            let of_pod: Vec<&Entry> =
                entries.iter().filter(|entry| self.tag.pod_of(&entry.id).is_some()).collect();
            if of_pod.iter().all(is_there) {
                news.push(News::Registered { entries: of_pod.len(), pod: Box::new(pod) });
            }
        }
        cache.look_again(again);
        (news, done)
    }

    /// What has to change for these pods, and which of them get entries for the first time.
    fn difference(
        &mut self,
        pods: &BTreeSet<String>,
        cache: &Cache,
        configuration: &Configuration,
        now: i64,
        news: &mut Vec<News>,
    ) -> (Difference, Vec<(Pod, Vec<Entry>)>) {
        let present = self.present.take().unwrap_or_default();
        let (mut difference, mut registered) = (Difference::default(), Vec::new());
        for uid in pods {
            let is_known = entries_of(uid, &present, &self.tag).next().is_some();
            let is_off = configuration.settings.registration == Registration::Off;
            let Some((pod, task_run)) = cache.look_up(uid).filter(|_| is_known || !is_off) else {
                self.refused.remove(uid);
                difference.add_pod(uid, &[], &present, &self.tag);
                continue;
            };
            let desired = match entries(pod, task_run, configuration, &self.tag, now) {
                Ok(desired) => {
                    self.refused.remove(uid);
                    desired
                }
                Err(refusal) => {
                    news.extend(self.refuse(pod, refusal, now));
                    Desired::Nothing
                }
            };
            let desired = match desired {
                Desired::Entries(entries) => entries,
                Desired::NotYet | Desired::Nothing => Vec::new(),
            };
            let alias = desired.iter().find(|entry| self.tag.pod_of(&entry.id).is_none());
            if let Some(alias) = alias {
                self.aliases.insert(alias.id.clone(), now);
            }
            difference.add_pod(uid, &desired, &present, &self.tag);
            if !is_known && !desired.is_empty() {
                registered.push((pod.clone(), desired));
            }
        }
        let is_old = |(_, needed): &(&EntryId, &i64)| now - **needed >= ALIAS_KEPT;
        let unneeded = self.aliases.iter().filter(is_old).map(|(id, _)| id);
        difference.delete.extend(unneeded.filter(|id| present.contains_key(id)).cloned());
        self.present = Some(present);
        (difference, registered)
    }

    /// Notes that a pod is refused; tells it once, when it has lasted.
    fn refuse(&mut self, pod: &Pod, refusal: Refusal, now: i64) -> Option<News> {
        let fresh = || Refused { since: now, refusal: refusal.clone(), is_told: false };
        let refused = self.refused.entry(pod.metadata.uid.clone()).or_insert_with(fresh);
        if refused.refusal != refusal {
            *refused = fresh();
        }
        let is_due = !refused.is_told && now - refused.since >= REFUSED_FOR;
        refused.is_told |= is_due;
        is_due.then(|| News::Refused { pod: Box::new(pod.clone()), refusal })
    }

    /// Changes what has to change, and keeps what has become of it. `again` gets the pods that are to be looked at again.
    fn apply(
        &mut self,
        api: &EntryApi,
        difference: Difference,
        again: &mut BTreeSet<String>,
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
        again: &mut BTreeSet<String>,
        news: &mut Vec<News>,
    ) {
        let id = EntryId::of(entry);
        match (outcome.code, &outcome.entry) {
            (Code::Ok, _) => self.keep(entry.clone()),
            // It was there, perhaps otherwise: that is seen when the pod is looked at again.
            (Code::AlreadyExists, Some(known)) if known.id == entry.id && self.tag.is_ours(known) => {
                self.keep(known.clone());
                again.extend(self.tag.pod_of(&id).map(str::to_owned));
            }
            // A node may have its alias from somebody else, which serves as well.
            (Code::AlreadyExists, Some(_)) if self.tag.pod_of(&id).is_none() => {}
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
        again: &mut BTreeSet<String>,
        news: &mut Vec<News>,
    ) {
        let id = EntryId::of(entry);
        match outcome.code {
            Code::Ok => self.keep(entry.clone()),
            Code::NotFound => {
                self.present.as_mut().map(|present| present.remove(&id));
                again.extend(self.tag.pod_of(&id).map(str::to_owned));
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
