//! What the registrar makes of the SPIRE server's answers. A real server does not fail for single entries at will, nor lose an answer; so
//! these answers are made up. What a real one does with the same calls is in `tests/controller`.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Instant,
};

use serde_json::json;
use svidence::{
    controller::{
        cache::Cache,
        config::Configuration,
        news::News,
        objects::{Pod, WatchedTaskRun},
        registrar::{Registrar, Settled},
        registration::entry::{ClusterTag, sort},
        spire::{
            client::{Entries, EntryOutcome},
            error::SpireError,
            generated::RegistrationEntry,
        },
    },
    sources::kubernetes::follow::Told,
};
use tonic::Code;
use unixtime::UnixSeconds;

const CLUSTER: &str = "0123abcd-4567-4890-8abc-def012345678";
const TAG: &str = "svidence-0123abcd4567";
const NOW: i64 = 1_764_403_200;

/// Entries in memory.
#[derive(Default)]
struct Server {
    entries: RefCell<BTreeMap<String, RegistrationEntry>>,
    /// What part of an ID is not done, and with which status.
    fails: RefCell<Option<(&'static str, Code)>>,
    /// Deletes are done and not answered.
    loses_deletes: Cell<bool>,
    /// IDs that were to be created.
    asked: RefCell<Vec<String>>,
}

impl Server {
    fn outcome(&self, id: &str, done: impl FnOnce() -> EntryOutcome) -> EntryOutcome {
        match *self.fails.borrow() {
            Some((part, code)) if id.contains(part) => {
                EntryOutcome { code, message: "made up".into(), entry: None }
            }
            _ => done(),
        }
    }

    fn put(&self, entry: RegistrationEntry) {
        self.entries.borrow_mut().insert(entry.id.clone(), entry);
    }

    /// The ID of the one whose ID contains this.
    fn id(&self, part: &str) -> String {
        self.entries
            .borrow()
            .keys()
            .find(|id| id.contains(part))
            .unwrap_or_else(|| panic!("no {part}"))
            .clone()
    }
}

fn done(code: Code, entry: Option<RegistrationEntry>) -> EntryOutcome {
    EntryOutcome { code, message: String::new(), entry }
}

impl Entries for Server {
    fn list(&self, hint: &str, each: &mut dyn FnMut(RegistrationEntry)) -> Result<(), SpireError> {
        self.entries.borrow().values().filter(|entry| entry.hint == hint).cloned().for_each(each);
        Ok(())
    }

    fn create(&self, entries: &[RegistrationEntry]) -> Result<Vec<EntryOutcome>, SpireError> {
        let create = |entry: &RegistrationEntry| {
            self.asked.borrow_mut().push(entry.id.clone());
            self.outcome(&entry.id, || {
                let is_like = |known: &&RegistrationEntry| {
                    let mut known = (*known).clone();
                    sort(&mut known);
                    (&known.spiffe_id, &known.parent_id, &known.selectors)
                        == (&entry.spiffe_id, &entry.parent_id, &entry.selectors)
                };
                let known = self.entries.borrow();
                match known.get(&entry.id).or_else(|| known.values().find(is_like)).cloned() {
                    Some(known) => done(Code::AlreadyExists, Some(known)),
                    None => {
                        drop(known);
                        self.put(entry.clone());
                        done(Code::Ok, Some(entry.clone()))
                    }
                }
            })
        };
        Ok(entries.iter().map(create).collect())
    }

    fn update(&self, entries: &[RegistrationEntry]) -> Result<Vec<EntryOutcome>, SpireError> {
        let update = |entry: &RegistrationEntry| {
            self.outcome(&entry.id, || match self.entries.borrow_mut().get_mut(&entry.id) {
                Some(known) => {
                    *known = entry.clone();
                    done(Code::Ok, None)
                }
                None => done(Code::NotFound, None),
            })
        };
        Ok(entries.iter().map(update).collect())
    }

    fn delete(&self, ids: &[String]) -> Result<Vec<EntryOutcome>, SpireError> {
        let delete = |id: &String| {
            self.outcome(id, || match self.entries.borrow_mut().remove(id) {
                Some(_) => done(Code::Ok, None),
                None => done(Code::NotFound, None),
            })
        };
        let outcomes = ids.iter().map(delete).collect();
        match self.loses_deletes.get() {
            true => Err(SpireError::TimedOut { seconds: 30 }),
            false => Ok(outcomes),
        }
    }
}

/// A cluster with runs, whose entries are kept.
struct World {
    server: Server,
    registrar: Registrar,
    cache: Cache,
}

impl World {
    fn new() -> Self {
        let mut cache = Cache::new(&[None]);
        cache.take_pods(&None, Told::all(Vec::new()), Instant::now());
        cache.take_task_runs(&None, Told::all(Vec::new()), Instant::now(), UnixSeconds::new(NOW));
        Self { server: Server::default(), registrar: Registrar::new(ClusterTag::of(CLUSTER).unwrap()), cache }
    }

