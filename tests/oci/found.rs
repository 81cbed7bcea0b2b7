//! What is handed over, and in which order.

use std::slice::from_ref;

use serde_json::{Value, json};

use crate::{
    genuine, places,
    registry::{
        BUNDLE, Content, DSSE, INDEX, Registry, STATEMENT, digest_of, error, image_digest, list, response,
    },
    run, says, shown,
    support::{
        chains::{self, Chains},
        signed::file,
    },
    task_run, verify,
};

/// What lies in the registry, the exit code, and what is found, with `%N` for the N-th referrer.
struct Case<'a> {
    name: &'a str,
    fill: &'a dyn Fn(&mut Content) -> Vec<Value>,
    code: i32,
    found: &'a [(&'a str, &'a str)],
}

#[test]
fn the_tag_and_the_referrers_are_read_whatever_else_lies_there() {
    let (good, other, third) = (genuine(), task_run("other"), task_run("third"));
    let spdx = r#"{"predicateType":"https://spdx.dev/Document"}"#;
    let spdx = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, spdx);
    let packages = json!({"payloadType": "application/vnd.in-toto+json", "payload": spdx}).to_string();
    let signature = json!({"mediaType": BUNDLE, "messageSignature": {"signature": "x"}}).to_string();
    let cases = [
        Case {
            name: "one layer",
            fill: &|content| {
                content.att(&[&good]);
                content.list(&[]);
                vec![]
            },
            code: 0,
            found: &[(".att, layer 1", "verified")],
        },
        Case {
            name: "three layers, in a registry without the API",
            fill: &|content| {
                content.att(&[&good, &other, &third]);
                vec![]
            },
            code: 1,
            found: &[
                (".att, layer 1", "verified"),
                (".att, layer 2", "invalid"),
                (".att, layer 3", "invalid"),
            ],
        },
        Case {
            name: "a bundle as referrer",
            fill: &|content| {
                let referrer = content.referrer(BUNDLE, &good);
                content.list(from_ref(&referrer));
                vec![referrer]
            },
            code: 0,
            found: &[("%0, layer 1", "verified")],
        },
        Case {
            name: "a bundle of another version, listed by the tag",
            fill: &|content| {
                let referrer = content.referrer("application/vnd.dev.sigstore.bundle.v0.2+json", &good);
                content.list_by_tag(from_ref(&referrer));
                vec![referrer]
            },
            code: 0,
            found: &[("%0, layer 1", "verified")],
        },
        Case {
            name: "a list that does not say what its referrers are for",
            fill: &|content| {
                let mut referrer = content.referrer(DSSE, &good);
                let packages = content.manifest(&json!({"layers": [], "config": {
                    "mediaType": "application/vnd.example.packages", "digest": digest_of(b"{}"), "size": 2}}));
                referrer.as_object_mut().unwrap().remove("artifactType");
                content.list(&[packages, referrer.clone()]);
                vec![referrer]
            },
            code: 0,
            found: &[("%0, layer 1", "verified")],
        },
        Case {
            name: "a list that says what configurations are, as registries of before OCI 1.1 have it",
            fill: &|content| {
                let mut referrer = content.referrer(BUNDLE, &good);
                referrer["artifactType"] = json!("application/vnd.oci.empty.v1+json");
                content.list(from_ref(&referrer));
                vec![referrer]
            },
            code: 0,
            found: &[("%0, layer 1", "verified")],
        },
        Case {
            name: "a list that says the configuration of images, as registries of before OCI 1.1 have it",
            fill: &|content| {
                let mut referrer = content.referrer(BUNDLE, &good);
                referrer["artifactType"] = json!("application/vnd.oci.image.config.v1+json");
                content.list(from_ref(&referrer));
                vec![referrer]
            },
            code: 0,
            found: &[("%0, layer 1", "verified")],
        },
        Case {
            name: "a list that says what the manifest does not",
            fill: &|content| {
                let mut referrer = content.referrer("application/vnd.example", &good);
                let layer = content.blob(DSSE, &good);
                let plain = content.manifest(&json!({"layers": [layer]}));
                referrer["artifactType"] = json!(DSSE);
                let mut said = plain.clone();
                said["artifactType"] = json!(BUNDLE);
                content.list(&[said.clone(), referrer.clone()]);
                vec![said, referrer]
            },
            code: 3,
            found: &[("%0, layer 1", "verified"), ("%1, layer 1", "unchecked")],
        },
        Case {
            name: "a list of another content type",
            fill: &|content| {
                let referrer = content.referrer(BUNDLE, &good);
                content.list(from_ref(&referrer));
                let path = format!("referrers/{}", image_digest());
                content.at(&path).headers = vec![("Content-Type", "application/json".to_owned())];
                vec![referrer]
            },
            code: 0,
            found: &[("%0, layer 1", "verified")],
        },
        Case {
            name: "a page of another kind instead of a list, and the tag",
            fill: &|content| {
                let referrer = content.referrer(BUNDLE, &good);
                content.list(&[]);
                content.list_by_tag(from_ref(&referrer));
                let path = format!("referrers/{}", image_digest());
                *content.at(&path) = response(200, &[("Content-Type", "text/html")], "<html>");
                vec![referrer]
            },
            code: 0,
            found: &[("%0, layer 1", "verified")],
        },
        Case {
            name: "envelopes as cosign has them as referrers, and a statement without one",
            fill: &|content| {
                let (envelope, bare) = (content.blob(DSSE, &good), content.blob(STATEMENT, "not even read"));
                let referrer = content.referrer_of(STATEMENT, &[bare, envelope]);
                content.list(from_ref(&referrer));
                vec![referrer]
            },
            code: 0,
            found: &[("%0, layer 2", "verified")],
        },
        Case {
            name: "both, with one attestation twice",
            fill: &|content| {
                content.att(&[&good]);
                let (same, another) = (content.referrer(BUNDLE, &good), content.referrer(BUNDLE, &other));
                content.list(&[same, another.clone()]);
                vec![another]
            },
            code: 1,
            found: &[(".att, layer 1", "verified"), ("%0, layer 1", "invalid")],
        },
        Case {
            name: "beside lists of packages and signatures",
            fill: &|content| {
                content.att(&[&packages, &good]);
                let all = [
                    content.referrer("application/spdx+json", "not even read"),
                    content.referrer(BUNDLE, &signature),
                    content.referrer(BUNDLE, &packages),
                ];
                content.list(&all);
                vec![]
            },
            code: 0,
            found: &[(".att, layer 2", "verified")],
        },
        Case {
            name: "layers that say they are envelopes, and are not",
            fill: &|content| {
                let statement = chains::pipeline_tekton(&[&run()]).to_string();
                content.att(&[&run().to_string(), &statement, &good]);
                vec![]
            },
            code: 3,
            found: &[
                (".att, layer 1", "unchecked"),
                (".att, layer 2", "unchecked"),
                (".att, layer 3", "verified"),
            ],
        },
        Case {
            name: "a layer that is empty",
            fill: &|content| {
                content.att(&["", &good]);
                vec![]
            },
            code: 3,
            found: &[(".att, layer 1", "unchecked"), (".att, layer 2", "verified")],
        },
    ];
    for Case { name, fill, code, found } in cases {
        let mut content = Content::default();
        let referrers = fill(&mut content);
        let registry = Registry::start(content, Box::new(|_| None));
        let ran = verify(&[&registry.image()]);
        assert_eq!(ran.code, code, "{}", shown(name, &ran));
        let place = |(at, verdict): &(&str, &str)| {
            let replaced = |at: String, (number, referrer): (usize, &Value)| {
                at.replace(
                    &format!("%{number}"),
                    &format!("referrer {}", referrer["digest"].as_str().unwrap()),
                )
            };
            (referrers.iter().enumerate().fold((*at).to_owned(), replaced), (*verdict).to_owned())
        };
        let expected: Vec<(String, String)> = found.iter().map(place).collect();
        assert_eq!(places(&ran, &registry.image()), expected, "{}", shown(name, &ran));
    }
}

