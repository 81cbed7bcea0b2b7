//! Which run gets its tokens next, and which is given up, by a clock that is set by hand: [`crate::time_stamps`] has the same with a real
//! authority and API server, which do not fail at will for all reasons. No input or output.

use std::time::{Duration, Instant};

use svidence::{
    controller::{
        judging::run_id::RunId,
        stamping::{
            due::{Due, is_too_late},
            places::{MOST, MOST_OF_NAMESPACE},
            queue::{MOST_ATTEMPTS, Queue, Work},
            run::Stamper,
        },
    },
    sources::run_name::RunKind,
    tekton::taskrun::TaskRun,
    verify::{
        Policy, Trust,
        prove::time::{OutOfWindow, ToStamp},
        verify,
    },
    workload::{bundle::X509Bundle, id::TrustDomain},
};
use unixtime::UnixSeconds;

use crate::{
    one_step::one_step,
    pki::{Key, Plan},
};

/// When all runs are judged, in Unix seconds.
const NOW: i64 = 1_790_000_000;
/// Longer than any pause.
const LATER: Duration = Duration::from_secs(11);

fn id(namespace: &str, name: &str) -> RunId {
    RunId {
        kind: RunKind::TaskRun,
        namespace: namespace.into(),
        name: name.into(),
        uid: format!("uid-of-{name}"),
    }
}

/// A verified run of one step, whose certificate is valid for so many seconds.
fn due(name: &str, seconds: i64, at: Instant) -> Due {
    let (ca, workload) = (Key::new(1), Key::new(2));
    let root = Plan::ca("ca", "ca", "example.org").issue(&ca, &ca);
    let leaf = Plan::leaf(&format!("spiffe://example.org/ns/default/taskrun/{name}"))
        .with(|leaf| (leaf.start, leaf.end) = (NOW - 60, NOW + seconds))
        .issue(&workload, &ca);
    let (object, _) = one_step(name, NOW - 10, &leaf, &[], workload.pkcs8());
    let trust = Trust {
        bundle: X509Bundle::from_der(TrustDomain::new("example.org").unwrap(), &root).unwrap(),
        intermediates: vec![],
        now: UnixSeconds::new(NOW),
        at: None,
        clock_skew: Duration::from_secs(10),
    };
    let object = TaskRun::from_value(object).unwrap();
    let report = verify(&object, &trust, &Policy::default());
    Due::of(&id("default", name), &object, &report, at).unwrap_or_else(|| panic!("{name}: {report:?}"))
}

/// The same of a step with another name.
fn named(step: &ToStamp, name: &str) -> ToStamp {
    let mut step = step.clone();
    step.step = name.to_owned();
    step
}

/// A queue and its clock.
struct Stamping {
    queue: Queue,
    start: Instant,
    at: Instant,
}

impl Stamping {
    fn of(runs: &[(&str, i64)]) -> Self {
        let at = Instant::now();
        let mut queue = Queue::default();
        for (name, seconds) in runs {
            assert!(!queue.put(due(name, *seconds, at)), "{name}");
        }
        Self { queue, start: at, at }
    }

    fn now(&self) -> UnixSeconds {
        UnixSeconds::new(NOW + i64::try_from((self.at - self.start).as_secs()).unwrap())
    }

    fn next(&mut self) -> Option<Work> {
        self.queue.next(self.at, self.now())
    }

    fn ask(&mut self, case: &str) -> (Due, ToStamp) {
        match self.next() {
            Some(Work::Ask(due, step)) => (due, step),
            other => panic!("{case}: {other:?}"),
        }
    }

    fn store(&mut self, case: &str) -> Due {
        match self.next() {
            Some(Work::Store(due)) => due,
            other => panic!("{case}: {other:?}"),
        }
    }

    /// Fetches the token of the next run, which is to be this one.
    fn fetch(&mut self, name: &str) {
        let (due, step) = self.ask(name);
        assert_eq!(due.id.name, name);
        self.queue.fetched(due, step, format!("token of {name}"));
    }

    fn pass(&mut self, time: Duration) {
        self.at += time;
    }
}

#[test]
fn those_whose_certificates_expire_first_come_first_and_tokens_are_stored_at_once() {
    let mut stamping = Stamping::of(&[("late", 900), ("early", 60), ("later", 1000)]);
    for name in ["early", "late", "later"] {
        stamping.fetch(name);
        let whole = stamping.store(name);
        assert_eq!(whole.id.name, name);
        assert!(whole.patch().contains(&format!("token of {name}")), "{}", whole.patch());
    }
    assert!(stamping.next().is_none() && stamping.queue.is_empty());
    assert_eq!(stamping.queue.wait(stamping.at), None);
}

