//! The text of `inspect`: a tree for each TaskRun. A certificate is shown once, and called C1, C2 and so on wherever it is used.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use crate::{
    report::{
        colour::{Colour, Style},
        count,
        safe::Line,
    },
    sources::walk::Place,
    verify::inspect::{
        AttestationFacts, CertificateFacts, InspectedStep, Inspection, LeafFacts, ResultFacts, Tep0089Facts,
    },
};

/// A line, and what belongs to it.
struct Node {
    style: Option<Style>,
    text: String,
    below: Vec<Self>,
    /// Lines to be copied, so with nothing but spaces before them.
    block: Vec<String>,
}

impl Node {
    fn new(text: impl Into<String>) -> Self {
        Self { style: None, text: text.into(), below: Vec::new(), block: Vec::new() }
    }

    fn styled(style: Style, text: impl Into<String>) -> Self {
        Self { style: Some(style), ..Self::new(text) }
    }

    fn push(&mut self, text: impl Into<String>) {
        self.below.push(Self::new(text));
    }

    fn problem(&mut self, problem: &str) {
        self.below.push(Self::styled(Style::Bad, format!("cannot be read: {problem}")));
    }
}

/// Writes the tree of one TaskRun.
pub(super) fn write(
    out: &mut dyn Write,
    colour: Colour,
    place: Place<'_>,
    inspection: &Inspection,
) -> io::Result<()> {
    writeln!(
        out,
        "{}",
        colour.paint(Style::Bold, Line(&format!("TaskRun {} in {place}", inspection.task_run)))
    )?;
    let mut root = Node::new("");
    root.push(format!("UID {}, created {}", inspection.uid, or(&inspection.created, "not stated")));
    root.push(format!("succeeded: {}, pod {}", or(&inspection.succeeded, "not stated"), inspection.pod_name));
    root.push(match inspection.evidence {
        "unsigned" => "evidence: none, only reasons why steps could not sign (unsigned)".to_owned(),
        evidence => format!("evidence: {evidence}"),
    });
    if inspection.earlier_attempts > 0 {
        root.push(format!("earlier attempts, not looked at: {}", inspection.earlier_attempts));
    }
    inspection.problems.iter().for_each(|problem| root.problem(problem));
    let mut certificates = Certificates::default();
    let steps: Vec<Node> = inspection.steps.iter().map(|each| step(each, &mut certificates)).collect();
    if !certificates.nodes.is_empty() {
        root.below.push(Node { below: certificates.nodes, ..Node::new("certificates") });
    }
    root.below.extend(steps);
    branches(out, colour, &root.below, "")
}

fn branches(out: &mut dyn Write, colour: Colour, nodes: &[Node], indent: &str) -> io::Result<()> {
    for (i, node) in nodes.iter().enumerate() {
        let (branch, below) = if i + 1 == nodes.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let branch = colour.paint(Style::Faint, format!("{indent}{branch}"));
        match node.style {
            Some(style) => writeln!(out, "{branch}{}", colour.paint(style, Line(&node.text)))?,
            None => writeln!(out, "{branch}{}", Line(&node.text))?,
        }
        branches(out, colour, &node.below, &format!("{indent}{below}"))?;
        let spaces = " ".repeat(indent.chars().count() + 3);
        node.block.iter().try_for_each(|line| writeln!(out, "{spaces}{}", Line(line)))?;
    }
    Ok(())
}

fn or<'a>(text: &'a Option<String>, otherwise: &'a str) -> &'a str {
    text.as_deref().unwrap_or(otherwise)
}

/// The certificates of one TaskRun, in the order in which they are met.
#[derive(Default)]
struct Certificates {
    labels: HashMap<String, String>,
    nodes: Vec<Node>,
}

impl Certificates {
    /// The label of what `key` tells apart from all others; `describe` is asked once.
    fn label(&mut self, key: String, pem: Option<&str>, describe: impl FnOnce() -> Vec<String>) -> String {
        let next = format!("C{}", self.labels.len() + 1);
        let nodes = &mut self.nodes;
        let label = self.labels.entry(key).or_insert_with(|| {
            let mut lines = describe().into_iter();
            let mut node = Node::new(format!("{next}: {}", lines.next().unwrap_or_default()));
            lines.for_each(|line| node.push(line));
            node.block = pem.into_iter().flat_map(str::lines).map(str::to_owned).collect();
            nodes.push(node);
            next
        });
        label.clone()
    }

    fn certificate(&mut self, facts: &CertificateFacts, pem: Option<&String>) -> String {
        self.label(facts.sha256.clone(), pem.map(String::as_str), || description(facts))
    }

    /// A leaf, which is not rebuilt unless its issuer is known.
    fn leaf(&mut self, facts: &LeafFacts) -> Option<String> {
        if let Some(certificate) = &facts.certificate {
            return Some(self.certificate(certificate, facts.pem.as_ref()));
        }
        let compact = facts.compact.as_ref()?;
        let key = format!("{} {} {}", compact.issuer_key_id, compact.serial, compact.not_before);
        Some(self.label(key, None, || {
            vec![
                format!("serial {}, not rebuilt (that takes --trust-domain and --bundle)", compact.serial),
                format!("valid from {} until {}", compact.not_before, compact.not_after),
                format!("DNS name for: {}", compact.dns_name),
                format!("issuer's key ID {}", compact.issuer_key_id),
            ]
        }))
    }
}

