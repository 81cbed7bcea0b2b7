//! The policy file: what an operator demands of TaskRuns beyond good evidence (docs/verify.md "Policy").
//!
//! A policy only ever demands. What the command line accepts is still refused where a rule forbids it, and what a rule
//! accepts is still refused where the command line does not: the stricter wins. Nothing in a file turns a check off. One field
//! says whom to trust, as the command line's bundle does.

mod age;
mod broken;
mod image;
mod judge;
mod pattern;
mod program;
mod steps;
mod value;

use std::collections::HashSet;

pub use age::{AgeError, MaxAge};
use broken::DemandSubject;
pub use pattern::{Pattern, PatternError};
pub use program::{ProgramDemand, StatedDigest, StatedDigestError};
use serde::Deserialize;
use unixtime::UnixSeconds;
pub use value::{StatedValue, StatedValueError, WholePattern, WholePatternError};
use x509::Fingerprint;

use super::{
    facts::{Detail, ResultName},
    findings::Findings,
    verdict::Breach,
};
use crate::{
    evidence::{attestation::is_result_name, sha256},
    tekton::{
        strict::{
            node::{Misfit, Node},
            parser_words::plain,
            yaml::{self, Dates},
        },
        taskrun::TaskRun,
        value::ResultValue,
    },
    verify::{
        compare::value::VerifiedResult,
        finding::Finding,
        proof::{AttestedBy, Proof},
        trust::Trust,
    },
};

/// The version of the format that this program reads.
const VERSION: u64 = 1;

/// Why a file is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Neither JSON nor YAML, or a key appears twice in one object.
    #[error("not {format}: {error}")]
    Syntax {
        /// JSON or YAML.
        format: &'static str,
        /// With line and column.
        error: String,
    },
    /// Not one document.
    #[error("{}", documents_words(*.0))]
    Documents(usize),
    /// A field is missing, unknown or of the wrong type.
    #[error("{}", plain(&.0.to_string()))]
    Shape(Misfit),
    /// A demand that nothing can meet, or that demands nothing.
    #[error("{place}: {problem}")]
    Demand {
        /// `rules[0]`.
        place: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Another version.
    #[error("its version is {0}; this program knows version 1")]
    Version(u64),
    /// `expires` is not a time.
    #[error("expires: {0:?} is not an RFC 3339 time; it looks like 2027-11-22T00:00:00Z")]
    Expires(String),
    /// No rule, so nothing could ever be accepted.
    #[error("it has no rules, so every TaskRun would be refused")]
    NoRules,
    /// A demanded result has an impossible name or appears twice.
    #[error("{place}: {name:?} {problem}")]
    Result {
        /// `rules[0].results[0]`.
        place: String,
        /// As written.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Evidence that a rule accepts besides attestations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum AcceptedEvidence {
    /// svidence's own; always accepted.
    #[serde(rename = "attestation")]
    Attestation,
    /// Tekton's signatures alone.
    #[serde(rename = "tep-0089")]
    Tep0089,
}

/// How the time of signing may be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcceptedTime {
    /// The certificates are valid now.
    ValidNow,
    /// A time stamp proves that they were valid when it was signed.
    ValidThen,
    /// They were valid at the time given with `--at`.
    Asserted,
    /// Not at all; the command line must accept it, too.
    Unproven,
}

impl AcceptedTime {
    fn as_str(self) -> &'static str {
        match self {
            Self::ValidNow => "valid-now",
            Self::ValidThen => "valid-then",
            Self::Asserted => "asserted",
            Self::Unproven => "unproven",
        }
    }
}

/// Which failures a rule lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failures {
    /// None: the TaskRun succeeded and so did every step that ran.
    None,
    /// The TaskRun succeeded; steps may have failed under `onError: continue`.
    #[default]
    Continued,
    /// The TaskRun may have failed.
    Any,
}

/// What is demanded of Tekton Chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChainsDemand {
    /// Its signature, by a key that the command line gives.
    Signed,
}

