//! Whom every answer is told, and what is said of a walk at its end.

use std::{io::Write, mem};

use super::{
    answer::{Answer, OfAnotherShard},
    asked::{Asked, note_where_filed},
    gate::Gate,
    sources::SourceArgs,
};
use crate::{
    report::{Item, People, Reports, safe::Line},
    sources::{
        error::SourceError,
        run_name::RunKind,
        walk::{Event, Place, Walked},
    },
    verify::{
        Detail, Finding, Policy, Report, Trust, Verdict,
        pipeline::{JudgedPipelineRun, Pipelines},
    },
};

/// Where a PipelineRun was found.
pub(super) type Found = (String, u64, Option<u64>);

/// Whom every answer is told.
pub(super) struct Told<'a> {
    /// What the PipelineRuns are judged by.
    pub(super) judged_by: (&'a Trust, &'a Policy),
    /// Those that came, with what belongs to them.
    pub(super) pipelines: Pipelines<Found>,
    pub(super) gate: Gate<'a>,
    pub(super) people: People<'a>,
    pub(super) reports: Reports<'a>,
    /// Runs that were asked for by name.
    pub(super) asked: Option<Asked<'a>>,
    /// Whether places are records of an archive.
    pub(super) is_archive: bool,
    pub(super) worst: Option<Verdict>,
    /// Something could not be read.
    pub(super) unread: bool,
    pub(super) elsewhere: Elsewhere,
}

/// How many runs belong to other shards.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    finished: u64,
    unfinished: u64,
}

impl Elsewhere {
    /// All of them.
    pub(super) fn count(&self) -> u64 {
        self.finished + self.unfinished
    }
}

impl Told<'_> {
    /// What a walk hands over; whether it was judged and told.
    pub(super) fn hear(&mut self, event: Event<'_, Answer>, lines: &mut dyn Write) -> bool {
        match event {
            Event::Object { place, outcome: Ok(Answer::TaskRun(report, child)) } => {
                if let Some(child) = child {
                    self.pipelines.child(*child);
                }
                self.came(RunKind::TaskRun, &report.task_run);
                return self.tell(place, Ok(report), lines);
            }
            Event::Object { place, outcome: Ok(Answer::PipelineRun(object)) } => {
                self.came(RunKind::PipelineRun, &object.full_name());
                let found = (place.path.to_owned(), place.index, place.line);
                if let Some(JudgedPipelineRun { report, .. }) = self.pipelines.pipeline_run(*object, found) {
                    self.tell(place, Ok(report), lines);
                }
            }
            Event::Object { outcome: Ok(Answer::OfAnotherShard(run)), .. } => self.of_another_shard(run),
            Event::Object { place, outcome: Err(error) } => return self.tell(place, Err(error), lines),
            Event::Waiting => {
                self.reports.flush();
                let _ = lines.flush();
            }
            Event::Settled => self.settle(lines),
            Event::WaitingFor(reason) => {
                let _ = writeln!(lines, "svidence verify: {}", Line(&reason));
                let _ = lines.flush();
            }
        }
        false
    }

    /// Judges the PipelineRuns that came, by what came with them; none of it is kept.
    pub(super) fn settle(&mut self, lines: &mut dyn Write) {
        let (trust, policy) = self.judged_by;
        let pipelines = mem::take(&mut self.pipelines);
        pipelines.finish(trust, policy, &mut |JudgedPipelineRun { place: (path, index, line), report }| {
            self.tell(Place { path: &path, index, line }, Ok(report), lines);
        });
    }

    /// A run that came, whatever will be told of it.
    fn came(&mut self, kind: RunKind, full_name: &str) {
        if let Some(asked) = &mut self.asked {
            asked.came(kind, full_name);
        }
    }

    /// A run of another shard, of which nothing is told.
    fn of_another_shard(&mut self, run: OfAnotherShard) {
        match run.has_finished {
            true => self.elsewhere.finished += 1,
            false => self.elsewhere.unfinished += 1,
        }
        if let Some(report) = run.report {
            self.gate.count(&report);
        }
        if let Some(child) = run.child {
            self.pipelines.child(*child);
        }
    }

    /// Tells one answer; whether it was judged.
    fn tell(
        &mut self,
        place: Place<'_>,
        mut outcome: Result<Report, SourceError>,
        lines: &mut dyn Write,
    ) -> bool {
        self.asked.iter_mut().for_each(|asked| asked.came_from(place));
        match (&mut outcome, &mut self.asked) {
            (Ok(report), _) if self.gate.leaves_out(report) => {
                let _ = self.people.left_out(report, place, lines);
                return false;
            }
            (Ok(report), _) if self.is_archive => note_where_filed(place, report),
            (Err(error), Some(asked)) => asked.failed(error),
            _ => {}
        }
        let outcome = outcome.as_ref();
        let item = Item { place, outcome };
        let _ = self.people.item(&item, lines);
        self.reports.item(&item);
        self.worst = self.worst.max(Some(item.verdict()));
        self.unread |= outcome.is_err_and(|error| error.verdict() == Verdict::Unchecked);
        true
    }
}

/// What is said of a walk that judged nothing, unless that is fine. A shard without runs is, if the whole had been judged without shards.
pub(super) fn nothing(
    sources: &SourceArgs,
    walked: Walked,
    gate: &Gate<'_>,
    elsewhere: &Elsewhere,
) -> Option<Finding> {
    let (judged_elsewhere, left_out) = match gate.is_of_finished() {
        true => (elsewhere.finished, gate.left_out + elsewhere.unfinished),
        false => (elsewhere.count(), 0),
    };
    if judged_elsewhere > 0 {
        return None;
    }
    if left_out > 0 {
        let text = "nothing was judged: no TaskRun has finished (--allow-empty accepts that)";
        let finding = || Finding::undecided(Detail::NOTHING_FINISHED, None, text);
        return (!sources.allows_empty()).then(finding);
    }
    sources.nothing_found(walked).map(|text| Finding::undecided(Detail::NOTHING_FOUND, None, text))
}

/// What is said if a source changes while a shard of it is read.
pub(super) fn changed() -> Finding {
    let text = "a pipeline in a pipeline came that was not there when the source was first read, so runs may have been left to other \
                shards that do not judge them, either; verify what does not change any more (--until, a copy), every shard anew";
    Finding::undecided(Detail::CHANGED_MEANWHILE, None, text)
}
