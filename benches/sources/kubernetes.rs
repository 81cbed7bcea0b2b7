//! Runs of a cluster.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::Arc,
    time::Instant,
};

use serde::Deserialize;
use ureq::{
    Agent,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider},
};

use super::{
    Corpus, FEW, MANY,
    cluster::ApiServer,
    in_turns,
    report::{Beside, Memory},
};

/// The time that svidence may take of a bare list's.
const OF_BARE_LIST: f64 = 1.3;

/// Memory at few and at many, and how fast many are judged; `None`, and nothing is measured, if a program is missing.
pub(super) fn measured(corpus: &Corpus, rows: &mut Vec<Beside>) -> Option<Memory> {
    let server = ApiServer::with_tekton()?;
    let kubeconfig = server.kubeconfig_of("admin", &["system:masters"]);
    let source = ["--from", "kubernetes", "-n", "default", "--kubeconfig", &kubeconfig];
    let (first, rest) = corpus.objects.split_at(FEW);
    server.restore(first);
    eprintln!("measuring: memory at {FEW} and at {MANY} TaskRuns of a cluster");
    let few = peak(corpus, &source, FEW);
    server.restore(rest);
    let many = peak(corpus, &source, MANY);
    let agent = agent(&server);
    let name = "a cluster: lists in pages of 500 over HTTPS".to_owned();
    rows.push(in_turns(
        name,
        1.0 / OF_BARE_LIST,
        || corpus.rate(&source, MANY),
        || list(&agent, &server.url),
    ));
    Some(Memory { few, many })
}

/// Its largest resident memory in MB while it verifies so many TaskRuns, looked at with every 50th answer and the last.
fn peak(corpus: &Corpus, source: &[&str], count: usize) -> f64 {
    let mut command = corpus.verify(source);
    command.args(["-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("svidence runs");
    let out = BufReader::new(child.stdout.take().expect("its output"));
    let (mut seen, mut kilobytes) = (0, 0.0_f64);
    for line in out.lines() {
        let line = line.expect("its output");
        assert!(line.contains(r#""verdict":"verified""#), "{line}");
        seen += 1;
        if seen % 50 == 0 || seen == count {
            // Nothing is there any more once it has ended.
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let now = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
            kilobytes = kilobytes.max(now.unwrap_or_default());
        }
    }
    assert!(seen == count && child.wait().expect("it ends").success(), "{seen} of {count}");
    kilobytes * 1024.0 / 1e6
}

/// A client with a certificate of an administrator, as `kubectl` is.
fn agent(server: &ApiServer) -> Agent {
    let (certificate, key) = server.issue("admin", &["system:masters"]);
    let certificate = Certificate::from_pem(certificate.as_bytes()).expect("a certificate");
    let key = PrivateKey::from_pem(key.as_bytes()).expect("its key");
    let authority = Certificate::from_pem(server.ca_pem().as_bytes()).expect("the authority");
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&[authority]))
        .client_cert(Some(ClientCert::new_with_certs(&[certificate], key)));
    Agent::config_builder().tls_config(tls.build()).proxy(None).build().into()
}

/// At which rate it reads TaskRuns page by page, of which it looks at nothing but where the next page begins.
fn list(agent: &Agent, url: &str) -> f64 {
    #[derive(Deserialize)]
    struct Page {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default, rename = "continue")]
        next: String,
    }
    let start = Instant::now();
    // As svidence does, which looks for PipelineRuns first.
    for kind in ["pipelineruns", "taskruns"] {
        let mut next = String::new();
        loop {
            let path = format!("{url}/apis/tekton.dev/v1/namespaces/default/{kind}");
            let request = agent.get(path).query("limit", "500").query("continue", &next);
            let page =
                request.call().expect("an answer").body_mut().with_config().limit(1 << 30).read_to_vec();
            let page: Page = serde_json::from_slice(&page.expect("a page")).expect("a list");
            next = page.metadata.next;
            if next.is_empty() {
                break;
            }
        }
    }
    MANY as f64 / start.elapsed().as_secs_f64()
}
