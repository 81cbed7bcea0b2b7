//! PostgreSQL, and what stands between it and the API server: a socket that can be cut, or hang, at a chosen byte.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

/// The socket's name for the port that everybody uses.
const SOCKET: &str = ".s.PGSQL.5432";
/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A program of PostgreSQL's, where Debian or the path has it.
pub fn program(name: &str) -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    folders.into_iter().map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// What befalls the connection between server and database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Cut after so many bytes from the database, so many times.
    Cut {
        after: u64,
        times: u32,
    },
    /// Nothing comes any more.
    Hang,
}

pub struct Database {
    program: PathBuf,
    folder: PathBuf,
    running: Option<Child>,
    trouble: Arc<Mutex<Trouble>>,
}

impl Database {
    /// Makes and starts one below `folder`, which others must be able to enter.
    pub fn start(folder: &Path) -> Self {
        let (initdb, postgres) = (program("initdb").unwrap(), program("postgres").unwrap());
        let own = folder.join("pg");
        fs::create_dir(&own).unwrap();
        // Whoever PostgreSQL runs as.
        fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
        let data = own.join("data");
        let data = data.to_str().unwrap();
        run(
            as_other(&initdb).args([
                "-D",
                data,
                "-U",
                "results",
                "--auth=trust",
                "-E",
                "UTF8",
                "--no-locale",
                "-N",
            ]),
            b"",
        );
        run(as_other(&postgres).args(["--single", "-D", data, "postgres"]), b"create database results;\n");
        let wire = folder.join("wire");
        fs::create_dir(&wire).unwrap();
        let trouble = Arc::new(Mutex::new(Trouble::None));
        let listener = UnixListener::bind(wire.join(SOCKET)).unwrap();
        let (to, state) = (own.join(SOCKET), trouble.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Nobody listens while the database is stopped: then this one is closed, too.
                if let Ok(database) = UnixStream::connect(&to) {
                    join(client, database, &state);
                }
            }
        });
        let mut database = Self { program: postgres, folder: own, running: None, trouble };
        database.resume();
        database
    }

    /// The folder for `DB_HOST`.
    pub fn host(&self) -> PathBuf {
        self.folder.with_file_name("wire")
    }

    pub fn trouble(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    /// How many times it is still to be cut.
    pub fn cuts_left(&self) -> u32 {
        match *self.trouble.lock().unwrap() {
            Trouble::Cut { times, .. } => times,
            _ => 0,
        }
    }

    /// Runs SQL; gives what it prints, without headers.
    pub fn sql(&self, text: &str) -> String {
        let psql = program("psql").unwrap();
        let host = self.folder.to_str().unwrap();
        let args = ["-h", host, "-U", "results", "-d", "results", "-v", "ON_ERROR_STOP=1", "-qAtX"];
        run(Command::new(psql).args(args), text.as_bytes())
    }

    /// Stops it as an operator would, with its clients.
    pub fn stop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        // The child is setpriv only until it has become PostgreSQL.
        let _ = kill(Pid::from_raw(running.id().try_into().unwrap()), Signal::SIGINT);
        running.wait().unwrap();
    }

    /// Starts it again.
    pub fn resume(&mut self) {
        let (data, host) = (self.folder.join("data"), self.folder.to_str().unwrap().to_owned());
        let log = fs::File::create(self.folder.join("log")).unwrap();
        let mut command = as_other(&self.program);
        command.arg("-D").arg(&data).args(["-k", &host, "-c", "listen_addresses=", "-c", "fsync=off"]);
        self.running = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let start = Instant::now();
        let psql = program("psql").unwrap();
        let args = ["-h", &host, "-U", "results", "-d", "results", "-c", "select 1"];
        while !Command::new(&psql).args(args).output().unwrap().status.success() {
            assert!(start.elapsed() < PATIENCE, "{}", fs::read_to_string(self.folder.join("log")).unwrap());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A command for another user than root, which PostgreSQL refuses.
fn as_other(program: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command.current_dir("/");
    command
}

fn run(command: &mut Command, stdin: &[u8]) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Passes on what two sides say, until one of them ends or trouble comes.
fn join(client: UnixStream, database: UnixStream, trouble: &Arc<Mutex<Trouble>>) {
    let (mut from_client, mut to_database) = (client.try_clone().unwrap(), database.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_database);
        let _ = to_database.shutdown(std::net::Shutdown::Both);
        let _ = from_client.shutdown(std::net::Shutdown::Both);
    });
    let (mut from_database, mut to_client, trouble) = (database, client, trouble.clone());
    thread::spawn(move || {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from_database.read(&mut buffer) {
            if !passes(&trouble, count as u64) || to_client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(std::net::Shutdown::Both);
        let _ = from_database.shutdown(std::net::Shutdown::Both);
    });
}

/// Whether so many bytes of the database's may pass. Waits while it hangs.
fn passes(trouble: &Mutex<Trouble>, bytes: u64) -> bool {
    loop {
        let mut now = trouble.lock().unwrap();
        match &mut *now {
            Trouble::None | Trouble::Cut { times: 0, .. } => return true,
            Trouble::Cut { after, times } => {
                if *after >= bytes {
                    *after -= bytes;
                    return true;
                }
                // From then on nothing passes, as long as there are times left.
                (*after, *times) = (0, *times - 1);
                return false;
            }
            Trouble::Hang => drop(now),
        }
        thread::sleep(Duration::from_millis(20));
    }
}
