//! A SPIRE server and agent of one's own, in a folder that is gone afterwards.

use std::{
    fs,
    io::Read,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::peers;

/// How long anything of SPIRE's may take before a test gives up on it. It takes some 100 ms.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the server's CA comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// It signs itself; an SVID is the leaf alone.
    None,
    /// The throw-away root of `testdata/upstream` signs it; an SVID is the leaf and the server's CA.
    Disk,
    /// The same with a root that has a P-521 key and signs with SHA-512.
    DiskP521,
}

/// How the server's bundle endpoint proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleEndpoint {
    /// `https_spiffe`.
    Spiffe,
    /// `https_web`, by this certificate and key (PEM).
    Web { certificate: PathBuf, key: PathBuf },
}

/// How to set SPIRE up.
#[derive(Clone, Debug)]
pub struct SpireOptions {
    /// Trust domain.
    pub trust_domain: String,
    /// `rsa-2048`, `rsa-4096`, `ec-p256` or `ec-p384`.
    pub ca_key_type: String,
    /// `rsa-2048`, `ec-p256` or `ec-p384`.
    pub workload_key_type: String,
    /// Where the server's CA comes from.
    pub upstream: Upstream,
    /// How often the agent asks for changes and the server looks for them. Zero would mean SPIRE's 5 s.
    pub sync: Duration,
    /// Whether the agent finds `unix:path` and `unix:sha256` selectors.
    pub discover_workload_path: bool,
    /// Whether the agent sees the processes of those that call it, as with `hostPID`; else it has a PID namespace of its own.
    pub sees_processes: bool,
    /// Whether the agent gives bundles to processes without an entry.
    pub unauthenticated_verifiers: bool,
    /// Lifetime of the server's CA.
    pub ca_ttl: String,
    /// Lifetime of an SVID whose entry does not say.
    pub svid_ttl: String,
    /// Whether, and how, the server publishes its bundle.
    pub bundle_endpoint: Option<BundleEndpoint>,
}

impl Default for SpireOptions {
    fn default() -> Self {
        Self {
            trust_domain: "example.org".into(),
            ca_key_type: "ec-p256".into(),
            workload_key_type: "ec-p256".into(),
            upstream: Upstream::None,
            sync: Duration::from_millis(20),
            discover_workload_path: false,
            sees_processes: true,
            unauthenticated_verifiers: false,
            ca_ttl: "24h".into(),
            svid_ttl: "1h".into(),
            bundle_endpoint: None,
        }
    }
}

/// A registration entry.
#[derive(Clone, Debug, Default)]
pub struct EntryOptions {
    /// The SPIFFE ID, or its path alone.
    pub spiffe_id: String,
    /// `type:value`; none means this process's user.
    pub selectors: Vec<String>,
    /// Lifetime of the SVID in seconds.
    pub ttl: Option<u32>,
    /// DNS names, which stand before the URI in the certificate.
    pub dns: Vec<String>,
    /// The hint that the Workload API passes on.
    pub hint: Option<String>,
    /// The entry's ID: SVIDs arrive sorted by it.
    pub id: Option<String>,
    /// Whether whoever has the SVID may administer the server.
    pub is_admin: bool,
}

impl EntryOptions {
    /// An entry for `spiffe_id` (or its path) and this process's user.
    pub fn new(spiffe_id: impl Into<String>) -> Self {
        Self { spiffe_id: spiffe_id.into(), ..Self::default() }
    }
}

/// A running SPIRE. Dropping it ends both programs and removes their files; if the test is failing, their logs are shown.
pub struct Spire {
    options: SpireOptions,
    server_program: PathBuf,
    agent_program: PathBuf,
    port: u16,
    endpoint_port: u16,
    server: Child,
    agent: Option<Child>,
    // Last: the folder goes after the programs.
    folder: TempDir,
}

