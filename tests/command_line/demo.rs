//! What `svidence demo` says at the end can be pasted as it stands.

use std::process::Command;

#[test]
fn the_command_at_the_end_of_the_demo_works_however_it_was_started() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_svidence");
    let (programs, name) = program.rsplit_once('/').unwrap();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let relative = format!("./{name}");
    std::os::unix::fs::symlink(program, folder.path().join(name)).unwrap();
    for (case, program, path) in [
        ("by its path", program, None),
        ("by a path from where one stands", relative.as_str(), None),
        ("from the search path", name, Some(path.as_str())),
    ] {
        let run = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-euc", script]).current_dir(folder.path());
            shell.env("PATH", path.unwrap_or("/usr/bin:/bin")).output().unwrap()
        };
        let kept = format!("it's {case}");
        let demo = run(&format!(r#"{program} demo --keep "{kept}""#));
        let printed = String::from_utf8_lossy(&demo.stdout);
        assert!(demo.status.success(), "{case}: {printed}{}", String::from_utf8_lossy(&demo.stderr));
        let command = printed.lines().last().unwrap();
        assert!(command.contains(" verify '"), "{case}: {command}");
        let verified = run(command);
        assert!(
            verified.status.success(),
            "{case}: {command}: {}",
            String::from_utf8_lossy(&verified.stderr)
        );
        assert!(String::from_utf8_lossy(&verified.stdout).contains("default/build-app\tdigest\t"), "{case}");
    }
    let demo = Command::new(program).arg("demo").output().unwrap();
    let last = String::from_utf8_lossy(&demo.stdout).lines().last().unwrap().to_owned();
    assert!(last.ends_with(&format!("{program} demo --keep demo-files")), "{last}");
}
