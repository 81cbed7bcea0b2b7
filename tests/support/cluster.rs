//! A real kube-apiserver on etcd, with Tekton's TaskRuns and PipelineRuns, on this machine's loopback. No controllers: objects are put
//! into etcd as a backup of it is restored, so that they keep the UIDs and times that their evidence is about.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, Weak},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};
use ureq::{
    Agent,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider},
};

use super::support::peers;

pub struct ApiServer {
    pub folder: tempfile::TempDir,
    pub url: String,
    etcd: String,
    ca: CertifiedIssuer<'static, KeyPair>,
    agent: Agent,
    programs: Vec<Child>,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

impl ApiServer {
    /// One for all tests that run at the same time. `None`, and the test is skipped, if a program is missing.
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<ApiServer>> = Mutex::new(Weak::new());
        // A test that failed while it was starting leaves none.
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let started = Arc::new(Self::with_tekton()?);
        *shared = Arc::downgrade(&started);
        Some(started)
    }

    /// One of its own.
    pub fn with_tekton() -> Option<Self> {
        let started = Self::start()?;
        started.install("tekton-taskrun.yaml", "taskruns");
        started.install("tekton-pipelinerun.yaml", "pipelineruns");
        Some(started)
    }

    /// One that knows nothing of Tekton. `None`, and the test is skipped, if a program is missing.
    pub fn start() -> Option<Self> {
        let etcd = peers::require("etcd")?;
        let api = peers::require("kube-apiserver")?;
        let folder = tempfile::tempdir().unwrap();
        let [client, peer, secure] = free_ports();
        let ca = authority();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: String| fs::write(at(name), text).unwrap();
        let (certificate, key) = issue(&ca, "kube-apiserver", &[], &["kubernetes", "127.0.0.1"]);
        write("ca.crt", ca.pem());
        write("server.crt", certificate);
        write("server.key", key);
        let account = KeyPair::generate().unwrap();
        write("sa.key", account.serialize_pem());
        write("sa.pub", account.public_key_pem());
        let run = |program: &Path, log: &str, flags: &[(&str, String)]| {
            let log = fs::File::create(at(log)).unwrap();
            let mut command = Command::new(program);
            command.args(flags.iter().map(|(name, value)| format!("--{name}={value}")));
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            command.spawn().unwrap()
        };
        let (etcd_url, peer_url) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let file = |name: &str| at(name).display().to_string();
        let store = run(
            &etcd,
            "etcd.log",
            &[
                ("data-dir", file("etcd")),
                ("listen-client-urls", etcd_url.clone()),
                ("advertise-client-urls", etcd_url.clone()),
                ("listen-peer-urls", peer_url.clone()),
                ("initial-advertise-peer-urls", peer_url.clone()),
                ("initial-cluster", format!("default={peer_url}")),
                ("unsafe-no-fsync", "true".into()),
            ],
        );
        let server = run(
            &api,
            "apiserver.log",
            &[
                ("etcd-servers", etcd_url.clone()),
                ("bind-address", "127.0.0.1".into()),
                ("advertise-address", "127.0.0.1".into()),
                ("secure-port", secure.to_string()),
                ("endpoint-reconciler-type", "none".into()),
                ("tls-cert-file", file("server.crt")),
                ("tls-private-key-file", file("server.key")),
                ("client-ca-file", file("ca.crt")),
                ("authorization-mode", "Node,RBAC".into()),
                ("service-cluster-ip-range", "10.96.0.0/16".into()),
                ("service-account-issuer", "https://kubernetes.default.svc".into()),
                ("service-account-key-file", file("sa.pub")),
                ("service-account-signing-key-file", file("sa.key")),
                // Pages of a list come from etcd, as before Kubernetes 1.34 and on any busy cluster.
                ("feature-gates", "ListFromCacheSnapshot=false".into()),
            ],
        );
        let agent = agent(&ca, issue(&ca, "admin", &["system:masters"], &[]));
        let url = format!("https://127.0.0.1:{secure}");
        let started = Self { folder, url, etcd: etcd_url, ca, agent, programs: vec![store, server] };
        started.wait_for("it is ready", || started.get("/readyz").0 == 200);
        started
            .create("/api/v1/namespaces/default/serviceaccounts", &json!({"metadata": {"name": "verifier"}}));
        Some(started)
    }

    fn install(&self, crd: &str, resource: &str) {
        // There is no webhook to convert with.
        let crd = fs::read_to_string(peers::folder().join(crd)).unwrap();
        let crd = crd.split("\n  conversion:\n").next().unwrap();
        self.define(crd, &format!("/apis/tekton.dev/v1/{resource}?limit=1"));
    }

