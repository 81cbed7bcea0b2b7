//! A way through a proxy: `CONNECT` (RFC 9110 9.3.6). Whatever is said through it is encrypted between here and the server.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use ureq::{Proxy, ProxyProtocol};

use crate::http::proxies;

/// Bytes of a proxy's answer that are read.
const LARGEST_ANSWER: usize = 8 << 10;

/// A connection to `target`, `host:port`, that the proxy makes.
pub(super) async fn through(proxy: &Proxy, target: &str) -> io::Result<TcpStream> {
    let name = proxies::name(proxy);
    if proxy.protocol() != ProxyProtocol::Http {
        let problem = format!(
            "the proxy {name} is not one of http://, and over gRPC no other is used; use https:// (REST)"
        );
        return Err(io::Error::other(problem));
    }
    let failed = |error: io::Error| {
        let words = crate::io_error::words(&error);
        io::Error::new(error.kind(), format!("the proxy {name} cannot be used: {words}"))
    };
    let mut socket = TcpStream::connect((proxy.host(), proxy.port())).await.map_err(failed)?;
    socket.write_all(request(proxy, target).as_bytes()).await.map_err(failed)?;
    let answer = answer(&mut socket).await.map_err(failed)?;
    let mut words = answer.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some("HTTP/1.1" | "HTTP/1.0"), Some("200")) => Ok(socket),
        (Some("HTTP/1.1" | "HTTP/1.0"), Some("407")) => {
            Err(io::Error::other(proxies::wants_another_user(&name)))
        }
        (Some("HTTP/1.1" | "HTTP/1.0"), Some(status)) if status.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(io::Error::other(format!(
                "the proxy {name} does not connect to {target} ({status}); NO_PROXY may name hosts that need none"
            )))
        }
        _ => Err(io::Error::other(format!("what HTTPS_PROXY names, {name}, does not answer as a proxy"))),
    }
}

fn request(proxy: &Proxy, target: &str) -> String {
    let credential = proxy.username().map(|user| {
        let credential = STANDARD.encode(format!("{user}:{}", proxy.password().unwrap_or_default()));
        format!("Proxy-Authorization: Basic {credential}\r\n")
    });
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{}\r\n", credential.unwrap_or_default())
}

/// What the proxy answers, up to the empty line. What follows is the server's, so nothing of it is read here.
async fn answer(socket: &mut TcpStream) -> io::Result<String> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == LARGEST_ANSWER {
            return Err(io::Error::other("its answer has no end"));
        }
        answer.push(socket.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
