//! Every rule has one class, and `docs/certificates.md` says the same.

#![cfg(feature = "cli")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use svidence::workload::class::{Class, RULES};

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The codes in a function of the source: the texts behind its arrows.
fn codes_of(path: &str, function: &str) -> BTreeSet<String> {
    let source = file(path);
    let (_, body) = source.split_once(function).unwrap_or_else(|| panic!("{function} in {path}"));
    let body = body.split("\n    }\n").next().unwrap();
    let codes = body.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let codes: BTreeSet<String> = codes.collect();
    assert!(!codes.is_empty(), "{path}");
    codes
}

#[test]
fn every_rule_has_one_class() {
    let known: BTreeSet<String> = RULES.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(known.len(), RULES.len(), "a code appears twice");
    let mut all: BTreeSet<String> =
        ["no-version", "version", "base64", "protobuf", "not-canonical", "impossible-field"]
            .map(str::to_owned)
            .into();
    for (path, function) in [
        ("src/workload/certificate/error.rs", "pub fn code("),
        ("src/workload/chain/error.rs", "pub fn code("),
        ("src/workload/bundle.rs", "pub fn code("),
    ] {
        all.extend(codes_of(path, function));
    }
    let paths = file("src/workload/chain/error.rs");
    let (_, paths) = paths.split_once("impl PathRule").unwrap();
    all.extend(paths.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
    assert_eq!(all, known, "codes that can be reported, and those of the table");
}

#[test]
fn the_documentation_says_the_same() {
    let word = |class| match class {
        Class::Contradicts => "contradicts",
        Class::Unchecked => "unchecked",
    };
    let rules: BTreeMap<&str, &str> = RULES.iter().map(|(code, class)| (*code, word(*class))).collect();
    let text = file("docs/certificates.md");
    let mut documented = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [.., codes, class] = cells[..] else { panic!("{line}") };
        for code in codes.split(", ").map(|code| code.trim_matches('`')) {
            let before = documented.insert(code.to_owned(), class.to_owned());
            assert!(before.is_none_or(|before| before == class), "{code} has two classes");
        }
    }
    let documented: BTreeMap<&str, &str> =
        documented.iter().map(|(code, class)| (code.as_str(), class.as_str())).collect();
    assert_eq!(documented, rules);
}