/// A result that must be there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DemandedResult {
    /// Its name, as in `status.results`.
    pub name: String,
    /// Its type. The policy vouches for it then, where otherwise only the task of the status does, which nobody signs.
    #[serde(rename = "type")]
    pub kind: Option<ResultType>,
    /// The step whose value it must be: that step set it, and no later step did.
    pub from: Option<String>,
    /// The step result of `from` that it must be taken from. The policy vouches for its name then.
    pub step_result: Option<String>,
    /// The value that it must have.
    pub value: Option<StatedValue>,
    /// The values of which it must have one.
    pub one_of: Option<Vec<StatedValue>>,
    /// What the whole of its value must match.
    pub matches: Option<WholePattern>,
    /// That the program of the step that set it is attested.
    pub program: Option<ProgramDemand>,
    /// SHA-256 of the scripts of which that step must have run one.
    pub script_sha256: Option<Vec<StatedDigest>>,
    /// Digests of programs (docs/evidence.md section 3) of which that step must have run one.
    pub program_sha256: Option<Vec<StatedDigest>>,
    /// SHA-256 of images of which that step must have run in one.
    pub image_sha256: Option<Vec<StatedDigest>>,
}

impl DemandedResult {
    /// The type that the policy vouches for: as it says, or that of the one value that it states.
    fn vouched_type(&self) -> Option<ResultType> {
        self.kind.or_else(|| self.value.as_ref().map(StatedValue::kind))
    }

    /// What nothing can meet at once.
    fn impossible(&self) -> Option<&'static str> {
        let values = || self.value.iter().chain(self.one_of.iter().flatten());
        if self.one_of.as_ref().is_some_and(Vec::is_empty) {
            Some("has an empty oneOf, which nothing meets")
        } else if has_empty_list([&self.script_sha256, &self.program_sha256, &self.image_sha256]) {
            Some("has an empty list of SHA-256, which nothing meets")
        } else if self.kind.is_some_and(|kind| values().any(|value| value.kind() != kind)) {
            Some("has a value of another type than it demands")
        } else if let (Some(value), Some(one_of)) = (&self.value, &self.one_of)
            && !one_of.contains(value)
        {
            Some("has a value that is not in its oneOf")
        } else if let Some(pattern) = &self.matches
            && values().any(|value| !value.matches(pattern))
        {
            Some("has a value that its pattern does not match")
        } else {
            None
        }
    }
}

/// The types of Tekton's results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultType {
    /// A text.
    String,
    /// A list of texts.
    Array,
    /// Texts by key.
    Object,
}

impl ResultType {
    fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// Whether a result is what Tekton makes of the text that its step wrote, where the task declares this type: a string
    /// is the text as it is, also where that is JSON; a list or an object is what the JSON means.
    fn is_of(self, result: &VerifiedResult) -> bool {
        match &result.value {
            ResultValue::String(text) => self == Self::String && sha256(text.as_bytes()) == result.digest,
            value => value.type_name() == self.as_str(),
        }
    }
}

/// What is demanded of the TaskRuns that it selects.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// What the rule is called in findings.
    pub name: Option<String>,
    /// Namespaces it speaks of.
    pub namespace: Pattern,
    /// Names of TaskRuns it speaks of.
    pub task_run: Pattern,
    /// Accepted forms of evidence; attestations always are.
    #[serde(default)]
    pub evidence: Vec<AcceptedEvidence>,
    /// What each step's certificate must attest.
    pub attested_by: Option<AttestedBy>,
    /// That the programs of the steps are attested.
    pub program: Option<ProgramDemand>,
    /// SHA-256 of the scripts of which each step must have run one.
    pub script_sha256: Option<Vec<StatedDigest>>,
    /// Digests of programs (docs/evidence.md section 3) of which each step must have run one.
    pub program_sha256: Option<Vec<StatedDigest>>,
    /// SHA-256 of images of which each step must have run in one.
    pub image_sha256: Option<Vec<StatedDigest>>,
    /// How long ago a step may say it signed, counted to now or to the time of `--at`.
    pub max_age: Option<MaxAge>,
    /// How the time may be known.
    #[serde(default = "proven_times")]
    pub time: Vec<AcceptedTime>,
    /// Which failures pass.
    #[serde(default)]
    pub failures: Failures,
    /// Whether an object without `status.steps` may lack signed results.
    #[serde(default)]
    pub not_carried: bool,
    /// Authorities whose CAs are believed without a SPIFFE ID, as `--authority-without-uri` names them.
    #[serde(default)]
    pub authorities_without_uri: Vec<Fingerprint>,
    /// That Tekton Chains signed an attestation of the run, and of the PipelineRun that it belongs to (`--chains-key`).
    pub chains: Option<ChainsDemand>,
    /// How many TaskRuns it must speak of in a walk, counted once each and only if they are verified or accepted.
    pub min: Option<u64>,
    /// Results that must be there.
    #[serde(default)]
    pub results: Vec<DemandedResult>,
}

impl Rule {
    /// Whether it speaks of a TaskRun of this namespace and name.
    pub fn is_of(&self, namespace: &str, name: &str) -> bool {
        self.namespace.matches(namespace) && self.task_run.matches(name)
    }
}

