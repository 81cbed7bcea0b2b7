//! The command line of svidence: one arm per subcommand in [`svidence::cli`].

use std::process::ExitCode;

/// musl's own allocator is several times slower on JSON.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    svidence::cli::main()
}
