//! Arguments and printing of each subcommand of svidence.

mod access;
mod answer;
mod asked;
mod authorities;
pub mod bundle;
mod caller;
mod cluster;
mod completion;
pub mod config;
pub mod controller;
pub mod demo;
pub mod doctor;
pub mod entrypoint;
mod gate;
mod input;
pub mod inspect;
mod man;
mod number;
mod oci;
mod progress;
mod refusal;
mod results;
mod sources;
mod streams;
pub mod timestamp;
mod told;
pub mod trust;
pub mod verify;
mod web_authorities;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;
use streams::Stream;

use crate::{io_error, surroundings, verify::Verdict};

/// Exit code of a wrong command line (`EX_USAGE` of sysexits.h).
pub const USAGE_ERROR: u8 = 64;

/// Sign what Tekton steps produce with their SPIFFE identity, and verify it.
#[derive(Debug, Parser)]
#[command(name = NAME, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const NAME: &str = "svidence";

const EXAMPLES: &str = "\
Examples:
  svidence demo
  kubectl get taskrun build-7 -o json |
    svidence verify - --trust-domain example.org --bundle bundle.pem
  source <(svidence completion bash)";

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "a run of the program makes one")]
enum Command {
    /// Verify TaskRuns and PipelineRuns: did the steps of that very run produce these results?
    ///
    /// Exit codes: 0 verified, 1 invalid, 2 absent, 3 unchecked, 4 weak, 64 wrong arguments.
    Verify(verify::VerifyArgs),
    /// Show who signed what, when, and valid until when, with chains and sizes: nothing is checked, and there is no verdict
    ///
    /// Exit codes: 0 shown, 3 something could not be read or written, 64 wrong arguments.
    Inspect(inspect::InspectArgs),
    /// Have a time-stamp authority witness what the steps signed, so that it can be verified after their certificates have expired
    ///
    /// Exit codes: 0 done, 1 an attestation that cannot be read, 2 no attestation, 3 failed, 64 wrong arguments.
    Timestamp(timestamp::TimestampArgs),
    /// Show the whole thing without a cluster: sign three steps, verify them, and see tampering refused
    ///
    /// Exit codes: 0 everything went as it should, 3 something did not.
    #[command(after_help = "Examples:\n  svidence demo\n  svidence demo --keep demo-files")]
    Demo {
        /// Keep the files in this folder, for trying `verify` by hand
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    /// Check a config-spire ConfigMap and print the JSON that goes into the image
    ///
    /// Exit codes: 0 it is valid, 3 it cannot be used, 64 wrong arguments.
    #[command(
        after_help = "Examples:\n  svidence config config/spire/config-spire.yaml > svidence.json\n  kubectl -n tekton-pipelines get configmap config-spire -o yaml |\n    svidence config -"
    )]
    Config {
        /// The ConfigMap (YAML), or - for standard input
        file: PathBuf,
    },
    /// Run as a step's entrypoint, for trying it by hand: [--root DIR] [--pod-name NAME] and Tekton's flags
    #[command(disable_help_flag = true)]
    Entrypoint {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Keep every authority that a trust domain was ever seen to have, so that its runs can be verified when SPIRE has pruned them
    Bundle {
        #[command(subcommand)]
        command: BundleCommand,
    },
    /// Look for what would make signing or verifying fail here, before it does, and say what to do
    ///
    /// Exit codes: 0 nothing stands in the way, 1 something does, 64 wrong arguments.
    Doctor(doctor::DoctorArgs),
    /// Register each TaskRun's steps with SPIRE before they need their identity, until it is told to end
    ///
    /// Exit codes: 0 it was told to end, 3 it cannot start, 64 wrong arguments.
    Controller(controller::ControllerArgs),
    /// Print the completions of svidence's arguments for a shell
    #[command(after_help = completion::EXAMPLES)]
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Print the version, as --version does
    Version,
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum BundleCommand {
    /// Add what the trust domain's bundle holds now to a store, which keeps when each authority was seen first and last
    ///
    /// Exit codes: 0 added, 3 something could not be read or written, or the bundle is older than one that was seen before, 64 wrong
    /// arguments.
    Add(bundle::add::AddArgs),
}

/// The whole command line, as it is called under the name of this program: kubectl and tkn find plug-ins by theirs.
fn command(program: Option<&Path>) -> clap::Command {
    let file = program.and_then(Path::file_name).and_then(|name| name.to_str());
    let name = match file {
        Some("kubectl-svidence") => "kubectl svidence",
        Some("tkn-svidence") => "tkn svidence",
        _ => NAME,
    };
    Cli::command().bin_name(name).version(version())
}

/// The version, and the commit that it was built from where `make` knew it.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("SVIDENCE_COMMIT").filter(|commit| !commit.is_empty()) {
        Some(commit) => format!("{version} (commit {commit})"),
        None => version.to_owned(),
    }
}

