//! What people read on standard error: a line a TaskRun, a line for each cause, a tally at the end.

use std::io::{self, Write};

use x509::text::hex;

use crate::{
    evidence::attestation::{Ended, SignedOutcome},
    report::{
        Item,
        causes::{alone, causes},
        colour::{Colour, Style},
        origins::Origins,
        pipeline,
        safe::Line,
        tally::{Tally, count},
    },
    sources::{error::SourceError, walk::Place},
    verify::{Finding, Proof, Report, StepSummary, TimeProof, Verdict, pipeline::Pipeline},
};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Failures only.
    Quiet,
    /// A line a TaskRun, and why.
    Normal,
    /// Everything: each finding, notes, steps, authorities and digests.
    Verbose,
}

/// What begins every line below that of a TaskRun.
const INDENT: &str = "          ";

/// The text of one walk.
pub(crate) struct People<'a> {
    verbosity: Verbosity,
    colour: Colour,
    /// Whether it has to be said of every TaskRun where it is.
    several: bool,
    /// Where each authority is from.
    origins: &'a Origins,
    tally: Tally,
    notes: u64,
}

impl<'a> People<'a> {
    /// `several`: the sources are more than one file.
    pub(crate) fn new(verbosity: Verbosity, colour: Colour, several: bool, origins: &'a Origins) -> Self {
        People { verbosity, colour, several, origins, tally: Tally::default(), notes: 0 }
    }

    /// One TaskRun, or what is none.
    pub(crate) fn item(&mut self, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        self.tally.count(item);
        match item.outcome {
            Ok(report) if report.accepted && self.verbosity == Verbosity::Quiet => Ok(()),
            Ok(report) => self.task_run(item.place, report, out),
            Err(error) => self.unreadable(error, out),
        }
    }

    /// One that has not finished, and is not judged therefore.
    pub(crate) fn left_out(
        &mut self,
        report: &Report,
        place: Place<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.tally.left_out += 1;
        if self.verbosity == Verbosity::Quiet {
            return Ok(());
        }
        let at = if self.several { format!(" in {place}") } else { String::new() };
        let text = format!("left out  {}{at}: it has not finished", report.title());
        writeln!(out, "{}", self.colour.paint(Style::Faint, Line(&text)))
    }

    /// What is demanded of the walk as a whole and is missing.
    pub(crate) fn missing(&self, findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
        findings.iter().map(alone).try_for_each(|cause| {
            let word =
                self.colour.paint(style(cause.verdict, false), format!("{:<9}", cause.verdict.as_str()));
            let rule = self.colour.paint(Style::Faint, format!("[{}]", cause.rule));
            writeln!(out, "{word} {}  {rule}", Line(&cause.text))
        })
    }

    /// The tally; `elsewhere`: so many runs belong to other shards. With [`Verbosity::Quiet`] only if something failed.
    pub(crate) fn end(&self, exit_code: u8, elsewhere: u64, out: &mut dyn Write) -> io::Result<()> {
        if self.verbosity == Verbosity::Quiet && exit_code == 0 {
            return Ok(());
        }
        if elsewhere > 0 {
            let verb = if elsewhere == 1 { "belongs" } else { "belong" };
            let text = format!("{} {verb} to other shards", count(elsewhere, "run", "runs"));
            writeln!(out, "{}", self.colour.paint(Style::Faint, text))?;
        }
        let notes = match (self.notes, self.verbosity) {
            (0, _) | (_, Verbosity::Verbose) => String::new(),
            (notes, _) => format!("; {} (-v shows them)", count(notes, "note", "notes")),
        };
        let style = if exit_code == 0 { Style::Good } else { Style::Bad };
        let tally = format!("{}{notes}; exit code {exit_code}", self.tally);
        writeln!(out, "{}", self.colour.paint(style, Line(&tally)))
    }

    fn unreadable(&self, error: &SourceError, out: &mut dyn Write) -> io::Result<()> {
        let verdict = error.verdict();
        let word = self.colour.paint(style(verdict, false), format!("{:<9}", verdict.as_str()));
        let rule = format!("[{}: {}]", error.code(), error.detail().as_str());
        writeln!(out, "{word} {}  {}", Line(&error.to_string()), self.colour.paint(Style::Faint, rule))
    }

