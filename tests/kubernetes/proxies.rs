//! Proxies, as kubectl uses them.

use std::fs;

use serde_json::{Value, json};

use crate::{Expected, check, cluster::ApiServer, genuine, support::proxy::Proxy, verify};

#[test]
fn proxies_are_those_that_kubectl_would_use() {
    let Some(server) = ApiServer::shared() else { return };
    server.restore(&genuine("ship"));
    let admin = server.kubeconfig_of("admin", &["system:masters"]);
    let parsed: Value = serde_json::from_str(&fs::read_to_string(&admin).unwrap()).unwrap();
    let user = &parsed["users"][0]["user"];
    let (proxy, refuses) = (Proxy::open(), Proxy::closed("403 Forbidden"));
    let (open, closed) = (&*proxy.url, &*refuses.url);
    // A name that only the proxy knows.
    let mut cluster = server.cluster();
    cluster["server"] = json!(server.url.replace("127.0.0.1", "kubernetes"));
    let plain = server.kubeconfig("by-name", &cluster, user);
    let with_url = |name: &str, url: &str| {
        let mut cluster = cluster.clone();
        cluster["proxy-url"] = json!(url);
        server.kubeconfig(name, &cluster, user)
    };
    let stated = with_url("with-proxy", open);
    let socks = with_url("with-socks", "socks5://me:secret@127.0.0.1:1");
    let odd = with_url("with-oddity", "http://me:secret@");
    let local = server.kubeconfig("by-address", &server.cluster(), user);
    type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], bool, &'a str);
    let table: &[Row<'_>] = &[
        ("of the environment", &plain, &[("HTTPS_PROXY", open)], true, ""),
        ("in small letters", &plain, &[("https_proxy", open)], true, ""),
        ("both", &plain, &[("HTTPS_PROXY", open), ("https_proxy", closed)], true, ""),
        (
            "for other hosts",
            &plain,
            &[("HTTPS_PROXY", open), ("NO_PROXY", "kubernetes.svc,10.0.0.0/8")],
            true,
            "",
        ),
        (
            "not for this one",
            &plain,
            &[("HTTPS_PROXY", open), ("NO_PROXY", "kubernetes")],
            false,
            "does not answer",
        ),
        ("for plain HTTP", &plain, &[("HTTP_PROXY", open), ("ALL_PROXY", open)], false, "does not answer"),
        ("of the kubeconfig", &stated, &[("HTTPS_PROXY", closed), ("NO_PROXY", "kubernetes")], true, ""),
        ("of the kubeconfig, this machine", &local, &[("HTTPS_PROXY", closed)], false, ""),
        ("that refuses", &plain, &[("HTTPS_PROXY", closed)], false, "does not connect (403)"),
        (
            "that refuses: what to do",
            &plain,
            &[("HTTPS_PROXY", closed)],
            false,
            "see that the proxy lets it through",
        ),
        ("SOCKS", &socks, &[], false, "proxy-url of the way to"),
        ("not an address", &odd, &[], false, "proxy-url of the way to"),
    ];
    for (case, kubeconfig, environment, is_used, says) in table {
        let ran = verify(environment, &["--kubeconfig", kubeconfig, "taskrun/ship-build"]);
        let (code, verdicts): (_, &[_]) = if says.is_empty() { (0, &[("verified", 1)]) } else { (3, &[]) };
        check(case, &ran, &Expected { code, verdicts, says: &[says] });
        let port = server.url.rsplit(':').next().unwrap();
        let expected = if *is_used { vec![format!("kubernetes:{port}")] } else { vec![] };
        assert_eq!(proxy.asked(), expected, "{case}");
        assert!(!ran.err.contains("secret"), "{case}: {}", ran.err);
    }
}
