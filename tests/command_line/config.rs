//! The configuration: the shipped ConfigMap, every wrong key and value with its line, and the JSON that reaches the steps.

use std::{fs, num::NonZeroU32, path::Path, time::Duration};

use svidence::{
    cli::config,
    controller::config::{Attest, Configuration, KEYS as CONTROLLER_KEYS, Registration, Settings},
    step::signing::config::{Config, EvidenceForms, KEYS, SigningFailure},
};

fn shipped() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/spire/config-spire.yaml")
}

fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    fs::write(&file, text).unwrap();
    config::load(&file)
        .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

/// A ConfigMap whose `data` begins in line 6.
fn config_map(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config-spire\ndata:\n{data}")
}

#[test]
fn the_shipped_config_map_states_the_defaults() {
    assert_eq!(config::load(&shipped()).unwrap(), Config::default());
    // A default that is only documented, not stated, could differ from the code.
    let text = fs::read_to_string(shipped()).unwrap();
    for key in KEYS.into_iter().chain(CONTROLLER_KEYS) {
        let is_shown = ["\"", "|"].iter().any(|begins| text.contains(&format!("{key}: {begins}")));
        assert!(is_shown, "{key} is not in the shipped file");
    }
    let stated = text.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(": \""));
    let stated = stated.filter(|(key, _)| !key.starts_with('#'));
    let stated = stated.map(|(key, value)| (key.to_owned(), value.trim_end_matches('"').to_owned()));
    let stated: Vec<_> = stated.collect();
    assert_eq!(stated.len(), KEYS.len() + CONTROLLER_KEYS.len() - 6, "{stated:?}");
    assert_eq!(Configuration::from_entries(stated).unwrap(), Configuration::default());
}

#[test]
fn every_value_of_the_controllers_is_read() {
    type Case = (&'static [(&'static str, &'static str)], fn(&mut Settings));
    let (one, other) = ("ab".repeat(32), "0c".repeat(32));
    let both = format!("{one}, {other},{one}");
    let cases: [Case; 15] = [
        (
            &[
                ("svidence-registration", "owner"),
                ("svidence-attest", "run"),
                ("svidence-agent-cluster", "production"),
            ],
            |s| {
                (s.registration, s.attest) = (Registration::Owner, Attest::Run);
                s.agent_cluster = Some("production".into());
            },
        ),
        (&[("svidence-registration", "pod")], |s| s.registration = Registration::Pod),
        (&[("svidence-registration", "cluster-static-entry")], |s| {
            s.registration = Registration::ClusterStaticEntry;
        }),
        (&[("svidence-class-name", "ci")], |s| s.class_name = Some("ci".into())),
        (&[("svidence-registration", "off")], |s| s.registration = Registration::Off),
        (&[("svidence-attest", "run")], |s| s.attest = Attest::Run),
        (&[("svidence-attest", "step")], |s| s.attest = Attest::Step),
        (&[("svidence-attest", "executable"), ("svidence-entrypoint-sha256", "ONE")], |s| {
            (s.attest, s.programs) = (Attest::Executable, vec![[0xab; 32]]);
        }),
        (&[("svidence-attest", "image"), ("svidence-entrypoint-sha256", "ONE")], |s| {
            (s.attest, s.programs) = (Attest::Image, vec![[0xab; 32]]);
        }),
        (&[("svidence-entrypoint-sha256", "BOTH")], |s| s.programs = vec![[0xab; 32], [0x0c; 32]]),
        (&[("svidence-svid-ttl", "1m")], |s| s.svid_ttl = Duration::from_secs(60)),
        (&[("svidence-agent-namespace", "spire-system")], |s| s.agent_namespace = "spire-system".into()),
        (&[("svidence-agent-cluster", "production")], |s| s.agent_cluster = Some("production".into())),
        (&[("svidence-judging", "off")], |s| s.judging = false),
        (&[("svidence-condition", "true")], |s| s.condition = true),
    ];
    for (entries, change) in cases {
        let mut expected = Settings::default();
        change(&mut expected);
        let entries = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.replace("ONE", &one).replace("BOTH", &both)));
        let entries: Vec<_> = entries.collect();
        let read = Configuration::from_entries(entries.clone()).unwrap();
        assert_eq!(read, Configuration { settings: expected, ..Configuration::default() }, "{entries:?}");
    }
}