fn description(facts: &CertificateFacts) -> Vec<String> {
    let names: Vec<&str> = facts.uris.iter().chain(&facts.dns_names).map(String::as_str).collect();
    let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
    vec![
        names,
        format!("{} key, valid from {} until {}", facts.key, facts.not_before, facts.not_after),
        format!(
            "serial {}, key ID {}, issuer's key ID {}",
            facts.serial,
            or(&facts.key_id, "not stated"),
            or(&facts.issuer_key_id, "not stated")
        ),
        format!("{} bytes, SHA-256 {}", facts.bytes, facts.sha256),
    ]
}

fn step(step: &InspectedStep, certificates: &mut Certificates) -> Node {
    let mut node = Node::styled(Style::Bold, format!("step {}", step.name));
    let mut message = Node::new(match step.message_bytes {
        0 => "message: not in the object".to_owned(),
        bytes => format!("message: {}", bytes_of(bytes)),
    });
    for entry in &step.entries {
        message.push(format!("{}: {}", entry.key, bytes_of(entry.bytes)));
    }
    node.below.push(message);
    step.problems.iter().for_each(|problem| node.problem(problem));
    if let Some(reason) = &step.unsigned {
        let text = format!("unsigned: it could not sign; it gives this reason: {reason}");
        node.below.push(Node::styled(Style::Doubtful, text));
    }
    if let Some(facts) = &step.attestation {
        node.below.push(attestation(facts, step.found_in.unwrap_or_default(), certificates));
    }
    node.below.extend(step.tep0089.as_ref().map(|facts| tep0089(facts, certificates)));
    node
}

fn attestation(facts: &AttestationFacts, found_in: &str, certificates: &mut Certificates) -> Node {
    let mut node =
        Node::new(format!("attestation with {}: {}, in {found_in}", facts.form, bytes_of(facts.bytes)));
    node.push(format!("run: {}, UID {}", facts.task_run, or(&facts.task_run_uid, "not carried")));
    node.push(format!("pod: {}, UID {}", or(&facts.pod_name, "not known"), or(&facts.pod_uid, "not known")));
    node.push(format!("step {} of {}: {}", u64::from(facts.step_index) + 1, facts.step_count, facts.outcome));
    node.push(format!(
        "started {}, ran {} ms, signed {} ({} ms later)",
        facts.started, facts.duration_ms, facts.signed, facts.delay_ms
    ));
    node.push(format!("program: sha256 {}", or(&facts.program_sha256, "not attested")));
    if let Some(script) = &facts.script_sha256 {
        node.push(format!("script, as status.taskSpec says it: sha256 {script}"));
    }
    facts.results.iter().for_each(|facts| node.push(result(facts)));
    for artifacts in &facts.artifacts {
        node.push(format!("artifacts of the {}: sha256 {}", artifacts.kind, artifacts.sha256));
    }
    if facts.tep0089_beside {
        node.push("entries of Tekton's own form are beside it");
    }
    let carried = format!("{}, {}", facts.leaf.carried, bytes_of(facts.leaf.bytes));
    let leaf = certificates.leaf(&facts.leaf).unwrap_or_else(|| "one that cannot be read".to_owned());
    let through: Vec<String> =
        facts.intermediates.iter().map(|facts| certificates.certificate(facts, None)).collect();
    let through =
        if through.is_empty() { String::new() } else { format!(", through {}", through.join(", ")) };
    node.push(format!(
        "signature: {}; certificate: {leaf} ({carried}){through}",
        bytes_of(facts.signature_bytes)
    ));
    node
}

fn result(facts: &ResultFacts) -> String {
    let names = if facts.names.is_empty() { "no result found".to_owned() } else { facts.names.join(" or ") };
    let value = match (&facts.sha256, &facts.hint) {
        (Some(digest), _) => format!("sha256 {digest}"),
        (None, hint) => format!("hint {}", or(hint, "none")),
    };
    let set = if facts.set { "set" } else { "found" };
    format!("{} result {names}: {set}, {value}", facts.kind)
}

fn tep0089(facts: &Tep0089Facts, certificates: &mut Certificates) -> Node {
    let mut node = Node::new("Tekton's own form (tep-0089)");
    node.push(format!("manifest: {}", facts.manifest.join(", ")));
    node.push(format!("signatures for: {}", facts.signatures.join(", ")));
    if let Some(facts) = &facts.certificate {
        node.push(format!("certificate: {}", certificates.certificate(facts, None)));
    }
    node
}

fn bytes_of(bytes: usize) -> String {
    count(u64::try_from(bytes).unwrap_or(u64::MAX), "byte", "bytes")
}
