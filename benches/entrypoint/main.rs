//! A step under Tekton's entrypoint and under ours: times, memory, size, and how much evidence fits.
//!
//! `make bench` builds both and runs it. The two take turns in one run, so that whatever else the machine does meets both.
//! It prints one table and writes it into `docs/benchmarks.md`, with how each figure is taken. `cargo bench --bench entrypoint
//! -- late` prints what has to do with late registrations alone, `late=5000` where SPIRE looks for changes every 5 s, its default.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/support/peers.rs"]
mod peers;
#[path = "../../tests/support/skip.rs"]
mod skip;
#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/support/spire.rs"]
mod spire;

#[allow(dead_code)]
#[path = "../document/mod.rs"]
mod document;

mod agent;
mod figures;
mod measure;
mod report;
mod step;

use measure::{Bench, WarmAgent};

/// Says that /tekton is private already.
const INSIDE: &str = "--inside";
/// Asks for late registrations alone, where SPIRE's agent and server look for changes every so many milliseconds: `late=5000`.
const LATE: &str = "late";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let late_only = arguments.iter().find_map(|argument| late(argument));
    if arguments.iter().any(|argument| argument == INSIDE) {
        match late_only {
            Some(sync) => run_late(sync),
            None => run(),
        }
        return ExitCode::SUCCESS;
    }
    let wanted = [ours(), peers::folder().join("tekton-entrypoint"), peers::folder().join("spire-agent")];
    if let Some(missing) = wanted.iter().find(|program| !program.is_file()) {
        eprintln!("{} is not there; run `make bench`, which builds it", missing.display());
        return ExitCode::FAILURE;
    }
    match in_private_tekton(late_only) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!(
                "the benchmark cannot have a /tekton of its own: {error}; it needs root or user namespaces"
            );
            ExitCode::FAILURE
        }
    }
}

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/entrypoint")
}

/// Runs this program again with a /tekton that no one else sees. True if it went well.
fn in_private_tekton(late_only: Option<Duration>) -> std::io::Result<bool> {
    let folder = tempfile::tempdir()?;
    // As the kubelet lays it out: an attestation then holds the pod's UID, as it does in a cluster.
    let pod = folder.path().join("pods/0f8fad5b-d9cb-469f-a165-70867728950e/volumes");
    fs::create_dir_all(pod.join("tekton"))?;
    // Searchable for steps of another user.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--uts", "--", "sh", "-ec", include_str!("private-tekton.sh"), "sh"]).arg(pod);
    command.arg(std::env::current_exe()?).arg(INSIDE);
    command.args(late_only.map(|sync| format!("{LATE}={}", sync.as_millis())));
    Ok(command.status()?.success())
}

fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "measuring: {what}");
}

/// `late`, or `late=` and milliseconds.
fn late(argument: &str) -> Option<Duration> {
    match argument.split_once('=') {
        None => (argument == LATE).then_some(measure::SYNC),
        Some((LATE, sync)) => sync.parse().ok().map(Duration::from_millis),
        Some(_) => None,
    }
}

fn run_late(sync: Duration) {
    let bench = Bench::new(&peers::folder().join("tekton-entrypoint"), &ours());
    let agent = WarmAgent::start(&bench, sync);
    say("late registrations");
    let table: Vec<_> = agent.late_entry().into_iter().chain(agent.waiting_steps()).collect();
    print!("{}", report::table(&table));
}

fn run() {
    let bench = Bench::new(&peers::folder().join("tekton-entrypoint"), &ours());
    say("start and end of a step, unsigned");
    let mut table = bench.unsigned();
    say("start of a step in a namespace of many services");
    table.extend(bench.service_links());
    say("waiting for the file of the step before");
    table.extend(bench.waiting());
    say("signing");
    let agent = WarmAgent::start(&bench, measure::SYNC);
    table.extend(agent.signing());
    say("memory and size");
    table.extend(agent.size());
    say("an entry that is made while a step waits for its identity");
    table.extend(agent.late_entry());
    say("what steps that wait for their identity cost the agent");
    table.extend(agent.waiting_steps());
    say("room for results");
    table.extend(agent.room());
    let report = report::markdown(&table);
    print!("{}", report::table(&table));
    document::write(document::Part::Entrypoint, &report);
}
