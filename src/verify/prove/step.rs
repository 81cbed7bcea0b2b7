//! One step's evidence: from the entry to a proof, each stage a function.

use unixtime::UnixSeconds;
use x509::{Certificate, CertificateError};

use crate::{
    evidence::{
        attestation::{Attestation, Covered, Form},
        sha256,
        statement::{self, Context},
        tep0089,
    },
    tekton::{result_kind::ResultKind, taskrun::TaskRun, value},
    verify::{
        cache::Caches,
        chain::Path,
        collect::StepEvidence,
        facts::{Detail, ResultName},
        finding::{Finding, differs, shortened},
        findings::Findings,
        prove::{
            chain::{
                attestation_altered, check_certificate, find_leaf_candidates, find_path,
                read_carried_intermediates,
            },
            signature::{self, Scheme},
        },
        trust::Trust,
        verdict::{ChangedResult, Thing},
    },
    workload::{
        id::Attested,
        svid_rules::{SvidRule, signs_attestations},
    },
};

/// A step whose signature, certificate, chain, identity and run binding are good.
#[derive(Debug, Clone)]
pub(crate) struct ProvenStep {
    pub(crate) name: String,
    /// Its place among the evidence of all steps.
    pub(crate) place: usize,
    pub(crate) attestation: Attestation,
    /// Every covered result with its digests, by kind and name.
    pub(crate) covered: Vec<Covered>,
    pub(crate) leaf: Certificate,
    /// The in-toto statement that the leaf's key signed.
    pub(crate) statement: String,
    pub(crate) path: Path,
    /// What the certificate itself attests, if it has a DNS SAN that speaks of the run.
    pub(crate) attested: Option<Attested>,
    /// Claimed time of signing.
    pub(crate) signed_at: UnixSeconds,
}

