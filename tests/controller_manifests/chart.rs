//! The Helm chart: filled in with its values it is what the overlays are.
//!
//! Its templates hold substitutions and blocks with `if` alone, so that this test can read them without Helm.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use svidence::{controller::config, step::signing::config::KEYS};

use crate::{
    kustomize::{Objects, by_name, documents, file, overlay},
    skip::skip,
    text, tree,
};

const CHART: &str = "charts/svidence";
const NAMESPACE: &str = "tekton-pipelines";

/// Values by their paths, such as `config.svidenceAttest`, and which of them were asked for.
struct Values {
    values: BTreeMap<String, Value>,
    used: RefCell<BTreeSet<String>>,
}

impl Values {
    /// Those of the chart, with some that a user sets.
    fn with(set: &[(&str, Value)]) -> Self {
        let mut values = BTreeMap::new();
        let shipped: Value =
            serde_saphyr::from_str(&text(&format!("{CHART}/values.yaml"))).expect("values.yaml");
        for (key, value) in shipped.as_object().expect("values") {
            match value.as_object() {
                Some(nested) => {
                    values.extend(
                        nested.iter().map(|(inner, value)| (format!("{key}.{inner}"), value.clone())),
                    );
                }
                None => drop(values.insert(key.clone(), value.clone())),
            }
        }
        for (path, value) in set {
            let old = values.insert((*path).to_owned(), value.clone());
            assert!(old.is_some(), "values.yaml has no {path}");
        }
        Self { values, used: RefCell::default() }
    }

    fn get(&self, shown: &str, path: &str) -> &Value {
        let path = path.strip_prefix(".Values.").unwrap_or_else(|| panic!("{shown}: what is {path}?"));
        self.used.borrow_mut().insert(path.to_owned());
        self.values.get(path).unwrap_or_else(|| panic!("{shown}: values.yaml has no {path}"))
    }

    /// Whether `if` does what follows it.
    fn holds(&self, shown: &str, condition: &str) -> bool {
        let Some(compared) = condition.strip_prefix("eq ") else {
            return !matches!(self.get(shown, condition), Value::Bool(false) | Value::Null)
                && *self.get(shown, condition) != "";
        };
        let (path, literal) = compared.split_once(' ').expect("eq PATH \"TEXT\"");
        *self.get(shown, path) == serde_json::from_str::<Value>(literal).expect("a text")
    }

    /// A template with these values.
    fn fill(&self, shown: &str, template: &str) -> String {
        let (mut filled, mut rest) = (String::new(), template);
        // Whether each block that is open is to be shown.
        let mut blocks: Vec<bool> = Vec::new();
        let is_shown = |blocks: &[bool]| blocks.iter().all(|shown| *shown);
        while let Some((before, after)) = rest.split_once("{{") {
            // A literal may hold braces.
            let end = if after.trim_start().starts_with('"') { "\" }}" } else { "}}" };
            let (action, after) =
                after.split_once(end).unwrap_or_else(|| panic!("{shown}: no {end}: {after}"));
            let (action, before) = match action.strip_prefix('-') {
                Some(action) => (action, before.trim_end()),
                None => (action, before),
            };
            assert!(!action.ends_with('-'), "{shown}: this test does not trim what follows");
            if is_shown(&blocks) {
                filled.push_str(before);
            }
            let action = action.trim();
            if let Some(condition) = action.strip_prefix("if ") {
                blocks.push(self.holds(shown, condition));
            } else if action == "end" {
                assert!(blocks.pop().is_some(), "{shown}: an end without an if");
            } else if is_shown(&blocks) {
                match (action.strip_prefix('"'), action) {
                    (Some(literal), _) => filled.push_str(literal),
                    (None, path) => match (self.get(shown, plain(path)), path.ends_with(TO_JSON)) {
                        (value, true) => filled.push_str(&value.to_string()),
                        (Value::String(text), false) => filled.push_str(text),
                        (other, false) => filled.push_str(&other.to_string()),
                    },
                }
            } else if !action.starts_with('"') {
                self.get(shown, plain(action));
            }
            rest = after;
        }
        assert!(blocks.is_empty(), "{shown}: an if without an end");
        filled + rest
    }

