//! `docs/benchmarks.md`: one part for each benchmark, which writes its own and leaves the others'.

use std::{fs, path::Path};

/// What comes before the part on the verifier.
const VERIFIER: &str = "<!-- The verifier: written by its own benchmark. -->\n";

/// What comes before the part on sources that are servers.
const SOURCES: &str = "<!-- Runs that a server has: written by their own benchmark. -->\n";

/// What comes before the part on the controller.
const CONTROLLER: &str = "<!-- The controller: written by its own benchmark. -->\n";

/// Which part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Entrypoint,
    Verifier,
    Sources,
    Controller,
}

/// Writes one part anew.
pub(crate) fn write(part: Part, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
    let old = fs::read_to_string(&file).unwrap_or_default();
    let (old, controller) = old.split_once(CONTROLLER).unwrap_or((&old, ""));
    let (old, sources) = old.split_once(SOURCES).unwrap_or((old, ""));
    let (entrypoint, verifier) = old.split_once(VERIFIER).unwrap_or((old, ""));
    let of = |which: Part, kept| if which == part { text } else { kept };
    let entrypoint = of(Part::Entrypoint, entrypoint);
    let mut new = entrypoint.trim_end().to_owned();
    for (which, head, kept) in [
        (Part::Verifier, VERIFIER, verifier),
        (Part::Sources, SOURCES, sources),
        (Part::Controller, CONTROLLER, controller),
    ] {
        let text = of(which, kept).trim_end();
        if !text.is_empty() {
            new.push_str(&format!("\n\n{head}{text}"));
        }
    }
    new.push('\n');
    fs::write(&file, new).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// The version that the peers are built from, `TEKTON` or `SPIRE`.
pub(crate) fn version(of: &str) -> String {
    let lines = include_str!("../../tests/peers/build.sh").lines();
    let version = lines.filter_map(|line| line.strip_prefix(of)?.strip_prefix('=')).next();
    version.unwrap_or("of unknown version").to_owned()
}

/// Cores, memory and kernel.
pub(crate) fn machine() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        line.map_or("?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kilobytes: f64 = memory.trim_end_matches(" kB").parse().unwrap_or(0.0);
    format!(
        "{cores} cores of {}, {:.0} GB, Linux {} {}",
        field(&read("/proc/cpuinfo"), "model name"),
        kilobytes * 1024.0 / 1e9,
        read("/proc/sys/kernel/osrelease").trim(),
        std::env::consts::ARCH,
    )
}
