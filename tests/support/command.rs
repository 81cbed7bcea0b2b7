//! `svidence` as a command, and the files that its demo leaves.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

/// What a command left.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs `svidence` with this standard input.
pub fn svidence(args: &[&str], stdin: impl AsRef<[u8]>) -> Ran {
    run(args, stdin.as_ref(), Stdio::piped())
}

/// `svidence verify` of these sources, trusting what the demo's are signed under.
pub fn verify(sources: &[&str], more: &[&str], stdin: impl AsRef<[u8]>) -> Ran {
    let bundle = path("bundle.pem");
    let trust = ["--trust-domain", "example.org", "--bundle", &bundle];
    svidence(&[&["verify"], sources, &trust, more].concat(), stdin)
}

/// [`svidence`] without input, with its standard output going there.
pub fn svidence_to(args: &[&str], stdout: Stdio) -> Ran {
    run(args, b"", stdout)
}

fn run(args: &[&str], stdin: &[u8], stdout: Stdio) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_svidence"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A usage error ends the program before it reads anything.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// The files of `svidence demo --keep`, made once.
pub fn demo() -> &'static Path {
    static DEMO: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = DEMO.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let ran = svidence(&["demo", "--keep", folder.path().to_str().unwrap()], "");
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert!(ran.out.contains("Every forgery was refused"), "{}", ran.out);
        folder
    });
    folder.path()
}

/// One of them.
pub fn path(name: &str) -> String {
    demo().join(name).to_str().unwrap().to_owned()
}