    /// A run with this number whose pod is on a node.
    fn run(&mut self, number: u32, phase: &str) {
        let (name, run) = (format!("run-{number}"), format!("11111111-2222-4333-8444-{number:012}"));
        let task_run: WatchedTaskRun = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "builds", "uid": run},
            "status": {"podName": format!("{name}-pod")},
        }))
        .unwrap();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": format!("{name}-pod"), "namespace": "builds", "uid": format!("aaaaaaaa-bbbb-4ccc-8ddd-{number:012}"),
                "labels": {"tekton.dev/taskRun": name, "tekton.dev/taskRunUID": run},
                "ownerReferences": [
                    {"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": name, "uid": run, "controller": true},
                ],
            },
            "spec": {
                "nodeName": "node-1", "serviceAccountName": "builder",
                "containers": [{"name": "step-a"}, {"name": "step-b"}],
            },
            "status": {"phase": phase},
        }))
        .unwrap();
        self.cache.take_task_runs(&None, Told::Changed(task_run), Instant::now(), UnixSeconds::new(NOW));
        self.cache.take_pods(&None, Told::Changed(pod), Instant::now());
    }

    fn compare(&mut self) -> Vec<News> {
        self.registrar.compare(&self.server, &mut self.cache, UnixSeconds::new(NOW)).unwrap()
    }

    fn settle(&mut self) -> (Vec<News>, Result<Settled, SpireError>) {
        let configuration = Configuration::default();
        self.registrar.settle(&self.server, &mut self.cache, &configuration, UnixSeconds::new(NOW))
    }

    /// How many of the news say that something is registered, and that something is in the way of it.
    fn round(&mut self, case: &str) -> (usize, usize) {
        let (news, result) = self.settle();
        assert_eq!(result, Ok(Settled::Done), "{case}");
        counted(&news)
    }
}

fn counted(news: &[News]) -> (usize, usize) {
    let count = |is: fn(&&News) -> bool| news.iter().filter(is).count();
    (
        count(|news| matches!(news, News::Registered { .. })),
        count(|news| matches!(news, News::Obstructed { .. })),
    )
}

#[test]
fn what_fails_for_one_entry_is_tried_again_and_registered_only_then() {
    for (case, part, code) in [
        ("a step", "step-b", Code::Internal),
        ("the alias of the node", ".node.", Code::Unavailable),
        ("all", TAG, Code::Internal),
    ] {
        let mut world = World::new();
        assert_eq!(world.compare(), [], "{case}");
        world.run(1, "Running");
        *world.server.fails.borrow_mut() = Some((part, code));
        for round in 0..3 {
            let (news, result) = world.settle();
            assert!(
                matches!(&result, Err(SpireError::Entries { code: found, id, .. }) if *found == code && id.contains(part)),
                "{case}, round {round}: {result:?}"
            );
            assert_eq!(counted(&news), (0, 0), "{case}, round {round}: {news:?}");
            assert!(world.cache.backlog() > 0, "{case}, round {round}");
        }
        *world.server.fails.borrow_mut() = None;
        assert_eq!(world.round(case), (1, 0), "{case}");
        assert_eq!(world.cache.backlog(), 0, "{case}");
        assert_eq!(world.server.entries.borrow().len(), 3, "{case}");
    }
}

#[test]
fn what_cannot_be_deleted_is_tried_again() {
    let mut world = World::new();
    world.compare();
    world.run(1, "Running");
    assert_eq!(world.round("there"), (1, 0));
    world.run(1, "Succeeded");
    *world.server.fails.borrow_mut() = Some(("step-a", Code::Internal));
    assert!(matches!(world.settle().1, Err(SpireError::Entries { what: "delete", count: 1, .. })));
    *world.server.fails.borrow_mut() = None;
    world.round("gone");
    assert_eq!(world.server.entries.borrow().len(), 1, "the alias stays");
}

