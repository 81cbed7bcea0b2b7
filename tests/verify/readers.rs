//! What svidence reads, others read the same: kubectl and controllers (Go), and PyYAML. Documents are made by chance;
//! `SVIDENCE_READER_DOCUMENTS` says how many (20,000), `SVIDENCE_READER_SEED` which.

use crate::support;

use std::env;

use serde_json::{Value, json};
use support::{
    documents::{self, Chance, GENUINE},
    peers,
    readers::Reader,
};
use svidence::{
    sources::{source::Source, walk::for_each},
    tekton::{
        artifacts::Artifacts,
        strict::yaml::{Dates, documents as read},
        taskrun::{TaskRun, TaskSpec},
    },
};
use unixtime::UnixSeconds;

fn go() -> Option<Reader> {
    peers::require("tekton-reader").map(|peer| Reader::go(&peer))
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// As many documents as are wanted, a part of them at a time.
fn in_parts(make: impl Fn(&mut Chance) -> String, mut each: impl FnMut(Vec<String>)) {
    let mut chance = Chance(number("SVIDENCE_READER_SEED", 1));
    let mut left = number("SVIDENCE_READER_DOCUMENTS", 20_000);
    while left > 0 {
        let part = left.min(5_000);
        left -= part;
        each((0..part).map(|_| make(&mut chance)).collect());
    }
}

/// The first document of a text as svidence reads it.
fn ours(text: &str) -> Option<Value> {
    read(text, Dates::Refused).ok()?.into_iter().next()
}

/// Texts that `read` reads and `reader` does not, or not the same.
fn disagreements(
    texts: Vec<String>,
    read: impl Fn(&str) -> Option<Value>,
    reader: &mut Reader,
) -> (usize, Vec<String>) {
    let read: Vec<(String, Value)> =
        texts.into_iter().filter_map(|text| read(&text).map(|value| (text, value))).collect();
    let texts: Vec<&str> = read.iter().map(|(text, _)| text.as_str()).collect();
    let answers = reader.answers("yaml", &texts);
    let differ = read.iter().zip(answers).filter(|((_, value), answer)| answer.as_ref() != Ok(value));
    let told = differ.map(|((text, value), answer)| format!("{text:?}\n  we:   {value}\n  they: {answer:?}"));
    let told: Vec<String> = told.collect();
    (read.len(), told)
}

fn all_agree(mut reader: Reader) {
    let (mut compared, mut made) = (0, 0);
    in_parts(
        |chance| documents::yaml(chance, GENUINE),
        |texts| {
            made += texts.len();
            let (read, differ) = disagreements(texts, ours, &mut reader);
            compared += read;
            assert!(
                differ.is_empty(),
                "{} of {read}, the first:\n{}",
                differ.len(),
                differ[..differ.len().min(12)].join("\n")
            );
        },
    );
    eprintln!("{compared} of {made} documents were read by both");
    // Rules that refuse everything would agree, too.
    assert!(compared * 10 > made, "only {compared} of {made} documents were read");
}

#[test]
fn go_reads_the_same() {
    if let Some(reader) = go() {
        all_agree(reader);
    }
}

#[test]
fn python_reads_the_same() {
    if let Some(reader) = Reader::python() {
        all_agree(reader);
    }
}

/// What some reader makes of a text; `None` if it refuses it.
type Reading = dyn Fn(&str) -> Option<Value>;

/// A comparison that finds nothing must be one that would find something.
#[test]
fn weaker_rules_are_found_out() {
    let Some(mut go) = go() else { return };
    let harmless = |pieces: &'static [&'static str], by: &'static str| {
        move |text: &str| {
            let text = pieces.iter().fold(text.to_owned(), |text, piece| text.replace(piece, by));
            ours(&text)
        }
    };
    let any_crate = |text: &str| serde_saphyr::from_multiple::<Value>(text).ok()?.into_iter().next();
    let mut found = [0; 4];
    let weakened: [&Reading; 4] = [
        &any_crate,
        &harmless(&["\u{85}"], "\u{a0}"),
        &harmless(&["\u{2028}", "\u{2029}"], "\u{a0}"),
        &harmless(&["<<"], "xx"),
    ];
    in_parts(
        |chance| documents::yaml(chance, GENUINE),
        |texts| {
            for (found, weakened) in found.iter_mut().zip(weakened) {
                *found += disagreements(texts.clone(), weakened, &mut go).1.len();
            }
        },
    );
    assert!(found.iter().all(|found| *found > 0), "{found:?}");
}

