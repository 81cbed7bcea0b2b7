//! Redirects, as registries have them to a storage: they are followed, and nobody there is shown a credential.

use crate::{
    genuine, home,
    registry::{Content, Registry, Request, Response, error, response},
    says, shown, verify_with,
};

const LOGIN: &str = "bWU6c2VjcmV0LXBhc3N3b3Jk";

/// A registry that wants a password and keeps its blobs elsewhere.
fn sends_on(to: String, is_tls: bool) -> Registry {
    let mut content = Content::default();
    content.att(&[&genuine()]);
    let gate = move |request: &Request| -> Option<Response> {
        if request.header("authorization") != Some(&format!("Basic {LOGIN}")) {
            return Some(response(401, &[("WWW-Authenticate", "Basic realm=x")], ""));
        }
        let blob = request.path.strip_prefix("/v2/team/app/blobs/")?;
        Some(response(307, &[("Location", &to.replace('%', blob))], ""))
    };
    if is_tls {
        Registry::start_tls(content, Box::new(gate))
    } else {
        Registry::start(content, Box::new(gate))
    }
}

#[test]
fn blobs_are_fetched_from_elsewhere_without_a_credential() {
    let storage = || {
        Registry::start(
            Content::default(),
            Box::new(|request| request.path.starts_with("/blob/").then(|| response(200, &[], genuine()))),
        )
    };
    let storage_with_tls =
        Registry::start_tls(Content::default(), Box::new(|_| Some(response(200, &[], genuine()))));
    let other = Registry::start(Content::default(), Box::new(|_| Some(response(200, &[], "other"))));
    let wants_login = Registry::start(
        Content::default(),
        Box::new(|_| Some(response(401, &[("WWW-Authenticate", "Basic realm=x")], ""))),
    );
    let circle =
        Registry::start(Content::default(), Box::new(|_| Some(response(302, &[("Location", "/again")], ""))));
    let refuses = Registry::start(Content::default(), Box::new(|_| Some(error(403, "DENIED"))));
    let (plain, of_tls) = (storage(), storage());
    let ca = home();
    let file = ca.path().join("ca.pem");
    for (case, to, storage, is_tls, code, text) in [
        (
            "to http on this machine, from http",
            format!("http://{}/blob/%?signed=secret-signature", plain.host),
            &plain,
            false,
            0,
            "",
        ),
        (
            "to http, from https",
            format!("http://{}/blob/%?signed=secret-signature", of_tls.host),
            &of_tls,
            true,
            3,
            "where nothing is encrypted, which is not followed",
        ),
        (
            "to https with another authority",
            format!("https://{}/%?signed=secret-signature", storage_with_tls.host),
            &storage_with_tls,
            true,
            3,
            "is not accepted",
        ),
        ("to other content", format!("http://{}/x", other.host), &other, false, 3, "something other than"),
        (
            "to who wants a login",
            format!("http://{}/x", wants_login.host),
            &wants_login,
            false,
            3,
            "answers with HTTP status 401",
        ),
        (
            "to who refuses",
            format!("http://{}/x", refuses.host),
            &refuses,
            false,
            3,
            "HTTP status 403. It says: said as DENIED",
        ),
        ("in circles", format!("http://{}/x", circle.host), &circle, false, 3, "again and again"),
        (
            "to http elsewhere",
            "http://storage.example.org/x?signed=secret-signature".to_owned(),
            &plain,
            false,
            3,
            "sends on to storage.example.org, where nothing is encrypted",
        ),
        ("to a file", "file:///etc/passwd".to_owned(), &plain, false, 3, "no address"),
        ("to nowhere", String::new(), &plain, false, 3, "no address"),
        (
            "with a user",
            format!("http://me:secret-password@{}/x", plain.host),
            &plain,
            false,
            3,
            "no address",
        ),
    ] {
        let registry = sends_on(to, is_tls);
        if let Some(certificate) = &registry.certificate {
            std::fs::write(&file, certificate).unwrap();
        }
        let docker = home();
        let config = format!(r#"{{"auths":{{"{}":{{"auth":"{LOGIN}"}}}}}}"#, registry.host);
        std::fs::write(docker.path().join("config.json"), config).unwrap();
        let environment = [("DOCKER_CONFIG", docker.path().to_str().unwrap())];
        let mut arguments = vec![registry.image()];
        if is_tls {
            arguments.extend(["--ca-file".to_owned(), file.to_str().unwrap().to_owned()]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = verify_with(&environment, &arguments);
        assert_eq!(ran.code, code, "{}", shown(case, &ran));
        says(case, &ran, &[text]);
        for request in storage.requests() {
            assert_eq!(request.header("authorization"), None, "{case}: {}", request.path);
        }
        if code == 0 {
            assert!(!storage.requests().is_empty(), "{case}");
        }
        if is_tls {
            assert!(storage.requests().is_empty(), "{case}");
        }
        for secret in [LOGIN, "secret-password", "secret-signature"] {
            assert!(!ran.err.contains(secret) && !ran.out.contains(secret), "{}", shown(case, &ran));
        }
    }
}
