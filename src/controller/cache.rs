//! What is known of the cluster's pods and TaskRuns, and which of them have to be looked at again.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    mem,
    time::Instant,
};

use crate::{
    controller::{
        objects::{Metadata, Pod, Progress, TaskRun},
        registration::{desired::is_task_run, entry::Subject},
    },
    sources::kubernetes::follow::Told,
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

/// What is known.
#[derive(Debug, Default)]
pub struct Cache {
    /// Pods that have not ended, by UID.
    pods: HashMap<String, Pod>,
    /// TaskRuns by namespace and name.
    task_runs: HashMap<(String, String), TaskRun>,
    /// Names of TaskRuns by UID.
    names: HashMap<String, (String, String)>,
    /// What is to be looked at.
    dirty: Dirty,
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
            Told::All(all) => {
                let named: HashSet<String> = all.iter().map(|pod| pod.metadata.uid.clone()).collect();
                let is_gone = |pod: &&Pod| is_in(&pod.metadata, scope) && !named.contains(&pod.metadata.uid);
                let gone: Vec<String> = self.pods.values().filter(is_gone).map(pod_uid).collect();
                gone.into_iter().for_each(|uid| self.remove_pod(uid, at));
                all.into_iter().for_each(|pod| self.put_pod(pod, at));
                self.unlisted.remove(&(Kind::Pods, scope.clone()));
            }
            Told::Changed(pod) => self.put_pod(pod, at),
            Told::Gone(pod) => self.remove_pod(pod.metadata.uid, at),
            Told::Failed(_) => {}
        }
    }

    fn put_pod(&mut self, pod: Pod, at: Instant) {
        let (uid, pod) = (pod_uid(&pod), pod.without_version());
        if pod.has_ended {
            self.remove_pod(uid, at);
        } else if self.pods.get(&uid) != Some(&pod) {
            self.pods.insert(uid.clone(), pod);
            self.mark(Subject::Pod(uid), at);
        }
    }

    fn remove_pod(&mut self, uid: String, at: Instant) {
        self.pods.remove(&uid);
        self.mark(Subject::Pod(uid), at);
    }

    /// Takes in what a watch tells of TaskRuns, and has told at this time.
    pub fn take_task_runs(&mut self, scope: &Scope, told: Told<TaskRun>, at: Instant) {
        match told {
            Told::All(all) => {
                let named: HashSet<(String, String)> = all.iter().map(|run| key(&run.metadata)).collect();
                let is_gone =
                    |run: &&TaskRun| is_in(&run.metadata, scope) && !named.contains(&key(&run.metadata));
                let gone: Vec<_> =
                    self.task_runs.values().filter(is_gone).map(|run| key(&run.metadata)).collect();
                gone.iter().for_each(|key| self.remove_task_run(key, at));
                all.into_iter().for_each(|run| self.put_task_run(run, at));
                self.unlisted.remove(&(Kind::TaskRuns, scope.clone()));
            }
            Told::Changed(run) => self.put_task_run(run, at),
            Told::Gone(run) => self.remove_task_run(&key(&run.metadata), at),
            Told::Failed(_) => {}
        }
    }

    fn put_task_run(&mut self, run: TaskRun, at: Instant) {
        let (key, run) = (key(&run.metadata), run.without_version());
        if self.task_runs.get(&key) != Some(&run) {
            self.remove_task_run(&key, at);
            let uid = run.metadata.uid.clone();
            self.names.insert(uid.clone(), key.clone());
            self.mark(Subject::TaskRun(uid), at);
            self.task_runs.insert(key, run);
        }
    }

    fn remove_task_run(&mut self, key: &(String, String), at: Instant) {
        if let Some(run) = self.task_runs.remove(key) {
            self.names.remove(&run.metadata.uid);
            self.mark(Subject::TaskRun(run.metadata.uid), at);
        }
        self.touch(key, at);
    }

    /// The pods that say that they belong to a TaskRun are to be looked at.
    fn touch(&mut self, key: &(String, String), at: Instant) {
        let is_of = |pod: &&Pod| owner(pod).as_ref() == Some(key);
        let pods: Vec<Subject> = self.pods.values().filter(is_of).map(pod_uid).map(Subject::Pod).collect();
        self.look_again(pods.into_iter().map(|pod| (pod, at)));
    }

    /// A pod that has not ended, and the TaskRun that its owner reference names.
    pub fn pod(&self, uid: &str) -> Option<(&Pod, Option<&TaskRun>)> {
        let pod = self.pods.get(uid)?;
        Some((pod, owner(pod).and_then(|key| self.task_runs.get(&key))))
    }

    /// A TaskRun.
    pub fn task_run(&self, uid: &str) -> Option<&TaskRun> {
        self.task_runs.get(self.names.get(uid)?)
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

fn key(metadata: &Metadata) -> (String, String) {
    (metadata.namespace.clone(), metadata.name.clone())
}

/// Namespace and name of the TaskRun that a pod says it belongs to.
fn owner(pod: &Pod) -> Option<(String, String)> {
    let owner = pod.owner.as_ref().filter(|owner| is_task_run(owner))?;
    Some((pod.metadata.namespace.clone(), owner.name.clone()))
}

fn is_in(metadata: &Metadata, scope: &Scope) -> bool {
    scope.as_ref().is_none_or(|namespace| *namespace == metadata.namespace)
}
