//! `svidence controller` against a real kube-apiserver on etcd and a real SPIRE server and agent.
//!
//! `make bench` runs it. There is neither a kubelet nor a Tekton controller: the benchmark writes what they write. It prints a table and
//! writes it into `docs/benchmarks.md`.
//!
//! `cargo bench --bench controller -- --burst` measures the burst alone, and writes nothing.

use std::process::ExitCode;

#[path = "../../tests/support/cluster.rs"]
mod cluster;
#[allow(dead_code)]
#[path = "../../tests/controller/cluster_objects.rs"]
mod cluster_objects;
#[allow(dead_code)]
#[path = "../document/mod.rs"]
mod document;
#[allow(dead_code)]
#[path = "../../tests/controller/ended_runs.rs"]
mod ended_runs;
#[allow(dead_code)]
#[path = "../../tests/controller/process.rs"]
mod process;
#[path = "../../tests/support/mod.rs"]
mod support;

mod burst;
mod latency;
mod report;
mod resident;

use report::Figures;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--burst") {
        return match burst::measured() {
            Some(burst) => {
                println!("the burst takes {:.2} x what SPIRE alone takes", burst.ratio());
                ExitCode::SUCCESS
            }
            None => ExitCode::FAILURE,
        };
    }
    let Some(figures) = measured() else {
        eprintln!("nothing was measured; run `make bench`, which builds the servers");
        return ExitCode::FAILURE;
    };
    print!("{}", report::table(&figures));
    document::write(document::Part::Controller, &report::markdown(&figures));
    ExitCode::SUCCESS
}

/// `None` if a program is missing.
fn measured() -> Option<Figures> {
    let (entries, verdict) = latency::measured()?;
    let (resident, calls, idle) = resident::measured()?;
    let burst = burst::measured()?;
    Some(Figures { resident, calls, idle, entries, verdict, burst })
}
