//! Why a step is not signed, where no real agent can be made to be the cause at will: a scripted endpoint, which is a fake, or none.

use crate::pki;
use crate::support;

use std::{fs, thread};

use pki::{Key, Plan};
use support::{
    endpoint::{
        Act::{Leave, Refuse, Serve},
        Endpoint,
    },
    pod::Pod,
    signed::Cluster,
    unsigned::{assert_told, pod, rows, step, step_by},
};
use svidence::workload::generated::{X509svid, X509svidResponse};
use time::OffsetDateTime;
use tonic::Code;

const RUN: &str = "spiffe://example.org/ns/default/taskrun/cause";

/// A message with one SVID.
fn svid(id: &str, change: impl FnOnce(&mut Plan)) -> X509svidResponse {
    let (ca, bundle) = pki::root("example.org");
    let key = Key::new(2);
    let svid = X509svid {
        spiffe_id: id.into(),
        x509_svid: Plan::leaf(id).with(change).issue(&key, &ca),
        x509_svid_key: key.pkcs8(),
        bundle,
        hint: String::new(),
    };
    X509svidResponse { svids: vec![svid], ..Default::default() }
}

#[test]
fn each_cause_is_told_apart() {
    let bundle = Cluster::new("cause").ca.bundle_pem();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let served = |message| vec![Serve(0, vec![message], None)];
    let another = svid("spiffe://example.org/ns/default/sa/default", |_| {});
    let mut large = another.clone();
    large.svids[0].x509_svid.resize(17 << 20, 0);
    let cases = [
        // As SPIRE says it when the caller is gone before it is attested.
        (
            "not attested",
            vec![Refuse(Code::Unauthenticated, "could not verify existence of the original caller")],
            "the agent could not attest this process",
        ),
        (
            "called too often",
            vec![Refuse(Code::Unavailable, "rate limit exceeded")],
            "the agent limits how often it is called",
        ),
        ("overloaded", vec![Refuse(Code::ResourceExhausted, "busy")], "the agent is overloaded"),
        ("a message of 17 MiB", served(large), "too many registration entries match this pod"),
        ("gone away, and hanging when it is back", vec![Leave(another)], "the agent has gone away"),
        (
            "not valid yet",
            served(svid(RUN, |leaf| leaf.start = now + 3600)),
            "check the clocks of this node and of the SPIRE server",
        ),
        (
            "expired",
            served(svid(RUN, |leaf| leaf.end = now - 3600)),
            "check that the agent reaches the SPIRE server, and the clock of this node",
        ),
        (
            "not for signatures",
            served(svid(RUN, |leaf| leaf.key_usage = Some(pki::KEY_AGREEMENT))),
            "no verifier will believe the certificate",
        ),
    ];
    thread::scope(|scope| {
        for (case, acts, expected) in cases {
            let bundle = &bundle;
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let socket = folder.path().join("a.sock");
                let _endpoint = Endpoint::start(&socket, acts);
                // A busy machine takes seconds for so long a message.
                let patience = [("svidence-signing-timeout", "10s")];
                let settings = if case.starts_with("a message of") { &patience[..] } else { &[] };
                let outcome = step(&format!("unix://{}", socket.display()), settings, "sha256:1");
                assert_told(case, &outcome, expected, bundle);
            });
        }
    });
}

/// The name is part of the evidence's key, so only the log can tell.
#[test]
fn a_step_without_a_name_says_so_in_its_log() {
    let nowhere = "unix:///nowhere/a.sock";
    let pod = pod(nowhere, &[]);
    fs::remove_dir_all(pod.root().join("tekton/steps")).unwrap();
    let outcome = step_by(&[], &pod, nowhere, "sha256:1");
    let expected = "the step is not signed: the step's name is not known";
    assert!(outcome.stderr().contains(expected), "{}", outcome.stderr());
}

/// Where signing is off nothing is said about it.
#[test]
fn a_step_that_is_not_to_be_signed_says_nothing() {
    let outcome = Pod::new("cause", &["build"]).step(0).results(&["a"]).script("printf v >$RESULTS/a").run();
    assert!(!outcome.message().contains("SVIDENCE."), "{}", outcome.message());
    assert_eq!(outcome.stderr(), "");
}

/// Where the log is made to say what the rows of the manual's table begin with.
const MADE: &[(&str, &[&str])] = &[
    (
        "step/spire_unsigned::each_cause_is_told_apart",
        &[
            "no registration entry matches this pod",
            "the socket is not there",
            "nobody listens",
            "there is a directory, not a socket",
            "there is a file, not a socket",
            "this user may not open the socket",
            "the agent takes no connections",
            "does not speak the SPIFFE Workload API",
            "none of the identities that the SPIRE agent offers is this step's",
            "has not answered the last call",
            "is not of the configured trust domain",
            "no room",
        ],
    ),
    (
        "step/spire_unsigned::an_agent_that_does_not_see_the_callers_process_is_told_apart",
        &["the agent cuts the connection of a process it cannot identify"],
    ),
    (
        "step/spire_unsigned::a_traced_program_does_not_sign_with_a_certificate_that_names_it",
        &["another process traces it"],
    ),
    (
        "step/spire_sign::a_certificate_that_names_run_step_and_program_is_told_apart",
        &["must then be the container's first process"],
    ),
    (
        "step/causes::each_cause_is_told_apart",
        &[
            "the agent could not attest this process",
            "the agent limits how often it is called",
            "the agent is overloaded",
            "too many registration entries match this pod",
            "the agent has gone away",
            "check the clocks of this node and of the SPIRE server",
            "check that the agent reaches the SPIRE server, and the clock of this node",
            "no verifier will believe the certificate",
        ],
    ),
    ("step/causes::a_step_without_a_name_says_so_in_its_log", &["the step's name is not known"]),
    ("step/causes::a_step_that_is_not_to_be_signed_says_nothing", &["SVIDENCE."]),
    (
        "step/found::storage_that_hangs_does_not_keep_the_command_from_starting_and_nothing_is_claimed_of_it",
        &["it is not known whether this step set result"],
    ),
];

#[test]
fn every_row_of_the_manual_is_made_by_a_test() {
    let mut made: Vec<&str> = Vec::new();
    for (test, causes) in MADE {
        let (file, name) = test.split_once("::").unwrap();
        let text = fs::read_to_string(format!("{}/tests/{file}.rs", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let after =
            text.split_once(&format!("\nfn {name}() {{\n")).unwrap_or_else(|| panic!("there is no {test}")).1;
        let body = after.split_once("\n}\n").unwrap().0;
        for cause in *causes {
            assert!(body.contains(cause), "{test} does not say {cause:?}");
        }
        made.extend(*causes);
    }
    let mut rows = rows();
    rows.sort();
    made.sort_unstable();
    assert_eq!(rows, made, "the rows of docs/operations.md, and what tests make");
}