    fn task_run(&mut self, place: Place<'_>, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let word = match (report.verdict, report.accepted) {
            (Verdict::Weak, true) => "weak (accepted)",
            (verdict, _) => verdict.as_str(),
        };
        let word = self.colour.paint(style(report.verdict, report.accepted), format!("{word:<9}"));
        let title = report.title();
        let name = self.colour.paint(Style::Bold, Line(&title));
        let is_verbose = self.verbosity == Verbosity::Verbose;
        // What failed has to be found again.
        let is_to_be_found = is_verbose || !report.accepted;
        let mut at = String::new();
        if self.several || is_to_be_found {
            at = format!(" in {place}");
        }
        if is_to_be_found && !report.uid.is_empty() {
            at.push_str(&format!(", UID {}", report.uid));
        }
        let of_pipeline = report.pipeline.as_ref().filter(|_| report.accepted).map(|tree| whole(tree));
        let qualities = report.proof.as_ref().map(qualities).or(of_pipeline).unwrap_or_default();
        writeln!(out, "{word} {name}{}{qualities}", Line(&at))?;
        match is_verbose {
            true => self.everything(report, out),
            false => {
                self.notes += u64::try_from(report.notes.len()).unwrap_or_default();
                for cause in causes(report) {
                    let rule = self.colour.paint(Style::Faint, format!("[{}]", cause.rule));
                    writeln!(out, "{INDENT}{}  {rule}", Line(&cause.text))?;
                }
                Ok(())
            }
        }
    }

    fn everything(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        for finding in &report.findings {
            let facts = finding.facts();
            let detail = facts.detail.map(|detail| format!(": {}", detail.as_str())).unwrap_or_default();
            let rule = self.colour.paint(Style::Faint, format!("[{}{detail}]", finding.code()));
            writeln!(out, "{INDENT}{}  {rule}", Line(&finding.to_string()))?;
            if let Some(field) = facts.field {
                writeln!(out, "{INDENT}  at {}", Line(&field))?;
            }
        }
        for more in report.findings.more() {
            writeln!(out, "{INDENT}{more}")?;
        }
        for note in &report.notes {
            writeln!(out, "{INDENT}note: {}", Line(note))?;
        }
        for (indent, line) in report.pipeline.iter().flat_map(|pipeline| pipeline::lines(pipeline)) {
            writeln!(out, "{INDENT}{:1$}{2}", "", 2 * indent, Line(&line))?;
        }
        let Some(proof) = &report.proof else { return Ok(()) };
        for step in proof.basis.steps() {
            writeln!(out, "{INDENT}{}", Line(&step_line(step, self.origins)))?;
        }
        for result in &proof.results {
            let text = format!(
                "result {}: SHA-256 {}, {} by step {}",
                result.name,
                hex(&result.digest),
                if result.set { "set" } else { "found" },
                result.step
            );
            writeln!(out, "{INDENT}{}", Line(&text))?;
        }
        Ok(())
    }
}

fn style(verdict: Verdict, is_accepted: bool) -> Style {
    match verdict {
        Verdict::Verified => Style::Good,
        Verdict::Weak if is_accepted => Style::Good,
        Verdict::Invalid => Style::Bad,
        Verdict::Weak | Verdict::Absent | Verdict::Unchecked => Style::Doubtful,
    }
}

fn step_line(step: &StepSummary, origins: &Origins) -> String {
    let origin = origins.get(&step.authority);
    let origin = origin.map(|origin| format!(" ({} in {})", origin.name, origin.place())).unwrap_or_default();
    let attested = match (step.run_attested, step.step_attested, step.executable_attested) {
        (true, true, true) if step.image_attested() => "the run, the step, the program and the image",
        (true, true, true) => "the run, the step and the program",
        (true, true, false) => "the run and the step",
        (true, ..) => "the run",
        _ => "the name of the run only",
    };
    format!(
        "step {}: {}, signed at {}, {}; program {}; its certificate attests {attested}; authority SHA-256 {}{origin}",
        step.name,
        ended(step.outcome),
        step.signed_at,
        time(step.time.proof),
        step.program.as_str(),
        step.authority
    )
}

/// How a step ended.
pub(super) fn ended(outcome: SignedOutcome) -> String {
    let text = match outcome.ended {
        Ended::Exited(code) => format!("exit code {code}"),
        Ended::Signal(signal) => format!("ended by signal {signal}"),
        Ended::Timeout => "timed out".to_owned(),
        Ended::Cancelled => "cancelled".to_owned(),
        Ended::Skipped => "skipped".to_owned(),
        Ended::NotStarted => "not started".to_owned(),
    };
    if outcome.continued { format!("{text} (continued)") } else { text }
}

/// How a time of signing is known.
pub(super) fn time(proof: TimeProof) -> String {
    match proof {
        TimeProof::ValidNow => "certificates valid now".to_owned(),
        TimeProof::ValidThen(stamp) => {
            format!("certificates valid at {}, by time stamp", stamp.gen_time)
        }
        TimeProof::Asserted(at) => format!("certificates valid at {at}, a time you asserted"),
        TimeProof::Unproven => "certificates expired, time of signing not proven".to_owned(),
    }
}

/// How much of a PipelineRun counts as verified.
fn whole(pipeline: &Pipeline) -> String {
    let number = |number: usize| u64::try_from(number).unwrap_or_default();
    let runs = pipeline.tasks.iter().map(|task| task.runs.len()).sum();
    let skipped = pipeline.tasks.iter().filter(|task| task.runs.is_empty()).count();
    let not_run = if skipped > 0 {
        format!("; {} not run", count(number(skipped), "task", "tasks"))
    } else {
        String::new()
    };
    let results = count(number(pipeline.results.len()), "result", "results");
    let failed = if pipeline.failed == Some(true) { "the PipelineRun failed; " } else { "" };
    format!("  ({failed}{results} of {}{not_run})", count(number(runs), "run", "runs"))
}

fn qualities(proof: &Proof) -> String {
    if let Some(values) = proof.basis.tep0089_values() {
        let values = count(u64::try_from(values.get()).unwrap_or_default(), "value", "values");
        return format!("  ({values} signed in the steps' messages)");
    }
    let bound = if proof.run_bound_by_certificate { "certificate" } else { "unsigned times" };
    let time = match (proof.time, proof.time_stamp()) {
        (TimeProof::ValidNow, Some(stamp)) => {
            format!("certificates valid now; time-stamped at {}", stamp.gen_time)
        }
        (proof, _) => time(proof),
    };
    let number = |number: usize| u64::try_from(number).unwrap_or_default();
    let steps = count(number(proof.basis.steps().count()), "signed step", "signed steps");
    let results = count(number(proof.results.len()), "result", "results");
    let partial = if proof.is_partial { "partial object; " } else { "" };
    let failed = if proof.failed { "the TaskRun failed; " } else { "" };
    format!("  ({partial}{failed}{results} of {steps}; run bound by {bound}; {time})")
}
