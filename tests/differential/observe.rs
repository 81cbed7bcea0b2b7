//! Everything that can be seen of a program's run of a case, in six respects.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use miniz_oxide::inflate::decompress_to_vec;

use super::case::{Case, Stderr};
use crate::support::step::{Mount, Pod, Ran, content, end, untimed};

/// The respects in which two runs may differ.
pub(crate) const RESPECTS: [&str; 6] = ["status", "message", "files", "post", "stderr", "child"];

/// What was seen, by respect.
pub(crate) type Seen = BTreeMap<&'static str, String>;

/// Stands before a cause that stderr lacks.
pub(crate) const NOT_NAMED: &str = "does not name";

/// Where both programs stand, so that they have the same name.
const PROGRAM: &str = "/ko-app/entrypoint";

/// Says what a child sees of its process: nothing is forked before its own state is read. What the C library does with its own
/// signals, 32 and 33, is left out.
const PROBE: &str = r#"#!/bin/sh
p=/proc/$$
while read name value; do
    case $name in
    SigPnd: | ShdPnd: | SigBlk: | SigIgn:) echo "$name ${value%?????????}..${value#?????????}" ;;
    Umask: | Threads: | NSpid: | CapEff: | CapAmb: | NoNewPrivs: | Seccomp:) echo "$name $value" ;;
    esac
done <$p/status | sed 's/^NSpid:.*\t1$/first process/; /^NSpid/d'
read pid name state parent group session terminal rest <$p/stat
[ $group = $pid ] && echo "group of its own"
[ $session = $pid ] && echo "session of its own"
echo "terminal: $terminal"
tail -n +1 $p/cmdline $p/environ $p/limits $p/oom_score_adj $p/timerslack_ns
find $p/cwd $p/root $p/fd -type l -printf '%f: %l\n'
"#;

/// Runs a case through `program` in a new pod.
pub(crate) fn observe(case: &Case, program: &str) -> Seen {
    let own = ["tmp", "ko-app", "tekton/home"];
    let mount = Mount { source: program.into(), target: PROGRAM.into(), read_only: true };
    let pod = Pod::with(&own, &[mount]);
    pod.write("bin/probe", PROBE);
    fs::set_permissions(pod.path("bin/probe"), fs::Permissions::from_mode(0o755)).unwrap();
    for prepare in &case.prepare {
        prepare(&pod);
    }
    let mut seen: Seen = RESPECTS.map(|respect| (respect, String::new())).into();
    for (i, step) in case.steps.iter().enumerate() {
        let by = case.by.iter().map(OsStr::new);
        let words: Vec<&OsStr> = by.chain([OsStr::new(PROGRAM)]).chain(step.args()).collect();
        let mut command = pod.command(Path::new(words[0]), &words[1..], case.run_as);
        command.env_clear().env("LC_ALL", "C").env("HOME", "/tekton/home");
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
            .envs(step.env.iter().map(|(name, value)| (OsStr::from_bytes(name), OsStr::from_bytes(value))));
        let child = command.spawn().unwrap();
        if let Some(act) = case.act.filter(|_| i == 0) {
            act(&pod, &child);
        }
        let hangs = |stderr| Ran { status: "still running after 20 s".into(), stdout: Vec::new(), stderr };
        let ran = end(child).unwrap_or_else(hangs);
        *seen.get_mut("status").unwrap() += &format!("{}\n", ran.status);
        *seen.get_mut("child").unwrap() += &unique(&String::from_utf8_lossy(&ran.stdout));
        *seen.get_mut("stderr").unwrap() += &stderr(case.stderr, &ran);
    }
    let mut lines = Vec::new();
    walk(pod.root(), "tekton", &mut lines);
    walk(pod.root(), "tmp", &mut lines);
    for (path, line) in lines {
        let respect = match &path[..] {
            _ if path.starts_with("tekton/termination") => "message",
            _ if path.ends_with("/exitCode") || path.starts_with("tekton/run/") && path.contains("/out") => {
                "post"
            }
            _ => "files",
        };
        *seen.get_mut(respect).unwrap() += &format!("{path}: {line}\n");
    }
    seen
}

