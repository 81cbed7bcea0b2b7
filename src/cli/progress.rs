//! How far `svidence verify` has come, on a terminal and only if it takes a while.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

/// Work that is done sooner shows nothing.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// The least time between two looks of it.
const DRAWN_EVERY: Duration = Duration::from_millis(100);
const WIDTH: u64 = 20;

/// A line that is drawn, and taken away before anything else is written.
pub(super) struct Bar {
    on_terminal: bool,
    /// Bytes of all sources, if that is known.
    total: Option<u64>,
    count: u64,
    start: Instant,
    last: Instant,
    shown: bool,
}

impl Bar {
    /// Nothing done yet, `now`. Without a terminal it is never drawn.
    pub(super) fn new(on_terminal: bool, total: Option<u64>, now: Instant) -> Self {
        Self { on_terminal, total, count: 0, start: now, last: now, shown: false }
    }

    /// Counts a TaskRun.
    pub(super) fn count(&mut self) {
        self.count += 1;
    }

    /// Takes the line away.
    pub(super) fn hide(&mut self, err: &mut dyn Write) -> io::Result<()> {
        if !std::mem::take(&mut self.shown) {
            return Ok(());
        }
        err.write_all(b"\r\x1b[K")?;
        err.flush()
    }

    /// Whether it is time to draw it.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let (since_start, since_last) = (now.duration_since(self.start), now.duration_since(self.last));
        self.on_terminal && since_start >= SHOWN_AFTER && since_last >= DRAWN_EVERY
    }

    /// Draws the line, after so many bytes.
    pub(super) fn draw(&mut self, now: Instant, bytes: u64, err: &mut dyn Write) -> io::Result<()> {
        self.last = now;
        self.shown = true;
        #[expect(clippy::as_conversions, reason = "only shown, rounded")]
        let float = |number: u64| number as f64;
        let rate = float(self.count) / now.duration_since(self.start).as_secs_f64();
        let megabytes = |bytes: u64| float(bytes) / 1e6;
        write!(err, "\r\x1b[K")?;
        if let Some(total) = self.total.filter(|total| *total > 0) {
            let done = bytes.min(total) * WIDTH / total;
            let bar: String = (0..WIDTH).map(|place| if place < done { '#' } else { ' ' }).collect();
            write!(err, "[{bar}] {:.0} of {:.0} MB, ", megabytes(bytes), megabytes(total))?;
        } else {
            write!(err, "{:.0} MB, ", megabytes(bytes))?;
        }
        write!(err, "{} TaskRuns, {rate:.0} a second", self.count)?;
        err.flush()
    }
}