    /// The objects that the chart makes of them.
    fn objects(&self) -> Objects {
        let templates = tree::files(&tree::root().join(CHART).join("templates"));
        assert!(templates.len() > 4, "{templates:?}");
        let of_template = |path: &std::path::PathBuf| {
            let shown = tree::shown(path);
            documents(&shown, &self.fill(&shown, &text(&shown)))
        };
        by_name(CHART, templates.iter().flat_map(of_template))
    }
}

/// What has a text of several lines written as one.
const TO_JSON: &str = " | toJson";

fn plain(path: &str) -> &str {
    path.strip_suffix(TO_JSON).unwrap_or(path)
}

/// The objects without what tells Helm to leave Tekton's ConfigMap where it is.
fn without_policy(mut objects: Objects) -> Objects {
    for (name, object) in &mut objects {
        let removed = object["metadata"].as_object_mut().expect("metadata").remove("annotations");
        let keeps = json!({"helm.sh/resource-policy": "keep"});
        assert_eq!(removed, name.starts_with("ConfigMap ").then_some(keeps), "annotations of {name}");
    }
    objects
}

/// A case: its name, what a user sets, and what is to come out.
type Case = (&'static str, Vec<(&'static str, Value)>, Objects);

fn cases() -> Vec<Case> {
    let with = |overlay: Objects, more: &str| overlay.into_iter().chain(file(more)).collect::<Objects>();
    let pinned = overlay("pinned");
    let hash = pinned["ConfigMap tekton-pipelines/config-spire"]["data"][config::ENTRYPOINT_SHA256].clone();
    let conditions = {
        let mut objects = with(overlay("controller"), "config/controller/condition.yaml");
        let map = objects.get_mut("ConfigMap tekton-pipelines/config-spire").expect("config-spire");
        map["data"][config::CONDITION] = json!("true");
        objects
    };
    vec![
        ("the defaults", vec![], overlay("controller")),
        (
            "pinned",
            vec![("config.svidenceAttest", json!("executable")), ("config.svidenceEntrypointSha256", hash)],
            pinned,
        ),
        (
            "registration by spire-controller-manager",
            vec![("config.svidenceRegistration", json!("cluster-static-entry"))],
            overlay("registration-by-controller-manager"),
        ),
        (
            "an identity",
            vec![("identity", json!(true))],
            with(overlay("controller"), "config/controller/identity.yaml"),
        ),
        ("a condition", vec![("config.svidenceCondition", json!("true"))], conditions),
    ]
}

#[test]
fn the_chart_is_what_the_overlays_are() {
    for (case, set, expected) in cases() {
        let made = without_policy(Values::with(&set).objects());
        let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&made), names(&expected), "{case}");
        for (name, object) in &expected {
            assert_eq!(&made[name], object, "{case}: {name}");
        }
    }
}

#[test]
fn a_value_goes_where_it_belongs() {
    let set = [
        ("namespace", json!("openshift-pipelines")),
        ("onlyNamespace", json!("pilot")),
        ("image", json!("registry.example.org/other:1")),
        ("replicas", json!(3)),
        ("identity", json!(true)),
        ("config.svidenceRegistration", json!("cluster-static-entry")),
        ("config.svidenceCondition", json!("true")),
        ("config.svidenceContainers", json!("9")),
        ("config.svidenceAgentCluster", json!("production")),
        ("config.svidenceClassName", json!("class")),
        ("config.svidenceTimestampUrl", json!("http://tsa.test")),
        ("config.svidenceTimestampCertificates", json!("a\nb: \"c\"\n")),
    ];
    let objects = Values::with(&set).objects();
    for (name, object) in &objects {
        // A label says of which product the ConfigMap is a part.
        let mut object = object.clone();
        object["metadata"]["labels"] = Value::Null;
        assert!(!object.to_string().contains(NAMESPACE), "{name}: {object}");
    }
    let deployment = &objects["Deployment openshift-pipelines/svidence-controller"]["spec"];
    assert_eq!(deployment["replicas"], 3);
    let container = &deployment["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example.org/other:1");
    let arguments = container["args"].as_array().expect("arguments");
    assert!(arguments.contains(&json!("--namespace=pilot")), "{arguments:?}");
    let settings = &objects["ConfigMap openshift-pipelines/config-spire"]["data"];
    for (key, value) in [
        ("containers", "9"),
        ("agent-cluster", "production"),
        ("class-name", "class"),
        ("timestamp-url", "http://tsa.test"),
        ("timestamp-certificates", "a\nb: \"c\"\n"),
    ] {
        assert_eq!(settings[format!("svidence-{key}")], value, "{key}");
    }
    assert_eq!(objects["ClusterSPIFFEID -/svidence-controller"]["spec"]["className"], "class");
}

