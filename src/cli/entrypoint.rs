//! `svidence entrypoint`: the step mode of the small binary, for trying it by hand.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use crate::step::{roots::Roots, run};

/// What `--help` says before Tekton's own flags.
const USAGE: &str = "\
Usage: svidence entrypoint [--root DIR] [--pod-name NAME] [Tekton's flags] [-- ARGUMENTS]

Runs as a step's entrypoint, for trying it by hand. Tekton's own flags are listed below; these two come first:
  --root DIR
    \tUse DIR/tekton in place of /tekton, and DIR/serviceaccount in place of the service account's folder. Paths
    \tgiven by flags are used as they are: -post_file /tekton/run/0/out writes exactly that file
  --pod-name NAME
    \tThe pod's name, instead of the host name

";

/// Runs a step. `--root DIR` puts `/tekton` and the service account below DIR and `--pod-name NAME` stands for the host
/// name; both come first. Everything after them is Tekton's command line.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let mut roots = Roots::real();
    let mut rest = arguments;
    loop {
        match rest {
            [option, value, remaining @ ..] if option == "--root" => {
                let root = PathBuf::from(value);
                roots.tekton = root.join("tekton");
                roots.service_account = root.join("serviceaccount");
                rest = remaining;
            }
            [option, value, remaining @ ..] if option == "--pod-name" => {
                roots.hostname = Some(value.to_string_lossy().into_owned());
                rest = remaining;
            }
            _ => break,
        }
    }
    if rest.first().is_some_and(|first| ["--help", "-help", "-h", "--h"].iter().any(|help| first == help)) {
        let _ = io::stderr().write_all(USAGE.as_bytes());
    }
    let program = OsString::from("svidence entrypoint");
    let code = run::main(std::iter::once(program).chain(rest.iter().cloned()).collect(), &roots);
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))
}
