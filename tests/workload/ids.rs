//! SPIFFE IDs, endpoint addresses, the DNS names that attest a run, names of pods.

use std::path::PathBuf;

use svidence::{
    evidence::statement::uuid,
    tekton::names::{pod_name, pod_names_match},
    workload::{
        address::{Address, AddressError},
        id::{Attested, SpiffeId, TaskRunId, TrustDomain, parse_strict, parse_uid},
    },
};

#[test]
fn ids_in_certificates_have_one_written_form() {
    let long = format!("spiffe://example.org/{}", "a".repeat(2048 - "spiffe://example.org/".len()));
    let accepted = [
        "spiffe://example.org",
        "spiffe://example.org/a",
        "spiffe://example.org/ns/default/taskrun/a.b-c_D",
        "spiffe://1.2.3.4/a",
        "spiffe://a_b-c.d/x",
        long.as_str(),
    ];
    for id in accepted {
        assert_eq!(parse_strict(id).map(|id| id.to_string()), Ok(id.to_owned()), "{id}");
    }
    let longer = format!("{long}a");
    let refused = [
        "",
        "spiffe://",
        "spiffe:///a",
        "http://example.org/a",
        "SPIFFE://example.org/a",
        "spiffe://Example.org/a",
        "spiffe://example.org/",
        "spiffe://example.org/a/",
        "spiffe://example.org//a",
        "spiffe://example.org/./a",
        "spiffe://example.org/a/..",
        "spiffe://example.org/a%20b",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a#b",
        "spiffe://user@example.org/a",
        "spiffe://example.org:443/a",
        "spiffe://exämple.org/a",
        " spiffe://example.org/a",
        "spiffe://example.org/a\n",
        longer.as_str(),
    ];
    for id in refused {
        assert!(parse_strict(id).is_err(), "{id:?} must be refused");
    }
}

#[test]
fn an_id_is_a_taskruns_only_in_its_exact_form() {
    let id = SpiffeId::new("spiffe://example.org/ns/default/taskrun/demo").unwrap();
    let taskrun = TaskRunId::from_spiffe_id(&id).unwrap();
    assert_eq!(taskrun.trust_domain().as_str(), "example.org");
    assert_eq!((taskrun.namespace(), taskrun.name()), ("default", "demo"));
    assert_eq!(taskrun.spiffe_id(), &id);
    assert_eq!(TaskRunId::new(TrustDomain::new("example.org").unwrap(), "default", "demo"), Ok(taskrun));

    for path in [
        "",
        "/ns/default/sa/default",
        "/ns/default/taskrun",
        "/ns/default/taskrun/demo/x",
        "/x/ns/default/taskrun/demo",
        "/NS/default/taskrun/demo",
        "/ns/default/TaskRun/demo",
        "/ns/default/pipelinerun/demo",
    ] {
        let id = SpiffeId::new(format!("spiffe://example.org{path}")).unwrap();
        assert_eq!(TaskRunId::from_spiffe_id(&id), None, "{path}");
    }
    for (namespace, name) in [
        ("", "a"),
        ("a", ""),
        ("a/b", "c"),
        ("a", "b/c"),
        ("..", "a"),
        ("a", "."),
        ("a", "b%c"),
        ("a b", "c"),
    ] {
        let made = TaskRunId::new(TrustDomain::new("example.org").unwrap(), namespace, name);
        assert!(made.is_err(), "{namespace:?} {name:?} must be refused");
    }
}

const UID: &str = "01234567-89ab-cdef-0123-456789abcdef";

