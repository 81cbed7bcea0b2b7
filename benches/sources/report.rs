//! The tables, and the part of `docs/benchmarks.md` on sources that are servers.

use std::fmt::Write as _;

use time::OffsetDateTime;

use super::{
    FEW, MANY, TURNS,
    document::{machine, version},
};

/// svidence beside a client that only reads, once a turn: TaskRuns per second by the clock on the wall.
pub(crate) struct Beside {
    pub(crate) name: String,
    /// What of the bare client's rate is to be reached.
    pub(crate) target: f64,
    pub(crate) svidence: Vec<f64>,
    pub(crate) bare: Vec<f64>,
}

/// Peak memory in MB.
pub(crate) struct Memory {
    pub(crate) few: f64,
    pub(crate) many: f64,
}

/// The program as it is released.
pub(crate) struct Program {
    pub(crate) bytes: u64,
    /// Milliseconds by the clock on the wall until it has ended: the median.
    pub(crate) start: f64,
}

/// All that is measured; `None` is what could not be.
pub(crate) struct Figures {
    pub(crate) rows: Vec<Beside>,
    pub(crate) memory: Option<Memory>,
    pub(crate) program: Option<Program>,
}

const MEMORY_GROWTH: f64 = 0.1;
/// Bytes.
const LARGEST: u64 = 13_000_000;
/// Milliseconds.
const LONGEST_START: f64 = 5.0;

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

impl Beside {
    /// The median of what one is of the other in the same turn.
    fn ratio(&self) -> f64 {
        median(self.svidence.iter().zip(&self.bare).map(|(ours, bare)| ours / bare).collect())
    }
}

fn verdict(reached: bool) -> &'static str {
    if reached { "yes" } else { "**no**" }
}

/// The tables in Markdown.
pub(crate) fn table(Figures { rows, memory, program }: &Figures) -> String {
    let mut table = String::from(
        "| TaskRuns per second | svidence verify | only reading | of that | target | reached |\n| --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let (ratio, target) = (row.ratio(), row.target);
        let _ = writeln!(
            table,
            "| {} | {:.0} | {:.0} | {:.1} % | ≥ {:.0} % | {} |",
            row.name,
            median(row.svidence.clone()),
            median(row.bare.clone()),
            100.0 * ratio,
            100.0 * target,
            verdict(ratio >= target),
        );
    }
    if let Some(Memory { few, many }) = memory {
        let growth = many / few - 1.0;
        let _ = write!(
            table,
            "\n| largest resident memory, runs of a cluster | MB |\n| --- | ---: |\n| {FEW} TaskRuns | {few:.1} |\n| {MANY} TaskRuns | {many:.1} |\n\n\
             It grows by {:.1} % (to reach: at most {:.0} %): {}.\n",
            100.0 * growth,
            100.0 * MEMORY_GROWTH,
            verdict(growth <= MEMORY_GROWTH),
        );
    }
    if let Some(Program { bytes, start }) = program {
        let _ = write!(
            table,
            "\n| `svidence` as it is released | measured | to reach | reached |\n| --- | ---: | ---: | ---: |\n\
             | size, bytes | {bytes} | ≤ {LARGEST} | {} |\n| start to end of `svidence version`, ms | {start:.1} | ≤ {LONGEST_START} | {} |\n",
            verdict(*bytes <= LARGEST),
            verdict(*start <= LONGEST_START),
        );
    }
    table
}

/// The part on sources that are servers.
pub(crate) fn markdown(figures: &Figures) -> String {
    format!(
        "\n# Runs that a server has\n\n\
         Written by `make bench`; not to be edited by hand. `svidence verify` {ours} of {MANY} TaskRuns of one step with five results, beside a\n\
         client of the same protocol that only reads them, in one run, on {date}: {machine}. Servers: kube-apiserver\n\
         {kubernetes} on etcd, and the API server of Tekton Results {results} on PostgreSQL, all on the same machine.\n\n\
         {table}\n## Method\n\n{METHOD}- {TURNS} turns, each goes first as often as the other; medians; ratios are medians of the ratios within a turn.\n",
        ours = env!("CARGO_PKG_VERSION"),
        date = OffsetDateTime::now_utc().date(),
        machine = machine(),
        kubernetes = version("KUBERNETES"),
        results = version("RESULTS"),
        table = table(figures),
    )
}

const METHOD: &str = "\
- By the clock on the wall, from the start of the program to its end. Servers, database and client share the cores, so what svidence takes for
  verifying is missing to the servers: with cores of its own it comes closer. At 100 Mbit/s (`tc`, a token bucket on the servers' loopback) all of
  them wait for the network most of the time, as where the archive is another machine.
- The bare clients are part of the benchmark and keep one connection. That of the cluster lists in pages of 500, as `kubectl get --raw` would if
  it were asked for each page, and looks for nothing but the next page; 1.3 times its time are 77 % of its rate. That of Results asks with the same
  filter, order and pages of 1,000, and keeps nothing; over REST it leaves the values in base64. None of them counts before it reads, as svidence does.
- Memory is VmHWM, looked at with every 50th answer and the last.
- In the cluster all TaskRuns are distinct. In the archive 2,000 are, five times in the same order, which is many times what the verifier remembers.
";
