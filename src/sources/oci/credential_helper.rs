//! Docker's credential helpers: programs that keep logins (docker-credential-helpers, "Development").

use std::{
    io::{self, Read as _, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::secret::Secret;

/// What a helper prints where it has no login; it fails then, too (`credentials.errCredentialsNotFoundMessage`).
const NOT_FOUND: &str = "credentials not found in native keychain";
/// Bytes of an answer that are read.
const LARGEST_ANSWER: u64 = 1 << 20;

/// How often it is looked whether a helper has ended that has closed its output.
const LOOK: Duration = Duration::from_millis(5);

/// A login as a helper has it.
pub(super) struct Given {
    pub(super) user: String,
    pub(super) secret: Secret,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: Secret,
}

/// What is wrong with a helper. Its output is a login, so nothing of it is repeated.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// A name that is a path.
    #[error("is not the name of a program")]
    Name,
    /// The operating system's answer.
    #[error("cannot be started: {}; install it, or log in again without it", crate::io_error::words(.0))]
    NotStarted(io::Error),
    /// It asks somebody, or hangs.
    #[error("did not answer within {0} s; run it by hand to see why, or wait longer with --request-timeout")]
    Timeout(u64),
    /// It says so.
    #[error(
        "failed; run it by hand to see why (the registry's host goes to its standard input, its argument is get)"
    )]
    Failed,
    /// Not what helpers print.
    #[error("does not print a login as JSON; run it by hand (its argument is get)")]
    NotALogin,
}

/// The program of a helper.
pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Asks for the login at a server. `None`: it has none.
pub(super) fn ask(name: &str, server: &str, patience: Duration) -> Result<Option<Given>, HelperError> {
    // It is looked for in `PATH` and nowhere else.
    if name.contains('/') {
        return Err(HelperError::Name);
    }
    let mut child = Command::new(program(name))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(HelperError::NotStarted)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing may know all the same.
        let _ = writeln!(stdin, "{server}");
    }
    let asked = Instant::now();
    let answer = read(&mut child, patience)?;
    let status = end(&mut child, asked, patience)?;
    if !status.success() {
        let is_missing = String::from_utf8_lossy(&answer).trim() == NOT_FOUND;
        return if is_missing { Ok(None) } else { Err(HelperError::Failed) };
    }
    let Answer { username, secret } = serde_json::from_slice(&answer).map_err(|_| HelperError::NotALogin)?;
    Ok(Some(Given { user: username, secret }))
}

/// What it prints until it closes its output.
fn read(child: &mut Child, patience: Duration) -> Result<Zeroizing<Vec<u8>>, HelperError> {
    let Some(stdout) = child.stdout.take() else { return Err(HelperError::Failed) };
    let (send, received) = sync_channel(1);
    thread::spawn(move || {
        let mut answer = Zeroizing::new(Vec::new());
        let read = stdout.take(LARGEST_ANSWER).read_to_end(&mut answer);
        // Nobody may be waiting any more.
        let _ = send.send(read.map(|_| answer));
    });
    match received.recv_timeout(patience) {
        Ok(read) => read.map_err(|_| HelperError::Failed),
        Err(_) => Err(too_late(child, patience)),
    }
}

/// How it ends, which it need not do when it closes its output.
fn end(child: &mut Child, asked: Instant, patience: Duration) -> Result<ExitStatus, HelperError> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if asked.elapsed() < patience => thread::sleep(LOOK),
            Ok(None) => return Err(too_late(child, patience)),
            Err(_) => return Err(HelperError::Failed),
        }
    }
}

fn too_late(child: &mut Child, patience: Duration) -> HelperError {
    // It may have ended just now.
    let _ = child.kill();
    let _ = child.wait();
    HelperError::Timeout(patience.as_secs())
}