/// With what Chains makes of the demo's TaskRun, in a format that says whose it is and in one that does not.
#[test]
fn what_chains_stored_is_judged() {
    let run = run();
    let mut altered = run.clone();
    altered["status"]["results"][0]["value"] = json!("evil");
    let signer = Chains::new();
    let envelope = |statement: Value| signer.envelope(&statement).to_string();
    let layers = [
        envelope(chains::pipeline_tekton(&[&run])),
        envelope(chains::v2alpha3(&run)),
        envelope(chains::v2alpha3(&altered)),
        envelope(chains::in_toto()),
    ];
    let mut content = Content::default();
    content.att(&layers.each_ref().map(String::as_str));
    let registry = Registry::start(content, Box::new(|_| None));
    let image = registry.image();
    let key = file(&signer.pem());
    let key = key.path().to_str().unwrap();
    let ran = verify(&[&image, "-n", "default", "--taskrun", "build-app", "--chains-key", key]);
    let expected = ["verified", "verified", "invalid", "absent"];
    let found = places(&ran, &image);
    let found: Vec<&str> = found.iter().map(|(_, verdict)| verdict.as_str()).collect();
    assert_eq!((found.as_slice(), ran.code), (&expected[..], 1), "{}", shown("with names", &ran));
    assert_eq!(ran.out.matches("chainsSignedBy").count(), 2, "{}", shown("with names", &ran));
    let ran = verify(&[&image]);
    says("without names", &ran, &["say --namespace default --taskrun build-app if that is what you expect"]);
}

