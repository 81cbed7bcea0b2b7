//! A server that answers what the test says: for answers that a real one cannot be made to give.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    thread,
};

use super::tls;

/// What is answered to a path and all headers: the whole answer, from its status line on.
pub type Answer = dyn Fn(&str, &str) -> String + Send + Sync;

/// An HTTPS server for 127.0.0.1, until the test ends.
pub struct Scripted {
    pub address: String,
    /// Its certificate in PEM.
    pub certificate: String,
}

impl Scripted {
    pub fn start(answer: Box<Answer>) -> Self {
        let (config, certificate) = tls::loopback();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                let mut reader = BufReader::new(rustls::StreamOwned::new(connection, stream));
                let (mut line, mut headers) = (String::new(), String::new());
                // A client that hangs up is not a concern of the server's.
                let _ = reader.read_line(&mut line);
                while reader.read_line(&mut headers).is_ok_and(|read| read > 2) {}
                let path = line.split(' ').nth(1).unwrap_or_default();
                let _ = reader.get_mut().write_all(answer(path, &headers).as_bytes());
                reader.get_mut().conn.send_close_notify();
                let _ = reader.get_mut().flush();
            }
        });
        Self { address, certificate }
    }
}

/// An answer with this status and body.
pub fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