#[test]
fn every_value_is_read() {
    type Case = (&'static str, &'static str, fn(&mut Config));
    let cases: [Case; 15] = [
        ("spire-trust-domain", "ci.acme.test", |c| {
            c.trust_domain = spiffe::TrustDomain::new("ci.acme.test").unwrap();
        }),
        ("spire-socket-path", "unix:///run/agent.sock", |c| {
            c.socket_path = "unix:///run/agent.sock".parse().unwrap();
        }),
        ("spire-socket-path", "tcp://127.0.0.1:8081", |c| {
            c.socket_path = "tcp://127.0.0.1:8081".parse().unwrap();
        }),
        ("spire-server-addr", "[::1]:8081", |c| c.server_addr = "[::1]:8081".into()),
        ("spire-node-alias-prefix", "/", |c| c.node_alias_prefix = "/".into()),
        ("svidence-evidence", "both", |c| c.evidence = EvidenceForms::Both),
        ("svidence-evidence", "attestation", |c| c.evidence = EvidenceForms::Attestation),
        ("svidence-evidence", "tep-0089", |c| c.evidence = EvidenceForms::Tep0089),
        ("svidence-signing-failure", "report", |c| c.signing_failure = SigningFailure::Report),
        ("svidence-signing-timeout", "0s", |c| c.signing_timeout = Duration::ZERO),
        ("svidence-signing-timeout", "1m30s", |c| c.signing_timeout = Duration::from_secs(90)),
        ("svidence-signing-timeout", "1500ms", |c| c.signing_timeout = Duration::from_millis(1500)),
        ("svidence-signing-timeout", "1h", |c| c.signing_timeout = Duration::from_secs(3600)),
        ("svidence-containers", "1", |c| c.containers = NonZeroU32::new(1)),
        ("svidence-containers", "64", |c| c.containers = NonZeroU32::new(64)),
    ];
    for (key, value, change) in cases {
        let mut expected = Config::default();
        change(&mut expected);
        let name = format!("{key}={value}");
        let read = load(&config_map(&format!("  {key}: \"{value}\"\n"))).expect(&name);
        assert_eq!(read, expected, "{name}");
        assert_eq!(Config::from_json(read.to_json().as_bytes()).unwrap(), expected, "{name} through JSON");
        assert_eq!(load(&read.to_json()).unwrap(), expected, "{name} from the JSON file");
    }
}