impl Spire {
    /// Starts server and agent and waits until both answer. `None` if they are not built, see [`peers::require`].
    pub fn start(options: SpireOptions) -> Option<Self> {
        let server_program = peers::require("spire-server")?;
        let agent_program = peers::require("spire-agent")?;
        // Short, since the path of a socket has 107 bytes at most; searchable, since workloads have other users.
        let folder = tempfile::Builder::new().prefix("sv-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (server, [port, endpoint_port]) = start_server(&server_program, folder.path(), &options);
        let mut spire =
            Self { options, server_program, agent_program, port, endpoint_port, server, agent: None, folder };
        spire.start_agent();
        Some(spire)
    }

    /// Address of the Workload API.
    pub fn socket_uri(&self) -> String {
        format!("unix://{}", self.agent_socket().display())
    }

    /// Address of the bundle endpoint, if there is one.
    pub fn bundle_endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.endpoint_port)
    }

    /// Path of the Workload API's socket.
    pub fn agent_socket(&self) -> PathBuf {
        self.folder.path().join("a.sock")
    }

    /// Creates an entry and gives its ID. The agent knows it one sync later.
    pub fn entry(&self, options: EntryOptions) -> String {
        let parent = self.id("/node");
        let spiffe_id = self.id(&options.spiffe_id);
        let mut args = vec!["entry", "create", "-parentID", &parent, "-spiffeID", &spiffe_id];
        let me = format!("unix:uid:{}", nix::unistd::getuid());
        if options.selectors.is_empty() {
            args.extend(["-selector", &me]);
        }
        args.extend(options.selectors.iter().flat_map(|selector| ["-selector", selector]));
        args.extend(options.dns.iter().flat_map(|name| ["-dns", name]));
        let ttl = options.ttl.map(|ttl| ttl.to_string());
        for (flag, value) in [("-x509SVIDTTL", &ttl), ("-hint", &options.hint), ("-entryID", &options.id)] {
            if let Some(value) = value {
                args.extend([flag, value]);
            }
        }
        if options.is_admin {
            args.push("-admin");
        }
        field(&self.command(&args), "Entry ID")
    }

    /// All entries, as the server's API has them.
    pub fn entries(&self) -> Vec<serde_json::Value> {
        let mut all: serde_json::Value =
            serde_json::from_str(&self.command(&["entry", "show", "-output", "json"])).unwrap();
        all["entries"].as_array_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Where the server's API is, as `host:port`.
    pub fn server_address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Deletes an entry.
    pub fn delete_entry(&self, id: &str) {
        self.command(&["entry", "delete", "-entryID", id]);
    }

    /// The trust bundle as PEM.
    pub fn bundle_pem(&self) -> String {
        self.command(&["bundle", "show", "-format", "pem"])
    }

    /// The trust bundle as a SPIFFE bundle document (JWKS).
    pub fn bundle_spiffe_json(&self) -> String {
        self.command(&["bundle", "show", "-format", "spiffe"])
    }

    /// Makes the server's next CA and gives its authority ID; the bundle holds both roots one sync later.
    pub fn prepare_authority(&self) -> String {
        field(&self.command(&["localauthority", "x509", "prepare"]), "Authority ID")
    }

    /// Has SVIDs issued by the prepared CA from now on.
    pub fn activate_authority(&self, id: &str) {
        self.command(&["localauthority", "x509", "activate", "-authorityID", id]);
    }

    /// Has the agent renew every SVID issued by this CA at once. It must be the old one.
    pub fn taint_authority(&self, id: &str) {
        self.command(&["localauthority", "x509", "taint", "-authorityID", id]);
    }

    /// Takes a tainted CA's root out of the bundle.
    pub fn revoke_authority(&self, id: &str) {
        self.command(&["localauthority", "x509", "revoke", "-authorityID", id]);
    }

    /// What `localauthority x509 show` prints: the active, prepared and old authorities.
    pub fn authorities(&self) -> String {
        self.command(&["localauthority", "x509", "show"])
    }

    /// The authority ID of the CA in use.
    pub fn active_authority(&self) -> String {
        field(&self.authorities(), "Authority ID")
    }

    /// Ends the agent as an operator would: it removes its socket.
    pub fn stop_agent(&mut self) {
        self.end_agent(Signal::SIGTERM);
    }

    /// Ends the agent at once: its socket's file stays.
    pub fn kill_agent(&mut self) {
        self.end_agent(Signal::SIGKILL);
    }

    /// Stops the agent's clock: connecting works, nothing is answered.
    pub fn freeze_agent(&self) {
        signal(self.agent.as_ref().expect("the agent runs"), Signal::SIGSTOP);
    }

    /// Undoes [`Spire::freeze_agent`].
    pub fn thaw_agent(&self) {
        signal(self.agent.as_ref().expect("the agent runs"), Signal::SIGCONT);
    }

    /// Ends the agent if it runs, and starts another one for the same entries.
    pub fn restart_agent(&mut self) {
        if self.agent.is_some() {
            self.stop_agent();
        }
        self.start_agent();
    }

    /// The agent's process.
    pub fn agent_pid(&self) -> u32 {
        self.agent.as_ref().expect("the agent runs").id()
    }

    /// What the server has logged so far.
    pub fn server_log(&self) -> String {
        log(&self.folder.path().join("server.log"))
    }

    /// What the agent has logged so far.
    pub fn agent_log(&self) -> String {
        log(&self.folder.path().join("agent.log"))
    }

    /// Runs `spire-server ARGS` against this server and gives its standard output.
    pub fn command(&self, args: &[&str]) -> String {
        let output = Command::new(&self.server_program)
            .args(args)
            .arg("-socketPath")
            .arg(self.folder.path().join("s.sock"))
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "spire-server {args:?}: {}\n{stdout}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        stdout
    }

    fn id(&self, id_or_path: &str) -> String {
        match id_or_path.strip_prefix('/') {
            Some(path) => format!("spiffe://{}/{path}", self.options.trust_domain),
            None => id_or_path.to_owned(),
        }
    }

    fn start_agent(&mut self) {
        // A join token serves once, so each start has its own. The alias is what entries name as their parent.
        let alias = self.id("/node");
        let token = field(&self.command(&["token", "generate", "-spiffeID", &alias]), "Token");
        let folder = self.folder.path();
        let configuration = folder.join("agent.conf");
        fs::write(&configuration, agent_configuration(folder, self.port, &self.options)).unwrap();
        let mut program = Command::new(&self.agent_program);
        if !self.options.sees_processes {
            program = Command::new("unshare");
            program.args(["--pid", "--fork", "--kill-child"]).arg(&self.agent_program);
        }
        let mut agent = spawn(
            program.arg("run").arg("-config").arg(&configuration).args(["-joinToken", &token]),
            &folder.join("agent.log"),
        );
        let answers = wait_for(&mut agent, &self.agent_socket());
        self.agent = Some(agent);
        assert!(answers, "spire-agent does not answer:\n{}", self.agent_log());
    }

    fn end_agent(&mut self, how: Signal) {
        let mut agent = self.agent.take().expect("the agent runs");
        signal(&agent, how);
        agent.wait().unwrap();
    }
}

