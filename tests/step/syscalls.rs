//! Which system calls `entrypoint` makes in each of its modes, and that it needs none that Tekton's does not make: where a seccomp
//! profile refuses them, it does what it does without one. The program is the one that is shipped, with its own C library.

use crate::support;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use nix::errno::Errno;
use support::{
    barred::{Barred, Call, barred, calls, named, traced},
    modes::{Left, Mode, Runs, each, modes, prepare, run, shipped, spire, unbarred},
    spire::Spire,
    step::tekton,
};

/// Which calls `program` makes in this mode.
fn calls_of(program: &Path, mode: &Mode, socket: &str) -> BTreeSet<Call> {
    calls_in_order(program, mode, socket).into_iter().collect()
}

fn calls_in_order(program: &Path, mode: &Mode, socket: &str) -> Vec<Call> {
    let (pod, mut command) = prepare(program, mode, Runs::Itself, socket, &traced);
    let pod = &pod;
    thread::scope(|scope| {
        let traced = || {
            let child = command.spawn().unwrap();
            let pid = child.id();
            let act = || {
                scope.spawn(move || mode.act.map(|act| act(pod, pid)));
            };
            calls(child, program, act)
        };
        // A thread of its own, which has no other children.
        scope.spawn(traced).join().unwrap()
    })
}

/// What Tekton's entrypoint and the shell call; see testdata/syscalls.
const RECORDED: &str = include_str!("../../testdata/syscalls/tekton-entrypoint.txt");

/// The calls on the lines of the recorded list that begin so.
fn recorded(kinds: &[&str]) -> BTreeSet<Call> {
    let lines = RECORDED.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(kind, _)| kinds.contains(kind)).flat_map(|(_, names)| named(names)).collect()
}

/// What each mode leaves without a filter, beside the mode.
fn free<'a>(program: &Path, modes: &[&'a Mode], runs: Runs, socket: &str) -> Vec<(&'a Mode, Left)> {
    let free = Mutex::new(Vec::new());
    each(modes, |mode| {
        let left = run(program, mode, runs, socket, &unbarred);
        let wrong = !left.status.starts_with(mode.status);
        let said = wrong.then(|| format!("{}, without a filter: {left:?}", mode.name));
        free.lock().unwrap().push((*mode, left));
        said
    });
    free.into_inner().unwrap()
}