#[test]
fn an_obstacle_is_told_once_and_until_it_is_gone_nothing_is_registered() {
    let made = |part: &str| {
        let mut world = World::new();
        world.compare();
        world.run(1, "Running");
        world.round("what the server will have");
        let id = world.server.id(part);
        world.server.entries.borrow()[&id].clone()
    };
    let foreign = |part: &str, change: fn(&mut RegistrationEntry)| {
        let mut entry = made(part);
        entry.hint = "theirs".to_owned();
        change(&mut entry);
        Some(entry)
    };
    let cases = [
        ("a step's place", foreign("step-a", |entry| entry.id = "theirs".into()), None),
        ("a step's ID", foreign("step-a", |entry| entry.selectors.clear()), None),
        ("an alias that selects something else", foreign(".node.", |entry| entry.selectors.clear()), None),
        (
            "an alias that has expired",
            foreign(".node.", |entry| (entry.id, entry.expires_at) = ("theirs".into(), NOW - 1)),
            None,
        ),
        ("a step that it calls invalid", None, Some(("step-a", Code::InvalidArgument))),
    ];
    for (case, foreign, fails) in cases {
        let mut world = World::new();
        let id = foreign.as_ref().map(|entry| entry.id.clone());
        foreign.into_iter().for_each(|entry| world.server.put(entry));
        *world.server.fails.borrow_mut() = fails;
        world.run(1, "Running");
        for (round, told) in [1, 0, 0].into_iter().enumerate() {
            world.compare();
            assert_eq!(world.round(case), (0, told), "{case}, round {round}");
            assert!(world.registrar.is_busy(), "{case}: it is looked at again soon");
            assert_eq!(world.cache.backlog(), 0, "{case}: but not at once");
        }
        *world.server.fails.borrow_mut() = None;
        id.map(|id| world.server.entries.borrow_mut().remove(&id));
        world.compare();
        assert_eq!(world.round(case), (1, 0), "{case}: it is gone");
    }
}

#[test]
fn an_alias_that_somebody_else_has_made_serves_and_is_not_asked_for_again() {
    let mut other = World::new();
    other.compare();
    other.run(1, "Running");
    other.round("what the server will have");
    let mut alias = other.server.entries.borrow()[&other.server.id(".node.")].clone();
    (alias.id, alias.hint, alias.expires_at) = ("theirs".into(), String::new(), NOW + 1);
    alias.selectors.reverse();

    let mut world = World::new();
    world.server.put(alias);
    world.compare();
    for number in 1..=3 {
        world.run(number, "Running");
        assert_eq!(world.round("by theirs"), (1, 0), "run {number}");
    }
    let asked = || world.server.asked.borrow().iter().filter(|id| id.contains(".node.")).count();
    assert_eq!(asked(), 1, "asked for again");
    world.compare();
    world.round("by theirs");
    let asked = world.server.asked.borrow().iter().filter(|id| id.contains(".node.")).count();
    assert_eq!(asked, 2, "a comparison asks whether it is still there");
}

#[test]
fn what_is_there_already_is_taken_over_with_another_look() {
    let mut world = World::new();
    world.compare();
    world.run(1, "Running");
    world.round("made");
    // A call that was done, but whose answer was lost, and whose entry somebody has changed.
    let mut registrar = Registrar::new(ClusterTag::of(CLUSTER).unwrap());
    std::mem::swap(&mut registrar, &mut world.registrar);
    let kept = world.server.entries.replace(BTreeMap::new());
    world.compare();
    world.server.entries.replace(kept);
    let id = world.server.id("step-a");
    world.server.entries.borrow_mut().get_mut(&id).unwrap().x509_svid_ttl = 1;
    assert_eq!(world.settle().1, Ok(Settled::Again));
    world.round("mended");
    assert_eq!(world.server.entries.borrow()[&id].x509_svid_ttl, 900);
}

#[test]
fn what_was_deleted_without_an_answer_was_not_deleted_by_somebody_else() {
    let mut world = World::new();
    world.compare();
    world.run(1, "Running");
    world.run(2, "Running");
    assert_eq!(world.round("there"), (2, 0));
    world.run(1, "Succeeded");
    world.server.loses_deletes.set(true);
    assert_eq!(world.settle().1, Err(SpireError::TimedOut { seconds: 30 }));
    world.server.loses_deletes.set(false);
    assert_eq!(world.compare(), [], "deleted for us");
    world.round("agreed");
    // And what is.
    let id = world.server.id("step-a");
    world.server.entries.borrow_mut().remove(&id);
    assert_eq!(world.compare(), [News::Vanished { entries: 1 }]);
    world.round("made again");
    assert_eq!(world.server.entries.borrow().len(), 3);
}