#[test]
fn an_image_without_attestations_is_absent() {
    let packages =
        json!({"payload": "eyJwcmVkaWNhdGVUeXBlIjoiaHR0cHM6Ly9zcGR4LmRldi9Eb2N1bWVudCJ9"}).to_string();
    type Fill<'a> = &'a dyn Fn(&mut Content);
    let cases: [(&str, Fill<'_>); 5] = [
        ("nothing", &|_| {}),
        ("an empty list", &|content| content.list(&[])),
        ("a tag without layers", &|content| content.att(&[])),
        ("only packages", &|content| content.att(&[&packages])),
        ("only a signature as referrer", &|content| {
            let referrer = content.referrer("application/vnd.dev.cosign.artifact.sig.v1+json", "x");
            content.list(&[referrer]);
        }),
    ];
    for (case, fill) in cases {
        let mut content = Content::default();
        fill(&mut content);
        let registry = Registry::start(content, Box::new(|_| None));
        let image = registry.image();
        let tag = format!("{}.att", image_digest().replace(':', "-"));
        let text =
            format!("{image} has no attestation of a run: neither its tag {tag} nor a referrer holds one");
        for more in [&[][..], &["--allow-empty"]] {
            let ran = verify(&[&[image.as_str()], more].concat());
            assert_eq!(ran.code, 2, "{}", shown(case, &ran));
            says(case, &ran, &[&text, "no-evidence: not-in-registry"]);
        }
        let inspected = crate::svidence(&[], &["inspect", "--from", "oci", &image]);
        assert_eq!(inspected.code, 3, "{}", shown(case, &inspected));
        says(case, &inspected, &[&text]);
    }
}

#[test]
fn of_several_images_each_must_have_one() {
    let mut content = Content::default();
    content.att(&[&genuine()]);
    let full = Registry::start(content, Box::new(|_| None));
    let empty = Registry::start(Content::default(), Box::new(|_| None));
    let (full, empty) = (full.image(), empty.image());
    for (case, images, code) in [
        ("one", vec![&full], 0),
        ("one twice", vec![&full, &full], 0),
        ("one without", vec![&full, &empty], 2),
        ("one without, first", vec![&empty, &full], 2),
    ] {
        let images: Vec<&str> = images.into_iter().map(String::as_str).collect();
        let ran = verify(&images);
        assert_eq!(ran.code, code, "{}", shown(case, &ran));
        assert_eq!(places(&ran, &full).len(), 1, "{}", shown(case, &ran));
    }
}

#[test]
fn all_pages_of_referrers_are_read() {
    let mut content = Content::default();
    let (one, two) = (content.referrer(BUNDLE, &genuine()), content.referrer(BUNDLE, &task_run("other")));
    let first = format!("/v2/team/app/referrers/{}", image_digest());
    for (case, link, second, code, found, text) in [
        ("a path", format!("<{first}?n=1&last=x>; rel=\"next\""), list(from_ref(&two)), 1, 2, ""),
        ("an address", format!("<%{first}?n=1&last=x>;rel=next"), list(from_ref(&two)), 1, 2, ""),
        ("a link that is not the next page", format!("<{first}>; rel=\"first\""), String::new(), 0, 1, ""),
        ("in circles", format!("<{first}>; rel=next"), String::new(), 3, 0, "does not end"),
        (
            "to another server",
            "<https://example.org/v2/x>; rel=next".to_owned(),
            String::new(),
            3,
            0,
            "goes on elsewhere",
        ),
        (
            "to another repository",
            "</v2/team/other/referrers/x>; rel=next".to_owned(),
            String::new(),
            3,
            0,
            "goes on elsewhere",
        ),
        (
            "out of it",
            "</v2/team/app/referrers/../../other>; rel=next".to_owned(),
            String::new(),
            3,
            0,
            "goes on elsewhere",
        ),
        ("a page that is missing", format!("<{first}?n=2>; rel=next"), String::new(), 3, 0, "breaks off"),
        (
            "a relation of two words",
            format!("<{first}?n=1&last=x>; rel=\"last next\""),
            list(from_ref(&two)),
            1,
            2,
            "",
        ),
        (
            "the second of two headers",
            format!("<{first}>; rel=first\r\nLink: <{first}?n=1&last=x>; rel=next"),
            list(from_ref(&two)),
            1,
            2,
            "",
        ),
        (
            "a link that is not ASCII",
            format!("<{first}?n=1&last=x>; rel=next; title=\"\u{e4}\""),
            String::new(),
            3,
            0,
            "has a link that cannot be read",
        ),
        (
            "an empty page before the end",
            format!("<{first}?n=3>; rel=next"),
            String::new(),
            3,
            0,
            "has an empty page before its end",
        ),
        (
            "a link that is none",
            format!("{first}?n=1&last=x; rel=next"),
            String::new(),
            3,
            0,
            "has a link that cannot be read",
        ),
    ] {
        let (one, first) = (list(from_ref(&one)), first.clone());
        let gate = move |request: &crate::registry::Request| {
            let link = link.replace('%', &format!("http://{}", request.header("host").unwrap_or_default()));
            match request.path.strip_prefix(&first)? {
                "" => Some(response(200, &[("Content-Type", INDEX), ("Link", &link)], one.as_str())),
                "?n=1&last=x" => Some(response(200, &[("Content-Type", INDEX)], second.as_str())),
                "?n=3" => {
                    let link = format!("<{first}?n=1&last=x>; rel=next");
                    Some(response(200, &[("Content-Type", INDEX), ("Link", &link)], list(&[])))
                }
                _ => Some(error(404, "MANIFEST_UNKNOWN")),
            }
        };
        let registry = Registry::start(content.clone(), Box::new(gate));
        let ran = verify(&[&registry.image()]);
        assert_eq!(ran.code, code, "{}", shown(case, &ran));
        let verified =
            places(&ran, &registry.image()).into_iter().filter(|(at, _)| at.starts_with("referrer ")).count();
        assert_eq!(verified, found, "{}", shown(case, &ran));
        says(case, &ran, &[text]);
    }
}

#[test]
fn a_busy_registry_is_asked_again() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    for (case, answer, times, code, text) in [
        ("429", error(429, "TOOMANYREQUESTS"), 1, 0, ""),
        ("503 twice", error(503, "UNKNOWN"), 2, 0, ""),
        ("429 with a second", response(429, &[("Retry-After", "1")], ""), 1, 0, ""),
        (
            "429 with an hour",
            response(429, &[("Retry-After", "3600")], ""),
            1,
            3,
            "has no time for this (HTTP status 429)",
        ),
        ("503 for good", error(503, "UNKNOWN"), 99, 3, "HTTP status 503: said as UNKNOWN"),
    ] {
        let mut content = Content::default();
        content.att(&[&genuine()]);
        let asked = AtomicUsize::new(0);
        let gate =
            move |_: &crate::registry::Request| (asked.fetch_add(1, Relaxed) < times).then(|| answer.clone());
        let registry = Registry::start(content, Box::new(gate));
        let ran = verify(&[&registry.image()]);
        assert_eq!(ran.code, code, "{}", shown(case, &ran));
        says(case, &ran, &[text]);
    }
}

#[test]
fn inspect_and_timestamp_read_the_same() {
    let mut content = Content::default();
    content.att(&[&genuine()]);
    let full = Registry::start(content, Box::new(|_| None)).image();
    let empty = Registry::start(Content::default(), Box::new(|_| None)).image();
    let timestamp = ["timestamp", "--tsa", "http://127.0.0.1:1", "--from", "oci"];
    for (case, arguments, code, text) in [
        ("inspect", vec!["inspect", "--from", "oci", &full], 0, ".att, layer 1"),
        ("a time stamp for what is there", [&timestamp[..], &[&full]].concat(), 3, "default/build-app"),
        ("a time stamp for what is not there", [&timestamp[..], &[&empty]].concat(), 2, "absent "),
    ] {
        let ran = crate::svidence(&[], &arguments);
        assert_eq!(ran.code, code, "{}", shown(case, &ran));
        says(case, &ran, &[text]);
    }
}
