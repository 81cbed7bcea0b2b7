//! The program that runs in every step's container in place of Tekton's own entrypoint.

use svidence::step::{roots::Roots, run};

svidence::block_signals_when_loaded!();

fn main() {
    std::process::exit(run::main(std::env::args_os().collect(), &Roots::real()));
}
