//! How much memory `svidence verify` takes at most.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
    thread,
};

use super::programs::Corpus;

/// Its largest resident memory in MB while it has verified so many TaskRuns of its input.
pub(crate) fn peak(corpus: &Corpus, count: usize) -> f64 {
    let mut child = corpus
        .verify(["-"])
        .args(["-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("svidence runs");
    let text = fs::read_to_string(&corpus.task_runs).expect("the corpus");
    let mut stdin = child.stdin.take().expect("its input");
    let writer = thread::spawn(move || {
        for line in text.lines().cycle().take(count) {
            stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n")).expect("it reads");
        }
        stdin
    });
    let mut out = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    for number in 0..count {
        line.clear();
        out.read_line(&mut line).expect("its output");
        assert!(line.contains(r#""verdict":"verified""#), "TaskRun {number}: {line}");
    }
    // All are judged, and it waits for more.
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("its status");
    let kilobytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
        .expect("VmHWM");
    drop(writer.join());
    assert!(child.wait().expect("it ends").success());
    kilobytes * 1024.0 / 1e6
}
