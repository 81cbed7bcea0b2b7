//! What a worker makes of a run.

use crate::{
    cli::gate::{Demanded, is_unfinished},
    sources::{
        judge::Judge,
        run_name::RunKind,
        shard::{Families, Kin, Membership},
    },
    tekton::{pipelinerun::PipelineRun, run::Run, taskrun::TaskRun},
    verify::{Report, Verifier, pipeline::Child},
};

/// What a worker gives back.
#[allow(clippy::large_enum_variant, reason = "nearly all are TaskRuns, and each is moved once or twice")]
pub(super) enum Answer {
    /// A TaskRun, with what a PipelineRun may need of it.
    TaskRun(Report, Option<Box<Child>>),
    /// It is judged when all its TaskRuns are.
    PipelineRun(Box<PipelineRun>),
    /// A run of another shard, where it is reported.
    OfAnotherShard(OfAnotherShard),
}

/// A run of another shard.
pub(super) struct OfAnotherShard {
    /// Whether it is judged where what has not finished is left out.
    pub(super) has_finished: bool,
    /// The verdict, if something is demanded of all shards together that it may meet.
    pub(super) report: Option<Box<Report>>,
    /// What a PipelineRun of this shard may need of it.
    pub(super) child: Option<Box<Child>>,
}

/// The judge of one worker.
pub(super) struct Bench<'a> {
    pub(super) verifier: Verifier<'a>,
    pub(super) demanded: &'a Demanded<'a>,
    /// With a shard: whose runs are judged.
    pub(super) families: Option<&'a Families>,
}

impl Judge<Answer> for Bench<'_> {
    fn glance(&mut self, json: &[u8]) -> Option<Answer> {
        let families = self.families?;
        let kin = Kin::glance(json)?;
        let membership = families.membership(&kin);
        let is_passed_over = membership == Membership::Elsewhere && !self.may_be_demanded(&kin);
        is_passed_over.then(|| Answer::OfAnotherShard(OfAnotherShard::unread(&kin)))
    }

    fn judge(&mut self, run: Run) -> Answer {
        let Some(families) = self.families else { return self.here(run) };
        let kin = Kin::of(&run);
        let membership = families.membership(&kin);
        match run {
            run if membership == Membership::Here => self.here(run),
            Run::TaskRun(object) if membership == Membership::Beside || self.may_be_demanded(&kin) => {
                let (report, child) = self.task_run(&object);
                let child = child.filter(|_| membership == Membership::Beside);
                let has_finished = !is_unfinished(&report);
                Answer::OfAnotherShard(OfAnotherShard { has_finished, report: Some(Box::new(report)), child })
            }
            _ => Answer::OfAnotherShard(OfAnotherShard::unread(&kin)),
        }
    }
}

impl Bench<'_> {
    /// Judges what can be judged now.
    fn here(&mut self, run: Run) -> Answer {
        match run {
            Run::TaskRun(object) => {
                let (report, child) = self.task_run(&object);
                Answer::TaskRun(report, child)
            }
            Run::PipelineRun(object) => Answer::PipelineRun(object),
        }
    }

    fn task_run(&mut self, object: &TaskRun) -> (Report, Option<Box<Child>>) {
        let report = self.verifier.verify(object);
        let child = Child::of_task_run(object, &report).map(Box::new);
        (report, child)
    }

    /// Whether something that is demanded of all shards together waits for such a TaskRun.
    fn may_be_demanded(&self, kin: &Kin) -> bool {
        kin.kind() == RunKind::TaskRun && self.demanded.waits_for(kin.name())
    }
}

impl OfAnotherShard {
    fn unread(kin: &Kin) -> Self {
        Self { has_finished: kin.has_finished(), report: None, child: None }
    }
}
