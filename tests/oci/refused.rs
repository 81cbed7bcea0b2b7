//! What is not read, and that it shows.

use std::{net::TcpListener, thread};

use serde_json::{Value, json};

use crate::{
    genuine, places,
    registry::{
        BUNDLE, Content, DSSE, INDEX, REPOSITORY, Registry, Response, STATEMENT, digest_of, error,
        image_digest, response,
    },
    says, shown, task_run, verify,
};

fn tag() -> String {
    format!("{}.att", image_digest().replace(':', "-"))
}

/// What is changed, what is said, and how many attestations are read all the same.
type Case<'a> = (&'a str, &'a dyn Fn(&mut Content), &'a [&'a str], usize);

/// A genuine attestation in layer 2 and another one as referrer; what a case changes is beside it.
fn check(cases: &[Case<'_>]) {
    for (case, change, text, read) in cases {
        let mut content = Content::default();
        content.att(&[&task_run("first"), &genuine()]);
        let referrer = content.referrer(BUNDLE, &task_run("referrer"));
        content.list(&[referrer]);
        change(&mut content);
        let registry = Registry::start(content, Box::new(|_| None));
        let ran = verify(&[&registry.image()]);
        // What contradicts its evidence is worse than what cannot be read.
        let expected = if places(&ran, &registry.image()).iter().any(|(_, verdict)| verdict == "invalid") {
            1
        } else {
            3
        };
        assert_eq!(ran.code, expected, "{}", shown(case, &ran));
        says(case, &ran, text);
        let count = |verdict: fn(&str) -> bool| {
            places(&ran, &registry.image()).iter().filter(|(_, found)| verdict(found)).count()
        };
        assert_eq!(count(|verdict| verdict != "unchecked"), *read, "{}", shown(case, &ran));
        assert!(count(|verdict| verdict == "unchecked") > 0, "{}", shown(case, &ran));
    }
}

#[test]
fn content_that_is_not_what_its_digest_names_is_refused() {
    let first = digest_of(task_run("first").as_bytes());
    let blob = format!("blobs/{first}");
    let other = task_run("other");
    let of_other = format!("with the digest {}", digest_of(other.as_bytes()));
    let manifest_of = |content: &Content| -> String {
        let found = content.0.keys().find(|path| path.contains("/manifests/sha256:")).unwrap();
        found.strip_prefix(&format!("/v2/{REPOSITORY}/")).unwrap().to_owned()
    };
    check(&[
        (
            "another blob",
            &|content| content.at(&blob).body = other.clone().into(),
            &[
                "the registry handed over something other than sha256:",
                &of_other,
                "[unreadable: other-content]",
                ", .att, layer 1: ",
            ],
            2,
        ),
        ("a byte more", &|content| content.at(&blob).body.push(b' '), &["something other than"], 2),
        ("a part", &|content| content.at(&blob).body.truncate(100), &["something other than"], 2),
        ("none", &|content| content.at(&blob).body.clear(), &["something other than", "0 bytes"], 2),
        (
            "another manifest",
            &|content| {
                let path = manifest_of(content);
                content.at(&path).body.push(b' ');
            },
            &["something other than", "referrer sha256:"],
            2,
        ),
        (
            "another size in the manifest",
            &|content| {
                let layer = json!({"mediaType": DSSE, "digest": first, "size": 7});
                content.att_of(&json!({"layers": [layer]}));
            },
            &["bytes where 7 are announced"],
            1,
        ),
    ]);
}

#[test]
fn what_is_not_there_or_too_much_is_said() {
    let first = format!("blobs/{}", digest_of(task_run("first").as_bytes()));
    let layer =
        |digest: &str, size: u64| json!({"layers": [{"mediaType": DSSE, "digest": digest, "size": size}]});
    let digest = digest_of(b"x");
    let att = format!("manifests/{}", tag());
    check(&[
        (
            "a blob that is missing",
            &|content| *content.at(&first) = error(404, "BLOB_UNKNOWN"),
            &["names sha256:", "and does not have it"],
            2,
        ),
        (
            "a layer that is too large",
            &|content| content.att_of(&layer(&digest, (16 << 20) + 1)),
            &["is larger than 16 MiB", "object-too-large"],
            1,
        ),
        (
            "a manifest that is too large",
            &|content| content.at(&att).body = vec![b' '; (4 << 20) + 1],
            &["a manifest is larger than 4 MiB"],
            1,
        ),
        (
            "more layers than are read",
            &|content| {
                let one = json!({"mediaType": DSSE, "digest": digest, "size": 1});
                content.att_of(&json!({"layers": vec![one; 1001]}));
            },
            &["it has more than 1000 attestations in one manifest, which are not read"],
            1,
        ),
        (
            "more referrers than are read",
            &|content| {
                let one = json!({"mediaType": "x", "artifactType": BUNDLE, "digest": digest, "size": 1});
                content.list(&vec![one; 1001]);
            },
            &["it has more than 1000 referrers that may be attestations"],
            2,
        ),
        (
            "more referrers of any kind than are looked at",
            &|content| {
                let one = json!({"mediaType": "x", "artifactType": "x", "digest": digest, "size": 1});
                content.list(&vec![one; 10_001]);
            },
            &["it has more than 10000 referrers"],
            2,
        ),
        (
            "more layers than are read of an image",
            &|content| {
                let one = json!({"mediaType": STATEMENT, "digest": digest, "size": 1});
                let manifest = |content: &mut Content, number: usize| {
                    let layers = vec![one.clone(); 999];
                    let mut descriptor = content.manifest(&json!({"layers": layers, "number": number}));
                    descriptor["artifactType"] = json!(BUNDLE);
                    descriptor
                };
                let mut all: Vec<Value> = (0..11).map(|number| manifest(content, number)).collect();
                all.push(content.referrer(BUNDLE, &task_run("after them")));
                content.list(&all);
            },
            &["it has more than 10000 attestations, which are not read"],
            2,
        ),
        (
            "more bytes than are read of an image",
            &|content| {
                let number = |number: usize| digest_of(number.to_string().as_bytes());
                let layer = |at: usize| json!({"mediaType": DSSE, "digest": number(at), "size": 16 << 20});
                let layers: Vec<Value> = (0..64).map(layer).collect();
                content.att_of(&json!({"layers": layers}));
            },
            &["it has more than 1073741824 bytes of attestations, which are not read"],
            0,
        ),
        (
            "a text that is too long",
            &|content| {
                let kind = "x".repeat(257);
                let one = json!({"mediaType": "x", "artifactType": kind, "digest": digest, "size": 1});
                content.list(&[one]);
            },
            &["a type or digest has 257 bytes, and none has more than 256"],
            2,
        ),
        (
            "another digest's algorithm",
            &|content| content.att_of(&layer("sha512:ab", 1)),
            &["\"sha512:ab\" is not a digest"],
            1,
        ),
        (
            "a digest that leads elsewhere",
            &|content| content.att_of(&layer("sha256:../../x", 1)),
            &["is not a digest"],
            1,
        ),
        (
            "a layer of another type",
            &|content| {
                content.att_of(&json!({"layers": [{"mediaType": "text/plain", "digest": digest, "size": 1}]}))
            },
            &["it is of the type \"text/plain\", so it holds no attestation"],
            1,
        ),
        (
            "a list under the tag",
            &|content| content.att_of(&json!({"manifests": []})),
            &["it has no layers"],
            1,
        ),
        (
            "no JSON under the tag",
            &|content| content.at(&att).body = b"<html>".to_vec(),
            &["it is not a manifest of OCI"],
            1,
        ),
        (
            "a list of referrers that is none",
            &|content| content.at(&format!("referrers/{}", image_digest())).body = b"{}".to_vec(),
            &["it is not a list of referrers"],
            2,
        ),
        (
            "a list of another content type that is none",
            &|content| {
                *content.at(&format!("referrers/{}", image_digest())) = response(
                    200,
                    &[("Content-Type", "application/json")],
                    r#"{"manifests": [{"digest": 1}]}"#,
                );
            },
            &["it is not a manifest of OCI"],
            2,
        ),
        (
            "a list by tag that is none",
            &|content| {
                content.0.remove(&format!("/v2/{REPOSITORY}/referrers/{}", image_digest()));
                let manifest: Value = json!({"layers": []});
                let kept = content.at(&att).clone();
                let path = format!("/v2/{REPOSITORY}/manifests/{}", image_digest().replace(':', "-"));
                content.0.insert(path, Response { body: manifest.to_string().into(), ..kept });
            },
            &["it is not a list of referrers"],
            2,
        ),
        (
            "an answer that is not one",
            &|content| {
                *content.at(&format!("referrers/{}", image_digest())) =
                    response(418, &[("Content-Type", INDEX)], "")
            },
            &["answers with HTTP status 418"],
            2,
        ),
    ]);
}

#[test]
fn whoever_is_not_a_registry_or_does_not_answer_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_host = silent.local_addr().unwrap().to_string();
    let ends = TcpListener::bind("127.0.0.1:0").unwrap();
    let ends_host = ends.local_addr().unwrap().to_string();
    thread::spawn(move || ends.incoming().flatten().for_each(drop));
    let web = Registry::start(
        Content::default(),
        Box::new(|_| Some(response(404, &[("Content-Type", "text/html")], "<html>"))),
    );
    let unknown = Registry::start(Content::default(), Box::new(|_| Some(error(404, "NAME_UNKNOWN"))));
    let denies = Registry::start(Content::default(), Box::new(|_| Some(error(403, "DENIED"))));
    let plain = Registry::start(Content::default(), Box::new(|_| None));
    let tls = Registry::start_tls(Content::default(), Box::new(|_| None));
    let mut cut = Content::default();
    cut.att(&[&genuine()]);
    cut.at(&format!("blobs/{}", digest_of(genuine().as_bytes()))).cut = Some(100);
    let cut = Registry::start(cut, Box::new(|_| None));
    let ca = crate::support::command::path("bundle.pem");
    let digest = image_digest();
    for (case, image, more, text, detail) in [
        (
            "nobody",
            format!("http://{closed}/app@{digest}"),
            vec![],
            "cannot be reached: Connection refused",
            "unreachable",
        ),
        (
            "silence",
            format!("http://{silent_host}/app@{digest}"),
            vec!["--request-timeout", "1"],
            "did not answer within 1 s",
            "unreachable",
        ),
        ("an end at once", format!("http://{ends_host}/app@{digest}"), vec![], "was lost", "answer-cut"),
        ("a blob that is cut", cut.image(), vec![], "was lost", "answer-cut"),
        ("a web server", web.image(), vec![], "is not a registry (HTTP status 404", "odd-answer"),
        (
            "somebody who denies it",
            denies.image(),
            vec![],
            "does not allow this to be read (HTTP status 403): and it asks for no login. It says: said as DENIED",
            "forbidden",
        ),
        ("no such repository", unknown.image(), vec![], "has no repository team/app", "not-read"),
        (
            "no TLS",
            plain.image().replace("http://", ""),
            vec!["--ca-file", &ca],
            "does not speak TLS on this port",
            "unreachable",
        ),
        ("somebody else's certificate", tls.image(), vec!["--ca-file", &ca], "with --ca-file", "unreachable"),
        (
            "no authorities",
            tls.image(),
            vec!["--ca-file", "/nowhere"],
            "--ca-file /nowhere: No such file",
            "",
        ),
    ] {
        let ran = verify(&[&[image.as_str()], &more[..]].concat());
        assert_eq!(ran.code, 3, "{}", shown(case, &ran));
        says(case, &ran, &[text, detail]);
        // Said once, not again for each thing that is asked.
        assert!(places(&ran, &image).len() <= 1, "{}", shown(case, &ran));
    }
    drop(silent);
}

#[test]
fn a_registry_with_tls_is_read_by_its_authority() {
    let mut content = Content::default();
    content.att(&[&genuine()]);
    let registry = Registry::start_tls(content, Box::new(|_| None));
    let folder = crate::home();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, registry.certificate.as_ref().unwrap()).unwrap();
    let ran = verify(&[&registry.image(), "--ca-file", ca.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", shown("TLS", &ran));
    assert_eq!(places(&ran, &registry.image()), [(".att, layer 1".to_owned(), "verified".to_owned())]);
}
