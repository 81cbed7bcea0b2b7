//! In which image a step must have run.

use x509::text::hex;

use super::{
    DemandedResult, Rule, StatedDigest,
    steps::{Demanded, each, that_set},
};
use crate::verify::{
    compare::value::VerifiedResult,
    facts::Detail,
    policy::broken::{Broken, BrokenOf},
    proof::{Proof, StepSummary},
    verdict::Breach,
};

const DEMANDED: Demanded = Demanded {
    detail: Detail::IMAGE,
    of_each: "the image of every step must be attested",
    of_setter: |result| format!("the image of the step that set result {result} must be attested"),
};

/// Every step that signed must have run in an image that the rule lists.
pub(crate) fn check_every_step(rule: &Rule, proof: &Proof, broken: &mut BrokenOf<'_>) {
    let Some(stated) = &rule.image_sha256 else { return };
    each(&DEMANDED, proof, broken, |step, broken| judge(stated, step, broken));
}

/// The step that set a result must have run in an image that is listed.
pub(crate) fn check_result(
    demanded: &DemandedResult,
    result: &VerifiedResult,
    proof: &Proof,
    broken: &mut Broken<'_>,
) {
    let Some(stated) = &demanded.image_sha256 else { return };
    if let Some(step) = that_set(&DEMANDED, (&demanded.name, result), proof, broken) {
        judge(stated, step, broken);
    }
}

fn judge(stated: &[StatedDigest], step: &StepSummary, broken: &mut Broken<'_>) {
    let (found, breach) = match step.image.digest() {
        Some(digest) if stated.iter().any(|stated| stated.is(&digest)) => return,
        Some(digest) => (format!("it is {}", hex(&digest)), Breach::Contradicted),
        None => (format!("its image is {}", step.image.as_str()), Breach::TooWeak),
    };
    let stated: Vec<String> = stated.iter().map(ToString::to_string).collect();
    let demanded = format!("the image of step {} must have the SHA-256 {}", step.name, stated.join(" or "));
    broken(Detail::IMAGE, demanded, found, breach);
}
