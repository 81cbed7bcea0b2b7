//! The house as docs/architecture.md 2.1 draws it: which part may use which, no two files that need each other, and no two types of one
//! name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

#[allow(unreachable_pub)]
use crate::tree;

use tree::{files, root, shown};

/// Files with their module paths, such as `crate::step::run` in `svidence`: one house for all crates, each under its own name.
#[derive(Default)]
struct House {
    /// Module path → (file as shown, the paths that its `use` declarations and its code name).
    files: BTreeMap<String, Room>,
}

#[derive(Default)]
struct Room {
    shown: String,
    /// The last segment of what is imported, or what it is renamed to → the whole path.
    imports: BTreeMap<String, String>,
    /// Paths that the code names.
    named: BTreeSet<String>,
}

impl House {
    fn add_crate(&mut self, name: &str, folder: &Path) {
        let is_ours = |file: &PathBuf| {
            file.extension().is_some_and(|ending| ending == "rs") && !file.ends_with("generated.rs")
        };
        for file in files(folder).into_iter().filter(is_ours) {
            let below = file.strip_prefix(folder).expect("a file of the folder").with_extension("");
            let segments: Vec<&str> = below.iter().map(|part| part.to_str().expect("UTF-8")).collect();
            let module = match segments.as_slice() {
                ["lib"] => Vec::new(),
                ["bin", ..] => continue,
                [folders @ .., "mod"] => folders.to_vec(),
                all => all.to_vec(),
            };
            let module = std::iter::once(name).chain(module).collect::<Vec<_>>().join("::");
            let text = fs::read_to_string(&file).expect("a source file");
            let mut room = Room { shown: shown(&file), ..Room::default() };
            room.read(&without_tests(&text), name, &module);
            self.files.insert(module, room);
        }
    }

    /// The module that a path leads to, through what modules hand on.
    fn resolve(&self, path: &str, hops: usize) -> Option<&str> {
        let segments: Vec<&str> = path.split("::").collect();
        let known = |count: usize| self.files.get_key_value(&segments[..count].join("::"));
        let (count, (module, room)) =
            (1..=segments.len()).rev().find_map(|count| Some((count, known(count)?)))?;
        let handed_on = segments.get(count).and_then(|name| room.imports.get(*name));
        match handed_on {
            Some(further) if hops > 0 => {
                let rest = segments[count + 1..].iter().map(|segment| format!("::{segment}"));
                self.resolve(&(further.clone() + &rest.collect::<String>()), hops - 1).or(Some(module))
            }
            _ => Some(module),
        }
    }

    /// Which module uses which other, with one path that shows it.
    fn arrows(&self) -> BTreeMap<(&str, &str), &str> {
        let mut arrows = BTreeMap::new();
        for (module, room) in &self.files {
            for path in &room.named {
                if let Some(used) = self.resolve(path, 8).filter(|used| used != module) {
                    arrows.entry((module.as_str(), used)).or_insert(path.as_str());
                }
            }
        }
        arrows
    }

    fn shown(&self, module: &str) -> &str {
        &self.files[module].shown
    }
}

impl Room {
    fn read(&mut self, text: &str, name: &str, module: &str) {
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for declaration in declarations(&code) {
            for leaf in leaves(&declaration) {
                let (path, alias) = leaf.split_once(" as ").unwrap_or((&leaf, ""));
                let Some(path) = absolute(path, name, module) else { continue };
                let last = path.rsplit("::").next().unwrap_or_default().to_owned();
                self.imports.insert(if alias.is_empty() { last } else { alias.to_owned() }, path.clone());
                self.named.insert(path);
            }
        }
        for path in inline(&code) {
            self.named.extend(absolute(&path, name, module));
        }
    }
}

