//! What is counted, in the text that Prometheus reads (exposition format 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Upper bounds of latencies, in seconds.
const BOUNDS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// What is counted, shared with whoever asks for it.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    entries: usize,
    backlog: usize,
    is_ready: bool,
    /// When the loop came round last; `None`: it has not begun.
    beat: Option<Instant>,
    registered: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
    deleted: u64,
    vanished: u64,
    errors: BTreeMap<&'static str, u64>,
    registration: Latency,
    to_judge: usize,
    /// By namespace and verdict.
    verdicts: BTreeMap<(String, &'static str), u64>,
    verdict_errors: BTreeMap<&'static str, u64>,
    judging: Latency,
    to_stamp: usize,
    /// Tokens, by namespace.
    timestamps: BTreeMap<String, u64>,
    /// Runs, by namespace.
    timestamps_missed: BTreeMap<String, u64>,
    tsa_errors: BTreeMap<&'static str, u64>,
}

/// How long something took.
#[derive(Debug, Default)]
struct Latency {
    /// How many took no longer than each bound.
    within: [u64; BOUNDS.len()],
    seconds: f64,
    measured: u64,
}

impl Latency {
    fn note(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.seconds += seconds;
        self.measured += 1;
        for (count, bound) in self.within.iter_mut().zip(BOUNDS) {
            *count += u64::from(seconds <= bound);
        }
    }

    fn add_to(&self, text: &mut String, name: &str, help: &str) {
        let Self { within, measured, seconds } = self;
        head(text, name, "histogram", help);
        for (bound, count) in BOUNDS.iter().zip(within) {
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(
            text,
            "{name}_bucket{{le=\"+Inf\"}} {measured}\n{name}_sum {seconds}\n{name}_count {measured}"
        );
    }
}

/// The state of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Entries that the SPIRE server has.
    pub entries: usize,
    /// Pods and TaskRuns that are still to be looked at.
    pub backlog: usize,
    /// Whether all that it needs is known.
    pub is_ready: bool,
    /// When that was.
    pub at: Instant,
}

impl Metrics {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop has come round.
    pub fn state(&self, state: State) {
        let mut counts = self.lock();
        let State { entries, backlog, is_ready, at } = state;
        (counts.entries, counts.backlog) = (entries, backlog);
        (counts.is_ready, counts.beat) = (is_ready, Some(at));
    }

    /// Something of a namespace was registered, so long after that was due.
    pub fn registered(&self, namespace: &str, took: Duration) {
        let mut counts = self.lock();
        *counts.registered.entry(namespace.to_owned()).or_default() += 1;
        counts.registration.note(took);
    }

    /// So many runs that have ended have no verdict.
    pub fn to_judge(&self, runs: usize) {
        self.lock().to_judge = runs;
    }

    /// A run of a namespace has this verdict, so long after it was seen that it had ended.
    pub fn judged(&self, namespace: &str, verdict: &'static str, took: Duration) {
        let mut counts = self.lock();
        *counts.verdicts.entry((namespace.to_owned(), verdict)).or_default() += 1;
        counts.judging.note(took);
    }

    /// A verdict could not be made or noted, for a reason with this code.
    pub fn not_judged(&self, code: &'static str) {
        *self.lock().verdict_errors.entry(code).or_default() += 1;
    }

    /// So many runs lack time stamps.
    pub fn to_stamp(&self, runs: usize) {
        self.lock().to_stamp = runs;
    }

    /// Tokens were stored on a run of a namespace.
    pub fn stamped(&self, namespace: &str, tokens: usize) {
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
        *self.lock().timestamps.entry(namespace.to_owned()).or_default() += tokens;
    }

    /// A run of a namespace gets no tokens any more: its certificates have expired, or they cannot be stored.
    pub fn missed(&self, namespace: &str) {
        *self.lock().timestamps_missed.entry(namespace.to_owned()).or_default() += 1;
    }

    /// There was no token, or it could not be stored, for a reason with this code.
    pub fn not_stamped(&self, code: &'static str) {
        *self.lock().tsa_errors.entry(code).or_default() += 1;
    }

    /// Something of a namespace was refused.
    pub fn refused(&self, namespace: &str) {
        *self.lock().refused.entry(namespace.to_owned()).or_default() += 1;
    }

    /// Entries were deleted.
    pub fn deleted(&self, entries: usize) {
        self.lock().deleted += u64::try_from(entries).unwrap_or(u64::MAX);
    }

    /// Entries were deleted by somebody else.
    pub fn vanished(&self, entries: usize) {
        self.lock().vanished += u64::try_from(entries).unwrap_or(u64::MAX);
    }

