//! The credential flags: each case is run through Tekton's own entrypoint and ours, and every file that either leaves below
//! `/tekton/creds` and in `$HOME` is compared, with all that is logged.

use std::{ffi::OsString, fs, os::unix::fs::symlink};

use svidence::step::{args, roots::Roots};

use crate::support;
use support::{
    credentials::{Case, STEP, case, compare, docker, pod, raw, tree},
    step::{As, OURS, available, tekton, untimed},
};

#[test]
fn git_over_http() {
    compare(
        "git_over_http",
        &[
            case("one", &["-basic-git=git=https://github.com"]),
            case("as a value of its own", &["-basic-git", "git=https://github.com"]),
            case("two hosts", &["-basic-git=git=https://github.com", "-basic-git=git2=https://gitlab.com"]),
            case(
                "paths come last",
                &[
                    "-basic-git=git=https://github.com/org/repo",
                    "-basic-git=git2=https://gitlab.com",
                    "-basic-git=git=https://gitlab.com/",
                    "-basic-git=git2=https://github.com/org/repo2",
                    "-basic-git=git2=https://github.com",
                ],
            ),
            case("same URL twice", &["-basic-git=git=https://a", "-basic-git=git2=https://a"]),
            case(
                "same URL twice, unknown secret",
                &["-basic-git=git=https://a", "-basic-git=none=https://a"],
            ),
            case("URL in another case", &["-basic-git=git=https://a", "-basic-git=git2=HTTPS://A"]),
            case("empty value", &["-basic-git="]),
            case("value missing", &["-basic-git"]).rest(&[]),
            case("no URL", &["-basic-git=git"]),
            case("too many =", &["-basic-git=git=https://a?x=y"]),
            case("empty URL", &["-basic-git=git="]),
            case("empty secret", &["-basic-git==https://a"]),
            case("unknown secret", &["-basic-git=none=https://a"]),
            case("no password", &["-basic-git=half=https://a"]),
            case("secret without files", &["-basic-git=nothing=https://a"]),
            case("secret elsewhere", &["-basic-git=../creds-secrets//./git=https://a"]),
            case("secret's file is a folder", &["-basic-git=odd=https://a"])
                .prepare(|pod| fs::create_dir_all(pod.path("creds-secrets/odd/username")).unwrap()),
            case("secret is a file", &["-basic-git=odd=https://a"])
                .prepare(|pod| pod.write("creds-secrets/odd", "x")),
            case("lines", &["-basic-git=lines=https://a"]),
            case("bytes", &["-basic-git=bytes=https://a"]),
            case("quotes", &["-basic-git=quotes=https://a"]),
            case("signs", &["-basic-git=signs=https://a"]),
            case("html", &["-basic-git=html=https://a"]),
            case("empty user and password", &["-basic-git=empty=https://a"]),
            case("the secret is read before the URL", &["-basic-git=none=https://a:x"]),
            raw("bytes in the value", &[b"-basic-git=git=https://\xff\xc3\xa4/\xfe\xe2\x80"]),
            raw("bytes in what is refused", &[b"-basic-git=\xff"]),
            case("second flag is refused", &["-basic-git=git=https://a", "-basic-git=x"]),
        ],
    );
}