/// A path from the root of its crate. `None` for one of the standard library or another package.
fn absolute(path: &str, name: &str, module: &str) -> Option<String> {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut rest = path.split("::").peekable();
    match rest.peek().copied()? {
        "crate" => {
            rest.next();
            base.truncate(1);
        }
        "self" => {
            rest.next();
        }
        "super" => {
            while rest.next_if_eq(&"super").is_some() {
                base.pop();
            }
        }
        "go" | "cel" | "unixtime" | "x509"
            if name == "svidence" || path.starts_with("go::") || path.starts_with("unixtime::") =>
        {
            base.clear()
        }
        "std" | "core" | "alloc" => return None,
        // A child of this module, or another package: only one of them is in the house.
        _ => {}
    }
    Some(base.into_iter().chain(rest).collect::<Vec<_>>().join("::"))
}

/// What is between `use` and `;`.
fn declarations(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line = &code[code[..at].rfind('\n').map_or(0, |end| end + 1)..at];
        let visibility = line.trim_start();
        if line.starts_with(' ') || !(visibility.is_empty() || visibility.starts_with("pub")) {
            continue;
        }
        let end = code[at..].find(';').expect("the end of a declaration");
        let tree = &code[at + 4..at + end];
        found.push(
            tree.split_whitespace().collect::<Vec<_>>().join(" ").replace("{ ", "{").replace(" }", "}"),
        );
    }
    found
}

/// The paths of a tree of imports.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else { return vec![tree.trim_end_matches("::self").to_owned()] };
    let (prefix, inner) = (&tree[..open], &tree[open + 1..tree.len() - 1]);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| leaves(part).into_iter().map(|leaf| format!("{prefix}{leaf}")))
        .map(|leaf| leaf.trim_end_matches("::self").replace("::self as", " as"))
        .collect()
}

/// Paths in the code that begin at a crate or a parent.
fn inline(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::", "super::", "go::", "cel::", "unixtime::", "x509::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '_' | ':')) {
                continue;
            }
            let is_of_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
            let end = code[at..].find(|c| !is_of_path(c)).unwrap_or(code.len() - at);
            let path = code[at..at + end].trim_end_matches(':');
            // Not the root alone, as before a tree of imports.
            if path.contains("::") {
                found.push(path.to_owned());
            }
        }
    }
    found
}

/// Tests may use what they like. They come last in a file.
fn without_tests(text: &str) -> String {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

/// A type, and where it is defined.
#[derive(Debug, PartialEq, Eq)]
struct Definition {
    name: String,
    /// Whether any part of its crate may use it.
    is_public: bool,
    /// `src/verify/proof.rs:12`.
    at: String,
}

/// The types that a file defines. Those of traits, which are indented, are no definitions.
fn types(text: &str, shown: &str) -> Vec<Definition> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = line.trim_start().split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '('));
        let mut word = words.next().unwrap_or_default();
        let is_public = line.starts_with("pub ") || line.starts_with("pub(crate) ");
        if word == "pub" || word.starts_with("pub(") {
            word = words
                .find(|word| matches!(*word, "struct" | "enum" | "union" | "trait" | "type" | "fn"))
                .unwrap_or_default();
        }
        let is_type = match word {
            "struct" | "enum" | "union" | "trait" => true,
            "type" => !line.starts_with(' '),
            _ => false,
        };
        if let Some(name) = words.next().filter(|name| is_type && !name.is_empty()) {
            found.push(Definition { name: name.to_owned(), is_public, at: format!("{shown}:{number}") });
        }
    }
    found
}

/// The sources that are written by hand, each with what it says but for its tests.
fn sources() -> Vec<(String, String)> {
    let crates = fs::read_dir(root().join("crates")).expect("crates");
    let folders = crates.map(|entry| entry.expect("an entry").path().join("src"));
    let files = std::iter::once(root().join("src")).chain(folders).flat_map(|folder| files(&folder));
    let is_ours = |file: &PathBuf| {
        file.extension().is_some_and(|ending| ending == "rs") && !file.ends_with("generated.rs")
    };
    files
        .filter(is_ours)
        .map(|file| (shown(&file), without_tests(&fs::read_to_string(&file).expect("a source file"))))
        .collect()
}

/// Names that more than one type has, and where.
fn shared_names<'a>(definitions: impl Iterator<Item = &'a Definition>) -> Vec<String> {
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Definition { name, at, .. } in definitions {
        by_name.entry(name).or_default().push(at);
    }
    by_name.retain(|_, at| at.len() > 1);
    by_name.iter().map(|(name, at)| format!("{name} is {}", at.join(" and "))).collect()
}

