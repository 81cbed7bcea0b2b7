//! What evidence says, for people to look at. Nothing is checked and there is no verdict; broken parts are named one by one.

mod facts;

use facts::SignedStatement;
pub use facts::{
    ArtifactFacts, AttestationFacts, CertificateFacts, CompactFacts, EntrySize, InspectedStep, Inspection,
    LeafFacts, ResultFacts, Tep0089Facts,
};
use unixtime::whole_milliseconds;
use x509::{Certificate, pem, text::hex};

use super::{
    cache::Caches,
    collect::{self, EvidenceKind, StepEvidence},
    findings::{Findings, KEPT},
};
use crate::{
    evidence::{
        attestation::{self, Attestation, Ended, Form, UNSIGNED},
        leaf::{CompactLeaf, DnsForm},
        sha256,
        statement::uuid,
        tep0089,
    },
    tekton::{message::entry_type, result_kind::ResultKind, taskrun::TaskRun},
    verify::{
        compare::program,
        prove::{chain, step, tep0089::read_certificate as certificate_in},
        trust::Trust,
    },
};

/// Reads whatever can be read. With `trust` the leaf and the statement are rebuilt as well.
pub fn inspect(task_run: &TaskRun, trust: Option<&Trust>) -> Inspection {
    let (steps, findings) = collect::read(task_run);
    Inspection {
        task_run: format!("{}/{}", task_run.metadata.namespace, task_run.metadata.name),
        uid: task_run.metadata.uid.clone(),
        created: task_run.metadata.creation_timestamp.clone(),
        succeeded: task_run.succeeded().map(str::to_owned),
        pod_name: task_run.status.pod_name.clone(),
        earlier_attempts: task_run.status.retries_status.len(),
        evidence: match collect::kind(task_run, &steps) {
            EvidenceKind::Attestation if holds_attestation(&steps) => "attestation",
            EvidenceKind::Attestation => "unsigned",
            EvidenceKind::Tep0089 => "tep-0089",
            EvidenceKind::None => "none",
        },
        problems: findings.iter().map(ToString::to_string).collect(),
        steps: {
            // The entries of the status are told once, however many steps have no message.
            let mut without_message = steps.iter().enumerate().filter(|(_, step)| step.entries().is_none());
            let first = without_message.next().map(|(place, _)| place);
            let facts = |(place, evidence)| step_facts(task_run, evidence, first == Some(place), trust);
            steps.iter().enumerate().map(facts).collect()
        },
    }
}

