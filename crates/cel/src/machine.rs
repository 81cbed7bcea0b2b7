//! What operations work with and may use up, and how they end.

use std::rc::Rc;

use go::zone::Zones;

use crate::{
    CelError, Limit,
    pattern::{self, Regex},
    value::{Map, NoKey, Value, numbers},
};

/// Steps of evaluation: each visited node is one. Nested macros multiply, and cel-go would go on for hours.
pub(crate) const MOST_STEPS: u64 = 10_000_000;

/// Bytes of texts and lists made during an evaluation, freed ones included: they can double with each operation.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// The outcome of an operation.
pub(crate) type Outcome = Result<Value, Fault>;

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum Fault {
    /// An error that `&&`, `||` and some macros may get over.
    Error(String),
    /// The end.
    Stop(CelError),
}

impl Fault {
    pub(crate) fn error(reason: &str) -> Self {
        Self::Error(reason.to_owned())
    }

    pub(crate) fn no_such_overload() -> Self {
        Self::error("no such overload")
    }
}

/// What operations work with and may use up.
pub(crate) struct Machine<'a> {
    zones: &'a Zones,
    steps: u64,
    bytes: usize,
    /// The last pattern: a macro tends to use the same one each time.
    pattern: Option<(Rc<str>, Regex, u64)>,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(zones: &'a Zones) -> Self {
        Machine { zones, steps: 0, bytes: 0, pattern: None }
    }

    /// How many steps were taken.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    pub(crate) fn step(&mut self, count: u64) -> Result<(), Fault> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > MOST_STEPS {
            return Err(Fault::Stop(CelError::TooLarge { limit: Limit::Steps(MOST_STEPS) }));
        }
        Ok(())
    }

    /// Makes sure that this many bytes may be allocated.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MOST_BYTES {
            return Err(Fault::Stop(CelError::TooLarge { limit: Limit::Bytes(MOST_BYTES) }));
        }
        Ok(())
    }

    /// Steps for reading a value as a whole: texts may be long.
    pub(crate) fn read(&mut self, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Text(text) => self.step(text.len() as u64 / 64),
            Value::Bytes(bytes) => self.step(bytes.len() as u64 / 64),
            _ => Ok(()),
        }
    }

    /// Whether two values of whatever types are equal (cel-go common/types Equal).
    pub(crate) fn equal(&mut self, a: &Value, b: &Value) -> Result<bool, Fault> {
        self.step(1)?;
        self.read(a)?;
        let not_a_number = |value: &Value| matches!(value, Value::Double(value) if value.is_nan());
        Ok(match (a, b) {
            (Value::Null, Value::Null) | (Value::Empty, Value::Empty) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Type(a), Value::Type(b)) => a == b,
            (Value::Timestamp(a), Value::Timestamp(b)) => a.instant() == b.instant(),
            (Value::Duration(a), Value::Duration(b)) => a == b,
            (Value::List(a), Value::List(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(b.iter()) {
                    if !self.equal(a, b)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Map(a), Value::Map(b)) => {
                if a.entries.len() != b.entries.len() {
                    return Ok(false);
                }
                for (key, value) in &a.entries {
                    match self.find(b, key)? {
                        Some(other) if self.equal(value, &other)? => {}
                        _ => return Ok(false),
                    }
                }
                true
            }
            (a, b) => {
                numbers(a, b).is_some_and(|order| order.is_eq() && !not_a_number(a) && !not_a_number(b))
            }
        })
    }

    fn no_key(_: NoKey) -> Fault {
        // cel-go panics here, which no `&&` or `||` gets over.
        let reason = "internal error: runtime error: hash of unhashable type types.Bytes";
        Fault::Stop(CelError::Evaluation { reason: reason.to_owned() })
    }

    pub(crate) fn find(&mut self, map: &Map, key: &Value) -> Result<Option<Value>, Fault> {
        self.read(key)?;
        map.find(key).map(|found| found.cloned()).map_err(Machine::no_key)
    }

    pub(crate) fn insert(&mut self, map: &mut Map, key: Value, value: Value) -> Result<(), Fault> {
        self.read(&key)?;
        map.insert(key, value).map_err(Machine::no_key)
    }

    /// The offset in seconds of the named time zone at an instant in seconds.
    pub(crate) fn zone_offset(&mut self, zone: &str, at: i64) -> Result<i64, Fault> {
        // A file is read.
        self.step(1_000)?;
        let zone = self.zones.find(zone).map_err(|unknown| Fault::Error(unknown.to_string()))?;
        Ok(zone.offset_at(at).into())
    }

    /// Whether the RE2 pattern matches somewhere in the text.
    pub(crate) fn matches(&mut self, text: &str, pattern: &Rc<str>) -> Result<bool, Fault> {
        let known = self.pattern.take().filter(|(known, ..)| known == pattern);
        let (known, mut regex, weight) = match known {
            Some(known) => known,
            None => {
                // What is inside groups is written again for each.
                self.step((pattern.len() as u64).saturating_mul(20))?;
                let read = pattern::read(pattern).map_err(|error| Fault::Error(error.to_string()))?;
                self.step(read.weight.saturating_mul(100).saturating_add(500))?;
                let regex = read.compile().map_err(|error| Fault::Error(error.to_string()))?;
                (Rc::clone(pattern), regex, read.weight)
            }
        };
        // The time it can take at worst grows with both.
        self.step((text.len() as u64).saturating_mul(weight) / 16)?;
        let matched = regex.is_match(text);
        self.pattern = Some((known, regex, weight));
        Ok(matched)
    }
}