/// Without a word on it, the time has to be proven.
fn proven_times() -> Vec<AcceptedTime> {
    vec![AcceptedTime::ValidNow, AcceptedTime::ValidThen]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u64,
    expires: String,
    rules: Vec<Rule>,
}

/// A policy.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    /// SHA-256 of the file.
    pub digest: [u8; 32],
    /// The last second in which it may be used.
    pub expires: UnixSeconds,
    rules: Vec<Rule>,
}

impl PolicyFile {
    /// Reads a policy: JSON if it begins with `{`, else YAML. Unknown fields and repeated keys are refused.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let document: Document = read(text)?.read().map_err(PolicyError::Shape)?;
        if document.version != VERSION {
            return Err(PolicyError::Version(document.version));
        }
        let expires = UnixSeconds::parse(&document.expires).ok_or(PolicyError::Expires(document.expires))?;
        let rules = document.rules;
        for (index, rule) in rules.iter().enumerate() {
            check_possible(rule, index)?;
        }
        if rules.is_empty() {
            return Err(PolicyError::NoRules);
        }
        Ok(Self { digest: sha256(text.as_bytes()), expires, rules })
    }

    /// The rules, in the order of the file.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What rule number `index` is called: its number from 1, and its name.
    pub fn rule_name(&self, index: usize) -> String {
        match self.rules.get(index).and_then(|rule| rule.name.as_deref()) {
            Some(name) => format!("rule {} ({name})", index + 1),
            None => format!("rule {}", index + 1),
        }
    }

    /// The rules that speak of a TaskRun. Namespace and name are bound by the signature.
    pub(super) fn select(&self, task_run: &TaskRun) -> Vec<usize> {
        let selects = |rule: &Rule| rule.is_of(&task_run.metadata.namespace, &task_run.metadata.name);
        (0..self.rules.len()).filter(|&index| selects(&self.rules[index])).collect()
    }

    /// The authorities that every one of the `selected` rules believes without a SPIFFE ID. Naming one says whom to trust, as a
    /// bundle does; it turns no check off.
    pub(super) fn authorities_without_uri(&self, selected: &[usize]) -> Vec<Fingerprint> {
        let mut rules = selected.iter().map(|&index| &self.rules[index].authorities_without_uri);
        let mut named = rules.next().cloned().unwrap_or_default();
        rules.for_each(|others| named.retain(|name| others.contains(name)));
        named
    }

    /// Why the policy cannot decide about a TaskRun that `selected` rules speak of.
    pub(super) fn undecided(&self, task_run: &TaskRun, selected: &[usize], trust: &Trust) -> Option<Finding> {
        let undecided = |detail, demanded: String, found: String| Finding::Policy {
            rule: "as a whole".to_owned(),
            detail,
            step: None,
            result: None,
            demanded,
            found,
            breach: Breach::Undecided,
        };
        if trust.now > self.expires {
            let (expires, now) = (self.expires.to_string(), trust.now.to_string());
            return Some(undecided(
                Detail::EXPIRED_POLICY,
                format!("it may be used until {expires}"),
                format!("it is {now}"),
            ));
        }
        selected.is_empty().then(|| {
            let name = format!("{}/{}", task_run.metadata.namespace, task_run.metadata.name);
            undecided(
                Detail::NO_RULE,
                "a rule must speak of the TaskRun".to_owned(),
                format!("the policy says nothing about {name}"),
            )
        })
    }

    /// What a PipelineRun lacks that rules demand of Tekton Chains: those that speak of one of its runs, by the names of these.
    pub(super) fn unsigned_by_chains<'a>(
        &self,
        namespace: &str,
        runs: impl Iterator<Item = &'a str> + Clone,
    ) -> Vec<Finding> {
        let is_of = |rule: &Rule| runs.clone().any(|run| rule.is_of(namespace, run));
        let rules = self.rules.iter().enumerate();
        let rules = rules.filter(|(_, rule)| rule.chains == Some(ChainsDemand::Signed) && is_of(rule));
        let broken = rules.map(|(index, _)| Finding::Policy {
            rule: self.rule_name(index),
            detail: Detail::CHAINS,
            step: None,
            result: None,
            demanded: "Tekton Chains must have signed an attestation of the PipelineRun".to_owned(),
            found: "none was checked (--chains-key gives the key)".to_owned(),
            breach: Breach::TooWeak,
        });
        broken.collect()
    }

    /// Rules about one of a PipelineRun's runs that want all of it to be there, which attestations of Tekton Chains do not carry.
    pub(super) fn wants_whole<'a>(
        &self,
        namespace: &str,
        runs: impl Iterator<Item = &'a str> + Clone,
    ) -> Vec<Finding> {
        let is_of = |rule: &Rule| runs.clone().any(|run| rule.is_of(namespace, run));
        let rules = self.rules.iter().enumerate().filter(|(_, rule)| !rule.not_carried && is_of(rule));
        let broken = rules.map(|(index, _)| Finding::Policy {
            rule: self.rule_name(index),
            detail: Detail::NOT_CARRIED,
            step: None,
            result: None,
            demanded: "all of the PipelineRun must be there".to_owned(),
            found: "attestations of Tekton Chains do not carry it".to_owned(),
            breach: Breach::TooWeak,
        });
        broken.collect()
    }

    /// What of a proof breaks the `selected` rules. Names and types that a rule vouches for are no longer claimed then.
    ///
    /// A missing result is `absent`; evidence or time that is too weak is `weak`, and never accepted; all else is `invalid`.
    pub(super) fn judge(
        &self,
        task_run: &TaskRun,
        selected: &[usize],
        proof: &mut Proof,
        trust: &Trust,
    ) -> Findings {
        // First what any rule vouches for, so that the order of the rules does not matter.
        if proof.basis.tep0089_values().is_none() {
            for demanded in selected.iter().flat_map(|&index| &self.rules[index].results) {
                judge::vouch(demanded, &mut proof.results);
            }
        }
        let demanded = selected.iter().flat_map(|&index| &self.rules[index].results);
        let typed = demanded.filter(|demanded| demanded.vouched_type().is_some());
        let typed: HashSet<&str> = typed.map(|demanded| demanded.name.as_str()).collect();
        let mut findings = Findings::default();
        for &index in selected {
            let rule = &self.rules[index];
            let mut broken = |about: DemandSubject<'_>, detail, demanded, found, breach| {
                let (step, result) = match about {
                    DemandSubject::TaskRun => (None, None),
                    DemandSubject::Step(step) => (Some(step.to_owned()), None),
                    DemandSubject::Result(name) => (None, Some(Box::new(ResultName::task(name)))),
                };
                let rule = self.rule_name(index);
                findings.push(Finding::Policy { rule, detail, step, result, demanded, found, breach });
            };
            judge::judge(rule, &typed, task_run, proof, trust, &mut broken);
        }
        findings
    }
}