#[test]
fn a_run_whose_tokens_are_refused_comes_after_all_others_and_is_given_up() {
    let mut stamping = Stamping::of(&[("bad", 300), ("good", 900)]);
    stamping.fetch("bad");
    let mut attempts = 0;
    loop {
        let bad = stamping.store("bad");
        assert_eq!(bad.id.name, "bad");
        attempts += 1;
        let (at, now) = (stamping.at, stamping.now());
        let Some(pause) = stamping.queue.refused(bad, at, now) else { break };
        assert!(pause > Duration::ZERO && pause < LATER, "{pause:?}");
        if attempts == 1 {
            stamping.fetch("good");
            assert_eq!(stamping.store("good").id.name, "good");
            assert_eq!(stamping.queue.wait(stamping.at), Some(pause), "nothing to do meanwhile");
        }
        assert!(stamping.next().is_none(), "attempt {attempts}: not before the pause is over");
        stamping.pass(pause);
    }
    assert_eq!(attempts, MOST_ATTEMPTS);
    assert!(stamping.queue.is_empty());
}

#[test]
fn a_run_is_given_up_when_its_certificates_have_expired_with_and_without_tokens() {
    type Fails = fn(&mut Queue, Due, Instant, UnixSeconds) -> Option<Duration>;
    let ways: [(&str, Fails); 2] =
        [("because of itself", Queue::refused), ("because of all", Queue::not_stored)];
    for (case, fails) in ways {
        let mut stamping = Stamping::of(&[("run", 20)]);
        stamping.fetch("run");
        loop {
            let run = stamping.store(case);
            let (at, now) = (stamping.at, stamping.now());
            let Some(pause) = fails(&mut stamping.queue, run, at, now) else { break };
            assert!(now.get() <= NOW + 20, "{case}: it is kept at {now}");
            stamping.pass(pause);
        }
        assert!(stamping.now().get() > NOW + 20, "{case}: it is given up at {}", stamping.now());
        assert!(stamping.queue.is_empty(), "{case}");
    }
    let mut stamping = Stamping::of(&[("run", 20)]);
    stamping.pass(Duration::from_secs(20));
    let (run, step) = stamping.ask("the last second");
    let at = stamping.at;
    let pause = stamping.queue.not_answered(run, step, at);
    stamping.pass(pause.max(Duration::from_secs(1)));
    assert!(matches!(stamping.next(), Some(Work::Expired(_))), "without tokens");
}

#[test]
fn failures_that_befall_all_pause_what_needs_who_failed_and_nothing_else() {
    let mut stamping = Stamping::of(&[("whole", 300), ("lacks", 600), ("lacks-too", 700)]);
    stamping.fetch("whole");
    let whole = stamping.store("the API server fails");
    let (at, now) = (stamping.at, stamping.now());
    let pause = stamping.queue.not_stored(whole, at, now).unwrap();
    let (run, step) = stamping.ask("the TSA is asked all the same");
    assert_eq!(run.id.name, "lacks");
    let tsa_pause = stamping.queue.not_answered(run, step, at);
    assert!(stamping.next().is_none(), "both have a pause");
    stamping.pass(pause.max(tsa_pause));
    let (run, step) = stamping.ask("who was only not answered is not put behind");
    assert_eq!(run.id.name, "lacks");
    // One bad answer is one question for all.
    let (at, longer) = (stamping.at, pause);
    let pause = stamping.queue.answered_badly(run, step, at);
    assert!(pause > longer, "failures in a row: {pause:?} after {longer:?}");
    let whole = stamping.store("the TSA's pause is not that of the API server");
    assert_eq!(
        (whole.id.name.as_str(), whole.failures),
        ("whole", 0),
        "the API server's failure is not its own"
    );
    stamping.queue.server_answered();
    assert!(stamping.next().is_none(), "no other run is asked for");
    stamping.pass(pause);
    stamping.fetch("lacks-too");
    assert_eq!(stamping.store("another one").id.name, "lacks-too");
    stamping.fetch("lacks");
}

#[test]
fn failures_of_the_api_server_do_not_let_the_same_run_come_first_for_ever() {
    let mut stamping = Stamping::of(&[("forbidden", 300), ("good", 900)]);
    stamping.fetch("forbidden");
    let run = stamping.store("forbidden");
    let (at, now) = (stamping.at, stamping.now());
    stamping.queue.not_stored(run, at, now).unwrap();
    stamping.fetch("good");
    stamping.pass(LATER);
    assert_eq!(stamping.store("after the pause").id.name, "good");
}

