//! Which evidence a step emits: the richest form that fits (docs/evidence.md 10).

use std::{collections::HashMap, num::NonZeroU32, time::Duration};

use go::text::utf8;
use ring::rand::SecureRandom;
use unixtime::{UnixMillis, whole_milliseconds};
use x509::Certificate;

use crate::{
    evidence::{
        attestation::{
            self, Attestation, Covered, Ended, Form, HINT, PodName, ResultsFrom, hint, is_result_name,
        },
        key::KeyError,
        leaf::{CompactLeaf, DnsForm, Issuer},
        sha256,
        statement::{self, Context},
        tep0089::{self, Tep0089Error},
    },
    step::{
        outcome::{End, Outcome},
        output::{collect::CollectedResults, logged::LoggedResult, results::RawResult},
        signing::{
            config::{Config, EvidenceForms as Wanted},
            facts::{Produced, SigningFacts},
        },
    },
    tekton::{
        names,
        result_kind::ResultKind,
        termination::{Encoding, Entry, EntryType, MAX_MESSAGE},
        value,
    },
    workload::id::{Attested, TaskRunId},
};

/// What the kubelet keeps of all messages of a pod, shared by its containers (docs/evidence.md 10).
const ALL_MESSAGES: usize = 12288;
/// Containers besides the steps that are reckoned with: three init containers and a sidecar.
const OTHER_CONTAINERS: u32 = 4;

/// Why there is an identity, but no evidence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EmitError {
    /// No form of evidence fits beside the results.
    #[error(
        "no room: the results take {results} of the {limit} bytes reckoned for this container's message; \
         state the pod's number of containers with svidence-containers if there are fewer than {containers}"
    )]
    NoRoom {
        /// Bytes of the message without evidence.
        results: usize,
        /// The estimated limit.
        limit: usize,
        /// The number of containers reckoned with.
        containers: u32,
    },
    /// Only TEP-0089 entries are wanted, and they cannot be made.
    #[error("{0}; configure svidence-evidence: attestation, or change the result")]
    Tep0089(Tep0089Error),
    /// The identity is not a TaskRun's.
    #[error("the identity {0} is not that of a TaskRun (/ns/<namespace>/taskrun/<name>)")]
    Identity(String),
    /// The outcome is none that is signed.
    #[error("the step did not run")]
    DidNotRun,
    /// TEP-0089 entries are made from values in the message.
    #[error(
        "TEP-0089 entries cover results in the termination message only, and this cluster takes them from a log \
         (results-from: sidecar-logs); configure svidence-evidence: attestation"
    )]
    LoggedResults,
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The entries to write.
#[derive(Debug, Default)]
pub(crate) struct SignedEntries {
    pub(crate) tep0089: Vec<Entry>,
    pub(crate) attestation: Vec<Entry>,
    pub(crate) warnings: Vec<String>,
}

/// Evidence that could do with less room leaves some for one more container, a second sidecar: what it gains is not worth
/// that the kubelet cuts the message.
const SPARE_CONTAINERS: u32 = 1;
/// The least that TEP-0089 entries take for each result.
const LEAST_SIGNATURE: usize = 120;

/// For results that the message does not carry.
const SHORT_FORM_OF_LOGGED: &str = "there is room for the short form only, by which the results of a log (results-from: sidecar-logs) \
     can be verified if they are plain text that no later step changes; state the pod's number of containers with \
     svidence-containers, or declare fewer results";

/// The room that the kubelet is reckoned to leave for one message.
pub(crate) fn estimated_limit(containers: Option<NonZeroU32>, steps: u32) -> usize {
    share(containers.map_or(steps + OTHER_CONTAINERS, NonZeroU32::get))
}

fn share(containers: u32) -> usize {
    MAX_MESSAGE.min(ALL_MESSAGES / usize::try_from(containers).unwrap_or(usize::MAX))
}

