//! What is known of the cluster's pods and TaskRuns, and which of them have to be looked at again.
//!
//! Of a TaskRun that is over no more is kept than what it is found by: most of a cluster's are.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    mem,
    time::Instant,
};

use unixtime::UnixSeconds;

use crate::{
    controller::{
        objects::{Key, Listing, ObjectMetadata, Pod, Progress, WatchedTaskRun, key_of},
        registration::{
            desired::{is_task_run, signs_no_more},
            entry::Subject,
        },
    },
    sources::kubernetes::follow::{Page, Told},
};

/// Whose objects a watch tells: a namespace's, or all.
pub type Scope = Option<String>;

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Pods,
    TaskRuns,
}

/// What is to be looked at, and since when.
pub type Dirty = BTreeMap<Subject, Instant>;

/// What is known of the TaskRun that a pod's owner reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerRun<'a> {
    /// There is none of that name, or the pod names none.
    Missing,
    /// The one of that name is over: no pod gets anything of it any more.
    Over,
    /// The one of that name.
    Known(&'a WatchedTaskRun),
}

/// What is known.
#[derive(Debug, Default)]
pub struct Cache {
    /// Pods that have not ended, by UID.
    pods: HashMap<String, Pod>,
    /// The UIDs of those by the TaskRun that they say they belong to.
    pods_of: HashMap<Key, BTreeSet<String>>,
    /// TaskRuns that are not over, by namespace and name.
    task_runs: HashMap<Key, WatchedTaskRun>,
    /// The same by UID.
    keys: HashMap<String, Key>,
    /// TaskRuns that are over, by namespace and name.
    over: HashMap<Scope, HashSet<Key>>,
    /// What is to be looked at.
    dirty: Dirty,
    /// The lists that have not ended.
    listed: HashMap<(Kind, Scope), Listing>,
    /// What has not been listed yet.
    unlisted: HashSet<(Kind, Scope)>,
}

impl Cache {
    /// Of these scopes, nothing of which is known yet.
    pub fn new(scopes: &[Scope]) -> Self {
        let both = |scope: &Scope| [Kind::Pods, Kind::TaskRuns].map(|kind| (kind, scope.clone()));
        Self { unlisted: scopes.iter().flat_map(both).collect(), ..Self::default() }
    }

    /// Whether all has been listed once. Before that, it says nothing that something is not there.
    pub fn is_whole(&self) -> bool {
        self.unlisted.is_empty()
    }

    /// Takes in what a watch tells of pods, and has told at this time.
    pub fn take_pods(&mut self, scope: &Scope, told: Told<Pod>, at: Instant) {
        match told {
            Told::Listed(page) => {
                let all = self.listed(Kind::Pods, scope, &page, |pod| key_of(&[&pod.metadata.uid]));
                page.objects.into_iter().for_each(|pod| self.put_pod(pod, at));
                let Some(all) = all else { return };
                let is_gone =
                    |pod: &&Pod| is_in(&pod.metadata, scope) && !all.contains(&key_of(&[&pod.metadata.uid]));
                let gone: Vec<String> = self.pods.values().filter(is_gone).map(pod_uid).collect();
                gone.into_iter().for_each(|uid| self.remove_pod(uid, at));
            }
            Told::Changed(pod) => self.put_pod(pod, at),
            Told::Gone(pod) => self.remove_pod(pod.metadata.uid, at),
            Told::Failed(_) => {}
        }
    }

    /// Notes what is on a page of a list; gives all of it when the list ends with it.
    fn listed<T>(
        &mut self,
        kind: Kind,
        scope: &Scope,
        page: &Page<T>,
        key: impl Fn(&T) -> Key,
    ) -> Option<HashSet<Key>> {
        let of = (kind, scope.clone());
        let all = self.listed.entry(of.clone()).or_default().take(page, key)?;
        self.unlisted.remove(&of);
        Some(all)
    }

    fn put_pod(&mut self, pod: Pod, at: Instant) {
        let (uid, pod) = (pod_uid(&pod), pod.without_version());
        if pod.has_ended {
            self.remove_pod(uid, at);
        } else if self.pods.get(&uid) != Some(&pod) {
            self.forget_owner(&uid);
            if let Some(key) = owner(&pod) {
                self.pods_of.entry(key).or_default().insert(uid.clone());
            }
            self.pods.insert(uid.clone(), pod);
            self.mark(Subject::Pod(uid), at);
        }
    }

    fn remove_pod(&mut self, uid: String, at: Instant) {
        self.forget_owner(&uid);
        if self.pods.remove(&uid).is_some() {
            self.mark(Subject::Pod(uid), at);
        }
    }

    fn forget_owner(&mut self, uid: &str) {
        let Some(key) = self.pods.get(uid).and_then(owner) else { return };
        let Some(pods) = self.pods_of.get_mut(&key) else { return };
        pods.remove(uid);
        if pods.is_empty() {
            self.pods_of.remove(&key);
        }
    }

    /// Takes in what a watch tells of TaskRuns, and has told at this time.
    pub fn take_task_runs(
        &mut self,
        scope: &Scope,
        told: Told<WatchedTaskRun>,
        at: Instant,
        now: UnixSeconds,
    ) {
        match told {
            Told::Listed(page) => {
                let all = self.listed(Kind::TaskRuns, scope, &page, |run| run_key(&run.metadata));
                page.objects.into_iter().for_each(|run| self.put_task_run(scope, run, at, now));
                let Some(all) = all else { return };
                let is_gone =
                    |(key, run): &(&Key, &WatchedTaskRun)| is_in(&run.metadata, scope) && !all.contains(*key);
                let mut gone: Vec<Key> = self.task_runs.iter().filter(is_gone).map(|(key, _)| *key).collect();
                let over = self.over.get(scope).into_iter().flatten();
                gone.extend(over.filter(|key| !all.contains(*key)));
                gone.into_iter().for_each(|key| self.remove_task_run(scope, key, at));
            }
            Told::Changed(run) => self.put_task_run(scope, run, at, now),
            Told::Gone(run) => self.remove_task_run(scope, run_key(&run.metadata), at),
            Told::Failed(_) => {}
        }
    }

