//! What is signed is what happens: however the files that a step leaves behind cannot be written, its exit status, its post file and
//! what its attestation says agree, and no controller makes a TaskRun of it that is judged `invalid`.

use crate::support;

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;
use support::{
    pod::{Pod, StepOutcome},
    signed::{Cluster, entry, reasons},
    skip,
    small::SmallFs,
};
use svidence::{
    evidence::attestation::{Attestation, Ended},
    verify::Verdict,
};
use time::OffsetDateTime;

/// Some user without any privilege.
const USER: u32 = 65532;

/// What is the matter, and with which folder or file.
struct Matter {
    name: &'static str,
    /// Done before the step starts.
    before: fn(&Pod) -> Option<SmallFs>,
    /// Done by the step's command, in which `$RUN` is its folder and `$END` the file of its termination message.
    script: &'static str,
    /// Whether it keeps a step from ending as its command did: one that succeeds, one that fails, one that fails and goes on.
    fails: [bool; 3],
}

fn nothing(_: &Pod) -> Option<SmallFs> {
    None
}

fn run(pod: &Pod) -> PathBuf {
    pod.root().join("tekton/run/0")
}

fn small(pod: &Pod) -> Option<SmallFs> {
    Some(SmallFs::at(&run(pod), "size=64k"))
}

fn few(pod: &Pod) -> Option<SmallFs> {
    Some(SmallFs::at(&run(pod), "nr_inodes=12"))
}

fn small_status(pod: &Pod) -> Option<SmallFs> {
    Some(SmallFs::at(&run(pod).join("status"), "size=64k"))
}

/// The folder that holds the message is the file system, so that the file can be made again.
fn small_end(pod: &Pod) -> Option<SmallFs> {
    let small = SmallFs::at(&pod.root().join("tekton/termination"), "size=64k,nr_inodes=12");
    fs::write(pod.termination(0), "").unwrap();
    fs::set_permissions(pod.termination(0), fs::Permissions::from_mode(0o666)).unwrap();
    Some(small)
}

