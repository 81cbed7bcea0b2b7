//! Evidence in TEP-0089 form: Tekton's own signer, or ours beside an attestation.
//!
//! Alone it is weak: a signature covers a value only, and nothing binds names, run, step or time. What it does say is checked
//! as Tekton's `VerifyTaskRunResults` does (Tekton `pkg/spire/verify.go`), without its holes.

use std::collections::{HashMap, HashSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use unixtime::UnixSeconds;
use x509::Certificate;

use crate::{
    evidence::{attestation::is_result_name, statement::PRE_AUTHENTICATION_PREFIX, tep0089},
    tekton::{taskrun::TaskRun, value},
    verify::{
        chain,
        collect::StepEvidence,
        facts::{Detail, ResultName},
        finding::Finding,
        findings::Findings,
        prove::{
            chain::{no_path, read_leaf_id},
            signature::{self, Scheme},
        },
        trust::Trust,
    },
};

/// A result that Tekton's form covers, by name and value only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedValue {
    pub(crate) step: String,
    pub(crate) name: String,
    pub(crate) raw: String,
}

/// Checks a TaskRun that holds no attestation. All is well if only [`SignedValue`]s come back.
pub(crate) fn verify(
    task_run: &TaskRun,
    steps: &[StepEvidence<'_>],
    trust: &Trust,
) -> Result<Vec<SignedValue>, Findings> {
    let mut values = Vec::new();
    let mut findings = Findings::default();
    for step in steps.iter().filter(|step| step.entries().is_some()) {
        match verify_step(task_run, step, trust) {
            Ok(signed) => values.extend(signed),
            Err(finding) => findings.push(finding),
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    if values.is_empty() {
        let reason = "no step's message holds signed results in TEP-0089 form".to_owned();
        return Err(Finding::no_evidence(Detail::NOTHING_SIGNED, reason).into());
    }
    Ok(values)
}

fn verify_step(
    task_run: &TaskRun,
    step: &StepEvidence<'_>,
    trust: &Trust,
) -> Result<Vec<SignedValue>, Finding> {
    let entries: Vec<(&str, &str)> = step.task_results_of_message().collect();
    // Of two with one name the first counts.
    let by_name: HashMap<&str, &str> = entries.iter().rev().copied().collect();
    let find = |key: &str| by_name.get(key).copied();
    let Some(svid) = find(tep0089::SVID) else {
        return match entries.is_empty() {
            true => Ok(Vec::new()),
            false => Err(wrong(step, Detail::SVID_MISSING, "it has results, but no SVID")),
        };
    };
    let leaf = find_trusted_leaf(task_run, step, svid, trust)?;
    let manifest =
        find(tep0089::MANIFEST).ok_or_else(|| wrong(step, Detail::MANIFEST, "it has no RESULT_MANIFEST"))?;
    let manifest_signature = find(&format!("{}{}", tep0089::MANIFEST, tep0089::SUFFIX)).unwrap_or_default();
    check_signature(&leaf, manifest, manifest_signature)
        .then_some(())
        .ok_or_else(|| wrong(step, Detail::TEKTON_SIGNATURE, "the manifest's signature"))?;
    for name in manifest.split(',').filter(|name| !name.is_empty()) {
        find(name).ok_or_else(|| {
            let reason = format!("result {name} of the manifest is missing");
            wrong_result(step, Detail::MANIFEST, name, &reason)
        })?;
    }
    let listed: HashSet<&str> = manifest.split(',').collect();
    let mut checked = Checked { leaf: &leaf, good: HashSet::new() };
    let mut signed = Vec::new();
    for (name, raw) in &entries {
        if [tep0089::SVID, tep0089::MANIFEST].contains(name) || is_signature_of_another(name, &by_name) {
            continue;
        }
        if !is_result_name(name) {
            return Err(wrong(step, Detail::RESULT_NAME, &format!("{name:?} is not the name of a result")));
        }
        if value::decode(raw).tep0089_text().starts_with(PRE_AUTHENTICATION_PREFIX) {
            let reason = format!("result {name} is the text under an attestation's signature");
            return Err(wrong_result(step, Detail::ATTESTATION_TEXT, name, &reason));
        }
        // Tekton's signer overwrites the manifest with an empty one where the step has results of its own.
        if !manifest.is_empty() && !listed.contains(name) {
            let reason = format!("result {name} is not in the manifest");
            return Err(wrong_result(step, Detail::MANIFEST, name, &reason));
        }
        let signature = find(&format!("{name}{}", tep0089::SUFFIX)).unwrap_or_default();
        if !checked.check(value::decode(raw).tep0089_text(), signature) {
            let reason = format!("the signature of result {name} does not match its value");
            return Err(wrong_result(step, Detail::TEKTON_SIGNATURE, name, &reason));
        }
        signed.push(SignedValue {
            step: step.name.to_owned(),
            name: (*name).to_owned(),
            raw: (*raw).to_owned(),
        });
    }
    Ok(signed)
}

/// The certificate of an SVID that is the TaskRun's own and leads to the bundle.
fn find_trusted_leaf(
    task_run: &TaskRun,
    step: &StepEvidence<'_>,
    svid: &str,
    trust: &Trust,
) -> Result<Certificate, Finding> {
    let leaf = read_certificate(svid).map_err(|(detail, reason)| wrong(step, detail, &reason))?;
    let (id, open) = read_leaf_id(&leaf)
        .map_err(|error| wrong(step, Detail::of_rule(error.code()), &error.to_string()))?;
    let expected = trust.spiffe_id(&task_run.metadata.namespace, &task_run.metadata.name);
    if id.to_string() != expected {
        return Err(wrong(step, Detail::IDENTITY, &format!("its SVID belongs to {id}, not to {expected}")));
    }
    let at = trust.check_time_or(task_run.status.completion_time.as_deref().and_then(UnixSeconds::parse));
    let intermediates: Vec<&Certificate> = trust.intermediates.iter().collect();
    chain::find_path(&leaf, &intermediates, &trust.bundle, at)
        .map_err(|error| no_path(step.name, trust, error))?;
    if let Some(error) = open {
        return Err(Finding::certificate(step.name, error.into()));
    }
    Ok(leaf)
}

/// Signatures by one key that were found good, so that one that is there many times is checked once.
struct Checked<'a> {
    leaf: &'a Certificate,
    good: HashSet<(String, &'a str)>,
}

impl<'a> Checked<'a> {
    fn check(&mut self, text: String, signature: &'a str) -> bool {
        let signed = (text, signature);
        self.good.contains(&signed)
            || (check_signature(self.leaf, &signed.0, signature) && self.good.insert(signed))
    }
}

/// Whether a name may be an entry of this form rather than a result.
pub(crate) fn is_evidence_key(name: &str) -> bool {
    name == tep0089::SVID || name == tep0089::MANIFEST || name.ends_with(tep0089::SUFFIX)
}

fn is_signature_of_another(name: &str, entries: &HashMap<&str, &str>) -> bool {
    name.strip_suffix(tep0089::SUFFIX).is_some_and(|base| entries.contains_key(base))
}

pub(crate) fn check_signature(leaf: &Certificate, text: &str, signature: &str) -> bool {
    STANDARD
        .decode(signature)
        .is_ok_and(|signature| signature::verifies(leaf, Scheme::Tep0089, text.as_bytes(), &signature))
}

/// One certificate in PEM, and nothing else.
pub(crate) fn read_certificate(pem: &str) -> Result<Certificate, (Detail, String)> {
    parse_certificate(&read_pem(pem)?)
}

pub(crate) fn read_pem(pem: &str) -> Result<Vec<u8>, (Detail, String)> {
    let refused = || (Detail::SVID, "SVID is not one certificate in PEM".to_owned());
    let body: String = pem
        .strip_prefix("-----BEGIN CERTIFICATE-----\n")
        .and_then(|rest| rest.trim_end_matches('\n').strip_suffix("-----END CERTIFICATE-----"))
        .ok_or_else(refused)?
        .split_ascii_whitespace()
        .collect();
    STANDARD.decode(body).map_err(|_| refused())
}

pub(crate) fn parse_certificate(der: &[u8]) -> Result<Certificate, (Detail, String)> {
    Certificate::parse(der).map_err(|error| (Detail::of_rule(error.code()), format!("SVID: {error}")))
}

pub(crate) fn wrong(step: &StepEvidence<'_>, detail: Detail, reason: &str) -> Finding {
    Finding::Tep0089 { step: step.name.to_owned(), reason: reason.to_owned(), detail, result: None }
}

fn wrong_result(step: &StepEvidence<'_>, detail: Detail, name: &str, reason: &str) -> Finding {
    let (step, result) = (step.name.to_owned(), Some(ResultName::task(name)));
    Finding::Tep0089 { step, reason: reason.to_owned(), detail, result }
}
