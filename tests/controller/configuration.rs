//! What the ConfigMap says, and who the controller is.

use std::{thread, time::Duration};

use serde_json::json;
use svidence::controller::config::Configuration;

use crate::{
    cluster_objects::{namespace, scheduled, set_phase},
    process::{NOTHING, World, of_step},
    support::spire::EntryOptions,
};

#[test]
fn a_change_is_taken_up_and_a_bad_one_is_told_and_left() {
    let Some(world) = World::start(&json!({"svidence-registration": "none"})) else { return };
    let server = &world.server;
    let first = scheduled(server, "default", "first", &["a"]);
    let mut controller = world.controller();
    controller.wait_for(&[
        "svidence-registration: \\\"none\\\" must be one of: pod, owner, cluster-static-entry, off",
        "nothing is registered until",
    ]);
    world.wait_for_entries("no configuration", &controller, NOTHING);
    world.configure(&json!({"svidence-registration": null}));
    let of_first = of_step(("default", "first"), &first, "a");
    world.wait_for_entries("a good one", &controller, &[&of_first]);

    world.configure(&json!({"svidence-attest": "run"}));
    let (uid, pod_uid) = &first;
    let of_run = format!(
        "/ns/default/taskrun/first below node-1 [k8s:ns:default k8s:pod-uid:{pod_uid} k8s:sa:default] DNS \
         {uid}.taskrun.internal ttl 900"
    );
    world.wait_for_entries("what is attested", &controller, &[&of_run]);
    world.configure(&json!({"svidence-svid-ttl": "5m"}));
    world.wait_for_entries("for how long", &controller, &[of_run.replace("ttl 900", "ttl 300")]);
    world.configure(&json!({"svidence-svid-ttl": "5s"}));
    controller.wait_for(&[
        "svidence-svid-ttl: \\\"5s\\\" must be from 1m",
        "the last good configuration stays in force",
    ]);
    world.configure(&json!({"svidence-svid-ttl": null, "svidence-attest": "step"}));
    world.wait_for_entries("as at first", &controller, &[&of_first]);

    let by_owner = format!(
        "/ns/default/taskrun/first below _all [k8s:ns:default k8s:pod-owner-uid:TaskRun:{uid}] DNS \
         {uid}.taskrun.internal ttl 900"
    );
    let owner =
        json!({"svidence-registration": "owner", "svidence-attest": "run", "svidence-agent-cluster": "prod"});
    world.configure(&owner);
    world.wait_for_entries("by owner", &controller, &[by_owner]);
    world.configure(&json!({"svidence-registration": "pod", "svidence-attest": "step"}));
    world.wait_for_entries("by pod again", &controller, &[&of_first]);

    world.configure(&json!({"svidence-registration": "off"}));
    controller.wait_for(&["the configuration is in force", "\"registration\":\"off\""]);
    scheduled(server, "default", "second", &["a"]);
    thread::sleep(Duration::from_secs(1));
    world.wait_for_entries("off: what is there stays", &controller, &[of_first]);
    set_phase(server, "default", "first-pod", "Succeeded");
    world.wait_for_entries("off: and goes", &controller, NOTHING);
    for value in ["none", "5s"] {
        let told = world.wait_for_warning(&format!("\"{value}\" must be"));
        assert!(told.starts_with("ConfigMap config-spire InvalidConfiguration: "), "{value}: {told}");
    }
}

#[test]
fn only_the_namespaces_that_are_named_are_registered() {
    let Some(world) = World::start(&json!({})) else { return };
    let server = &world.server;
    for name in ["one", "two", "three"] {
        namespace(server, name);
    }
    let runs = ["one", "two", "three"].map(|namespace| scheduled(server, namespace, "run", &["a"]));
    let controller = world.controller_with(&world.admin(), &["-n", "one", "-n", "three"]);
    let of = |place: usize, namespace: &str| of_step((namespace, "run"), &runs[place], "a");
    world.wait_for_entries("two of three", &controller, &[of(0, "one"), of(2, "three")]);
}

