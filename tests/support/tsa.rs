//! A real time-stamp authority, `openssl ts`, with its certificates; and an HTTP server in front of it.
//!
//! Not part of `support`: only tests about time use it.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use tempfile::TempDir;

use crate::support::skip;

/// Whether `openssl` is there; if not, the test is skipped ([`skip::lacks`]).
pub fn require_openssl() -> bool {
    if Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    skip::lacks(thread::current().name().unwrap_or("?"), "needs the program openssl; install it");
    false
}

/// What a TSA is made of.
#[derive(Clone)]
pub struct Setup {
    /// Argument of `-newkey`, with options: `rsa:2048`, `ec`.
    pub key: &'static str,
    /// The curve of an `ec` key.
    pub curve: &'static str,
    /// `signer_digest`.
    pub digest: &'static str,
    /// `ess_cert_id_alg`.
    pub ess: &'static str,
    /// Whether an intermediate CA stands between the root and the TSA, and is sent along.
    pub intermediate: bool,
    /// Lines for the configuration's section.
    pub more: &'static str,
}

pub const RSA: Setup = Setup {
    key: "rsa:2048",
    curve: "",
    digest: "sha256",
    ess: "sha256",
    intermediate: false,
    more: "accuracy = secs:1, millisecs:500, microsecs:100\nordering = yes\ntsa_name = yes\n",
};
pub const P256: Setup = Setup { key: "ec", curve: "P-256", more: "", ..RSA };
pub const P384: Setup = Setup { key: "ec", curve: "P-384", digest: "sha384", more: "", ..RSA };

pub struct Tsa {
    folder: TempDir,
}

impl Tsa {
    pub fn new(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tsa = Self { folder };
        let root = ["-x509", "-subj", "/CN=root", "-addext", "keyUsage=critical,keyCertSign"];
        tsa.request("root", setup, &root);
        let mut issuer = "root";
        if setup.intermediate {
            let ca =
                ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
            tsa.request(
                "sub",
                setup,
                &[&["-x509", "-subj", "/CN=sub", "-CA", "root.pem", "-CAkey", "root.key"], &ca[..]].concat(),
            );
            issuer = "sub";
        }
        let (certificate, key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
        let purpose = [
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            "keyUsage=critical,digitalSignature",
            "-addext",
            "extendedKeyUsage=critical,timeStamping",
        ];
        tsa.request(
            "tsa",
            setup,
            &[&["-x509", "-subj", "/CN=tsa", "-CA", &certificate, "-CAkey", &key], &purpose[..]].concat(),
        );
        let chain = if setup.intermediate { "certs = sub.pem\n" } else { "" };
        let (digest, ess, more) = (setup.digest, setup.ess, setup.more);
        let config = format!(
            "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_cert = tsa.pem\nsigner_key = tsa.key\n\
             signer_digest = {digest}\ness_cert_id_alg = {ess}\ndefault_policy = 1.2.3.4.1\ndigests = sha256, sha384\n{chain}{more}"
        );
        fs::write(tsa.path("tsa.cnf"), config).unwrap();
        fs::write(tsa.path("serial"), "01").unwrap();
        tsa
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The text of `root.pem`, `sub.pem` or `tsa.pem`.
    pub fn pem(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl").args(args).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn request(&self, name: &str, setup: &Setup, args: &[&str]) {
        let curve = format!("ec_paramgen_curve:{}", setup.curve);
        let (key, out) = (format!("{name}.key"), format!("{name}.pem"));
        let mut all =
            vec!["req", "-newkey", setup.key, "-nodes", "-days", "30", "-keyout", &key, "-out", &out];
        if setup.key == "ec" {
            all.extend(["-pkeyopt", &curve]);
        }
        // Without the extensions of the system's configuration.
        all.extend(["-config", "empty.cnf"]);
        fs::write(self.path("empty.cnf"), "[req]\ndistinguished_name = none\n[none]\n").unwrap();
        if name == "root" {
            all.extend(["-addext", "basicConstraints=critical,CA:TRUE"]);
        }
        all.extend(args);
        self.openssl(&all);
    }

    /// The answer to a TimeStampReq.
    pub fn reply(&self, query: &[u8]) -> Vec<u8> {
        fs::write(self.path("query"), query).unwrap();
        self.openssl(&["ts", "-reply", "-queryfile", "query", "-config", "tsa.cnf", "-out", "reply"]);
        fs::read(self.path("reply")).unwrap()
    }

    /// The TimeStampResp for these 32 bytes of SHA-256, asked for with these options of `openssl ts -query`.
    pub fn stamp(&self, imprint: &[u8; 32], options: &[&str]) -> Vec<u8> {
        let digest: String = imprint.iter().map(|byte| format!("{byte:02x}")).collect();
        let query = ["ts", "-query", "-digest", &digest, "-sha256", "-out", "query"];
        self.openssl(&[&query[..], options].concat());
        let query = fs::read(self.path("query")).unwrap();
        self.reply(&query)
    }

    /// The TimeStampToken of a TimeStampResp.
    pub fn bare(&self, response: &[u8]) -> Vec<u8> {
        fs::write(self.path("response"), response).unwrap();
        self.openssl(&["ts", "-reply", "-in", "response", "-token_out", "-out", "token"]);
        fs::read(self.path("token")).unwrap()
    }
}

/// Whether `openssl ts -verify` accepts a token or response of this digest at a time, with this root (PEM).
pub fn openssl_verifies(folder: &Path, token: &[u8], digest: &[u8], trusted: &str, at: i64) -> bool {
    let file = write(folder, "token", token);
    let trusted = write(folder, "trusted.pem", trusted);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    // A response begins with a SEQUENCE in a SEQUENCE, a token with an OBJECT IDENTIFIER in one.
    let header = if token.get(1) > Some(&0x80) { 2 + usize::from(token[1] & 0x7f) } else { 2 };
    let bare: &[&str] = if token.get(header) == Some(&6) { &["-token_in"] } else { &[] };
    let at = at.to_string();
    let args = ["ts", "-verify", "-in", &file, "-digest", &digest, "-CAfile", &trusted, "-attime", &at];
    Command::new("openssl").args(args).args(bare).output().unwrap().status.success()
}

/// What the server answers to a request's path and body: status line without the version, and the body.
pub type Answer = dyn Fn(&str, &[u8]) -> (String, Vec<u8>) + Send + Sync;

/// An HTTP server that answers every request on `/<name>` until the test ends.
pub struct Server {
    pub address: String,
    /// The bodies of the requests.
    pub requests: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    pub fn start(answer: Box<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let seen = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up is not a concern of the server's.
                let _ = serve(stream, &answer, &seen);
            }
        });
        Self { address, requests }
    }

    /// The same over TLS.
    pub fn start_tls(config: Arc<rustls::ServerConfig>, answer: Box<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let seen = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                let _ = serve(rustls::StreamOwned::new(connection, stream), &answer, &seen);
            }
        });
        Self { address, requests }
    }
}

fn serve(stream: impl io::Read + io::Write, answer: &Answer, seen: &Mutex<Vec<Vec<u8>>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut kind) = (0, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "content-type" => kind = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    seen.lock().unwrap().push(body.clone());
    let (status, content) = match kind.as_str() {
        "application/timestamp-query" => answer(&path, &body),
        other => ("415 Unsupported Media Type".to_owned(), other.as_bytes().to_vec()),
    };
    let stream = reader.get_mut();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    )?;
    stream.write_all(&content)?;
    stream.flush()
}

/// Writes a file and returns its path as text.
pub fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}