impl Drop for Spire {
    fn drop(&mut self) {
        // SIGKILL ends a frozen process too.
        for child in self.agent.iter_mut().chain([&mut self.server]) {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!(
                "--- spire-server\n{}--- spire-agent\n{}",
                last_lines(&self.server_log()),
                last_lines(&self.agent_log())
            );
        }
    }
}

fn start_server(program: &Path, folder: &Path, options: &SpireOptions) -> (Child, [u16; 2]) {
    let configuration = folder.join("server.conf");
    let log_file = folder.join("server.log");
    // SPIRE cannot choose a port itself, and between our choosing and its binding another test may take it.
    for _ in 0..10 {
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.each_ref().map(|listener| listener.local_addr().unwrap().port());
        drop(free);
        fs::write(&configuration, server_configuration(folder, ports, options)).unwrap();
        let mut server =
            spawn(Command::new(program).arg("run").arg("-config").arg(&configuration), &log_file);
        if wait_for(&mut server, &folder.join("s.sock")) {
            return (server, ports);
        }
        let _ = server.kill();
        let _ = server.wait();
        let log = log(&log_file);
        assert!(log.contains("address already in use"), "spire-server does not answer:\n{log}");
    }
    panic!("no free port for spire-server in ten attempts");
}

fn server_configuration(folder: &Path, [port, endpoint]: [u16; 2], options: &SpireOptions) -> String {
    let SpireOptions { trust_domain, ca_key_type, ca_ttl, svid_ttl, .. } = options;
    let profile = options.bundle_endpoint.as_ref().map(|profile| match profile {
        BundleEndpoint::Spiffe => r#"profile "https_spiffe" {}"#.to_owned(),
        BundleEndpoint::Web { certificate, key } => format!(
            r#"profile "https_web" {{
        serving_cert_file {{
          cert_file_path = "{}"
          key_file_path = "{}"
          file_sync_interval = "1h"
        }}
      }}"#,
            certificate.display(),
            key.display()
        ),
    });
    let federation = profile.map(|profile| {
        format!(
            r#"
  federation {{
    bundle_endpoint {{
      address = "127.0.0.1"
      port = {endpoint}
      {profile}
    }}
  }}"#
        )
    });
    let federation = federation.unwrap_or_default();
    let folder = folder.display();
    let reload = options.sync.as_millis();
    let upstream = match options.upstream {
        Upstream::None => String::new(),
        Upstream::Disk | Upstream::DiskP521 => {
            let root = if options.upstream == Upstream::Disk { "root" } else { "p521-root" };
            let upstream = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/upstream");
            let upstream = upstream.display();
            format!(
                r#"
  UpstreamAuthority "disk" {{
    plugin_data {{
      cert_file_path = "{upstream}/{root}.pem"
      key_file_path = "{upstream}/{root}.key"
    }}
  }}"#
            )
        }
    };
    format!(
        r#"server {{
  bind_address = "127.0.0.1"
  bind_port = "{port}"
  socket_path = "{folder}/s.sock"
  trust_domain = "{trust_domain}"
  data_dir = "{folder}/s"
  log_level = "INFO"
  ca_key_type = "{ca_key_type}"
  ca_ttl = "{ca_ttl}"
  default_x509_svid_ttl = "{svid_ttl}"
  agent_ttl = "1h"
  ratelimit {{
    attestation = false
    signing = false
  }}
  experimental {{
    cache_reload_interval = "{reload}ms"
  }}{federation}
}}
plugins {{
  DataStore "sql" {{
    plugin_data {{
      database_type = "sqlite3"
      connection_string = "{folder}/s/ds.sqlite3"
    }}
  }}
  KeyManager "memory" {{
    plugin_data {{}}
  }}
  NodeAttestor "join_token" {{
    plugin_data {{}}
  }}{upstream}
}}
"#
    )
}

