//! The injected program as it is shipped: small, and in need of nothing that an image might lack.

mod support;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use support::{
    private::{available, in_nothing_but},
    skip::lacks,
};

const LARGEST: u64 = 3_000_000;

#[test]
fn the_shipped_entrypoint_is_small_and_runs_a_step_in_an_empty_chroot() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/entrypoint");
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
