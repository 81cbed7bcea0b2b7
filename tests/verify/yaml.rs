//! YAML as `svidence verify` takes it: what two readers may read differently is not read, and a List may be of any length.

use crate::support;

use std::{fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};
use support::command::{Ran, svidence};

const AT: &str = "2026-11-28T07:30:00Z";

fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/yaml").join(name).to_str().unwrap().to_owned()
}

fn verify(source: &str, stdin: &str) -> Ran {
    verify_with(source, stdin, "bundle.pem", AT)
}

fn verify_with(source: &str, stdin: &str, bundle: &str, at: &str) -> Ran {
    svidence(
        &["verify", source, "--trust-domain", "example.org", "--bundle", &data(bundle), "--at", at],
        stdin,
    )
}

fn genuine() -> Value {
    serde_json::from_str(&fs::read_to_string(data("taskrun.json")).unwrap()).unwrap()
}

fn genuine_yaml() -> String {
    serde_saphyr::to_string(&genuine()).unwrap()
}

#[test]
fn what_other_readers_read_differently_is_unchecked() {
    for (file, bundle, at, line, reason) in [
        ("line-break-nel.yaml", "altered-bundle.pem", AT, 146, "U+0085 ends the line for YAML 1.1 readers"),
        ("merge-key.yaml", "altered-bundle.pem", AT, 146, "a merge key (<<)"),
        (
            "number.yaml",
            "number-bundle.pem",
            "2026-11-28T08:30:00Z",
            36,
            "1e3 without quotes is a number to some readers and not to others; quote it, or give JSON",
        ),
    ] {
        let ran = verify_with(&data(file), "", bundle, at);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{file}: {}", ran.err);
        assert!(ran.err.contains(&format!("line {line}: {reason}")), "{file}: {}", ran.err);
    }
    for (file, bundle, at) in
        [("taskrun.json", "bundle.pem", AT), ("number.json", "number-bundle.pem", "2026-11-28T08:30:00Z")]
    {
        assert_eq!(verify_with(&data(file), "", bundle, at).code, 0, "{file}");
    }
}

/// Where Kubernetes has a text, no scalar without quotes that some reader takes for something else is read, wherever it stands.
#[test]
fn a_scalar_without_quotes_is_no_text_if_anybody_takes_it_for_something_else() {
    let yaml = genuine_yaml();
    let commit = "  - name: commit\n    type: string\n    value: ";
    let start = yaml.find(commit).expect("the result in the status") + commit.len();
    let end = start + yaml[start..].find('\n').unwrap();
    let with = |value: &str| format!("{}{value}{}", &yaml[..start], &yaml[end..]);
    assert_eq!(verify("-", &with("main-7f3c2a")).code, 0);
    assert_eq!(verify("-", &with("\"main-7f3c2a\"")).code, 0);
    let line = yaml[..start].matches('\n').count() + 1;
    for value in [
        "680841",
        "-1",
        "0",
        "680841e1",
        "1e3",
        "0x1f",
        "0o17",
        "017",
        "0b1",
        "1_000",
        "1.5",
        ".5",
        "5.",
        ".inf",
        "-.Inf",
        ".NaN",
        "1:30",
        "190:20:30.15",
        "+1",
        "+_1",
        "-_1_0",
        "123456789012345678901234567890",
        "true",
        "false",
        "True",
        "yes",
        "no",
        "on",
        "Off",
        "y",
        "N",
        "null",
        "~",
        "Null",
        "",
        "2026-11-28",
        "2026-11-28T08:08:51Z",
        "2001-1-1 1:1:1",
        "=",
        "<<",
    ] {
        let ran = verify("-", &with(value));
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{value:?}: {}", ran.err);
        assert!(ran.err.contains(&format!("line {line}")), "{value:?}: {}", ran.err);
        assert!(ran.err.contains("quote it, or give JSON"), "{value:?}: {}", ran.err);
    }
    // Quoted it is a text, and another one.
    assert_eq!(verify("-", &with("'680841'")).code, 1);
}

/// Without quotes, too, nearly every text is one to all readers.
#[test]
fn a_scalar_that_nobody_takes_for_something_else_is_a_text() {
    let yaml = genuine_yaml();
    for value in [
        "_1",
        "-a",
        "+x",
        "main-ab-cd",
        "123-11-28",
        "2026-113-2",
        "2026-11-283",
        "2026-11-28x",
        "1.2.3",
        "v1",
        "1e",
        "0x",
        "1:60",
    ] {
        let labelled =
            yaml.replacen("app.kubernetes.io/managed-by: tekton-pipelines", &format!("a: {value}"), 1);
        assert_ne!(labelled, yaml);
        let ran = verify("-", &labelled);
        assert_eq!(ran.code, 0, "{value:?}: {}", ran.err);
    }
}

