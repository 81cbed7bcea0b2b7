//! The API server, and the namespace that it and its clients are in.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nix::{
    sched::{CloneFlags, setns, unshare},
    unistd::geteuid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    database::{self, Database, PATIENCE},
    kubernetes::Kubernetes,
};
use crate::support::{peers, skip};

/// The port of the server with TLS, the one without, and the one that asks Kubernetes.
pub const TLS: u16 = 8080;
pub const PLAIN: u16 = 8081;
pub const AUTH: u16 = 8082;

/// A network of one's own.
#[derive(Clone)]
pub struct Network(Arc<File>);

impl Network {
    /// `None` where that is not allowed.
    fn new() -> Option<Self> {
        // Of this thread alone.
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).ok()?;
            let is_up = Command::new("ip")
                .args(["link", "set", "lo", "up"])
                .status()
                .is_ok_and(|status| status.success());
            is_up.then(|| File::open("/proc/thread-self/ns/net").unwrap())
        });
        made.join().unwrap().map(|file| Self(Arc::new(file)))
    }

    /// Runs something in it; what that starts is in it, too.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&*self.0, CloneFlags::CLONE_NEWNET).unwrap();
                what()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// Servers over one database.
pub struct Results {
    pub network: Network,
    pub database: Database,
    pub kubernetes: Option<Kubernetes>,
    servers: Vec<Child>,
    // Last: the folder goes after the programs.
    folder: TempDir,
}

