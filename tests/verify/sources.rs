//! What a walk reads and what it names as not read: every kind of file, by its own name and in a folder.

use crate::support;

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::json;
use support::{
    command::{self, Ran, path, svidence},
    packed::{gzip, zstd},
};
use svidence::sources::{
    files::{COMPRESSED_ENDINGS, ENDINGS},
    source::Source,
    walk::{Walked, for_each},
};

fn verify(args: &[&str], stdin: impl AsRef<[u8]>) -> Ran {
    command::verify(args, &["-o", "json"], stdin)
}

fn genuine() -> String {
    fs::read_to_string(path("taskrun.json")).unwrap()
}

fn in_yaml() -> String {
    let object: serde_json::Value = serde_json::from_str(&genuine()).unwrap();
    serde_saphyr::to_string(&object).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// How many TaskRuns the report calls verified.
fn verified(ran: &Ran) -> usize {
    ran.out.lines().filter(|line| line.contains("\"verdict\":\"verified\"")).count()
}

type Make = fn(&Path);

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// What is read in a folder: the exit code is 0, whether it lies there or is given by name.
const READ: &[(&str, &str, Make)] = &[
    ("JSON", "x.json", |path| write(path, genuine())),
    ("JSON lines", "x.jsonl", |path| write(path, genuine())),
    ("JSON lines by another name", "x.ndjson", |path| write(path, genuine())),
    ("YAML", "x.yaml", |path| write(path, in_yaml())),
    ("YAML by a short name", "x.yml", |path| write(path, in_yaml())),
    ("an ending in capitals", "X.JSON", |path| write(path, genuine())),
    ("JSON in YAML's name", "x.yaml", |path| write(path, genuine())),
    ("a hidden file", ".x.json", |path| write(path, genuine())),
    ("gzip", "x.json.gz", |path| write(path, gzip(genuine()))),
    ("gzip of YAML", "x.yml.gz", |path| write(path, gzip(in_yaml()))),
    ("zstd", "x.jsonl.zst", |path| write(path, zstd(genuine()))),
    ("gzip by another name", "x.json", |path| write(path, gzip(genuine()))),
    ("a name of gzip for what is not", "x.json.gz", |path| write(path, genuine())),
    ("a byte order mark before JSON", "x.json", |path| write(path, format!("\u{feff}{}", genuine()))),
    ("a byte order mark before YAML", "x.yaml", |path| write(path, format!("\u{feff}{}", in_yaml()))),
    ("a link that leaves the folder", "x.json", |path| {
        symlink(support::command::path("taskrun.json"), path).unwrap();
    }),
    ("a folder in it", "sub/deeper/x.json", |path| write(path, genuine())),
];

#[test]
fn what_holds_taskruns_is_read_in_folders_and_by_name() {
    for (case, name, make) in READ {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        make(&file);
        for source in [text(folder.path()), text(&file)] {
            let ran = verify(&[source], "");
            assert_eq!((ran.code, verified(&ran)), (0, 1), "{case}, {source}: {}", ran.err);
        }
    }
}

/// What is named as not read, in a folder: (what, name, how it is made, what is said, exit code with `--only '*.json'`).
const NOT_READ: &[(&str, &str, Make, &str, i32)] = &[
    ("another ending", "notes.txt", |path| write(path, "note"), "its name does not end in .json", 0),
    ("no ending", "notes", |path| write(path, genuine()), "--only PATTERN", 0),
    ("an ending alone", "json", |path| write(path, genuine()), "its name does not end in", 0),
    (
        "compressed, with no other ending",
        "x.gz",
        |path| write(path, gzip(genuine())),
        "its name does not end",
        0,
    ),
    ("a hidden file of an editor", ".x.json.swp", |path| write(path, "b0VIM"), "its name does not end in", 0),
    ("bzip2", "x.json.bz2", |path| write(path, "BZh9"), "it is packed (bzip2)", 0),
    ("zip", "x.zip", |path| write(path, "PK\u{3}\u{4}"), "it is packed (zip)", 0),
    ("tar", "x.tar", |path| write(path, "x"), "it is packed (tar)", 0),
    ("tar and gzip", "x.tar.gz", |path| write(path, gzip("x")), "it is packed (tar)", 0),
    ("xz", "x.json.xz", |path| write(path, "\u{fd}7zXZ"), "it is packed (xz)", 0),
    (
        "bzip2 in a name of JSON",
        "x.json",
        |path| write(path, "BZh91AY&SY"),
        "packed (bzip2), which is not read",
        3,
    ),
    ("binary in a name of JSON", "x.json", |path| write(path, "\u{1}\0\0"), "zero bytes", 3),
    ("an empty file", "x.json", |path| write(path, ""), "there is no object in it", 3),
    (
        "a link to a folder",
        "more",
        |path| symlink("/var", path).unwrap(),
        "links to folders are not followed",
        0,
    ),
    (
        "a link to a folder in a name of JSON",
        "x.json",
        |path| symlink("/var", path).unwrap(),
        "not followed",
        3,
    ),
    ("a link round in a circle", "round", |path| symlink(".", path).unwrap(), "links to folders", 0),
    ("a dead link", "gone", |path| symlink("nowhere", path).unwrap(), "a link that leads nowhere", 0),
    ("a dead link in a name of JSON", "x.json", |path| symlink("nowhere", path).unwrap(), "leads nowhere", 3),
    ("a link to itself", "x.json", |path| symlink("x.json", path).unwrap(), "leads nowhere", 3),
    (
        "a FIFO",
        "fifo",
        |path| mkfifo(path, Mode::S_IRWXU).unwrap(),
        "it is a FIFO; give it by its own name",
        0,
    ),
    ("a FIFO in a name of JSON", "x.json", |path| mkfifo(path, Mode::S_IRWXU).unwrap(), "it is a FIFO", 3),
    ("a socket", "x.json", |path| drop(UnixListener::bind(path).unwrap()), "it is a socket", 3),
    ("a link to a device", "x.json", |path| symlink("/dev/zero", path).unwrap(), "it is a device", 3),
    // Its first byte is mapped in no program.
    (
        "a file that cannot be read",
        "x.json",
        |path| symlink("/proc/self/mem", path).unwrap(),
        "cannot be read",
        3,
    ),
];

#[test]
fn what_is_passed_over_in_a_folder_is_named_and_makes_the_walk_unchecked() {
    for (case, name, make, says, with_only) in NOT_READ {
        let folder = tempfile::tempdir().unwrap();
        let (dir, file) = (text(folder.path()), folder.path().join(name));
        make(&file);
        let alone = verify(&[dir], "");
        for (how, ran) in [("alone", alone), ("--allow-empty", verify(&[dir, "--allow-empty"], ""))] {
            assert_eq!((ran.code, verified(&ran)), (3, 0), "{case}, {how}: {}", ran.err);
            assert!(ran.err.contains(text(&file)) && ran.err.contains(says), "{case}, {how}: {}", ran.err);
            assert!(ran.out.contains(says), "{case}, {how}, in the report: {}", ran.out);
        }
        write(&folder.path().join("genuine.json"), genuine());
        let beside = verify(&[dir], "");
        assert_eq!((beside.code, verified(&beside)), (3, 1), "{case}, beside a TaskRun: {}", beside.err);
        let only = verify(&[dir, "--only", "*.json"], "");
        assert_eq!((only.code, verified(&only)), (*with_only, 1), "{case}, --only: {}", only.err);
        assert_eq!(only.err.contains(says), *with_only == 3, "{case}, --only: {}", only.err);
    }
}

#[test]
fn hidden_folders_are_not_looked_into_unless_they_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let dir = text(folder.path());
    write(&folder.path().join("x.json"), genuine());
    write(&folder.path().join(".git/x.json"), "not JSON");
    write(&folder.path().join(".git/config"), "");
    symlink(".git", folder.path().join(".link")).unwrap();
    for args in [vec![dir], vec![dir, "--only", "*.json"], vec![dir, "--only", "*"]] {
        let ran = verify(&args, "");
        assert_eq!((ran.code, verified(&ran)), (0, 1), "{args:?}: {}", ran.err);
    }
    let hidden = folder.path().join(".hidden");
    write(&hidden.join("x.json"), genuine());
    let ran = verify(&[text(&hidden)], "");
    assert_eq!((ran.code, verified(&ran)), (0, 1), "given by name: {}", ran.err);
}