/// What Go writes, svidence reads, as Go does; but for `<<` and `=`, which it writes without quotes and PyYAML cannot read.
#[test]
fn what_go_writes_is_read() {
    let Some(mut go) = go() else { return };
    let mut chance = Chance(number("SVIDENCE_READER_SEED", 1));
    let count = number("SVIDENCE_READER_DOCUMENTS", 20_000) / 10;
    let objects: Vec<String> = (0..count).map(|_| object(&mut chance, 3).to_string()).collect();
    // It cannot write U+007F, and does not escape what ends a line in the YAML that it reads.
    let written = go.answers("write", &objects).into_iter().flatten();
    let texts = written.map(|text| text.as_str().unwrap().to_owned());
    let texts: Vec<String> =
        texts.filter(|text| !text.contains(['\u{85}', '\u{2028}', '\u{2029}'])).collect();
    assert!(texts.len() * 10 > objects.len() * 5, "{} of {}", texts.len(), objects.len());
    let mut unread = 0;
    for (text, theirs) in texts.iter().zip(go.answers("yaml", &texts)) {
        match read(text, Dates::Refused) {
            Ok(ours) => assert_eq!(ours, [theirs.unwrap()], "{text}"),
            // Something like `2001-1-1 1` that chance has put together: nearly a date.
            Err(error) => {
                assert!(error.what.contains("without quotes"), "{error}\n{text}");
                unread += 1;
            }
        }
    }
    assert!(unread * 100 <= texts.len(), "{unread} of {}", texts.len());
}