fn agent_configuration(folder: &Path, port: u16, options: &SpireOptions) -> String {
    let SpireOptions { trust_domain, workload_key_type, discover_workload_path, .. } = options;
    let unauthenticated_verifiers = options.unauthenticated_verifiers;
    let folder = folder.display();
    let sync = options.sync.as_millis();
    format!(
        r#"agent {{
  server_address = "127.0.0.1"
  server_port = "{port}"
  socket_path = "{folder}/a.sock"
  trust_domain = "{trust_domain}"
  data_dir = "{folder}/a"
  log_level = "INFO"
  insecure_bootstrap = true
  allow_unauthenticated_verifiers = {unauthenticated_verifiers}
  workload_x509_svid_key_type = "{workload_key_type}"
  experimental {{
    sync_interval = "{sync}ms"
  }}
}}
plugins {{
  KeyManager "memory" {{
    plugin_data {{}}
  }}
  NodeAttestor "join_token" {{
    plugin_data {{}}
  }}
  WorkloadAttestor "unix" {{
    plugin_data {{
      discover_workload_path = {discover_workload_path}
    }}
  }}
}}
"#
    )
}

fn spawn(command: &mut Command, log: &Path) -> Child {
    let log = fs::File::options().create(true).append(true).open(log).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// Whether `socket` accepts connections before `child` ends or patience does.
fn wait_for(child: &mut Child, socket: &Path) -> bool {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if UnixStream::connect(socket).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// The value behind the first `NAME:` in what a command printed.
fn field(printed: &str, name: &str) -> String {
    printed
        .lines()
        .find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix(':'))
        .unwrap_or_else(|| panic!("no {name:?} in:\n{printed}"))
        .trim()
        .to_owned()
}

fn log(file: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = fs::File::open(file) {
        let _ = file.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].iter().map(|line| format!("{line}\n")).collect()
}
