//! A proxy that is asked to connect (RFC 9110 9.3.6), and leads to this machine whatever the host is called.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A proxy, until the test ends.
pub struct Proxy {
    /// `http://me:secret@127.0.0.1:PORT`.
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// One that connects to everybody.
    pub fn open() -> Self {
        Self::start(None)
    }

    /// One that connects to nobody and answers with this status.
    pub fn closed(status: &'static str) -> Self {
        Self::start(Some(status))
    }

    fn start(refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://me:secret@{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                serve(client, &noted, refusal);
            }
        });
        Self { url, asked }
    }

    /// What it was asked for since the last time, `host:port` each. Whoever asked showed user and password.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn serve(mut client: TcpStream, asked: &Mutex<Vec<String>>, refusal: Option<&str>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read > 0) {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("CONNECT "), "{head}");
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let user = head.lines().find(|line| line.to_ascii_lowercase().starts_with("proxy-authorization"));
    let shown = user.and_then(|line| line.split(' ').nth(2)).unwrap_or_default();
    let who = if shown == STANDARD.encode("me:secret") { "" } else { " by somebody else" };
    asked.lock().unwrap().push(format!("{target}{who}"));
    if let Some(status) = refusal {
        let _ = client.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        return;
    }
    let port = target.rsplit(':').next().unwrap();
    let server = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (mut client, mut server) = (client, server);
    thread::spawn(move || io::copy(&mut up, &mut server).and_then(|_| server.shutdown(Shutdown::Write)));
    thread::spawn(move || io::copy(&mut down, &mut client).and_then(|_| client.shutdown(Shutdown::Write)));
}