#[test]
fn dns_names_attest_runs() {
    let uid = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
    assert_eq!(parse_uid(UID), Some(uid));
    assert_eq!(uuid(&uid), UID);
    let pin = [0xde, 0xad, 0xbe, 0xef, 0, 0x11, 0x22, 0x33];
    let image = [0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f, 0x60, 0x71];
    let longest = "s".repeat(63);
    let good = [
        (format!("{UID}.taskrun.internal"), None, None, None),
        (format!("build.{UID}.taskrun.internal"), Some("build"), None, None),
        (format!("unnamed-0.{UID}.taskrun.internal"), Some("unnamed-0"), None, None),
        (format!("x0123456789abcdef.{UID}.taskrun.internal"), Some("x0123456789abcdef"), None, None),
        (format!("i0123456789abcdef.{UID}.taskrun.internal"), Some("i0123456789abcdef"), None, None),
        (format!("xdeadbeef00112233.build.{UID}.taskrun.internal"), Some("build"), Some(pin), None),
        (
            format!("xdeadbeef00112233.i0a1b2c3d4e5f6071.build.{UID}.taskrun.internal"),
            Some("build"),
            Some(pin),
            Some(image),
        ),
        (
            format!("xdeadbeef00112233.i0a1b2c3d4e5f6071.{longest}.{UID}.taskrun.internal"),
            Some(longest.as_str()),
            Some(pin),
            Some(image),
        ),
    ];
    for (name, step, pin, image) in good {
        assert!(name.len() <= 253 && name.split('.').all(|label| label.len() <= 63), "{name} is no DNS name");
        let expected = Attested { uid, step: step.map(str::to_owned), pin, image };
        assert_eq!(Attested::from_dns_name(&name), Ok(Some(expected.clone())), "{name}");
        assert_eq!(expected.dns_name(), Ok(name.clone()), "{name}");
    }
    for name in ["", "example.org", "a.default.svc", "taskrun.internal.example.org", "xtaskrun.internal"] {
        assert_eq!(Attested::from_dns_name(name), Ok(None), "{name}");
    }
    for name in [
        "taskrun.internal".to_owned(),
        ".taskrun.internal".to_owned(),
        "build.taskrun.internal".to_owned(),
        format!("{}.taskrun.internal", UID.to_uppercase()),
        format!("{UID}.TaskRun.internal"),
        format!("{UID}.taskrun.internal."),
        format!("{}.taskrun.internal", UID.replace('-', "")),
        format!("{UID}0.taskrun.internal"),
        format!(".{UID}.taskrun.internal"),
        format!("Build.{UID}.taskrun.internal"),
        format!("-b.{UID}.taskrun.internal"),
        format!("b-.{UID}.taskrun.internal"),
        format!("*.{UID}.taskrun.internal"),
        format!("deadbeef00112233.build.{UID}.taskrun.internal"),
        format!("xdeadbeef0011223.build.{UID}.taskrun.internal"),
        format!("xDEADBEEF00112233.build.{UID}.taskrun.internal"),
        format!("a.xdeadbeef00112233.build.{UID}.taskrun.internal"),
        format!("{}.{UID}.taskrun.internal", "a".repeat(64)),
        format!("xdeadbeef00112233.i0a1b2c3d4e5f6071.{}s.{UID}.taskrun.internal", longest),
        // An image without a pin, or in another place.
        format!("i0a1b2c3d4e5f6071.build.{UID}.taskrun.internal"),
        format!("i0a1b2c3d4e5f6071.xdeadbeef00112233.build.{UID}.taskrun.internal"),
        format!("xdeadbeef00112233.build.i0a1b2c3d4e5f6071.{UID}.taskrun.internal"),
        // Two of one kind.
        format!("xdeadbeef00112233.i0a1b2c3d4e5f6071.i0a1b2c3d4e5f6071.build.{UID}.taskrun.internal"),
        format!("xdeadbeef00112233.xdeadbeef00112233.i0a1b2c3d4e5f6071.build.{UID}.taskrun.internal"),
        format!("xdeadbeef00112233.xdeadbeef00112233.build.{UID}.taskrun.internal"),
        format!("i0a1b2c3d4e5f6071.i0a1b2c3d4e5f6071.build.{UID}.taskrun.internal"),
        // Digits.
        format!("xdeadbeef00112233.i0A1B2C3D4E5F6071.build.{UID}.taskrun.internal"),
        format!("xdeadbeef00112233.I0a1b2c3d4e5f6071.build.{UID}.taskrun.internal"),
        format!("xdeadbeef00112233.i0a1b2c3d4e5f607.build.{UID}.taskrun.internal"),
        format!("xdeadbeef00112233.i0a1b2c3d4e5f60711.build.{UID}.taskrun.internal"),
        format!("xdeadbeef00112233.0a1b2c3d4e5f6071.build.{UID}.taskrun.internal"),
        format!("xdeadbeef00112233.i.build.{UID}.taskrun.internal"),
        format!("xdeadbeef00112233..build.{UID}.taskrun.internal"),
    ] {
        assert!(Attested::from_dns_name(&name).is_err(), "{name} must be an error");
    }
    for unsound in [
        Attested { uid, step: None, pin: Some(pin), image: None },
        Attested { uid, step: None, pin: Some(pin), image: Some(image) },
        Attested { uid, step: Some("a".into()), pin: None, image: Some(image) },
        Attested { uid, step: Some("A".into()), pin: None, image: None },
        Attested { uid, step: Some("a.b".into()), pin: None, image: None },
        Attested { uid, step: Some(String::new()), pin: None, image: None },
    ] {
        assert!(unsound.dns_name().is_err(), "{unsound:?} has no name");
    }
    let run = format!("{UID}.taskrun.internal");
    assert!(Attested::from_dns_names(&["a.svc", &run]).unwrap().is_some());
    assert_eq!(Attested::from_dns_names(&["a.svc"]), Ok(None));
    assert!(Attested::from_dns_names(&[&run, &format!("a.{run}")]).is_err(), "two names of a run");
}

