//! The command line: Go's `flag` package, exactly (docs/tekton-contract.md 1.1 to 1.3; Tekton cmd/entrypoint/args.go).

use std::{
    ffi::{OsStr, OsString},
    fmt::Write as _,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    time::Duration,
};

use go::{duration, flag::parse_bool, text::quote};

use super::{credentials::Credentials, roots::Roots};
use crate::tekton::termination::Encoding;

/// What a flag holds, as Go's `flag` names it in the usage text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FlagKind {
    Text,
    Switch,
    Duration,
    Repeated,
}

struct Flag {
    name: &'static str,
    kind: FlagKind,
    default: &'static str,
    usage: &'static str,
}

const fn flag(name: &'static str, kind: FlagKind, default: &'static str, usage: &'static str) -> Flag {
    Flag { name, kind, default, usage }
}

/// Tekton's default for `-result_from`.
const TERMINATION_MESSAGE: &str = "termination-message";

/// All flags, in the lexical order in which Go prints them (Tekton cmd/entrypoint/main.go, spire.go).
const FLAGS: [Flag; 24] = [
    flag("basic-docker", FlagKind::Repeated, "", "List of secret=url pairs."),
    flag("basic-git", FlagKind::Repeated, "", "List of secret=url pairs."),
    flag("breakpoint_on_failure", FlagKind::Switch, "", "If specified, expect steps to not skip on failure"),
    flag(
        "compress_termination_message",
        FlagKind::Switch,
        "",
        "If true, compress termination messages with flate to fit more results in the 4KB Kubernetes limit.",
    ),
    flag(
        "debug_before_step",
        FlagKind::Switch,
        "",
        "If specified, wait for a debugger to attach before executing the step",
    ),
    flag("docker-cfg", FlagKind::Repeated, "", "Docker .dockercfg secret file."),
    flag("docker-config", FlagKind::Repeated, "", "Docker config.json secret file."),
    flag(
        "enable_spire",
        FlagKind::Switch,
        "",
        "If specified by configmap, this enables spire signing and verification",
    ),
    flag("entrypoint", FlagKind::Text, "", "Original specified entrypoint to execute"),
    flag(
        "on_error",
        FlagKind::Text,
        "",
        "Set to \"continue\" to ignore an error and continue when a container terminates with a non-zero exit \
         code. Set to \"stopAndFail\" to declare a failure with a step error and stop executing the rest of the \
         steps.",
    ),
    flag("post_file", FlagKind::Text, "", "If specified, file to write upon completion"),
    flag(
        "result_from",
        FlagKind::Text,
        TERMINATION_MESSAGE,
        "The method using which to extract results from tasks. Default is using the termination message.",
    ),
    flag("results", FlagKind::Text, "", "If specified, list of file names that might contain task results"),
    flag(
        "spire_socket_path",
        FlagKind::Text,
        "unix:///spiffe-workload-api/spire-agent.sock",
        "Experimental: The SPIRE agent socket for SPIFFE workload API.",
    ),
    flag("ssh-git", FlagKind::Repeated, "", "List of secret=url pairs."),
    flag("stderr_path", FlagKind::Text, "", "If specified, file to copy stderr to"),
    flag("stdout_path", FlagKind::Text, "", "If specified, file to copy stdout to"),
    flag(
        "step_metadata_dir",
        FlagKind::Text,
        "",
        "If specified, create directory to store the step metadata e.g. /tekton/steps/<step-name>/",
    ),
    flag("step_results", FlagKind::Text, "", "step results if specified"),
    flag(
        "termination_path",
        FlagKind::Text,
        "/tekton/termination",
        "If specified, file to write upon termination",
    ),
    flag("timeout", FlagKind::Duration, "", "If specified, sets timeout for step"),
    flag("wait_file", FlagKind::Text, "", "Comma-separated list of paths to wait for"),
    flag("wait_file_content", FlagKind::Switch, "", "If specified, expect wait_file to have content"),
    flag("when_expressions", FlagKind::Text, "", "when expressions if specified"),
];

/// A command line that Go's `flag` refuses, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// `-h`, `-help`: not an error, but parsing ends.
    #[error("flag: help requested")]
    Help,
    /// `---x`, `-=x`.
    #[error("bad flag syntax: {}", .arg.display())]
    BadSyntax {
        /// The whole argument.
        arg: OsString,
    },
    /// A flag that does not exist.
    #[error("flag provided but not defined: -{}", .name.display())]
    NotDefined {
        /// Its name without dashes.
        name: OsString,
    },
    /// The last argument is a flag that takes a value.
    #[error("flag needs an argument: -{name}")]
    NeedsArgument {
        /// The flag.
        name: &'static str,
    },
    /// A switch with `=` and something that is not a Go boolean.
    #[error("invalid boolean value {} for -{name}: parse error", quote(.value))]
    InvalidBoolean {
        /// The flag.
        name: &'static str,
        /// What was given.
        value: OsString,
    },
    /// A value that the flag refuses.
    #[error("invalid value {} for flag -{name}: {reason}", quote(.value))]
    InvalidValue {
        /// The flag.
        name: &'static str,
        /// What was given.
        value: OsString,
        /// Why not.
        reason: String,
    },
}

