//! The tables, and the part of `docs/benchmarks.md` on the verifier.

use std::fmt::Write as _;

use time::OffsetDateTime;

use super::{
    DISTINCT, TURNS,
    document::{machine, version},
};

/// What was measured for one shape of TaskRun, once a turn: TaskRuns per second.
#[derive(Default)]
pub(crate) struct Speed {
    pub(crate) name: &'static str,
    /// Whether both programs were given the same messages; else each its own form of the same results.
    pub(crate) beside: bool,
    /// Signature checks in one TaskRun.
    pub(crate) checks: f64,
    /// What one core has to reach of the bare checks, if that is asked of this shape.
    pub(crate) target: Option<f64>,
    pub(crate) svidence: Vec<f64>,
    pub(crate) bare: Vec<f64>,
    pub(crate) tekton: Vec<f64>,
    pub(crate) all_cores: Vec<f64>,
    pub(crate) bare_all_cores: Vec<f64>,
}

/// Peak memory in MB after 1000 TaskRuns and after many.
pub(crate) struct Memory {
    pub(crate) few: f64,
    pub(crate) many: f64,
    pub(crate) count: usize,
}

impl Memory {
    fn growth(&self) -> f64 {
        self.many / self.few - 1.0
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The median of what one is of the other in the same turn.
fn ratio(ours: &[f64], other: &[f64]) -> Option<f64> {
    median(&ours.iter().zip(other).map(|(ours, other)| ours / other).collect::<Vec<_>>())
}

fn verdict(reached: bool) -> &'static str {
    if reached { "yes" } else { "**no**" }
}

/// What of the bare checks one core has to reach; of Tekton's verifier; and by how much memory may grow.
const OF_TEKTON: f64 = 2.0;
const MEMORY_GROWTH: f64 = 0.1;

impl Speed {
    fn of_bare(&self) -> Option<f64> {
        ratio(&self.svidence, &self.bare)
    }

    fn of_tekton(&self) -> Option<f64> {
        ratio(&self.svidence, &self.tekton)
    }
}

/// Which targets are reached and which are not, in a sentence.
fn conclusion(speeds: &[Speed], memory: &Memory) -> String {
    let mut targets: Vec<(String, bool)> = Vec::new();
    for speed in speeds {
        if let Some((target, found)) = speed.target.zip(speed.of_bare()) {
            targets.push((format!("{}, of the bare checks", speed.name), found >= target));
        }
        if let Some(found) = speed.of_tekton() {
            targets.push((format!("{}, beside Tekton's verifier", speed.name), found >= OF_TEKTON));
        }
    }
    targets.push(("memory".to_owned(), memory.growth() <= MEMORY_GROWTH));
    let missed: Vec<&str> =
        targets.iter().filter(|(_, reached)| !reached).map(|(target, _)| target.as_str()).collect();
    match missed.as_slice() {
        [] => format!("All {} targets of the verifier are reached.", targets.len()),
        missed => format!(
            "{} of {} targets of the verifier are reached. Not reached: {}.",
            targets.len() - missed.len(),
            targets.len(),
            missed.join("; "),
        ),
    }
}

/// What one core reaches of the bare checks, for one shape.
pub(crate) fn line(speed: &Speed) -> String {
    let of_bare = 100.0 * speed.of_bare().unwrap_or_default();
    let target = speed.target.map_or(String::new(), |target| format!(", to reach: {:.0} %", 100.0 * target));
    format!("{}: {of_bare:.1} % of the bare checks{target}", speed.name)
}

/// The tables in Markdown.
pub(crate) fn table(speeds: &[Speed], memory: &Memory) -> String {
    let number = |values: &[f64]| median(values).map_or("–".to_owned(), |value| format!("{value:.0}"));
    let percent =
        |ratio: Option<f64>| ratio.map_or("–".to_owned(), |ratio| format!("{:.1} %", 100.0 * ratio));
    let mut table = String::from(
        "| TaskRuns per second | checks | svidence, one core | bare checks | of these | target | reached | all cores | bare checks | of these |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for speed in speeds {
        let of_bare = speed.of_bare();
        let target = speed.target;
        let _ = writeln!(
            table,
            "| {} | {:.0} | {} | {} | {} | {} | {} | {} | {} | {} |",
            speed.name,
            speed.checks,
            number(&speed.svidence),
            number(&speed.bare),
            percent(of_bare),
            target.map_or("–".to_owned(), |target| format!("≥ {:.0} %", 100.0 * target)),
            of_bare.zip(target).map_or("–", |(ratio, target)| verdict(ratio >= target)),
            number(&speed.all_cores),
            number(&speed.bare_all_cores),
            percent(ratio(&speed.all_cores, &speed.bare_all_cores)),
        );
    }
    table.push_str(
        "\n| TaskRuns per second and core | evidence | svidence | Tekton | better by | ≥ 2× |\n\
         | --- | --- | ---: | ---: | ---: | ---: |\n",
    );
    for speed in speeds {
        let of_tekton = speed.of_tekton();
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} |",
            speed.name,
            if speed.beside { "the same for both" } else { "each its own form" },
            number(&speed.svidence),
            number(&speed.tekton),
            of_tekton.map_or("–".to_owned(), |ratio| format!("{ratio:.1}×")),
            of_tekton.map_or("–", |ratio| verdict(ratio >= OF_TEKTON)),
        );
    }
    let _ = write!(
        table,
        "\n| largest resident memory | MB |\n| --- | ---: |\n| 1000 TaskRuns | {:.1} |\n| {} TaskRuns | {:.1} |\n\n\
         It grows by {:.1} % (to reach: at most {:.0} %): {}.\n",
        memory.few,
        memory.count,
        memory.many,
        100.0 * memory.growth(),
        100.0 * MEMORY_GROWTH,
        verdict(memory.growth() <= MEMORY_GROWTH),
    );
    table
}

