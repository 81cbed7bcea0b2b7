//! Which of several offered identities is this step's.

use crate::pki;

use pki::{Key, Plan};
use svidence::workload::{
    id::SpiffeId,
    select::{Expectation, Offer, SelectError, choose, choose_offer, take},
    svid::X509Svid,
};
use unixtime::UnixSeconds;
use zeroize::Zeroizing;

const RUN: &str = "01234567-89ab-cdef-0123-456789abcdef.taskrun.internal";
const OTHER_RUN: &str = "11234567-89ab-cdef-0123-456789abcdef.taskrun.internal";

/// `path [dns...]`, with `RUN` written as R and `OTHER_RUN` as S.
fn offer(text: &str) -> Offer {
    let mut words = text.split(' ');
    let path = words.next().unwrap();
    let dns_names = words.map(|name| name.replace('R', RUN).replace('S', OTHER_RUN)).collect();
    let id = SpiffeId::new(format!("spiffe://example.org{path}")).unwrap();
    Offer { id, dns_names, hint: String::new(), not_after: UnixSeconds::new(100) }
}

fn expectation(pod: &str, namespace: &str, step: &str) -> Expectation {
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Expectation { pod_name: known(pod), namespace: known(namespace), step: known(step) }
}

/// Name, offers, pod name with namespace and step, answer.
type Case<'a> = (&'a str, Vec<&'a str>, (&'a str, &'a str, &'a str), Answer);

enum Answer {
    Index(usize),
    None,
    Undecidable,
}
use Answer::{Index, None as NoneFits, Undecidable};

#[test]
fn the_choice() {
    let a = "/ns/default/taskrun/a";
    let b = "/ns/default/taskrun/b";
    let other = "/ns/other/taskrun/a";
    let pinned = format!("{a} xdeadbeef00112233.build.R");
    let in_image = format!("{a} xdeadbeef00112233.i0a1b2c3d4e5f6071.build.R");
    let in_another = format!("{a} xdeadbeef00112233.i1a1b2c3d4e5f6071.build.R");
    let no_pin = format!("{a} i0a1b2c3d4e5f6071.build.R");
    let build = format!("{a} build.R");
    let test = format!("{a} test.R");
    let run = format!("{a} R");
    let other_run = format!("{a} S");
    let other_build = format!("{a} build.S");
    let plain_dns = format!("{a} a.default.svc");
    let bad = format!("{a} Build.R");
    let two = format!("{a} R S");
    let build_of_b = format!("{b} build.R");
    let service = "/ns/default/sa/default";
    let pod = "a-pod";
    #[rustfmt::skip]
    let cases: Vec<Case<'_>> = vec![
        ("a single one", vec![a], ("", "", ""), Index(0)),
        ("a single one that fits", vec![a], (pod, "default", "build"), Index(0)),
        ("a single one of a retry", vec![a], ("a-pod-retry2", "default", "build"), Index(0)),
        ("not a TaskRun's", vec![service], (pod, "default", "build"), NoneFits),
        ("a TaskRun's among others", vec![service, "/x", a, "/ns/default/taskrun/a/b"], ("", "", ""), Index(2)),
        ("two TaskRuns, nothing known", vec![a, b], ("", "", ""), Undecidable),
        ("two TaskRuns, pod known", vec![b, a], (pod, "", ""), Index(1)),
        ("two TaskRuns, pod of a retry", vec![b, a], ("a-pod-retry1", "", ""), Index(1)),
        ("two TaskRuns, host network", vec![b, a], ("node-1", "default", ""), Undecidable),
        ("one TaskRun, host network", vec![a], ("node-1", "default", ""), Index(0)),
        ("one TaskRun, host network, another namespace", vec![a], ("node-1", "other", ""), NoneFits),
        ("host network, two namespaces", vec![a, other], ("node-1", "other", ""), Index(1)),
        ("two namespaces, nothing known", vec![a, other], ("", "", ""), Undecidable),
        ("two namespaces, pod known", vec![a, other], (pod, "", ""), Undecidable),
        ("two namespaces, namespace known", vec![other, a], (pod, "default", ""), Index(1)),
        ("the pod's is of another namespace", vec![other, b], (pod, "default", ""), NoneFits),
        ("another namespace", vec![a], (pod, "other", ""), NoneFits),
        ("step named", vec![&run, a, &build], (pod, "default", "build"), Index(2)),
        ("step and executable named", vec![&build, &pinned, &run], (pod, "default", "build"), Index(1)),
        ("and the image named", vec![&build, &pinned, &in_image, &run], (pod, "default", "build"), Index(2)),
        ("the image of another step", vec![&in_image], (pod, "default", "test"), NoneFits),
        ("the image without a pin", vec![&no_pin, &run], (pod, "default", "build"), Index(1)),
        ("two images", vec![&in_image, &in_another], (pod, "default", "build"), Undecidable),
        ("run named", vec![a, &run], (pod, "default", "build"), Index(1)),
        ("another DNS name attests nothing", vec![&plain_dns, &run], (pod, "default", "build"), Index(1)),
        ("another step named", vec![&test, a], (pod, "default", "build"), Index(1)),
        ("only another step named", vec![&test], (pod, "default", "build"), NoneFits),
        ("two steps named, step unknown", vec![&build, &test], (pod, "default", ""), Undecidable),
        ("two steps named, step known", vec![&build, &test], (pod, "default", "test"), Index(1)),
        ("two runs named", vec![&run, &other_run], (pod, "default", "build"), Undecidable),
        ("two runs named, one with the step", vec![&other_run, &build], (pod, "default", "build"), Index(1)),
        ("two runs named with the step", vec![&build, &other_build], (pod, "default", "build"), Undecidable),
        ("bad name that should attest", vec![&bad, a], (pod, "default", "build"), Index(1)),
        ("only a bad name", vec![&bad], (pod, "default", "build"), NoneFits),
        ("two names that attest", vec![&two], (pod, "default", "build"), NoneFits),
        ("pod decides before the certificate's names", vec![&build_of_b, a],
            (pod, "default", "build"), Index(1)),
        ("the same twice", vec![a, a], (pod, "default", "build"), Index(1)),
    ];
    for (case, offers, (pod, namespace, step), expected) in cases {
        let offers: Vec<Offer> = offers.into_iter().map(offer).collect();
        let chosen = choose_offer(&offers, &expectation(pod, namespace, step));
        match (&chosen, expected) {
            (Ok(index), Index(expected)) => assert_eq!(*index, expected, "{case}"),
            (Err(SelectError::NoneFits { offered, .. }), NoneFits) => {
                assert_eq!(offered.0.len(), offers.len(), "{case}: all are listed");
                assert!(offered.0.iter().all(|(_, why)| !why.is_empty()), "{case}: with a reason each");
            }
            (Err(SelectError::Undecidable { offered, .. }), Undecidable) => {
                assert!(offered.0.len() > 1, "{case}: several are listed");
            }
            _ => panic!("{case}: {chosen:?}"),
        }
    }
    assert_eq!(choose_offer(&[], &Expectation::default()), Err(SelectError::Nothing));
}