#[test]
fn only_says_which_names_are_meant() {
    let folder = tempfile::tempdir().unwrap();
    let dir = text(folder.path());
    for name in ["a.json", "b.txt", "sub/c.json", "sub/d.txt"] {
        write(&folder.path().join(name), genuine());
    }
    // Equal files are not the same file.
    for (args, code, count) in [
        (vec![dir], 3, 2),
        (vec![dir, "--only", "*.json"], 0, 2),
        (vec![dir, "--only", "*.txt"], 0, 2),
        (vec![dir, "--only", "*.txt", "--only", "*.json"], 0, 4),
        (vec![dir, "--only", "a.*"], 0, 1),
        (vec![dir, "--only", "[ab].*"], 0, 2),
        (vec![dir, "--only", "*"], 0, 4),
        (vec![dir, "--only", "*.JSON"], 3, 0),
        (vec![dir, "--only", "*.JSON", "--allow-empty"], 0, 0),
    ] {
        let ran = verify(&args, "");
        assert_eq!((ran.code, verified(&ran)), (code, count), "{args:?}: {}", ran.err);
    }
    let named = folder.path().join("b.txt");
    let ran = verify(&[text(&named), "--only", "*.json"], "");
    assert_eq!((ran.code, verified(&ran)), (0, 1), "a file by its own name is meant: {}", ran.err);
    let nothing = verify(&[dir, "--only", "*.JSON"], "");
    assert!(nothing.err.contains("no file has a name that fits --only"), "{}", nothing.err);
    for (pattern, says) in [
        ("", "fits no name"),
        ("sub/*.json", "have no slash"),
        ("*.{json,yaml}", "--only once for each"),
        ("[a", "not a pattern such as"),
    ] {
        let ran = verify(&[dir, "--only", pattern], "");
        assert_eq!(ran.code, 64, "{pattern}: {}", ran.err);
        assert!(ran.err.contains(says), "{pattern}: {}", ran.err);
    }
}

