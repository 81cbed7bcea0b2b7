//! What code, tests and documents cite is there: `docs/tekton-contract.md 3.7`, `docs/verify.md "Time"`, `[policy](verify.md#policy)`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

#[allow(unreachable_pub)]
use crate::tree;

use tree::{files, root, shown};

/// The headings of a document: their numbers, their texts, and what a link's fragment may be.
#[derive(Default)]
struct Headings {
    numbers: BTreeSet<String>,
    texts: BTreeSet<String>,
    fragments: BTreeSet<String>,
}

impl Headings {
    fn of(document: &str) -> Self {
        let mut found = Self::default();
        let mut fenced = false;
        for line in document.lines() {
            fenced ^= line.trim_start().starts_with("```");
            for anchor in line.split("<a id=\"").skip(1) {
                found.fragments.extend(anchor.split('"').next().map(str::to_owned));
            }
            let Some(heading) = line.strip_prefix('#').filter(|_| !fenced) else { continue };
            let heading = heading.trim_start_matches('#').trim().replace('`', "");
            found.fragments.insert(
                heading
                    .to_lowercase()
                    .chars()
                    .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                    .map(|c| if c == ' ' { '-' } else { c })
                    .collect(),
            );
            let (number, text) = heading.split_once(' ').unwrap_or(("", &heading));
            if number.starts_with(|c: char| c.is_ascii_digit()) {
                found.numbers.insert(number.trim_end_matches('.').to_owned());
                found.texts.insert(text.to_owned());
            } else {
                found.texts.insert(heading);
            }
        }
        found
    }
}

/// The documents of `docs/`, by name, and those beside `README.md`.
type Documents = BTreeMap<String, Headings>;

/// The numbers that `text` begins with: `3.10, 3.11`, `3.10 to 3.12`, `1 and 2`.
fn numbers(mut text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    loop {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let number = text[..end].trim_end_matches('.');
        if number.is_empty() {
            return found;
        }
        found.push(number);
        let rest = &text[number.len()..];
        let next = [", ", " to ", " and "].iter().find_map(|joint| rest.strip_prefix(joint));
        let Some(next) = next else { return found };
        text = next;
    }
}

/// What is wrong with the citations of one line. `document` is the name of the document that it is in, if it does.
fn complaints(line: &str, document: Option<&str>, documents: &Documents) -> Vec<String> {
    let mut wrong = Vec::new();
    // Rules once stood in documents that this repository did not have.
    let plain = line.to_lowercase();
    for word in ["contract ", "design "] {
        for (at, _) in plain.match_indices(word) {
            let rest = &plain[at + word.len()..];
            let rest = rest.strip_prefix("section ").unwrap_or(rest);
            let before = plain[..at].chars().next_back();
            if rest.starts_with(|c: char| c.is_ascii_digit()) && !before.is_some_and(char::is_alphanumeric) {
                let cited = &line[at..line.len().min(at + word.len() + 12)];
                wrong.push(format!("cites no document: {cited:?}; write docs/<document>.md <number>"));
            }
        }
    }
    for (at, ending) in line.match_indices(".md") {
        let name = line[..at].rsplit(|c: char| !c.is_alphanumeric() && c != '-' && c != '_').next();
        let name = format!("{}{ending}", name.unwrap_or_default());
        let Some(headings) = documents.get(&name) else { continue };
        let rest = &line[at + ending.len()..];
        if let Some(fragment) = rest.strip_prefix('#') {
            let end = fragment.find(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
            let fragment = &fragment[..end.unwrap_or(fragment.len())];
            // A program may put the fragment together.
            if !fragment.is_empty() && !headings.fragments.contains(fragment) {
                wrong.push(format!("{name} has no fragment #{fragment}"));
            }
            continue;
        }
        let rest = rest.trim_start_matches(['`', ')', ']', ',']);
        let Some(rest) = rest.strip_prefix(' ') else { continue };
        let rest = rest.strip_prefix("section ").unwrap_or(rest);
        for number in numbers(rest).into_iter().filter(|number| !headings.numbers.contains(*number)) {
            wrong.push(format!("{name} has no heading {number}"));
        }
        if let Some((text, _)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'))
            && !headings.texts.contains(text)
        {
            wrong.push(format!("{name} has no heading {text:?}"));
        }
    }
    // In a document a section without a document is its own.
    if let Some(name) = document {
        for (at, word) in line.match_indices("section ") {
            // Of another document, or of an RFC that is named by its number.
            let before = line[..at].trim_end().rsplit(' ').next().unwrap_or_default();
            let elsewhere = before.ends_with(".md)") || before.starts_with(|c: char| c.is_ascii_digit());
            for number in numbers(&line[at + word.len()..]) {
                if !elsewhere && !documents[name].numbers.contains(number) {
                    wrong.push(format!("{name} has no section {number}"));
                }
            }
        }
        for (at, opening) in line.match_indices("](#") {
            let fragment = line[at + opening.len()..].split(')').next().unwrap_or_default();
            if !documents[name].fragments.contains(fragment) {
                wrong.push(format!("{name} has no fragment #{fragment}"));
            }
        }
    }
    wrong
}

/// Whether a file is text of ours; of `testdata` the documents only.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = name.rsplit('.').next().unwrap_or_default();
    let is_text = ["rs", "md", "py", "sh", "go", "proto", "toml", "awk", "yaml"].contains(&ending)
        || ["Makefile", "Dockerfile", "differences.tsv"].contains(&name);
    is_text && (ending == "md" || !path.components().any(|part| part.as_os_str() == "testdata"))
}

fn documents() -> Documents {
    let folders = [root().join("docs"), root().to_owned()];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, Headings::of(&fs::read_to_string(&path).unwrap()))
        })
        .collect()
}

