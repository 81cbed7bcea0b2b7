//! Images by name.

use crate::{
    home,
    registry::{Content, Registry, image_digest},
    says, shown,
    support::command::path,
    svidence, verify,
};

#[test]
fn what_does_not_name_an_image_is_refused() {
    let digest = image_digest();
    let at = |name: &str| format!("{name}@{digest}");
    for (case, image, text) in [
        (
            "a tag",
            "registry.example.org/team/app:v1".to_owned(),
            "name a digest, as in REGISTRY/REPOSITORY@sha256:",
        ),
        ("nothing but a name", "alpine".to_owned(), "crane digest IMAGE"),
        ("a TaskRun's name", "taskrun/build-7".to_owned(), "name a digest"),
        (
            "another algorithm",
            format!("r.example.org/a@sha512:{}", "ab".repeat(64)),
            "is not a digest of the form sha256:",
        ),
        (
            "a digest in upper case",
            at("r.example.org/a").to_uppercase().replace("SHA256", "sha256"),
            "is not a digest",
        ),
        ("a short digest", "r.example.org/a@sha256:ab".to_owned(), "is not a digest"),
        ("two digests", format!("{}@{digest}", at("r.example.org/a")), "is not a digest"),
        ("upwards", at("r.example.org/team/../admin"), "is not the name of a repository"),
        ("upper case", at("r.example.org/Team/app"), "is not the name of a repository"),
        ("an empty part", at("r.example.org/team//app"), "is not the name of a repository"),
        ("a query", at("r.example.org/team?x=y"), "is not the name of a repository"),
        ("percent", at("r.example.org/team%2fapp"), "is not the name of a repository"),
        ("three underscores", at("r.example.org/a___b"), "is not the name of a repository"),
        ("too long", at(&format!("r.example.org/{}", "a".repeat(250))), "is not the name of a repository"),
        ("no repository", at("https://r.example.org"), "is not the name of a repository"),
        ("a user", at("me:secret@r.example.org/a"), "is not a digest"),
        ("a host that is none", at("r-.example.org/a"), "is not the host of a registry"),
        ("a port that is none", at("r.example.org:0/a"), "is not the host of a registry"),
        ("a large port", at("r.example.org:65536/a"), "is not the host of a registry"),
        ("no address", at("[::g]/a"), "is not the host of a registry"),
        ("a bad tag", at("r.example.org/a:-x"), "is not a tag"),
        ("Podman's prefix", at("docker://r.example.org/a"), "without docker://"),
        ("http elsewhere", at("http://r.example.org/a"), "is not this machine"),
        (
            "http to what begins like this machine",
            at("http://localhost.example.org/a"),
            "is not this machine",
        ),
        ("http to Docker Hub", at("http://docker.io/library/alpine"), "is not this machine"),
    ] {
        let ran = verify(&[&image]);
        assert_eq!(ran.code, 64, "{}", shown(case, &ran));
        says(case, &ran, &[&format!("{image}: with --from oci, "), text]);
    }
}

