//! Proxies: of each host that is asked, by the environment as kubectl reads it.

use crate::{
    genuine, home,
    registry::{Content, REPOSITORY, Registry, Request, Response, image_digest, response},
    says, shown,
    support::proxy::Proxy,
    verify_with,
};

fn port(server: &Registry) -> &str {
    server.host.rsplit(':').next().unwrap()
}

/// A registry, whom it wants a token from, and where its blobs are: three hosts that only a proxy knows.
struct Three {
    registry: Registry,
    login: Registry,
    storage: Registry,
}

impl Three {
    fn start() -> Self {
        let no_content = Content::default;
        let token = |_: &Request| Some(response(200, &[], r#"{"token": "a-token"}"#));
        let login = Registry::start_tls(no_content(), Box::new(token));
        let storage = Registry::start_tls(no_content(), Box::new(|_| Some(response(200, &[], genuine()))));
        let challenge = format!("Bearer realm=\"https://login.elsewhere.test:{}/token\"", port(&login));
        let to = format!("https://storage.elsewhere.test:{}/blob", port(&storage));
        let gate = move |request: &Request| -> Option<Response> {
            if request.header("authorization") != Some("Bearer a-token") {
                return Some(response(401, &[("WWW-Authenticate", &challenge)], ""));
            }
            request.path.contains("/blobs/").then(|| response(307, &[("Location", &to)], ""))
        };
        let mut content = Content::default();
        content.att(&[&genuine()]);
        Self { registry: Registry::start_tls(content, Box::new(gate)), login, storage }
    }

    fn all(&self) -> [(&'static str, &Registry); 3] {
        [("registry", &self.registry), ("login", &self.login), ("storage", &self.storage)]
    }
}

#[test]
fn each_host_is_asked_by_the_proxy_that_leads_there() {
    let (three, open, closed) = (Three::start(), Proxy::open(), Proxy::closed("403 Forbidden"));
    let wants_another = Proxy::closed("407 Proxy Authentication Required");
    let folder = home();
    let ca = folder.path().join("ca.pem");
    let pem: String = three.all().iter().map(|(_, server)| server.certificate.clone().unwrap()).collect();
    std::fs::write(&ca, pem).unwrap();
    let image = format!("registry.elsewhere.test:{}/{REPOSITORY}@{}", port(&three.registry), image_digest());
    let (open_url, closed_url, another_url) = (&*open.url, &*closed.url, &*wants_another.url);
    let all = ["registry", "login", "storage"];
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str], &'a str);
    let table: &[Row<'_>] = &[
        ("of the environment", &[("HTTPS_PROXY", open_url)], &all, ""),
        ("in small letters", &[("https_proxy", open_url)], &all, ""),
        ("both", &[("HTTPS_PROXY", open_url), ("https_proxy", closed_url)], &all, ""),
        ("before others", &[("HTTPS_PROXY", open_url), ("ALL_PROXY", closed_url)], &all, ""),
        (
            "for other hosts",
            &[("HTTPS_PROXY", open_url), ("NO_PROXY", "elsewhere.testing,10.0.0.0/8")],
            &all,
            "",
        ),
        (
            "not for the storage",
            &[("HTTPS_PROXY", open_url), ("NO_PROXY", "storage.elsewhere.test")],
            &["registry", "login"],
            "cannot be reached: failed to lookup",
        ),
        (
            "not for whoever logs in",
            &[("HTTPS_PROXY", open_url), ("no_proxy", "login.elsewhere.test")],
            &["registry"],
            "cannot be reached: failed to lookup",
        ),
        (
            "for none of them",
            &[("HTTPS_PROXY", open_url), ("NO_PROXY", ".elsewhere.test")],
            &[],
            "cannot be reached: failed to lookup",
        ),
        (
            "for plain HTTP",
            &[("HTTP_PROXY", open_url), ("ALL_PROXY", open_url)],
            &[],
            "cannot be reached: failed to lookup",
        ),
        ("that refuses", &[("HTTPS_PROXY", closed_url)], &[], "does not connect (403)"),
        ("that wants another user", &[("HTTPS_PROXY", another_url)], &[], "another user and password (407)"),
        (
            "that is away",
            &[("HTTPS_PROXY", "http://me:secret@127.0.0.1:1")],
            &[],
            "the proxy 127.0.0.1:1 cannot be used",
        ),
        (
            "that nobody knows",
            &[("HTTPS_PROXY", "me:secret@proxy.elsewhere.test")],
            &[],
            "the proxy proxy.elsewhere.test:80 cannot be used: failed to lookup",
        ),
        (
            "SOCKS",
            &[("HTTPS_PROXY", "socks5://me:secret@127.0.0.1:1")],
            &[],
            "only proxies of http:// and https://",
        ),
        (
            "no address",
            &[("https_proxy", "http://me:secret@")],
            &[],
            "https_proxy, which leads there, cannot be used",
        ),
    ];
    for (case, environment, through, text) in table {
        let ran =
            verify_with(environment, &[&image, "--ca-file", ca.to_str().unwrap(), "--request-timeout", "20"]);
        assert_eq!(ran.code, if text.is_empty() { 0 } else { 3 }, "{}", shown(case, &ran));
        says(case, &ran, &[text]);
        let mut asked = open.asked();
        asked.dedup();
        let is_through = |host: &(&str, &Registry)| through.contains(&host.0);
        let targets = three.all().into_iter().filter(is_through);
        let targets: Vec<String> =
            targets.map(|(name, server)| format!("{name}.elsewhere.test:{}", port(server))).collect();
        asked.sort_unstable();
        asked.dedup();
        let mut expected = targets.clone();
        expected.sort_unstable();
        assert_eq!(asked, expected, "{}", shown(case, &ran));
        assert!(!format!("{}{}", ran.err, ran.out).contains("secret"), "{}", shown(case, &ran));
    }
}

#[test]
fn no_proxy_leads_to_this_machine() {
    let closed = Proxy::closed("403 Forbidden");
    for is_tls in [false, true] {
        let mut content = Content::default();
        content.att(&[&genuine()]);
        let start = if is_tls { Registry::start_tls } else { Registry::start };
        let registry = start(content, Box::new(|_| None));
        let folder = home();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, registry.certificate.clone().unwrap_or_default()).unwrap();
        let image = registry.image();
        let authorities = ["--ca-file", ca.to_str().unwrap()];
        let arguments = [&[&*image][..], if is_tls { &authorities } else { &[] }].concat();
        let environment = [("HTTPS_PROXY", &*closed.url), ("HTTP_PROXY", &*closed.url)];
        let ran = verify_with(&environment, &arguments);
        assert_eq!(ran.code, 0, "{}", shown(&format!("TLS: {is_tls}"), &ran));
        assert_eq!(closed.asked(), Vec::<String>::new(), "TLS: {is_tls}");
    }
}
