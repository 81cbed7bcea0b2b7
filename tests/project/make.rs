//! What the Makefile's targets say: the count of `make test`, and what `make image` needs.

use crate::support::skip;

use std::{fs, process::Command};

/// What `awk -f tests/summary.awk` prints last of the output of `cargo test`, its exit status, and the file of skipped tests.
fn summary(output: &str, status: u8, skipped: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("output"), output).unwrap();
    if let Some(skipped) = skipped {
        fs::write(at("skipped"), skipped).unwrap();
    }
    let mut awk = Command::new("awk");
    awk.args(["-v", &format!("status={status}"), "-v", &format!("skipped={}", at("skipped"))]);
    awk.arg("-f").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/summary.awk")).arg(at("output"));
    let ran = awk.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().lines().last().unwrap_or_default().to_owned()
}

#[test]
fn the_last_line_counts_what_passed_failed_and_was_skipped() {
    let result = |passed: u8, failed: u8, ignored: u8| {
        let word = if failed == 0 { "ok" } else { "FAILED" };
        format!(
            "\nrunning 9 tests\ntest x ... ok\n\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; \
             0 measured; 0 filtered out; finished in 0.52s\n"
        )
    };
    let all = |results: &[(u8, u8, u8)]| -> String {
        results.iter().map(|(passed, failed, ignored)| result(*passed, *failed, *ignored)).collect()
    };
    let twice = "a::one\tneeds x\na::one\tneeds y\nb::one\tneeds x\n";
    for (case, output, status, skipped, line) in [
        (
            "all is well",
            all(&[(5, 0, 0), (0, 0, 0), (4, 0, 0)]),
            0,
            Some(""),
            "9 passed, 0 failed, 0 skipped",
        ),
        ("no file of skipped tests", all(&[(5, 0, 0)]), 0, None, "5 passed, 0 failed, 0 skipped"),
        ("one fails", all(&[(5, 1, 0), (4, 0, 0)]), 101, Some(""), "9 passed, 1 failed, 0 skipped"),
        (
            "some are skipped, one twice",
            all(&[(5, 0, 0), (4, 0, 0)]),
            0,
            Some(twice),
            "7 passed, 0 failed, 2 skipped",
        ),
        ("one is ignored", all(&[(5, 0, 1)]), 0, Some("a::b\tc\n"), "4 passed, 0 failed, 2 skipped"),
        (
            "one crashes",
            all(&[(5, 0, 0)]) + "\nrunning 3 tests\n",
            101,
            Some(""),
            "5 passed, 1 failed, 0 skipped",
        ),
        (
            "one test alone",
            "running 1 test\n".to_owned() + &all(&[(5, 0, 0)]),
            101,
            None,
            "5 passed, 1 failed, 0 skipped",
        ),
        ("nothing is built", String::new(), 101, Some(""), "0 passed, 1 failed, 0 skipped"),
    ] {
        assert_eq!(summary(&output, status, skipped), line, "{case}");
    }
}

#[test]
fn an_image_without_a_configuration_has_to_be_asked_for() {
    let makefile = concat!(env!("CARGO_MANIFEST_DIR"), "/Makefile");
    let found = Command::new("sh").args(["-c", "command -v make"]).output().unwrap();
    let Some(make) = String::from_utf8(found.stdout).unwrap().lines().next().map(str::to_owned) else {
        return skip::lacks("an_image_without_a_configuration_has_to_be_asked_for", "make is not installed");
    };
    // Nothing is built: a folder without programs is the search path, and `true` stands for the make that would build one.
    let image = |folder: &std::path::Path, more: &[&str]| {
        let mut command = Command::new(&make);
        command.args(["--no-print-directory", "--file", makefile, "image", "MAKE=true"]).args(more);
        command.current_dir(folder).env_remove("MAKEFLAGS").env("PATH", folder).output().unwrap()
    };
    let missing = "dist/svidence.json is missing or empty";
    let defaults = "the steps sign with defaults";
    for (case, content, more, said, refused) in [
        ("no file", None, &[][..], missing, true),
        ("an empty file", Some(""), &[], missing, true),
        ("no file, and that is meant", None, &["CONFIG=none"], defaults, false),
        ("a file that is not to be there", Some("{}"), &["CONFIG=none"], "remove it", true),
        ("a file", Some("{}"), &[], "", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        if let Some(content) = content {
            fs::create_dir(folder.path().join("dist")).unwrap();
            fs::write(folder.path().join("dist/svidence.json"), content).unwrap();
        }
        let output = image(folder.path(), more);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(said), "{case}: {stderr}");
        assert_eq!(
            stderr.contains("make image: dist/") || stderr.contains("remove it"),
            refused,
            "{case}: {stderr}"
        );
        assert_eq!(stderr.contains("no running docker and no buildah"), !refused, "{case}: {stderr}");
        assert!(!output.status.success(), "{case}: {stderr}");
    }
}

/// A build of the image sees nothing but what `.dockerignore` lets through.
#[test]
fn whatever_an_image_copies_is_not_ignored() {
    let read = |name: &str| fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (dockerfile, ignored) = (read("Dockerfile"), read(".dockerignore"));
    assert_eq!(ignored.lines().next(), Some("*"));
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let copies: Vec<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .flat_map(|words| words.split(' ').rev().skip(1))
        .collect();
    assert_eq!(copies.len(), 3, "{copies:?}");
    for copy in copies {
        for (folder, pattern) in [("dist", "dist"), ("dist/aarch64", "dist/*")] {
            let source = copy.replace("${DIST}", pattern).replace("[n]", "n");
            assert!(
                kept.contains(&source.as_str()),
                "{copy} with DIST={folder}: {source} is not in {kept:?}"
            );
        }
    }
}