/// A key of the ConfigMap as values are called: `svidence-attest` is `svidenceAttest`.
fn as_value(key: &str) -> String {
    let mut words = key.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(1);
        name + &initial.to_uppercase() + rest
    })
}

#[test]
fn each_value_is_used_and_each_key_of_the_configuration_is_a_value() {
    let values = Values::with(&[("identity", json!(true))]);
    values.objects();
    let all: BTreeSet<String> = values.values.keys().cloned().collect();
    assert_eq!(*values.used.borrow(), all, "the values that templates use, and those of values.yaml");
    let of_config = all.iter().filter_map(|path| path.strip_prefix("config.")).map(str::to_owned);
    let keys = KEYS.into_iter().chain(config::KEYS).map(as_value).collect::<BTreeSet<_>>();
    assert_eq!(of_config.collect::<BTreeSet<_>>(), keys, "values of config, and keys of config-spire");
}

#[test]
fn the_schema_knows_each_value_and_refuses_others() {
    let schema: Value = serde_json::from_str(&text(&format!("{CHART}/values.schema.json"))).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let shipped: Value = serde_saphyr::from_str(&text(&format!("{CHART}/values.yaml"))).expect("values.yaml");
    let refused =
        |values: &Value| schema.iter_errors(values).map(|error| error.to_string()).collect::<Vec<_>>();
    assert_eq!(refused(&shipped), Vec::<String>::new(), "the values of the chart");
    let paths = Values::with(&[]).values;
    for (path, value) in &paths {
        let pointer = format!("/{}", path.replace('.', "/"));
        // What `--set` makes of true and 3 is neither text nor what else may be there.
        let other = if value.is_boolean() { json!("true") } else { json!(true) };
        let mut changed = shipped.clone();
        *changed.pointer_mut(&pointer).expect("a value") = other;
        assert!(!refused(&changed).is_empty(), "{path} of another type");
    }
    for place in ["", "/config"] {
        let mut changed = shipped.clone();
        changed.pointer_mut(place).expect("an object")["svidenceAtest"] = json!("step");
        assert!(!refused(&changed).is_empty(), "a value in {place:?} that there is not");
    }
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let chart: Value = serde_saphyr::from_str(&text(&format!("{CHART}/Chart.yaml"))).expect("Chart.yaml");
    let version = env!("CARGO_PKG_VERSION");
    assert!(chart["version"] == version && chart["appVersion"] == version, "{chart}");
    let values = Values::with(&[]);
    let image = values.values["image"].as_str().expect("an image");
    assert!(image.ends_with(&format!(":{version}")), "{image}");
}

#[test]
fn helm_renders_the_chart_as_this_test_does() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(helm) =
        std::env::split_paths(&path).map(|folder| folder.join("helm")).find(|helm| helm.is_file())
    else {
        return skip("helm_renders_the_chart_as_this_test_does", "helm is not installed");
    };
    for (case, set, expected) in cases() {
        let rendered = without_policy(rendered(&helm, case, &set));
        assert_eq!(rendered, expected, "{case}");
    }
}

/// What Helm makes of the chart and of what a user sets.
fn rendered(helm: &Path, case: &str, set: &[(&str, Value)]) -> Objects {
    let mut values = json!({"config": {}});
    for (path, value) in set {
        match path.split_once('.') {
            Some((outer, inner)) => values[outer][inner] = value.clone(),
            None => values[*path] = value.clone(),
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("values.json");
    fs::write(&file, values.to_string()).expect("values");
    let mut command = Command::new(helm);
    command.args(["template", "svidence", "--kube-version", "1.34.0", "--values"]).arg(&file);
    let ran = command.arg(tree::root().join(CHART)).output().expect("helm starts");
    assert!(ran.status.success(), "{case}: {}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout).expect("UTF-8");
    let is_empty =
        |document: &str| document.lines().all(|line| line.trim().is_empty() || line.starts_with('#'));
    let text = text.split("---\n").filter(|document| !is_empty(document)).collect::<Vec<_>>().join("---\n");
    by_name(case, documents(case, &text))
}
