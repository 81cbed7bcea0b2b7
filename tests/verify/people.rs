//! What people read: standard error of `verify`, and the reports `markdown` and `html`.

use crate::support;

use std::fs;

use serde_json::{Value, json};
use support::command::{path, svidence, verify};
use xmloxide::Document;

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

fn object(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap()
}

/// Nine forgeries, of which one was robbed of its evidence, one genuine TaskRun and what is none.
fn archive() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=9 {
        fs::write(folder.path().join(format!("{number}.json")), read(&format!("altered-{number}.json")))
            .unwrap();
    }
    fs::write(folder.path().join("genuine.json"), read("taskrun.json")).unwrap();
    fs::write(folder.path().join("x.json"), "{").unwrap();
    fs::write(folder.path().join("y.json"), "").unwrap();
    folder
}

fn folder_of(folder: &tempfile::TempDir) -> &str {
    folder.path().to_str().unwrap()
}

#[test]
fn a_tally_ends_what_people_read() {
    let archive = archive();
    let all = verify(&[folder_of(&archive)], &[], "");
    let last = "10 TaskRuns: 1 verified, 8 invalid, 1 absent; 2 files not read; exit code 1";
    assert_eq!((all.code, all.err.lines().last()), (1, Some(last)), "{}", all.err);
    let one = verify(&[&path("taskrun.json")], &[], "");
    assert_eq!(one.err.lines().last(), Some("1 TaskRun: 1 verified; exit code 0"), "{}", one.err);
    // Of many files that are not read some are named and the others counted; the tally counts them all.
    let folder = tempfile::tempdir().unwrap();
    (0..15).for_each(|i| fs::write(folder.path().join(format!("{i}.txt")), "x").unwrap());
    fs::write(folder.path().join("genuine.json"), read("taskrun.json")).unwrap();
    let many = verify(&[folder_of(&folder)], &[], "");
    let last = "1 TaskRun: 1 verified; 15 files not read; exit code 3";
    assert_eq!(many.err.lines().last(), Some(last), "{}", many.err);
    let (genuine, altered) = (object("taskrun.json"), object("altered-1.json"));
    let lines = format!("{genuine}\n{{\n{altered}\nnull\n");
    let broken = verify(&["-"], &[], &lines);
    assert!(broken.err.ends_with("; exit code 1\n"), "{}", broken.err);
    assert!(broken.err.contains(" not read; "), "{}", broken.err);
}

#[test]
fn quiet_says_what_failed_and_verbose_says_everything() {
    let archive = archive();
    let quiet = verify(&[folder_of(&archive)], &["-q"], "");
    assert!(!quiet.err.contains("verified  "), "{}", quiet.err);
    assert_eq!(quiet.err.matches("\ninvalid   ").count() + 1, 8, "{}", quiet.err);
    assert!(quiet.err.contains("10 TaskRuns: 1 verified"), "{}", quiet.err);
    let good = verify(&[&path("taskrun.json")], &["--quiet"], "");
    assert_eq!((good.code, good.err.as_str(), good.out.lines().count()), (0, "", 4));
    let verbose = verify(&[&path("taskrun.json")], &["-v"], "");
    for text in [
        "step build: exit code 0, signed at ",
        "authority SHA-256 ",
        "result digest: SHA-256 ",
        ", UID 6f1c2f0e",
    ] {
        assert!(verbose.err.contains(text), "{text:?} in {}", verbose.err);
    }
    let both = verify(&[&path("taskrun.json")], &["-v", "-q"], "");
    assert_eq!(both.code, 64, "{}", both.err);
}

/// One change used to yield a line for every step that covers it.
#[test]
fn one_cause_is_one_line_however_many_steps_cover_it() {
    for (name, causes) in [
        ("altered-1.json", &["result digest was changed: step build signed SHA-256 "][..]),
        ("altered-2.json", &["result digest was changed: steps build, images and report signed SHA-256 "]),
        ("altered-3.json", &["result commit was changed: ", "result digest was changed: "]),
        ("altered-5.json", &["result commit is missing in "]),
        ("altered-6.json", &["result approved was added in "]),
        ("altered-7.json", &["steps build, images and report: the TaskRun's name is "]),
        ("altered-9.json", &["no step signed anything"]),
    ] {
        let ran = verify(&[&path(name)], &[], "");
        let lines: Vec<&str> = ran.err.lines().filter_map(|line| line.strip_prefix("          ")).collect();
        assert_eq!(lines.len(), causes.len(), "{name}: {}", ran.err);
        for (line, cause) in lines.iter().zip(causes) {
            assert!(line.starts_with(cause), "{name}: {}", ran.err);
            assert!(line.ends_with(']'), "{name}, the rule: {line}");
        }
    }
    let expired = verify(&[&path("taskrun.json")], &["--at", "2100-01-01T00:00:00Z"], "");
    let lines: Vec<&str> = expired.err.lines().filter(|line| line.starts_with("    ")).collect();
    assert_eq!((expired.code, lines.len()), (4, 1), "{}", expired.err);
    assert!(
        lines[0].contains("the certificates of steps build, images and report expired at "),
        "{}",
        lines[0]
    );
    assert!(
        lines[0].contains("--timestamps") && lines[0].contains("[time-unproven: expired]"),
        "{}",
        lines[0]
    );
}

