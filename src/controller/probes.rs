//! What the kubelet and Prometheus ask: `/healthz`, `/readyz` and `/metrics`, over plain HTTP/1.1, one connection after the other.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use crate::controller::metrics::Metrics;

/// How long one who asks may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a request's first line.
const LONGEST_LINE: u64 = 4096;
/// Seconds after which a loop that has not come round hangs: more than it waits when nothing happens, and a call of the SPIRE server takes.
const HANGS_AFTER: i64 = 600;

/// Answers until the process ends. `now` is in Unix seconds.
pub fn serve(listener: &TcpListener, metrics: &Metrics, now: fn() -> i64) {
    for stream in listener.incoming().flatten() {
        // One that hangs up is not a concern of ours.
        let _ = answer(&stream, metrics, now());
    }
}

fn answer(stream: &TcpStream, metrics: &Metrics, now: i64) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_line(&mut line)?;
    let mut words = line.split(' ');
    let (status, text) = match (words.next(), words.next()) {
        (Some("GET"), Some("/healthz")) if metrics.is_alive(now, HANGS_AFTER) => {
            ("200 OK", "ok\n".to_owned())
        }
        (Some("GET"), Some("/healthz")) => ("503 Service Unavailable", "the loop hangs\n".to_owned()),
        (Some("GET"), Some("/readyz")) if metrics.is_ready() => ("200 OK", "ok\n".to_owned()),
        (Some("GET"), Some("/readyz")) => (
            "503 Service Unavailable",
            "the cluster, the configuration or the SPIRE server's entries are not known yet\n".to_owned(),
        ),
        (Some("GET"), Some("/metrics")) => ("200 OK", metrics.text()),
        (Some("GET"), _) => ("404 Not Found", "there are /healthz, /readyz and /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET\n".to_owned()),
    };
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    (&*stream).write_all(format!("{head}{text}").as_bytes())
}