#[test]
fn many_files_that_are_not_read_are_counted() {
    for (count, named, more) in [(10, 10, None), (11, 10, Some("1 more")), (25, 10, Some("15 more"))] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("archive");
        for number in 0..count {
            write(&dir.join(format!("{number:02}.txt")), "");
        }
        let ran = verify(&[text(&dir), "--allow-empty"], "");
        assert_eq!(ran.code, 3, "{count}: {}", ran.err);
        assert_eq!(ran.err.matches(".txt: not read: ").count(), named, "{count}: {}", ran.err);
        assert!(ran.err.contains(&format!("; {count} files not read")), "{count}, the tally: {}", ran.err);
        match more {
            None => assert!(!ran.err.contains("more files"), "{count}: {}", ran.err),
            Some(more) => {
                assert!(ran.err.contains(&format!("archive: {more} files are not read: ")), "{}", ran.err)
            }
        }
    }
}

#[test]
fn the_walk_counts_files() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.json"), format!("{}\n{}", genuine(), genuine()));
    write(&folder.path().join("b.json"), "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}");
    write(&folder.path().join("c.json"), "{\"cut\":");
    write(&folder.path().join("d.json"), "BZh9");
    write(&folder.path().join("cut.json.gz"), &gzip(genuine())[..500]);
    for number in 0..20 {
        write(&folder.path().join(format!("{number}.txt")), "");
    }
    let sources = [folder.path().to_owned(), PathBuf::from("/nowhere"), PathBuf::from("-")];
    let walked = for_each(Source::files(&sources, &mut genuine().as_bytes()), &mut |_, _| {});
    assert_eq!(walked, Walked { objects: 3, files_read: 3, files_not_read: 24 });
}

