//! Which `ClusterStaticEntry` objects say what the controller's say: another one is replaced, so one that merely looks otherwise must not be.

use serde_json::{Value, json};
use svidence::controller::static_entries::object::{entry, object};

const HINT: &str = "svidence-0123abcd4567";

fn made() -> Value {
    json!({
        "metadata": {"name": "svidence-0123abcd4567.pod.x.step-a", "labels": {"svidence.dev/cluster": HINT}},
        "spec": {
            "spiffeID": "spiffe://example.org/ns/default/taskrun/a", "parentID": "spiffe://example.org/node",
            "selectors": ["k8s:ns:default", "k8s:pod-uid:x"], "hint": HINT, "x509SVIDTTL": "900s",
            "dnsNames": ["a.x.taskrun.internal"],
        },
    })
}

#[test]
fn defaults_and_other_ways_to_write_the_same_are_not_replaced() {
    let first = entry(&made(), HINT, None).unwrap();
    assert_eq!(object(&first, None)["spec"], made()["spec"], "it is whole");
    let cases: &[(&str, Value, bool)] = &[
        ("nothing", json!({}), true),
        ("defaults of switches", json!({"admin": false, "downstream": false, "storeSVID": false}), true),
        ("empty lists and texts", json!({"federatesWith": [], "className": ""}), true),
        ("a time of none", json!({"jwtSVIDTTL": "0s"}), true),
        ("a time as Go writes it", json!({"x509SVIDTTL": "15m0s"}), true),
        ("another time", json!({"x509SVIDTTL": "15m1s"}), false),
        ("no time", json!({"x509SVIDTTL": null}), false),
        ("less than a second more", json!({"x509SVIDTTL": "900.5s"}), false),
        ("an administrator", json!({"admin": true}), false),
        ("whoever is below it", json!({"downstream": true}), false),
        ("another trust domain", json!({"federatesWith": ["example.com"]}), false),
        ("a class", json!({"className": "other"}), false),
        ("fewer selectors", json!({"selectors": ["k8s:ns:default"]}), false),
        ("another hint", json!({"hint": "x"}), false),
        ("a number", json!({"later": 0}), false),
    ];
    for (case, change, is_same) in cases {
        let mut found = made();
        found["spec"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let read = entry(&found, HINT, None).unwrap();
        assert_eq!(read == first, *is_same, "{case}: {read:?}");
    }
}