/// A refused command line, with its post file: the steps that wait for it must not hang.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub error: FlagError,
    /// `-post_file`, as far as it can be told.
    pub post_file: PathBuf,
}

/// The parsed command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// `-entrypoint`: the program; empty means `TEKTON_PLATFORM_COMMANDS` (docs/tekton-contract.md 1.5).
    pub entrypoint: OsString,
    /// What follows the first `--`: the program's arguments.
    pub command_args: Vec<OsString>,
    /// Arguments that are not flags: a subcommand, or ignored.
    pub positionals: Vec<OsString>,
    /// `-wait_file`: comma-separated.
    pub wait_file: OsString,
    /// `-wait_file_content`
    pub wait_file_content: bool,
    /// `-post_file`; empty means none.
    pub post_file: PathBuf,
    /// `-termination_path`, if given.
    pub termination_path: Option<PathBuf>,
    /// `-results`: comma-separated.
    pub results: OsString,
    /// `-step_results`: comma-separated.
    pub step_results: OsString,
    /// `-when_expressions`: JSON.
    pub when_expressions: OsString,
    /// `-timeout` in nanoseconds.
    pub timeout: i64,
    /// `-stdout_path`
    pub stdout_path: PathBuf,
    /// `-stderr_path`
    pub stderr_path: PathBuf,
    /// `-breakpoint_on_failure`
    pub breakpoint_on_failure: bool,
    /// `-debug_before_step`
    pub debug_before_step: bool,
    /// `-on_error`: only the exact value `continue` has an effect.
    pub on_error: OsString,
    /// `-step_metadata_dir`; empty means the current directory.
    pub step_metadata_dir: PathBuf,
    /// `-result_from`, if given.
    pub result_from: Option<OsString>,
    /// `-compress_termination_message`
    pub compress_termination_message: bool,
    /// `-enable_spire`
    pub enable_spire: bool,
    /// `-spire_socket_path`, if given explicitly.
    pub spire_socket_path: Option<OsString>,
    /// `-basic-git`, `-ssh-git`, `-basic-docker`, `-docker-config`, `-docker-cfg`.
    pub credentials: Credentials,
}

impl Args {
    /// True if `-on_error=continue`.
    pub fn on_error_continue(&self) -> bool {
        self.on_error == "continue"
    }

    /// True if the step signs: `-enable_spire`, and no socket path that was explicitly left empty, which switches
    /// signing off silently (docs/tekton-contract.md 1.6).
    pub fn signs(&self) -> bool {
        self.enable_spire && self.spire_socket_path.as_ref().is_none_or(|path| !path.is_empty())
    }

    /// True if results travel in the termination message, and not by the results sidecar's log.
    pub fn results_in_message(&self) -> bool {
        self.result_from.as_ref().is_none_or(|from| from == TERMINATION_MESSAGE)
    }

    /// How the termination message is written.
    pub fn encoding(&self) -> Encoding {
        if self.compress_termination_message { Encoding::Compressed } else { Encoding::Json }
    }

    /// `-timeout`, if there is a limit.
    pub fn time_limit(&self) -> Option<Duration> {
        u64::try_from(self.timeout).ok().filter(|&limit| limit > 0).map(Duration::from_nanos)
    }

    fn set(&mut self, flag: &'static Flag, value: OsString, roots: &Roots) -> Result<(), FlagError> {
        match flag.name {
            "entrypoint" => self.entrypoint = value,
            "wait_file" => self.wait_file = value,
            "post_file" => self.post_file = value.into(),
            "termination_path" => self.termination_path = Some(value.into()),
            "results" => self.results = value,
            "step_results" => self.step_results = value,
            "when_expressions" => self.when_expressions = value,
            "stdout_path" => self.stdout_path = value.into(),
            "stderr_path" => self.stderr_path = value.into(),
            "on_error" => self.on_error = value,
            "step_metadata_dir" => self.step_metadata_dir = value.into(),
            "result_from" => self.result_from = Some(value),
            "spire_socket_path" => self.spire_socket_path = Some(value),
            "timeout" => match duration::parse(value.as_bytes()) {
                Some(nanoseconds) => self.timeout = nanoseconds,
                None => {
                    let reason = "parse error".into();
                    return Err(FlagError::InvalidValue { name: flag.name, value, reason });
                }
            },
            _ => {
                if let Err(error) = self.credentials.set(flag.name, &value, &roots.creds_secrets()) {
                    let reason = error.to_string();
                    return Err(FlagError::InvalidValue { name: flag.name, value, reason });
                }
            }
        }
        Ok(())
    }

    fn switch(&mut self, flag: &'static Flag, on: bool) {
        match flag.name {
            "wait_file_content" => self.wait_file_content = on,
            "breakpoint_on_failure" => self.breakpoint_on_failure = on,
            "debug_before_step" => self.debug_before_step = on,
            "compress_termination_message" => self.compress_termination_message = on,
            _ => self.enable_spire = on,
        }
    }
}

