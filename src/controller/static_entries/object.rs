//! A registration entry as a `ClusterStaticEntry` object (spire-controller-manager, `api/v1alpha1/clusterstaticentry_types.go`). No input or
//! output.

use std::time::Duration;

use go::duration;
use serde_json::{Map, Value, json};
use unixtime::UnixSeconds;

use crate::{
    controller::spire::generated::{RegistrationEntry, Selector, Spiffeid},
    sources::kubernetes::static_entry::API_VERSION,
    workload::id::parse_strict,
};

/// The label by which those of a cluster's controller are found; its value is the hint of their entries. Nothing without it is touched.
pub const LABEL: &str = "svidence.dev/cluster";
/// spire-controller-manager is given so long to take one up.
const TAKEN_UP_AFTER: Duration = Duration::from_secs(60);

/// What spire-controller-manager has not made of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// It has not looked at it, or calls it wrong. A status in which nothing is true is not written at all.
    NotTakenUp,
    /// Another object means the same SPIFFE ID, parent and selectors.
    Masked,
}

/// The object of an entry. `class_name` says which spire-controller-manager is to look at it; `None` for whichever looks at those
/// without.
pub fn object(entry: &RegistrationEntry, class_name: Option<&str>) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "ClusterStaticEntry",
        "metadata": {"name": entry.id, "labels": {LABEL: entry.hint}},
        "spec": spec(entry, class_name),
    })
}

fn spec(entry: &RegistrationEntry, class_name: Option<&str>) -> Value {
    let id = |id: &Option<Spiffeid>| {
        id.as_ref().map(|id| format!("spiffe://{}{}", id.trust_domain, id.path)).unwrap_or_default()
    };
    let selectors: Vec<String> =
        entry.selectors.iter().map(|selector| format!("{}:{}", selector.r#type, selector.value)).collect();
    let mut spec = Map::new();
    spec.insert("spiffeID".to_owned(), json!(id(&entry.spiffe_id)));
    spec.insert("parentID".to_owned(), json!(id(&entry.parent_id)));
    spec.insert("selectors".to_owned(), json!(selectors));
    spec.insert("hint".to_owned(), json!(entry.hint));
    if entry.x509_svid_ttl > 0 {
        spec.insert("x509SVIDTTL".to_owned(), json!(format!("{}s", entry.x509_svid_ttl)));
    }
    if !entry.dns_names.is_empty() {
        spec.insert("dnsNames".to_owned(), json!(entry.dns_names));
    }
    if let Some(class_name) = class_name {
        spec.insert("className".to_owned(), json!(class_name));
    }
    Value::Object(spec)
}

/// Whether an object has the label of the cluster that its name begins with.
pub fn is_labelled(object: &Value) -> bool {
    let label = object.pointer("/metadata/labels").and_then(|labels| labels.get(LABEL)?.as_str());
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let rest = label.zip(name).and_then(|(label, name)| name.strip_prefix(label));
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// The entry of an object that has the label of the cluster with this hint. `None`: it has not, or has no name.
///
/// Of an object that says anything else than those made here, so that it has to be replaced, the entry has a name and no more.
pub fn entry(object: &Value, hint: &str, class_name: Option<&str>) -> Option<RegistrationEntry> {
    let text = |place: &str| object.pointer(place).and_then(Value::as_str);
    let is_labelled =
        object.pointer("/metadata/labels").and_then(|labels| labels.get(LABEL)) == Some(&json!(hint));
    let id = text("/metadata/name").filter(|_| is_labelled)?.to_owned();
    let bare = RegistrationEntry { id, hint: hint.to_owned(), ..RegistrationEntry::default() };
    let read = stated(object, &bare);
    let is_whole = |entry: &RegistrationEntry| {
        object.get("spec").is_some_and(|found| says_the_same(found, &spec(entry, class_name)))
    };
    Some(read.filter(is_whole).unwrap_or(bare))
}

/// Whether a spec says what the one that is made here says, and no more. A default that somebody has filled in says nothing, and a time may be
/// written in another way: to replace that would go on for ever.
fn says_the_same(found: &Value, made: &Value) -> bool {
    let (Some(found), Some(made)) = (found.as_object(), made.as_object()) else { return false };
    let nanoseconds = |value: &Value| duration::parse(value.as_str()?.as_bytes());
    let says_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty() || nanoseconds(value) == Some(0),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    };
    let is_so = |(name, value): (&String, &Value)| match made.get(name) {
        Some(wanted) if name == "x509SVIDTTL" => nanoseconds(value) == nanoseconds(wanted),
        Some(wanted) => value == wanted,
        None => says_nothing(value),
    };
    found.iter().all(is_so) && made.keys().all(|name| found.contains_key(name))
}

/// What an object states, as far as it is as those made here.
fn stated(object: &Value, bare: &RegistrationEntry) -> Option<RegistrationEntry> {
    let spec = object.get("spec")?;
    let id = |member: &str| {
        let id = parse_strict(spec.get(member)?.as_str()?).ok()?;
        Some(Spiffeid { trust_domain: id.trust_domain().to_string(), path: id.path().to_owned() })
    };
    let texts = |member: &str| -> Vec<&str> {
        spec.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let selector = |text: &&str| {
        let (kind, value) = text.split_once(':')?;
        Some(Selector { r#type: kind.to_owned(), value: value.to_owned() })
    };
    let ttl = match spec.get("x509SVIDTTL") {
        None => 0,
        Some(ttl) => i32::try_from(duration::parse(ttl.as_str()?.as_bytes())? / 1_000_000_000).ok()?,
    };
    Some(RegistrationEntry {
        spiffe_id: Some(id("spiffeID")?),
        parent_id: Some(id("parentID")?),
        selectors: texts("selectors").iter().map(selector).collect::<Option<_>>()?,
        x509_svid_ttl: ttl,
        dns_names: texts("dnsNames").into_iter().map(str::to_owned).collect(),
        ..bare.clone()
    })
}

/// What spire-controller-manager has not made of an object at a time, if it has had enough time.
///
/// Its `status.set` does not count: it is true only until the next pass, which finds that there is nothing to be done.
pub fn lack(object: &Value, now: UnixSeconds) -> Option<Lack> {
    let is = |place: &str| object.pointer(place) == Some(&Value::Bool(true));
    if is("/status/masked") {
        return Some(Lack::Masked);
    }
    let created = object.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    let created = created.and_then(UnixSeconds::parse);
    let is_due = created.is_none_or(|created| now.since(created) >= TAKEN_UP_AFTER);
    (is_due && !is("/status/rendered")).then_some(Lack::NotTakenUp)
}