#[test]
fn a_text_that_is_wanted_elsewhere_must_be_one_too() {
    for (from, to, place) in [
        ("name: build-app", "name: 7", "metadata.name"),
        ("uid: 6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70", "uid: 6", "metadata.uid"),
        ("app.kubernetes.io/managed-by: tekton-pipelines", "a: 1", "metadata.labels.a"),
    ] {
        let yaml = genuine_yaml();
        assert!(yaml.contains(from), "{yaml}");
        let ran = verify("-", &yaml.replacen(from, to, 1));
        assert_eq!(ran.code, 3, "{place}: {}", ran.err);
        assert!(
            ran.err.contains(place) && ran.err.contains("quote it, or give JSON"),
            "{place}: {}",
            ran.err
        );
    }
}

/// What to do about a scalar without quotes is said of YAML alone, and of a long text its beginning.
#[test]
fn what_is_in_the_place_of_something_else_is_shown() {
    let long = "x".repeat(61);
    for (case, place, value, told) in [
        (
            "a number",
            "/status/results/0/value",
            json!(5),
            "the number 5 stands where text, a list of texts or an object of texts belongs",
        ),
        ("a list in a list", "/status/results/0/value", json!([[]]), "a list stands where text belongs"),
        ("a short text", "/status/steps", json!("short"), "the text \"short\" stands where a list belongs"),
        (
            "a text of 60 characters",
            "/status/steps",
            json!(long[1..]),
            &format!("the text {:?} stands where a list belongs", &long[1..]),
        ),
        (
            "a long text",
            "/status/steps",
            json!(long),
            &format!("the text {:?}… stands where a list belongs", &long[1..]),
        ),
    ] {
        let mut object = genuine();
        *object.pointer_mut(place).unwrap() = value;
        let ran = verify("-", &object.to_string());
        assert_eq!(ran.code, 3, "{case}: {}", ran.err);
        assert!(ran.err.contains(told) && !ran.err.contains("quote it"), "{case}: {}", ran.err);
    }
}

#[test]
fn constructs_that_readers_differ_on_are_refused_with_their_line() {
    let yaml = genuine_yaml();
    let lines = yaml.matches('\n').count();
    for (case, addition, reason) in [
        ("a next line", "x: a # \u{85}b: c\n", "U+0085"),
        ("a line separator", "x: 'a\u{2028}b'\n", "U+2028"),
        ("a paragraph separator", "x: \"a\u{2029}b\"\n", "U+2029"),
        ("a carriage return", "x: a\rb: c\n", "U+000D"),
        ("a byte-order mark", "x: \u{feff}a\n", "U+FEFF"),
        ("a control character", "x: a\u{7}\n", "U+0007"),
        ("a merge key", "<<: {a: b}\n", "merge key"),
        ("a nested merge key", "x: {<<: {a: b}}\n", "merge key"),
        ("a quoted merge key", "'<<': {a: b}\n", "merge key"),
        ("a tagged merge key", "!!merge <<: {a: b}\n", "tag (!)"),
        ("an anchor at a key", "&a x: b\n", ""),
        ("an alias as key", "x: &a b\n*a : c\n", ""),
        ("an alias of what it is in", "x: &a [*a]\n", ""),
        ("an unknown alias", "x: *a\n", ""),
        ("a tag", "x: !!str 1\n", "tag (!)"),
        ("a binary", "x: !!binary YQ==\n", "tag (!)"),
        ("a complex key", "? x\n: y\n", "complex key (?)"),
        ("a list as key", "[x]: y\n", "key"),
        ("a number as key", "1: x\n", "quote it"),
        ("a boolean as key", "true: x\n", "quote it"),
        ("a boolean of YAML 1.1 as key", "on: x\n", "quote it"),
        ("null as key", "null: x\n", "quote it"),
        ("a key twice", "x: a\nx: b\n", "appears twice"),
        ("a key twice, once in quotes", "x: a\n'x': b\n", "appears twice"),
        ("a tab", "x:\ta\n", "tab"),
        ("a tab in a text", "x: a\tb\n", "tab"),
        ("half a character", "x: \"\\ud800\"\n", ""),
        ("an escape of YAML 1.2", "x: \"\\/\"\n", ""),
        ("a text that goes on at the margin", "x: 'a\nb'\n", ""),
        ("brackets that go on at the margin", "x: [a,\nb]\n", ""),
        ("a value in brackets that is not there", "x: {a: , b: c}\n", "a value in brackets is missing"),
        ("an anchor right behind a bracket", "x: [&a b]\n", "punctuation"),
        ("a colon behind a blank", "x : a\n", "a colon that is not between its key and a blank"),
        ("a marker with something in its line", "--- # next\n", "must be alone"),
        ("something after the end", "...\nx: a\n", "follows the end of a document"),
    ] {
        let ran = verify("-", &format!("{yaml}{addition}"));
        // What comes before the end of a document is read by all.
        let is_behind = case == "something after the end";
        assert!(ran.code == 3 && (ran.out.is_empty() || is_behind), "{case}: {}", ran.err);
        let told = (lines + 1..=lines + 3).any(|line| ran.err.contains(&format!("line {line}")));
        assert!(told && ran.err.contains(reason), "{case}, from line {}: {}", lines + 1, ran.err);
    }
    for (case, addition) in [
        ("a comment", "# a comment: [it\n"),
        ("carriage returns", "x: a\r\n"),
        ("the end", "...\n"),
        ("an empty document at the end", "---\n"),
        ("a block of text", "x: |-\n  a\n\n  b\n"),
        ("escapes", "x: \"\\u0085 \\x41 \\\n  \\ \\N\"\n"),
        ("an anchor and its alias", "x: &a [b]\nz: *a\n"),
        ("numbers where nothing is read", "x: [1, -2, true, null]\n"),
    ] {
        let ran = verify("-", &format!("{yaml}{addition}"));
        assert_eq!(ran.code, 0, "{case}: {}", ran.err);
    }
    let utf_16: Vec<u8> = "\u{feff}kind: TaskRun\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("taskrun.yaml");
    fs::write(&file, utf_16).unwrap();
    let ran = verify(file.to_str().unwrap(), "");
    assert!(ran.code == 3 && ran.err.contains("UTF-16"), "{}", ran.err);
}

