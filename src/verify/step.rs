//! One step's evidence: from the entry to a proof, each stage a function.

use super::{
    Trust,
    cache::{Caches, RebuildError},
    chain::{ChainError, Path, PathRule},
    collect::StepEvidence,
    facts::{Detail, ResultName},
    findings::Findings,
    signature::{self, Scheme},
    verdict::{Changed, Finding, LeafRule, Thing},
};
use crate::{
    evidence::{
        attestation::{Attestation, Covered, Form, Kind},
        leaf::{CompactLeaf, DnsForm, Issuer},
        sha256,
        statement::{self, Context},
        tep0089,
    },
    tekton::{
        message::entry_type,
        taskrun::{TaskRun, format_time, parse_time},
        value,
    },
    workload::{
        certificate::{Certificate, CertificateError, check_leaf},
        class::Class,
        id::{Attested, SpiffeId},
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
    /// Claimed time of signing, Unix seconds.
    pub(crate) signed_at: i64,
}

/// Checks the attestation of the step at a place among the evidence. Whoever signed it must first be vouched for by the bundle:
/// what anybody may have written is not worth a signature check.
pub(crate) fn prove(
    object: &TaskRun,
    (place, evidence): (usize, &StepEvidence<'_>),
    attestation: Attestation,
    trust: &Trust,
    caches: &mut Caches,
) -> Result<ProvenStep, Findings> {
    let step = evidence.name;
    run(object, step, &attestation)?;
    // Where they cannot be read is told by the first stage that needs them.
    let carried = carried_intermediates(step, &attestation, caches);
    let candidates = leaf_candidates(step, &attestation, &carried, trust, caches)?;
    let mut acceptable = Vec::with_capacity(1);
    let mut refused = None;
    for leaf in candidates {
        match vouched(object, step, &attestation, &carried, leaf, trust, caches) {
            Ok(vouched) => acceptable.push(vouched),
            Err(finding) => refused = refused.or(Some(finding)),
        }
    }
    if let Some(finding) = refused.filter(|_| acceptable.is_empty()) {
        return Err(finding.into());
    }
    let covered = covered_results(evidence, &attestation, object.is_partial())?;
    // Nobody here can check a signature of such a key. The rest may contradict all the same.
    if let Some(Vouched { leaf, open, .. }) =
        acceptable.iter().find(|vouched| !vouched.leaf.algorithm().signs_attestations())
    {
        let key = leaf.algorithm().to_string();
        let error = open.clone().unwrap_or(CertificateError::UnsupportedKey { key });
        return Err(Finding::certificate(step, error.into()).into());
    }
    let leaves = acceptable.iter().map(|vouched| vouched.leaf.clone()).collect();
    let (leaf, statement) = signed_by(step, &attestation, &covered, leaves, trust).map_err(|finding| {
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
    open: Option<CertificateError>,
    signed_at: i64,
    path: Path,
}

fn vouched(
    object: &TaskRun,
    step: &str,
    attestation: &Attestation,
    carried: &Result<Vec<Certificate>, Finding>,
    leaf: Certificate,
    trust: &Trust,
    caches: &mut Caches,
) -> Result<Vouched, Finding> {
    let (attested, open) = certificate(object, step, attestation, &leaf, trust)?;
    let signed_at = signing_time(object, step, attestation, &attested, trust)?;
    let carried = carried.as_ref().map_err(Clone::clone)?;
    let path = path(step, attestation, carried, &leaf, signed_at, trust, caches)?;
    Ok(Vouched { leaf, attested, open, signed_at, path })
}

/// The attestation names the object's own namespace and name.
fn run(object: &TaskRun, step: &str, attestation: &Attestation) -> Result<(), Finding> {
    for (what, claimed, expected) in [
        (("the namespace", Detail::NAMESPACE), &attestation.namespace, &object.metadata.namespace),
        (("the TaskRun's name", Detail::NAME), &attestation.task_run, &object.metadata.name),
    ] {
        if claimed != expected {
            return Err(differs(step, what, expected, claimed));
        }
    }
    Ok(())
}

/// The covered results: carried with digests, or completed from the values that were found.
pub(super) fn covered_results(
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
    let step = || evidence.name.to_owned();
    let field = || evidence.field_of_results(attestation);
    let set = attestation.set_hints.iter().map(|hint| (*hint, true));
    let hints = set.chain(attestation.found_hints.iter().map(|hint| (*hint, false)));
    let found = evidence.with_hints(attestation, hints.clone().map(|(hint, _)| hint));
    for ((wanted, set), found) in hints.zip(found) {
        match found {
            [Some((name, raw)), None] => {
                if value::decoded_json(raw).is_some() {
                    findings.push(Finding::ResultChanged {
                        step: step(),
                        changed: Box::new(Changed {
                            result: ResultName::task(name),
                            detail: Detail::HINT,
                            signed: None,
                            found: Some(sha256(raw.as_bytes())),
                            field: field(),
                        }),
                    });
                }
                covered.push(Covered {
                    kind: Kind::Task,
                    name: name.to_owned(),
                    set,
                    digest: sha256(raw.as_bytes()),
                    decoded: None,
                });
            }
            [Some((name, _)), Some((other, _))] => findings.push(Finding::ResultAdded {
                step: step(),
                thing: Thing::new(
                    Detail::HINT,
                    format!("one of the results {name} and {other}, which share a hint,"),
                )
                .in_field(field()),
            }),
            _ if is_partial => findings.push(Finding::undecided(
                Detail::HINT_NOT_CARRIED,
                Some(evidence.name),
                format!(
                    "step {}: its attestation is in the short form, which a result completes that the object does not carry (with \
                     the hint {}); get the whole TaskRun",
                    evidence.name,
                    statement::hex(&wanted)
                ),
            )),
            _ => findings.push(Finding::ResultMissing {
                step: step(),
                thing: Thing::new(Detail::HINT, format!("with the hint {}", statement::hex(&wanted)))
                    .in_field(field()),
            }),
        }
    }
    covered.sort_unstable();
    if covered.windows(2).any(|two| (two[0].kind, &two[0].name) == (two[1].kind, &two[1].name)) {
        findings.push(Finding::Signature {
            step: step(),
            what: "a result that is covered twice",
            detail: Detail::COVERED_TWICE,
        });
    }
    if findings.is_empty() { Ok(covered) } else { Err(findings) }
}

/// The leaf as DER: carried so, or rebuilt for each certificate that may have issued it.
pub(super) fn leaf_candidates(
    step: &str,
    attestation: &Attestation,
    carried: &Result<Vec<Certificate>, Finding>,
    trust: &Trust,
    caches: &mut Caches,
) -> Result<Vec<Certificate>, Finding> {
    let unacceptable = |rule: LeafRule| Finding::certificate(step, rule);
    if attestation.leaf.first() == Some(&0x30) {
        let leaf = caches.certificate(&attestation.leaf).map_err(|error| unacceptable(error.into()))?;
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
        let leaf =
            caches.rebuilt(&compact, &attestation.leaf, &spiffe_id, &dns_names, issuer).map_err(|error| {
                unacceptable(match error {
                    RebuildError::Leaf(error) => error.into(),
                    RebuildError::Certificate(error) => error.into(),
                })
            })?;
        if candidates.iter().all(|candidate| candidate.der() != leaf.der()) {
            candidates.push(leaf);
        }
    }
    if candidates.is_empty() {
        let key_id = format!("{}…", statement::hex(&compact.issuer_hint));
        return Err(Finding::UnknownIssuer { step: step.to_owned(), key_id, detail: Detail::ISSUER_HINT });
    }
    Ok(candidates)
}

fn dns_names(step: &str, attestation: &Attestation, form: &DnsForm) -> Option<Vec<String>> {
    let (step, pin) = match form {
        DnsForm::Plain => return Some(Vec::new()),
        DnsForm::Run => (None, None),
        DnsForm::Step => (Some(step.to_owned()), None),
        DnsForm::Pin(pin) => (Some(step.to_owned()), Some(*pin)),
    };
    Some(vec![Attested { uid: attestation.task_run_uid?, step, pin }.dns_name().ok()?])
}

pub(super) fn carried_intermediates(
    step: &str,
    attestation: &Attestation,
    caches: &mut Caches,
) -> Result<Vec<Certificate>, Finding> {
    let read = |der: &Vec<u8>| {
        caches.certificate(der).map_err(|error| Finding::certificate(step, LeafRule::Intermediate(error)))
    };
    attestation.intermediates.iter().map(read).collect()
}

/// The candidate whose key made the signature, and the statement under it.
pub(super) fn signed_by(
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

fn attestation_altered(step: &str) -> Finding {
    Finding::Signature {
        step: step.to_owned(),
        what: "the attestation: a fact in it, the step's name or the trust domain is not what was signed",
        detail: Detail::ATTESTATION_ALTERED,
    }
}

/// The certificate's own rules, the identity, and what its DNS SAN says of run and step; with it, what could not be checked.
fn certificate(
    object: &TaskRun,
    step: &str,
    attestation: &Attestation,
    leaf: &Certificate,
    trust: &Trust,
) -> Result<(Option<Attested>, Option<CertificateError>), Finding> {
    let unacceptable = |rule: LeafRule| Finding::certificate(step, rule);
    let (id, open) = leaf_id(leaf).map_err(|error| unacceptable(error.into()))?;
    let expected = trust.spiffe_id(&object.metadata.namespace, &object.metadata.name);
    if id.to_string() != expected {
        return Err(differs(step, ("the identity", Detail::IDENTITY), &expected, &id.to_string()));
    }
    let attested = Attested::from_dns_names(leaf.dns_sans()).map_err(|error| unacceptable(error.into()))?;
    if let Some(said) = &attested {
        let uid = statement::uuid(&said.uid);
        if uid != object.metadata.uid {
            return Err(differs(step, ("the TaskRun's UID", Detail::UID), &object.metadata.uid, &uid));
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
pub(super) fn leaf_id(leaf: &Certificate) -> Result<(SpiffeId, Option<CertificateError>), CertificateError> {
    match check_leaf(leaf) {
        Ok(id) => Ok((id, None)),
        Err(open) if open.class() == Class::Unchecked => Ok((leaf.spiffe_id()?, Some(open))),
        Err(error) => Err(error),
    }
}

/// The claimed time of signing, checked against the object's own times.
fn signing_time(
    object: &TaskRun,
    step: &str,
    attestation: &Attestation,
    attested: &Option<Attested>,
    trust: &Trust,
) -> Result<i64, Finding> {
    let signed_at = i64::try_from(attestation.signed_at() / 1000).unwrap_or(i64::MAX);
    let started = i64::try_from(attestation.started / 1000).unwrap_or(i64::MAX);
    let outside = |detail, limit: &str, relation: String| {
        let (step, limit) = (step.to_owned(), limit.to_owned());
        Err(Finding::Time { step, signed: signed_at, relation, detail, limit })
    };
    let skew = trust.clock_skew;
    for (field, detail, time, not_before) in [
        ("the TaskRun was created", Detail::BEFORE_CREATION, &object.metadata.creation_timestamp, true),
        ("the TaskRun started", Detail::BEFORE_START, &object.status.start_time, true),
        ("the TaskRun was completed", Detail::AFTER_COMPLETION, &object.status.completion_time, false),
    ] {
        let Some(text) = time else { continue };
        let Some(time) = parse_time(text) else {
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
    // A certificate that names the run tells it apart by itself.
    if object.metadata.creation_timestamp.is_none() && attested.is_none() {
        let reason =
            "metadata.creationTimestamp is missing, so an older run of the same name cannot be told apart";
        return Err(Finding::undecided(Detail::NO_CREATION_TIME, Some(step), reason));
    }
    if let Some(at) = trust.at.filter(|at| signed_at > at + skew) {
        let at = format_time(at);
        return outside(Detail::AFTER_STATED_TIME, &at, format!("after the time you stated ({at})"));
    }
    if signed_at > trust.now + skew {
        let now = format_time(trust.now);
        return outside(Detail::IN_FUTURE, &now, format!("in the future (it is {now})"));
    }
    Ok(signed_at)
}

/// The chain at the claimed time of signing.
fn path(
    step: &str,
    attestation: &Attestation,
    carried: &[Certificate],
    leaf: &Certificate,
    signed_at: i64,
    trust: &Trust,
    caches: &mut Caches,
) -> Result<Path, Finding> {
    let intermediates: Vec<&Certificate> = carried.iter().chain(&trust.intermediates).collect();
    // A certificate issued within the last seconds may start after the time that a slow clock showed.
    let path = caches.path(leaf, &intermediates, &trust.bundle, signed_at, trust.clock_skew);
    path.map_err(|error| match &error {
        // It was made of what the attestation and the operator say, so one of these is not what the authority signed.
        ChainError::Refused { certificate, rule: PathRule::Certificate(CertificateError::BadSignature) }
            if attestation.leaf.first() != Some(&0x30) && *certificate == leaf.label() =>
        {
            attestation_altered(step)
        }
        _ => no_path(step, trust, error),
    })
}

/// What it means for a step that no path leads from its certificate to the bundle.
pub(crate) fn no_path(step: &str, trust: &Trust, error: ChainError) -> Finding {
    let step = step.to_owned();
    match error {
        ChainError::NoIssuer { key_id, .. } => {
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

/// Compares the entries of the step's message with what its attestation covers.
pub(crate) fn compare_entries(proven: &ProvenStep, evidence: &StepEvidence<'_>) -> Findings {
    let mut findings = Findings::default();
    let Some(entries) = evidence.entries() else { return findings };
    let step = &proven.name;
    // Nothing that the results sidecar hands over stands in the message.
    let in_message = evidence.entries_with_results(&proven.attestation).is_some();
    for covered in proven.covered.iter().filter(|_| in_message) {
        let result = || ResultName { kind: covered.kind, name: covered.name.clone() };
        let changed = |signed, found| Finding::ResultChanged {
            step: step.clone(),
            changed: Box::new(Changed {
                result: result(),
                detail: Detail::IN_MESSAGE,
                signed,
                found,
                field: evidence.message_field(),
            }),
        };
        match evidence.raw(covered.kind, &covered.name) {
            None => findings.push(Finding::ResultMissing {
                step: step.clone(),
                thing: Thing::new(Detail::IN_MESSAGE, result().to_string())
                    .with_result(result())
                    .with_signed(covered.digest)
                    .in_field(evidence.message_field()),
            }),
            Some(raw) if sha256(raw.as_bytes()) != covered.digest => {
                findings.push(changed(Some(covered.digest), Some(sha256(raw.as_bytes()))));
            }
            Some(raw) => {
                let decoded = value::decoded_json(raw).map(|v| sha256(v.canonical_json().as_bytes()));
                if proven.attestation.form == Form::Digests && decoded != covered.decoded {
                    findings.push(changed(covered.decoded, decoded));
                }
            }
        }
    }
    let own_key = crate::evidence::attestation::key(step);
    let mut artifacts = [
        (entry_type::STEP_ARTIFACTS, proven.attestation.step_artifacts, "the step's artifacts"),
        (entry_type::TASK_ARTIFACTS, proven.attestation.task_artifacts, "the task's artifacts"),
    ];
    if !in_message {
        artifacts.iter_mut().for_each(|(_, digest, _)| *digest = None);
    }
    for entry in entries {
        let covered = match entry.kind {
            entry_type::TASK_RESULT if entry.key == own_key => true,
            entry_type::TASK_RESULT => {
                (in_message && proven.covers(Kind::Task, &entry.key))
                    || (proven.attestation.tep0089 && proven.is_tep0089_entry(&entry.key))
            }
            entry_type::STEP_RESULT => in_message && proven.covers(Kind::Step, &entry.key),
            kind => {
                let expected = artifacts.iter_mut().find(|(artifact, ..)| *artifact == kind);
                expected.is_some_and(|(_, digest, _)| digest.take() == Some(sha256(entry.value.as_bytes())))
            }
        };
        if !covered {
            let new = |text| Thing::new(Detail::IN_MESSAGE, text);
            let key = entry.key.as_str();
            let thing = match entry.kind {
                entry_type::TASK_RESULT => {
                    new(format!("the result {key}")).with_result(ResultName::task(key))
                }
                entry_type::STEP_RESULT => {
                    new(format!("the step result {key}")).with_result(ResultName::step(key))
                }
                entry_type::STEP_ARTIFACTS | entry_type::TASK_ARTIFACTS => {
                    Thing::new(Detail::ARTIFACTS, "another list of artifacts".to_owned())
                }
                kind => new(format!("the entry {key} of type {kind}")),
            };
            let thing = thing.in_field(evidence.message_field());
            findings.push(Finding::ResultAdded { step: step.clone(), thing });
        }
    }
    for (_, digest, what) in artifacts {
        if let Some(digest) = digest {
            let thing = Thing::new(Detail::ARTIFACTS, what.to_owned()).with_signed(digest);
            let thing = thing.in_field(evidence.message_field());
            findings.push(Finding::ResultMissing { step: step.clone(), thing });
        }
    }
    findings
}

impl ProvenStep {
    /// Whether a result is covered.
    pub(crate) fn covers(&self, kind: Kind, name: &str) -> bool {
        self.covered(kind, name).is_some()
    }

    /// A covered result.
    pub(crate) fn covered(&self, kind: Kind, name: &str) -> Option<&Covered> {
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
                .is_some_and(|base| base == tep0089::MANIFEST || self.covers(Kind::Task, base))
    }
}

/// `what` differs: for people, and for programs.
pub(crate) fn differs(step: &str, what: (&'static str, Detail), object: &str, evidence: &str) -> Finding {
    let ((what, detail), object, evidence) = (what, shortened(object), shortened(evidence));
    Finding::Differs { step: step.to_owned(), what, detail, object, evidence }
}

/// A text of the object as it is shown: no name of Kubernetes is longer, and every step may have a finding with it.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 253;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
