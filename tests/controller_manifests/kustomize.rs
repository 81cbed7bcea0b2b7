//! The folders of config/ as kustomize reads them: every file that is named is there, every file is named, and what a folder is rendered to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{skip::skip, text, tree};

/// Objects by kind, namespace and name.
pub(crate) type Objects = BTreeMap<String, Value>;

/// Folders with a kustomization of which others are made.
pub(crate) const OVERLAYS: [&str; 3] = ["controller", "pinned", "registration-by-controller-manager"];

/// What is applied by itself, or pasted into something else.
const BY_ITSELF: [&str; 8] = [
    "config/cluster-spiffeid.yaml",
    "config/controller/condition.yaml",
    "config/controller/identity.yaml",
    "config/gates/argocd/presync.yaml",
    "config/gates/github/action.yml",
    "config/gates/gitlab/svidence.yml",
    "config/gates/kubernetes/archive.yaml",
    "config/gates/tekton/task.yaml",
];

/// Keys of a kustomization that this test, as a reader of them, understands.
const UNDERSTOOD: [&str; 3] = ["namespace", "patches", "resources"];

/// The documents of a YAML text.
pub(crate) fn documents(shown: &str, text: &str) -> Vec<Value> {
    let parse = |document: &str| -> Value {
        serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{shown}: {error}\n{document}"))
    };
    text.split("---\n").filter(|document| !document.trim().is_empty()).map(parse).collect()
}

/// What tells an object from others.
pub(crate) fn name(object: &Value) -> String {
    let of = |key: &str| object["metadata"][key].as_str().unwrap_or("-");
    format!("{} {}/{}", object["kind"].as_str().expect("a kind"), of("namespace"), of("name"))
}

/// Objects by their names; none appears twice.
pub(crate) fn by_name(shown: &str, objects: impl IntoIterator<Item = Value>) -> Objects {
    let mut found = Objects::new();
    for object in objects {
        let name = name(&object);
        assert!(found.insert(name.clone(), object).is_none(), "{shown}: {name} appears twice");
    }
    found
}

/// The objects of one file.
pub(crate) fn file(file: &str) -> Objects {
    by_name(file, documents(file, &text(file)))
}

/// `folder/name` without `..`.
fn joined(folder: &Path, name: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in folder.join(name).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
    }
    path
}

/// A kustomization: its folder, and what it names.
struct Kustomization {
    folder: PathBuf,
    resources: Vec<PathBuf>,
    patches: Vec<PathBuf>,
    namespace: bool,
}

impl Kustomization {
    fn read(folder: &Path) -> Self {
        let shown = tree::shown(&folder.join("kustomization.yaml"));
        let read: Value =
            serde_saphyr::from_str(&text(&shown)).unwrap_or_else(|error| panic!("{shown}: {error}"));
        for key in read.as_object().unwrap_or_else(|| panic!("{shown}: no keys")).keys() {
            assert!(UNDERSTOOD.contains(&key.as_str()), "{shown}: this test does not understand {key}");
        }
        let list = |key: &str| read.get(key).map_or(&[][..], |list| list.as_array().expect("a list"));
        let path = |name: &Value| joined(folder, name.as_str().expect("a path"));
        Self {
            folder: folder.to_owned(),
            resources: list("resources").iter().map(path).collect(),
            patches: list("patches").iter().map(|patch| path(&patch["path"])).collect(),
            namespace: read.get("namespace").is_some(),
        }
    }

    /// As kustomize renders it.
    fn objects(&self) -> Objects {
        let shown = tree::shown(&self.folder);
        let of_resource = |path: &PathBuf| {
            if path.is_dir() { Self::read(path).objects() } else { file(&tree::shown(path)) }
        };
        let mut objects =
            by_name(&shown, self.resources.iter().flat_map(|path| of_resource(path).into_values()));
        for patch in &self.patches {
            for (name, patch) in file(&tree::shown(patch)) {
                let object = objects.get_mut(&name).unwrap_or_else(|| panic!("{shown}: no {name} to patch"));
                merge(object, &patch);
            }
        }
        objects
    }
}

/// A strategic merge patch without lists.
fn merge(object: &mut Value, patch: &Value) {
    let (Some(old), Some(new)) = (object.as_object_mut(), patch.as_object()) else {
        assert!(!patch.is_array(), "this test does not merge lists");
        object.clone_from(patch);
        return;
    };
    for (key, value) in new {
        merge(old.entry(key.clone()).or_insert(Value::Null), value);
    }
}

/// The objects of an overlay.
pub(crate) fn overlay(name: &str) -> Objects {
    Kustomization::read(&tree::root().join("config/overlays").join(name)).objects()
}

fn kustomizations() -> Vec<Kustomization> {
    let files = tree::files(&tree::root().join("config"));
    let folders = files.iter().filter(|file| file.ends_with("kustomization.yaml"));
    let read: Vec<_> = folders.map(|file| Kustomization::read(file.parent().expect("a folder"))).collect();
    assert!(read.len() > 8, "{} kustomizations", read.len());
    read
}

#[test]
fn every_file_that_is_named_is_there_and_kustomize_may_read_it() {
    for kustomization in kustomizations() {
        let shown = tree::shown(&kustomization.folder);
        for path in kustomization.resources.iter().chain(&kustomization.patches) {
            let named = tree::shown(path);
            let is_below = path.starts_with(&kustomization.folder);
            match path.is_dir() {
                true => assert!(
                    path.join("kustomization.yaml").is_file() && !kustomization.folder.starts_with(path),
                    "{shown}: {named} has no kustomization, or holds this one"
                ),
                false => assert!(path.is_file() && is_below, "{shown}: {named} is missing, or not below it"),
            }
        }
    }
}

#[test]
fn every_file_is_part_of_a_kustomization_or_applied_by_itself() {
    let kustomizations = kustomizations();
    let named: BTreeSet<String> = kustomizations
        .iter()
        .flat_map(|one| one.resources.iter().chain(&one.patches))
        .map(|path| tree::shown(path))
        .collect();
    let documents: String = tree::files(&tree::root().join("docs"))
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    let mut by_itself = BTreeSet::from(BY_ITSELF);
    for path in tree::files(&tree::root().join("config")) {
        let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if !is_yaml || path.ends_with("kustomization.yaml") {
            continue;
        }
        let shown = tree::shown(&path);
        let alone = by_itself.remove(shown.as_str());
        assert!(alone != named.contains(&shown), "{shown}: in a kustomization, or in BY_ITSELF, not both");
        assert!(!alone || documents.contains(&shown), "{shown} is applied by itself: no document says when");
    }
    assert!(by_itself.is_empty(), "{by_itself:?} are not there");
}

#[test]
fn kubectl_renders_each_folder_as_this_test_does() {
    let test = "kubectl_renders_each_folder_as_this_test_does";
    let kubectl = Path::new("/usr/bin/kubectl");
    if !kubectl.is_file() {
        return skip(test, "/usr/bin/kubectl is not installed");
    }
    for kustomization in kustomizations() {
        let shown = tree::shown(&kustomization.folder);
        let ran = Command::new(kubectl)
            .arg("kustomize")
            .arg(&kustomization.folder)
            .output()
            .expect("kubectl starts");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && said.is_empty(), "{shown}: {said}");
        let rendered = by_name(&shown, documents(&shown, &String::from_utf8(ran.stdout).expect("UTF-8")));
        // Which objects a namespace is put into is kustomize's knowledge.
        if !kustomization.namespace {
            assert_eq!(rendered, kustomization.objects(), "{shown}");
        }
    }
}