fn house() -> House {
    let mut house = House::default();
    house.add_crate("svidence", &root().join("src"));
    for entry in fs::read_dir(root().join("crates")).expect("crates") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        house.add_crate(&name, &folder.join("src"));
    }
    house
}

/// The part that a module belongs to: a crate, or a folder of `src`.
fn part(module: &str) -> &str {
    let mut segments = module.split("::");
    match segments.next().unwrap_or_default() {
        "svidence" => segments.next().unwrap_or("svidence"),
        other => other,
    }
}

/// The rows of docs/architecture.md 2.1: each part with those that it may use.
fn allowed(document: &str) -> BTreeMap<String, BTreeSet<String>> {
    let section =
        document.split("### 2.1 ").nth(1).expect("section 2.1").split("\n## ").next().expect("its text");
    let section = section.split("\n### ").next().expect("its text");
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut table: BTreeMap<String, BTreeSet<String>> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
            let part = names(cells[0]).pop_first().expect("a part");
            (
                part,
                names(cells[1])
                    .into_iter()
                    .chain(cells[1].contains("all of them").then(|| "*".to_owned()))
                    .collect(),
            )
        })
        .collect();
    let all: BTreeSet<String> = table.keys().cloned().collect();
    for uses in table.values_mut() {
        if uses.remove("*") {
            uses.extend(all.iter().cloned());
        }
    }
    table
}

