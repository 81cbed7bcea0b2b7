//! What the kubelet and Prometheus ask: `/healthz`, `/readyz` and `/metrics`, over plain HTTP/1.1, some connections at a time.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use crate::controller::{leading::Leadership, metrics::Metrics};

/// Threads that answer: as many may hang at the same time before one that asks has to wait.
pub const THREADS: usize = 4;
/// How long a connection may take from its beginning to its end.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a request's first line.
const LONGEST_LINE: usize = 4096;
/// After so long a loop that has not come round hangs: more than it waits when nothing happens, and a call of the SPIRE server takes.
const HANGS_AFTER: Duration = Duration::from_secs(600);

/// Answers one connection after the other until the process ends.
pub fn serve(listener: &TcpListener, metrics: &Metrics, leadership: &Leadership) {
    for stream in listener.incoming().flatten() {
        // One that hangs up is not a concern of ours.
        let _ = answer(&stream, metrics, leadership);
    }
}

fn answer(stream: &TcpStream, metrics: &Metrics, leadership: &Leadership) -> io::Result<()> {
    let begun = Instant::now();
    let line = first_line(stream, begun)?;
    let mut words = line.split(' ');
    let (status, text) = match (words.next(), words.next()) {
        (Some("GET"), Some("/healthz")) if metrics.is_alive(begun, HANGS_AFTER) => {
            ("200 OK", "ok\n".to_owned())
        }
        (Some("GET"), Some("/healthz")) => ("503 Service Unavailable", "the loop hangs\n".to_owned()),
        (Some("GET"), Some("/readyz")) if metrics.is_ready() => ("200 OK", "ok\n".to_owned()),
        (Some("GET"), Some("/readyz")) => (
            "503 Service Unavailable",
            "the cluster, the configuration or the SPIRE server's entries are not known yet\n".to_owned(),
        ),
        (Some("GET"), Some("/metrics")) => ("200 OK", metrics.text(leadership.is_held(begun))),
        (Some("GET"), _) => ("404 Not Found", "there are /healthz, /readyz and /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET\n".to_owned()),
    };
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    write(stream, format!("{head}{text}").as_bytes(), begun)
}

/// What is left of a connection's time.
fn left(begun: Instant) -> io::Result<Duration> {
    let left = PATIENCE.checked_sub(begun.elapsed()).filter(|left| !left.is_zero());
    left.ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// What comes before the first line's end, or all that comes.
fn first_line(mut stream: &TcpStream, begun: Instant) -> io::Result<String> {
    let (mut line, mut bytes) = (Vec::new(), [0; 512]);
    while !line.contains(&b'\n') && line.len() < LONGEST_LINE {
        stream.set_read_timeout(Some(left(begun)?))?;
        match stream.read(&mut bytes)? {
            0 => break,
            count => line.extend_from_slice(bytes.get(..count).unwrap_or_default()),
        }
    }
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn write(mut stream: &TcpStream, mut bytes: &[u8], begun: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(begun)?))?;
        let written = stream.write(bytes)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