/// Whether anything stands in an attestation's place but the reason why there is none.
fn holds_attestation(steps: &[StepEvidence<'_>]) -> bool {
    let mut values = steps.iter().filter_map(|step| step.attestation.as_ref()).peekable();
    values.peek().is_none() || values.any(|value| !value.starts_with(UNSIGNED))
}

/// `tells_status`: what is known of the entries in the status goes with this step.
fn step_facts(
    task_run: &TaskRun,
    evidence: &StepEvidence<'_>,
    tells_status: bool,
    trust: Option<&Trust>,
) -> InspectedStep {
    let state = evidence.index.and_then(|index| task_run.status.steps.as_ref()?.get(index));
    let message = state.and_then(|state| state.terminated.as_ref()).map(|end| end.message.len());
    let entries = evidence.entries().unwrap_or_default().iter();
    let in_message = if evidence.entries().is_some() { "the step's message" } else { "status.results" };
    let mut facts = InspectedStep {
        name: evidence.name.to_owned(),
        message_bytes: message.unwrap_or_default(),
        entries: entries
            .map(|entry| EntrySize { key: entry.key.clone(), kind: entry.kind, bytes: entry.value.len() })
            .collect(),
        found_in: evidence.attestation.as_ref().map(|_| in_message),
        unsigned: None,
        problems: Vec::new(),
        attestation: None,
        tep0089: None,
        signed: None,
    };
    facts.tep0089 = tep0089_facts(evidence, tells_status, &mut facts.problems);
    let Some(value) = &evidence.attestation else { return facts };
    if let Some(reason) = value.strip_prefix(UNSIGNED) {
        facts.unsigned = Some(reason.to_owned());
        return facts;
    }
    match Attestation::from_value(value) {
        Ok(attestation) => {
            let (leaf, signed) =
                leaf(evidence, &attestation, task_run.is_partial(), trust, &mut facts.problems);
            let script = program::script(task_run, attestation.place());
            let problems = &mut facts.problems;
            facts.attestation =
                Some(attestation_facts(evidence, &attestation, value.len(), leaf, script, problems));
            facts.signed = signed;
        }
        Err(error) => facts.problems.push(format!("its attestation ({} bytes): {error}", value.len())),
    }
    facts
}

fn attestation_facts(
    evidence: &StepEvidence<'_>,
    attestation: &Attestation,
    bytes: usize,
    leaf: LeafFacts,
    script: Option<[u8; 32]>,
    problems: &mut Vec<String>,
) -> AttestationFacts {
    let artifacts = [
        (ResultKind::Task.as_str(), attestation.task_artifacts),
        (ResultKind::Step.as_str(), attestation.step_artifacts),
    ];
    let mut intermediates = Vec::new();
    for (i, der) in attestation.intermediates.iter().enumerate() {
        match Certificate::parse(der) {
            Ok(certificate) => intermediates.push(certificate_facts(&certificate)),
            Err(error) => problems.push(format!("intermediate {i} ({} bytes): {error}", der.len())),
        }
    }
    AttestationFacts {
        bytes,
        form: if attestation.form == Form::Hints { "hints" } else { "digests" },
        task_run: format!("{}/{}", attestation.namespace, attestation.task_run),
        task_run_uid: attestation.task_run_uid.as_ref().map(uuid),
        pod_name: attestation.pod_name.resolve(&attestation.task_run),
        pod_uid: attestation.pod_uid.as_ref().map(uuid),
        step_index: attestation.step_index,
        step_count: attestation.step_count,
        started: attestation.started.seconds().to_string(),
        duration_ms: whole_milliseconds(attestation.duration),
        delay_ms: whole_milliseconds(attestation.delay),
        signed: attestation.signed_at().seconds().to_string(),
        program_sha256: attestation.program.as_ref().map(|digest| hex(digest)),
        script_sha256: script.map(|digest| hex(&digest)),
        outcome: outcome(attestation),
        tep0089_beside: attestation.tep0089,
        results: result_facts(evidence, attestation, problems),
        artifacts: artifacts
            .into_iter()
            .filter_map(|(kind, digest)| Some(ArtifactFacts { kind, sha256: hex(&digest?) }))
            .collect(),
        leaf,
        intermediates,
        signature_bytes: attestation.signature.len(),
    }
}

fn outcome(attestation: &Attestation) -> String {
    let ended = match attestation.outcome.ended {
        Ended::Exited(code) => format!("exit code {code}"),
        Ended::Timeout => "timeout".to_owned(),
        Ended::Cancelled => "cancelled".to_owned(),
        Ended::Signal(signal) => format!("signal {signal}"),
        Ended::Skipped => "skipped by its when expressions".to_owned(),
        Ended::NotStarted => "not started".to_owned(),
    };
    if attestation.outcome.continued { format!("{ended}, and onError let it pass") } else { ended }
}

fn result_facts(
    evidence: &StepEvidence<'_>,
    attestation: &Attestation,
    problems: &mut Vec<String>,
) -> Vec<ResultFacts> {
    let with_digest = attestation.results.iter().map(|covered| ResultFacts {
        kind: covered.kind.as_str(),
        names: vec![covered.name.clone()],
        hint: None,
        sha256: Some(hex(&covered.digest)),
        set: covered.set,
    });
    let set = attestation.set_hints.iter().map(|hint| (*hint, true));
    let hints = set.chain(attestation.found_hints.iter().map(|hint| (*hint, false)));
    let found = evidence.with_hints(attestation, hints.clone().map(|(hint, _)| hint));
    let mut without_result = 0;
    let with_hint = hints.zip(found).filter_map(|((hint, set), found)| {
        without_result += usize::from(found[0].is_none());
        (found[0].is_some() || without_result <= KEPT).then(|| ResultFacts {
            kind: ResultKind::Task.as_str(),
            names: found.into_iter().flatten().map(|(name, _)| name.to_owned()).collect(),
            hint: Some(hex(&hint)),
            sha256: None,
            set,
        })
    });
    let facts = with_digest.chain(with_hint).collect();
    if let Some(more @ 1..) = without_result.checked_sub(KEPT) {
        problems.push(format!("{more} more of its hints fit no result"));
    }
    facts
}

/// The leaf as it is carried, and rebuilt where that can be done.
fn leaf(
    evidence: &StepEvidence<'_>,
    attestation: &Attestation,
    is_partial: bool,
    trust: Option<&Trust>,
    problems: &mut Vec<String>,
) -> (LeafFacts, Option<SignedStatement>) {
    let is_der = attestation.leaf.first() == Some(&0x30);
    let mut facts = LeafFacts {
        carried: if is_der { "der" } else { "compact" },
        bytes: attestation.leaf.len(),
        compact: None,
        certificate: None,
        pem: None,
    };
    match CompactLeaf::from_bytes(&attestation.leaf) {
        Ok(compact) => facts.compact = Some(compact_facts(&compact)),
        Err(error) if !is_der => problems.push(format!("its certificate: {error}")),
        Err(_) => {}
    }
    let (certificate, signed) = match trust {
        None if is_der => match Certificate::parse(&attestation.leaf) {
            Ok(certificate) => (Some(certificate), None),
            Err(error) => {
                problems.push(format!("its certificate: {error}"));
                (None, None)
            }
        },
        None => (None, None),
        Some(trust) => rebuild(evidence, attestation, is_partial, trust, problems),
    };
    if let Some(certificate) = certificate {
        facts.pem = Some(pem::encode(certificate.der()));
        facts.certificate = Some(certificate_facts(&certificate));
    }
    (facts, signed)
}

/// The leaf under each issuer that may be meant, and the statement under its signature.
fn rebuild(
    evidence: &StepEvidence<'_>,
    attestation: &Attestation,
    is_partial: bool,
    trust: &Trust,
    problems: &mut Vec<String>,
) -> (Option<Certificate>, Option<SignedStatement>) {
    let name = evidence.name;
    let mut caches = Caches::default();
    let carried = chain::read_carried_intermediates(name, attestation, &mut caches);
    let candidates = match chain::find_leaf_candidates(name, attestation, &carried, trust, &mut caches) {
        Ok(candidates) => candidates,
        Err(finding) => {
            problems.push(finding.to_string());
            return (None, None);
        }
    };
    let first = candidates.first().cloned();
    let signed = step::find_covered_results(evidence, attestation, is_partial).and_then(
        |covered| -> Result<SignedStatement, Findings> {
            let (leaf, statement) = step::find_signer(name, attestation, &covered, candidates, trust)?;
            let intermediates = carried?;
            Ok(SignedStatement { statement, signature: attestation.signature.clone(), leaf, intermediates })
        },
    );
    match signed {
        Ok(signed) => (Some(signed.leaf.clone()), Some(signed)),
        Err(findings) => {
            problems
                .extend(findings.iter().map(|finding| format!("its statement cannot be rebuilt: {finding}")));
            (first, None)
        }
    }
}

fn compact_facts(compact: &CompactLeaf) -> CompactFacts {
    CompactFacts {
        issuer_key_id: format!("{}…", hex(&compact.issuer_hint)),
        serial: hex(compact.serial()),
        not_before: compact.not_before().to_string(),
        not_after: compact.not_after().to_string(),
        dns_name: match compact.dns {
            DnsForm::Plain => "none",
            DnsForm::Run => "run",
            DnsForm::Step => "step",
            DnsForm::Pin(_) => "executable",
            DnsForm::Image { .. } => "image",
        },
    }
}

fn certificate_facts(certificate: &Certificate) -> CertificateFacts {
    CertificateFacts {
        uris: certificate.uri_sans().to_vec(),
        dns_names: certificate.dns_sans().to_vec(),
        serial: hex(certificate.serial()),
        not_before: certificate.validity().not_before.to_string(),
        not_after: certificate.validity().not_after.to_string(),
        key: certificate.algorithm().to_string(),
        key_id: certificate.subject_key_id().map(hex),
        issuer_key_id: certificate.authority_key_id().map(hex),
        bytes: certificate.der().len(),
        sha256: hex(&sha256(certificate.der())),
    }
}

/// From the step's message, or if the object holds none, from the results of the status.
fn tep0089_facts(
    evidence: &StepEvidence<'_>,
    tells_status: bool,
    problems: &mut Vec<String>,
) -> Option<Tep0089Facts> {
    let entries: Vec<(&str, &str)> = match evidence.entries() {
        Some(entries) => entries
            .iter()
            .filter(|entry| entry.kind == entry_type::TASK_RESULT)
            .map(|entry| (entry.key.as_str(), entry.value.as_str()))
            .collect(),
        None if tells_status => evidence.task_results_of_status().collect(),
        None => return None,
    };
    let find = |key: &str| entries.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let (svid, manifest) = (find(tep0089::SVID), find(tep0089::MANIFEST));
    if svid.is_none() && manifest.is_none() {
        return None;
    }
    let certificate = svid.and_then(|pem| match certificate_in(pem) {
        Ok(certificate) => Some(certificate_facts(&certificate)),
        Err((_, reason)) => {
            problems.push(reason);
            None
        }
    });
    let names = manifest.unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let signed = entries.iter().filter(|(name, _)| !attestation::is_reserved(name));
    Some(Tep0089Facts {
        certificate,
        manifest: names.map(str::to_owned).collect(),
        signatures: signed
            .filter_map(|(name, _)| name.strip_suffix(tep0089::SUFFIX).map(str::to_owned))
            .collect(),
    })
}