#[test]
fn addresses() {
    let longest = format!("/{}", "a".repeat(106));
    let unix = |path: &str| Address::Unix(PathBuf::from(path));
    let good = [
        ("unix:///run/spire/agent.sock".to_owned(), unix("/run/spire/agent.sock")),
        ("unix:/run/spire/agent.sock".to_owned(), unix("/run/spire/agent.sock")),
        ("UNIX:///a".to_owned(), unix("/a")),
        ("unix:///a@b:c".to_owned(), unix("/a@b:c")),
        (format!("unix://{longest}"), unix(&longest)),
        ("tcp://127.0.0.1:8000".to_owned(), Address::Tcp("127.0.0.1:8000".parse().unwrap())),
        ("tcp://[::1]:8000".to_owned(), Address::Tcp("[::1]:8000".parse().unwrap())),
    ];
    for (text, expected) in good {
        let parsed: Address = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parsed, expected, "{text}");
        assert_eq!(parsed.to_string().parse(), Ok(expected), "{text} printed");
    }
    for (text, part) in [
        ("", "no scheme"),
        ("/run/agent.sock", "no scheme"),
        ("http:///a", "scheme"),
        ("unix:", "absolute"),
        ("unix://", "no socket"),
        ("unix:///", "no socket"),
        ("unix:///a/", "no socket"),
        ("unix:a", "absolute"),
        ("unix://a/b", "host"),
        ("unix://localhost/a", "host"),
        ("unix:///a?b", "query"),
        ("unix:///a#b", "fragment"),
        ("unix:///a%2fb", "percent"),
        ("unix:///a b", "character"),
        ("unix:///a\0", "character"),
        ("unix:///ä", "character"),
        ("tcp:127.0.0.1:80", "//"),
        ("tcp://127.0.0.1", "port"),
        ("tcp://[::1]", "port"),
        ("tcp://127.0.0.1:0", "port 0"),
        ("tcp://127.0.0.1:80/", "path"),
        ("tcp://u@127.0.0.1:80", "user"),
        ("tcp://localhost:80", "names are not allowed"),
        ("tcp://127.0.0.1:99999", "IP address"),
        ("tcp://127.1:80", "IP address"),
    ] {
        let error = text.parse::<Address>().expect_err(text).to_string();
        assert!(error.contains(part) && error.contains("unix:///absolute/path"), "{text}: {error}");
    }
    let error = format!("unix://{longest}a").parse::<Address>().unwrap_err();
    assert!(matches!(error, AddressError::PathTooLong { bytes: 108, .. }), "{error}");
}

#[test]
fn pods_are_named_after_their_taskrun() {
    // Made with knative.dev/pkg/kmeta.ChildName's rule; md5 of 60 and 59 times "a" by md5sum.
    let a60 = "a".repeat(60);
    let a59 = "a".repeat(59);
    for (taskrun, retry, pod) in [
        ("demo", 0, "demo-pod".to_owned()),
        ("demo", 1, "demo-pod-retry1".to_owned()),
        ("demo", 12, "demo-pod-retry12".to_owned()),
        ("a.b", 0, "a.b-pod".to_owned()),
        ("demo-pod", 0, "demo-pod-pod".to_owned()),
        ("demo-pod-retry1", 0, "demo-pod-retry1-pod".to_owned()),
        ("demo-pod-retry1", 2, "demo-pod-retry1-pod-retry2".to_owned()),
        (&a59, 0, format!("{a59}-pod")),
        (&a60, 0, format!("{}{MD5_A60}-pod", "a".repeat(27))),
        (&a59, 1, format!("{}{MD5_A59}-pod-retry1", "a".repeat(20))),
    ] {
        assert_eq!(pod_name(taskrun, retry), pod, "{taskrun} {retry}");
        assert!(pod.len() <= 63, "{pod}");
        assert_eq!(pod_names_match(taskrun, &pod), Some(retry), "{taskrun} {pod}");
    }
    for (taskrun, pod) in [
        ("demo", "demo"),
        ("demo", "demo-pod-retry0"),
        ("demo", "demo-pod-retry01"),
        ("demo", "demo-pod-retry"),
        ("demo", "demo-pod-retry-1"),
        ("demo", "demo-pod-retry99999999999"),
        ("demo", "demo2-pod"),
        ("demo", "xdemo-pod"),
        ("demo", ""),
        ("demo", "node-1.example.org"),
        ("demo-pod", "demo-pod"),
        (&"ä".repeat(40), "x-pod"),
    ] {
        assert_eq!(pod_names_match(taskrun, pod), None, "{taskrun} {pod}");
    }
}

const MD5_A60: &str = "cc7ed669cf88f201c3297c6a91e1d18d";
const MD5_A59: &str = "762fc2665994b217c52c3c2eb7d9f406";