    /// Makes a kind known by its definition, in YAML; `list` asks for objects of it.
    pub fn define(&self, crd: &str, list: &str) {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let request = self.agent.post(format!("{}{path}", self.url)).content_type("application/yaml");
        assert_eq!(request.send(crd).unwrap().status(), 201, "{list}");
        self.wait_for("its kind is known", || self.get(list).0 == 200);
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..2400 {
            if is_so() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.folder.path().join("apiserver.log")).unwrap();
        panic!("not in two minutes: {what}\n{log}");
    }

    /// Status and body, as an administrator; status 0 if there is no answer.
    pub fn get(&self, path: &str) -> (u16, String) {
        let Ok(mut answer) = self.agent.get(format!("{}{path}", self.url)).call() else {
            return (0, String::new());
        };
        (answer.status().as_u16(), answer.body_mut().with_config().limit(64 << 20).read_to_string().unwrap())
    }

    /// Creates an object; gives what became of it.
    pub fn create(&self, path: &str, object: &Value) -> Value {
        let request = self.agent.post(format!("{}{path}", self.url)).content_type("application/json");
        let mut answer = request.send(object.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(answer.status().is_success(), "{}: {text}", answer.status());
        serde_json::from_str(&text).unwrap()
    }

    /// Merges something into an object (RFC 7386).
    pub fn patch(&self, path: &str, patch: impl std::fmt::Display) -> Value {
        let (status, text) = self.try_patch(path, patch);
        assert!((200..300).contains(&status), "{status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The same, if it is allowed: status and body of the answer.
    pub fn try_patch(&self, path: &str, patch: impl std::fmt::Display) -> (u16, String) {
        let request = self.agent.patch(format!("{}{path}", self.url));
        answered(request.content_type("application/merge-patch+json").send(patch.to_string()))
    }

    /// Creates an object, if that is allowed: status and body of the answer.
    pub fn try_create(&self, path: &str, object: &Value) -> (u16, String) {
        let request = self.agent.post(format!("{}{path}", self.url)).content_type("application/json");
        answered(request.send(object.to_string()))
    }

    /// Deletes an object at once.
    pub fn delete(&self, path: &str) {
        let answer =
            self.agent.delete(format!("{}{path}", self.url)).query("gracePeriodSeconds", "0").call().unwrap();
        assert!(answer.status().is_success(), "{}: {path}", answer.status());
    }

    fn ask_etcd(&self, path: &str, question: &Value) -> Value {
        let agent: Agent = Agent::config_builder().proxy(None).build().into();
        let request = agent.post(format!("{}/v3/{path}", self.etcd));
        let text = request.send(question.to_string()).unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Puts TaskRuns, PipelineRuns and pods where they say that they are, as they are. Each has a version of its own, as in every cluster: a
    /// watch that is taken up at a version goes on with the next one.
    pub fn restore<'a>(&self, objects: impl IntoIterator<Item = &'a Value>) {
        let mut last = None;
        for object in objects {
            let key = STANDARD.encode(stored_at(object));
            let put = json!({"key": key, "value": STANDARD.encode(object.to_string())});
            let answer = self.ask_etcd("kv/put", &put);
            assert!(answer["header"]["revision"].is_string(), "{answer}");
            last = Some(object);
        }
        // Its cache is told by and by.
        let Some(last) = last else { return };
        let place = served_at(last);
        self.wait_for("it is there", || self.get(&place).0 == 200);
    }

    /// Forgets all that etcd held before now, as it does every few minutes.
    pub fn compact(&self) {
        let now = self.ask_etcd("kv/put", &json!({"key": STANDARD.encode("/later"), "value": ""}));
        self.ask_etcd("kv/compaction", &json!({"revision": now["header"]["revision"], "physical": true}));
    }

    /// Allows somebody (`User`, `Group`, `ServiceAccount` of default) something, in one namespace or in all.
    pub fn allow(&self, who: (&str, &str), namespace: Option<&str>, rules: &Value) {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = json!({"name": format!("role-{number}")});
        let (kind, base) = match namespace {
            Some(namespace) => {
                ("Role", format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/role"))
            }
            None => ("ClusterRole", "/apis/rbac.authorization.k8s.io/v1/clusterrole".to_owned()),
        };
        self.create(&format!("{base}s"), &json!({"metadata": name, "rules": rules}));
        let mut subject = json!({"kind": who.0, "name": who.1});
        match who.0 {
            "ServiceAccount" => subject["namespace"] = json!("default"),
            _ => subject["apiGroup"] = json!("rbac.authorization.k8s.io"),
        }
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name["name"]});
        self.create(
            &format!("{base}bindings"),
            &json!({"metadata": name, "subjects": [subject], "roleRef": role}),
        );
        let mut review = json!({"spec": {"user": who.1}});
        match who.0 {
            "ServiceAccount" => {
                review["spec"]["user"] = json!(format!("system:serviceaccount:default:{}", who.1))
            }
            "Group" => review["spec"]["groups"] = json!([who.1]),
            _ => {}
        }
        for rule in rules.as_array().unwrap() {
            review["spec"]["resourceAttributes"] = json!({
                "namespace": namespace.unwrap_or_default(), "verb": rule["verbs"][0], "group": rule["apiGroups"][0],
                "resource": rule["resources"][0], "name": rule["resourceNames"][0],
            });
            self.wait_until_allowed(&review);
        }
    }

    /// Waits until what a review asks about is allowed: it learns of rights by and by.
    pub fn wait_until_allowed(&self, review: &Value) {
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        self.wait_for("it is allowed", || self.create(path, review)["status"]["allowed"] == true);
    }

    /// A token of the service account `verifier`.
    pub fn token(&self) -> String {
        self.token_of("verifier")
    }

    /// A token of a service account of namespace default.
    pub fn token_of(&self, account: &str) -> String {
        let made = self.create(
            &format!("/api/v1/namespaces/default/serviceaccounts/{account}/token"),
            &json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}),
        );
        made["status"]["token"].as_str().unwrap().to_owned()
    }