#[test]
fn one_file_under_several_paths_is_judged_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // As a kubelet mounts a ConfigMap.
    write(&at("mounted/..2026_11_28/taskrun.json"), genuine());
    symlink("..2026_11_28", at("mounted/..data")).unwrap();
    symlink("..data/taskrun.json", at("mounted/taskrun.json")).unwrap();
    write(&at("linked/a.json"), genuine());
    fs::hard_link(at("linked/a.json"), at("linked/b.json")).unwrap();
    symlink("a.json", at("linked/c.json")).unwrap();
    write(&at("one/sub/x.json"), genuine());
    write(&at("other/notes.txt"), genuine());
    fs::create_dir(at("more")).unwrap();
    symlink("../one", at("more/link")).unwrap();
    let (more, link) = (at("more"), at("more/link"));
    let (mounted, linked, one) = (at("mounted"), at("linked"), at("one"));
    let (sub, file, other, notes) = (at("one/sub"), at("one/sub/x.json"), at("other"), at("other/notes.txt"));
    let (data, target) = (at("mounted/..data"), at("mounted/taskrun.json"));
    for (case, sources) in [
        ("a mounted ConfigMap", vec![&mounted]),
        ("its hidden folder beside it", vec![&mounted, &data]),
        ("its file beside it", vec![&mounted, &target]),
        ("its file before it", vec![&target, &mounted]),
        ("links", vec![&linked]),
        ("a folder twice", vec![&one, &one]),
        ("a folder and one in it", vec![&one, &sub]),
        ("one in it and the folder", vec![&sub, &one]),
        ("a file twice", vec![&file, &file]),
        ("a file and its folder", vec![&file, &one]),
        ("a folder and its file", vec![&one, &file]),
        ("a folder, and a file in it that only its own name makes meant", vec![&other, &notes]),
        ("a folder, and a link in it to a folder", vec![&more, &link]),
        ("the same, the file first", vec![&notes, &other]),
    ] {
        let ran = verify(&sources.iter().map(|path| text(path)).collect::<Vec<_>>(), "");
        assert_eq!((ran.code, verified(&ran)), (0, 1), "{case}: {}", ran.err);
    }
    let ran = verify(&["-", "-"], genuine());
    assert_eq!((ran.code, verified(&ran)), (0, 1), "standard input twice: {}", ran.err);
    write(&at("one/y.json"), genuine());
    let ran = verify(&[text(&one)], "");
    assert_eq!((ran.code, verified(&ran)), (0, 2), "an equal file is another: {}", ran.err);
}

#[test]
fn a_fifo_by_its_own_name_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("pipe");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    for content in [genuine().into_bytes(), gzip(genuine())] {
        let writer = thread::spawn({
            let fifo = fifo.clone();
            move || fs::write(fifo, content)
        });
        let ran = verify(&[text(&fifo)], "");
        writer.join().unwrap().unwrap();
        assert_eq!((ran.code, verified(&ran)), (0, 1), "{}", ran.err);
    }
}

#[test]
fn what_is_not_there_is_said_with_its_path() {
    for args in [vec!["/nowhere.json"], vec!["/nowhere.json", "--allow-empty"]] {
        let ran = verify(&args, "");
        assert_eq!(ran.code, 3, "{args:?}");
        assert!(ran.err.contains("/nowhere.json: not read: there is no such file or folder"), "{}", ran.err);
    }
}

#[test]
fn what_may_not_be_read_is_said_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let set = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(folder.path(), 0o755);
    let at = |name: &str| folder.path().join(name);
    write(&at("archive/a.json"), genuine());
    write(&at("archive/closed.json"), genuine());
    write(&at("archive/closed/b.json"), genuine());
    for (name, mode) in
        [("archive", 0o755), ("archive/a.json", 0o644), ("archive/closed.json", 0), ("archive/closed", 0)]
    {
        set(&at(name), mode);
    }
    // Root may read everything, so that it has to become somebody else, who may not reach the place of the program.
    let program = at("svidence");
    fs::copy(env!("CARGO_BIN_EXE_svidence"), &program).unwrap();
    fs::copy(path("bundle.pem"), at("bundle.pem")).unwrap();
    set(&program, 0o755);
    set(&at("bundle.pem"), 0o644);
    for only in [&[][..], &["--only", "*.json"]] {
        let mut command = Command::new(&program);
        command.current_dir(folder.path()).args(["verify", "archive", "--allow-empty"]).args(only);
        command.args(["--trust-domain", "example.org", "--bundle", "bundle.pem"]);
        if nix::unistd::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        let output = command.output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{err}");
        for line in [
            "verified  default/build-app in archive/a.json",
            "unchecked archive/closed: not read: permission denied",
            "unchecked archive/closed.json: not read: permission denied",
        ] {
            assert!(err.contains(line), "{line:?} is missing: {err}");
        }
    }
    set(&at("archive/closed"), 0o755);
}

