//! `svidence entrypoint`: the step mode of the small binary, for trying it by hand.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use crate::step::{roots::Roots, run};

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
    let program = OsString::from("svidence entrypoint");
    let code = run::main(std::iter::once(program).chain(rest.iter().cloned()).collect(), &roots);
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))
}