/// The richest evidence that fits beside `produced.others`.
pub(crate) fn evidence(
    facts: &SigningFacts<'_>,
    produced: &Produced<'_>,
    config: &Config,
    random: &dyn SecureRandom,
) -> Result<SignedEntries, EmitError> {
    let signer = Signer::new(facts, produced)?;
    let mut warnings = warnings(produced, &signer.covered);
    let room = Room::new(produced, config.containers, facts.position.count);
    let emitter = Emitter { signer, produced, room, random };
    let evidence = match config.evidence {
        Wanted::Tep0089 => emitter.tep0089_alone()?,
        Wanted::Both => emitter.richest(emitter.beside(&mut warnings), &mut warnings)?,
        Wanted::Attestation => emitter.richest(None, &mut warnings)?,
    };
    let Room { results, limit, containers, .. } = emitter.room;
    let evidence = evidence.ok_or(EmitError::NoRoom { results, limit, containers })?;
    Ok(SignedEntries { warnings, ..evidence })
}

/// The room in the container's message, in bytes.
struct Room {
    /// What the results take.
    results: usize,
    /// Whether they alone exceed what is reckoned for the container.
    is_short: bool,
    limit: usize,
    /// The limit of evidence that could do with less room.
    limit_of_more: usize,
    /// The containers reckoned with.
    containers: u32,
}

impl Room {
    fn new(produced: &Produced<'_>, containers: Option<NonZeroU32>, steps: u32) -> Self {
        let results = produced.encoding.encode(produced.others).len();
        let estimate = estimated_limit(containers, steps);
        let is_short = results > estimate;
        let limit = if is_short { MAX_MESSAGE } else { estimate };
        let limit_of_more = match containers {
            Some(_) => limit,
            None => limit.min(share(steps + OTHER_CONTAINERS + SPARE_CONTAINERS)),
        };
        let containers = containers.map_or(steps + OTHER_CONTAINERS, NonZeroU32::get);
        Self { results, is_short, limit, limit_of_more, containers }
    }
}

/// Makes evidence of one form or another, and sees whether it fits.
struct Emitter<'a> {
    signer: Signer<'a>,
    produced: &'a Produced<'a>,
    room: Room,
    random: &'a dyn SecureRandom,
}

impl Emitter<'_> {
    fn fits(&self, evidence: &SignedEntries, limit: usize) -> bool {
        let all = [self.produced.others, &evidence.tep0089, &evidence.attestation].concat();
        self.produced.encoding.fit(&all).is_ok_and(|message| message.len() <= limit)
    }

    fn is_logged(&self) -> bool {
        matches!(self.produced.results, CollectedResults::Logged(_))
    }

    /// The entries of Tekton's own form, if they are wanted alone and there is room for them.
    fn tep0089_alone(&self) -> Result<Option<SignedEntries>, EmitError> {
        if self.is_logged() {
            return Err(EmitError::LoggedResults);
        }
        let tep0089 = self.tep0089(&self.covered_task_results()).map_err(EmitError::Tep0089)?;
        let evidence = SignedEntries { tep0089, ..SignedEntries::default() };
        Ok(self.fits(&evidence, self.room.limit).then_some(evidence))
    }

    /// The entries of Tekton's own form that go beside an attestation. Signatures that no room is left for are not made.
    fn beside(&self, warnings: &mut Vec<String>) -> Option<Vec<Entry>> {
        let results = self.covered_task_results();
        let least = self.signer.facts.svid.leaf().der().len() * 4 / 3 + LEAST_SIGNATURE * results.len();
        let has_room = self.produced.encoding == Encoding::Compressed
            || self.room.results + least <= self.room.limit_of_more;
        if self.room.is_short || self.is_logged() || !has_room {
            return None;
        }
        self.tep0089(&results)
            .inspect_err(|error| warnings.push(format!("the TEP-0089 form is left out: {error}")))
            .ok()
    }

    /// The first attestation that fits, of those from the richest to the shortest.
    fn richest(
        &self,
        beside: Option<Vec<Entry>>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<SignedEntries>, EmitError> {
        let (facts, logged, short) = (self.signer.facts, self.is_logged(), self.room.is_short);
        let has_intermediates = !facts.svid.intermediates().is_empty();
        let all = Carried { program: true, intermediates: true };
        let no_program = Carried { program: false, ..all };
        // What is beside (`None`: not to be tried), the form, and what else is carried.
        let candidates: [(Option<Vec<Entry>>, Form, Carried); 6] = [
            (beside, Form::Digests, all),
            ((!short).then(Vec::new), Form::Digests, all),
            // Of a log, hints say too little.
            ((!short && logged && facts.program.is_some()).then(Vec::new), Form::Digests, no_program),
            (Some(Vec::new()), Form::Hints, all),
            (facts.program.map(|_| Vec::new()), Form::Hints, no_program),
            (has_intermediates.then(Vec::new), Form::Hints, Carried { program: false, intermediates: false }),
        ];
        for (beside, form, carried) in candidates {
            let Some(tep0089) = beside else { continue };
            let value = self.signer.attestation(form, !tep0089.is_empty(), carried, self.random)?;
            let key = attestation::key(&facts.position.name);
            let attestation = vec![Entry::new(key, value, EntryType::TaskResult)];
            let evidence = SignedEntries { tep0089, attestation, warnings: Vec::new() };
            let limit = if form == Form::Digests { self.room.limit_of_more } else { self.room.limit };
            if !self.fits(&evidence, limit) {
                continue;
            }
            if logged && form == Form::Hints {
                warnings.push(SHORT_FORM_OF_LOGGED.to_owned());
            }
            if !carried.program && facts.program.is_some() {
                warnings.push("there is no room for what ran: the program is not attested".to_owned());
            }
            return Ok(Some(evidence));
        }
        Ok(None)
    }

    /// The covered results of the task, with their values in the message.
    fn covered_task_results(&self) -> Vec<(&str, &str)> {
        let covered = &self.signer.covered;
        let is_covered = |entry: &&Entry| {
            entry.kind == EntryType::TaskResult
                && covered.iter().any(|covered| covered.kind == ResultKind::Task && covered.name == entry.key)
        };
        let entries = self.produced.others.iter().filter(is_covered);
        entries.map(|entry| (entry.key.as_str(), entry.value.as_str())).collect()
    }

    fn tep0089(&self, results: &[(&str, &str)]) -> Result<Vec<Entry>, Tep0089Error> {
        let facts = self.signer.facts;
        let names: Vec<&str> = facts.declared_names.iter().map(String::as_str).collect();
        let (svid, key) = (facts.svid.leaf().der(), facts.svid.key());
        let entries = tep0089::entries(results, &names, svid, key, self.random)?;
        Ok(entries.into_iter().map(|(key, value)| Entry::new(key, value, EntryType::TaskResult)).collect())
    }
}

