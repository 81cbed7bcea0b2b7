//! Proxies, as kubectl uses them.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{Expected, check, cluster::ApiServer, genuine, verify};

/// A proxy to this machine, whatever the host is called: what it was asked for, and where it is.
fn proxy(refuses: bool) -> (Arc<Mutex<Vec<String>>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|read| read > 0) {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let user = head.lines().find(|line| line.to_ascii_lowercase().starts_with("proxy-authorization"));
            let password = user.and_then(|line| line.split(' ').nth(2)).unwrap_or_default();
            noted.lock().unwrap().push(format!("{target} {password}"));
            if refuses {
                let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            let port = target.rsplit(':').next().unwrap();
            let server = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let (mut client, mut server) = (client, server);
            thread::spawn(move || {
                io::copy(&mut up, &mut server).and_then(|_| server.shutdown(Shutdown::Write))
            });
            thread::spawn(move || {
                io::copy(&mut down, &mut client).and_then(|_| client.shutdown(Shutdown::Write))
            });
        }
    });
    (asked, address)
}

#[test]
fn proxies_are_those_that_kubectl_would_use() {
    let Some(server) = ApiServer::shared() else { return };
    server.restore(&genuine("ship"));
    let admin = server.kubeconfig_of("admin", &["system:masters"]);
    let parsed: Value = serde_json::from_str(&fs::read_to_string(&admin).unwrap()).unwrap();
    let user = &parsed["users"][0]["user"];
    let (asked, open) = proxy(false);
    let (_, closed) = proxy(true);
    let (open, closed) = (format!("http://me:secret@{open}"), format!("http://{closed}"));
    // A name that only the proxy knows.
    let mut cluster = server.cluster();
    cluster["server"] = json!(server.url.replace("127.0.0.1", "kubernetes"));
    let plain = server.kubeconfig("by-name", &cluster, user);
    let with_url = |name: &str, url: &str| {
        let mut cluster = cluster.clone();
        cluster["proxy-url"] = json!(url);
        server.kubeconfig(name, &cluster, user)
    };
    let stated = with_url("with-proxy", &open);
    let socks = with_url("with-socks", "socks5://me:secret@127.0.0.1:1");
    let odd = with_url("with-oddity", "http://me:secret@");
    let local = server.kubeconfig("by-address", &server.cluster(), user);
    type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], bool, &'a str);
    let table: &[Row<'_>] = &[
        ("of the environment", &plain, &[("HTTPS_PROXY", &open)], true, ""),
        ("in small letters", &plain, &[("https_proxy", &open)], true, ""),
        ("both", &plain, &[("HTTPS_PROXY", &open), ("https_proxy", &closed)], true, ""),
        (
            "for other hosts",
            &plain,
            &[("HTTPS_PROXY", &open), ("NO_PROXY", "kubernetes.svc,10.0.0.0/8")],
            true,
            "",
        ),
        (
            "not for this one",
            &plain,
            &[("HTTPS_PROXY", &open), ("NO_PROXY", "kubernetes")],
            false,
            "does not answer",
        ),
        ("for plain HTTP", &plain, &[("HTTP_PROXY", &open), ("ALL_PROXY", &open)], false, "does not answer"),
        ("of the kubeconfig", &stated, &[("HTTPS_PROXY", &closed), ("NO_PROXY", "kubernetes")], true, ""),
        ("of the kubeconfig, this machine", &local, &[("HTTPS_PROXY", &closed)], false, ""),
        ("that refuses", &plain, &[("HTTPS_PROXY", &closed)], false, "see that the proxy lets it through"),
        ("SOCKS", &socks, &[], false, "proxy-url of the way to"),
        ("not an address", &odd, &[], false, "proxy-url of the way to"),
    ];
    for (case, kubeconfig, environment, is_used, says) in table {
        asked.lock().unwrap().clear();
        let ran = verify(environment, &["--kubeconfig", kubeconfig, "taskrun/ship-build"]);
        let (code, verdicts): (_, &[_]) = if says.is_empty() { (0, &[("verified", 1)]) } else { (3, &[]) };
        check(case, &ran, &Expected { code, verdicts, says: &[says] });
        let port = server.url.rsplit(':').next().unwrap();
        let target = format!("kubernetes:{port} {}", STANDARD.encode("me:secret"));
        let expected: Vec<&str> = if *is_used { vec![&target] } else { vec![] };
        assert_eq!(*asked.lock().unwrap(), expected, "{case}");
        assert!(!ran.err.contains("secret"), "{case}: {}", ran.err);
    }
}
