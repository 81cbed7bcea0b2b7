//! Credentials: where they are found, and whom they are shown to.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    genuine, home,
    registry::{Content, Registry, Request, Response, response},
    says, shown, verify_with,
};

const PASSWORD: &str = "secret-password";
const IDENTITY: &str = "secret-identity-token";
const TOKEN: &str = "secret-bearer-token";
const REGISTRY_TOKEN: &str = "secret-registry-token";

fn login() -> String {
    STANDARD.encode(format!("me:{PASSWORD}"))
}

/// What a registry wants.
#[derive(Clone, Copy, PartialEq)]
enum Wants {
    Basic,
    /// A token, from its own `/token`, that only those who have a credential get.
    Token,
    /// A token that everybody gets.
    AnyToken,
}

/// A registry with one attestation that wants a login, and repeats what it was sent.
fn registry(wants: Wants) -> Registry {
    let mut content = Content::default();
    content.att(&[&genuine()]);
    let gate = move |request: &Request| -> Option<Response> {
        let shown = request.header("authorization").unwrap_or_default().to_owned();
        let refused = |status| {
            let errors = format!(
                r#"{{"errors":[{{"code":"UNAUTHORIZED","message":"{shown} {} is nobody"}}]}}"#,
                request.body
            );
            Some(response(status, &[], errors))
        };
        if request.path.split('?').next() == Some("/token") {
            let is_meant = match request.method.as_str() {
                "GET" => {
                    let is_about = request.path.contains("scope=repository%3Ateam%2Fapp%3Apull")
                        && request.path.contains("service=my%20registry");
                    assert!(is_about, "{}", request.path);
                    wants == Wants::AnyToken || shown == format!("Basic {}", login())
                }
                method => {
                    assert_eq!(method, "POST");
                    request.body.contains("grant_type=refresh_token")
                        && request.body.contains("scope=repository%3Ateam%2Fapp%3Apull")
                        && request.body.contains(&format!("refresh_token={IDENTITY}"))
                }
            };
            let answer = format!(r#"{{"access_token":"{TOKEN}","expires_in":60}}"#);
            return if is_meant { Some(response(200, &[], answer)) } else { refused(401) };
        }
        let accepted = match wants {
            Wants::Basic => vec![format!("Basic {}", login())],
            Wants::Token => vec![format!("Bearer {TOKEN}"), format!("Bearer {REGISTRY_TOKEN}")],
            Wants::AnyToken => vec![format!("Bearer {TOKEN}")],
        };
        if accepted.contains(&shown) {
            return None;
        }
        let host = request.header("host").unwrap_or_default();
        let challenge = match wants {
            Wants::Basic => "Basic realm=\"x\"".to_owned(),
            _ => format!(
                "Bearer realm=\"http://{host}/token\",service=\"my registry\",scope=\"repository:team/app:pull\""
            ),
        };
        let mut refusal = refused(401)?;
        refusal.headers.push(("WWW-Authenticate", challenge));
        Some(refusal)
    };
    Registry::start(content, Box::new(gate))
}

/// Writes what files and programs a case has into its home; `HOST` stands for the registry's.
fn write(home: &Path, host: &str, files: &[(&str, String)]) {
    for (name, text) in files {
        let file = home.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text.replace("HOST", host)).unwrap();
        let mode = if text.starts_with("#!") { 0o755 } else { 0o600 };
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// Files of the home, what the environment names of them, the exit code and what is said.
type Case<'a> = (&'a str, Wants, Vec<(&'a str, String)>, &'a [(&'a str, &'a str)], i32, &'a [&'a str]);

fn check(cases: &[Case<'_>]) {
    for (case, wants, files, environment, code, text) in cases {
        let (home, registry) = (home(), registry(*wants));
        write(home.path(), &registry.host, files);
        let below = |path: &str| home.path().join(path).to_str().unwrap().to_owned();
        let path = format!("{}:/usr/bin:/bin", below("bin"));
        let mut all = vec![("PATH", path), ("HOME", below("")), ("TEST_HOME", below(""))];
        all.extend(environment.iter().map(|(name, path)| (*name, below(path))));
        let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let ran = verify_with(&all, &[&registry.image(), "--request-timeout", "2", "-v"]);
        assert_eq!(ran.code, *code, "{}", shown(case, &ran));
        let text: Vec<String> = text.iter().map(|text| text.replace("HOST", &registry.host)).collect();
        says(case, &ran, &text.iter().map(String::as_str).collect::<Vec<_>>());
        for secret in [PASSWORD, IDENTITY, TOKEN, REGISTRY_TOKEN, "secret-old", &login()] {
            assert!(
                !ran.err.contains(secret) && !ran.out.contains(secret),
                "{secret} is shown: {}",
                shown(case, &ran)
            );
        }
    }
}

fn auths(key: &str, entry: &str) -> String {
    format!(r#"{{"auths":{{"{key}":{entry}}}}}"#)
}

fn of_login() -> String {
    format!(r#"{{"auth":"{}"}}"#, login())
}

#[test]
fn a_login_is_found_where_docker_and_podman_keep_it() {
    let config = ".docker/config.json";
    let with = |key: &str| vec![(config, auths(key, &of_login()))];
    let wrong = STANDARD.encode("me:wrong");
    let two = |first: &str, second: &str| {
        let entries = format!(r#"{{"auths":{{"{first}":{{"auth":"{wrong}"}},"{second}":{}}}}}"#, of_login());
        vec![(config, entries)]
    };
    let entry = format!(r#"{{"username":"me","password":"{PASSWORD}"}}"#);
    let identity = format!(r#"{{"auth":"{}","identitytoken":"{IDENTITY}"}}"#, STANDARD.encode("me:"));
    let of_registry = format!(r#"{{"registrytoken":"{REGISTRY_TOKEN}"}}"#);
    check(&[
        ("nobody needs one", Wants::AnyToken, vec![], &[], 0, &[]),
        ("Docker's file", Wants::Basic, with("HOST"), &[], 0, &[]),
        ("as an address", Wants::Basic, with("https://HOST/v2/"), &[], 0, &[]),
        ("for the repository", Wants::Basic, two("HOST", "HOST/team/app"), &[], 0, &[]),
        ("for a part of its name", Wants::Basic, two("HOST", "HOST/team"), &[], 0, &[]),
        ("not what only begins so", Wants::Basic, two("HOST/tea", "HOST"), &[], 0, &[]),
        ("user and password", Wants::Basic, vec![(config, auths("HOST", &entry))], &[], 0, &[]),
        ("for a token", Wants::Token, with("HOST"), &[], 0, &[]),
        ("an identity token", Wants::Token, vec![(config, auths("HOST", &identity))], &[], 0, &[]),
        ("a token for the registry", Wants::Token, vec![(config, auths("HOST", &of_registry))], &[], 0, &[]),
        (
            "DOCKER_CONFIG",
            Wants::Basic,
            vec![("other/config.json", auths("HOST", &of_login()))],
            &[("DOCKER_CONFIG", "other")],
            0,
            &[],
        ),
        (
            "Podman's file",
            Wants::Basic,
            vec![("run/containers/auth.json", auths("HOST", &of_login()))],
            &[("XDG_RUNTIME_DIR", "run")],
            0,
            &[],
        ),
        (
            "REGISTRY_AUTH_FILE",
            Wants::Basic,
            vec![("auth.json", auths("HOST", &of_login()))],
            &[("REGISTRY_AUTH_FILE", "auth.json")],
            0,
            &[],
        ),
        (
            "one that Docker's does not have",
            Wants::Basic,
            vec![
                (config, auths("other.example.org", &of_login())),
                ("auth.json", auths("HOST", &of_login())),
            ],
            &[("REGISTRY_AUTH_FILE", "auth.json")],
            0,
            &[],
        ),
    ]);
}

#[test]
fn a_helper_is_asked_for_the_login() {
    let named = |name: &str| {
        vec![(
            ".docker/config.json",
            format!(r#"{{"auths":{{"HOST":{{}}}},"credHelpers":{{"HOST":"{name}"}}}}"#),
        )]
    };
    let helper = |text: &str| ("bin/docker-credential-mine", format!("#!/bin/sh\n{text}\n"));
    let gives = |user: &str, secret: &str| {
        helper(&format!(
            r#"read server; [ "$1 $server" = "get HOST" ] && echo '{{"ServerURL":"HOST","Username":"{user}","Secret":"{secret}"}}'"#
        ))
    };
    let with = |helper: (&'static str, String)| [named("mine"), vec![helper]].concat();
    let store = |helper: (&'static str, String), entry: &str| {
        vec![
            (".docker/config.json", format!(r#"{{"auths":{{"HOST":{entry}}},"credsStore":"mine"}}"#)),
            helper,
        ]
    };
    let none = "echo 'credentials not found in native keychain'; exit 1";
    check(&[
        ("of the registry", Wants::Basic, with(gives("me", PASSWORD)), &[], 0, &[]),
        ("of all registries", Wants::Token, store(gives("me", PASSWORD), "{}"), &[], 0, &[]),
        ("an identity token", Wants::Token, with(gives("<token>", IDENTITY)), &[], 0, &[]),
        ("one that has none, before the file's", Wants::Basic, store(helper(none), &of_login()), &[], 0, &[]),
        (
            "one that has none",
            Wants::Basic,
            with(helper(none)),
            &[],
            3,
            &["there is no credential for it in", "docker login HOST"],
        ),
        (
            "one that fails",
            Wants::Basic,
            with(helper(&format!("echo {PASSWORD}; echo {PASSWORD} >&2; exit 1"))),
            &[],
            3,
            &["docker-credential-mine, which", "names, failed; run it by hand"],
        ),
        (
            "one that prints something else",
            Wants::Basic,
            with(helper(&format!("echo {PASSWORD}"))),
            &[],
            3,
            &["does not print a login as JSON"],
        ),
        (
            "one that hangs",
            Wants::Basic,
            with(helper("exec sleep 60")),
            &[],
            3,
            &["did not answer within 2 s"],
        ),
        (
            "one that closes its output and hangs",
            Wants::Basic,
            with(helper("exec >&-; exec sleep 60")),
            &[],
            3,
            &["did not answer within 2 s"],
        ),
        (
            "one that is not there",
            Wants::Basic,
            named("nobodys"),
            &[],
            3,
            &["docker-credential-nobodys", "cannot be started: No such file or directory"],
        ),
        ("a path", Wants::Basic, named("x/../../../bin/true"), &[], 3, &["is not the name of a program"]),
        ("not asked where nobody wants a login", Wants::AnyToken, vec![], &[], 0, &[]),
    ]);
}

#[test]
fn a_login_that_is_not_enough_names_its_file() {
    let config = ".docker/config.json";
    let wrong = STANDARD.encode("me:secret-old-password");
    let of_wrong = format!(r#"{{"auth":"{wrong}"}}"#);
    let identity = r#"{"identitytoken":"secret-old-identity"}"#;
    check(&[
        (
            "no file",
            Wants::Basic,
            vec![],
            &[],
            3,
            &[
                "there is no file with credentials; log in with docker login HOST",
                "[unreadable: unauthorized]",
            ],
        ),
        (
            "none in the file",
            Wants::Token,
            vec![(config, "{}".to_owned())],
            &[],
            3,
            &["there is no credential for it in", "/.docker/config.json", "docker login HOST"],
        ),
        (
            "a wrong password",
            Wants::Basic,
            vec![(config, auths("HOST", &of_wrong))],
            &[],
            3,
            &["the credential is that of", "/.docker/config.json; log in again", "(not shown)", "is nobody"],
        ),
        (
            "a wrong password for a token",
            Wants::Token,
            vec![(config, auths("HOST", &of_wrong))],
            &[],
            3,
            &["/.docker/config.json; log in again"],
        ),
        (
            "an old identity token",
            Wants::Token,
            vec![(config, auths("HOST", identity))],
            &[],
            3,
            &["/.docker/config.json; log in again"],
        ),
        (
            "an identity token where a password is wanted",
            Wants::Basic,
            vec![(config, auths("HOST", identity))],
            &[],
            3,
            &["log in again"],
        ),
        (
            "not JSON",
            Wants::Basic,
            vec![(config, format!("{{{PASSWORD}"))],
            &[],
            3,
            &["is not the JSON of Docker's config.json", "[unreadable: no-credential]"],
        ),
        (
            "not base64",
            Wants::Basic,
            vec![(config, auths("HOST", &format!(r#"{{"auth":"{PASSWORD}!"}}"#)))],
            &[],
            3,
            &["the login for HOST in", "is not user and password in base64"],
        ),
        (
            "a folder",
            Wants::Basic,
            vec![(".docker/config.json/x", String::new())],
            &[],
            3,
            &["cannot be read: Is a directory"],
        ),
    ]);
}

#[test]
fn a_login_is_sent_only_where_it_is_safe() {
    let docker = home();
    let ca = docker.path().join("ca.pem");
    for (case, challenge, text) in [
        (
            "a realm without TLS",
            "Bearer realm=\"http://PLAIN/token\"",
            "which is not encrypted; nothing was sent there",
        ),
        (
            "a realm without TLS elsewhere",
            "Bearer realm=\"http://auth.example.org/token\"",
            "is not encrypted",
        ),
        ("a file", "Bearer realm=\"file:///etc/passwd\"", "is not an address"),
        (
            "a realm with a user",
            "Bearer realm=\"https://me:x@127.0.0.1/token\"",
            "is not the address of a server",
        ),
        ("a realm that is no address", "Bearer realm=\"to ken\"", "is not an address"),
        ("a way that is not known", "Negotiate", "wants a login of a kind that is not known here"),
        ("no challenge", "", "wants a login of a kind that is not known here"),
        ("a realm that nobody vouches for", "Bearer realm=\"https://TLS/token\"", "is not accepted"),
    ] {
        let plain = Registry::start(Content::default(), Box::new(|_| None));
        let other = Registry::start_tls(Content::default(), Box::new(|_| None));
        let challenge = challenge.replace("PLAIN", &plain.host).replace("TLS", &other.host);
        let gate = move |_: &Request| Some(response(401, &[("WWW-Authenticate", &challenge)], ""));
        let registry = Registry::start_tls(Content::default(), Box::new(gate));
        fs::write(&ca, registry.certificate.as_ref().unwrap()).unwrap();
        fs::write(docker.path().join("config.json"), auths(&registry.host, &of_login())).unwrap();
        let environment = [("DOCKER_CONFIG", docker.path().to_str().unwrap())];
        let ran = verify_with(&environment, &[&registry.image(), "--ca-file", ca.to_str().unwrap()]);
        assert_eq!(ran.code, 3, "{}", shown(case, &ran));
        says(case, &ran, &[text]);
        let asked = [plain.requests(), other.requests()].concat();
        assert!(
            asked.is_empty(),
            "{case}: {:?}",
            asked.iter().map(|request| &request.path).collect::<Vec<_>>()
        );
        let shown_to_all = registry.requests();
        assert!(shown_to_all.iter().all(|request| request.header("authorization").is_none()), "{case}");
    }
}

#[test]
fn one_login_is_for_all_that_is_asked() {
    let (registry, docker) = (registry(Wants::Token), home());
    fs::write(docker.path().join("config.json"), auths(&registry.host, &of_login())).unwrap();
    let environment = [("DOCKER_CONFIG", docker.path().to_str().unwrap())];
    let other = registry.image().replace("abab", "cdcd");
    let ran = verify_with(&environment, &[&registry.image(), &other]);
    assert_eq!(ran.code, 2, "{}", shown("two images", &ran));
    let tokens = registry.requests().iter().filter(|request| request.path.starts_with("/token")).count();
    assert_eq!(tokens, 1);
}

#[test]
fn a_service_that_gives_no_token_is_named_and_an_old_token_is_replaced() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    for (case, status, answer, uses, code, text) in [
        ("a token", 200, r#"{"token":"T"}"#, 99, 0, ""),
        ("a token for one request each", 200, r#"{"token":"T"}"#, 1, 0, ""),
        ("no JSON", 200, "<html>", 99, 3, "gives no token (its answer is not JSON with a token)"),
        ("none", 200, "{}", 99, 3, "gives no token (its answer has none)"),
        ("an empty one", 200, r#"{"token":""}"#, 99, 3, "gives no token (its answer has none)"),
        ("what is no header", 200, "{\"token\":\"a\\nb\"}", 99, 3, "is not a word of ASCII"),
        ("nobody there", 404, "", 99, 3, "gives no token (HTTP status 404)"),
        ("sends on", 302, "", 99, 3, "gives no token (HTTP status 302)"),
        ("denied", 403, r#"{"message":"no"}"#, 99, 3, "does not allow this to be read (HTTP status 403)"),
    ] {
        let mut content = Content::default();
        content.att(&[&genuine()]);
        let (used, given) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let gate = move |request: &Request| -> Option<Response> {
            if request.path.starts_with("/token") {
                let answer = answer.replace('T', &format!("token-{}", given.fetch_add(1, Relaxed) + 1));
                used.store(0, Relaxed);
                return Some(response(status, &[("Location", "/elsewhere")], answer));
            }
            let current = format!("Bearer token-{}", given.load(Relaxed));
            if request.header("authorization") == Some(&current) && used.fetch_add(1, Relaxed) < uses {
                return None;
            }
            let challenge = format!("Bearer realm=\"http://{}/token\"", request.header("host").unwrap());
            Some(response(401, &[("WWW-Authenticate", &challenge)], ""))
        };
        let registry = Registry::start(content, Box::new(gate));
        let ran = verify_with(&[], &[&registry.image()]);
        assert_eq!(ran.code, code, "{}", shown(case, &ran));
        says(case, &ran, &[text]);
        assert!(!registry.requests().iter().any(|request| request.path == "/elsewhere"), "{case}");
    }
}
