//! The two questions that the API server asks Kubernetes: whose token is this, and may they do that.
//!
//! Not a Kubernetes: it knows three tokens, and can be away or hang, which a real one is not made to do at will.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use prost::Message;
use serde_json::{Value, json};

use super::server::Network;
use crate::support::tls;

/// The token of a user who may get and list records in every namespace, and stand in for `auditor`.
pub const READER: &str = "eyJhbGciOiJSUzI1NiJ9.reader-may-read.c2lnbmF0dXJl";
/// The token of one who may do so in `default` alone.
pub const LOCAL: &str = "eyJhbGciOiJSUzI1NiJ9.local-may-read-default.c2lnbmF0dXJl";
/// The token of one who may do nothing.
pub const NOBODY: &str = "eyJhbGciOiJSUzI1NiJ9.nobody-may-nothing.c2lnbmF0dXJl";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Answers,
    Away,
    Hangs,
}

pub struct Kubernetes {
    folder: PathBuf,
    port: u16,
    state: Arc<Mutex<State>>,
    /// Who was asked about: user, verb, resource, group, namespace.
    pub asked: Arc<Mutex<Vec<[String; 5]>>>,
}

/// `k8s.io/apimachinery/pkg/runtime`, `Unknown`, which every object is in.
#[derive(Message)]
struct Unknown {
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

/// `TokenReview` and `SubjectAccessReview`: both have their question in field 2.
#[derive(Message)]
struct Review<S: Message + Default + std::fmt::Debug> {
    #[prost(message, optional, tag = "2")]
    spec: Option<S>,
}

#[derive(Message)]
struct TokenReviewSpec {
    #[prost(string, tag = "1")]
    token: String,
}

#[derive(Message)]
struct AccessReviewSpec {
    #[prost(message, optional, tag = "1")]
    resource: Option<ResourceAttributes>,
    #[prost(string, tag = "3")]
    user: String,
    #[prost(string, repeated, tag = "4")]
    groups: Vec<String>,
}

#[derive(Message)]
struct ResourceAttributes {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    verb: String,
    #[prost(string, tag = "3")]
    group: String,
    #[prost(string, tag = "5")]
    resource: String,
    #[prost(string, tag = "7")]
    name: String,
}

impl Kubernetes {
    pub fn start(network: &Network, folder: &Path) -> Self {
        let folder = folder.join("kubernetes");
        fs::create_dir(&folder).unwrap();
        let (config, certificate) = tls::loopback();
        fs::write(folder.join("ca.crt"), certificate).unwrap();
        fs::write(folder.join("token"), "the-server's-own").unwrap();
        let listener = network.inside(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let port = listener.local_addr().unwrap().port();
        let (state, asked) = (Arc::new(Mutex::new(State::Answers)), Arc::default());
        let kubernetes = Self { folder, port, state: state.clone(), asked: Arc::clone(&asked) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                let (state, asked) = (state.clone(), asked.clone());
                // A server that hangs up is not a concern of this one's.
                thread::spawn(move || serve(rustls::StreamOwned::new(connection, stream), &state, &asked));
            }
        });
        kubernetes
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
    }
}

fn serve(
    stream: impl std::io::Read + Write,
    state: &Mutex<State>,
    asked: &Mutex<Vec<[String; 5]>>,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        while *state.lock().unwrap() == State::Hangs {
            thread::sleep(Duration::from_millis(20));
        }
        if *state.lock().unwrap() == State::Away {
            return None;
        }
        let content = answer(&path, &body, asked)?.to_string();
        let length = content.len();
        let head = format!(
            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        reader.get_mut().write_all((head + &content).as_bytes()).ok()?;
        reader.get_mut().flush().ok()?;
    }
}

fn answer(path: &str, body: &[u8], asked: &Mutex<Vec<[String; 5]>>) -> Option<Value> {
    let raw = Unknown::decode(body.strip_prefix(b"k8s\0")?).ok()?.raw;
    if path.starts_with("/apis/authentication.k8s.io/v1/tokenreviews") {
        let user = match Review::<TokenReviewSpec>::decode(&*raw).ok()?.spec?.token.as_str() {
            READER => Some("reader"),
            LOCAL => Some("local"),
            NOBODY => Some("nobody"),
            _ => None,
        };
        let status = match user {
            Some(user) => {
                json!({"authenticated": true, "user": {"username": user, "groups": ["system:authenticated"]}})
            }
            None => json!({"authenticated": false}),
        };
        return Some(
            json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status}),
        );
    }
    let spec = Review::<AccessReviewSpec>::decode(&*raw).ok()?.spec?;
    let resource = spec.resource.unwrap_or_default();
    let is_read = resource.group == "results.tekton.dev"
        && resource.resource == "records"
        && matches!(resource.verb.as_str(), "get" | "list");
    let allowed = match spec.user.as_str() {
        "reader" if resource.verb == "impersonate" => {
            resource.name == "auditor" || resource.resource != "users"
        }
        "reader" | "auditor" => is_read,
        "local" => is_read && resource.namespace == "default",
        _ => false,
    };
    let question = [spec.user, resource.verb, resource.resource, resource.group, resource.namespace];
    asked.lock().unwrap().push(question);
    let (kind, version) = ("SubjectAccessReview", "authorization.k8s.io/v1");
    Some(json!({"kind": kind, "apiVersion": version, "status": {"allowed": allowed}}))
}