    /// A certificate of a user, and its key.
    pub fn issue(&self, user: &str, groups: &[&str]) -> (String, String) {
        issue(&self.ca, user, groups, &[])
    }

    pub fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// What a kubeconfig says of this cluster.
    pub fn cluster(&self) -> Value {
        json!({"server": self.url, "certificate-authority-data": STANDARD.encode(self.ca.pem())})
    }

    /// Writes a file with this name beside the server's own.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A kubeconfig for this user of this cluster.
    pub fn kubeconfig(&self, name: &str, cluster: &Value, user: &Value) -> String {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "users": [{"name": name, "user": user}],
        });
        self.write(&format!("{name}.kubeconfig"), config.to_string()).display().to_string()
    }

    /// A kubeconfig for somebody with a certificate.
    pub fn kubeconfig_of(&self, user: &str, groups: &[&str]) -> String {
        let (certificate, key) = self.issue(user, groups);
        let user_entry = json!({
            "client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key),
        });
        self.kubeconfig(user, &self.cluster(), &user_entry)
    }
}

/// Kind, as paths say it, namespace and name.
fn names(object: &Value) -> (String, &str, &str) {
    let (metadata, kind) = (&object["metadata"], object["kind"].as_str().unwrap());
    let (namespace, name) = (metadata["namespace"].as_str().unwrap(), metadata["name"].as_str().unwrap());
    (format!("{}s", kind.to_ascii_lowercase()), namespace, name)
}

/// Where etcd has an object.
fn stored_at(object: &Value) -> String {
    let (kind, namespace, name) = names(object);
    let group = if kind == "pods" { "" } else { "tekton.dev/" };
    format!("/registry/{group}{kind}/{namespace}/{name}")
}

/// Where the API server has it.
fn served_at(object: &Value) -> String {
    let (kind, namespace, name) = names(object);
    let version = if kind == "pods" { "/api/v1" } else { "/apis/tekton.dev/v1" };
    format!("{version}/namespaces/{namespace}/{kind}/{name}")
}

/// Status and body of an answer.
fn answered(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, String) {
    let mut answer = answer.unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "cluster");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(
    ca: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    groups: &[&str],
    hosts: &[&str],
) -> (String, String) {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    for group in groups {
        params.distinguished_name.push(DnType::OrganizationName, *group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, ca).unwrap().pem(), key.serialize_pem())
}

fn agent(ca: &CertifiedIssuer<'static, KeyPair>, (certificate, key): (String, String)) -> Agent {
    let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap();
    let key = PrivateKey::from_pem(key.as_bytes()).unwrap();
    let authority = Certificate::from_der(ca.der()).to_owned();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&[authority]))
        .client_cert(Some(ClientCert::new_with_certs(&[certificate], key)));
    let config = Agent::config_builder().tls_config(tls.build()).http_status_as_error(false).proxy(None);
    config.timeout_global(Some(Duration::from_secs(60))).build().into()
}