/// Runs each mode as `bars` says with each error, and compares it with what it leaves without a filter.
fn compare(program: &Path, runs: Runs, socket: &str, cases: &[(&Mode, &Left, Barred<'_>)]) {
    // EACCES stands for whatever else a policy may answer.
    let errors = [Errno::EPERM, Errno::ENOSYS, Errno::EACCES];
    let cases: Vec<_> = cases.iter().flat_map(|case| errors.map(|errno| (case, errno))).collect();
    each(&cases, |((mode, free, bars), errno)| {
        let launch = |program: &OsStr, args: &[&OsStr]| barred(program, args, *bars, *errno);
        let left = run(program, mode, runs, socket, &launch);
        (left != **free)
            .then(|| format!("{}, {bars:?} {errno}:\n  {left:?}\n  without a filter: {free:?}", mode.name))
    });
}

/// In each mode, with all refused that neither Tekton's entrypoint nor the shell of the recorded profile calls.
#[test]
fn runs_where_tektons_runs() {
    let Some(program) = shipped("runs_where_tektons_runs") else { return };
    let spire = spire();
    let socket = spire.as_ref().map(Spire::socket_uri).unwrap_or_default();
    let allowed: Vec<Call> = recorded(&["entrypoint", "shell"]).into_iter().collect();
    let free = free(&program, &modes(spire.as_ref()), Runs::Shell, &socket);
    let cases: Vec<_> = free.iter().map(|(mode, free)| (*mode, free, Barred::AllBut(&allowed))).collect();
    compare(&program, Runs::Shell, &socket, &cases);
}

/// The recorded profile is one under which Tekton's entrypoint runs, and there the two end alike.
#[test]
fn tektons_runs_there_too_and_ends_alike() {
    /// Where ours tells the steps after it and Tekton's does not (tests/differential has the reasons).
    const POSTED_BY_OURS_ALONE: [&str; 2] = ["refused", "TERM while it waits"];
    let test = "tektons_runs_there_too_and_ends_alike";
    let Some((ours, theirs)) = shipped(test).and_then(|ours| Some((ours, PathBuf::from(tekton()?)))) else {
        return;
    };
    let allowed: Vec<Call> = recorded(&["entrypoint", "sometimes", "shell"]).into_iter().collect();
    each(&modes(None), |mode| {
        let launch =
            |program: &OsStr, args: &[&OsStr]| barred(program, args, Barred::AllBut(&allowed), Errno::EPERM);
        let ran = |program: &Path| run(program, mode, Runs::Shell, "", &launch);
        let (theirs, mut ours) = (ran(&theirs), ran(&ours));
        // The binary that is copied is one's own, and so is the operator's configuration.
        ours.files.retain(|file| !file.starts_with("bin/"));
        if POSTED_BY_OURS_ALONE.contains(&mode.name) {
            ours.files.retain(|file| !file.starts_with("run/0/out.err"));
        }
        let theirs = Left {
            files: theirs.files.into_iter().filter(|file| !file.starts_with("bin/")).collect(),
            ..theirs
        };
        (theirs != ours).then(|| format!("{}:\n  Tekton {theirs:?}\n  ours {ours:?}", mode.name))
    });
}

/// All calls that Tekton's entrypoint does not make, in each mode, and each one by itself, in some. What the step runs makes none but
/// those of `entrypoint`.
#[test]
fn needs_no_call_that_tektons_does_not_make() {
    /// More would take long and show the same.
    const MODES_A_CALL: usize = 3;
    let Some(program) = shipped("needs_no_call_that_tektons_does_not_make") else { return };
    let spire = spire();
    let socket = spire.as_ref().map(Spire::socket_uri).unwrap_or_default();
    let tektons = recorded(&["entrypoint"]);
    let free = free(&program, &modes(spire.as_ref()), Runs::Itself, &socket);
    let mut alone: BTreeMap<Call, Vec<(&Mode, &Left)>> = BTreeMap::new();
    for (mode, free) in &free {
        for call in calls_of(&program, mode, &socket).difference(&tektons) {
            alone.entry(*call).or_default().push((*mode, free));
        }
    }
    assert!(!alone.is_empty());
    let allowed: Vec<Call> = tektons.into_iter().collect();
    let mut cases: Vec<_> = free.iter().map(|(mode, free)| (*mode, free, Barred::AllBut(&allowed))).collect();
    for (call, made_in) in &alone {
        // From the first to the last: those that sign come last.
        let some = made_in.iter().step_by(made_in.len().div_ceil(MODES_A_CALL));
        cases.extend(some.map(|(mode, free)| (*mode, *free, Barred::Only(std::slice::from_ref(call)))));
    }
    compare(&program, Runs::Itself, &socket, &cases);
}

/// The calls of a paragraph of docs/operations.md: on the line after the one that ends with this text.
fn documented(after: &str) -> BTreeSet<Call> {
    let docs = include_str!("../../docs/operations.md");
    let list =
        docs.split_once(after).unwrap_or_else(|| panic!("docs/operations.md does not say {after:?}")).1;
    let names = list.trim_start().lines().next().unwrap().replace(['`', ','], "");
    let calls: BTreeSet<Call> = named(&names).into_iter().collect();
    assert!(!calls.is_empty(), "no calls after {after:?}");
    calls
}

/// A profile that an operator makes from the list must let every mode run, so the list grows only on purpose.
#[test]
fn the_documented_calls_are_those_that_are_made() {
    let Some(program) = shipped("the_documented_calls_are_those_that_are_made") else { return };
    let Some(spire) = spire() else { return };
    let made: BTreeSet<Call> =
        modes(Some(&spire)).iter().flat_map(|mode| calls_of(&program, mode, &spire.socket_uri())).collect();
    let needed = documented("needs these system calls, as Tekton's does:");
    let spared = documented("It does without these where they are refused:");
    let listed: BTreeSet<Call> = needed.union(&spared).copied().collect();
    let differs = |one: &BTreeSet<Call>, other: &BTreeSet<Call>| -> String {
        one.difference(other).map(|call| format!(" {call}")).collect()
    };
    assert_eq!(differs(&made, &listed), "", "made, and not listed in docs/operations.md");
    if cfg!(target_arch = "x86_64") {
        assert_eq!(differs(&listed, &made), "", "listed in docs/operations.md, and not made");
    }
    assert_eq!(differs(&needed, &recorded(&["entrypoint"])), "", "needed, and Tekton's does not make them");
}

/// The profile is what Tekton's entrypoint really calls, and no more.
#[test]
fn tekton_makes_the_calls_of_the_recorded_profile() {
    let test = "tekton_makes_the_calls_of_the_recorded_profile";
    let Some(program) = shipped(test).and_then(|_| tekton()).map(PathBuf::from) else { return };
    let Some(spire) = spire() else { return };
    let made: BTreeSet<Call> =
        modes(Some(&spire)).iter().flat_map(|mode| calls_of(&program, mode, &spire.socket_uri())).collect();
    let missing: Vec<Call> = recorded(&["entrypoint"]).difference(&made).copied().collect();
    assert!(missing.is_empty(), "Tekton's does not make {missing:?}");
}

/// A signal that comes after these is not lost. What comes before is musl's, and the system's loading.
#[test]
fn signals_are_blocked_before_anything_else() {
    let Some(program) = shipped("signals_are_blocked_before_anything_else") else { return };
    let plain = modes(None)[0];
    let made = calls_in_order(&program, plain, "");
    let block = named("rt_sigprocmask")[0];
    let before: BTreeSet<Call> = made.into_iter().take_while(|call| *call != block).collect();
    let start: BTreeSet<Call> = named("execve mmap arch_prctl set_tid_address").into_iter().collect();
    assert!(before.is_subset(&start), "{before:?}");
}
