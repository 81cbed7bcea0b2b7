//! The table, and the part of `docs/benchmarks.md` on the controller.

use std::{fmt::Write as _, time::Duration};

use time::OffsetDateTime;

use super::{
    burst::{RUNS, TURNS},
    document::{machine, version},
    resident::{ENDED, RUNNING},
};

/// All that is measured.
pub(crate) struct Figures {
    pub(crate) resident: Resident,
    pub(crate) calls: Calls,
    pub(crate) idle: Idle,
    pub(crate) entries: Times,
    pub(crate) verdict: Times,
    pub(crate) burst: Burst,
}

/// Memory in MB, and how long all took that there was to do at the start.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) now: f64,
    pub(crate) anonymous: f64,
    pub(crate) largest: f64,
    pub(crate) startup: Duration,
}

/// Calls of the API server, and the TaskRuns that they were about.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) total: usize,
    pub(crate) runs: usize,
}

/// Percent of a core: nothing is running, and TaskRuns are but do not change.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) nothing: f64,
    pub(crate) busy: f64,
}

/// Times in milliseconds, the shortest first.
pub(crate) struct Times(Vec<f64>);

impl Times {
    pub(crate) fn of(times: Vec<Duration>) -> Self {
        let mut times: Vec<f64> = times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// The one that this many percent do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }
}

/// Once a turn.
pub(crate) struct Burst {
    pub(crate) controller: Vec<Duration>,
    pub(crate) spire: Vec<Duration>,
}

impl Burst {
    /// The median of what one is of the other in the same turn.
    pub(crate) fn ratio(&self) -> f64 {
        let pairs = self.controller.iter().zip(&self.spire);
        let mut ratios: Vec<f64> =
            pairs.map(|(ours, bare)| ours.as_secs_f64() / bare.as_secs_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or_default()
    }
}

fn verdict(reached: bool) -> &'static str {
    if reached { "yes" } else { "**no**" }
}

fn seconds(times: &[Duration]) -> String {
    times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect::<Vec<_>>().join(", ")
}

/// The table in Markdown.
pub(crate) fn table(figures: &Figures) -> String {
    let Figures { resident, calls, idle, entries, verdict: judged, burst } = figures;
    let (p50, p99, ratio) = (entries.percentile(50), entries.percentile(99), burst.ratio());
    // Far below 2^53.
    let a_run = calls.total as f64 / calls.runs as f64;
    let last = judged.percentile(99);
    let rows = [
        (
            "the pod has a node → its TaskRun of 3 steps is registered, p50 / p99, ms".to_owned(),
            format!("{p50:.1} / {p99:.1}"),
            "≤ 20 / 100",
            p50 <= 20.0 && p99 <= 100.0,
        ),
        (
            format!(
                "{RUNS} TaskRuns of 3 steps at once: the time that SPIRE takes for 3,000 entries in batches"
            ),
            format!("{ratio:.2} ×"),
            "≤ 1.3 ×",
            ratio <= 1.3,
        ),
        (
            format!("largest resident memory, {RUNNING} TaskRuns running, {ENDED} ended, MB"),
            format!("{:.1}", resident.largest),
            "≤ 40",
            resident.largest <= 40.0,
        ),
        (
            "calls of the API server a TaskRun, beside lists, watches and the lease".to_owned(),
            format!("{a_run:.2}"),
            "≤ 3",
            a_run <= 3.0,
        ),
        (
            "a TaskRun ends → its verdict is on it, p50 / p99, ms".to_owned(),
            format!("{:.1} / {last:.1}", judged.percentile(50)),
            "≤ 250 (p99)",
            last <= 250.0,
        ),
        (
            format!("CPU while nothing happens, {ENDED} TaskRuns ended, % of a core"),
            format!("{:.3}", idle.nothing),
            "≤ 0.1",
            idle.nothing <= 0.1,
        ),
    ];
    let mut table = String::from("| what | measured | to reach | reached |\n| --- | ---: | ---: | ---: |\n");
    for (what, measured, target, reached) in rows {
        let _ = writeln!(table, "| {what} | {measured} | {target} | {} |", verdict(reached));
    }
    let _ = write!(
        table,
        "\nOf the memory {:.1} MB are left when all is done, {:.1} MB of these are not the program itself; all that there was to do at the start took \
         {:.0} s. With the {RUNNING} TaskRuns running and nothing else happening it takes {:.3} % of a core. The burst took {} s, SPIRE alone {} s.\n",
        resident.now,
        resident.anonymous,
        resident.startup.as_secs_f64(),
        idle.busy,
        seconds(&burst.controller),
        seconds(&burst.spire),
    );
    table
}

/// The part on the controller.
pub(crate) fn markdown(figures: &Figures) -> String {
    format!(
        "# The controller\n\n\
         Written by `make bench`; not to be edited by hand. `svidence controller` {ours}, in one run, on {date}: {machine}. Servers: kube-apiserver\n\
         {kubernetes} on etcd, and SPIRE {spire} with SQLite, all on the same machine.\n\n\
         {table}\n## Method\n\n{METHOD}- The burst: {TURNS} turn(s), each with servers of its own; the median of the ratios within a turn.\n",
        ours = env!("CARGO_PKG_VERSION"),
        date = OffsetDateTime::now_utc().date(),
        machine = machine(),
        kubernetes = version("KUBERNETES"),
        spire = version("SPIRE"),
        table = table(figures),
    )
}

const METHOD: &str = "\
- The controller runs as in `config/controller`, with a lease and with probes. Nobody schedules, runs or controls anything: the benchmark writes
  what the scheduler, the kubelet and Tekton write, with the timings that it measures from.
- Registered, and judged, is a TaskRun when the controller says so in its log, which it does after the server's answer. The clock starts before
  the request that gives the pod its node, or the TaskRun its end: 200 TaskRuns, and 100 whose one step a real entrypoint has signed, one after
  the other.
- The burst begins with the first pod that is written into etcd, each with a node and in a transaction of its own; their TaskRuns are there before. SPIRE
  alone gets the very entries that the controller has made of it, from the same client, in batches of 100, one after the other.
- Memory is VmHWM, after the start in a cluster where nothing was registered and none of the TaskRuns that have ended had a verdict. Those have
  three steps and five results, and signatures of an authority that SPIRE does not know, so that each gets a verdict and no event.
- Calls are those that the API server's `apiserver_request_total` counts for pods, runs and events in that time, but for lists and watches.
- CPU is what the scheduler says of all threads (`schedstat`) within a minute, with the lease and the watches.
";
