//! A registry that the test serves: a fake, since a real one cannot be made to hand over wrong content, cut an answer or send elsewhere.
//! What it answers is the distribution specification's; what lies in it is as cosign and Tekton Chains store it.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::support::tls;

pub(crate) const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
pub(crate) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub(crate) const STATEMENT: &str = "application/vnd.in-toto+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Where everything lies.
pub(crate) const REPOSITORY: &str = "team/app";

/// What a client asks.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// In lower case up to the colon of each.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What it is answered.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// So many bytes of the body, and then the end.
    pub(crate) cut: Option<usize>,
}

/// An answer with this status and body.
pub(crate) fn response(status: u16, headers: &[(&'static str, &str)], body: impl Into<Vec<u8>>) -> Response {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Response { status, headers, body: body.into(), cut: None }
}

/// An error as registries have it.
pub(crate) fn error(status: u16, code: &str) -> Response {
    let body = json!({"errors": [{"code": code, "message": format!("said as {code}")}]}).to_string();
    response(status, &[("Content-Type", "application/json")], body)
}

/// `sha256:` and the digest of a text.
pub(crate) fn digest_of(text: &[u8]) -> String {
    let hex: String = digest(&SHA256, text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The digest of the image that tests ask about.
pub(crate) fn image_digest() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

/// What lies in a registry.
#[derive(Clone, Default)]
pub(crate) struct Content(pub(crate) BTreeMap<String, Response>);

impl Content {
    fn put(&mut self, path: &str, kind: &str, text: &str) {
        let path = format!("/v2/{REPOSITORY}/{path}");
        self.0.insert(path, response(200, &[("Content-Type", kind)], text));
    }

    /// A blob; gives its descriptor.
    pub(crate) fn blob(&mut self, kind: &str, text: &str) -> Value {
        let digest = digest_of(text.as_bytes());
        self.put(&format!("blobs/{digest}"), "application/octet-stream", text);
        json!({"mediaType": kind, "digest": digest, "size": text.len()})
    }

    /// A manifest by its digest; gives its descriptor.
    pub(crate) fn manifest(&mut self, manifest: &Value) -> Value {
        let text = manifest.to_string();
        let digest = digest_of(text.as_bytes());
        self.put(&format!("manifests/{digest}"), MANIFEST, &text);
        json!({"mediaType": MANIFEST, "digest": digest, "size": text.len()})
    }

    /// What cosign's tag of the image holds: a layer for each text.
    pub(crate) fn att(&mut self, texts: &[&str]) {
        let layers: Vec<Value> = texts.iter().map(|text| self.blob(DSSE, text)).collect();
        self.att_of(
            &json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": self.config(), "layers": layers}),
        );
    }

    pub(crate) fn att_of(&mut self, manifest: &Value) {
        let tag = format!("{}.att", image_digest().replace(':', "-"));
        self.put(&format!("manifests/{tag}"), MANIFEST, &manifest.to_string());
    }

    fn config(&self) -> Value {
        json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"{}"), "size": 2})
    }

    /// A manifest that refers to the image; gives its descriptor as lists of referrers have it.
    pub(crate) fn referrer(&mut self, kind: &str, text: &str) -> Value {
        let layer = self.blob(kind, text);
        self.referrer_of(kind, &[layer])
    }

    /// The same with these layers.
    pub(crate) fn referrer_of(&mut self, kind: &str, layers: &[Value]) -> Value {
        let mut descriptor = self.manifest(&json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2},
            "layers": layers,
            "subject": {"mediaType": MANIFEST, "digest": image_digest(), "size": 7},
        }));
        descriptor["artifactType"] = json!(kind);
        descriptor
    }

    /// The list of referrers, in the API.
    pub(crate) fn list(&mut self, referrers: &[Value]) {
        self.put(&format!("referrers/{}", image_digest()), INDEX, &list(referrers));
    }

    /// The same under the tag of registries without the API.
    pub(crate) fn list_by_tag(&mut self, referrers: &[Value]) {
        let tag = image_digest().replace(':', "-");
        self.put(&format!("manifests/{tag}"), INDEX, &list(referrers));
    }

    /// The answer to a path below the repository, for a test to change.
    pub(crate) fn at(&mut self, path: &str) -> &mut Response {
        self.0.get_mut(&format!("/v2/{REPOSITORY}/{path}")).expect(path)
    }
}

pub(crate) fn list(referrers: &[Value]) -> String {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": referrers}).to_string()
}

/// Whether something is asked for that is not in the content, or is not to be had yet.
type Gate = dyn Fn(&Request) -> Option<Response> + Send + Sync;

/// A registry, until the test ends.
pub(crate) struct Registry {
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    /// In PEM, if it has TLS.
    pub(crate) certificate: Option<String>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Registry {
    /// Without TLS. What `gate` does not answer is answered from the content.
    pub(crate) fn start(content: Content, gate: Box<Gate>) -> Self {
        Self::serve(content, gate, false)
    }

    /// With TLS.
    pub(crate) fn start_tls(content: Content, gate: Box<Gate>) -> Self {
        Self::serve(content, gate, true)
    }

    fn serve(content: Content, gate: Box<Gate>, is_tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let loopback = is_tls.then(tls::loopback);
        let certificate = loopback.as_ref().map(|(_, certificate)| certificate.clone());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = requests.clone();
        let answer = move |request: &Request| {
            noted.lock().unwrap().push(request.clone());
            gate(request)
                .or_else(|| content.0.get(&request.path).cloned())
                .unwrap_or_else(|| error(404, "MANIFEST_UNKNOWN"))
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                match &loopback {
                    None => converse(stream, &answer),
                    Some((config, _)) => {
                        let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                        let mut stream = rustls::StreamOwned::new(connection, stream);
                        converse(&mut stream, &answer);
                        stream.conn.send_close_notify();
                        let _ = stream.flush();
                    }
                }
            }
        });
        Self { host, certificate, requests }
    }

    /// The image that tests ask about.
    pub(crate) fn image(&self) -> String {
        let scheme = if self.certificate.is_some() { "" } else { "http://" };
        format!("{scheme}{}/{REPOSITORY}@{}", self.host, image_digest())
    }

    /// All that was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// One request and its answer. A client that hangs up is not a concern of the server's.
fn converse(stream: impl Read + Write, answer: &dyn Fn(&Request) -> Response) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() {
        // What web servers without TLS say of a greeting in TLS.
        let _ = reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        return;
    }
    if line.is_empty() {
        return;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        let _ = reader.read_line(&mut header);
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { method, path, headers, body: String::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    request.body = String::from_utf8(body).unwrap();
    let Response { status, headers, body, cut } = answer(&request);
    let mut head =
        format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let stream = reader.get_mut();
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    let _ = stream.write_all(&body[..cut.unwrap_or(body.len())]);
    let _ = stream.flush();
}