#[test]
fn every_citation_leads_to_a_heading() {
    let documents = documents();
    let mut wrong = Vec::new();
    for path in files(root()).into_iter().filter(|path| is_ours(path)) {
        let shown = shown(&path);
        let document = shown.strip_prefix("docs/").filter(|name| documents.contains_key(*name));
        for (index, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            for complaint in complaints(line, document, &documents) {
                wrong.push(format!("{shown}:{}: {complaint}", index + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{} citations:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_link_leads_to_a_file() {
    let mut wrong = Vec::new();
    let is_document = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "md");
    for path in files(root()).into_iter().filter(is_document) {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '\n']).next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !link.contains(':') && !path.parent().unwrap().join(file).exists() {
                wrong.push(format!("{}: no file {file}", shown(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lines as they may appear, with what is said of them.
#[test]
fn what_is_not_there_is_found() {
    let document = "# Top\n## 3. Life\n### 3.7 Running `x`\n#### 3.7.1 Timeout\n```\n# 9. not one\n```\n## What ran\n<a id=\"code\"></a>\n";
    let documents = Documents::from([("a-b.md".to_owned(), Headings::of(document))]);
    for (line, expected) in [
        ("nothing", vec![]),
        ("(docs/a-b.md 3.7; Tekton)", vec![]),
        ("(docs/a-b.md 3, 3.7.1): a list.", vec![]),
        ("docs/a-b.md 3.7 to 3.7.1.", vec![]),
        ("docs/a-b.md \"What ran\"", vec![]),
        ("docs/a-b.md \"Running x\"", vec![]),
        ("[a](a-b.md) 3.7, [b](a-b.md#what-ran), [c](a-b.md#37-running-x), [d](a-b.md#code)", vec![]),
        ("[a](a-b.md), \"What ran\"", vec![]),
        ("[a](a-b.md) section 3.7", vec![]),
        ("docs/other.md 17", vec![]),
        ("redesign 3 of a subcontract 4", vec![]),
        ("docs/a-b.md 3.8", vec!["a-b.md has no heading 3.8"]),
        ("docs/a-b.md 3, 3.7.2", vec!["a-b.md has no heading 3.7.2"]),
        ("docs/a-b.md 9", vec!["a-b.md has no heading 9"]),
        ("`docs/a-b.md` 4", vec!["a-b.md has no heading 4"]),
        ("docs/a-b.md \"What walked\"", vec!["a-b.md has no heading \"What walked\""]),
        ("[a](a-b.md#what-walked)", vec!["a-b.md has no fragment #what-walked"]),
    ] {
        assert_eq!(complaints(line, None, &documents), expected, "{line}");
    }
    for (line, expected) in [
        ("see section 3.7 and RFC 4648 section 5", vec![]),
        ("see section 5", vec!["a-b.md has no section 5"]),
        ("[here](#what-ran) and [there](#what-walked)", vec!["a-b.md has no fragment #what-walked"]),
    ] {
        assert_eq!(complaints(line, Some("a-b.md"), &documents), expected, "{line}");
    }
    for old in ["contract", "design", "Contract section", "design section"] {
        let line = format!("({old} 3.7; Tekton)");
        let said = complaints(&line, None, &documents);
        assert!(said.len() == 1 && said[0].starts_with("cites no document"), "{line}: {said:?}");
    }
}