/// The part on the verifier.
pub(crate) fn markdown(speeds: &[Speed], memory: &Memory) -> String {
    format!(
        "\n# The verifier\n\n\
         Written by `make bench`; not to be edited by hand. `svidence verify` {ours} beside a loop of the bare signature checks and beside\n\
         Tekton's own verifier {tekton} (`pkg/spire`, `VerifyTaskRunResults`), in one run, on {date}: {machine}.\n\n\
         {conclusion}\n\n\
         {table}\n\
         ## Method\n\n{METHOD}\
         - {DISTINCT} distinct TaskRuns of each shape, each with a certificate of its own, which is many times what the verifier remembers;\n  \
         {TURNS} turns, medians; ratios are medians of the ratios within a turn.\n",
        ours = env!("CARGO_PKG_VERSION"),
        tekton = version("TEKTON"),
        date = OffsetDateTime::now_utc().date(),
        machine = machine(),
        conclusion = conclusion(speeds, memory),
        table = table(speeds, memory),
    )
}

const METHOD: &str = "\
- A second is one of CPU time, user and system, of the whole process with all its threads (`--jobs 1`, `GOMAXPROCS=1`), so the
  figures are for one core; \"all cores\" is by the clock on the wall with one worker a core. svidence's start is in it, Tekton's is not.
- svidence reads JSON lines from a file and prints verdicts and results to /dev/null. It is optimised as it is for a release.
- The bare loop checks the same signatures with the same library (ring): each attestation's, that of the certificate by its authority once a
  TaskRun, and where there are TEP-0089 entries all of these. It reads, hashes and compares nothing else.
- Tekton's verifier is given the parsed name and the termination message of each step (it knows nothing else), checks the TEP-0089 entries and
  the certificate, and asks the Workload API for the bundle each time, as it does in Tekton's controller. Its Workload API is another process.
- \"Each its own form\": both judge the same TaskRuns with the same results, svidence by one attestation a step, Tekton by its entries, one
  signature a result and one for the list of names. \"The same for both\": the messages hold attestations and entries, and svidence checks all
  signatures, more than Tekton does.
- Memory is VmHWM after the last answer, while the program waits for more input; it is fed TaskRuns of one step by a pipe.
";
