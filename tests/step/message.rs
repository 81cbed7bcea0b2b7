//! The termination message: Go's JSON, byte for byte, and the file it goes into.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use go::{json::escape_bytes, text::utf8, zone::LocalZone};
use svidence::{
    step::{
        output::{message::Message, results::RawResult, termination},
        roots::Roots,
        signing::position,
    },
    tekton::{
        result_kind::ResultKind,
        termination::{Encoding, Entry, EntryType, to_json},
    },
    workload::id::parse_uid,
};

use crate::support::skip;

#[test]
fn invalid_bytes_are_replaced_one_by_one() {
    for (bytes, replaced) in [
        (&b"plain"[..], "plain"),
        (b"\xff\xed\xa0\x80\xc0\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        (b"\xe2\x80", "\u{fffd}\u{fffd}"),
        (b"\xf0\x9f\x92x", "\u{fffd}\u{fffd}\u{fffd}x"),
        (b"\xf4\x90\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
    ] {
        assert_eq!(utf8(bytes), (replaced.to_owned(), bytes != b"plain"), "{bytes:?}");
        assert_eq!(escape_bytes(bytes), replaced.replace('\u{fffd}', "\\ufffd"), "{bytes:?}");
    }
    // A genuine U+FFFD is not an invalid byte.
    assert_eq!(utf8("\u{fffd}".as_bytes()), ("\u{fffd}".to_owned(), false));
    assert_eq!(escape_bytes("\u{fffd}".as_bytes()), "\u{fffd}");
}

#[test]
fn entries_are_written_as_go_writes_them() {
    let entries = [
        Entry::new(
            "foo",
            "a<b>&\u{1}\u{8}\u{c}\u{b}\u{1f}\u{7f}\n\t\r\u{2028}\u{2029}\"\\/é",
            EntryType::TaskResult,
        ),
        Entry::artifact(Path::new("/p"), b"\xff<\"", EntryType::TaskArtifacts),
    ];
    assert_eq!(
        to_json(&entries),
        "[{\"key\":\"foo\",\"value\":\"a\\u003cb\\u003e\\u0026\\u0001\\b\\f\\u000b\\u001f\u{7f}\\n\\t\\r\\u2028\\u2029\
         \\\"\\\\/é\",\"type\":1},{\"key\":\"/p\",\"value\":\"\\ufffd\\u003c\\\"\",\"type\":6}]"
    );
    assert_eq!(to_json(&[]), "[]");
}

#[test]
fn evidence_stands_between_the_groups() {
    let result =
        |kind, name: &str| RawResult { kind, name: name.into(), raw: b"v".to_vec(), found: Some(false) };
    let mut message = Message::new(Encoding::Json);
    message.add_results(&[result(ResultKind::Task, "t")]).unwrap();
    message.add_results(&[result(ResultKind::Step, "s")]).unwrap();
    message
        .set_tail(vec![
            Entry::new("StartedAt", "T", EntryType::Internal),
            Entry::new("ExitCode", "3", EntryType::Internal),
            Entry::artifact(Path::new("ExitCode"), b"", EntryType::StepArtifacts),
        ])
        .unwrap();
    let evidence = |key: &str| Entry::new(key, "e", EntryType::TaskResult);
    let keys = |message: &Message| -> Vec<String> {
        let all = message.with_evidence(&[evidence("SVID")], &[evidence("SVIDENCE.a.sig")]).unwrap();
        all.into_iter().map(|entry| entry.key).collect()
    };
    assert_eq!(keys(&message), ["t", "SVID", "s", "SVIDENCE.a.sig", "StartedAt", "ExitCode", "ExitCode"]);
    message.drop_exit_code();
    assert_eq!(keys(&message), ["t", "SVID", "s", "SVIDENCE.a.sig", "StartedAt", "ExitCode"]);
    let large = Entry::new("x", "y".repeat(4096), EntryType::TaskResult);
    assert!(message.with_evidence(&[], &[large]).is_err(), "evidence that does not fit is refused");
    assert!(message.set_tail(vec![Entry::new("x", "y".repeat(4000), EntryType::Internal)]).is_err());
    assert_eq!(message.entries().len(), 2, "a tail that does not fit is left out");
}

#[test]
fn the_message_goes_into_a_regular_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let entries = [Entry::new("StartedAt", "T", EntryType::Internal)];
    fs::write(at("plain"), "[{\"key\":\"forged\"}] and much more than is written now".repeat(9)).unwrap();
    fs::write(at("target"), "untouched").unwrap();
    symlink("target", at("link")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    for (name, written) in [
        ("plain", true),
        ("new", true),
        ("link", false),
        ("directory", false),
        ("fifo", false),
        ("none/new", false),
    ] {
        let done = termination::write(&at(name), &entries, Encoding::Json);
        assert_eq!(done.is_ok(), written, "{name}: {done:?}");
        if written {
            assert_eq!(fs::read_to_string(at(name)).unwrap(), to_json(&entries), "{name}");
        }
    }
    assert_eq!(fs::read_to_string(at("target")).unwrap(), "untouched");
    let large = [Entry::new("a", "b".repeat(4096), EntryType::TaskResult)];
    assert!(termination::write(&at("plain"), &large, Encoding::Json).is_err());
    assert_eq!(fs::read_to_string(at("plain")).unwrap(), to_json(&entries), "refused before it is emptied");
}

#[test]
fn start_times_are_local() {
    let time = UNIX_EPOCH + Duration::from_micros(1_795_288_920_787_999);
    let winter = UNIX_EPOCH + Duration::from_millis(1_700_000_000_005);
    let zone = |name: &str| LocalZone::local(Some(OsStr::new(name)));
    let mut cases = vec![
        ("", time, "2026-11-21T19:22:00.787Z"),
        (":", time, "2026-11-21T19:22:00.787Z"),
        ("UTC", time, "2026-11-21T19:22:00.787Z"),
        ("No/Such", time, "2026-11-21T19:22:00.787Z"),
        ("/no/such/file", time, "2026-11-21T19:22:00.787Z"),
        ("/etc/passwd", time, "2026-11-21T19:22:00.787Z"),
    ];
    if Path::new("/usr/share/zoneinfo/Asia/Kolkata").exists() {
        cases.extend([
            ("America/New_York", time, "2026-11-21T14:22:00.787-05:00"),
            ("Asia/Kolkata", time, "2026-11-22T00:52:00.787+05:30"),
            (":Asia/Kolkata", time, "2026-11-22T00:52:00.787+05:30"),
            ("/usr/share/zoneinfo/Asia/Kolkata", time, "2026-11-22T00:52:00.787+05:30"),
            (":/usr/share/zoneinfo/Asia/Kolkata", time, "2026-11-22T00:52:00.787+05:30"),
            ("Europe/London", winter, "2023-11-14T22:13:20.005Z"),
        ]);
    } else {
        skip::skip("start_times_are_local", "named zones: no /usr/share/zoneinfo here");
    }
    for (tz, time, printed) in cases {
        assert_eq!(zone(tz).started_at(time), printed, "TZ={tz:?}");
    }
}

fn roots(folder: &Path) -> Roots {
    Roots {
        tekton: folder.join("tekton"),
        proc: folder.join("proc"),
        service_account: PathBuf::new(),
        hostname: None,
    }
}

#[test]
fn the_links_tell_which_step_this_is() {
    let folder = tempfile::tempdir().unwrap();
    let roots = roots(folder.path());
    fs::create_dir_all(roots.steps()).unwrap();
    for (link, index) in
        [("step-build", 0), ("0", 0), ("step-unnamed-1", 1), ("1", 1), ("step-2", 2), ("2", 2)]
    {
        symlink(format!("/tekton/run/{index}/status"), roots.steps().join(link)).unwrap();
    }
    for (metadata, found) in [
        ("/tekton/run/0/status", Some(("build", 0))),
        ("/tekton/run/1/status/", Some(("unnamed-1", 1))),
        ("/tekton/run/2/status", Some(("2", 2))),
        ("/tekton/run/3/status", None),
        ("", None),
    ] {
        let position = position::step(&roots, Path::new(metadata));
        assert!(position.iter().all(|position| position.count == 3), "{metadata}");
        let position = position.as_ref().map(|position| (&position.name[..], position.index));
        assert_eq!(position, found, "{metadata}");
    }
}

#[test]
fn the_mounts_tell_the_pod() {
    const ONE: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
    const TWO: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    let line = |root: String, point: &str| format!("1 2 8:1 {root} {point} rw - ext4 /dev/sda rw\n");
    let kubelet = |uid: &str, rest: &str| format!("/var/lib/kubelet/pods/{uid}/{rest}");
    for (name, mounts, found) in [
        ("none", line("/".into(), "/"), None),
        (
            "one",
            line(kubelet(ONE, "etc-hosts"), "/etc/hosts") + &line(kubelet(ONE, "volumes/x"), "/tekton/run/0"),
            Some(ONE),
        ),
        (
            "another pod's too",
            line(kubelet(TWO, "volumes/x"), "/mnt") + &line(kubelet(ONE, "etc-hosts"), "/etc/hosts"),
            Some(ONE),
        ),
        (
            "two, undecided",
            line(kubelet(TWO, "volumes/x"), "/mnt") + &line(kubelet(ONE, "volumes/x"), "/mnt2"),
            None,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let roots = roots(folder.path());
        fs::create_dir_all(roots.proc.join("self")).unwrap();
        fs::write(roots.proc.join("self/mountinfo"), mounts).unwrap();
        assert_eq!(position::pod_uid(&roots), found.map(|uid| parse_uid(uid).unwrap()), "{name}");
    }
}