#[test]
fn each_wrong_entry_is_named_with_its_line() {
    let cases = [
        // (entries, line, text)
        (
            "  spire-trust-domian: \"x\"",
            6,
            "unknown key \"spire-trust-domian\"; the closest known key is \"spire-trust-domain\"",
        ),
        ("  # comment\n  evidence: both", 7, "closest known key is \"svidence-evidence\""),
        ("  SPIRE-SERVER-ADDR: x:1", 6, "unknown key \"SPIRE-SERVER-ADDR\""),
        ("  spire-trust-domain: \"\"", 6, "spire-trust-domain: \"\" is empty"),
        ("  spire-socket-path: \"\"", 6, "spire-socket-path: \"\" is empty"),
        ("  spire-server-addr: \"\"", 6, "spire-server-addr: \"\" is empty"),
        ("  spire-node-alias-prefix: \"\"", 6, "spire-node-alias-prefix: \"\" is empty"),
        ("  svidence-evidence: \"\"", 6, "svidence-evidence: \"\" is empty"),
        ("  spire-trust-domain: spiffe://example.org", 6, "is a SPIFFE ID; give the bare name"),
        ("  spire-trust-domain: Example.org", 6, "must be in lower case: \"example.org\""),
        ("  spire-trust-domain: exämple.org", 6, "is not a trust domain"),
        ("  spire-trust-domain: \"example.org \"", 6, "contains white space"),
        ("  spire-trust-domain: |\n    example.org", 6, "contains white space"),
        ("  spire-socket-path: /run/agent.sock", 6, "spire-socket-path: \"/run/agent.sock\""),
        ("  spire-socket-path: \"unix:\"", 6, "spire-socket-path: \"unix:\""),
        ("  spire-socket-path: tcp://localhost:80", 6, "spire-socket-path: \"tcp://localhost:80\""),
        ("  spire-socket-path: http://127.0.0.1:80", 6, "spire-socket-path: \"http://127.0.0.1:80\""),
        ("  spire-server-addr: spire-server", 6, "must be host:port"),
        ("  spire-server-addr: \":8081\"", 6, "must be host:port"),
        ("  spire-server-addr: a:0", 6, "must be host:port"),
        ("  spire-server-addr: a:65536", 6, "must be host:port"),
        ("  spire-node-alias-prefix: tekton-node/", 6, "must begin with \"/\""),
        ("  svidence-evidence: Both", 6, "must be one of: both, attestation, tep-0089"),
        ("  svidence-signing-failure: ignore", 6, "must be one of: fail, report"),
        ("  svidence-signing-timeout: \"60\"", 6, "\"60\" is not a duration such as"),
        ("  svidence-signing-timeout: -1s", 6, "\"-1s\""),
        ("  svidence-signing-timeout: 1d", 6, "\"1d\""),
        ("  svidence-signing-timeout: 1h1s", 6, "is longer than 1h"),
        ("  svidence-signing-timeout: 9999999999999h", 6, "svidence-signing-timeout: \"9999999999999h\""),
        ("  svidence-containers: \"0\"", 6, "must be a whole number from 1 to 64"),
        ("  svidence-containers: \"65\"", 6, "must be a whole number from 1 to 64"),
        ("  svidence-containers: \"+9\"", 6, "must be a whole number from 1 to 64"),
        ("  svidence-containers: nine", 6, "must be a whole number from 1 to 64"),
        ("  svidence-containers: 9", 6, "svidence-containers: the value must be text; write it in quotes"),
        ("  svidence-evidence: true", 6, "svidence-evidence: the value must be text"),
        ("  svidence-evidence:", 6, "svidence-evidence: the value must be text"),
        ("  svidence-evidence: [both]", 6, "svidence-evidence: the value must be text"),
        ("  svidence-evidence:\n    both: x", 6, "svidence-evidence: the value must be text"),
        ("  svidence-evidence:\n    none", 6, "must be one of"),
        ("  svidence-evidence: both\n  svidence-evidence: both", 7, "svidence-evidence"),
        // The controller's keys.
        ("  svidence-registraton: pod", 6, "the closest known key is \"svidence-registration\""),
        ("  svidence-registration: all", 6, "must be one of: pod, owner, cluster-static-entry, off"),
        ("  svidence-registration: owner", 6, "it needs svidence-attest: \"run\""),
        ("  svidence-registration: owner\n  svidence-attest: run", 6, "it needs svidence-agent-cluster"),
        ("  svidence-registration: \"\"", 6, "must be one of"),
        ("  svidence-attest: program", 6, "must be one of: run, step, executable, image"),
        ("  svidence-attest: image", 6, "needs the program's hash in svidence-entrypoint-sha256"),
        ("  svidence-attest: executable", 6, "needs the program's hash in svidence-entrypoint-sha256"),
        ("  svidence-entrypoint-sha256: abc", 6, "is not a SHA-256 in 64 small hexadecimal digits"),
        ("  svidence-entrypoint-sha256: \"\"", 6, "is not a SHA-256"),
        ("  svidence-timestamp-url: ftp://tsa.test", 6, "it begins with neither http:// nor https://"),
        (
            "  svidence-timestamp-url: http://tsa.test",
            6,
            "in svidence-timestamp-certificates: a token that nobody",
        ),
        ("  svidence-timestamp-certificates: abc", 6, "it holds no certificate in PEM"),
        ("  svidence-svid-ttl: 15", 6, "svidence-svid-ttl: the value must be text"),
        ("  svidence-svid-ttl: \"15\"", 6, "is not a duration such as"),
        ("  svidence-svid-ttl: 59s", 6, "must be from 1m to 24h"),
        ("  svidence-svid-ttl: 90500ms", 6, "in whole seconds"),
        ("  svidence-svid-ttl: 24h1s", 6, "must be from 1m to 24h"),
        ("  svidence-svid-ttl: -1h", 6, "must be from 1m to 24h"),
        ("  svidence-agent-namespace: Spire", 6, "is not the name of a namespace"),
        ("  svidence-agent-cluster: a b", 6, "is not the name of a cluster"),
        ("  svidence-class-name: a b", 6, "is not the name of a class"),
        ("  svidence-judging: \"true\"", 6, "must be one of: on, off"),
        ("  svidence-condition: \"on\"", 6, "must be one of: true, false"),
        ("  spire-node-alias-prefix: /spire/node/", 6, "which SPIRE keeps for itself"),
        ("  spire-node-alias-prefix: /a//", 6, "makes no SPIFFE ID with a node's name"),
        ("  svidence-attest: run\n  svidence-attest: run", 7, "svidence-attest"),
    ];
    for (data, line, text) in cases {
        let error = load(&config_map(&format!("{data}\n"))).expect_err(data);
        assert!(error.starts_with(&format!("config.yaml:{line}: ")), "{data:?}: wrong place in: {error}");
        assert!(error.contains(text), "{data:?}: {text:?} is not in: {error}");
    }
}

#[test]
fn the_config_map_is_found_among_other_documents() {
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: x\nspec:\n  ports: [{port: 1}]\n";
    let other =
        "kind: ConfigMap\nmetadata:\n  name: config-defaults\ndata:\n  spire-trust-domain: other.test\n";
    let wanted = config_map("  _example: |\n    nonsense: here\n  svidence-evidence: attestation\n");
    let expected = Config { evidence: EvidenceForms::Attestation, ..Config::default() };
    let json = "{\"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"config-spire\"},\n  \
                \"data\": {\"svidence-evidence\": \"attestation\"}}";
    let cases = [
        ("alone", wanted.clone()),
        ("between others", format!("---\n{service}---\n{wanted}---\n{other}")),
        ("with empty documents", format!("---\n---\n# nothing\n---\n{wanted}---\n")),
        ("as JSON", json.to_owned()),
        ("no keys but the example", config_map("  _example: x\n")),
        ("empty data", config_map("  {}\n")),
    ];
    for (name, text) in cases {
        let expected = if text.contains("attestation") { expected.clone() } else { Config::default() };
        assert_eq!(load(&text).expect(name), expected, "{name}");
    }
}

