//! In which image a step must have run.

use x509::text::hex;

use super::{DemandedResult, Rule, StatedDigest};
use crate::verify::{
    compare::value::VerifiedResult,
    facts::Detail,
    policy::broken::{About, Broken, BrokenOf},
    proof::{Proof, StepSummary},
    verdict::Breach,
};

/// Every step that signed must have run in an image that the rule lists.
pub(crate) fn of_every_step(rule: &Rule, proof: &Proof, broken: &mut BrokenOf<'_>) {
    let Some(stated) = &rule.image_sha256 else { return };
    if proof.basis.tep0089_values().is_some() {
        let demanded = "the image of every step must be attested".to_owned();
        let found = "there are no attestations".to_owned();
        return broken(About::TaskRun, Detail::IMAGE, demanded, found, Breach::TooWeak);
    }
    for step in proof.basis.steps() {
        judge(stated, step, &mut |detail, demanded, found, breach| {
            broken(About::Step(&step.name), detail, demanded, found, breach);
        });
    }
}

/// The step that set a result must have run in an image that is listed.
pub(crate) fn of_result(
    demanded: &DemandedResult,
    result: &VerifiedResult,
    proof: &Proof,
    broken: &mut Broken<'_>,
) {
    let Some(stated) = &demanded.image_sha256 else { return };
    let text = || format!("the image of the step that set result {} must be attested", demanded.name);
    let Some(step) = proof.basis.steps().find(|step| step.name == result.step) else {
        let found = "there is no attestation of it".to_owned();
        return broken(Detail::IMAGE, text(), found, Breach::TooWeak);
    };
    if !result.set {
        let found = format!("step {} found it so", step.name);
        return broken(Detail::IMAGE, text(), found, Breach::Contradicted);
    }
    judge(stated, step, broken);
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
