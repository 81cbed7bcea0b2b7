//! Arguments and printing of each subcommand of svidence.

pub mod config;
pub mod demo;
pub mod entrypoint;
pub mod inspect;
mod progress;
mod report;
pub mod timestamp;
pub mod trust;
pub mod verify;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// Exit code of a wrong command line (`EX_USAGE` of sysexits.h).
pub const USAGE_ERROR: u8 = 64;

/// Sign what Tekton steps produce with their SPIFFE identity, and verify it.
#[derive(Debug, Parser)]
#[command(name = "svidence", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify TaskRuns: did the steps of that very run produce these results?
    ///
    /// Exit codes: 0 verified, 1 invalid, 2 absent, 3 unchecked, 4 weak, 64 wrong arguments.
    Verify(verify::VerifyArgs),
    /// Show who signed what, when and until when, with chain and sizes: no verdict, nothing is checked
    Inspect(inspect::InspectArgs),
    /// Have a time-stamp authority witness what the steps signed, so that it can be verified after their certificates expired
    ///
    /// Exit codes: 0 done, 1 an attestation that cannot be read, 2 no attestation, 3 failed, 64 wrong arguments.
    Timestamp(timestamp::TimestampArgs),
    /// Show the whole thing without a cluster: sign three steps, verify them, tamper, be refused
    Demo {
        /// Leave the files in this folder, to try `verify` by hand
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    /// Check a config-spire ConfigMap and print the JSON that goes into the image
    Config {
        /// The ConfigMap (YAML)
        file: PathBuf,
    },
    /// Run as a step's entrypoint, for trying it by hand: [--root DIR] [--pod-name NAME] and Tekton's flags
    #[command(disable_help_flag = true)]
    Entrypoint {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Runs `svidence` with the process's arguments.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // The entrypoint reads its command line with Go's rules, so it must see it as it is.
    if arguments.get(1).is_some_and(|argument| argument == "entrypoint") {
        return entrypoint::run(&arguments[2..]);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE_ERROR) } else { ExitCode::SUCCESS };
        }
    };
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let code = match cli.command {
        Command::Verify(args) => verify::run(&args, &mut io::stdin(), &mut out, &mut err),
        Command::Inspect(args) => inspect::run(&args, &mut io::stdin(), &mut out, &mut err),
        Command::Timestamp(args) => {
            timestamp::run(&args, &ring::rand::SystemRandom::new(), &mut io::stdin(), &mut out, &mut err)
        }
        Command::Demo { keep } => match demo::run(keep, &mut out) {
            Ok(()) => 0,
            Err(error) => {
                let _ = writeln!(err, "svidence demo: {error}");
                1
            }
        },
        Command::Config { file } => match config::run(&file, &mut out) {
            Ok(()) => 0,
            Err(error) => {
                let _ = writeln!(err, "svidence config: {error}");
                1
            }
        },
        Command::Entrypoint { arguments } => return entrypoint::run(&arguments),
    };
    ExitCode::from(code)
}