/// As `/tmp` is: another user's file there can be neither removed nor exchanged.
fn sticky(pod: &Pod) -> Option<SmallFs> {
    for name in ["out", "out.err"] {
        pod.write(&format!("tekton/run/0/{name}"), "");
        chown(run(pod).join(name), Some(0), Some(0)).unwrap();
    }
    chown(run(pod), Some(0), Some(0)).unwrap();
    fs::create_dir(run(pod).join("status")).unwrap();
    fs::set_permissions(run(pod).join("status"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(run(pod), fs::Permissions::from_mode(0o1777)).unwrap();
    None
}

const FILL: &str = "cat /dev/zero >$RUN/x 2>/dev/null; ";
const USE_UP: &str = "i=0; while : >$RUN/$i; do i=$((i+1)); done 2>/dev/null; ";

fn matters() -> Vec<Matter> {
    let matter = |name, before, script, fails| Matter { name, before, script, fails };
    let (always, never, code) = ([true; 3], [false; 3], [true, false, true]);
    vec![
        matter("nothing", nothing, "", never),
        // An empty file takes no block.
        matter("the folder is full", small, FILL, code),
        matter("the folder has no more inodes", few, USE_UP, always),
        matter(
            "the metadata folder is full",
            small_status,
            "cat /dev/zero >$RUN/status/x 2>/dev/null; ",
            code,
        ),
        matter("no more may be written into the folder", nothing, "chmod 555 $RUN; ", always),
        matter("no more may be written into the metadata folder", nothing, "chmod 555 $RUN/status; ", code),
        matter("a folder in the place of exitCode", nothing, "mkdir $RUN/status/exitCode; ", code),
        matter(
            "a file in the place of the metadata folder",
            nothing,
            "rm -r $RUN/status; : >$RUN/status; ",
            always,
        ),
        matter("a folder in the place of the post files", nothing, "mkdir $RUN/out $RUN/out.err; ", never),
        matter("a FIFO in the place of the post files", nothing, "mkfifo $RUN/out $RUN/out.err; ", never),
        matter(
            "a link to nowhere in the place of all",
            nothing,
            "cd $RUN; ln -s /x/y out; ln -s /x/y out.err; ln -s /x/y status/exitCode; cd /; ",
            never,
        ),
        matter("another user's post files in a sticky folder", sticky, "", always),
        matter(
            "all other names are taken",
            nothing,
            "i=0; while [ $i -lt 20 ]; do mkdir $RUN/.unfinished-$PPID-$i $RUN/status/.unfinished-$PPID-$i; i=$((i+1)); done; ",
            never,
        ),
        matter("the folder is gone", nothing, "rm -r $RUN; ", never),
        matter("the message's file system is full", small_end, "cat /dev/zero >$END.x 2>/dev/null; ", always),
        matter("a folder in the place of the message", nothing, "rm $END; mkdir $END; ", always),
        matter("a FIFO in the place of the message", nothing, "rm $END; mkfifo $END; ", always),
        matter("a link in the place of the message", nothing, "rm $END; ln -s /x/y $END; ", always),
        matter("the message may not be written", nothing, "chmod 444 $END; ", always),
        matter("the message's folder is gone", nothing, "rm -r $END ${END%/*}; ", always),
    ]
}

fn gone(pod: &Pod, name: &str) -> bool {
    fs::symlink_metadata(run(pod).join(name)).is_err()
}

#[test]
fn what_is_signed_is_what_happens() {
    const TEST: &str = "what_is_signed_is_what_happens";
    if !nix::unistd::geteuid().is_root() {
        return skip::lacks(TEST, "only root can mount small file systems and run steps of another user");
    }
    let cluster = Cluster::new("run");
    let address = cluster.agent.address();
    let socket = Path::new(address.strip_prefix("unix://").unwrap());
    fs::set_permissions(socket.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(socket, fs::Permissions::from_mode(0o777)).unwrap();
    // Where the program was built the user need not be let in.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("svidence");
    fs::copy(env!("CARGO_BIN_EXE_svidence"), &program).unwrap();
    for Matter { name, before, script, fails } in matters() {
        for ((kind, end, flags, status), fails) in [
            ("success", "exit 0", &[][..], 0),
            ("failure", "exit 3", &[], 3),
            ("continued failure", "exit 3", &["-on_error", "continue"], 0),
        ]
        .into_iter()
        .zip(fails)
        {
            for signs in [true, false] {
                let case = format!("{name}, {kind}, {}", if signs { "signed" } else { "unsigned" });
                let pod = cluster.pod(&["one"], &[]);
                let outcome =
                    run_as_user(&program, &cluster, &pod, before, &format!("{script}{end}"), flags, signs);
                let code = outcome.output.status.code();
                assert_eq!(code, Some(if fails { 1 } else { status }), "{case}: {}", outcome.stderr());
                let goes_on = status == 0 && !fails;
                if goes_on {
                    assert!(!gone(&pod, "out"), "{case}: {}", outcome.stderr());
                }
                judge(&cluster, &case, &outcome, signs, goes_on);
            }
        }
    }
}

fn run_as_user(
    program: &Path,
    cluster: &Cluster,
    pod: &Pod,
    before: fn(&Pod) -> Option<SmallFs>,
    script: &str,
    flags: &[&str],
    signs: bool,
) -> StepOutcome {
    let owned = Command::new("chown").args(["-R", &format!("{USER}:{USER}")]).arg(pod.root()).status();
    assert!(owned.unwrap().success());
    let _small = before(pod);
    let mut step = pod.step(0).svidence(program).results(&["a"]).flags(flags);
    let end = pod.termination(0);
    let script = format!("printf v >$RESULTS/a; RUN={}; END={}; {script}", run(pod).display(), end.display());
    step = step.script(&script);
    if signs {
        step = step.signed(&cluster.agent.address());
    }
    let mut command = step.command();
    command.uid(USER).gid(USER);
    let started = OffsetDateTime::now_utc();
    let output = command.stdin(Stdio::null()).output().unwrap();
    if fs::symlink_metadata(&end).is_ok_and(|found| found.is_file()) {
        return step.outcome(output, started);
    }
    // The kubelet finds nothing to read.
    let _ = fs::remove_file(&end).or_else(|_| fs::remove_dir_all(&end));
    fs::create_dir_all(end.parent().unwrap()).unwrap();
    fs::write(&end, "").unwrap();
    step.outcome(output, started)
}

/// What the controller and a verifier make of it.
fn judge(cluster: &Cluster, case: &str, outcome: &StepOutcome, signs: bool, goes_on: bool) {
    let declared = json!([{"name": "a", "type": "string"}]);
    let steps = json!([{"name": "one"}]);
    let report = cluster.judge(&declared, &steps, std::slice::from_ref(&outcome.report));
    assert_ne!(report.verdict, Verdict::Invalid, "{case}: {}: {}", reasons(&report), outcome.message());
    if !signs || outcome.message().is_empty() {
        return assert_eq!(report.verdict, Verdict::Absent, "{case}: {}", reasons(&report));
    }
    let evidence = entry(outcome.message(), "SVIDENCE.one.sig").unwrap();
    let code = outcome.output.status.code().unwrap();
    match Attestation::from_value(&evidence) {
        Ok(attestation) => {
            assert_eq!(report.verdict, Verdict::Verified, "{case}: {}", reasons(&report));
            let Ended::Exited(signed) = attestation.outcome.ended else { panic!("{case}: {attestation:?}") };
            let as_signed = if attestation.outcome.continued { 0 } else { i32::from(signed) };
            assert_eq!(code, as_signed, "{case}: {}", outcome.stderr());
        }
        Err(_) => {
            assert!(evidence.starts_with("unsigned: "), "{case}: {evidence}");
            assert!(code != 0 && !goes_on, "{case}: {}", outcome.stderr());
            assert_eq!(entry(outcome.message(), "ExitCode"), None, "{case}: {}", outcome.message());
            assert_eq!(report.verdict, Verdict::Absent, "{case}: {}", reasons(&report));
        }
    }
}
