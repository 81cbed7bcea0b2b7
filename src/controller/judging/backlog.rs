//! Which runs have ended and have no verdict, or not one on what they are now. Every replica keeps this; the one that acts works it off.
//!
//! Of a run that has its verdict no more is kept than a digest.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use unixtime::UnixSeconds;

use crate::{
    controller::{
        cache::Scope,
        judging::ended::{Ended, Mark},
        objects::{Key, Listing, Seen, key_of},
    },
    sources::{
        kubernetes::follow::{Page, Told},
        run_name::RunKind,
    },
};

/// A run that was judged is judged again after this time at the earliest: what was told of it before its verdict was noted comes later.
const AGAIN: Duration = Duration::from_secs(2);
/// So many PipelineRuns above a run are judged again after it: their owner references may lead round in a circle.
const LEVELS: u8 = 8;

/// Runs that are remembered for having no time stamps: the last ones.
const MOST_UNSTAMPED: usize = 10_000;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId {
    /// What it is of.
    pub kind: RunKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl RunId {
    fn of(kind: RunKind, seen: &Seen) -> Self {
        let metadata = &seen.metadata;
        let (namespace, name, uid) =
            (metadata.namespace.clone(), metadata.name.clone(), metadata.uid.clone());
        Self { kind, namespace, name, uid }
    }

    fn key(&self) -> Key {
        key_of(&[&self.namespace, &self.name, &self.uid])
    }
}

/// A run that is to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    scope: Scope,
    /// Whether it had ended when it was found, so that nobody waits for it.
    is_found: bool,
    /// How many PipelineRuns above it are to be judged again after it: none if there was no verdict on it before.
    above: u8,
    not_before: Instant,
    /// Since when it is to be judged.
    pub since: Instant,
    /// How often that has failed.
    pub failures: u32,
}

/// What is known of one kind in one scope.
#[derive(Debug, Default)]
struct Known {
    is_listed: bool,
    listing: Listing,
    /// Those that have their verdict.
    marks: HashMap<Key, Mark>,
}

/// Which runs are to be judged.
#[derive(Debug, Default)]
pub struct Backlog {
    known: BTreeMap<(RunKind, Scope), Known>,
    open: BTreeMap<RunId, Open>,
    /// Those of [`Backlog::open`] that have just ended, by when they may be judged.
    just_ended: BTreeSet<(Instant, RunId)>,
    /// All others, which come after them.
    found: BTreeSet<(Instant, RunId)>,
    /// TaskRuns whose verdict is believed, and that have no time stamps, by when they say that they ended.
    unstamped: BTreeSet<(Option<UnixSeconds>, RunId)>,
}

impl Backlog {
    /// The number of those that are to be judged.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Takes in what a watch has told at this time. `acts`: whether this replica is the one that judges. It believes a verdict that is there
    /// only of runs that it finds when it starts: on all others it must be its own.
    pub fn take(&mut self, kind: RunKind, scope: &Scope, told: Told<Seen>, acts: bool, at: Instant) {
        match told {
            Told::Listed(page) => self.take_page(kind, scope, page, acts, at),
            Told::Changed(seen) => {
                let id = RunId::of(kind, &seen);
                self.look((id, scope), seen.ended.as_deref(), !acts, false, at);
            }
            Told::Gone(seen) => self.remove(&RunId::of(kind, &seen), scope),
            Told::Failed(_) => {}
        }
    }

    fn take_page(&mut self, kind: RunKind, scope: &Scope, page: Page<Seen>, acts: bool, at: Instant) {
        let known = self.known.entry((kind, scope.clone())).or_default();
        let believes = !acts || !known.is_listed;
        if let Some(listed) = known.listing.take(&page, |seen| RunId::of(kind, seen).key()) {
            known.is_listed = true;
            known.marks.retain(|key, _| listed.contains(key));
            let is_gone = |(id, open): &(&RunId, &Open)| {
                id.kind == kind && open.scope == *scope && !listed.contains(&id.key())
            };
            let gone: Vec<RunId> = self.open.iter().filter(is_gone).map(|(id, _)| id.clone()).collect();
            gone.iter().for_each(|id| drop(self.close(id)));
        }
        for seen in page.objects {
            let id = RunId::of(kind, &seen);
            self.look((id, scope), seen.ended.as_deref(), believes, true, at);
        }
    }

