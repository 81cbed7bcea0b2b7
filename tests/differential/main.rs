//! Each case is run through Tekton's own entrypoint and ours, and everything that a pod, a step's author or the controller can see is
//! compared: how the program ended, the termination message, every file below `/tekton` and in `/tmp`, the post files, what the
//! command saw of itself, and which cause stderr names.
//!
//! A module for each section of docs/tekton-contract.md. What differs on purpose is listed in `differences.tsv`, and nowhere
//! else; a difference that is listed and not found fails too. `SHOW_TEKTON=<part of a name>` prints what is seen of Tekton's,
//! with `--nocapture`.

mod case;
mod compare;
mod observe;
#[path = "../support/mod.rs"]
mod support;

mod artifact_substitution;
mod artifacts;
mod breakpoint;
mod command_line;
mod command_selection;
mod compression;
mod credentials;
mod debug_before_step;
mod environments;
mod hermetic;
mod messages;
mod outcomes;
mod process;
mod results;
mod sidecar_logs;
mod step_result_substitution;
mod subcommands;
mod timeout_cancel;
mod timestamps;
mod waiting;
mod when_expressions;

use std::collections::BTreeSet;

use case::Case;

/// The tests, and the list of all sections.
macro_rules! sections {
    ($($section:ident),* $(,)?) => {
        $(
            #[test]
            fn $section() {
                compare::compare(stringify!($section), &$section::cases());
            }
        )*

        fn all() -> Vec<(&'static str, Vec<Case>)> {
            vec![$((stringify!($section), $section::cases())),*]
        }
    };
}

sections![
    artifact_substitution,
    artifacts,
    breakpoint,
    command_line,
    command_selection,
    compression,
    credentials,
    debug_before_step,
    environments,
    hermetic,
    messages,
    outcomes,
    process,
    results,
    sidecar_logs,
    step_result_substitution,
    subcommands,
    timeout_cancel,
    timestamps,
    waiting,
    when_expressions,
];

#[test]
fn the_cases_are_many_and_each_has_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for (section, cases) in all() {
        println!("{section}: {}", cases.len());
        assert!(!cases.is_empty(), "{section}");
        for case in cases {
            assert!(names.insert(case.name.clone()), "{section}: a second case {:?}", case.name);
        }
    }
    assert!(names.len() >= 250, "{} cases", names.len());
}

#[test]
fn every_listed_difference_is_of_a_case_and_has_its_paragraph() {
    let names: BTreeSet<String> =
        all().into_iter().flat_map(|(_, cases)| cases).map(|case| case.name).collect();
    let mut lines = BTreeSet::new();
    for difference in compare::differences() {
        assert!(names.contains(difference.case), "no such case: {difference:?}");
        assert!(observe::RESPECTS.contains(&difference.respect), "no such respect: {difference:?}");
        assert!(lines.insert((difference.case, difference.respect)), "twice: {difference:?}");
        let number = difference.paragraph.strip_prefix("docs/architecture.md 4.").map(str::parse);
        assert!(matches!(number, Some(Ok(1..=8_u8))), "not a deliberate difference: {difference:?}");
        assert!(!difference.reason.is_empty(), "no reason: {difference:?}");
    }
}
