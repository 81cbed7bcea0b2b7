//! The injected program as it is shipped: small, and in need of nothing that an image might lack.

use crate::support;

use std::{
    env::consts::ARCH,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use support::{
    private::{available, in_nothing_but},
    skip::{is_emulated, lacks},
};

const LARGEST: u64 = 3_000_000;

/// Where `make entrypoint` leaves the program for the processor that this test is for.
fn shipped() -> PathBuf {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist");
    let dist = if is_emulated() { dist.join(ARCH) } else { dist };
    dist.join("entrypoint")
}

#[test]
fn the_shipped_entrypoint_is_small_and_runs_a_step_in_an_empty_chroot() {
    let shipped = shipped();
    let test = "the_shipped_entrypoint_is_small_and_runs_a_step_in_an_empty_chroot";
    if !available(test) {
        return;
    }
    if !shipped.is_file() {
        return lacks(test, "needs dist/entrypoint; build it with `make entrypoint`");
    }
    let size = fs::metadata(&shipped).unwrap().len();
    assert!(size <= LARGEST, "{size} bytes, more than {LARGEST}");
    let root = tempfile::tempdir().unwrap();
    let program = root.path().join("entrypoint");
    fs::copy(&shipped, &program).unwrap();
    // A container has this file whatever its image holds; it is a step's standard input.
    fs::create_dir(root.path().join("dev")).unwrap();
    fs::write(root.path().join("dev/null"), "").unwrap();
    // The step's command is the program itself, the only one there is: it copies itself.
    let output = in_nothing_but(root.path())
        .args([
            "/entrypoint",
            "-post_file",
            "/out",
            "-termination_path",
            "/message",
            "-step_metadata_dir",
            "/status",
        ])
        .args(["-entrypoint", "/entrypoint", "--", "cp", "/entrypoint", "/copy"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("Copied /entrypoint to /copy"), "{stderr}");
    // A copy is not to be read, except by root.
    fs::set_permissions(root.path().join("copy"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(fs::read(root.path().join("copy")).unwrap(), fs::read(&shipped).unwrap());
    assert!(root.path().join("out").is_file(), "the post file");
    let message = fs::read_to_string(root.path().join("message")).unwrap();
    assert!(message.starts_with(r#"[{"key":"StartedAt","value":"#), "{message}");
}

/// Rust links a static program for other processors to a fixed address: its loader writes nothing.
const X86: bool = cfg!(target_arch = "x86_64");

/// What the headers of the shipped program say, reviewed: each with its reason.
const HARDENING: [(&str, bool); 6] = [
    // Its place in memory is not known before it runs.
    ("position-independent", X86),
    // No loader of the image takes part.
    ("interpreter", false),
    // What the loader wrote cannot be written again, and all of it is written at the start.
    ("relro", true),
    ("bind now", X86),
    // Nothing on the stack is run.
    ("executable stack", false),
    // It says the same wherever it was built.
    ("builder's paths", false),
];

/// The little-endian number of `N` bytes at `at`.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + N].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What is true of an ELF64 program (System V gABI, chapters 4 and 5; Linux Standard Base for `PT_GNU_*`).
fn hardening(elf: &[u8]) -> Vec<&'static str> {
    assert_eq!(&elf[..5], b"\x7fELF\x02", "an ELF64 program");
    let mut found = Vec::new();
    if number::<2>(elf, 16) == 3 {
        found.push("position-independent");
    }
    let (table, count) = (number::<8>(elf, 32), number::<2>(elf, 56));
    for index in 0..count {
        let header = usize::try_from(table + index * 56).unwrap();
        let (kind, flags) = (number::<4>(elf, header), number::<4>(elf, header + 4));
        let start = usize::try_from(number::<8>(elf, header + 8)).unwrap();
        let length = usize::try_from(number::<8>(elf, header + 32)).unwrap();
        match kind {
            2 => {
                let entries = elf[start..start + length].chunks_exact(16);
                // DF_BIND_NOW of DT_FLAGS.
                if entries.clone().any(|entry| number::<8>(entry, 0) == 30 && number::<8>(entry, 8) & 8 != 0)
                {
                    found.push("bind now");
                }
            }
            3 => found.push("interpreter"),
            0x6474_e551 if flags & 1 != 0 => found.push("executable stack"),
            0x6474_e552 => found.push("relro"),
            _ => {}
        }
    }
    let holds = |path: &str| elf.windows(path.len()).any(|window| window == path.as_bytes());
    if holds("/.cargo/registry/") || holds(env!("CARGO_MANIFEST_DIR")) {
        found.push("builder's paths");
    }
    found
}

#[test]
fn the_shipped_entrypoint_is_hardened() {
    let shipped = shipped();
    if !shipped.is_file() {
        return lacks(
            "the_shipped_entrypoint_is_hardened",
            "needs dist/entrypoint; build it with `make entrypoint`",
        );
    }
    let found = hardening(&fs::read(&shipped).unwrap());
    for (what, expected) in HARDENING {
        assert_eq!(found.contains(&what), expected, "{what}: {found:?}");
    }
    // This test's own program was linked otherwise, so the reading can say no.
    let own = hardening(&fs::read(std::env::current_exe().unwrap()).unwrap());
    let interpreter = cfg!(not(target_env = "musl"));
    assert!(own.contains(&"interpreter") == interpreter && own.contains(&"builder's paths"), "{own:?}");
}
