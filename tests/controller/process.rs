//! The controller as a process, and what it works with.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    cluster::ApiServer,
    cluster_objects::account,
    support::spire::{EntryOptions, Spire, SpireOptions},
};

/// Long enough for anything that happens at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// No entries.
pub(crate) const NOTHING: &[&str] = &[];
const CONFIG: &str = "/api/v1/namespaces/tekton-pipelines/configmaps";

/// A cluster and a SPIRE of its own.
pub(crate) struct World {
    pub(crate) server: Arc<ApiServer>,
    pub(crate) spire: Spire,
    kubeconfig: String,
}

impl World {
    /// `None`, and the test is skipped, if a program is missing. `data` is the ConfigMap's, besides where SPIRE is.
    pub(crate) fn start(data: &Value) -> Option<Self> {
        Self::start_with(data, SpireOptions::default())
    }

    /// The same with another SPIRE.
    pub(crate) fn start_with(data: &Value, options: SpireOptions) -> Option<Self> {
        let server = Arc::new(ApiServer::with_tekton()?);
        let spire = Spire::start(options)?;
        spire.entry(EntryOptions { is_admin: true, ..EntryOptions::new("/svidence") });
        account(&server, "default");
        server.create("/api/v1/namespaces", &json!({"metadata": {"name": "tekton-pipelines"}}));
        let kubeconfig = server.kubeconfig_of("admin", &["system:masters"]);
        let world = Self { server, spire, kubeconfig };
        let config = json!({"metadata": {"name": "config-spire"}, "data": world.data(data)});
        world.server.create(CONFIG, &config);
        Some(world)
    }

    fn data(&self, more: &Value) -> Value {
        let mut data = json!({"spire-server-addr": self.spire.server_address()});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        data
    }

    /// Changes keys of the ConfigMap; `null` takes one away.
    pub(crate) fn configure(&self, data: &Value) {
        self.server.patch(&format!("{CONFIG}/config-spire"), json!({"data": data}));
    }

    pub(crate) fn controller(&self) -> Controller {
        self.controller_with(&self.kubeconfig, &[])
    }

    /// With this kubeconfig and more arguments.
    pub(crate) fn controller_with(&self, kubeconfig: &str, arguments: &[&str]) -> Controller {
        self.controller_at(&self.spire.socket_uri(), kubeconfig, arguments)
    }

    /// With an agent at another address.
    pub(crate) fn controller_at(&self, agent: &str, kubeconfig: &str, arguments: &[&str]) -> Controller {
        let log = self.server.folder.path().join(format!("controller-{}.log", unique()));
        let child = Command::new(env!("CARGO_BIN_EXE_svidence"))
            .args(["controller", "--workload-api", agent])
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Controller { child, log }
    }

    /// A kubeconfig for an administrator of the cluster.
    pub(crate) fn admin(&self) -> String {
        self.kubeconfig.clone()
    }

    /// A kubeconfig for a service account of Tekton's namespace.
    pub(crate) fn kubeconfig_of_account(&self, name: &str) -> String {
        let path = format!("/api/v1/namespaces/tekton-pipelines/serviceaccounts/{name}/token");
        let made = self.server.create(&path, &json!({"spec": {"expirationSeconds": 3600}}));
        self.server.kubeconfig(name, &self.server.cluster(), &json!({"token": made["status"]["token"]}))
    }

    /// The administrator's kubeconfig by way of another address.
    pub(crate) fn kubeconfig_by(&self, address: &str) -> String {
        let kubeconfig = fs::read_to_string(&self.kubeconfig).unwrap();
        let other = kubeconfig.replace(&self.server.url, &format!("https://{address}"));
        self.server.write("by.kubeconfig", other).display().to_string()
    }

    /// What the IDs of this cluster's entries begin with.
    pub(crate) fn tag(&self) -> String {
        let (_, text) = self.server.get("/api/v1/namespaces/kube-system");
        let system: Value = serde_json::from_str(&text).unwrap();
        let digits: String =
            system["metadata"]["uid"].as_str().unwrap().chars().filter(|c| *c != '-').take(12).collect();
        format!("svidence-{digits}")
    }

    /// The entries for TaskRuns and their nodes, each as one line of what counts, in order.
    pub(crate) fn entries(&self) -> Vec<String> {
        let tag = self.tag();
        let is_ours = |entry: &&Value| {
            entry["id"].as_str().unwrap().starts_with(&format!("{tag}.")) && entry["hint"] == tag.as_str()
        };
        let mut all: Vec<String> = self.spire.entries().iter().filter(is_ours).map(shown).collect();
        all.sort();
        all
    }

