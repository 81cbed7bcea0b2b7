//! What the controller says of itself: a line of JSON for each thing that happened.

use std::io::Write;

use serde_json::{Map, Value};
use unixtime::UnixSeconds;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What was done.
    Info,
    /// What somebody should look at.
    Error,
}

/// Writes lines.
pub struct Log<'a> {
    out: &'a mut dyn Write,
    now: fn() -> UnixSeconds,
}

impl<'a> Log<'a> {
    /// To `out`, with the times of this clock.
    pub fn new(out: &'a mut dyn Write, now: fn() -> UnixSeconds) -> Self {
        Self { out, now }
    }

    /// Something that was done.
    pub fn info(&mut self, message: &str, fields: &[(&str, Value)]) {
        self.line(Level::Info, message, fields);
    }

    /// Something that somebody should look at.
    pub fn error(&mut self, message: &str, fields: &[(&str, Value)]) {
        self.line(Level::Error, message, fields);
    }

    fn line(&mut self, level: Level, message: &str, fields: &[(&str, Value)]) {
        let level = match level {
            Level::Info => "info",
            Level::Error => "error",
        };
        let first =
            [("time", (self.now)().to_string().into()), ("level", level.into()), ("message", message.into())];
        let fields = first.iter().chain(fields).map(|(name, value)| ((*name).to_owned(), value.clone()));
        // Who cannot be written to cannot be told, either.
        let _ = writeln!(self.out, "{}", Value::Object(fields.collect::<Map<_, _>>()));
    }
}
