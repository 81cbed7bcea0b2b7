//! `svidence man`: the manual pages, which `make release` puts beside the program.

use std::{fs, io, path::Path};

/// Writes `svidence.1` and a page for each subcommand into `folder`.
pub(super) fn write(folder: &Path, command: clap::Command) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // They hold no date: the same source gives the same pages.
    clap_mangen::generate_to(command.disable_help_subcommand(true), folder)
}