    fn put_task_run(&mut self, scope: &Scope, run: WatchedTaskRun, at: Instant, now: UnixSeconds) {
        let (key, run) = (run_key(&run.metadata), run.without_version());
        let over = self.over.entry(scope.clone()).or_default();
        if signs_no_more(&run, now) {
            if over.insert(key) {
                self.forget_task_run(key, at);
            }
        } else if self.task_runs.get(&key) != Some(&run) {
            over.remove(&key);
            self.forget_task_run(key, at);
            let uid = run.metadata.uid.clone();
            self.keys.insert(uid.clone(), key);
            self.mark(Subject::TaskRun(uid), at);
            self.task_runs.insert(key, run);
        }
    }

    fn remove_task_run(&mut self, scope: &Scope, key: Key, at: Instant) {
        if let Some(over) = self.over.get_mut(scope) {
            over.remove(&key);
        }
        self.forget_task_run(key, at);
    }

    /// What is known of a TaskRun is so no longer: it and the pods that say that they belong to it are to be looked at.
    fn forget_task_run(&mut self, key: Key, at: Instant) {
        if let Some(run) = self.task_runs.remove(&key) {
            self.keys.remove(&run.metadata.uid);
            self.mark(Subject::TaskRun(run.metadata.uid), at);
        }
        let pods: Vec<String> = self.pods_of.get(&key).into_iter().flatten().cloned().collect();
        self.look_again(pods.into_iter().map(|uid| (Subject::Pod(uid), at)));
    }

    /// Of TaskRuns that are over by now no more is kept than that.
    pub fn forget_over(&mut self, at: Instant, now: UnixSeconds) {
        let is_over = |(_, run): &(&Key, &WatchedTaskRun)| signs_no_more(run, now);
        let over: Vec<(Key, Scope)> = self
            .task_runs
            .iter()
            .filter(is_over)
            .map(|(key, run)| (*key, self.scope_of(&run.metadata)))
            .collect();
        for (key, scope) in over {
            self.over.entry(scope).or_default().insert(key);
            self.forget_task_run(key, at);
        }
    }

    /// The scope that tells of an object: either there is one for all namespaces, or each has its own.
    fn scope_of(&self, metadata: &ObjectMetadata) -> Scope {
        let own = Some(metadata.namespace.clone());
        if self.over.contains_key(&own) { own } else { None }
    }

    /// A pod that has not ended, and the TaskRun that its owner reference names.
    pub fn pod(&self, uid: &str) -> Option<(&Pod, OwnerRun<'_>)> {
        let pod = self.pods.get(uid)?;
        let Some(key) = owner(pod) else { return Some((pod, OwnerRun::Missing)) };
        let is_over = || self.over.values().any(|over| over.contains(&key));
        let run = match self.task_runs.get(&key) {
            Some(run) => OwnerRun::Known(run),
            None if is_over() => OwnerRun::Over,
            None => OwnerRun::Missing,
        };
        Some((pod, run))
    }

    /// A TaskRun that is not over.
    pub fn task_run(&self, uid: &str) -> Option<&WatchedTaskRun> {
        self.task_runs.get(self.keys.get(uid)?)
    }

    /// The number of those that are to be looked at.
    pub fn backlog(&self) -> usize {
        self.dirty.len()
    }

    /// One is to be looked at, and has been since this time if not for longer.
    fn mark(&mut self, subject: Subject, at: Instant) {
        self.dirty.entry(subject).or_insert(at);
    }

    /// What is to be looked at, which it is not afterwards.
    pub fn take_dirty(&mut self) -> Dirty {
        mem::take(&mut self.dirty)
    }

    /// Nothing is to be looked at: who begins to act looks at all.
    pub fn discard_dirty(&mut self) {
        self.dirty.clear();
    }

    /// These are to be looked at again.
    pub fn look_again(&mut self, subjects: impl IntoIterator<Item = (Subject, Instant)>) {
        subjects.into_iter().for_each(|(subject, at)| self.mark(subject, at));
    }

    /// All that has not ended is to be looked at again.
    pub fn look_at_all(&mut self, at: Instant) {
        let running = self.task_runs.values().filter(|run| run.progress == Progress::Running);
        let running = running.map(|run| Subject::TaskRun(run.metadata.uid.clone()));
        let all: Vec<Subject> = self.pods.keys().cloned().map(Subject::Pod).chain(running).collect();
        self.look_again(all.into_iter().map(|subject| (subject, at)));
    }
}

fn pod_uid(pod: &Pod) -> String {
    pod.metadata.uid.clone()
}

fn run_key(metadata: &ObjectMetadata) -> Key {
    key_of(&[&metadata.namespace, &metadata.name])
}

/// What the TaskRun is found by that a pod says it belongs to.
fn owner(pod: &Pod) -> Option<Key> {
    let owner = pod.owner.as_ref().filter(|owner| is_task_run(owner))?;
    Some(key_of(&[&pod.metadata.namespace, &owner.name]))
}

fn is_in(metadata: &ObjectMetadata, scope: &Scope) -> bool {
    scope.as_ref().is_none_or(|namespace| *namespace == metadata.namespace)
}