fn is_result(entry: &Entry) -> bool {
    matches!(entry.kind, EntryType::TaskResult | EntryType::StepResult)
}

/// Things that will surprise somebody later, though they hinder nothing now.
fn warnings(produced: &Produced<'_>, covered: &[Covered]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut not_utf8 = |name: &str| {
        warnings.push(format!(
            "result {name} is not UTF-8: the text in which U+FFFD stands for each bad byte is signed"
        ));
    };
    let results = match produced.results {
        CollectedResults::InMessage(results) => results,
        CollectedResults::Logged(logged) => {
            let replaced = logged.iter().flat_map(|logged| &logged.results).filter(|result| result.replaced);
            replaced.for_each(|result| not_utf8(&result.name));
            return warnings;
        }
    };
    results.iter().filter(|result| utf8(&result.raw).1).for_each(|result| not_utf8(&result.name));
    for result in results {
        if result.raw.contains(&0) {
            warnings.push(format!("result {} contains NUL, which some archives refuse", result.name));
        }
        if !covered.iter().any(|covered| covered.kind == result.kind && covered.name == result.name) {
            let name = &result.name;
            warnings.push(format!(
                "result {name} is hidden by another entry of that name, as in Tekton; it is not covered"
            ));
        }
    }
    warnings
}

/// What an attestation carries if there is room for it.
#[derive(Clone, Copy)]
struct Carried {
    program: bool,
    intermediates: bool,
}

/// An attestation without its form-dependent parts, and how to sign it.
struct Signer<'a> {
    facts: &'a SigningFacts<'a>,
    /// Every covered result, with all digests, by kind and name.
    covered: Vec<Covered>,
    base: Attestation,
    trust_domain: String,
}

