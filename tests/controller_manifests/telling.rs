//! What the controller tells is explained, and shown: each metric, and each Event.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use svidence::controller::metrics::Metrics;

use crate::{text, tree};

const PREFIX: &str = "svidence_controller_";
const DASHBOARD: &str = "config/grafana/svidence.json";

/// What Prometheus sees of a metric.
#[derive(Debug, Default)]
struct Metric {
    is_histogram: bool,
    labels: BTreeSet<String>,
}

/// Every metric, without its prefix, from a controller that has had something of everything.
fn metrics() -> BTreeMap<String, Metric> {
    let metrics = Metrics::default();
    let second = Duration::from_secs(1);
    metrics.registered("default", second);
    metrics.refused("default");
    metrics.judged("default", "verified", second);
    metrics.not_judged("forbidden");
    metrics.failed("timeout");
    metrics.stamped("default", 1);
    metrics.missed("default");
    metrics.not_stamped("unreachable");
    let text = metrics.text(true);
    let mut found: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            let name = name.strip_prefix(PREFIX).unwrap_or_else(|| panic!("{name} has another prefix"));
            let is_histogram = kind == "histogram";
            found.insert(name.to_owned(), Metric { is_histogram, ..Metric::default() });
        } else if let Some((name, rest)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let base = name.strip_prefix(PREFIX).unwrap().trim_end_matches("_bucket");
            let (labels, _) = rest.split_once('}').unwrap();
            let names = labels.split(',').map(|label| label.split_once('=').unwrap().0.to_owned());
            found.get_mut(base).unwrap_or_else(|| panic!("{base} has no TYPE")).labels.extend(names);
        }
    }
    assert!(found.len() > 10, "{text}");
    found
}

/// The names of metrics in a text, without their prefix.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = |rest: &str| rest.split(|c| !is_name(c)).next().unwrap_or_default().to_owned();
    text.split(PREFIX).skip(1).map(name).collect()
}

/// The metric that a name in a query is of: a histogram has three names.
fn base<'a>(name: &'a str, metrics: &BTreeMap<String, Metric>) -> Option<&'a str> {
    let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    match of_histogram.filter(|base| metrics.get(*base).is_some_and(|metric| metric.is_histogram)) {
        Some(base) => Some(base),
        None => metrics.get(name).is_some_and(|metric| !metric.is_histogram).then_some(name),
    }
}

/// Every query of the dashboard, with the title of its panel.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let of_panel = |panel: &Value| {
        let title = panel["title"].as_str().expect("a title").to_owned();
        let query = |target: &Value| (title.clone(), target["expr"].as_str().expect("a query").to_owned());
        panel["targets"].as_array().expect("targets").iter().map(query).collect::<Vec<_>>()
    };
    panels.iter().flat_map(of_panel).collect()
}

/// The labels that a query groups by, selects by or shows: `by (a, b)`, `{a="…"}`.
fn labels(query: &str) -> BTreeSet<String> {
    let grouped = query.split(" by (").skip(1).filter_map(|rest| rest.split(')').next());
    let selected = query.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let names = grouped.chain(selected).flat_map(|list| list.split(','));
    names.map(|name| name.trim().split(['=', '!']).next().unwrap_or_default().to_owned()).collect()
}

/// Labels that Prometheus adds, and the one of buckets.
const OF_PROMETHEUS: [&str; 3] = ["job", "instance", "le"];