#[test]
fn urls() {
    let urls: &[&[u8]] = &[
        b"http://a:80",
        b"https://a:",
        b"https://a:x",
        b"https://a:1:2",
        b"http://a:b:1",
        b"ssh://a:1:2",
        b"ssh://a:b:1",
        b"https://u@a",
        b"https://u:p@a",
        b"https://u:p:q@a@b/c",
        b"https://u%41:%70@a",
        b"https://u%4:p@a",
        b"https://u:%zz@a",
        b"https://u<@a",
        b"https://u\xc3\xa4@a",
        b"https://[::1]",
        b"https://[::1]:443/x",
        b"https://[::1]:x",
        b"https://[::1]x",
        b"https://[fe80::1%25en0]",
        b"https://[fe80::1%25en%200]",
        b"https://[fe80::1%25en%0a]",
        b"https://[fe80::1%en0]",
        b"https://[fe80::1%25]",
        b"https://[1.2.3.4]",
        b"https://[::ffff:1.2.3.4]",
        b"https://[::1",
        b"https://a[::1]",
        b"https://[x]",
        b"https://[1:2]",
        b"https://[1:2:3:4:5:6:7:8:9]",
        b"https://[::12345]",
        b"https://[1::2::3]",
        b"https://[::1.2.3.400]",
        b"https://]",
        b"https://a b",
        b"https://a%20b",
        b"https://a%25b",
        b"https://a%2",
        b"https://\xc3\xa4%c3%a4",
        b"https://a\"<>'!()*,;",
        b"https://a\\b",
        b"https://a^b",
        b"https://a/b c",
        b"https://a/b%2fc%2Fd",
        b"https://a/b%20c d",
        b"https://a/%",
        b"https://a/%zz",
        b"https://a/*[]!'()",
        b"https://a/\"<>^`{}|\\",
        b"https://a/%41%C3%A4\xc3\xa4\xff",
        b"https://a//",
        b"https://a//b/../c",
        b"https://a?",
        b"https://a??",
        b"https://a/?x&y ?",
        b"https://a/x?%zz",
        b"https://a#",
        b"https://a#f",
        b"https://a/x?y#f%20g h",
        b"https://a#%zz",
        b"https://a:x#f",
        b"https://a#[!*']",
        b"https://a/\t",
        b"https://a\n",
        b"https://a\x7f",
        b"https://a#\x01",
        b"github.com",
        b"github.com/org/repo",
        b"github.com:443",
        b"github.com:443/org",
        b"1.2.3.4:443",
        b"a/b:c",
        b"//github.com/x",
        b"///x",
        b"////x",
        b"/x:y",
        b"https:",
        b"https:/",
        b"https:/x",
        b"https://",
        b"https:///x",
        b"https:x@y/z?q#f",
        b"HTTPS://Git.Example/X",
        b"h+t-t.p2://a",
        b"1http://a",
        b"-x://a",
        b"://a",
        b":",
        b"*",
        b"https://a/*",
        b"a b:c",
        b"?",
        b"#",
        b"x?y",
        b"%41",
        b"%",
        b"@",
        b"https://@a",
        b"https://:@a",
        b"https://a@",
    ];
    let names: Vec<String> = urls.iter().map(|url| url.escape_ascii().to_string()).collect();
    let cases: Vec<Case> = names
        .iter()
        .zip(urls)
        .map(|(name, url)| raw(name.clone().leak(), &[&[b"-basic-git=signs=", *url].concat()]))
        .collect();
    compare("urls", &cases);
}

