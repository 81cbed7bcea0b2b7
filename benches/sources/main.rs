//! `svidence verify` of runs that a server has, beside a client that only reads them: a real kube-apiserver, and a real Tekton Results.
//!
//! `make bench` runs it. Both read the same in turns. It prints a table and writes it into `docs/benchmarks.md`. What needs root or
//! PostgreSQL, and does not find it, is left out by name.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use ring::rand::SystemRandom;
use serde_json::Value;
use svidence::standin::ca::DevCa;
use time::{Duration, OffsetDateTime};
use unixtime::UnixSeconds;

#[path = "../../tests/support/results/mod.rs"]
mod archive;
#[path = "../../tests/support/cluster.rs"]
mod cluster;
#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/support/corpus.rs"]
mod corpus;
#[allow(dead_code)]
#[path = "../document/mod.rs"]
mod document;
#[allow(unreachable_pub)]
mod support;

mod kubernetes;
mod program;
mod report;
mod results;

use corpus::Shape;
use report::{Beside, Figures};

/// How often everything is measured.
const TURNS: usize = 5;
/// TaskRuns of one step, which is what reading costs most beside: each with a certificate of its own.
const SHAPE: Shape = Shape { steps: 1, results: 5, beside: false };
/// TaskRuns that are read, and the few that memory is compared with.
const MANY: usize = 10_000;
const FEW: usize = 1000;

fn main() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary folder");
    eprintln!("making {MANY} TaskRuns");
    let corpus = Corpus::create(folder.path());
    let mut rows = Vec::new();
    let memory = kubernetes::measured(&corpus, &mut rows);
    results::measured(&corpus, &mut rows);
    if rows.is_empty() {
        eprintln!("nothing was measured; run `make bench`, which builds the servers");
        return ExitCode::FAILURE;
    }
    let figures = Figures { rows, memory, program: program::measured() };
    print!("{}", report::table(&figures));
    document::write(document::Part::Sources, &report::markdown(&figures));
    ExitCode::SUCCESS
}

/// Genuine TaskRuns, and the bundle that they are signed under.
struct Corpus {
    objects: Vec<Value>,
    bundle: PathBuf,
}

impl Corpus {
    fn create(folder: &Path) -> Self {
        let created = OffsetDateTime::now_utc() - Duration::minutes(5);
        let ca =
            DevCa::new("example.org", UnixSeconds::new(created.unix_timestamp() - 60), &SystemRandom::new())
                .expect("a CA");
        let bundle = folder.join("bundle.pem");
        std::fs::write(&bundle, ca.bundle_pem()).expect("the bundle");
        let objects = (0..MANY).map(|number| corpus::task_run(&ca, number, SHAPE, created).object).collect();
        Self { objects, bundle }
    }

    /// `svidence verify` of a source.
    fn verify(&self, source: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_svidence"));
        command
            .arg("verify")
            .args(source)
            .args(["--trust-domain", "example.org", "--bundle"])
            .arg(&self.bundle);
        command
    }

    /// At which rate it judges `count` TaskRuns, all of which must be verified.
    fn rate(&self, source: &[&str], count: usize) -> f64 {
        let start = Instant::now();
        let output = self
            .verify(source)
            .args(["-o", "summary"])
            .stderr(Stdio::null())
            .output()
            .expect("svidence runs");
        let seconds = start.elapsed().as_secs_f64();
        let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
        assert_eq!(
            (&summary["verdict"], &summary["taskRuns"]),
            (&"verified".into(), &count.into()),
            "{summary}"
        );
        count as f64 / seconds
    }
}

/// Lets both read in turns; each goes first as often as the other.
fn in_turns(
    name: String,
    target: f64,
    mut svidence: impl FnMut() -> f64,
    mut bare: impl FnMut() -> f64,
) -> Beside {
    eprintln!("measuring: {name}");
    let mut row = Beside { name, target, svidence: Vec::new(), bare: Vec::new() };
    for turn in 0..TURNS {
        for program in 0..2 {
            match (turn + program) % 2 {
                0 => row.svidence.push(svidence()),
                _ => row.bare.push(bare()),
            }
        }
    }
    row
}