/// Checks the attestation of the step at a place among the evidence. Whoever signed it must first be vouched for by the bundle:
/// what anybody may have written is not worth a signature check.
pub(crate) fn prove(
    task_run: &TaskRun,
    (place, evidence): (usize, &StepEvidence<'_>),
    attestation: Attestation,
    trust: &Trust,
    caches: &mut Caches,
) -> Result<ProvenStep, Findings> {
    let step = evidence.name;
    check_run(task_run, step, &attestation)?;
    // Where they cannot be read is told by the first stage that needs them.
    let carried = read_carried_intermediates(step, &attestation, caches);
    let candidates = find_leaf_candidates(step, &attestation, &carried, trust, caches)?;
    let mut acceptable = Vec::with_capacity(1);
    let mut refused = None;
    for leaf in candidates {
        match find_vouched_leaf(task_run, step, &attestation, &carried, leaf, trust, caches) {
            Ok(vouched) => acceptable.push(vouched),
            Err(finding) => refused = refused.or(Some(finding)),
        }
    }
    if let Some(finding) = refused.filter(|_| acceptable.is_empty()) {
        return Err(finding.into());
    }
    let covered = find_covered_results(evidence, &attestation, task_run.is_partial())?;
    // Nobody here can check a signature of such a key. The rest may contradict all the same.
    if let Some(Vouched { leaf, open, .. }) =
        acceptable.iter().find(|vouched| !signs_attestations(vouched.leaf.algorithm()))
    {
        let key = leaf.algorithm().to_string();
        let error = open.clone().unwrap_or(CertificateError::UnsupportedKey { key }.into());
        return Err(Finding::certificate(step, error.into()).into());
    }
    let leaves = acceptable.iter().map(|vouched| vouched.leaf.clone()).collect();
    let (leaf, statement) = find_signer(step, &attestation, &covered, leaves, trust).map_err(|finding| {
        // Without the message the values of an earlier step may be gone, so a mismatch proves nothing.
        match (&finding, attestation.form, evidence.entries_with_results(&attestation)) {
            (Finding::Signature { .. }, Form::Hints, None) => {
                let reason = format!(
                    "step {step}: no termination message with its results is in the object, and the results in the status \
                     do not complete its attestation; get the object with its steps' messages, if they ever held results (not \
                     with results-from: sidecar-logs)"
                );
                Finding::undecided(Detail::MESSAGE_NOT_CARRIED, Some(step), reason)
            }
            _ => finding,
        }
    })?;
    // One of them has signed it.
    let signer = acceptable.into_iter().find(|vouched| vouched.leaf.der() == leaf.der());
    let Some(Vouched { attested, open, signed_at, path, .. }) = signer else {
        return Err(attestation_altered(step).into());
    };
    if let Some(error) = open {
        return Err(Finding::certificate(step, error.into()).into());
    }
    let name = step.to_owned();
    Ok(ProvenStep { name, place, attestation, covered, leaf, statement, path, attested, signed_at })
}

/// A leaf that leads to the bundle, and what follows from it.
struct Vouched {
    leaf: Certificate,
    attested: Option<Attested>,
    /// What about it could not be checked.
    open: Option<SvidRule>,
    signed_at: UnixSeconds,
    path: Path,
}

fn find_vouched_leaf(
    task_run: &TaskRun,
    step: &str,
    attestation: &Attestation,
    carried: &Result<Vec<Certificate>, Finding>,
    leaf: Certificate,
    trust: &Trust,
    caches: &mut Caches,
) -> Result<Vouched, Finding> {
    let (attested, open) = check_certificate(task_run, step, attestation, &leaf, trust)?;
    let signed_at = check_signing_time(task_run, step, attestation, &attested, trust)?;
    let carried = carried.as_ref().map_err(Clone::clone)?;
    let path = find_path(step, attestation, carried, &leaf, signed_at, trust, caches)?;
    Ok(Vouched { leaf, attested, open, signed_at, path })
}

/// The attestation names the object's own namespace and name.
fn check_run(task_run: &TaskRun, step: &str, attestation: &Attestation) -> Result<(), Finding> {
    for (what, claimed, expected) in [
        (("the namespace", Detail::NAMESPACE), &attestation.namespace, &task_run.metadata.namespace),
        (("the TaskRun's name", Detail::NAME), &attestation.task_run, &task_run.metadata.name),
    ] {
        if claimed != expected {
            return Err(differs(step, what, expected, claimed));
        }
    }
    Ok(())
}

/// The covered results: carried with digests, or completed from the values that were found.
pub(crate) fn find_covered_results(
    evidence: &StepEvidence<'_>,
    attestation: &Attestation,
    is_partial: bool,
) -> Result<Vec<Covered>, Findings> {
    let mut covered = attestation.results.clone();
    // They are in order, and each is there once.
    if attestation.form == Form::Digests {
        return Ok(covered);
    }
    let mut findings = Findings::default();
    let field = || evidence.field_of_results(attestation);
    let set = attestation.set_hints.iter().map(|hint| (*hint, true));
    let hints = set.chain(attestation.found_hints.iter().map(|hint| (*hint, false)));
    let found = evidence.with_hints(attestation, hints.clone().map(|(hint, _)| hint));
    for ((wanted, set), found) in hints.zip(found) {
        match found {
            [Some((name, raw)), None] => {
                let digest = sha256(raw.as_bytes());
                if value::decoded_json(raw).is_some() {
                    findings.push(is_no_plain_text(evidence, field(), name, digest));
                }
                let name = name.to_owned();
                covered.push(Covered { kind: ResultKind::Task, name, set, digest, decoded: None });
            }
            [Some((name, _)), Some((other, _))] => findings.push(Finding::ResultAdded {
                step: evidence.name.to_owned(),
                thing: Thing::new(
                    Detail::HINT,
                    format!("one of the results {name} and {other}, which share a hint,"),
                )
                .in_field(field()),
            }),
            [None, _] => findings.push(not_found(evidence, field(), &wanted, is_partial)),
        }
    }
    covered.sort_unstable();
    if covered.windows(2).any(|two| (two[0].kind, &two[0].name) == (two[1].kind, &two[1].name)) {
        findings.push(Finding::Signature {
            step: evidence.name.to_owned(),
            what: "a result that is covered twice",
            detail: Detail::COVERED_TWICE,
        });
    }
    if findings.is_empty() { Ok(covered) } else { Err(findings) }
}

/// A hint covers the text alone, and this one may be read in more than one way.
fn is_no_plain_text(evidence: &StepEvidence<'_>, field: String, name: &str, digest: [u8; 32]) -> Finding {
    let result = ResultName::task(name);
    let changed = ChangedResult { result, detail: Detail::HINT, signed: None, found: Some(digest), field };
    Finding::ResultChanged { step: evidence.name.to_owned(), changed: Box::new(changed) }
}

/// No result has the hint.
fn not_found(evidence: &StepEvidence<'_>, field: String, wanted: &[u8], is_partial: bool) -> Finding {
    let (step, hint) = (evidence.name, x509::text::hex(wanted));
    if is_partial {
        let reason = format!(
            "step {step}: its attestation is in the short form, which a result completes that the object does not carry (with \
             the hint {hint}); get the whole TaskRun"
        );
        return Finding::undecided(Detail::HINT_NOT_CARRIED, Some(step), reason);
    }
    let thing = Thing::new(Detail::HINT, format!("with the hint {hint}")).in_field(field);
    Finding::ResultMissing { step: step.to_owned(), thing }
}

/// The candidate whose key made the signature, and the statement under it.
pub(crate) fn find_signer(
    step: &str,
    attestation: &Attestation,
    covered: &[Covered],
    candidates: Vec<Certificate>,
    trust: &Trust,
) -> Result<(Certificate, String), Finding> {
    for leaf in candidates {
        let context = Context {
            trust_domain: trust.bundle.trust_domain().as_str(),
            step,
            results: covered,
            leaf: *leaf.fingerprint().as_bytes(),
        };
        let statement = statement::statement(attestation, context);
        let message = statement::pre_authentication_encoding(&statement);
        if signature::verifies(&leaf, Scheme::Attestation, &message, &attestation.signature) {
            return Ok((leaf, statement));
        }
    }
    Err(match attestation.form {
        Form::Digests => attestation_altered(step),
        Form::Hints => Finding::Signature {
            step: step.to_owned(),
            what: "the results found: one of them, the attestation, the step's name or the trust domain was changed",
            detail: Detail::RESULTS_ALTERED,
        },
    })
}

/// The claimed time of signing, checked against the object's own times.
fn check_signing_time(
    task_run: &TaskRun,
    step: &str,
    attestation: &Attestation,
    attested: &Option<Attested>,
    trust: &Trust,
) -> Result<UnixSeconds, Finding> {
    let signed_at = attestation.signed_at().seconds();
    let started = attestation.started.seconds();
    let outside = |detail, limit: &str, relation: String| {
        let (step, limit) = (step.to_owned(), limit.to_owned());
        Err(Finding::Time { step, signed: signed_at, relation, detail, limit })
    };
    let skew = trust.clock_skew;
    for (field, detail, time, not_before) in [
        ("the TaskRun was created", Detail::BEFORE_CREATION, &task_run.metadata.creation_timestamp, true),
        ("the TaskRun started", Detail::BEFORE_START, &task_run.status.start_time, true),
        ("the TaskRun was completed", Detail::AFTER_COMPLETION, &task_run.status.completion_time, false),
    ] {
        let Some(text) = time else { continue };
        let Some(time) = UnixSeconds::parse(text) else {
            let reason = format!("{:?} in the object is not a time", shortened(text));
            return Err(Finding::undecided(Detail::NOT_A_TIME, Some(step), reason));
        };
        if not_before && started < time - skew {
            return outside(detail, text, format!("before {field} ({text})"));
        }
        if !not_before && signed_at > time + skew {
            return outside(detail, text, format!("after {field} ({text})"));
        }
    }
    // A certificate that names the run tells it apart by itself; an attestation of Chains at least says when the run started.
    let is_bounded = task_run.status.start_time.is_some() && task_run.is_from_results_of_chains();
    if task_run.metadata.creation_timestamp.is_none() && attested.is_none() && !is_bounded {
        let reason =
            "metadata.creationTimestamp is missing, so an older run of the same name cannot be told apart";
        return Err(Finding::undecided(Detail::NO_CREATION_TIME, Some(step), reason));
    }
    if let Some(at) = trust.at.filter(|at| signed_at > *at + skew) {
        let at = at.to_string();
        return outside(Detail::AFTER_STATED_TIME, &at, format!("after the time you stated ({at})"));
    }
    if signed_at > trust.now + skew {
        let now = trust.now.to_string();
        return outside(Detail::IN_FUTURE, &now, format!("in the future (it is {now})"));
    }
    Ok(signed_at)
}

impl ProvenStep {
    /// Whether a result is covered.
    pub(crate) fn covers(&self, kind: ResultKind, name: &str) -> bool {
        self.covered(kind, name).is_some()
    }

    /// A covered result.
    pub(crate) fn covered(&self, kind: ResultKind, name: &str) -> Option<&Covered> {
        let place =
            self.covered.binary_search_by(|covered| (covered.kind, covered.name.as_str()).cmp(&(kind, name)));
        place.ok().map(|place| &self.covered[place])
    }

    /// Whether a key is one of the TEP-0089 entries that belong to this step's results.
    pub(crate) fn is_tep0089_entry(&self, key: &str) -> bool {
        key == tep0089::SVID
            || key == tep0089::MANIFEST
            || key
                .strip_suffix(tep0089::SUFFIX)
                .is_some_and(|base| base == tep0089::MANIFEST || self.covers(ResultKind::Task, base))
    }
}
