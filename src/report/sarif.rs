//! `sarif`: SARIF 2.1.0, a result a finding. Without findings a TaskRun was verified.

use std::io::{self, Write};

use serde_json::{Value, json};
use x509::text::hex;

use crate::{
    evidence::sha256,
    report::{
        Item, WHOLE_WALK, Walk, Writer,
        json::{facts, place},
        safe::{escaped_json, file_uri},
    },
    sources::walk::Place,
    verify::{Finding, More, Report, Verdict},
};

/// Code, what it means in a sentence, and what to do: one rule for each code of a finding, and one for unreadable input.
const RULES: [(&str, &str, &str); 27] = [
    (
        "attestation",
        "An attestation cannot be read.",
        "The entry was cut or altered, or a newer svidence wrote it.",
    ),
    (
        "certificate",
        "The certificate of an attestation breaks a rule.",
        "It is not the certificate of a step of this trust domain.",
    ),
    (
        "signature",
        "A signature does not match.",
        "Something that is signed was changed; the results must not be used.",
    ),
    (
        "chain",
        "A certificate does not lead to the bundle.",
        "Check that --bundle is the bundle of that trust domain and time.",
    ),
    (
        "differs",
        "The TaskRun says something else than its evidence.",
        "The status was changed, or the evidence belongs to another run.",
    ),
    (
        "time",
        "The time of signing is impossible for this run.",
        "The evidence belongs to another run, or clocks differ (--clock-skew).",
    ),
    (
        "contradiction",
        "The steps contradict each other.",
        "Their evidence belongs to several runs or attempts.",
    ),
    ("result-changed", "A result was changed.", "The value must not be used."),
    ("result-missing", "A signed result is missing.", "Somebody removed it from the TaskRun."),
    ("result-added", "A result was added that nobody signed.", "The value must not be used."),
    ("status", "The status does not follow from what was signed.", "Somebody changed the status."),
    (
        "program",
        "A step was given something else to run than the task in the status says.",
        "Somebody changed status.taskSpec.",
    ),
    (
        "pipeline",
        "A PipelineRun does not follow from its TaskRuns.",
        "See the message: something was changed, or a TaskRun of it is not there or not verified.",
    ),
    ("uncovered", "A step has no evidence of its own.", "Its evidence was removed."),
    (
        "tep-0089",
        "Tekton's own signatures are wrong.",
        "A value, a signature or the certificate was changed.",
    ),
    ("policy", "A demand of the policy file is not met.", "See the rule that the message names."),
    (
        "unknown-issuer",
        "An issuer is not known.",
        "Give it with --intermediates, or the bundle of that time with --bundle.",
    ),
    ("undecided", "It could not be decided.", "See the message for what is missing."),
    ("no-evidence", "There is no evidence.", "Run the TaskRun under svidence with signing enabled."),
    ("unsigned", "A step could not sign.", "See the reason that it claims."),
    (
        "demanded",
        "A demanded result, or a TaskRun that must have one, is not there.",
        "See --require-result.",
    ),
    ("other-value", "A demanded result has another value.", "See --require-result."),
    (
        "only-tep-0089",
        "There are only Tekton's own signatures.",
        "They prove too little; accept them with --accept tep-0089.",
    ),
    (
        "attempt",
        "An earlier attempt in status.retriesStatus contradicts its evidence.",
        "Do not use the TaskRun; find out who changed it.",
    ),
    (
        "not-carried",
        "A signed result is not in a partial object.",
        "Get the whole object, or accept it with --accept not-carried.",
    ),
    (
        "time-unproven",
        "The time of signing is not proven.",
        "Give a time stamp with --timestamps, state a time you vouch for with --at, or accept it with --accept unproven-time.",
    ),
    (UNREADABLE, "An input holds no TaskRun that can be read.", "See the message."),
];

/// Not a finding: there is no TaskRun to find something in.
const UNREADABLE: &str = "unreadable";

#[derive(Default)]
pub(super) struct Sarif {
    results: u64,
}

impl Writer for Sarif {
    fn begin(&mut self, _: &Walk<'_>, out: &mut dyn Write) -> io::Result<()> {
        let rules: Vec<Value> = RULES.iter().map(rule).collect();
        let driver = json!({"name": "svidence", "version": env!("CARGO_PKG_VERSION"), "rules": rules});
        write!(
            out,
            "{{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{{\
             \"tool\":{{\"driver\":{driver}}},\"columnKind\":\"unicodeCodePoints\",\"results\":["
        )
    }

    fn item(&mut self, _: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        match item.outcome {
            Ok(report) => {
                report
                    .findings
                    .iter()
                    .try_for_each(|finding| self.finding(out, item.place, report, finding))?;
                report.findings.more().try_for_each(|more| self.more(out, item.place, report, &more))
            }
            Err(error) => {
                let (code, detail) = (error.code(), Some(error.detail().as_str()));
                let mut result = result(code, "error", &error.to_string(), item.place);
                result["partialFingerprints"] = fingerprint(&[Some(code), detail, Some(item.place.path)]);
                result["properties"] = json!({"detail": detail, "place": place(item.place, None)});
                self.write(out, result)
            }
        }
    }