#[test]
fn the_dashboard_asks_for_metrics_that_there_are_and_shows_all_of_them() {
    let metrics = metrics();
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).expect("JSON");
    let mut shown = BTreeSet::new();
    for (panel, query) in queries(&dashboard) {
        let names = named(&query);
        assert!(!names.is_empty(), "{panel}: {query} asks for no metric of the controller");
        let mut known: BTreeSet<&str> = BTreeSet::from(OF_PROMETHEUS);
        for name in &names {
            let base = base(name, &metrics);
            let base = base.unwrap_or_else(|| panic!("{panel}: there is no metric {PREFIX}{name}"));
            known.extend(metrics[base].labels.iter().map(String::as_str));
            shown.insert(base.to_owned());
        }
        for label in labels(&query) {
            assert!(known.contains(label.as_str()), "{panel}: {query} asks for the label {label}");
        }
    }
    for name in metrics.keys() {
        assert!(shown.contains(name), "no panel shows {PREFIX}{name}");
    }
    for variable in dashboard["templating"]["list"].as_array().expect("variables") {
        let query = variable["query"].as_str().expect("a query");
        for name in named(query) {
            assert!(base(&name, &metrics).is_some(), "the variable {} asks for {name}", variable["name"]);
        }
    }
}

#[test]
fn its_panels_neither_overlap_nor_share_a_number() {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).expect("JSON");
    let (mut numbers, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = &panel["title"];
        assert!(numbers.insert(panel["id"].as_u64().expect("an id")), "{title}: the id of another");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap_or_else(|| panic!("{title}: {key}"));
        assert!(at("x") + at("w") <= 24, "{title} is beyond the right edge");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{title} covers another");
            }
        }
    }
}

/// The first cells of a table's rows in docs/operations.md, below this head.
fn rows(head: &str) -> Vec<String> {
    let document = text("docs/operations.md");
    let (_, table) = document.split_once(head).unwrap_or_else(|| panic!("there is no table {head}"));
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| "));
    rows.map(|row| row.split(" | ").next().expect("a cell").to_owned()).collect()
}

#[test]
fn the_document_explains_each_metric_with_its_labels_and_no_other() {
    let metrics = metrics();
    let mut explained = BTreeSet::new();
    for cell in rows("| metric | counts |") {
        for name in cell.split('`').filter_map(|part| part.strip_prefix(PREFIX)) {
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let metric = metrics.get(name).unwrap_or_else(|| panic!("there is no metric {PREFIX}{name}"));
            let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
            let labels: BTreeSet<String> = labels.map(str::to_owned).collect();
            let seen = metric.labels.iter().filter(|label| *label != "le").cloned().collect();
            assert_eq!(labels, seen, "the labels of {PREFIX}{name}");
            explained.insert(name.to_owned());
        }
    }
    let all: BTreeSet<String> = metrics.into_keys().collect();
    assert_eq!(explained, all, "what the table explains, and what there is");
}

/// What looks like the reason of an Event, but is a kind or the type of a condition.
const NO_REASONS: &[&str] =
    &["TaskRun", "PipelineRun", "ConfigMap", "ClusterStaticEntry", "SvidenceVerified"];

/// Whether it is words in one, as Kubernetes has for reasons and kinds: `NotRegistered`.
fn is_camel_case(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().filter(char::is_ascii_uppercase).count() > 1
        && word.chars().any(|c| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_alphabetic())
}

#[test]
fn the_document_explains_each_event_and_no_other() {
    let mut in_code = BTreeSet::new();
    for file in tree::files(&tree::root().join("src/controller")) {
        // What is generated names the calls of the SPIRE server.
        if file.ends_with("generated.rs") {
            continue;
        }
        let code = std::fs::read_to_string(&file).unwrap();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        // The names of types, as `Debug` shows them.
        let code = code.filter(|line| !line.contains("debug_struct(") && !line.contains("debug_tuple("));
        let literals = code.flat_map(|line| line.split('"').skip(1).step_by(2));
        in_code.extend(literals.filter(|word| is_camel_case(word)).map(str::to_owned));
    }
    for word in NO_REASONS {
        assert!(in_code.remove(*word), "{word} is not in the code any more: take it out of NO_REASONS");
    }
    let explained: BTreeSet<String> = rows("| Event | on | means |")
        .iter()
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(explained, in_code, "what the table explains, and what the code tells");
}
