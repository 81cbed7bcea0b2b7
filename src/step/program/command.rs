//! Which command a step runs (docs/tekton-contract.md 1.5; Tekton cmd/entrypoint/main.go, pkg/platforms).

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use go::{
    json::{self, Json, SyntaxError, TypeError},
    text::quote,
};

use crate::step::program::environment::Environment;

/// Holds the commands of an image's platforms for a step whose task states none.
const PLATFORM_COMMANDS: &str = "TEKTON_PLATFORM_COMMANDS";

/// Why there is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The variable holds no JSON.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// It holds other JSON than lists of strings by platform.
    #[error(transparent)]
    Type(#[from] TypeError),
    /// The image has none for this platform.
    #[error("could not find command for platform {}", quote(OsStr::new(.platform)))]
    NoPlatform {
        /// The platform, `linux/amd64` for example.
        platform: &'static str,
    },
}

/// The program and its arguments; empty if the image states an empty command and there are no arguments.
pub fn select(
    entrypoint: &OsStr,
    arguments: &[OsString],
    environment: &Environment,
) -> Result<Vec<OsString>, CommandError> {
    let mut command = match entrypoint.is_empty() {
        false => vec![entrypoint.to_owned()],
        true => of_platform(environment.get(PLATFORM_COMMANDS).unwrap_or_default(), platform())?,
    };
    command.extend(arguments.iter().cloned());
    Ok(command)
}

/// The command of a platform, or of the platform without its last part: `linux/arm64` for `linux/arm64/v8`.
fn of_platform(json: &OsStr, platform: &'static str) -> Result<Vec<OsString>, CommandError> {
    let json = json::parse(json.as_bytes())?;
    let mut commands = Vec::new();
    for (name, command) in json.as_members("", "map[string][]string")? {
        let words = command.as_list("", "[]string", |word: &Json| word.as_text(""))?;
        commands.push((name.as_str(), words.unwrap_or_default()));
    }
    let shorter = platform.rsplit_once('/').map_or(platform, |(shorter, _)| shorter);
    [platform, shorter]
        .into_iter()
        .find_map(|wanted| commands.iter().rev().find(|(name, _)| *name == wanted))
        .map(|(_, words)| words.iter().map(OsString::from).collect())
        .ok_or(CommandError::NoPlatform { platform })
}

/// This program's own platform in Go's names, with the variant that Tekton gives to ARM.
const fn platform() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "linux/amd64"
    } else if cfg!(target_arch = "aarch64") {
        "linux/arm64/v8"
    } else if cfg!(target_arch = "arm") {
        "linux/arm/unknown"
    } else if cfg!(target_arch = "s390x") {
        "linux/s390x"
    } else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
        "linux/ppc64le"
    } else if cfg!(target_arch = "riscv64") {
        "linux/riscv64"
    } else {
        panic!("Tekton has no name for this platform")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_or_the_one_above_it() {
        let json = r#"{"linux/arm64/v8":["a"],"linux/arm64":["b"],"linux/amd64":["c","d"],"linux":["e"],"linux/arm":null}"#;
        for (platform, command) in [
            ("linux/arm64/v8", Ok(&["a"][..])),
            ("linux/arm64/v9", Ok(&["b"])),
            ("linux/amd64", Ok(&["c", "d"])),
            ("linux/s390x", Ok(&["e"])),
            ("linux/arm/unknown", Ok(&[])),
            ("windows/amd64", Err(CommandError::NoPlatform { platform: "windows/amd64" })),
        ] {
            let command = command.map(|words| words.iter().map(OsString::from).collect());
            assert_eq!(of_platform(OsStr::new(json), platform), command, "{platform}");
        }
    }
}
