//! `svidence completion`: scripts that make a shell complete its arguments.

use clap_complete::{Shell, generate};

pub(super) const EXAMPLES: &str = "\
Examples:
  bash:        source <(svidence completion bash)
  zsh:         svidence completion zsh > \"${fpath[1]}/_svidence\"
  fish:        svidence completion fish > ~/.config/fish/completions/svidence.fish
  powershell:  svidence completion powershell | Out-String | Invoke-Expression
  elvish:      eval (svidence completion elvish | slurp)";

/// The script for a shell.
pub(super) fn script(shell: Shell, mut command: clap::Command) -> Vec<u8> {
    let mut script = Vec::new();
    generate(shell, &mut command, super::NAME, &mut script);
    script
}