/// Texts of every kind that results, scripts and messages are.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "a b",
    "a: b",
    "- a",
    "-a",
    "#a",
    "a #b",
    "a#b",
    "a:b",
    ":a",
    "?a",
    "? a",
    "*",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a`",
    "|",
    ">",
    "~",
    "null",
    "Null",
    "yes",
    "no",
    "on",
    "y",
    "true",
    "True",
    "1",
    "-1",
    "01",
    "0x1f",
    "0o7",
    "1e3",
    "680841e1",
    "1_000",
    ".5",
    "1.5",
    ".inf",
    "1:30",
    "1:99",
    "2026-11-28",
    "2026-11-28T08:08:51Z",
    "12345678-1234-1234-1234-123456789012",
    "1h0m0s",
    "10.0.0.1",
    "v1.2.3",
    "sha256:0123",
    "{a: b}",
    "[a]",
    "{",
    "]",
    ",",
    "'",
    "''",
    "\"",
    "\\",
    "a\\b",
    "it's",
    "say \"a\"",
    "a\n",
    "\na",
    "a\nb",
    "a\n\nb\n\n",
    "  a\n b\n",
    "a \nb",
    " a",
    "a ",
    "a\tb",
    "\ta",
    "\ta\n\tb\n",
    "a\n\tb",
    "a\r\nb",
    "\r",
    "\u{0}",
    "\u{1b}[0m",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "é",
    "日本",
    "😀",
    "---",
    "...",
    "--- a",
    "#!/bin/sh\nset -e\necho \"a: $b\" | tee /tekton/results/x\n",
    "#!/bin/sh\n\tindented\n",
    "Tasks Completed: 1 (Failed: 0, Cancelled 0), Skipped: 0, and so on until the line is longer than eighty characters: and more",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbb ccccccccccc",
    "a  b   c    d     e      f       g        h         i          j           k            l             m              n",
    "[{\"key\":\"digest\",\"value\":\"sha256:0\",\"type\":1},{\"key\":\"SVIDENCE.build.sig\",\"value\":\"sv1.AAAA\",\"type\":1}]",
    "line one\nline two that is longer than eighty characters so that a writer may wish to fold it somewhere, who knows\n  three\n",
];

/// Keys as fields, labels and keys of results are.
const KEYS: &[&str] = &[
    "a",
    "b",
    "name",
    "value",
    "tekton.dev/pipeline",
    "a b",
    "a: b",
    "1",
    "true",
    "null",
    "y",
    "é",
    "-",
    "",
    "a#b",
    " a",
    "\"",
    "'",
    "{",
    "1.5",
    "0x1",
];

fn text(chance: &mut Chance) -> String {
    match chance.below(4) {
        0 => chance.of(TEXTS).to_owned() + chance.of(TEXTS),
        _ => chance.of(TEXTS).to_owned(),
    }
}

fn object(chance: &mut Chance, depth: usize) -> Value {
    let members = (0..1 + chance.below(6)).map(|_| (chance.of(KEYS).to_owned(), value(chance, depth)));
    Value::Object(members.collect())
}

fn value(chance: &mut Chance, depth: usize) -> Value {
    match chance.below(if depth == 0 { 10 } else { 14 }) {
        0 => json!(chance.below(1000)),
        1 => [json!(true), json!(false), Value::Null, json!([]), json!({})][chance.below(5)].clone(),
        2..=9 => json!(text(chance)),
        10 | 11 => (0..chance.below(4)).map(|_| value(chance, depth - 1)).collect(),
        _ => object(chance, depth - 1),
    }
}

/// The TaskRuns of an input, if it was read to its end.
fn task_runs(text: &str) -> Option<Vec<TaskRun>> {
    let mut all = Some(Vec::new());
    for_each(Source::files(&["-".into()], &mut text.as_bytes()), &mut |_, object| match (object, &mut all) {
        (Ok(object), Some(all)) => all.push(object),
        (Err(_), all) => *all = None,
        _ => {}
    });
    all
}

/// What verification looks at, without what says the same in other words.
fn comparable(mut object: TaskRun) -> String {
    let time = |text: &mut Option<String>| {
        *text = text.take().map(|text| format!("{:?}", UnixSeconds::parse(&text)))
    };
    time(&mut object.metadata.creation_timestamp);
    time(&mut object.status.start_time);
    time(&mut object.status.completion_time);
    object.status.retries_status.clear();
    object.status.steps = object.status.steps.filter(|steps| !steps.is_empty());
    let specs = [&mut object.spec.task_spec, &mut object.status.task_spec];
    for step in specs.into_iter().flatten().flat_map(|spec| &mut spec.steps) {
        step.step_action = step.step_action.take().map(|_| Value::Null);
    }
    object.status.task_spec = object.status.task_spec.filter(|spec| *spec != TaskSpec::default());
    object.spec.task_spec = object.spec.task_spec.filter(|spec| *spec != TaskSpec::default());
    object.status.artifacts = object.status.artifacts.filter(|artifacts| *artifacts != Artifacts::default());
    format!("{object:?}")
}

const TASK_RUN: &str = r#"{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"n","namespace":"d","uid":"u",
"creationTimestamp":"2026-11-28T07:00:00Z","labels":{"a":"b"},"annotations":{"svidence.dev/timestamps":"{}"}},"spec":{
"taskSpec":{"results":[{"name":"r","type":"object","value":"$(steps.s.results.r)"}],"steps":[{"name":"s","results":null,
"ref":{"name":"x"}}]}},"status":{"podName":"n-pod","startTime":"2026-11-28T07:00:00Z","completionTime":null,"conditions":[
{"type":"Succeeded","status":"True"}],"results":[{"name":"r","type":"object","value":{"Name":"v","k":"w"}},{"name":"t",
"type":"string","value":"\u00e9"},{"name":"l","type":"array","value":["a","b"]}],"steps":[{"name":"s","container":"step-s",
"terminationReason":"Continued","terminated":{"exitCode":3,"message":"[]"},"results":[{"name":"q","type":"string","value":
"p"}],"inputs":[{"name":"i","values":[{"digest":{"sha256":"0"},"uri":"u"}]}]}],"artifacts":{"outputs":[{"name":"o",
"buildOutput":true}]},"retriesStatus":[]}}"#;

/// Pieces of JSON that readers may take differently.
fn json_pieces() -> Vec<String> {
    let mut pieces: Vec<String> = [
        "null",
        "1",
        "-0",
        "1e999",
        "1.5",
        "3.0",
        "true",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\u{2028}\"",
        "{}",
        "[]",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\u{c}",
        "\u{feff}",
        "//",
        "\"x\"",
        "[\"x\"]",
        "{\"x\":\"y\"}",
        "[1]",
        "{\"x\":1}",
    ]
    .map(str::to_owned)
    .to_vec();
    for field in [
        "name", "uid", "value", "type", "results", "steps", "status", "kind", "metadata", "exitCode", "ref",
        "labels", "items",
    ] {
        let first = field[..1].to_uppercase() + &field[1..];
        for key in [
            field.to_owned(),
            first,
            field.to_uppercase(),
            field.replace('s', "\u{17f}"),
            field.replace('k', "\u{212a}"),
        ] {
            for value in ["null", "\"x\"", "[]", "{}", "1"] {
                pieces.push(format!("\"{key}\":{value},"));
            }
        }
    }
    pieces
}

fn json_document(chance: &mut Chance, pieces: &[String]) -> String {
    let mut text = TASK_RUN.to_owned();
    for _ in 0..1 + chance.below(2) {
        let starts: Vec<usize> = match chance.below(3) {
            0 => text.char_indices().map(|(at, _)| at).collect(),
            1 => text.match_indices(['{', ',']).map(|(at, _)| at + 1).collect(),
            _ => text.match_indices(':').map(|(at, _)| at + 1).collect(),
        };
        let at = starts[chance.below(starts.len())];
        // Over the value that is there, or beside it.
        let value = text[at..].find([',', '}', ']']).unwrap_or(0);
        let end = if chance.below(2) == 0 { at } else { at + value };
        text.replace_range(at..end, &pieces[chance.below(pieces.len())]);
    }
    text
}

/// Go may refuse what svidence reads, as it knows fields that svidence does not look at; but it must not read something else.
#[test]
fn go_reads_the_same_task_run_in_json() {
    let Some(mut go) = go() else { return };
    let pieces = json_pieces();
    let mut compared = 0;
    in_parts(
        |chance| json_document(chance, &pieces),
        |texts| {
            let read: Vec<(String, TaskRun)> = texts
                .into_iter()
                .filter_map(|text| task_runs(&text)?.pop().map(|object| (text, object)))
                .collect();
            let texts: Vec<&str> = read.iter().map(|(text, _)| text.as_str()).collect();
            for (theirs, (text, ours)) in go.answers("taskrun-json", &texts).into_iter().zip(&read) {
                let Ok(theirs) = theirs else { continue };
                compared += 1;
                let theirs = TaskRun::from_value(theirs).unwrap_or_else(|error| panic!("{error}\n{text}"));
                assert_eq!(comparable(ours.clone()), comparable(theirs), "{text}");
            }
        },
    );
    eprintln!("{compared} TaskRuns were read by both");
    assert!(compared > 100, "{compared}");
}

/// Lists are split by their lines before they are read; what comes out must be what Go reads of the whole.
#[test]
fn go_reads_the_same_items_of_a_list() {
    let Some(mut go) = go() else { return };
    let item = |name: &str, text: &str| {
        format!(
            "- apiVersion: tekton.dev/v1\n  kind: TaskRun\n  metadata:\n    name: {name}\n    namespace: d\n  status:\n    results:\n    - name: r\n      type: string\n      value: {text}\n"
        )
    };
    let items = item("a", "b") + &item("c", "\"d\\n- e\"") + &item("f", "|-\n        g\n\n        - h");
    let genuine = [
        format!("apiVersion: v1\nitems:\n{items}kind: List\nmetadata:\n  resourceVersion: \"\"\n"),
        format!("kind: List\nitems:\n  {}", items.trim_end().replace('\n', "\n  ")),
        format!("apiVersion: v1\nkind: List\nitems:\n{items}"),
    ];
    let genuine: Vec<&str> = genuine.iter().map(String::as_str).collect();
    let mut compared = 0;
    in_parts(
        |chance| documents::yaml(chance, &genuine),
        |texts| {
            let read: Vec<(String, Vec<TaskRun>)> = texts
                .into_iter()
                .filter_map(|text| task_runs(&text).map(|objects| (text, objects)))
                .collect();
            let texts: Vec<&str> = read.iter().map(|(text, _)| text.as_str()).collect();
            for (theirs, (text, ours)) in go.answers("yaml", &texts).into_iter().zip(&read) {
                let mut theirs = theirs.unwrap_or_else(|error| panic!("{error}\n{text}"));
                let items = match theirs.get_mut("items").map(Value::take) {
                    Some(Value::Array(items)) => items,
                    _ => vec![theirs],
                };
                let theirs = items.into_iter().map(|item| TaskRun::from_value(item).map(comparable));
                // Go reads the first document alone.
                let theirs: Vec<String> =
                    theirs.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}\n{text}"));
                let ours: Vec<String> = ours.iter().take(theirs.len()).cloned().map(comparable).collect();
                assert_eq!(ours, theirs, "{text}");
                compared += usize::from(!theirs.is_empty());
            }
        },
    );
    eprintln!("{compared} Lists were read by both");
    assert!(compared > 100, "{compared}");
}