/// As `kubectl get taskruns -o yaml` prints it, `kind` after the items; and as other programs do.
#[test]
fn a_list_of_any_length_is_read_item_by_item() {
    let yaml = genuine_yaml();
    let indented = |by: &str| {
        let item = yaml.replace('\n', &format!("\n{by}  "));
        format!("{by}- {}\n", item.trim_end())
    };
    let list = |item: &str, count: usize| {
        format!(
            "apiVersion: v1\nitems:\n{}kind: List\nmetadata:\n  resourceVersion: \"\"\n",
            item.repeat(count)
        )
    };
    let bare: String =
        yaml.lines().filter(|line| !line.starts_with(['k', 'a'])).fold(String::new(), |mut all, line| {
            writeln!(all, "{line}").unwrap();
            all
        });
    let bare = format!("- {}\n", bare.trim_end().replace('\n', "\n  "));
    let typed = format!("apiVersion: tekton.dev/v1\nitems:\n{}kind: TaskRunList\n", bare.repeat(3));
    let broken = indented("").replacen("name: build-app", "name: 'build-app", 1);
    for (case, text, code, verified) in [
        ("one item", list(&indented(""), 1), 0, 1),
        ("20 items", list(&indented(""), 20), 0, 20),
        ("20 indented items", list(&indented("  "), 20), 0, 20),
        ("kind first", format!("kind: List\napiVersion: v1\nitems:\n{}", indented("").repeat(5)), 0, 5),
        ("comments between", list(&format!("# a\n{}\n  # b\n", indented("")), 5), 0, 5),
        (
            "two Lists and an object",
            format!("{}---\n{}---\n{yaml}", list(&indented(""), 2), list(&indented(""), 3)),
            0,
            6,
        ),
        ("a TaskRunList whose kind comes last", typed, 0, 3),
        ("no items", "apiVersion: v1\nitems: []\nkind: List\n".to_owned(), 3, 0),
        ("a small one that is none", format!("items:\n{}kind: Pod\n", indented("")), 3, 0),
        ("Items beside", format!("{}Items:\n{}", list(&indented(""), 2), indented("")), 3, 0),
        ("nothing after a broken item", list(&format!("{}{broken}{}", indented(""), indented("")), 1), 3, 1),
        ("a List in a text", format!("a: \"\nitems:\n{}\"\nitems: []\nkind: List\n", indented("")), 3, 0),
        ("a List in an indented object", format!("  a: b\nitems:\n{}kind: List\n", indented("")), 3, 0),
        ("brackets after it", format!("kind: List\nitems:\n{}{{}}\n", indented("")), 3, 0),
        ("brackets before it", format!("# a List\n{{kind: List}}\nitems:\n{}", indented("")), 3, 0),
        ("something after it that is indented", format!("items:\n{}  kind: List\n", indented("    ")), 3, 0),
    ] {
        let ran = verify("-", &text);
        let lines = ran.err.lines().filter(|line| line.starts_with("verified  default/build-app")).count();
        assert_eq!((ran.code, lines), (code, verified), "{case}: {}", &ran.err[..ran.err.len().min(2000)]);
    }
}

#[test]
fn names_are_those_of_kubernetes() {
    for (field, name, is_one) in [
        ("name", "a", true),
        ("name", "a.b-c.1", true),
        ("name", &"a".repeat(253), true),
        ("name", &"a".repeat(254), false),
        ("name", "A", false),
        ("name", "a_b", false),
        ("name", "-a", false),
        ("name", "a.", false),
        ("name", "a..b", false),
        ("name", "", false),
        ("name", "a/b", false),
        ("name", "é", false),
        ("name", "a\n", false),
        ("namespace", "a-1", true),
        ("namespace", &"a".repeat(63), true),
        ("namespace", &"a".repeat(64), false),
        ("namespace", "a.b", false),
        ("namespace", "Default", false),
        ("namespace", "", false),
    ] {
        let mut object = genuine();
        object["metadata"][field] = json!(name);
        let ran = verify("-", &object.to_string());
        // A genuine object under another name is a contradiction.
        assert_eq!(ran.code, if is_one { 1 } else { 3 }, "{field} {name:?}: {}", ran.err);
        assert_eq!(
            ran.err.contains("is not the name of a Kubernetes"),
            !is_one,
            "{field} {name:?}: {}",
            ran.err
        );
    }
}
