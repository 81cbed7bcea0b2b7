//! `svidence verify` over many TaskRuns, beside a loop of the bare signature checks and beside Tekton's own verifier.
//!
//! `make bench` runs it. The programs take turns in one run, so that whatever else the machine does meets all of them. It
//! prints a table and writes it into `docs/benchmarks.md`, with how each figure is taken.
//!
//! `cargo bench --bench verifier -- --core` prints what one core reaches of the bare checks, in a minute, and writes nothing.

use std::{path::Path, process::ExitCode};

#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/support/corpus.rs"]
mod corpus;
#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/support/peers.rs"]
mod peers;
#[path = "../../tests/support/skip.rs"]
mod skip;

#[allow(dead_code)]
#[path = "../document/mod.rs"]
mod document;

mod bare;
mod memory;
mod programs;
mod report;

use corpus::Shape;
use programs::{Corpus, WorkloadApi};
use report::{Memory, Speed};

/// Distinct TaskRuns of each shape, each with a certificate of its own: many times what the verifier's caches hold, so that
/// going round does not spare it any check.
const DISTINCT: usize = 2000;
/// How often everything is measured.
const TURNS: usize = 5;

/// With what one core has to reach of the bare checks. More than that, the square root that a compressed key takes does not leave.
const SHAPES: [(&str, Shape, Option<f64>); 3] = [
    ("three steps, five results", Shape { steps: 3, results: 5, beside: false }, Some(0.75)),
    ("one step, five results", Shape { steps: 1, results: 5, beside: false }, Some(0.7)),
    ("one step, five results, TEP-0089 entries too", Shape { steps: 1, results: 5, beside: true }, None),
];

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--core") {
        return one_core();
    }
    let verifier = peers::folder().join("tekton-verify");
    if !verifier.is_file() {
        eprintln!("{} is not there; run `make bench`, which builds it", verifier.display());
        return ExitCode::FAILURE;
    }
    let many = many(&mut std::env::args());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let say = |what: &str| eprintln!("measuring: {what}");
    let mut speeds = Vec::new();
    let mut memory = None;
    for (name, shape, target) in SHAPES {
        say(name);
        let corpus = Corpus::create(folder.path(), shape, DISTINCT);
        // The smallest ones: a million of them take minutes.
        if shape.steps == 1 && memory.is_none() {
            say("memory at 1000 and at many");
            memory = Some(Memory {
                few: memory::peak(&corpus, 1000),
                many: memory::peak(&corpus, many),
                count: many,
            });
        }
        speeds.push(Speed { target, ..measured(name, &corpus, &verifier) });
    }
    let Some(memory) = memory else { return ExitCode::FAILURE };
    print!("{}", report::table(&speeds, &memory));
    document::write(document::Part::Verifier, &report::markdown(&speeds, &memory));
    ExitCode::SUCCESS
}

/// What one core reaches of the bare checks, where something is asked of it: after a change, to see what it was worth.
fn one_core() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, shape, target) in SHAPES {
        let corpus = Corpus::create(folder.path(), shape, DISTINCT);
        let mut speed = Speed { name, target, ..Speed::default() };
        for _ in 0..3 * TURNS {
            speed.svidence.push(programs::svidence_per_cpu_second(&corpus, 1));
            speed.bare.push(bare::task_runs_per_cpu_second(&corpus));
        }
        println!("{}", report::line(&speed));
    }
    ExitCode::SUCCESS
}

/// `--many N`: fewer than a million, for a quick look.
fn many(arguments: &mut std::env::Args) -> usize {
    let mut many = arguments.skip_while(|argument| argument != "--many").skip(1);
    many.next().and_then(|count| count.parse().ok()).unwrap_or(1_000_000)
}

fn measured(name: &'static str, corpus: &Corpus, verifier: &Path) -> Speed {
    let api = WorkloadApi::start(verifier, corpus);
    let mut speed = Speed {
        name,
        beside: corpus.shape.beside,
        checks: corpus.checks.len() as f64 / DISTINCT as f64,
        ..Speed::default()
    };
    for turn in 0..TURNS {
        // Each goes first as often as the others.
        for program in 0..3 {
            match (turn + program) % 3 {
                0 => {
                    speed.svidence.push(programs::svidence_per_cpu_second(corpus, 1));
                    speed.all_cores.push(programs::svidence_per_second(corpus));
                }
                1 => {
                    speed.bare.push(bare::task_runs_per_cpu_second(corpus));
                    speed.bare_all_cores.push(bare::task_runs_per_second(corpus));
                }
                _ => speed.tekton.push(api.task_runs_per_cpu_second(corpus)),
            }
        }
    }
    speed
}