/// Where the arguments (without argv\[0\]) are cut: at the first `--` (Tekton cmd/entrypoint/args.go;
/// docs/tekton-contract.md 1.2). At index 0 Tekton does not cut: the flag parser then takes `--` as its own end mark.
fn cut(arguments: &[OsString]) -> Option<usize> {
    arguments.iter().position(|arg| arg == "--").filter(|&at| at > 0)
}

/// Flags and other arguments, and what follows the cut.
fn split(mut arguments: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let Some(at) = cut(&arguments) else { return (arguments, Vec::new()) };
    let command = arguments.split_off(at + 1);
    arguments.pop();
    (arguments, command)
}

/// Parses the arguments, argv\[0\] not among them. Credential flags read their files meanwhile (docs/tekton-contract.md 1.4).
pub fn parse(arguments: Vec<OsString>, roots: &Roots) -> Result<Args, Box<Refused>> {
    let (arguments, command_args) = split(arguments);
    let mut args = Args { command_args, ..Args::default() };
    let all = arguments.clone();
    match parse_flags(&mut args, arguments, roots) {
        Ok(()) => Ok(args),
        Err(error) => {
            let known = std::mem::take(&mut args.post_file);
            let post_file = if known.as_os_str().is_empty() { post_file_in(&all) } else { known };
            Err(Box::new(Refused { error, post_file }))
        }
    }
}

/// `-post_file` before anything is parsed, as far as it can be told; argv\[0\] not among the arguments.
pub fn post_file(arguments: &[OsString]) -> PathBuf {
    post_file_in(&arguments[..cut(arguments).unwrap_or(arguments.len())])
}

/// The post file of a command line that cannot be parsed, as far as it can be told.
fn post_file_in(arguments: &[OsString]) -> PathBuf {
    let value = |argument: &OsString| {
        let bytes = argument.as_bytes();
        let name = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
        name.strip_prefix(b"post_file").map(<[u8]>::to_vec)
    };
    let mut found = PathBuf::new();
    for (i, argument) in arguments.iter().enumerate() {
        match value(argument).as_deref() {
            Some([]) => found = arguments.get(i + 1).map(PathBuf::from).unwrap_or_default(),
            Some([b'=', path @ ..]) => found = PathBuf::from(OsStr::from_bytes(path)),
            _ => {}
        }
    }
    found
}

/// Go flag.FlagSet.parseOne, in a loop.
fn parse_flags(args: &mut Args, arguments: Vec<OsString>, roots: &Roots) -> Result<(), FlagError> {
    let mut rest = arguments.into_iter().peekable();
    while let Some(next) = rest.peek() {
        let bytes = next.as_bytes();
        if bytes.len() < 2 || bytes[0] != b'-' {
            break;
        }
        if bytes == b"--" {
            rest.next();
            break;
        }
        let Some(arg) = rest.next() else { break };
        let bytes = arg.as_bytes();
        let body = bytes.strip_prefix(b"--").unwrap_or(&bytes[1..]);
        if body.is_empty() || body[0] == b'-' || body[0] == b'=' {
            return Err(FlagError::BadSyntax { arg });
        }
        let (name, value) = match body.iter().position(|&b| b == b'=') {
            Some(at) => (&body[..at], Some(os(&body[at + 1..]))),
            None => (body, None),
        };
        let Some(flag) = FLAGS.iter().find(|flag| flag.name.as_bytes() == name) else {
            return Err(match name {
                b"help" | b"h" => FlagError::Help,
                _ => FlagError::NotDefined { name: os(name) },
            });
        };
        match (flag.kind, value) {
            (FlagKind::Switch, None) => args.switch(flag, true),
            (FlagKind::Switch, Some(value)) => match parse_bool(value.as_bytes()) {
                Some(on) => args.switch(flag, on),
                None => return Err(FlagError::InvalidBoolean { name: flag.name, value }),
            },
            (_, Some(value)) => args.set(flag, value, roots)?,
            (_, None) => match rest.next() {
                Some(value) => args.set(flag, value, roots)?,
                None => return Err(FlagError::NeedsArgument { name: flag.name }),
            },
        }
    }
    args.positionals = rest.collect();
    Ok(())
}

fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// Go flag.PrintDefaults with its heading.
pub fn usage(program: &OsStr) -> String {
    let mut out = format!("Usage of {}:\n", program.display());
    for flag in &FLAGS {
        let kind = match flag.kind {
            FlagKind::Text => " string",
            FlagKind::Switch => "",
            FlagKind::Duration => " duration",
            FlagKind::Repeated => " value",
        };
        let _ = write!(out, "  -{}{kind}\n    \t{}", flag.name, flag.usage);
        if !flag.default.is_empty() {
            let _ = write!(out, " (default \"{}\")", flag.default);
        }
        out.push('\n');
    }
    out
}