    fn look(
        &mut self,
        (id, scope): (RunId, &Scope),
        ended: Option<&Ended>,
        believes: bool,
        is_found: bool,
        at: Instant,
    ) {
        let Some(ended) = ended else { return self.remove(&id, scope) };
        self.unstamped.remove(&(ended.completed, id.clone()));
        let marks = &mut self.known.entry((id.kind, scope.clone())).or_default().marks;
        let known = marks.get(&id.key());
        if known == Some(&ended.mark) {
            self.close(&id);
        } else if believes && ended.is_noted {
            marks.insert(id.key(), ended.mark);
            self.close(&id);
            if ended.lacks_time_stamps && id.kind == RunKind::TaskRun {
                self.lacks_time_stamps(ended.completed, id);
            }
        } else {
            let not_before = if known.is_some() { at + AGAIN } else { at };
            let above = if known.is_some() || (is_found && ended.has_verdict) { LEVELS } else { 0 };
            let scope = scope.clone();
            self.put(id, Open { scope, is_found, above, not_before, since: at, failures: 0 });
        }
    }

    /// One is to be judged, if it is not already.
    fn put(&mut self, id: RunId, open: Open) {
        if !self.open.contains_key(&id) {
            self.queue(open.is_found).insert((open.not_before, id.clone()));
            self.open.insert(id, open);
        }
    }

    fn queue(&mut self, is_found: bool) -> &mut BTreeSet<(Instant, RunId)> {
        if is_found { &mut self.found } else { &mut self.just_ended }
    }

    fn close(&mut self, id: &RunId) -> Option<Open> {
        let open = self.open.remove(id)?;
        self.queue(open.is_found).remove(&(open.not_before, id.clone()));
        Some(open)
    }

    fn remove(&mut self, id: &RunId, scope: &Scope) {
        self.close(id);
        if let Some(known) = self.known.get_mut(&(id.kind, scope.clone())) {
            known.marks.remove(&id.key());
        }
    }

    /// How long there is nothing to judge if nothing else is told; `None`: for ever.
    pub fn wait(&self, at: Instant) -> Option<Duration> {
        let first = [&self.just_ended, &self.found].into_iter().filter_map(BTreeSet::first);
        first.map(|(not_before, _)| not_before.saturating_duration_since(at)).min()
    }

    /// The next one that may be judged at this time. It stays until it is said what has become of it.
    pub fn next(&self, at: Instant) -> Option<(RunId, Open)> {
        let queues = [&self.just_ended, &self.found].into_iter();
        let (_, id) = queues.filter_map(BTreeSet::first).find(|(not_before, _)| *not_before <= at)?;
        Some((id.clone(), self.open.get(id)?.clone()))
    }

    /// It has its verdict, and is so now. If there was another one on it before, the PipelineRun that it belongs to is
    /// to be judged again.
    pub fn done(&mut self, id: &RunId, now: &Ended, at: Instant) {
        let Some(Open { scope, above, .. }) = self.close(id) else { return };
        self.known.entry((id.kind, scope.clone())).or_default().marks.insert(id.key(), now.mark);
        let (Some((name, uid)), Some(above)) = (now.pipeline_run.clone(), above.checked_sub(1)) else {
            return;
        };
        let pipeline_run = RunId { kind: RunKind::PipelineRun, namespace: id.namespace.clone(), name, uid };
        let known = self.known.entry((pipeline_run.kind, scope.clone())).or_default();
        if known.marks.remove(&pipeline_run.key()).is_some() {
            let (is_found, not_before, since, failures) = (true, at + AGAIN, at, 0);
            self.put(pipeline_run, Open { scope, is_found, above, not_before, since, failures });
        }
    }

    /// A run that has its verdict lacks time stamps. `completed`: when it says that it ended.
    pub fn lacks_time_stamps(&mut self, completed: Option<UnixSeconds>, id: RunId) {
        self.unstamped.insert((completed, id));
        if self.unstamped.len() > MOST_UNSTAMPED {
            self.unstamped.pop_first();
        }
    }

    /// Whether there are runs that lack time stamps.
    pub fn has_unstamped(&self) -> bool {
        !self.unstamped.is_empty()
    }

    /// The one of these that has ended last, if it has ended after `since`. It is forgotten, and so are older ones.
    pub fn next_unstamped(&mut self, since: UnixSeconds) -> Option<RunId> {
        let last = self.unstamped.pop_last();
        match last.filter(|(completed, _)| *completed > Some(since)) {
            Some((_, id)) => Some(id),
            None => {
                self.unstamped.clear();
                None
            }
        }
    }

    /// There is nothing to judge.
    pub fn pass_over(&mut self, id: &RunId) {
        self.close(id);
    }

    /// It is to be tried again at this time.
    pub fn try_again(&mut self, id: &RunId, not_before: Instant) {
        if let Some(open) = self.close(id) {
            let failures = open.failures.saturating_add(1);
            self.put(id.clone(), Open { not_before, failures, ..open });
        }
    }
}