    /// Waits until these are the entries of runs, aliases of nodes aside.
    pub(crate) fn wait_for_entries(&self, case: &str, controller: &Controller, expected: &[impl AsRef<str>]) {
        let mut expected: Vec<&str> = expected.iter().map(AsRef::as_ref).collect();
        expected.sort();
        let start = Instant::now();
        loop {
            let entries: Vec<String> =
                self.entries().into_iter().filter(|entry| !entry.contains("k8s_psat")).collect();
            if entries == expected {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{case}: there are\n{entries:#?}\nnot\n{expected:#?}\n{}",
                controller.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the warning about the configuration that says this, which there must be once; gives all of it.
    pub(crate) fn wait_for_warning(&self, says: &str) -> String {
        let start = Instant::now();
        loop {
            let all = self.warnings("tekton-pipelines");
            let told: Vec<&String> = all.iter().filter(|warning| warning.contains(says)).collect();
            if let [told] = told.as_slice() {
                return (*told).clone();
            }
            assert!(start.elapsed() < PATIENCE && told.is_empty(), "not one of {says:?}: {all:#?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The warnings that were noted about objects of a namespace: kind, name, reason and message.
    pub(crate) fn warnings(&self, namespace: &str) -> Vec<String> {
        let (status, text) = self.server.get(&format!("/api/v1/namespaces/{namespace}/events"));
        assert_eq!(status, 200, "{text}");
        let list: Value = serde_json::from_str(&text).unwrap();
        let shown = |event: &Value| {
            let of = &event["involvedObject"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!(
                "{} {} {}: {}",
                text(&of["kind"]),
                text(&of["name"]),
                text(&event["reason"]),
                text(&event["message"])
            )
        };
        list["items"].as_array().unwrap().iter().map(shown).collect()
    }
}

fn unique() -> usize {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

fn shown(entry: &Value) -> String {
    let path = |id: &str| entry[id]["path"].as_str().unwrap().to_owned();
    let mut selectors: Vec<String> = entry["selectors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|selector| {
            format!("{}:{}", selector["type"].as_str().unwrap(), selector["value"].as_str().unwrap())
        })
        .collect();
    selectors.sort();
    let names: Vec<&str> = entry["dns_names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    // Nodes have an alias in each cluster.
    let cluster = format!("/tekton-node/{}/", entry["hint"].as_str().unwrap());
    format!(
        "{} below {} [{}] DNS {} ttl {}",
        path("spiffe_id").replace(&cluster, ""),
        path("parent_id").replace(&cluster, ""),
        selectors.join(" "),
        names.join(","),
        entry["x509_svid_ttl"]
    )
}

/// A controller that runs; dropping it kills it.
pub(crate) struct Controller {
    child: Child,
    log: std::path::PathBuf,
}

impl Controller {
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until its log has a line with all of these.
    pub(crate) fn wait_for(&mut self, parts: &[&str]) -> String {
        let start = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
                return line.to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "it never says {parts:?}:\n{log}");
            assert_eq!(self.child.try_wait().unwrap(), None, "{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[allow(dead_code, reason = "the benchmark uses it")]
    pub(crate) fn log_file(&self) -> &std::path::Path {
        &self.log
    }

    #[allow(dead_code, reason = "the benchmark uses it")]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops its clock, as a machine that sleeps does.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until it ends by itself; gives its exit code and what it said.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        (self.child.wait().unwrap().code(), self.log())
    }

    /// A connection to where it listens.
    pub(crate) fn connect(&mut self) -> TcpStream {
        let said = self.wait_for(&["the controller listens"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        TcpStream::connect(said["address"].as_str().unwrap()).unwrap()
    }

    /// What it answers to the first line of a request: status and text.
    pub(crate) fn ask(&mut self, line: &str) -> (u16, String) {
        let mut stream = self.connect();
        stream.write_all(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        // What it has not read of the request may reset the connection after the answer.
        let _ = stream.read_to_string(&mut answer);
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), text.to_owned())
    }

    /// Ends it as Kubernetes does; gives its exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- controller\n{}", self.log());
        }
    }
}

/// The entry of a step, as [`World::entries`] shows it.
pub(crate) fn of_step(
    (namespace, name): (&str, &str),
    (uid, pod_uid): &(String, String),
    step: &str,
) -> String {
    format!(
        "/ns/{namespace}/taskrun/{name} below node-1 [k8s:container-name:step-{step} k8s:ns:{namespace} \
         k8s:pod-uid:{pod_uid} k8s:sa:default] DNS {step}.{uid}.taskrun.internal ttl 900"
    )
}
