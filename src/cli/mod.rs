//! Arguments and printing of each subcommand of svidence.