fn stderr(compared: Stderr, ran: &Ran) -> String {
    match compared {
        Stderr::Last => format!("{}\n", ran.last_line()),
        Stderr::All => ran.stderr.lines().map(|line| format!("{}\n", untimed(line))).collect(),
        Stderr::Names(cause) if ran.stderr.contains(cause) => format!("names {cause:?}\n"),
        Stderr::Names(cause) => format!("{NOT_NAMED} {cause:?}: {}", ran.stderr),
    }
}

/// Path and description (mode and content, or target) of everything below `folder`, sorted.
fn walk(root: &Path, folder: &str, lines: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let path = format!("{folder}/{}", name.display());
        let place = root.join(folder).join(&name);
        let found = fs::symlink_metadata(&place).unwrap();
        let mode = found.permissions().mode();
        let shown = unnumbered(&path);
        if found.is_symlink() {
            lines.push((shown, format!("-> {}", fs::read_link(&place).unwrap().display())));
        } else if found.is_file() {
            let content = content(&place);
            let content = match path.starts_with("tekton/termination") {
                true => message(&content),
                false if path == "tekton/bin/probe" => "the probe".into(),
                false => format!("{:?}", unique(&String::from_utf8_lossy(&content))),
            };
            lines.push((shown, format!("{mode:o} {content}")));
        } else {
            lines.push((shown, format!("{mode:o}")));
            if found.is_dir() {
                walk(root, &path, lines);
            }
        }
    }
}

/// The name of a script with its references replaced, without its random part.
fn unnumbered(path: &str) -> String {
    match path.split_once("/script-") {
        Some((folder, number)) if number.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            format!("{folder}/script-*")
        }
        _ => path.to_owned(),
    }
}

/// A termination message, inflated where it is compressed, with the time replaced.
fn message(raw: &[u8]) -> String {
    let Some(compressed) = raw.strip_prefix(b"tknz:") else {
        return format!("{:?}", timeless(&String::from_utf8_lossy(raw)));
    };
    let plain =
        STANDARD_NO_PAD.decode(compressed).ok().and_then(|deflated| decompress_to_vec(&deflated).ok());
    match plain {
        Some(plain) => {
            assert!(raw.len() < plain.len(), "a compressed message that is not shorter");
            format!("compressed {:?}", timeless(&String::from_utf8_lossy(&plain)))
        }
        None => format!("damaged {:?}", String::from_utf8_lossy(raw)),
    }
}

/// The message with `T` in place of the date and time of each `StartedAt`, whose zone is kept.
fn timeless(message: &str) -> String {
    const KEY: &str = "{\"key\":\"StartedAt\",\"value\":\"";
    const FORM: &[u8] = b"0000-00-00T00:00:00.000";
    let alike = |(is, like): (u8, &u8)| if *like == b'0' { is.is_ascii_digit() } else { is == *like };
    let mut parts = message.split(KEY);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let right = part.len() > FORM.len() && part.bytes().zip(FORM).all(alike);
        replaced += KEY;
        replaced += &if right { format!("T{}", &part[FORM.len()..]) } else { part.to_owned() };
    }
    replaced
}

/// What the child said, without its numbers of processes and pipes.
fn unique(said: &str) -> String {
    let mut seen = String::new();
    for line in said.split_inclusive('\n') {
        seen += &match (line.strip_prefix("==> /proc/"), line.split_once("pipe:[")) {
            (Some(path), _) => format!("==> {}", path.trim_start_matches(|c: char| c.is_ascii_digit())),
            (_, Some((before, _))) => format!("{before}pipe\n"),
            _ => line.replace('\0', "\n"),
        };
    }
    seen
}
