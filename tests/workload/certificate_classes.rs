//! Every rule has one class, and `docs/certificates.md` says the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use svidence::workload::class::{Class, RULES, class_of};

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The codes in the function `code` of an implementation: the texts behind its arrows.
fn codes_of(path: &str, implementation: &str) -> BTreeSet<String> {
    let source = file(path);
    let after = |text: &str, part: &str| {
        let (_, after) = text.split_once(part).unwrap_or_else(|| panic!("{part} in {path}"));
        after.to_owned()
    };
    let body = after(&after(&source, implementation), "fn code(");
    let body = body.split("\n    }\n").next().unwrap();
    let codes = body.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let codes: BTreeSet<String> = codes.collect();
    assert!(!codes.is_empty(), "{path}");
    codes
}

fn rules() -> impl Iterator<Item = (&'static str, Class)> {
    x509::RULES.iter().chain(RULES).copied()
}

#[test]
fn every_rule_has_one_class() {
    let mut known = BTreeSet::new();
    for (code, class) in rules() {
        assert!(known.insert(code.to_owned()), "{code} appears twice");
        assert_eq!(class_of(code), class, "{code}");
    }
    let mut all: BTreeSet<String> =
        ["no-version", "version", "base64", "protobuf", "not-canonical", "impossible-field"]
            .map(str::to_owned)
            .into();
    for (path, implementation) in [
        ("crates/x509/src/certificate/error.rs", "impl CertificateError"),
        ("crates/x509/src/path/error.rs", "impl<R: Rule> PathError<R>"),
        ("crates/x509/src/path/error.rs", "impl<R: Rule> PathRule<R>"),
        ("src/workload/svid_rules.rs", "impl SvidRule"),
        ("src/workload/chain.rs", "impl Rule for IssuerRule"),
        ("src/workload/bundle.rs", "impl BundleError"),
    ] {
        all.extend(codes_of(path, implementation));
    }
    assert_eq!(all, known, "codes that can be reported, and those of the table");
}

#[test]
fn the_documentation_says_the_same() {
    let word = |class| match class {
        Class::Contradicts => "contradicts",
        Class::Unchecked => "unchecked",
    };
    let rules: BTreeMap<&str, &str> = rules().map(|(code, class)| (code, word(class))).collect();
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
