//! Objects made to exhaust the verifier cost what honest ones cost: time and memory grow with their size, whatever they hold
//! many of, and no byte costs many times what a byte of a genuine one does.
//!
//! CPU time is that of a process of its own for each input. `SVIDENCE_OPTIMISED` names the program that is measured, one that
//! is optimised, as `make test` builds it: only there are the costs of different work comparable. Without it, it is the one that
//! was built for the tests.

#![cfg(feature = "cli")]

#[path = "support/hostile.rs"]
mod hostile;
mod pki;
mod support;
#[path = "support/token.rs"]
mod token;

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use hostile::{Shape, bundle, genuine, shapes};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};
use ring::rand::SystemRandom;
use support::{corpus, signed::file, skip::skip};
use svidence::standin::ca::DevCa;
use tempfile::NamedTempFile;
use time::OffsetDateTime;
use unixtime::UnixSeconds;

/// Of twice the size at most this many times the CPU time: sorting and what does not fit into a cache take a little more than
/// twice, and no measurement is exact. A list that is searched in a list takes four times.
///
/// A cache that is shared with other work may end just between the two sizes. So what grows faster is compared with half the size
/// too: of four times the size at most this many times squared, where a list that is searched in a list takes sixteen times.
const GROWTH: f64 = 3.0;
/// Less CPU time than that is not told from what a process takes to start, seconds.
const RESOLUTION: f64 = 0.03;
/// The same for a quarter of the size: so little that what takes sixteen times as much is still seen in whatever the first
/// comparison finds too much.
const RESOLUTION_OF_QUARTER: f64 = 0.01;
/// The best of so many measurements counts; beside other work a processor may be half as fast for a while.
const TRIES: usize = 12;
/// A byte of a hostile object may cost this many times what a byte of a genuine one costs.
const PER_BYTE: f64 = 20.0;
/// Each object has a line in the report, so the smallest ones count for more bytes than they have.
const SMALLEST: f64 = 16.0;
/// Memory for each byte of an object, bytes, and besides: 32 MiB of answers may be under way, however small the objects. The
/// largest object that is read has 16 MiB.
const MEMORY_PER_BYTE: f64 = 64.0;
const MEMORY: f64 = 64e6;

/// What was spent on one input.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// CPU time, seconds.
    cpu: f64,
    /// The largest resident memory, bytes, if it can be told.
    memory: Option<f64>,
    verified: usize,
}

/// Children are measured all together, so there is one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn optimised() -> Option<PathBuf> {
    env::var_os("SVIDENCE_OPTIMISED").map(PathBuf::from)
}

fn children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
}

/// Verifies an input of so many objects. Without their number, or with one that ends only with the input, memory is not told.
fn cost(case: &str, input: &[u8], objects: Option<usize>, bundle: &Path) -> Cost {
    cost_with(case, input, objects, bundle, "json", &[])
}

