//! Which steps a demand is about: all that signed, or the one that set a result.

use crate::verify::{
    compare::value::VerifiedResult,
    facts::Detail,
    policy::broken::{Broken, BrokenOf, DemandSubject},
    proof::{Proof, StepSummary},
    verdict::Breach,
};

/// What is demanded of steps, in words.
pub(super) struct Demanded {
    /// What a finding is about.
    pub(super) detail: Detail,
    /// Of each step.
    pub(super) of_each: &'static str,
    /// Of the step that set the result of this name.
    pub(super) of_setter: fn(&str) -> String,
}

/// Judges each step that signed.
pub(super) fn each(
    demanded: &Demanded,
    proof: &Proof,
    broken: &mut BrokenOf<'_>,
    judge: impl Fn(&StepSummary, &mut Broken<'_>),
) {
    if proof.basis.tep0089_values().is_some() {
        let found = "there are no attestations".to_owned();
        let of_each = demanded.of_each.to_owned();
        return broken(DemandSubject::TaskRun, demanded.detail, of_each, found, Breach::TooWeak);
    }
    for step in proof.basis.steps() {
        judge(step, &mut |detail, demanded, found, breach| {
            broken(DemandSubject::Step(&step.name), detail, demanded, found, breach);
        });
    }
}

/// The step that set a result, by the name that is demanded; `None` if none has, which is told.
pub(super) fn that_set<'a>(
    demanded: &Demanded,
    (name, result): (&str, &VerifiedResult),
    proof: &'a Proof,
    broken: &mut Broken<'_>,
) -> Option<&'a StepSummary> {
    let (found, breach) = match proof.basis.steps().find(|step| step.name == result.step) {
        Some(step) if result.set => return Some(step),
        Some(step) => (format!("step {} found it so", step.name), Breach::Contradicted),
        None => ("there is no attestation of it".to_owned(), Breach::TooWeak),
    };
    broken(demanded.detail, (demanded.of_setter)(name), found, breach);
    None
}