/// Among many that are good, what failed can be found again: in a List and in JSON lines, too.
#[test]
fn what_failed_is_found_by_its_place() {
    let (genuine, altered) = (object("taskrun.json"), object("altered-1.json"));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [genuine, altered]}).to_string();
    let lines = format!("{genuine}\n{altered}\n");
    for (case, stdin, place) in [
        ("JSON lines", &lines, "in standard input (object 2, line 2), UID 6f1c2f0e-"),
        ("a List", &list, "in standard input (object 2), UID 6f1c2f0e-"),
    ] {
        let ran = verify(&["-"], &["-q"], stdin);
        assert!(ran.err.contains(place), "{case}: {}", ran.err);
        let ran = verify(&["-"], &["-q", "-o", "json"], stdin);
        let found: Value = serde_json::from_str(ran.out.lines().nth(1).unwrap()).unwrap();
        assert_eq!(found["place"]["index"], 2, "{case}: {found}");
        assert_eq!(found["place"]["uid"], "6f1c2f0e-8d3a-4b57-9c7e-2f4a1d5b6c70", "{case}");
    }
}

#[test]
fn colour_is_a_matter_of_the_terminal_unless_it_is_asked_for() {
    let altered = path("altered-1.json");
    assert!(!verify(&[&altered], &[], "").err.contains('\u{1b}'), "a pipe");
    assert!(!verify(&[&altered], &["--color", "never"], "").err.contains('\u{1b}'));
    let coloured = verify(&[&altered], &["--color", "always"], "").err;
    assert!(coloured.contains("\u{1b}[1;31minvalid  \u{1b}[0m"), "{coloured:?}");
    let plain = coloured.replace("\u{1b}[1;31m", "").replace("\u{1b}[0m", "");
    let plain = plain.replace("\u{1b}[1m", "").replace("\u{1b}[2m", "");
    assert_eq!(plain, verify(&[&altered], &[], "").err, "the words are the same");
    assert!(svidence(&["inspect", &altered, "--color", "always"], "").out.contains('\u{1b}'));
}

/// An `-o` that cannot be opened used to speak of a report that is not whole, where there was none.
#[test]
fn a_report_that_cannot_be_opened_says_that_nothing_was_checked() {
    let ran = verify(&[&path("taskrun.json")], &["-o", "json=/nowhere/report.json"], "");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{}", ran.err);
    assert!(ran.err.contains("/nowhere/report.json could not be written: "), "{}", ran.err);
    assert!(ran.err.contains("nothing was checked"), "{}", ran.err);
}

/// Names, values, reasons and file names that try to break out of every format.
fn hostile() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let evil = "</code></td></details><script>alert(1)</script><img src=x onerror=alert(1)>&amp;&#60; \" ' ]]> | \\| `x` \
                ``` @octocat [x](https://evil.example) https://evil.example \u{202e}\u{1b}[31m\n\n# heading";
    let mut unsigned = object("taskrun.json");
    for state in unsigned["status"]["steps"].as_array_mut().unwrap() {
        let message = state["terminated"]["message"].as_str().unwrap().to_owned();
        let mut entries: Vec<Value> = serde_json::from_str(&message).unwrap();
        for entry in &mut entries {
            if entry["key"].as_str().unwrap().starts_with("SVIDENCE.") {
                entry["value"] = json!(format!("unsigned: {evil}"));
            }
        }
        state["terminated"]["message"] = json!(serde_json::to_string(&entries).unwrap());
    }
    let mut added = object("taskrun.json");
    let result = json!({"name": evil, "type": "string", "value": evil});
    added["status"]["results"].as_array_mut().unwrap().push(result);
    let mut other = object("taskrun.json");
    other["metadata"]["uid"] = json!(evil);
    fs::write(folder.path().join("a|b`c`@x <b>&.json"), unsigned.to_string()).unwrap();
    fs::write(folder.path().join("added.json"), added.to_string()).unwrap();
    fs::write(folder.path().join("uid.json"), other.to_string()).unwrap();
    let kind = json!({"apiVersion": "v1", "kind": evil, "metadata": {}});
    fs::write(folder.path().join("kind.json"), kind.to_string()).unwrap();
    fs::write(folder.path().join("genuine.json"), read("taskrun.json")).unwrap();
    folder
}

