//! Runs cases through both programs, and holds the reviewed list of differences against what is found.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    case::Case,
    observe::{NOT_NAMED, RESPECTS, Seen, observe},
};
use crate::support::step::{OURS, available, tekton};

/// Most of the cases wait most of the time.
const AT_ONCE: usize = 6;

/// A line of `differences.tsv`: one case differs in one respect.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) case: &'static str,
    pub(crate) respect: &'static str,
    /// What is seen of Tekton's and not of ours; empty where that is not told.
    theirs: &'static str,
    /// What is seen of ours and not of Tekton's.
    ours: &'static str,
    /// The paragraph of docs/architecture.md that wants it so.
    pub(crate) paragraph: &'static str,
    pub(crate) reason: &'static str,
}

/// The reviewed list.
pub(crate) fn differences() -> Vec<Difference> {
    let lines =
        include_str!("differences.tsv").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let columns: Vec<&'static str> = line.split('\t').collect();
            let [case, respect, theirs, ours, paragraph, reason] = columns[..] else {
                panic!("differences.tsv: not six columns: {line}")
            };
            let said = |text: &'static str| if text == "-" { "" } else { text };
            Difference { case, respect, theirs: said(theirs), ours: said(ours), paragraph, reason }
        })
        .collect()
}

/// Fails with every case in which the programs differ otherwise than the list says.
pub(crate) fn compare(section: &str, cases: &[Case]) {
    let Some(tekton) = tekton() else { return };
    if !available(section) {
        return;
    }
    let show = std::env::var("SHOW_TEKTON").ok();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let differences = differences();
    let work = || {
        while let Some((i, case)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, cases.get(i)?)))
        {
            if case.needs_root && !nix::unistd::geteuid().is_root() {
                continue;
            }
            let (theirs, ours) = (observe(case, &tekton), observe(case, OURS));
            if show.as_ref().is_some_and(|show| case.name.contains(show)) {
                eprintln!("== {}\n{theirs:#?}", case.name);
            }
            let expected: Vec<&Difference> = differences.iter().filter(|d| d.case == case.name).collect();
            if let Err(found) = judge(case, &theirs, &ours, &expected) {
                failed.lock().unwrap().insert(i, format!("== {}{found}", case.name));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    let all: Vec<String> = failed.into_values().collect();
    assert!(all.is_empty(), "{section}: {} of {} cases\n{}", all.len(), cases.len(), all.join("\n"));
}

fn judge(case: &Case, theirs: &Seen, ours: &Seen, expected: &[&Difference]) -> Result<(), String> {
    let mut wrong = String::new();
    for what in &case.shows {
        if !theirs.values().any(|seen| seen.contains(what)) {
            let seen: String =
                RESPECTS.map(|respect| format!("\n    {respect}: {}", theirs[respect])).concat();
            let _ = write!(wrong, "\nTekton's does not show {what:?}:{seen}");
        }
    }
    if theirs["stderr"].contains(NOT_NAMED) {
        let _ = write!(wrong, "\nTekton's: {}", theirs["stderr"]);
    }
    for respect in RESPECTS {
        let (theirs, ours) = (&theirs[respect], &ours[respect]);
        let difference = expected.iter().find(|difference| difference.respect == respect);
        match difference {
            None if theirs == ours => {}
            None => {
                let (only_theirs, only_ours) = (without(theirs, ours), without(ours, theirs));
                let _ = write!(wrong, "\n{respect}, Tekton:\n{only_theirs}{respect}, ours:\n{only_ours}");
            }
            Some(_) if theirs == ours => {
                let _ = write!(wrong, "\n{respect}: the listed difference has vanished: {ours}");
            }
            Some(difference) => {
                for (whose, text, seen, other) in
                    [("Tekton", difference.theirs, theirs, ours), ("ours", difference.ours, ours, theirs)]
                {
                    if !text.is_empty() && (!seen.contains(text) || other.contains(text)) {
                        let _ = write!(
                            wrong,
                            "\n{respect}: {text:?} is not seen of {whose} alone: {theirs}{ours}"
                        );
                    }
                }
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// The lines of `seen` that `other` does not have, or all of them where only their order differs.
fn without(seen: &str, other: &str) -> String {
    let only: Vec<&str> = seen.lines().filter(|line| !other.lines().any(|same| same == *line)).collect();
    let lines = if only.is_empty() { seen.lines().collect() } else { only };
    lines.iter().map(|line| format!("    {}\n", line.chars().take(600).collect::<String>())).collect()
}