/// Runs `svidence` with the process's arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // The entrypoint reads its command line with Go's rules, so it must see it as it is.
    if arguments.get(1).is_some_and(|argument| argument == "entrypoint") {
        return entrypoint::run(&arguments[2..]);
    }
    let (Ok(mut out), Ok(mut err)) = (Stream::of(io::stdout()), Stream::of(io::stderr())) else {
        return ExitCode::from(Verdict::Unchecked.exit_code());
    };
    let code = run(&arguments, &mut io::stdin(), &mut out, &mut err);
    ExitCode::from(streams::settle(code, out, err))
}

fn run(
    arguments: &[OsString],
    stdin: &mut (dyn Read + Send),
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let whole = command(arguments.first().map(Path::new));
    let matches = whole.clone().try_get_matches_from(arguments);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return answer(&error, out, err),
    };
    let told = |result: Result<(), String>, err: &mut dyn Write| match result {
        Ok(()) => 0,
        Err(text) => {
            let _ = writeln!(err, "svidence {text}");
            Verdict::Unchecked.exit_code()
        }
    };
    match cli.command {
        Command::Verify(args) => verify::run(&args, stdin, out, err),
        Command::Inspect(args) => inspect::run(&args, stdin, out, err),
        Command::Timestamp(args) => timestamp::run(&args, &ring::rand::SystemRandom::new(), stdin, out, err),
        Command::Demo { keep } => told(demo::run(keep, out).map_err(|error| format!("demo: {error}")), err),
        Command::Config { file } => {
            let done = config::run(&file, stdin, out, err);
            told(done.map_err(|error| format!("config: {error}")), err)
        }
        Command::Bundle { command: BundleCommand::Add(args) } => bundle::add::run(&args, stdin, out, err),
        Command::Doctor(args) => doctor::run(&args, stdin, out, err),
        Command::Controller(args) => controller::run(&args, err),
        Command::Entrypoint { .. } => unreachable!("it was told by its name"),
        Command::Completion { shell } => {
            // What cannot be written is told by the stream.
            let _ = out.write_all(&completion::script(shell, whole));
            0
        }
        Command::Version => {
            let _ = write!(out, "{}", whole.render_version());
            0
        }
        Command::Man { folder } => {
            let written = man::write(&folder, whole);
            told(
                written.map_err(|error| format!("man: {}: {}", folder.display(), io_error::words(&error))),
                err,
            )
        }
    }
}

/// What clap answers in place of running a command: help, the version, or that the arguments are wrong.
fn answer(error: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let text = error.render();
    let is_wrong = error.use_stderr();
    let is_terminal = if is_wrong { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let text = match is_terminal && surroundings::variable("NO_COLOR").is_none_or(|value| value.is_empty()) {
        true => text.ansi().to_string(),
        false => text.to_string(),
    };
    let _ = if is_wrong { err.write_all(text.as_bytes()) } else { out.write_all(text.as_bytes()) };
    if is_wrong { USAGE_ERROR } else { 0 }
}