fn has_empty_list(lists: [&Option<Vec<StatedDigest>>; 3]) -> bool {
    lists.into_iter().flatten().any(Vec::is_empty)
}

fn documents_words(count: usize) -> String {
    match count {
        0 => "it is empty".to_owned(),
        _ => format!("it holds {count} documents, a policy is one"),
    }
}

fn read(text: &str) -> Result<Node, PolicyError> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str::<Node>(text)
            .map_err(|error| PolicyError::Syntax { format: "JSON", error: plain(&error.to_string()) });
    }
    let documents = yaml::nodes(text, Dates::Text)
        .map_err(|error| PolicyError::Syntax { format: "YAML", error: error.to_string() })?;
    match <[_; 1]>::try_from(documents) {
        Ok([document]) => Ok(document),
        Err(documents) => Err(PolicyError::Documents(documents.len())),
    }
}

/// A demand that nothing can meet is a mistake in the file.
fn check_possible(rule: &Rule, index: usize) -> Result<(), PolicyError> {
    let mut names = HashSet::with_capacity(rule.results.len());
    for (i, result) in rule.results.iter().enumerate() {
        let problem = if !is_result_name(&result.name) {
            "is not the name of a result"
        } else if !names.insert(result.name.as_str()) {
            "appears twice"
        } else if result.step_result.is_some() && result.from.is_none() {
            "has a stepResult, but no step that it is from"
        } else if let Some(problem) = result.impossible() {
            problem
        } else {
            continue;
        };
        let place = format!("rules[{index}].results[{i}]");
        return Err(PolicyError::Result { place, name: result.name.clone(), problem });
    }
    let problem = if rule.time.is_empty() {
        "time is an empty list, which nothing meets"
    } else if has_empty_list([&rule.script_sha256, &rule.program_sha256, &rule.image_sha256]) {
        "scriptSha256, programSha256 or imageSha256 is an empty list, which nothing meets"
    } else if rule.min == Some(0) {
        "min is 0, which demands nothing; leave it out, or write 1 or more"
    } else {
        return Ok(());
    };
    Err(PolicyError::Demand { place: format!("rules[{index}]"), problem })
}