    /// The SPIRE server did not do something, for a reason with this code.
    pub fn failed(&self, code: &'static str) {
        *self.lock().errors.entry(code).or_default() += 1;
    }

    /// Whether the loop has come round within `patience` before `at`, or has not begun.
    pub fn is_alive(&self, at: Instant, patience: Duration) -> bool {
        self.lock().beat.is_none_or(|beat| at.saturating_duration_since(beat) <= patience)
    }

    /// Whether all that it needs is known.
    pub fn is_ready(&self) -> bool {
        self.lock().is_ready
    }

    /// As Prometheus reads it. `is_leading`: whether this controller is the one that acts.
    pub fn text(&self, is_leading: bool) -> String {
        let counts = self.lock();
        let mut text = String::new();
        counts.add_numbers(is_leading, &mut text);
        counts.add_families(&mut text);
        counts.registration.add_to(
            &mut text,
            "svidence_controller_registration_seconds",
            "Time from when a change was seen until the entries are there.",
        );
        counts.judging.add_to(
            &mut text,
            "svidence_controller_verdict_seconds",
            "Time from when a run was seen to have ended until its verdict is noted on it.",
        );
        text
    }
}

/// What Prometheus wants to know of a metric before its values.
fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

impl Counts {
    fn add_numbers(&self, is_leading: bool, text: &mut String) {
        for (name, kind, help, value) in [
            (
                "svidence_controller_entries",
                "gauge",
                "Registration entries of ours that the SPIRE server has.",
                self.entries.to_string(),
            ),
            (
                "svidence_controller_backlog",
                "gauge",
                "Pods and TaskRuns that are still to be looked at.",
                self.backlog.to_string(),
            ),
            (
                "svidence_controller_verdict_backlog",
                "gauge",
                "Runs that have ended and have no verdict yet.",
                self.to_judge.to_string(),
            ),
            (
                "svidence_controller_timestamp_backlog",
                "gauge",
                "Verified runs that lack time stamps and are still to get them.",
                self.to_stamp.to_string(),
            ),
            (
                "svidence_controller_leading",
                "gauge",
                "Whether this controller is the one that acts.",
                u8::from(is_leading).to_string(),
            ),
            (
                "svidence_controller_entries_deleted_total",
                "counter",
                "Entries that were deleted as nobody needed them.",
                self.deleted.to_string(),
            ),
            (
                "svidence_controller_entries_vanished_total",
                "counter",
                "Entries that somebody else has deleted.",
                self.vanished.to_string(),
            ),
        ] {
            head(text, name, kind, help);
            let _ = writeln!(text, "{name} {value}");
        }
    }

    fn add_families(&self, text: &mut String) {
        for (name, help, by_namespace) in [
            (
                "svidence_controller_registered_total",
                "Pods and TaskRuns that were registered.",
                &self.registered,
            ),
            ("svidence_controller_refused_total", "Pods and TaskRuns that get no identity.", &self.refused),
            (
                "svidence_controller_timestamps_total",
                "Time stamps that were stored on runs.",
                &self.timestamps,
            ),
            (
                "svidence_controller_timestamps_missed_total",
                "Runs that get no time stamps any more, mostly as their certificates have expired.",
                &self.timestamps_missed,
            ),
        ] {
            head(text, name, "counter", help);
            for (namespace, count) in by_namespace {
                let _ = writeln!(text, "{name}{{namespace=\"{namespace}\"}} {count}");
            }
        }
        let name = "svidence_controller_verdicts_total";
        head(text, name, "counter", "Verdicts that were noted on runs.");
        for ((namespace, verdict), count) in &self.verdicts {
            let _ = writeln!(text, "{name}{{namespace=\"{namespace}\",verdict=\"{verdict}\"}} {count}");
        }
        for (name, help, by_code) in [
            (
                "svidence_controller_spire_errors_total",
                "Calls that the SPIRE server did not do, by reason.",
                &self.errors,
            ),
            (
                "svidence_controller_verdict_errors_total",
                "Verdicts that could not be made or noted, by reason; they are tried again.",
                &self.verdict_errors,
            ),
            (
                "svidence_controller_tsa_errors_total",
                "Time stamps that could not be had or stored, by reason; they are tried again.",
                &self.tsa_errors,
            ),
        ] {
            head(text, name, "counter", help);
            for (code, count) in by_code {
                let _ = writeln!(text, "{name}{{code=\"{code}\"}} {count}");
            }
        }
    }
}