#[test]
fn html_is_one_well_formed_file_and_no_name_gets_out_of_its_place() {
    let folder = hostile();
    let ran = verify(&[folder_of(&folder)], &["-o", "html"], "");
    let page = ran.out;
    let document = Document::parse_str(&page).unwrap_or_else(|error| panic!("{error:?}\n{page}"));
    let known = [
        "html", "head", "meta", "title", "style", "body", "header", "h1", "p", "code", "label", "input",
        "main", "details", "summary", "span", "b", "div", "ul", "li", "footer",
    ];
    let mut details = 0;
    for node in document.descendants(document.root()) {
        let Some(name) = document.node_name(node) else { continue };
        if document.attributes(node).is_empty() && name.starts_with('!') {
            continue;
        }
        details += usize::from(name == "details");
        assert!(known.contains(&name) || name == "#text" || name == "#document", "<{name}>");
        for attribute in document.attributes(node) {
            let allowed =
                ["xmlns", "lang", "charset", "http-equiv", "content", "name", "class", "open", "type", "id"];
            assert!(allowed.contains(&attribute.name.as_str()), "<{name} {}>", attribute.name);
        }
    }
    assert_eq!(details, 5, "one a TaskRun");
    assert!(page.contains("default-src 'none'; style-src 'sha256-"), "{page}");
    for bad in ["<script", "<img", "\u{202e}", "\u{1b}", "url(", "@import", "javascript:"] {
        assert!(!page.contains(bad), "{bad}");
    }
    for box_of in ["bundle", "certificate", "run", "step", "result"] {
        assert!(page.contains(&format!("<span class=\"kind\">{box_of}</span>")), "{box_of}");
    }
    assert!(page.contains("<footer class=\"failed\">4 TaskRuns: 1 verified, "), "{page}");
}

#[test]
fn markdown_is_one_table_and_no_name_gets_out_of_its_cell() {
    let folder = hostile();
    let ran = verify(&[folder_of(&folder)], &["-o", "markdown"], "");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "### svidence verify: ` example.org `");
    let rows: Vec<&&str> = lines.iter().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 6, "a heading and a row a TaskRun\n{}", ran.out);
    for row in rows {
        let outside = outside_code(row);
        assert_eq!(outside.matches('|').count(), 4, "three cells: {row}");
        let outside = outside.replace("<br>", "");
        for bad in ["<", "@", "[", "](", "http", "&"] {
            assert!(!outside.contains(bad), "{bad:?} outside of code: {row}");
        }
    }
    assert!(lines.last().unwrap().starts_with("**") && ran.out.contains("1 verified"), "{}", ran.out);
    assert!(ran.out.contains("` digest ` = ` \"sha256:"), "{}", ran.out);
}

/// A row without its code spans (CommonMark 6.1: from a row of backticks to the next one of the same length), after each
/// escaped pipe was taken for one of the text, as GitHub does before it looks for spans.
fn outside_code(row: &str) -> String {
    let mut out = String::new();
    let mut rest = row;
    while let Some(start) = rest.find('`') {
        out.push_str(&rest[..start]);
        let fence = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let inside = &rest[start + fence..];
        let mut from = 0;
        let end = loop {
            let next = from + inside[from..].find('`').unwrap_or_else(|| panic!("an open span: {row}"));
            let length = inside[next..].len() - inside[next..].trim_start_matches('`').len();
            if length == fence {
                break next;
            }
            from = next + length;
        };
        let text = &inside[..end];
        assert_eq!(
            text.matches('|').count(),
            text.matches("\\|").count(),
            "a pipe that ends the cell: {text}"
        );
        assert!(!text.contains("\\\\|"), "a pipe whose escape is escaped: {text}");
        rest = &inside[end + fence..];
    }
    out.push_str(rest);
    out
}

/// A comment on a pull request has room for so much, and a report of many runs must not grow in memory.
#[test]
fn markdown_counts_what_it_has_no_room_for() {
    let (genuine, altered) = (object("taskrun.json"), object("altered-3.json"));
    let lines = format!("{genuine}\n{altered}\n").repeat(103);
    let ran = verify(&["-"], &["-q", "-o", "markdown"], &lines);
    assert!(ran.out.chars().count() < 65_536, "{}", ran.out.chars().count());
    for (mark, what) in [("| ✅ ", "that count as verified."), ("| ❌ ", "that do not.")] {
        let shown = ran.out.lines().filter(|line| line.starts_with(mark)).count();
        assert!(ran.out.contains(&format!("… and {} more {what}", 103 - shown)), "{mark}: {shown}");
        assert!((20..=100).contains(&shown), "{mark}: {shown}");
    }
    assert!(
        ran.out.ends_with("**206 TaskRuns: 103 verified, 103 invalid**\n"),
        "{}",
        ran.out.lines().last().unwrap()
    );
}
