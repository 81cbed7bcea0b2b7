//! Findings as people want them: one sentence for one cause, however many steps and places it shows in.

use std::collections::{HashMap, HashSet};

use unixtime::UnixSeconds;
use x509::text::hex;

use crate::verify::{Finding, Report, Verdict};

/// One cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// The worst verdict that it leads to.
    pub(crate) verdict: Verdict,
    /// What happened, where, and what to do. Names in it are as the object has them.
    pub(crate) text: String,
    /// Code and detail, such as `result-changed: in-status-results`.
    pub(crate) rule: String,
}

/// What makes findings one cause.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    /// Code and name of a result.
    Result(&'static str, Option<usize>, String),
    /// Expired certificates.
    Time,
    /// All else: the text without the step.
    Text(String),
}

#[derive(Default)]
struct Group<'a> {
    findings: Vec<&'a Finding>,
    /// In the order in which they were found.
    steps: Vec<&'a str>,
    fields: Vec<String>,
    seen: HashSet<String>,
}

/// The causes behind a report's findings, the worst first.
pub(crate) fn causes(report: &Report) -> Vec<Cause> {
    let mut groups: Vec<(Key, Group<'_>)> = Vec::new();
    let mut places: HashMap<Key, usize> = HashMap::new();
    for finding in &report.findings {
        let (key, place) = (key(finding), groups.len());
        let place = *places.entry(key).or_insert(place);
        if place == groups.len() {
            groups.push((self::key(finding), Group::default()));
        }
        let group = &mut groups[place].1;
        let facts = finding.facts();
        if let Some(step) = facts.step
            && group.seen.insert(format!("step {step}"))
        {
            group.steps.push(step);
        }
        if let Some(field) = facts.field
            && group.seen.insert(format!("field {field}"))
        {
            group.fields.push(field.into_owned());
        }
        group.findings.push(finding);
    }
    let mut causes: Vec<Cause> = groups.iter().filter_map(|(key, group)| cause(key, group)).collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.verdict));
    causes.extend(report.findings.more().map(|more| Cause {
        verdict: more.verdict,
        text: more.to_string(),
        rule: more.code.to_owned(),
    }));
    causes
}

/// A finding that is a cause by itself.
pub(crate) fn alone(finding: &Finding) -> Cause {
    Cause { verdict: finding.verdict(), text: finding.to_string(), rule: rule(finding) }
}

/// Code and detail.
fn rule(finding: &Finding) -> String {
    let code = finding.code();
    finding.facts().detail.map_or(code.to_owned(), |detail| format!("{code}: {}", detail.as_str()))
}

fn key(finding: &Finding) -> Key {
    let facts = finding.facts();
    let code = match finding {
        Finding::Attempt { finding, .. } => finding.code(),
        finding => finding.code(),
    };
    match (code, &facts.result) {
        ("result-changed" | "result-missing" | "result-added", Some(result)) => {
            Key::Result(code, facts.attempt, result.to_string())
        }
        ("time-unproven", _) => Key::Time,
        _ => Key::Text(without_step(finding)),
    }
}

/// The text of a finding without the step at its beginning.
fn without_step(finding: &Finding) -> String {
    let text = finding.to_string();
    let prefix = finding.facts().step.map(|step| format!("step {step}: "));
    match prefix.and_then(|prefix| text.strip_prefix(&prefix).map(str::to_owned)) {
        Some(rest) => rest,
        None => text,
    }
}

fn cause(key: &Key, group: &Group<'_>) -> Option<Cause> {
    let first = group.findings.first()?;
    let verdict = group.findings.iter().map(|finding| finding.verdict()).max()?;
    let text = match key {
        Key::Result(kind, attempt, name) => {
            let attempt = attempt.map(|number| format!("attempt {number}: ")).unwrap_or_default();
            let name = name.strip_prefix("task/").map_or_else(|| shown_step_result(name), str::to_owned);
            format!("{attempt}result {name} {}", about_result(kind, group))
        }
        Key::Time => expired(group),
        Key::Text(text) if group.steps.is_empty() || *text == first.to_string() => text.clone(),
        Key::Text(text) => format!("{}: {text}", steps(&group.steps)),
    };
    Some(Cause { verdict, text, rule: rule(first) })
}

fn shown_step_result(name: &str) -> String {
    let name = name.strip_prefix("step/").unwrap_or(name);
    format!("{name} (of a step)")
}

fn about_result(kind: &str, group: &Group<'_>) -> String {
    let (signers, at) = (steps(&group.steps), fields(&group.fields));
    let changed = group.findings.iter().find_map(|finding| match finding {
        Finding::ResultChanged { changed, .. } => Some(changed),
        Finding::Attempt { finding, .. } => match finding.as_ref() {
            Finding::ResultChanged { changed, .. } => Some(changed),
            _ => None,
        },
        _ => None,
    });
    match (kind, changed) {
        ("result-changed", Some(changed)) => match (changed.signed, changed.found) {
            (Some(signed), Some(found)) => {
                let (signed, found) = (short(&signed), short(&found));
                format!("was changed: {signers} signed SHA-256 {signed}, but {found} is in {at}")
            }
            _ => format!("was changed: what is in {at} is not what {signers} signed"),
        },
        ("result-missing", _) => format!("is missing in {at}: {signers} signed it"),
        ("result-added", _) => format!("was added in {at}: no signature of {signers} covers it"),
        _ => format!("is not what {signers} signed ({at})"),
    }
}

/// The beginning of a digest, enough to tell two apart by eye.
pub(crate) fn short(digest: &[u8; 32]) -> String {
    format!("{}…", hex(&digest[..6]))
}

/// Once for all steps, with the first end of validity.
fn expired(group: &Group<'_>) -> String {
    let mut end = UnixSeconds::MAX;
    let (mut start, mut time, mut now) = (UnixSeconds::MIN, UnixSeconds::EPOCH, true);
    let mut reasons: Vec<&str> = Vec::new();
    let mut seen = HashSet::new();
    for finding in &group.findings {
        if let Finding::TimeUnproven { at, is_now, not_before, not_after, stamps, .. } = finding {
            (end, start, time, now) = (end.min(*not_after), start.max(*not_before), *at, *is_now);
            reasons.extend(stamps.iter().map(String::as_str).filter(|reason| seen.insert(*reason)));
        }
    }
    let at = if now { "now".to_owned() } else { format!("at {time}") };
    let validity = match time < start {
        true => format!("start to be valid at {start} only, and are not valid {at}"),
        false if now => format!("expired at {end}"),
        false => format!("expired at {end} and are not valid {at}"),
    };
    let stamps: String =
        reasons.iter().map(|reason| format!("; a time stamp does not help: {reason}")).collect();
    format!(
        "the certificates of {} {validity}, and when they signed is not proven{stamps}: give a time stamp with --timestamps, \
         state a time you vouch for with --at, or accept it with --accept unproven-time",
        steps(&group.steps)
    )
}

/// `step a`, `steps a and b`, or the first three and how many others.
fn steps(names: &[&str]) -> String {
    match names {
        [] => "no step".to_owned(),
        [one] => format!("step {one}"),
        [most @ .., last] if names.len() <= 4 => format!("steps {} and {last}", most.join(", ")),
        names => format!("steps {} and {} others", names[..3].join(", "), names.len() - 3),
    }
}

fn fields(paths: &[String]) -> String {
    match paths {
        [] => "the object".to_owned(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [one, others @ ..] => format!("{one} and {} other places", others.len()),
    }
}
