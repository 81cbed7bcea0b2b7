//! The examples of the documentation work as pasted, and print what it says.

#![cfg(feature = "cli")]

#[path = "support/skip.rs"]
mod skip;

use std::{path::Path, process::Command};

/// One shell block of a document, with the lines it is said to print.
struct Example {
    script: String,
    printed: Vec<String>,
}

/// Every ```sh block, with the ```text block behind it if there is one.
fn examples(document: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let fence = line.trim_start();
        if fence != "```sh" && fence != "```text" {
            continue;
        }
        let block: Vec<String> =
            lines.by_ref().take_while(|line| line.trim_start() != "```").map(str::to_owned).collect();
        match fence {
            "```sh" => examples.push(Example { script: block.join("\n"), printed: Vec::new() }),
            _ => examples.last_mut().expect("a block of output follows a command").printed.extend(block),
        }
    }
    examples
}

/// Without OpenSSL the examples that need it are skipped ([`skip::lacks`]).
fn has_openssl() -> bool {
    if Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    skip::lacks(
        "the_examples_of_each_document_work_as_pasted",
        "openssl is not installed, which some examples use",
    );
    false
}

#[test]
fn the_examples_of_each_document_work_as_pasted() {
    let programs = Path::new(env!("CARGO_BIN_EXE_svidence")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    for (name, document) in [
        ("docs/verify.md", include_str!("../docs/verify.md")),
        ("docs/evidence.md", include_str!("../docs/evidence.md")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let examples = examples(document);
        assert!(!examples.is_empty(), "{name} has no example");
        for Example { script, printed } in examples {
            if script.contains("openssl") && !has_openssl() {
                continue;
            }
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &script])
                .current_dir(folder.path())
                .env("PATH", &path)
                .output()
                .unwrap();
            let shown = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(output.status.success(), "{name}: {script}\n{}: {shown}", output.status);
            for line in printed.iter().filter(|line| *line != "…") {
                assert!(
                    shown.contains(line.as_str()),
                    "{name}: {script}\ndoes not print {line:?} but\n{shown}"
                );
            }
        }
    }
}
