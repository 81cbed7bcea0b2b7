//! What a step must have run.

use serde::Deserialize;
use x509::text::hex;

use super::{
    DemandedResult, Rule,
    steps::{Demanded, each, that_set},
};
use crate::verify::{
    AttestedProgram,
    compare::value::VerifiedResult,
    facts::Detail,
    policy::broken::{Broken, BrokenOf},
    proof::{Proof, StepSummary},
    verdict::Breach,
};

/// That a step's program is attested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramDemand {
    /// The task in the status says what the step signed.
    Attested,
}

/// SHA-256 as `sha256sum` prints it: 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StatedDigest([u8; 32]);

/// Why a text is not a [`StatedDigest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256, which is 64 hexadecimal digits in lower case")]
pub struct StatedDigestError;

impl StatedDigest {
    /// Whether it is this one.
    pub(super) fn is(&self, digest: &[u8; 32]) -> bool {
        self.0 == *digest
    }
}

impl std::fmt::Display for StatedDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl TryFrom<String> for StatedDigest {
    type Error = StatedDigestError;

    fn try_from(text: String) -> Result<Self, StatedDigestError> {
        let mut digest = [0; 32];
        for (i, byte) in digest.iter_mut().enumerate() {
            let digits = text.get(2 * i..2 * i + 2).ok_or(StatedDigestError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| StatedDigestError)?;
        }
        // What is read back is what was written: two digits a byte, no signs, nothing behind.
        if hex(&digest) == text { Ok(Self(digest)) } else { Err(StatedDigestError) }
    }
}

/// What a rule or a demanded result says of programs.
#[derive(Clone, Copy)]
struct Demands<'a> {
    attested: Option<ProgramDemand>,
    scripts: Option<&'a [StatedDigest]>,
    programs: Option<&'a [StatedDigest]>,
}

impl Demands<'_> {
    fn is_empty(self) -> bool {
        self.attested.is_none() && self.scripts.is_none() && self.programs.is_none()
    }
}

const DEMANDED: Demanded = Demanded {
    detail: Detail::PROGRAM,
    of_each: "what every step ran must be attested",
    of_setter: |result| format!("what the step ran that set result {result} must be attested"),
};

/// Every step that signed must have run what the rule says.
pub(crate) fn check_every_step(rule: &Rule, proof: &Proof, broken: &mut BrokenOf<'_>) {
    let demands = Demands {
        attested: rule.program,
        scripts: rule.script_sha256.as_deref(),
        programs: rule.program_sha256.as_deref(),
    };
    if demands.is_empty() {
        return;
    }
    each(&DEMANDED, proof, broken, |step, broken| judge(demands, step, broken));
}

/// The step that set a result must have run what is demanded.
pub(crate) fn check_result(
    demanded: &DemandedResult,
    result: &VerifiedResult,
    proof: &Proof,
    broken: &mut Broken<'_>,
) {
    let demands = Demands {
        attested: demanded.program,
        scripts: demanded.script_sha256.as_deref(),
        programs: demanded.program_sha256.as_deref(),
    };
    if demands.is_empty() {
        return;
    }
    if let Some(step) = that_set(&DEMANDED, (&demanded.name, result), proof, broken) {
        judge(demands, step, broken);
    }
}

fn judge(demands: Demands<'_>, step: &StepSummary, broken: &mut Broken<'_>) {
    let name = &step.name;
    let is_attested = matches!(step.program, AttestedProgram::Program { .. });
    let said = format!("its program is {}", step.program.as_str());
    if demands.attested.is_some() && !is_attested {
        broken(
            Detail::PROGRAM,
            format!("what step {name} ran must be attested"),
            said.clone(),
            Breach::TooWeak,
        );
    }
    let mut one_of = |what: &str, stated: &[StatedDigest], ran: Result<[u8; 32], (String, Breach)>| {
        let (found, breach) = match ran {
            Ok(ran) if stated.contains(&StatedDigest(ran)) => return,
            Ok(ran) => (format!("it is {}", hex(&ran)), Breach::Contradicted),
            Err(not) => not,
        };
        let stated: Vec<String> = stated.iter().map(ToString::to_string).collect();
        let demanded = format!("the {what} of step {name} must have the SHA-256 {}", stated.join(" or "));
        broken(Detail::PROGRAM, demanded, found, breach);
    };
    if let Some(stated) = demands.scripts {
        let ran = match (step.script_digest(), is_attested) {
            (Some(script), _) => Ok(script),
            (None, true) => Err(("it ran a command, not a script".to_owned(), Breach::Contradicted)),
            (None, false) => Err((said.clone(), Breach::TooWeak)),
        };
        one_of("script", stated, ran);
    }
    if let Some(stated) = demands.programs {
        // That one is signed, whatever the task in the status says of it.
        one_of("program", stated, step.program_digest().ok_or((said, Breach::TooWeak)));
    }
}