impl<'a> Signer<'a> {
    fn new(facts: &'a SigningFacts<'a>, produced: &Produced<'_>) -> Result<Self, EmitError> {
        let id = TaskRunId::from_spiffe_id(facts.svid.id())
            .ok_or_else(|| EmitError::Identity(facts.svid.id().to_string()))?;
        let started = UnixMillis::from(produced.started);
        let duration = Duration::from_millis(whole_milliseconds(produced.duration));
        let outcome = attestation::SignedOutcome {
            ended: ended(produced.outcome).ok_or(EmitError::DidNotRun)?,
            continued: produced.outcome.continued(),
        };
        let artifacts = |raw: Option<&[u8]>| raw.map(|raw| sha256(utf8(raw).0.as_bytes()));
        let base = Attestation {
            namespace: id.namespace().to_owned(),
            task_run: id.name().to_owned(),
            task_run_uid: facts.attested.as_ref().map(|attested| attested.uid),
            pod_uid: facts.pod_uid,
            pod_name: pod_name(id.name(), facts.pod_name),
            step_index: facts.position.index,
            step_count: facts.position.count,
            declared: facts.declared,
            program: facts.program,
            started,
            duration,
            delay: UnixMillis::from(produced.now).since(started + duration),
            outcome,
            tep0089: false,
            results_from: match produced.results {
                CollectedResults::InMessage(_) => ResultsFrom::TerminationMessage,
                CollectedResults::Logged(_) => ResultsFrom::SidecarLogs,
            },
            form: Form::Digests,
            set_hints: Vec::new(),
            found_hints: Vec::new(),
            results: Vec::new(),
            step_artifacts: match produced.results {
                CollectedResults::InMessage(_) => artifacts(produced.step_artifacts),
                CollectedResults::Logged(logged) => logged.as_ref().ok().and_then(|logged| logged.artifacts),
            },
            task_artifacts: artifacts(produced.task_artifacts),
            leaf: carried_leaf(facts, &id),
            intermediates: facts
                .svid
                .intermediates()
                .iter()
                .map(|certificate| certificate.der().to_vec())
                .collect(),
            signature: Vec::new(),
        };
        let trust_domain = facts.svid.id().trust_domain().to_string();
        Ok(Signer { facts, covered: covered(produced), base, trust_domain })
    }

    /// The signed value of the entry.
    fn attestation(
        &self,
        form: Form,
        tep0089: bool,
        carried: Carried,
        random: &dyn SecureRandom,
    ) -> Result<String, EmitError> {
        let mut attestation = Attestation { form, tep0089, ..self.base.clone() };
        if !carried.intermediates {
            attestation.intermediates.clear();
        }
        if !carried.program {
            attestation.program = None;
        }
        let mut results = self.covered.clone();
        if form == Form::Hints {
            results.iter_mut().for_each(|covered| covered.decoded = None);
        }
        let hints = if form == Form::Hints { self.unshared_hints() } else { HashMap::new() };
        for covered in &results {
            match hints.get(covered.name.as_str()).filter(|_| covered.kind == ResultKind::Task) {
                None => attestation.results.push(covered.clone()),
                Some(hint) if covered.set => attestation.set_hints.push(*hint),
                Some(hint) => attestation.found_hints.push(*hint),
            }
        }
        attestation.set_hints.sort_unstable();
        attestation.found_hints.sort_unstable();
        let context = Context {
            trust_domain: &self.trust_domain,
            step: &self.facts.position.name,
            results: &results,
            leaf: sha256(self.facts.svid.leaf().der()),
        };
        let statement = statement::statement(&attestation, context);
        let message = statement::pre_authentication_encoding(&statement);
        attestation.signature = self.facts.svid.key().sign_attestation(&message, random)?;
        Ok(attestation.to_value())
    }

    /// The hints of plain task results that no other one shares.
    fn unshared_hints(&self) -> HashMap<&str, [u8; HINT]> {
        let of_task = self.covered.iter().filter(|covered| covered.kind == ResultKind::Task);
        let hints: Vec<_> = of_task.map(|covered| (covered, hint(&covered.name))).collect();
        let mut sharing: HashMap<[u8; HINT], u32> = HashMap::new();
        hints.iter().for_each(|(_, hint)| *sharing.entry(*hint).or_default() += 1);
        let plain =
            hints.into_iter().filter(|(covered, hint)| covered.decoded.is_none() && sharing[hint] == 1);
        plain.map(|(covered, hint)| (covered.name.as_str(), hint)).collect()
    }
}