#[test]
fn git_over_ssh() {
    compare(
        "git_over_ssh",
        &[
            case("one", &["-ssh-git=ssh=github.com"]),
            case("port", &["-ssh-git=ssh=github.com:2222"]),
            case("port 22", &["-ssh-git=ssh=github.com:22"]),
            case("empty port", &["-ssh-git=ssh=github.com:"]),
            case("path", &["-ssh-git=ssh=github.com/org/my-repo"]),
            case("path and port", &["-ssh-git=ssh=github.com:2222/org/repo"]),
            case("path and empty port", &["-ssh-git=ssh=github.com:/org"]),
            case(
                "paths of slashes",
                &["-ssh-git=ssh=a/", "-ssh-git=ssh=a//", "-ssh-git=ssh=a//b//c/", "-ssh-git=ssh=/"],
            ),
            case("URL", &["-ssh-git=ssh=ssh://git@github.com:22/org"]),
            case("IPv6", &["-ssh-git=ssh=[::1]:22"]),
            case("IPv6 and path", &["-ssh-git=ssh=[::1]:2222/org/repo"]),
            case("IPv6 without port", &["-ssh-git=ssh=[::1]"]),
            case("IPv6 without brackets", &["-ssh-git=ssh=::1"]),
            case("too many colons", &["-ssh-git=ssh=a:b:22", "-ssh-git=ssh=[::1]:22:33"]),
            case(
                "odd brackets",
                &["-ssh-git=ssh=[::1", "-ssh-git=ssh=[a]b:1", "-ssh-git=ssh=a]:1", "-ssh-git=ssh=[]:"],
            ),
            case("same host, more keys", &["-ssh-git=ssh=a", "-ssh-git=bare=a", "-ssh-git=ssh2=a"]),
            case("same key twice", &["-ssh-git=ssh=a", "-ssh-git=ssh=a"]),
            case("same key for two hosts", &["-ssh-git=ssh=a", "-ssh-git=ssh=b"]),
            case(
                "hosts come before paths",
                &[
                    "-ssh-git=ssh=a/x",
                    "-ssh-git=ssh2=b",
                    "-ssh-git=bare=c:1/y",
                    "-ssh-git=bare=a",
                    "-ssh-git=ssh2=a/x",
                ],
            ),
            case("known hosts of some", &["-ssh-git=bare=a", "-ssh-git=ssh2=b", "-ssh-git=ssh=c"]),
            case("no known hosts", &["-ssh-git=bare=a"]),
            case("empty files", &["-ssh-git=no-hosts=a"]),
            case("known hosts is a folder", &["-ssh-git=bare=a"])
                .prepare(|pod| fs::create_dir(pod.path("creds-secrets/bare/known_hosts")).unwrap()),
            case("known hosts is a loop", &["-ssh-git=bare=a"])
                .prepare(|pod| symlink("known_hosts", pod.path("creds-secrets/bare/known_hosts")).unwrap()),
            case("no key", &["-ssh-git=nothing=a"]),
            case("unknown secret", &["-ssh-git=none=a"]),
            case("key is a folder", &["-ssh-git=odd=a"])
                .prepare(|pod| fs::create_dir_all(pod.path("creds-secrets/odd/ssh-privatekey")).unwrap()),
            case("empty value", &["-ssh-git="]),
            case("too many =", &["-ssh-git=ssh=a=b"]),
            case("empty host", &["-ssh-git=ssh="]),
            raw("bytes and lines", &[b"-ssh-git=ssh=\xff\n\"x\"/\xfe y"]),
            case("secret elsewhere", &["-ssh-git=../creds-secrets/ssh=a"]),
            case("secret with a slash", &["-ssh-git=ssh/../../creds-secrets/ssh=a"])
                .prepare(|pod| fs::create_dir_all(pod.path("creds/.ssh/id_ssh")).unwrap()),
            case("appends to what -basic-git wrote", &["-ssh-git=ssh=a/x", "-basic-git=git=https://a"]),
            case("appends to what is there", &["-ssh-git=ssh=a/x"])
                .prepare(|pod| pod.write("creds/.gitconfig", "[core]")),
        ],
    );
}

