//! TEP-0089 entries beside attestations.

use std::{cell::OnceCell, collections::BTreeSet};

use x509::Certificate;

use crate::{
    evidence::tep0089,
    tekton::{
        message::entry_type,
        result_kind::ResultKind,
        taskrun::StatusResult,
        value::{self, ResultValue},
    },
    verify::{
        bind::attempt::Attempt,
        facts::Detail,
        findings::{Findings, KEPT},
        prove::{
            step::ProvenStep,
            tep0089::{check_signature, parse_certificate, read_pem, wrong},
        },
    },
};

/// Checks the TEP-0089 entries that are beside a step's attestation.
pub(crate) fn verify_beside(attempt: &Attempt<'_>, proven: &ProvenStep) -> Findings {
    let evidence = attempt.evidence(proven);
    if evidence.entries().is_none() || !proven.attestation.tep0089 {
        return Findings::default();
    }
    let find = |key: &str| evidence.value(entry_type::TASK_RESULT, key);
    let svid = find(tep0089::SVID).ok_or((Detail::SVID_MISSING, "SVID is missing".to_owned()));
    let leaf = svid.and_then(read_pem).and_then(|der| {
        attempt.leaf(&der).ok_or_else(|| match parse_certificate(&der) {
            Ok(_) => (Detail::SVID, "SVID is not the certificate of any step's attestation".to_owned()),
            Err(refused) => refused,
        })
    });
    let leaf = match leaf {
        Ok(leaf) => leaf,
        Err((detail, reason)) => return wrong(evidence, detail, &reason).into(),
    };
    let names: Vec<&str> =
        proven.covered.iter().filter(|c| c.kind == ResultKind::Task).map(|c| c.name.as_str()).collect();
    let listed: BTreeSet<&str> = names
        .iter()
        .copied()
        .filter(|name| !name.ends_with(tep0089::SUFFIX) && *name != tep0089::SVID)
        .collect();
    let manifest = find(tep0089::MANIFEST).unwrap_or_default();
    if manifest.split(',').filter(|name| !name.is_empty()).collect::<BTreeSet<_>>() != listed {
        return wrong(evidence, Detail::MANIFEST, "RESULT_MANIFEST does not list the step's results").into();
    }
    let texts = names.iter().map(|name| (*name, find(name).map(|raw| value::decode(raw).tep0089_text())));
    let manifest = [(tep0089::MANIFEST, Some(manifest.to_owned()))];
    // After some wrong ones the others are not worth a check.
    texts
        .chain(manifest)
        .filter(|(name, text)| {
            let signature = find(&format!("{name}{}", tep0089::SUFFIX)).unwrap_or_default();
            !text.as_ref().is_some_and(|text| check_signature(leaf, text, signature))
        })
        .take(KEPT)
        .map(|(name, _)| {
            let reason = format!("{name}{} is missing or does not match", tep0089::SUFFIX);
            wrong(evidence, Detail::TEKTON_SIGNATURE, &reason)
        })
        .collect()
}

/// The entries in `status.results`, where the steps' messages are not in the object.
pub(crate) struct InStatus<'s, 'a> {
    attempt: &'s Attempt<'a>,
    /// The certificate in `SVID`, if it is that of one of the steps.
    leaf: OnceCell<Option<&'a Certificate>>,
}

impl<'s, 'a> InStatus<'s, 'a> {
    pub(crate) fn new(attempt: &'s Attempt<'a>) -> Self {
        InStatus { attempt, leaf: OnceCell::new() }
    }

    /// Whether an entry is good by itself: `SVID` is the leaf of one of the steps, and signatures made with its key fit the
    /// values of the status.
    pub(crate) fn stands(&self, entry: &StatusResult) -> bool {
        let leaf = self.leaf.get_or_init(|| self.attempt.leaf(&read_pem(&self.text(tep0089::SVID)?).ok()?));
        let Some(leaf) = leaf else { return false };
        let base = entry.name.strip_suffix(tep0089::SUFFIX).unwrap_or(tep0089::MANIFEST);
        let signature = self.text(&format!("{base}{}", tep0089::SUFFIX)).unwrap_or_default();
        entry.name == tep0089::SVID
            || self.text(base).is_some_and(|text| check_signature(leaf, &text, &signature))
    }

    /// Whether all that an entry is checked with is there.
    pub(crate) fn is_whole(&self, entry: &StatusResult) -> bool {
        let base = entry.name.strip_suffix(tep0089::SUFFIX).unwrap_or(tep0089::MANIFEST);
        let signed = [base, &format!("{base}{}", tep0089::SUFFIX)];
        let is_there = |name: &str| self.attempt.results.places(name).is_some();
        is_there(tep0089::SVID) && (entry.name == tep0089::SVID || signed.iter().all(|name| is_there(name)))
    }

    fn text(&self, name: &str) -> Option<String> {
        let value = self.attempt.results.first(name)?.decoded()?;
        Some(match value {
            ResultValue::String(text) if name == tep0089::MANIFEST => text,
            ResultValue::String(text) => value::decode(&text).tep0089_text(),
            value => value.tep0089_text(),
        })
    }
}
