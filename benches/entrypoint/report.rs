//! The table as it is printed, and `docs/benchmarks.md`.

use std::fmt::Write as _;

use time::OffsetDateTime;

use super::{
    document::{machine, version},
    figures::Row,
};

const HEAD: [&str; 8] =
    ["what", "Tekton median", "p99", "svidence median", "p99", "better by", "target", "reached"];

/// The table in Markdown, its columns aligned.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines: Vec<[String; 8]> = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let mut table = String::new();
    for (number, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line
            .iter()
            .enumerate()
            .map(|(column, cell)| match column {
                0 => format!("{cell:<0$}", width(column)),
                _ => format!("{cell:>0$}", width(column)),
            })
            .collect();
        let _ = writeln!(table, "| {} |", cells.join(" | "));
        if number == 0 {
            let rule = |column| match column {
                0 => "-".repeat(width(column)),
                _ => format!("{}:", "-".repeat(width(column) - 1)),
            };
            let _ = writeln!(table, "| {} |", (0..HEAD.len()).map(rule).collect::<Vec<_>>().join(" | "));
        }
    }
    table
}

/// The part of `docs/benchmarks.md` on the entrypoint.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let runs: Vec<usize> = rows.iter().map(|row| row.pair.ours.count()).filter(|count| *count > 1).collect();
    let fewest = runs.iter().min().copied().unwrap_or(0);
    let missed: Vec<&Row> = rows.iter().filter(|row| row.is_reached() == Some(false)).collect();
    let conclusion = if missed.is_empty() {
        "All targets of the entrypoint are reached; those of the verifier are below.".to_owned()
    } else {
        let line = |row: &&Row| {
            format!(
                "- {}: {}.",
                row.what,
                row.reason.unwrap_or("unexplained; the machine may have been busy")
            )
        };
        let names: Vec<String> = missed.iter().map(line).collect();
        format!("Targets of the entrypoint that are not reached:\n\n{}", names.join("\n"))
    };
    format!(
        "# Benchmarks\n\n\
         Written by `make bench`; not to be edited by hand. Tekton's own entrypoint {tekton} and svidence {ours}, in one run, on {date}:\n\
         {machine}. Identities are from a real SPIRE {spire} on the same machine, with ECDSA P-256 keys.\n\n\
         {table}\n\
         {conclusion}\n\n\
         ## Method\n\n{METHOD}\
         - At least {fewest} runs of each program for each median and p99; of fewer than 100 the p99 is the largest.\n",
        tekton = version("TEKTON"),
        spire = version("SPIRE"),
        ours = env!("CARGO_PKG_VERSION"),
        date = OffsetDateTime::now_utc().date(),
        machine = machine(),
        table = table(rows),
    )
}

const METHOD: &str = "\
- The two programs take turns, and each is first as often as the other. Both are on the page cache.
- Each run is a step as in a pod, with files of its own: it waits for its file, runs the command, writes message, exit code
  and post file. `/tekton` is private to the benchmark (a mount namespace entered once, before anything is measured).
- Clocks are CLOCK_MONOTONIC: just before `posix_spawn` or the creation of the awaited file; at the beginning of `main` and just
  before the end of the step's command, a small static C program that stores them in shared memory; when `waitpid` returns.
- The awaited files are made at moments spread evenly over the second between two of Tekton's looks.
- CPU time is that of the program and its command, user and system, from `getrusage`.
- Signed steps have three results of 71 characters. Signed means: svidence's post file, which comes last, is seen by another
  process; Tekton writes its post file before it signs, so there the end of its process counts. The agent's own time is that of one
  call before each step, in the same run.
- The end of svidence's process comes later than its post file when it has watched for cancellation, which it does after 100 ms: the
  kernel takes milliseconds to retire the watch (inotify). The next step does not wait for that.
- Largest resident memory is VmHWM, read while the process is stopped at its exit by ptrace; in runs of their own, untimed.
- Late entry: four steps of each program wait when the entry is made; the clock starts when another stream brings an SVID whose
  entry was made together with it. SPIRE's agent and server look for changes every 100 ms here, by default every 5 s. Where the
  steps have another SVID already all eight are svidence's: Tekton signs with whatever comes first.
- What waiting steps cost the agent: its user and system time from /proc, in 10 s from when 100 steps have been started that it
  refuses, less those of 10 s before; the mean of two such windows for each program.
- Room: results of 71 characters are added until the signed message is larger than the kubelet keeps; the pod's UID is in it.
";