#[test]
fn docker_logins() {
    compare(
        "docker_logins",
        &[
            case("one", &["-basic-docker=git=https://gcr.io"]),
            case("two, sorted", &["-basic-docker=git=b", "-basic-docker=git2=a"]),
            case("same registry twice", &["-basic-docker=git=a", "-basic-docker=git2=a"]),
            case("not a URL", &["-basic-docker=git=https://a:x y"]),
            case("empty registry", &["-basic-docker=git="]),
            case("empty value", &["-basic-docker="]),
            case("too many =", &["-basic-docker=git=a=b"]),
            case("unknown secret", &["-basic-docker=none=a"]),
            case("no password", &["-basic-docker=half=a"]),
            case("empty user and password", &["-basic-docker=empty=a"]),
            case("lines", &["-basic-docker=lines=a"]),
            case("bytes", &["-basic-docker=bytes=a"]),
            case("html", &["-basic-docker=html=<a>&\u{2029}\u{fffd}"]),
            raw("bytes in the registry", &[b"-basic-docker=git=\xff\n\"\\", b"-basic-docker=git=\xc3\xa4"]),
            case("unknown config", &["-docker-config=none"]),
            case("unknown cfg", &["-docker-cfg=none"]),
            case("empty names", &["-docker-cfg=", "-docker-config="]),
            case("config without name", &["-docker-config"]).rest(&[]),
            case(
                "all three, the later one counts",
                &["-basic-docker=git=c", "-docker-config=config", "-docker-config=config2", "-docker-cfg=cfg"],
            )
            .prepare(|pod| {
                docker(pod, "cfg", ".dockercfg", br#"{"a":{"auth":"cfg"},"b":{"auth":"cfg"},"c":{"auth":"cfg"},"d":{"auth":"cfg","email":"e"}}"#);
                docker(pod, "config", ".dockerconfigjson", br#"{"auths":{"b":{"auth":"config"},"c":{"auth":"config"}}}"#);
                docker(pod, "config2", ".dockerconfigjson", br#"{"auths":{"c":{"auth":"config2"},"e":{"username":"u"}}}"#);
            }),
            case("an error ends the Docker part only", &["-docker-config=none", "-basic-docker=git=a", "-basic-git=git=https://a"]),
        ],
    );
}

#[test]
fn docker_configurations() {
    let config: &[(&str, &[u8])] = &[
        ("as kubectl makes it", br#"{"auths":{"https://index.docker.io/v1/":{"username":"u","password":"p","email":"e@x","auth":"dTpw"}}}"#),
        ("credHelpers", br#"{"auths":{"a":{"auth":"x","identitytoken":"t"}},"credHelpers":{"b":"gcloud"},"credsStore":"x"}"#),
        ("only credHelpers", br#"{"credHelpers":{"b":"gcloud"}}"#),
        ("empty auths", br#"{"auths":{}}"#),
        ("no auths", b"{}"),
        ("empty login", br#"{"auths":{"a":{}}}"#),
        ("login null", br#"{"auths":{"a":null}}"#),
        ("members null", br#"{"auths":{"a":{"username":null,"auth":null}}}"#),
        ("null", b"null"),
        ("auths null", br#"{"auths":null}"#),
        ("auths, then null", br#"{"auths":{"a":{}},"auths":null,"auths":{"b":{}}}"#),
        ("auths twice", br#"{"auths":{"a":{"auth":"1"},"b":{"auth":"1"}},"auths":{"b":{"username":"2"}}}"#),
        ("registry twice", br#"{"auths":{"a":{"auth":"1","username":"u"},"a":{"auth":"2"}}}"#),
        ("member twice", br#"{"auths":{"a":{"auth":"1","AUTH":"2","auth":null}}}"#),
        ("names in any case", "{\"AuthS\":{\"a\":{\"USERNAME\":\"u\",\"paſſword\":\"p\",\"Auth\":\"x\",\"eMail\":\"e\"}}}".as_bytes()),
        ("long s", "{\"authſ\":{\"a\":{}}}".as_bytes()),
        ("secret is no member", br#"{"auths":{"a":{"Secret":"s","secret":"s"}}}"#),
        ("spaces", b" \t\r\n{ \"auths\" : { \"a\" : { \"auth\" : \"x\" } } }\n"),
        ("escapes", br#"{"auths":{"\u003ca\u003e":{"username":"\ud83d\ude00\ud83d\n\/\"","auth":"\u0000"}}}"#),
        ("html", b"{\"auths\":{\"<a>&\xe2\x80\xa8\":{\"auth\":\"<&>\"}}}"),
        ("bytes", b"{\"auths\":{\"\xff\":{\"auth\":\"\xe2\x80\"}}}"),
        ("long", br#"{"auths":{"a":{"auth":"x"}},"x":[[[{"y":[1,2.5e-3,true,false,null,"\"]}"]}]]]}"#),
        ("nothing", b""),
        ("space", b" \n"),
        ("not JSON", b"x"),
        ("half", br#"{"auths":{"a":{"#),
        ("half a word", b"{\"auths\":nul"),
        ("comma", br#"{"auths":{"a":{},}}"#),
        ("no comma", br#"{"auths":{} "x":1}"#),
        ("quote", b"{'auths':{}}"),
        ("line in a string", b"{\"auths\":{\"a\n\":{}}}"),
        ("escape", br#"{"auths":{"\x":{}}}"#),
        ("byte", b"{\xff}"),
        ("rest", b"{}{}"),
        ("byte order mark", b"\xef\xbb\xbf{}"),
        ("list", b"[]"),
        ("text", b"\"x\""),
        ("number", b"-1.5"),
        ("bool", b"true"),
        ("auths is text", br#"{"auths":"x"}"#),
        ("auths is a list", br#"{"auths":[]}"#),
        ("login is text", br#"{"auths":{"a":"x"}}"#),
        ("login is a number", br#"{"auths":{"b":{"auth":"x"},"a":5}}"#),
        ("login is a list", br#"{"auths":{"a":[]}}"#),
        ("member is a number", br#"{"auths":{"a":{"username":5}}}"#),
        ("member is a bool", br#"{"auths":{"a":{"PASSWORD":true}}}"#),
        ("member is a list", br#"{"auths":{"a":{"auth":[]}}}"#),
        ("member is an object", br#"{"auths":{"a":{"email":{}}}}"#),
        ("the first error is told", br#"{"auths":{"a":{"auth":1},"b":2},"auths":3}"#),
        ("syntax before types", br#"{"auths":1"#),
    ];
    let file: &[(&str, &[u8])] = &[
        (
            "as kubectl makes it",
            br#"{"https://index.docker.io/v1/":{"username":"u","password":"p","email":"e@x","auth":"dTpw"}}"#,
        ),
        ("a config in the place of a cfg", br#"{"auths":{"a":{"auth":"x"}}}"#),
        ("null", b"null"),
        ("empty", b"{}"),
        ("login null", br#"{"a":null}"#),
        ("nothing", b""),
        ("list", b"[]"),
        ("number", b"1"),
        ("login is text", br#"{"a":"x"}"#),
        ("member is a number", br#"{"a":{"auth":1}}"#),
        ("login after a login is text", br#"{"b":{"auth":"x"},"a":"x"}"#),
        ("registry twice", br#"{"a":{"auth":"1","email":"e"},"a":{"username":"2"}}"#),
    ];
    let Some(tekton) = tekton() else { return };
    if !available("docker_configurations") {
        return;
    }
    let kinds =
        [("-docker-config=json", ".dockerconfigjson", config), ("-docker-cfg=json", ".dockercfg", file)];
    for (flag, name, contents) in kinds {
        for (what, json) in contents {
            let seen = [&tekton[..], OURS].map(|program| {
                let pod = pod();
                docker(&pod, "json", name, json);
                let ran = pod.run(program, &[&[flag][..], STEP].concat(), As::Process);
                let mut seen = format!("status: {}\n", ran.status);
                seen.extend(ran.stderr.lines().map(|line| format!("stderr: {}\n", untimed(line))));
                tree(&pod.path("creds"), "creds", &mut seen);
                seen
            });
            assert_eq!(seen[0], seen[1], "{flag}, {what}: Tekton's on the left");
        }
    }
}

#[test]
fn secrets_are_not_in_the_debug_form() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("creds-secrets/x");
    fs::create_dir_all(&secret).unwrap();
    for file in ["username", "password", "ssh-privatekey", "known_hosts"] {
        fs::write(secret.join(file), "s3cret").unwrap();
    }
    let roots = Roots { tekton: folder.path().into(), ..Roots::real() };
    let flags = ["-basic-git=x=https://a", "-basic-docker=x=a", "-ssh-git=x=a"].map(OsString::from);
    let shown = format!("{:?}", args::parse(flags.into(), &roots).unwrap());
    assert!(shown.contains("https") || shown.contains("104, 116, 116, 112"), "{shown}");
    assert!(!shown.contains("s3cret") && !shown.contains("115, 51, 99"), "{shown}");
    assert!(!shown.contains("czNjcmV0"), "base64 of it: {shown}");
}