#[test]
fn a_part_uses_only_what_the_document_says() {
    let document = fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    let table = allowed(&document);
    let house = house();
    let mut broken = Vec::new();
    for ((from, to), path) in house.arrows() {
        let (one, other) = (part(from), part(to));
        if one == other || one == "svidence" {
            continue;
        }
        let uses =
            table.get(one).unwrap_or_else(|| panic!("{one} is not in the table of docs/architecture.md 2.1"));
        if !uses.contains(other) {
            broken.push(format!("{} uses {path} of {other}, which {one} may not", house.shown(from)));
        }
    }
    assert!(
        broken.is_empty(),
        "{} arrows are not in docs/architecture.md 2.1:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// Comments, empty lines and a file's own tests do not count.
#[test]
fn no_file_is_longer_than_one_can_keep_in_mind() {
    const MOST: usize = 500;
    let folders = std::iter::once(root().join("src")).chain(
        fs::read_dir(root().join("crates"))
            .expect("crates")
            .map(|entry| entry.expect("an entry").path().join("src")),
    );
    let mut count = 0;
    for file in folders.flat_map(|folder| files(&folder)) {
        if file.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file");
        let code = without_tests(&text);
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        let lines = code.lines().filter(is_code).count();
        assert!(
            lines <= MOST,
            "{} has {lines} lines of code; split it by what its parts are for",
            shown(&file)
        );
        count += 1;
    }
    assert!(count > 200, "only {count} files were looked at");
}

#[test]
fn the_table_itself_has_no_circle() {
    let document = fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    let table = allowed(&document);
    let arrows = table.iter().flat_map(|(part, uses)| {
        uses.iter().filter(move |used| *used != part).map(move |used| (part.as_str(), used.as_str()))
    });
    assert_eq!(circles(&arrows.collect()), Vec::<Vec<&str>>::new());
}

#[test]
fn no_files_need_each_other() {
    let house = house();
    let is_ancestor =
        |one: &str, other: &str| other.strip_prefix(one).is_some_and(|rest| rest.starts_with("::"));
    let arrows = house.arrows();
    let between: BTreeSet<(&str, &str)> = arrows
        .keys()
        .copied()
        .filter(|(from, to)| !is_ancestor(from, to) && !is_ancestor(to, from))
        .collect();
    let mut told = String::new();
    for circle in circles(&between) {
        told += "\na circle:";
        for (from, to) in &between {
            if circle.contains(from) && circle.contains(to) {
                told += &format!("\n  {} uses {}", house.shown(from), arrows[&(*from, *to)]);
            }
        }
    }
    assert!(told.is_empty(), "files need each other:{told}");
}

/// Groups of nodes that can be reached from each other.
fn circles<'a>(arrows: &BTreeSet<(&'a str, &'a str)>) -> Vec<Vec<&'a str>> {
    let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let nodes: BTreeSet<&str> = arrows.iter().flat_map(|(from, to)| [*from, *to]).collect();
    for &start in &nodes {
        let (mut open, mut seen) = (vec![start], BTreeSet::new());
        while let Some(node) = open.pop() {
            for (_, next) in arrows.range((node, "")..).take_while(|(from, _)| *from == node) {
                if seen.insert(*next) {
                    open.push(next);
                }
            }
        }
        reached.insert(start, seen);
    }
    let mut circles: Vec<Vec<&str>> = Vec::new();
    for node in nodes {
        let mutual: Vec<&str> =
            reached[node].iter().copied().filter(|other| reached[other].contains(node)).collect();
        if mutual.contains(&node) && !circles.iter().any(|circle| circle.contains(&node)) {
            circles.push(mutual);
        }
    }
    circles
}

#[test]
fn a_circle_and_a_wrong_arrow_are_seen() {
    let mut room = Room::default();
    let code = "use crate::{\n    b::{self, C as D},\n    e,\n};\npub use super::f::G;\nfn h() { super::i::j(); go::text::quote() }\n";
    room.read(code, "svidence", "svidence::a::k");
    let named: Vec<&str> = room.named.iter().map(String::as_str).collect();
    assert_eq!(
        named,
        [
            "go::text::quote",
            "svidence::a::f::G",
            "svidence::a::i::j",
            "svidence::b",
            "svidence::b::C",
            "svidence::e"
        ]
    );
    assert_eq!(room.imports["D"], "svidence::b::C");
    let arrows = BTreeSet::from([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]);
    assert_eq!(circles(&arrows), [["a", "b", "c"]]);
    let table = allowed(
        "### 2.1 T\n\n| part | may use |\n|---|---|\n| `a` | `b`, `c` |\n| `d` | all of them |\n\n## 3. X\n| `z` | `y` |",
    );
    assert_eq!(table["a"], BTreeSet::from(["b".to_owned(), "c".to_owned()]));
    assert_eq!(table["d"], BTreeSet::from(["a".to_owned(), "d".to_owned()]));
}

/// Names that say too little to be had twice, also where only one file uses them.
const ONE_MEANING: [&str; 6] = ["Evidence", "Form", "Declared", "Kind", "Place", "Pod"];

#[test]
fn a_name_means_one_type() {
    let all: Vec<Definition> = sources().iter().flat_map(|(shown, text)| types(text, shown)).collect();
    assert!(all.len() > 1000, "only {} types were found", all.len());
    let vague = all.iter().filter(|definition| ONE_MEANING.contains(&definition.name.as_str()));
    let public = all.iter().filter(|definition| definition.is_public && definition.at.starts_with("src/"));
    let mut wrong = shared_names(vague);
    wrong.extend(shared_names(public));
    assert!(
        wrong.is_empty(),
        "types share names; name one of them after what it is in its part:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_name_of_two_types_is_seen() {
    let text = "pub struct A {\nenum B\n    type C = u8;\npub(crate) type D<'a> = u8;\npub(in crate::x) struct E;\n/// struct F\nmod t {\n    \
                pub trait G {\nlet kind = 1;\npub fn struct_of(x: H) {}\n";
    let found = types(text, "src/a.rs");
    let seen: Vec<(&str, bool, &str)> =
        found.iter().map(|found| (found.name.as_str(), found.is_public, found.at.as_str())).collect();
    let expected = [
        ("A", true, "src/a.rs:1"),
        ("B", false, "src/a.rs:2"),
        ("D", true, "src/a.rs:4"),
        ("E", false, "src/a.rs:5"),
        ("G", false, "src/a.rs:8"),
    ];
    assert_eq!(seen, expected);
    let twice = [types("pub struct A;", "src/b.rs"), found].into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(shared_names(twice.iter()), ["A is src/b.rs:1 and src/a.rs:1"]);
}