#[test]
fn inspect_and_timestamp_read_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("full/a.json.gz"), gzip(genuine()));
    write(&at("full/notes.txt"), "");
    fs::create_dir(at("empty")).unwrap();
    write(&at("notes/notes.txt"), "");
    let (full, empty, notes) = (at("full"), at("empty"), at("notes"));
    let full = text(&full);
    let inspect = |args: &[&str]| svidence(&[&["inspect"], args].concat(), "");
    let ran = inspect(&[full]);
    assert_eq!((ran.code, ran.out.matches("default/build-app in ").count()), (3, 1), "{}", ran.err);
    assert!(ran.err.contains("notes.txt: not read: its name does not end in"), "{}", ran.err);
    assert_eq!(inspect(&[full, "--only", "*.json.gz"]).code, 0);
    let timestamp =
        |args: &[&str]| svidence(&[&["timestamp", "--tsa", "http://127.0.0.1:1"], args].concat(), "");
    let ran = timestamp(&[full]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("notes.txt: not read: its name does not end in"), "{}", ran.err);
    assert!(
        ran.err.contains("failed    default/build-app"),
        "one TaskRun is one, whatever lies beside it: {}",
        ran.err
    );
    assert!(!timestamp(&[full, "--only", "*.json.gz"]).err.contains("notes.txt"));
    for (command, run) in [("inspect", &inspect as &dyn Fn(&[&str]) -> Ran), ("timestamp", &timestamp)] {
        let ran = run(&[text(&empty)]);
        assert_eq!(ran.code, 3, "{command}: {}", ran.err);
        assert!(ran.err.contains("no TaskRun found"), "{command}: {}", ran.err);
        assert_eq!(run(&[text(&empty), "--allow-empty"]).code, 0, "{command}");
        assert_eq!(run(&[text(&notes), "--allow-empty"]).code, 3, "{command}");
    }
}

#[test]
fn the_endings_and_rules_are_documented() {
    let documents = ["verify", "inspect", "timestamp"]
        .map(|command| (command, svidence(&[command, "--help"], "").out))
        .into_iter()
        .chain([("docs/verify.md", include_str!("../../docs/verify.md").to_owned())]);
    for (name, text) in documents {
        let words = text.split(|c: char| c.is_whitespace() || ",`();".contains(c));
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        for word in ENDINGS.iter().chain(&COMPRESSED_ENDINGS).chain(&["--only", "--allow-empty", "-"]) {
            assert!(words.contains(word), "{name} does not name {word}");
        }
        let text = words.join(" ").to_lowercase();
        assert!(text.contains("hidden folders"), "{name} does not say what becomes of hidden folders");
    }
}

#[test]
fn a_part_of_a_list_is_not_taken_for_the_whole() {
    let item: serde_json::Value = serde_json::from_str(&genuine()).unwrap();
    // A large one is read item by item, before what comes after its items.
    let large = "x".repeat(2 << 20);
    let part = "it is only a part of a List";
    for (case, metadata, told) in [
        ("whole", json!({"resourceVersion": ""}), None),
        ("an empty token", json!({"continue": ""}), None),
        ("no token", json!({"continue": null, "remainingItemCount": null}), None),
        ("nothing remains", json!({"remainingItemCount": 0}), None),
        ("a token", json!({"continue": "eyJ2Ijoi"}), Some("more items exist")),
        ("a token that is not text", json!({"continue": 1}), Some("more items exist")),
        (
            "a count",
            json!({"continue": "eyJ2Ijoi", "remainingItemCount": 12}),
            Some("12 more items exist that are not in it; kubectl get"),
        ),
        ("a count alone", json!({"remainingItemCount": 1}), Some("1 more item exists that is not in it")),
    ] {
        let list = json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": [item]});
        let list_of_kind = json!({
            "apiVersion": "tekton.dev/v1", "items": [item], "kind": "TaskRunList", "metadata": metadata,
        });
        let mut inflated = list.clone();
        inflated["items"][0]["metadata"]["annotations"]["large"] = json!(large);
        for (format, text) in [
            ("JSON", list.to_string()),
            ("JSON of a TaskRunList", list_of_kind.to_string()),
            ("large JSON", inflated.to_string()),
            ("YAML", serde_saphyr::to_string(&list).unwrap()),
            ("YAML, items first", serde_saphyr::to_string(&list_of_kind).unwrap()),
        ] {
            let ran = verify(&["-"], &text);
            let expected = if told.is_some() { 3 } else { 0 };
            assert_eq!((ran.code, verified(&ran)), (expected, 1), "{case}, {format}: {}", ran.err);
            match told {
                None => assert!(!ran.err.contains(part), "{case}, {format}: {}", ran.err),
                Some(told) => {
                    assert!(
                        ran.err.contains(part) && ran.err.contains(told),
                        "{case}, {format}: {}",
                        ran.err
                    );
                }
            }
        }
    }
}