#[test]
fn a_run_that_is_judged_again_keeps_the_tokens_of_what_is_still_the_same() {
    let mut stamping = Stamping::of(&[]);
    let at = stamping.at;
    // Each is signed anew, so no two attestations are alike.
    let [one, two, changed, elsewhere] = ["run", "other", "changed", "elsewhere"]
        .map(|name| due(name, 300, at).steps.pop().unwrap())
        .map(|step| move |name: &str| named(&step, name));
    let of = |steps: Vec<ToStamp>| Due { steps, ..due("run", 300, at) };
    stamping.queue.put(of(vec![two("two"), one("one")]));
    stamping.fetch("run");
    let (run, step) = stamping.ask("the second");
    assert_eq!(step.step, "two");
    stamping.queue.answered_badly(run, step, at);
    for (case, second) in [("the same", two("two")), ("the other step has changed", changed("two"))] {
        assert!(stamping.queue.put(of(vec![second.clone(), one("one")])), "{case}");
        assert!(stamping.next().is_none(), "{case}: the TSA's pause goes on");
        stamping.pass(LATER);
        let (run, step) = stamping.ask(case);
        assert_eq!((run.fetched.len(), &step, run.setbacks > 0), (1, &second, true), "{case}");
        let at = stamping.at;
        stamping.queue.answered_badly(run, step, at);
    }
    stamping.queue.put(of(vec![elsewhere("one")]));
    stamping.pass(LATER);
    let (run, step) = stamping.ask("its attestation has changed");
    assert_eq!(run.fetched.len(), 0);

    stamping.queue.fetched(run, step, "token".into());
    stamping.queue.begin_again(true);
    let whole = stamping.store("the same TSAs count");
    stamping.queue.put(whole);
    stamping.queue.begin_again(false);
    stamping.ask("other TSAs count");
}

#[test]
fn nobody_is_to_blame_for_certificates_that_expire_while_a_token_is_made() {
    let at = |second: i64| UnixSeconds::new(NOW + second);
    for (case, error, now, is_late) in [
        ("by both clocks", OutOfWindow::NotValid { at: at(101) }, 101, true),
        ("by the TSA's clock", OutOfWindow::NotValid { at: at(103) }, 99, true),
        ("in the last second, as exact as the TSA is", OutOfWindow::NotValid { at: at(100) }, 100, true),
        ("by this clock, the TSA's being slow", OutOfWindow::NotValid { at: at(98) }, 101, true),
        ("a time before the certificates", OutOfWindow::NotValid { at: at(-500) }, 50, false),
        ("a time in the future", OutOfWindow::Future { at: at(500) }, 50, false),
        ("a time before the signature", OutOfWindow::BeforeSigning { at: at(-50) }, 101, false),
    ] {
        assert_eq!(is_too_late(&error, at(100), at(now)), is_late, "{case}");
    }
}

#[test]
fn a_namespace_has_a_share_of_the_places() {
    let at = Instant::now();
    let (stamper, _queue) = Stamper::new();
    let template = due("run", 300, at);
    let stamp = |namespace: &str, number: usize| {
        let id = id(namespace, &format!("run-{number}"));
        let tokens = template.tokens.clone();
        let steps = template.steps.clone();
        stamper.stamp(Due { id, steps, tokens, fetched: Vec::new(), ..template })
    };
    for number in 0..MOST_OF_NAMESPACE {
        assert!(stamp("greedy", number), "{number}");
    }
    assert!(stamper.has_room(), "nobody was refused");
    assert!(!stamp("greedy", MOST_OF_NAMESPACE), "it has its share");
    assert!(!stamper.has_room(), "whoever looks for more would find the same");
    let others = ["one", "two", "three"];
    for (namespace, number) in others.iter().flat_map(|other| (0..MOST_OF_NAMESPACE).map(move |n| (other, n)))
    {
        assert!(stamp(namespace, number), "{namespace} {number}");
    }
    assert_eq!(MOST, MOST_OF_NAMESPACE * (others.len() + 1), "all places are taken");
    assert!(!stamp("four", 0), "no room for anybody");
}

#[test]
fn a_place_that_is_given_back_is_taken_again() {
    let places = svidence::controller::stamping::places::Places::default();
    (0..MOST_OF_NAMESPACE).for_each(|number| assert!(places.take("greedy"), "{number}"));
    assert!(!places.take("greedy") && !places.has_room());
    places.give_back("greedy");
    assert!(places.has_room() && places.take("greedy"));
}
