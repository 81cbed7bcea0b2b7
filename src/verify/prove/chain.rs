//! A step's certificate: read or rebuilt, its own rules, and the path from it to the bundle.

use unixtime::UnixSeconds;
use x509::{Certificate, CertificateError, Class};

use crate::{
    evidence::{
        attestation::Attestation,
        leaf::{CompactLeaf, DnsForm, Issuer},
        statement,
    },
    tekton::taskrun::TaskRun,
    verify::{
        cache::{Caches, RebuildError},
        facts::Detail,
        finding::{Finding, differs},
        trust::Trust,
        verdict::LeafRule,
    },
    workload::{
        chain::{Path, PathError, PathRule},
        id::{Attested, SpiffeId},
        svid_rules::{SvidRule, check_leaf, spiffe_id},
    },
};

/// The leaf as DER: carried so, or rebuilt for each certificate that may have issued it.
pub(crate) fn find_leaf_candidates(
    step: &str,
    attestation: &Attestation,
    carried: &Result<Vec<Certificate>, Finding>,
    trust: &Trust,
    caches: &mut Caches,
) -> Result<Vec<Certificate>, Finding> {
    let unacceptable = |rule: LeafRule| Finding::certificate(step, rule);
    if attestation.leaf.first() == Some(&0x30) {
        let leaf = caches.parse_certificate(&attestation.leaf).map_err(|error| unacceptable(error.into()))?;
        return Ok(vec![leaf]);
    }
    let compact = CompactLeaf::from_bytes(&attestation.leaf).map_err(|error| unacceptable(error.into()))?;
    let dns_names =
        dns_names(step, attestation, &compact.dns).ok_or_else(|| unacceptable(LeafRule::UidNotCarried))?;
    let spiffe_id = trust.spiffe_id(&attestation.namespace, &attestation.task_run);
    let carried = carried.as_ref().map_err(Clone::clone)?;
    let issuers = carried.iter().chain(&trust.intermediates).chain(trust.bundle.authorities());
    let mut candidates: Vec<Certificate> = Vec::new();
    for issuer in issuers {
        let Some(key_id) = issuer.subject_key_id().filter(|id| id.starts_with(&compact.issuer_hint)) else {
            continue;
        };
        let issuer = Issuer { name: issuer.subject_der(), key_id };
        let leaf = caches.rebuild_leaf(&compact, &attestation.leaf, &spiffe_id, &dns_names, issuer).map_err(
            |error| {
                unacceptable(match error {
                    RebuildError::Leaf(error) => error.into(),
                    RebuildError::Certificate(error) => error.into(),
                })
            },
        )?;
        if candidates.iter().all(|candidate| candidate.der() != leaf.der()) {
            candidates.push(leaf);
        }
    }
    if candidates.is_empty() {
        let key_id = format!("{}…", x509::text::hex(&compact.issuer_hint));
        return Err(Finding::UnknownIssuer { step: step.to_owned(), key_id, detail: Detail::ISSUER_HINT });
    }
    Ok(candidates)
}

fn dns_names(step: &str, attestation: &Attestation, form: &DnsForm) -> Option<Vec<String>> {
    let (step, pin, image) = match form {
        DnsForm::Plain => return Some(Vec::new()),
        DnsForm::Run => (None, None, None),
        DnsForm::Step => (Some(step.to_owned()), None, None),
        DnsForm::Pin(pin) => (Some(step.to_owned()), Some(*pin), None),
        DnsForm::Image { pin, image } => (Some(step.to_owned()), Some(*pin), Some(*image)),
    };
    Some(vec![Attested { uid: attestation.task_run_uid?, step, pin, image }.dns_name().ok()?])
}

pub(crate) fn read_carried_intermediates(
    step: &str,
    attestation: &Attestation,
    caches: &mut Caches,
) -> Result<Vec<Certificate>, Finding> {
    let read = |der: &Vec<u8>| {
        caches
            .parse_certificate(der)
            .map_err(|error| Finding::certificate(step, LeafRule::Intermediate(error)))
    };
    attestation.intermediates.iter().map(read).collect()
}

