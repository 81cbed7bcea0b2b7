//! The program that runs in every step's container in place of Tekton's own entrypoint.

use svidence::step::{roots::Roots, run, stack};

svidence::block_signals_when_loaded!();

fn main() {
    std::process::exit(stack::with_enough(&|| run::main(std::env::args_os().collect(), &Roots::real())));
}