impl Results {
    /// Starts servers with and without TLS; `with_kubernetes`: also one that asks a Kubernetes. `None`, and the test is skipped,
    /// where something is missing.
    pub fn start(with_kubernetes: bool) -> Option<Self> {
        let test = thread::current().name().unwrap_or("?").to_owned();
        // Not `lacks`: nothing that `make` can install is missing.
        let missing = ["initdb", "postgres", "psql"].iter().find(|name| database::program(name).is_none());
        if let Some(missing) = missing {
            skip::skip(&test, &format!("needs {missing}; install PostgreSQL (Debian's package postgresql)"));
            return None;
        }
        if !geteuid().is_root() {
            skip::skip(&test, "needs root, for a network namespace");
            return None;
        }
        let Some(network) = Network::new() else {
            skip::skip(&test, "needs a network namespace and the program ip (iproute2)");
            return None;
        };
        let server = peers::require("results-api")?;
        let folder = tempfile::Builder::new().prefix("sv-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let database = Database::start(folder.path());
        let mut results = Self { network, database, kubernetes: None, servers: Vec::new(), folder };
        let made =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        fs::create_dir(results.path("tls")).unwrap();
        fs::write(results.path("tls/tls.crt"), made.cert.pem()).unwrap();
        fs::write(results.path("tls/tls.key"), made.signing_key.serialize_pem()).unwrap();
        results.serve(&server, TLS, true, None);
        results.serve(&server, PLAIN, false, None);
        if with_kubernetes {
            let kubernetes = Kubernetes::start(&results.network, results.folder.path());
            results.ask(kubernetes.folder(), kubernetes.port());
            results.kubernetes = Some(kubernetes);
        }
        Some(results)
    }

    /// Starts one that asks the Kubernetes on this port of the same network. The folder holds `ca.crt` and `token`, its account's.
    pub fn ask(&mut self, account: &Path, kubernetes_port: u16) {
        let server = peers::folder().join("results-api");
        self.serve(&server, AUTH, true, Some((account, kubernetes_port)));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The certificate of the servers with TLS.
    pub fn ca_file(&self) -> String {
        self.path("tls/tls.crt").to_str().unwrap().to_owned()
    }

    fn serve(&mut self, program: &Path, port: u16, tls: bool, kubernetes: Option<(&Path, u16)>) {
        let own = self.path(&format!("api-{port}"));
        fs::create_dir(&own).unwrap();
        let tls_path = if tls { self.path("tls") } else { PathBuf::from("/nonexistent") };
        let config = format!(
            "DB_USER=results\nDB_PASSWORD=unused\nDB_HOST={}\nDB_PORT=5432\nDB_NAME=results\nDB_SSLMODE=disable\nDB_SSLROOTCERT=\n\
             DB_ENABLE_AUTO_MIGRATION=true\nDB_MAX_OPEN_CONNECTIONS=10\nK8S_QPS=1000\nK8S_BURST=1000\n\
             FEATURE_GATES=PartialResponse=true\nSERVER_PORT={port}\nPROMETHEUS_PORT={}\nTLS_PATH={}\nAUTH_DISABLE={}\n\
             AUTH_IMPERSONATE=true\nLOG_LEVEL=warn\nSQL_LOG_LEVEL=silent\nLOGS_API=false\n",
            self.database.host().display(),
            port + 1000,
            tls_path.display(),
            kubernetes.is_none(),
        );
        fs::write(own.join("config"), config).unwrap();
        let log = File::create(own.join("log")).unwrap();
        let mut command = Command::new(program);
        if let Some((account, kubernetes_port)) = kubernetes {
            let script = "mount -t tmpfs tmpfs /var/run/ && d=/var/run/secrets/kubernetes.io/serviceaccount && mkdir -p $d && \
                          cp \"$1\"/ca.crt \"$1\"/token $d/ && exec \"$2\"";
            command = Command::new("unshare");
            command.args(["-m", "sh", "-c", script, "sh"]).arg(account).arg(program);
            command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1");
            command.env("KUBERNETES_SERVICE_PORT", kubernetes_port.to_string());
        }
        command.current_dir(&own).stdout(log.try_clone().unwrap()).stderr(log);
        let child = self.network.inside(|| command.spawn().unwrap());
        self.servers.push(child);
        let start = Instant::now();
        while !self.network.inside(|| listens(port)) {
            let ended = self.servers.last_mut().unwrap().try_wait().unwrap();
            let log = || fs::read_to_string(own.join("log")).unwrap();
            assert!(start.elapsed() < PATIENCE && ended.is_none(), "results-api does not answer:\n{}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stores an object as a watcher does, under this name: `NAMESPACE/results/RESULT/records/RECORD`.
    pub fn store(&self, name: &str, kind: &str, object: &Value) {
        let parts: Vec<&str> = name.split('/').collect();
        let [namespace, "results", result, "records", _] = parts[..] else { panic!("{name}") };
        let result = format!("{namespace}/results/{result}");
        let value = STANDARD.encode(serde_json::to_vec(object).unwrap());
        let record = json!({"name": name, "data": {"type": kind, "value": value}});
        self.network.inside(|| {
            let (status, answer) = post(&format!("{namespace}/results"), &json!({"name": result}));
            assert!(matches!(status, 200 | 409), "{status}: {answer}");
            let (status, answer) = post(&format!("{result}/records"), &record);
            assert_eq!(status, 200, "{name}: {answer}");
        });
    }

    /// The records of a namespace again and again, each time a day later and in the same order, put into the database directly: by its server it
    /// would take minutes.
    pub fn multiply(&self, parent: &str, times: usize) {
        self.database.sql(&format!(
            "insert into records (parent, result_id, result_name, id, name, type, data, created_time, updated_time, etag) \
             select parent, result_id, result_name, id || '-' || n, name || '-' || n, type, data, \
             created_time + n * interval '1 day', updated_time, etag from records, generate_series(2, {times}) n \
             where parent = '{parent}'; analyze records"
        ));
    }
}

/// Says whether somebody answers there, in whatever way.
fn listens(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = [0; 12];
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").is_ok() && stream.read_exact(&mut answer).is_ok()
}

fn post(path: &str, body: &Value) -> (u16, String) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
    let url = format!("http://127.0.0.1:{PLAIN}/apis/results.tekton.dev/v1alpha2/parents/{path}");
    let mut response =
        agent.post(url).content_type("application/json").send(serde_json::to_vec(body).unwrap()).unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

impl Drop for Results {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        if thread::panicking() {
            for entry in fs::read_dir(self.folder.path()).unwrap().flatten() {
                if let Ok(log) = fs::read_to_string(entry.path().join("log")) {
                    let lines: Vec<&str> = log.lines().rev().take(20).collect();
                    eprintln!("{}:\n{}", entry.path().display(), lines.join("\n"));
                }
            }
        }
    }
}
