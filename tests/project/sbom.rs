//! The lists of what the released programs are made of (`release/sbom.sh`), against Cargo.lock and what cargo says of its features.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Command, Output},
};

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const TARGET: &str = "x86_64-unknown-linux-musl";

fn run(arguments: &[&str]) -> Output {
    let (program, arguments) = arguments.split_first().expect("a program");
    Command::new(program).args(arguments).current_dir(ROOT).output().unwrap()
}

fn bill(program: &str, file: Option<&str>) -> String {
    let mut arguments = vec!["release/sbom.sh", program, TARGET];
    arguments.extend(file);
    let ran = run(&arguments);
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// Components as `name@version`, but for Rust's own library.
fn components(bill: &Value) -> BTreeMap<String, &Value> {
    let components = list(bill, "components").iter();
    components
        .filter(|component| text(component, "type") == "library")
        .map(|component| (text(component, "bom-ref").to_owned(), component))
        .collect()
}

/// Packages of Cargo.lock with their checksums, which this repository's own do not have.
fn locked() -> BTreeMap<String, Option<String>> {
    let lock = fs::read_to_string(format!("{ROOT}/Cargo.lock")).unwrap();
    let value = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        line.map(|rest| rest.trim_end_matches('"').to_owned())
    };
    lock.split("[[package]]")
        .skip(1)
        .map(|package| {
            let id = format!("{}@{}", value(package, "name").unwrap(), value(package, "version").unwrap());
            (id, value(package, "checksum"))
        })
        .collect()
}

/// What a program may hold at most, since cargo counts in what only tests ask of a package: packages that are linked in by the
/// program's features, as `name@version`, each with those that it uses whatever its features.
fn linked(features: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut arguments = vec![env!("CARGO"), "metadata", "--locked", "--offline", "--format-version", "1"];
    arguments.extend(["--filter-platform", TARGET]);
    arguments.extend(features);
    let ran = run(&arguments);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let metadata: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let by_id = |values: &[Value]| -> BTreeMap<String, Value> {
        values.iter().map(|value| (text(value, "id").to_owned(), value.clone())).collect()
    };
    let (packages, nodes) = (by_id(list(&metadata, "packages")), by_id(list(&metadata["resolve"], "nodes")));
    let name_of = |id: &str| format!("{}@{}", text(&packages[id], "name"), text(&packages[id], "version"));
    let is_macro =
        |id: &str| list(&packages[id], "targets").iter().any(|target| target["kind"][0] == "proc-macro");
    let root = packages.keys().find(|id| text(&packages[*id], "name") == "svidence").unwrap();
    let (mut found, mut open) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(id) = open.pop() {
        let used = list(&nodes[&id], "deps").iter().filter(|used| {
            list(used, "dep_kinds").iter().any(|kind| kind["kind"].is_null()) && !is_macro(text(used, "pkg"))
        });
        let used: Vec<&str> = used.map(|used| text(used, "pkg")).collect();
        let always = list(&packages[&id], "dependencies").iter().filter(|dependency| {
            dependency["kind"].is_null() && dependency["optional"] == false && dependency["target"].is_null()
        });
        let always: BTreeSet<&str> = always.map(|dependency| text(dependency, "name")).collect();
        let needs = used.iter().filter(|used| always.contains(text(&packages[**used], "name")));
        let needs: BTreeSet<String> = needs.map(|used| name_of(used)).collect();
        if found.insert(name_of(&id), needs).is_none() {
            open.extend(used.into_iter().map(str::to_owned));
        }
    }
    found
}

#[test]
fn a_list_is_what_cargo_lock_has_for_the_features_of_the_program() {
    let locked = locked();
    let mut counts = Vec::new();
    for (program, features) in [("entrypoint", &["--no-default-features"][..]), ("svidence", &[])] {
        let written = bill(program, None);
        let bill: Value = serde_json::from_str(&written).unwrap();
        let (components, linked) = (components(&bill), linked(features));
        for (id, component) in &components {
            let checksum = locked.get(id).unwrap_or_else(|| panic!("{program}: {id} is not in Cargo.lock"));
            assert_eq!(component["hashes"][0]["content"].as_str(), checksum.as_deref(), "{program}: {id}");
            assert_eq!(component.get("purl").is_some(), checksum.is_some(), "{program}: {id}");
            assert!(linked.contains_key(id), "{program}: {id} is not linked in by its features");
            let missing: Vec<&String> =
                linked[id].iter().filter(|needed| !components.contains_key(*needed)).collect();
            assert_eq!(missing, Vec::<&String>::new(), "{program}: {id} needs them");
        }
        let own = linked.iter().find(|(id, _)| id.starts_with("svidence@")).unwrap().1;
        assert!(own.iter().all(|needed| components.contains_key(needed)), "{program}: of {own:?}");
        counts.push(components.keys().cloned().collect::<BTreeSet<String>>());
    }
    let has = |components: &BTreeSet<String>, name: &str| {
        components.iter().any(|id| id.strip_prefix(name).is_some_and(|rest| rest.starts_with('@')))
    };
    for (name, in_entrypoint, in_svidence) in [
        ("ring", true, true),
        ("cel", true, true),
        ("clap", false, true),
        ("rustls", false, true),
        ("rcgen", false, false),
        ("serde_derive", false, false),
    ] {
        assert_eq!(has(&counts[0], name), in_entrypoint, "{name} in entrypoint");
        assert_eq!(has(&counts[1], name), in_svidence, "{name} in svidence");
    }
}

#[test]
fn two_lists_are_equal_and_bound_to_their_program() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("entrypoint");
    fs::write(&file, "abc").unwrap();
    let file = file.to_str().unwrap();
    let once = bill("entrypoint", Some(file));
    assert_eq!(once, bill("entrypoint", Some(file)));
    let bill: Value = serde_json::from_str(&once).unwrap();
    assert_eq!((text(&bill, "bomFormat"), text(&bill, "specVersion")), ("CycloneDX", "1.6"));
    let program = &bill["metadata"]["component"];
    assert_eq!(text(program, "name"), "entrypoint");
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(text(&program["hashes"][0], "content"), digest);
    let named: BTreeSet<&str> = list(&bill, "components").iter().map(|one| text(one, "bom-ref")).collect();
    let mut used = BTreeSet::new();
    for dependency in list(&bill, "dependencies") {
        let by = text(dependency, "ref");
        assert!(by == "entrypoint" || named.contains(by), "{by} is no component");
        used.extend(list(dependency, "dependsOn").iter().map(|one| one.as_str().unwrap()));
    }
    assert_eq!(used, named, "each component is used by another");
    let refused = run(&["release/sbom.sh", "other", TARGET]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("there are entrypoint and svidence"), "{said}");
}
