//! Compressed inputs: read as they come, to their very end, and never held.

#![cfg(feature = "cli")]

mod support;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use support::{
    command::{self, Ran, path},
    packed::{gzip, zstd},
};
use svidence::sources::{error::SourceError, source::Source, walk::for_each};

fn verify(args: &[&str], stdin: impl AsRef<[u8]>) -> Ran {
    command::verify(args, &["-o", "json"], stdin)
}

fn genuine() -> Vec<u8> {
    fs::read(path("taskrun.json")).unwrap()
}

fn verified(ran: &Ran) -> usize {
    ran.out.lines().filter(|line| line.contains("\"verdict\":\"verified\"")).count()
}

type Pack = fn(&[u8]) -> Vec<u8>;
const PACKERS: [(&str, Pack); 2] = [("gzip", |content| gzip(content)), ("zstd", |content| zstd(content))];

/// So many bytes of the frame before go on in it: RFC 8878 3.1.2.
fn skippable(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[0x5a, 0x2a, 0x4d, 0x18], &length[..], content].concat()
}

#[test]
fn what_is_whole_is_read_by_any_name_and_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let (one, line) = (genuine(), [genuine(), b"\n".to_vec()].concat());
    for (name, pack) in PACKERS {
        let two = [pack(&line), pack(&line)].concat();
        let cut = line.len() / 2;
        let mut cases = vec![
            ("one", pack(&one), 1),
            ("two, one behind the other", two, 2),
            ("an object in two pieces", [pack(&line[..cut]), pack(&line[cut..])].concat(), 1),
            ("an empty piece in between", [pack(&line), pack(b""), pack(&line)].concat(), 2),
        ];
        if name == "zstd" {
            cases.push(("something to skip first", [skippable(b"note"), pack(&one)].concat(), 1));
            cases.push(("something to skip last", [pack(&one), skippable(&[0; 100])].concat(), 1));
        }
        for (case, content, count) in cases {
            for file in ["x.json", "x.gz", "x"] {
                let file = folder.path().join(file);
                fs::write(&file, &content).unwrap();
                let ran = verify(&[file.to_str().unwrap()], "");
                assert_eq!((ran.code, verified(&ran)), (0, count), "{name}, {case}, {file:?}: {}", ran.err);
            }
            let ran = verify(&["-"], &content);
            assert_eq!((ran.code, verified(&ran)), (0, count), "{name}, {case}, standard input: {}", ran.err);
        }
    }
}

#[test]
fn what_is_not_whole_is_said_and_what_came_before_is_judged() {
    let line = [genuine(), b"\n".to_vec()].concat();
    for (name, pack) in PACKERS {
        let packed = pack(&line);
        let other_way = PACKERS.iter().find(|(other, _)| *other != name).unwrap().1;
        let mut cases: Vec<(String, Vec<u8>, &str)> = Vec::new();
        for cut in [4, 5, 12, packed.len() / 2, packed.len() - 9, packed.len() - 4, packed.len() - 1] {
            cases.push((format!("cut after {cut} bytes"), packed[..cut].to_vec(), "cut short"));
            cases.push((
                format!("the second of two cut after {cut} bytes"),
                [&packed[..], &packed[..cut]].concat(),
                "cut short",
            ));
        }
        let mut changed = packed.clone();
        let last = changed.len() - if name == "gzip" { 5 } else { 1 };
        changed[last] ^= 1;
        cases.push(("a wrong checksum".into(), changed, "damaged"));
        let mut changed = packed.clone();
        let middle = changed.len() / 2;
        changed[middle..middle + 8].copy_from_slice(&[0xff; 8]);
        cases.push(("damaged in the middle".into(), changed, ""));
        for (what, behind) in [
            ("text", &line[..]),
            ("zeros", &[0; 32]),
            ("something else compressed", &other_way(&line)),
            ("one byte", b"\n"),
        ] {
            cases.push((format!("{what} behind it"), [&packed, behind].concat(), ""));
        }
        for (case, content, says) in cases {
            for args in [&["-"][..], &["-", "--allow-empty"]] {
                let ran = verify(args, &content);
                assert_eq!(ran.code, 3, "{name}, {case}: {}", ran.err);
                assert!(ran.err.contains(says), "{name}, {case}: {}", ran.err);
                if case.starts_with("the second") || case.ends_with("behind it") {
                    assert!(verified(&ran) >= 1, "{name}, {case}: {}", ran.err);
                    assert!(
                        ran.err.contains("it cannot be read any further: the "),
                        "{name}, {case}: {}",
                        ran.err
                    );
                }
            }
        }
        let ran = verify(&["-"], pack(&packed));
        assert_eq!(ran.code, 3, "{name}, twice: {}", ran.err);
        assert!(ran.err.contains("compressed twice"), "{name}, twice: {}", ran.err);
    }
}

fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// A few bytes that are many when they are decompressed.
#[test]
fn what_swells_is_not_held() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 192;
    const MEMORY: u64 = 160 << 20;
    let line = |content: &str| format!("{{\"a\":\"{}\"}}\n", content.repeat(PIECE)).into_bytes();
    for (name, pack) in PACKERS {
        for (case, first, piece, says) in [
            ("an object", pack(b"{\"a\":\""), pack(&[b'a'; PIECE]), "the object is larger than 16 MiB"),
            ("a key", pack(b"{\""), pack(&[b'a'; PIECE]), "the object is larger than 16 MiB"),
            ("an array", pack(b"[1"), pack(&[b' '; PIECE]), "this is an array"),
            ("brackets", pack(b"{\"a\":"), pack(&[b'['; PIECE]), "the object is larger than 16 MiB"),
            ("room", pack(b""), pack(&[b' '; PIECE]), "the object is larger than 16 MiB"),
            ("objects", pack(b""), pack(&line("a")), "no kind and no apiVersion"),
        ] {
            // All of these is read, which takes its time.
            if (case, name) == ("room", "gzip") || (case, name) == ("objects", "zstd") {
                continue;
            }
            let mut content = first;
            (0..PIECES).for_each(|_| content.extend(&piece));
            let mut errors: Vec<SourceError> = Vec::new();
            for_each(Source::files(&[PathBuf::from("-")], &mut &content[..]), &mut |_, object| {
                errors.extend(object.err())
            });
            let told = errors.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert!(told.last().is_some_and(|last| last.contains(says)), "{name}, {case}: {told:?}");
        }
    }
    let peak = peak_memory();
    assert!(peak < MEMORY, "{} MB", peak >> 20);
}

/// What the usual programs write, where they are installed.
#[test]
fn the_usual_programs_write_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for (program, options) in [
        ("gzip", &["-1"][..]),
        ("gzip", &["-9"]),
        ("zstd", &["-1"]),
        ("zstd", &["-19", "--check"]),
        ("zstd", &["--ultra", "-22", "--no-check"]),
    ] {
        let file = folder.path().join("x");
        fs::write(&file, genuine()).unwrap();
        let output = Command::new(program).args(options).arg("-c").arg(&file).stdin(Stdio::null()).output();
        let Ok(output) = output else {
            eprintln!("{program} is not installed: what it writes is not tested");
            continue;
        };
        assert!(output.status.success(), "{program} {options:?}");
        let ran = verify(&["-"], &output.stdout);
        assert_eq!((ran.code, verified(&ran)), (0, 1), "{program} {options:?}: {}", ran.err);
    }
}