#[test]
fn of_equal_ones_the_last_to_expire_is_taken() {
    let mut offers = vec![offer("/ns/default/taskrun/a R"); 3];
    offers[1].not_after = UnixSeconds::new(200);
    assert_eq!(choose_offer(&offers, &expectation("a-pod", "default", "build")), Ok(1));
}

#[test]
fn errors_list_what_was_offered() {
    let mut offers = vec![offer("/ns/default/sa/default x.svc"), offer("/ns/other/taskrun/a")];
    offers[0].hint = "internal".into();
    let error = choose_offer(&offers, &expectation("a-pod", "default", "build")).unwrap_err().to_string();
    for part in [
        "spiffe://example.org/ns/default/sa/default DNS:x.svc hint \"internal\" (not the ID of a TaskRun)",
        "spiffe://example.org/ns/other/taskrun/a (another namespace)",
    ] {
        assert!(error.contains(part), "{part:?} in {error}");
    }
    assert_eq!(
        expectation("a-pod", "default", "build").to_string(),
        "spiffe://<trust domain>/ns/default/taskrun/<TaskRun of pod a-pod>, step build"
    );
}

#[test]
fn real_svids_are_chosen_by_their_certificates() {
    let (ca, _) = pki::root("example.org");
    let svid = |number: u8, path: &str, dns: &[&str]| {
        let id = format!("spiffe://example.org{path}");
        let key = Key::new(number);
        let plan = Plan::leaf(&id).with(|p| p.dns = dns.iter().map(|name| (*name).to_owned()).collect());
        X509Svid::from_response(&id, &plan.issue(&key, &ca), Zeroizing::new(key.pkcs8()), "h".into()).unwrap()
    };
    let step = format!("build.{RUN}");
    let svids = || {
        vec![
            svid(2, "/ns/default/sa/default", &[]),
            svid(3, "/ns/default/taskrun/a", &[RUN]),
            svid(4, "/ns/default/taskrun/a", &[&step]),
        ]
    };
    let expectation = expectation("a-pod", "default", "build");
    assert_eq!(choose(&svids(), &expectation), Ok(2));
    let taken = take(svids(), &expectation).unwrap();
    assert_eq!(taken.leaf().public_key_bits(), Key::new(4).public());
    assert_eq!(taken.attested().unwrap().unwrap().step.as_deref(), Some("build"));
}