#[test]
fn an_image_is_asked_for_where_its_name_says() {
    let digest = image_digest();
    let registry = Registry::start(Content::default(), Box::new(|_| None));
    let host = registry.host.clone();
    for (case, image, shown_as) in [
        (
            "with a tag",
            format!("http://{host}/team/app:v1@{digest}"),
            format!("http://{host}/team/app@{digest}"),
        ),
        (
            "parts with marks",
            format!("http://{host}/a.b/c__d/e---f@{digest}"),
            format!("http://{host}/a.b/c__d/e---f@{digest}"),
        ),
        ("one part", format!("http://{host}/app@{digest}"), format!("http://{host}/app@{digest}")),
        (
            "localhost",
            format!("http://{host}/app@{digest}").replace("127.0.0.1", "LocalHost"),
            format!("http://{host}/app@{digest}").replace("127.0.0.1", "localhost"),
        ),
    ] {
        let ran = verify(&[&image]);
        assert_eq!(ran.code, 2, "{}", shown(case, &ran));
        says(case, &ran, &[&format!("{shown_as} has no attestation of a run")]);
        let path = shown_as.split_once("//").unwrap().1.split_once('/').unwrap().1.split_once('@').unwrap().0;
        let asked = registry.requests();
        assert!(
            asked.iter().any(|request| request.path.starts_with(&format!("/v2/{path}/manifests/"))),
            "{case}"
        );
    }
    // Nobody is there: what it says is whom it would have asked. No network of the machine's is meant by a proxy that is away.
    let proxy = [("HTTPS_PROXY", "http://127.0.0.1:1")];
    for (case, image, shown_as) in [
        ("Docker Hub's own", format!("alpine@{digest}"), "docker.io/library/alpine@"),
        ("somebody's on Docker Hub", format!("team/app:1@{digest}"), "docker.io/team/app@"),
        ("Docker Hub by another name", format!("index.docker.io/team/app@{digest}"), "docker.io/team/app@"),
        ("a registry by name", format!("registry.example.org/app@{digest}"), "registry.example.org/app@"),
        ("a registry by https", format!("https://registry/app@{digest}"), "registry/app@"),
    ] {
        let ran = crate::verify_with(&proxy, &[&image, "--ca-file", &path("bundle.pem")]);
        assert_eq!(ran.code, 3, "{}", shown(case, &ran));
        says(case, &ran, &[shown_as, "cannot be reached"]);
    }
}

#[test]
fn arguments_of_other_sources_are_refused() {
    let digest = image_digest();
    let image = format!("http://127.0.0.1:1/app@{digest}");
    let bundle = path("bundle.pem");
    let trust = ["--trust-domain", "example.org", "--bundle", bundle.as_str()];
    for (case, arguments, text) in [
        ("no image", vec!["--from", "oci"], "<TASKRUN>"),
        (
            "all namespaces",
            vec!["--from", "oci", &image, "-A"],
            "--all-namespaces is an argument for --from kubernetes",
        ),
        ("a part", vec!["--from", "oci", &image, "--shard", "0/2"], "these runs are asked for by name"),
        ("what has finished", vec!["--from", "oci", &image, "--finished"], "these are asked for by name"),
        (
            "an archive",
            vec!["--from", "oci", &image, "--parent", "team"],
            "--parent is an argument for --from results",
        ),
        (
            "somebody else",
            vec!["--from", "oci", &image, "--as", "me"],
            "--as is an argument for --from kubernetes or --from results",
        ),
        (
            "a pattern",
            vec!["--from", "oci", &image, "--only", "*.json"],
            "--only is an argument for --from files",
        ),
        (
            "all that finished",
            vec!["--from", "oci", &image, "--all-finished"],
            "--all-finished is an argument for --from kubernetes",
        ),
        (
            "authorities for files",
            vec!["x.json", "--ca-file", "x"],
            "--ca-file is an argument for --from results or --from oci",
        ),
        (
            "a time for files",
            vec!["x.json", "--request-timeout", "1"],
            "--request-timeout is an argument for --from kubernetes or --from results or --from oci",
        ),
    ] {
        let ran = svidence(&[], &[&["verify"], &arguments[..], &trust].concat());
        assert_eq!(ran.code, 64, "{}", shown(case, &ran));
        says(case, &ran, &[text]);
    }
    let home = home();
    let config = home.path().join(".docker/config.json");
    std::fs::create_dir(home.path().join(".docker")).unwrap();
    std::fs::write(&config, "{}").unwrap();
    let (home, config) = (home.path().to_str().unwrap(), config.to_str().unwrap());
    let output = format!("text={config}");
    let ran = svidence(
        &[("HOME", home)],
        &[&["verify", "--from", "oci", &image, "-o", &output], &trust[..]].concat(),
    );
    assert_eq!(ran.code, 64, "{}", shown("a report in place of the credentials", &ran));
    says("a report in place of the credentials", &ran, &["the report would replace"]);
}