#[test]
fn a_controller_that_may_not_or_does_not_find_the_server_says_why() {
    let Some(world) = World::start(&json!({})) else { return };
    let run = scheduled(&world.server, "default", "run", &["a"]);
    // Not an administrator any more, and again.
    let own = world.spire.entries().iter().find(|entry| entry["admin"] == true).unwrap()["id"].clone();
    world.spire.delete_entry(own.as_str().unwrap());
    let plain = world.spire.entry(EntryOptions::new("/svidence"));
    let mut controller = world.controller();
    controller.wait_for(&["\"code\":\"denied\"", "needs admin: true"]);
    controller.wait_for(&["SpireUnavailable", "no TaskRun can be registered"]);
    world.wait_for_warning("ConfigMap config-spire SpireUnavailable: no TaskRun can be registered: ");
    world.spire.delete_entry(&plain);
    world.spire.entry(EntryOptions { is_admin: true, ..EntryOptions::new("/svidence") });
    let expected = [of_step(("default", "run"), &run, "a")];
    world.wait_for_entries("again", &controller, &expected);

    // What is not the SPIRE server is sent nothing.
    let api = world.server.url.strip_prefix("https://").unwrap().to_owned();
    world.configure(&json!({"spire-server-addr": api}));
    controller.wait_for(&[
        "\"code\":\"not-the-server\"",
        "is not the SPIRE server: its certificate is not an X509-SVID",
    ]);
    world.configure(&json!({"spire-server-addr": "127.0.0.1:1"}));
    controller.wait_for(&["\"code\":\"unreachable\"", "Connection refused"]);
    world.configure(
        &json!({"spire-server-addr": world.spire.server_address(), "spire-trust-domain": "other.test"}),
    );
    controller.wait_for(&["\"code\":\"other-trust-domain\"", "is not of the trust domain other.test"]);
    world.configure(&json!({"spire-trust-domain": "example.org"}));
    set_phase(&world.server, "default", "run-pod", "Succeeded");
    world.wait_for_entries("at last", &controller, NOTHING);
    drop(controller);

    // Which of several identities.
    world.spire.entry(EntryOptions::new("/other"));
    let mut controller = world.controller();
    controller.wait_for(&["offers spiffe://example.org/other, spiffe://example.org/svidence", "--spiffe-id"]);
    drop(controller);
    let mut controller =
        world.controller_with(&world.admin(), &["--spiffe-id", "spiffe://example.org/third"]);
    controller.wait_for(&["does not offer spiffe://example.org/third"]);
    drop(controller);
    let run = scheduled(&world.server, "default", "last", &["a"]);
    let controller = world.controller_with(&world.admin(), &["--spiffe-id", "spiffe://example.org/svidence"]);
    world.wait_for_entries("named", &controller, &[of_step(("default", "last"), &run, "a")]);
}

#[test]
fn an_error_does_not_repeat_what_may_be_secret_or_is_long() {
    let url = "svidence-timestamp-url";
    let certificates = "svidence-timestamp-certificates";
    let long = format!("-----BEGIN CERTIFICATE-----\n{}\n", "hunter2 ".repeat(1000));
    for (case, key, value, reason) in [
        ("no scheme", url, "user:hunter2@tsa.test", "is no address: it begins with neither"),
        ("no host", url, "http://user:hunter2@", "is no address: not the address"),
        ("no certificates", url, "http://user:hunter2@tsa.test/?key=hunter2", "needs the certificate"),
        ("damaged PEM", certificates, &long, "is of no use: its PEM is damaged"),
        ("no PEM", certificates, "hunter2", "is of no use: it holds no certificate in PEM"),
    ] {
        let error = Configuration::from_entries([(key.to_owned(), value.to_owned())]).expect_err(case);
        let text = error.to_string();
        assert!(!text.contains("hunter2"), "{case}: {text}");
        assert!(text.starts_with(&format!("{key}: \"(not shown)\" {reason}")), "{case}: {text}");
    }
}