fn cost_with(
    case: &str,
    input: &[u8],
    objects: Option<usize>,
    bundle: &Path,
    format: &str,
    files: &[(&str, NamedTempFile)],
) -> Cost {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = children();
    let program = optimised().unwrap_or_else(|| env!("CARGO_BIN_EXE_svidence").into());
    let mut child = Command::new(program)
        .args(["verify", "-", "--jobs=1", "--trust-domain=example.org", "--output", format, "--bundle"])
        .arg(bundle)
        .args(files.iter().flat_map(|(option, file)| [option.as_ref(), file.path().as_os_str()]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut verified, mut memory) = (0, None);
    let mut is_verified = |line: String| verified += usize::from(line.contains(r#""accepted":true"#));
    thread::scope(|scope| {
        let (end, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            // It may end before it has read everything.
            let _ = stdin.write_all(input).and_then(|()| stdin.write_all(b"\n"));
            let _ = ended.recv();
        });
        if let Some(objects) = objects {
            lines.by_ref().take(objects).for_each(|line| is_verified(line.unwrap()));
            // All are judged, and it waits for more, or it has ended because nothing could be read behind it.
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            let peak =
                status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
            memory = peak.map(|peak| 1024.0 * peak.trim().parse::<f64>().unwrap());
        }
        drop(end);
        lines.for_each(|line| is_verified(line.unwrap()));
    });
    let status = child.wait().unwrap();
    assert!(status.code().is_some_and(|code| code <= 4), "{case}: {status}");
    Cost { cpu: children() - before, memory, verified }
}

/// What a shape of that size costs, and its bytes: those that are read, compressed or not, and the operator's.
fn cost_of(shape: &Shape, size: usize, bundle: &Path) -> (Cost, f64) {
    let input = (shape.input)(size);
    let files = (shape.files)(size);
    let bytes = input.len() + files.iter().map(|(_, content)| content.len()).sum::<usize>();
    let input = (shape.packed)(input);
    let bytes = bytes.max(input.len());
    let files: Vec<_> = files.iter().map(|(option, content)| (*option, file(content))).collect();
    let objects = Some((shape.objects)(size)).filter(|_| !shape.needs_end);
    (cost_with(shape.name, &input, objects, bundle, shape.format, &files), bytes as f64)
}

/// What it takes to start and to verify one small object.
fn start(bundle: &Path) -> f64 {
    (0..TRIES)
        .map(|_| cost("genuine", genuine().to_string().as_bytes(), Some(1), bundle).cpu)
        .fold(f64::INFINITY, f64::min)
}

/// CPU time for each byte of genuine TaskRuns, each with a certificate of its own.
fn genuine_per_byte() -> f64 {
    let random = SystemRandom::new();
    let created = OffsetDateTime::now_utc() - time::Duration::seconds(300);
    let ca = DevCa::new("example.org", UnixSeconds::new(created.unix_timestamp() - 60), &random).unwrap();
    let shape = corpus::Shape { steps: 3, results: 5, beside: false };
    let lines: String = (0..400)
        .map(|number| format!("{}\n", corpus::task_run(&ca, number, shape, created).object))
        .collect();
    let bundle = file(&ca.bundle_pem());
    let start = start(bundle.path());
    let cpu = (0..5).map(|_| {
        let cost = cost("genuine", lines.as_bytes(), Some(400), bundle.path());
        assert_eq!(cost.verified, 400);
        cost.cpu - start
    });
    cpu.fold(f64::INFINITY, f64::min) / lines.len() as f64
}

/// All shapes, or those whose name has the text of `SVIDENCE_SHAPE` in it.
fn wanted() -> impl Iterator<Item = &'static Shape> {
    let only = env::var("SVIDENCE_SHAPE").unwrap_or_default();
    shapes().filter(move |shape| shape.name.contains(&only))
}

/// CPU time of a size and of a larger one, seconds, measured one right after the other.
#[derive(Debug, Clone, Copy)]
struct Pair {
    smaller: f64,
    larger: f64,
}

/// Whether the larger size, of so many times the bytes, costs at most so many times what the smaller one does for each byte.
///
/// The least cost of each size is what it takes without other work. But while there is other work for minutes, only the short
/// runs ever find a moment without it; then what was measured at about the same time is compared, and half of these pairs at
/// least must be too far apart. A list that is searched in a list is too much by either measure.
fn is_proportionate(pairs: &[Pair], times: f64, allowed: f64, resolution: f64) -> bool {
    let limit = |smaller: f64| allowed * times * smaller.max(resolution);
    let least = |cost: fn(&Pair) -> f64| pairs.iter().map(cost).fold(f64::INFINITY, f64::min);
    let above = pairs.iter().filter(|pair| pair.larger > limit(pair.smaller)).count();
    least(|pair| pair.larger) <= limit(least(|pair| pair.smaller))
        || pairs.len() == TRIES && 2 * above < pairs.len()
}

#[test]
fn other_work_is_not_taken_for_growth_nor_growth_for_other_work() {
    let pairs = |cost: fn(usize) -> (f64, f64)| -> Vec<Pair> {
        (0..TRIES).map(cost).map(|(smaller, larger)| Pair { smaller, larger }).collect()
    };
    let slowed = |number: usize| [1.0, 1.9, 1.3, 1.7][number % 4];
    let cases: [(&str, Vec<Pair>, bool); 6] = [
        ("linear", pairs(|_| (0.1, 0.2)), true),
        ("linear, and only one short run is alone", pairs(|n| (if n == 3 { 0.05 } else { 0.1 }, 0.2)), true),
        (
            "linear, beside work that comes and goes",
            pairs(|n| (0.1 * [1.0, 1.9, 1.3, 1.7][n % 4], 0.2 * [1.9, 1.3, 1.7, 1.6][n % 4])),
            true,
        ),
        ("a list in a list", pairs(|_| (0.1, 0.4)), false),
        (
            "a list in a list, and only one long run is alone",
            pairs(|n| (0.2, if n == 3 { 0.4 } else { 0.8 })),
            true,
        ),
        (
            "a list in a list, beside work that comes and goes",
            (0..TRIES).map(|n| Pair { smaller: 0.1 * slowed(n), larger: 0.4 * slowed(n + 1) }).collect(),
            false,
        ),
    ];
    for (case, pairs, expected) in cases {
        assert_eq!(is_proportionate(&pairs, 2.0, GROWTH / 2.0, RESOLUTION), expected, "{case}");
    }
}

/// Pairs of measurements of a shape at a size and at so many times that size; none if they are found proportionate.
fn disproportionate(
    shape: &Shape,
    size: usize,
    times: usize,
    (start, bundle): (f64, &Path),
    (allowed, resolution): (f64, f64),
) -> Result<Vec<Pair>, String> {
    let mut pairs = Vec::new();
    for _ in 0..TRIES {
        let ((smaller, shorter), (larger, bytes)) =
            (cost_of(shape, size, bundle), cost_of(shape, times * size, bundle));
        let expected = if shape.is_verified { (shape.objects)(size) } else { shape.genuine };
        if (smaller.verified, larger.verified) != (expected, expected) {
            return Err(format!("{}: {} and {} are verified", shape.name, smaller.verified, larger.verified));
        }
        if larger.memory.is_some_and(|memory| memory > MEMORY + MEMORY_PER_BYTE * bytes) {
            return Err(format!("{}: {:?} bytes of memory for {bytes} bytes", shape.name, larger.memory));
        }
        pairs.push(Pair { smaller: smaller.cpu - start, larger: larger.cpu - start });
        if is_proportionate(&pairs, bytes / shorter, allowed, resolution) {
            return Ok(Vec::new());
        }
    }
    Ok(pairs)
}

#[test]
fn twice_the_size_costs_twice_as_much() {
    let bundle = file(&bundle());
    let measure = (start(bundle.path()), bundle.path());
    // What is optimised is some times as fast, and less than a hundredth of a second is not measured well.
    let scale = if optimised().is_some() { 4 } else { 1 };
    let fault = |shape: &Shape| {
        let size = scale * shape.size;
        let twice = disproportionate(shape, size, 2, measure, (GROWTH / 2.0, RESOLUTION))?;
        if twice.is_empty() {
            return Ok(());
        }
        let quarter = ((GROWTH / 2.0).powi(2), RESOLUTION_OF_QUARTER);
        let four_times = disproportionate(shape, size / 2, 4, measure, quarter)?;
        if four_times.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{}: seconds for twice the size {twice:.3?}, for four times {four_times:.3?}",
            shape.name
        ))
    };
    let faults: Vec<String> = wanted().filter_map(|shape| fault(shape).err()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_byte_costs_many_times_what_a_genuine_one_does() {
    if optimised().is_none() {
        return skip(
            "no_byte_costs_many_times_what_a_genuine_one_does",
            "SVIDENCE_OPTIMISED names no optimised program",
        );
    }
    let genuine = genuine_per_byte();
    let bundle = file(&bundle());
    let start = start(bundle.path());
    eprintln!("a byte of a genuine TaskRun: {:.0} ns", 1e9 * genuine);
    let mut faults = Vec::new();
    for shape in wanted() {
        let mut least = f64::INFINITY;
        for _ in 0..TRIES {
            let (cost, bytes) = cost_of(shape, 4 * shape.size, bundle.path());
            let bytes = bytes.max(SMALLEST * (shape.objects)(4 * shape.size) as f64);
            least = least.min((cost.cpu - start) / bytes / genuine);
            if least <= PER_BYTE {
                break;
            }
        }
        eprintln!("{}: {least:.1} times", shape.name);
        if least > PER_BYTE {
            faults.push(format!("{}: {least:.1} times", shape.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