pub(crate) fn attestation_altered(step: &str) -> Finding {
    Finding::Signature {
        step: step.to_owned(),
        what: "the attestation: a fact in it, the step's name or the trust domain is not what was signed",
        detail: Detail::ATTESTATION_ALTERED,
    }
}

/// The certificate's own rules, the identity, and what its DNS SAN says of run and step; with it, what could not be checked.
pub(crate) fn check_certificate(
    task_run: &TaskRun,
    step: &str,
    attestation: &Attestation,
    leaf: &Certificate,
    trust: &Trust,
) -> Result<(Option<Attested>, Option<SvidRule>), Finding> {
    let unacceptable = |rule: LeafRule| Finding::certificate(step, rule);
    let (id, open) = read_leaf_id(leaf).map_err(|error| unacceptable(error.into()))?;
    let expected = trust.spiffe_id(&task_run.metadata.namespace, &task_run.metadata.name);
    if id.to_string() != expected {
        return Err(differs(step, ("the identity", Detail::IDENTITY), &expected, &id.to_string()));
    }
    let attested = Attested::from_dns_names(leaf.dns_sans()).map_err(|error| unacceptable(error.into()))?;
    if let Some(said) = &attested {
        let uid = statement::uuid(&said.uid);
        if uid != task_run.metadata.uid {
            return Err(differs(step, ("the TaskRun's UID", Detail::UID), &task_run.metadata.uid, &uid));
        }
        if said.step.as_ref().is_some_and(|named| named != step) {
            return Err(differs(
                step,
                ("the step", Detail::STEP),
                step,
                said.step.as_deref().unwrap_or_default(),
            ));
        }
    }
    if attestation.task_run_uid != attested.as_ref().map(|said| said.uid) {
        return Err(unacceptable(LeafRule::UidNotAttested));
    }
    Ok((attested, open))
}

/// The identity of a leaf that nothing contradicts, and what about it could not be checked.
pub(crate) fn read_leaf_id(leaf: &Certificate) -> Result<(SpiffeId, Option<SvidRule>), SvidRule> {
    match check_leaf(leaf) {
        Ok(id) => Ok((id, None)),
        Err(open) if open.class() == Class::Unchecked => Ok((spiffe_id(leaf)?, Some(open))),
        Err(error) => Err(error),
    }
}

/// The chain at the claimed time of signing.
pub(crate) fn find_path(
    step: &str,
    attestation: &Attestation,
    carried: &[Certificate],
    leaf: &Certificate,
    signed_at: UnixSeconds,
    trust: &Trust,
    caches: &mut Caches,
) -> Result<Path, Finding> {
    let intermediates: Vec<&Certificate> = carried.iter().chain(&trust.intermediates).collect();
    // A certificate issued within the last seconds may start after the time that a slow clock showed.
    let path = caches.find_path(leaf, &intermediates, &trust.bundle, signed_at, trust.clock_skew);
    path.map_err(|error| match &error {
        // It was made of what the attestation and the operator say, so one of these is not what the authority signed.
        PathError::Refused { certificate, rule: PathRule::Certificate(CertificateError::BadSignature) }
            if attestation.leaf.first() != Some(&0x30) && *certificate == leaf.label() =>
        {
            attestation_altered(step)
        }
        _ => no_path(step, trust, error),
    })
}

/// What it means for a step that no path leads from its certificate to the bundle.
pub(crate) fn no_path(step: &str, trust: &Trust, error: PathError) -> Finding {
    let step = step.to_owned();
    match error {
        PathError::NoIssuer { key_id, .. } => {
            let key_id = key_id.unwrap_or_else(|| "not stated".to_owned());
            Finding::UnknownIssuer { step, key_id, detail: Detail::of_rule("no-issuer") }
        }
        error if error.is_undecided() => Finding::OpenChain { step, error: error.into() },
        error => Finding::Chain {
            step,
            trust_domain: trust.bundle.trust_domain().to_string(),
            error: error.into(),
        },
    }
}