#[test]
fn files_without_the_config_map_are_refused() {
    let cases = [
        ("empty", String::new(), "no ConfigMap named config-spire in it; found nothing"),
        (
            "another kind",
            config_map("  a: b\n").replace("ConfigMap", "Secret"),
            "found Secret config-spire (line 1)",
        ),
        ("another name", config_map("  a: b\n").replace("-spire", "-x"), "found ConfigMap config-x (line 1)"),
        ("no kind", "data:\n  a: b\n".into(), "found something that is not a Kubernetes object (line 1)"),
        (
            "no data",
            "kind: ConfigMap\nmetadata:\n  name: config-spire\n".into(),
            "config.yaml:3: ConfigMap config-spire has no data",
        ),
        ("data is null", config_map(""), "config.yaml:4: ConfigMap config-spire has no data"),
        ("data is text", config_map("  text\n"), "has no data"),
        (
            "twice",
            format!("{}---\n{}", config_map("  {}\n"), config_map("  {}\n")),
            "config.yaml:11: a second ConfigMap",
        ),
        ("not YAML", "a: [b\nc: {\n".into(), "config.yaml:"),
        ("a list", "- a\n- b\n".into(), "found something that is not a Kubernetes object"),
        ("text", "hello\n".into(), "found something that is not a Kubernetes object"),
        (
            "JSON with a wrong key",
            "{\n  \"svidence-evidence\": \"both\",\n  \"x\": \"y\"\n}\n".into(),
            "config.yaml:3: unknown key \"x\"",
        ),
        (
            "JSON with a number",
            "{\"svidence-containers\": 9}".into(),
            "config.yaml:1: svidence-containers: the value must be text",
        ),
    ];
    for (name, text, expected) in cases {
        let error = load(&text).expect_err(name);
        assert!(error.contains(expected), "{name}: {expected:?} is not in: {error}");
    }
    let error = config::load(Path::new("/nonexistent/config.yaml")).unwrap_err().to_string();
    assert!(
        error.starts_with("/nonexistent/config.yaml: cannot read the configuration: No such file"),
        "{error}"
    );
}

#[test]
fn what_config_prints_is_what_the_steps_read() {
    let mut printed = Vec::new();
    let mut warned = Vec::new();
    config::run(&shipped(), &mut std::io::empty(), &mut printed, &mut warned).unwrap();
    let warned = String::from_utf8(warned).unwrap();
    assert!(warned.contains("config-spire.yaml: spire-trust-domain is example.org, the example"), "{warned}");
    assert_eq!(Config::from_json(&printed).unwrap(), Config::default());
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&printed).unwrap();
    assert!(object.values().all(serde_json::Value::is_string), "{object:?}");
    // Every key but the one that has no default.
    assert_eq!(object.len(), KEYS.len() - 1, "{object:?}");
}

#[test]
fn a_trust_domain_of_ones_own_is_not_warned_of() {
    let shipped = std::fs::read_to_string(shipped()).unwrap();
    let own = shipped.replacen("\"example.org\"", "\"prod.example.org\"", 1);
    let (mut printed, mut warned) = (Vec::new(), Vec::new());
    config::run(Path::new("-"), &mut own.as_bytes(), &mut printed, &mut warned).unwrap();
    assert_eq!(String::from_utf8(warned).unwrap(), "");
    assert_eq!(Config::from_json(&printed).unwrap().trust_domain.as_str(), "prod.example.org");
}

#[test]
fn broken_json_for_the_steps_is_refused() {
    let cases = [
        ("empty", "", "it is empty"),
        ("a list", "[]", "not a JSON object whose values are all text"),
        ("a number", "{\"svidence-containers\": 9}", "not a JSON object whose values are all text"),
        ("cut", "{\"svidence-evidence\": \"bo", "its JSON is cut off"),
        ("twice", r#"{"svidence-evidence":"both","svidence-evidence":"both"}"#, "appears twice"),
        ("wrong value", r#"{"svidence-evidence":"none"}"#, "must be one of"),
    ];
    for (name, json, expected) in cases {
        let error = Config::from_json(json.as_bytes()).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {expected:?} is not in: {error}");
    }
    assert_eq!(Config::from_json(b"{}").unwrap(), Config::default());
}