    /// Viewers want a location: it is the policy file where that demands it, else what was read.
    fn missing(&mut self, walk: &Walk<'_>, findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
        findings.iter().try_for_each(|finding| {
            let (rule, file) = match (finding, walk.policy_file) {
                (Finding::Policy { rule, .. }, Some((file, _))) => (Some(rule.as_str()), file),
                _ => (None, walk.source.as_str()),
            };
            let at = Place { path: file, index: 1, line: None };
            let mut result = result(finding.code(), "error", &finding.to_string(), at);
            result["locations"][0]["logicalLocations"] = json!([{"fullyQualifiedName": WHOLE_WALK}]);
            let facts = facts(finding);
            let (detail, expected) = (facts["detail"].as_str(), facts["expected"].as_str());
            result["partialFingerprints"] =
                fingerprint(&[Some(finding.code()), detail, Some(WHOLE_WALK), rule, expected]);
            result["properties"] = facts;
            result["properties"]["walk"] = json!(true);
            self.write(out, result)
        })
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n]}}]}}")
    }
}

impl Sarif {
    fn finding(
        &mut self,
        out: &mut dyn Write,
        at: Place<'_>,
        report: &Report,
        finding: &Finding,
    ) -> io::Result<()> {
        let facts = facts(finding);
        let mut result = result(finding.code(), level(report, finding), &finding.to_string(), at);
        let mut logical = vec![json!({"fullyQualifiedName": report.title(), "kind": "object"})];
        if let Some(field) = facts["field"].as_str() {
            let name = format!("{}#{field}", report.title());
            logical.push(json!({"name": field, "fullyQualifiedName": name, "kind": "member"}));
        }
        result["locations"][0]["logicalLocations"] = json!(logical);
        let fact = |name: &str| facts[name].as_str();
        let attempt = facts["attempt"].as_u64().map(|number| number.to_string());
        result["partialFingerprints"] = fingerprint(&[
            Some(finding.code()),
            fact("detail"),
            Some(&report.title()),
            Some(&report.uid),
            attempt.as_deref(),
            fact("step"),
            fact("result"),
            fact("field"),
        ]);
        result["properties"] = facts;
        result["properties"]["place"] = place(at, Some(&report.uid));
        self.write(out, result)
    }

    /// One result for all findings of a kind that are not kept.
    fn more(&mut self, out: &mut dyn Write, at: Place<'_>, report: &Report, more: &More) -> io::Result<()> {
        let mut result = result(more.code, level_of(report, more.verdict), &more.to_string(), at);
        let logical = json!([{"fullyQualifiedName": report.title(), "kind": "object"}]);
        result["locations"][0]["logicalLocations"] = logical;
        let parts = [Some(more.code), Some("more"), Some(&report.title()), Some(&report.uid)];
        result["partialFingerprints"] = fingerprint(&parts);
        result["properties"] = json!({"place": place(at, Some(&report.uid)), "count": more.count});
        self.write(out, result)
    }

    fn write(&mut self, out: &mut dyn Write, result: Value) -> io::Result<()> {
        let separator = if self.results == 0 { "" } else { "," };
        self.results += 1;
        write!(out, "{separator}\n{}", escaped_json(&result.to_string()))
    }
}

fn result(code: &str, level: &str, text: &str, at: Place<'_>) -> Value {
    let mut physical = json!({"artifactLocation": {"uri": file_uri(at.path)}});
    if let Some(line) = at.line {
        physical["region"] = json!({"startLine": line});
    }
    let mut result = json!({
        "ruleId": code,
        "level": level,
        "message": {"text": without_links(text)},
        "locations": [{"physicalLocation": physical}],
    });
    if let Some(index) = RULES.iter().position(|(known, ..)| *known == code) {
        result["ruleIndex"] = json!(index);
    }
    result
}

/// What makes a finding the same one in the next run: not what its text says, nor where the file lies, but for what is not
/// read at all.
fn fingerprint(parts: &[Option<&str>]) -> Value {
    // As JSON, so that no two lists of parts are one text.
    json!({"svidence/v1": hex(&sha256(json!(parts).to_string().as_bytes()))})
}

/// A viewer makes a link of `[text](target)` (SARIF 2.1.0 3.11.6), and names in an object are for anybody to choose.
fn without_links(text: &str) -> String {
    text.replace("](", "] (")
}

/// An accepted weakness is worth a note; one that is not is a warning, anything else an error.
fn level(report: &Report, finding: &Finding) -> &'static str {
    level_of(report, finding.verdict())
}

fn level_of(report: &Report, verdict: Verdict) -> &'static str {
    match (verdict, report.accepted) {
        (Verdict::Weak, true) => "note",
        (Verdict::Weak, false) => "warning",
        _ => "error",
    }
}

fn rule((code, what, help): &(&str, &str, &str)) -> Value {
    json!({
        "id": code,
        "shortDescription": {"text": what},
        "help": {"text": format!("{help} More in docs/verify.md#{code}.")},
        "defaultConfiguration": {"level": "error"},
    })
}