/// Every result that reaches the controller, by kind and name.
fn covered(produced: &Produced<'_>) -> Vec<Covered> {
    let mut covered = match produced.results {
        CollectedResults::InMessage(results) => covered_in_message(produced.others, results),
        CollectedResults::Logged(logged) => {
            logged.iter().flat_map(|logged| &logged.results).map(covered_in_log).collect()
        }
    };
    covered.sort();
    covered
}

fn covered_in_log(result: &LoggedResult) -> Covered {
    let name = result.name.clone();
    let LoggedResult { digest, decoded, found, .. } = *result;
    Covered { kind: result.kind, name, set: found != Some(true), digest, decoded }
}

/// The results that survive Tekton's reading of the message: of entries with one key the last one, whatever its type
/// (Tekton `pkg/termination/parse.go`).
fn covered_in_message(entries: &[Entry], results: &[RawResult]) -> Vec<Covered> {
    let mut covered: Vec<Covered> = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let is_last = entries[i + 1..].iter().all(|later| later.key != entry.key);
        if !is_result(entry) || !is_last || !is_result_name(&entry.key) {
            continue;
        }
        let entry_kind =
            if entry.kind == EntryType::TaskResult { ResultKind::Task } else { ResultKind::Step };
        let found = results.iter().any(|result| {
            result.kind == entry_kind && result.name == entry.key && result.found == Some(true)
        });
        covered.push(Covered {
            kind: entry_kind,
            name: entry.key.clone(),
            set: !found,
            digest: sha256(entry.value.as_bytes()),
            decoded: value::decoded_json(&entry.value).map(|value| sha256(value.canonical_json().as_bytes())),
        });
    }
    covered
}

fn ended(outcome: &Outcome) -> Option<Ended> {
    Some(match &outcome.end {
        End::Exited(code) => Ended::Exited(u8::try_from(*code).ok()?),
        End::Signalled(signal) => Ended::Signal(u8::try_from(*signal).ok()?),
        End::TimedOut => Ended::Timeout,
        End::Cancelled => Ended::Cancelled,
        End::WhenFalse => Ended::Skipped,
        End::NotRun(_) | End::DebugSkipped => Ended::NotStarted,
        End::EarlierStepFailed | End::WaitFailed(_) => return None,
    })
}

/// The host name is the pod's, unless the pod uses the node's network: a name that Tekton would not give is none.
fn pod_name(task_run: &str, host_name: Option<&str>) -> PodName {
    match host_name {
        Some(name) if name == format!("{task_run}-pod") => PodName::Usual,
        Some(name) if names::pod_names_match(task_run, name).is_some() => PodName::Named(name.to_owned()),
        _ => PodName::Unknown,
    }
}

/// The compact form if it gives back the certificate, else its DER.
fn carried_leaf(facts: &SigningFacts<'_>, id: &TaskRunId) -> Vec<u8> {
    compact_leaf(facts, id).map_or_else(|| facts.svid.leaf().der().to_vec(), |leaf| leaf.to_bytes())
}

fn compact_leaf(facts: &SigningFacts<'_>, id: &TaskRunId) -> Option<CompactLeaf> {
    let leaf = facts.svid.leaf();
    let issuer: &Certificate = match facts.svid.intermediates().first() {
        Some(issuer) => issuer,
        None => facts.bundle.authorities().iter().find(|authority| {
            authority.subject_key_id() == leaf.authority_key_id()
                && authority.subject_der() == leaf.issuer_der()
        })?,
    };
    let dns = match (leaf.dns_sans(), &facts.attested) {
        ([], _) => DnsForm::Plain,
        ([_], Some(Attested { step: None, .. })) => DnsForm::Run,
        ([_], Some(Attested { step: Some(step), .. })) if *step != facts.position.name => return None,
        ([_], Some(Attested { pin: None, .. })) => DnsForm::Step,
        ([_], Some(Attested { pin: Some(pin), image: None, .. })) => DnsForm::Pin(*pin),
        ([_], Some(Attested { pin: Some(pin), image: Some(image), .. })) => {
            DnsForm::Image { pin: *pin, image: *image }
        }
        _ => return None,
    };
    let issuer = Issuer { name: issuer.subject_der(), key_id: issuer.subject_key_id()? };
    CompactLeaf::of(leaf, &id.spiffe_id().to_string(), leaf.dns_sans(), dns, issuer)
}
