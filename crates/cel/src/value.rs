//! Values, and how they compare (cel-go common/types).

use std::{cmp::Ordering, collections::HashMap, rc::Rc};

use crate::moment::Moment;

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    List(Rc<Vec<Self>>),
    Map(Rc<Map>),
    /// A type, by its name at run time.
    Type(&'static str),
    Timestamp(Moment),
    /// Nanoseconds.
    Duration(i64),
    /// `google.protobuf.Empty{}`
    Empty,
}

/// The kind of a value: what overloads are chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    List,
    Map,
    Type,
    Timestamp,
    Duration,
    Empty,
}

impl ValueKind {
    /// The type's name in CEL, and cel-go's name of its Go type, which some errors show.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Null => ("null_type", "types.Null"),
            Self::Bool => ("bool", "types.Bool"),
            Self::Int => ("int", "types.Int"),
            Self::Uint => ("uint", "types.Uint"),
            Self::Double => ("double", "types.Double"),
            Self::Text => ("string", "types.String"),
            Self::Bytes => ("bytes", "types.Bytes"),
            Self::List => ("list", "*types.baseList"),
            Self::Map => ("map", "*types.baseMap"),
            Self::Type => ("type", "*types.Type"),
            Self::Timestamp => ("google.protobuf.Timestamp", "types.Timestamp"),
            Self::Duration => ("google.protobuf.Duration", "types.Duration"),
            Self::Empty => ("google.protobuf.Empty", "*types.protoObj"),
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.names().0
    }

    pub(super) fn go_name(self) -> &'static str {
        self.names().1
    }
}

/// A value cannot be a key: cel-go panics with this reason and gives up on the whole expression.
#[derive(Debug)]
pub(super) struct NoKey;

/// A map that keeps the order of its keys. cel-go's order is random.
#[derive(Debug, Default)]
pub(super) struct Map {
    pub(super) entries: Vec<(Value, Value)>,
    index: HashMap<Key, usize>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(u64),
    Text(Rc<str>),
    Type(&'static str),
    Timestamp(Moment),
    Duration(i64),
    /// Lists and maps are the same key only if they are the same object.
    Object(*const ()),
}

impl Key {
    /// `None`: it equals nothing.
    fn of(value: &Value) -> Result<Option<Self>, NoKey> {
        Ok(Some(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Uint(value) => Self::Uint(*value),
            Value::Double(value) if value.is_nan() => return Ok(None),
            // Minus zero is zero.
            Value::Double(value) => Self::Double((value + 0.0).to_bits()),
            Value::Text(value) => Self::Text(Rc::clone(value)),
            Value::Type(name) => Self::Type(name),
            Value::Timestamp(moment) => Self::Timestamp(*moment),
            Value::Duration(nanoseconds) => Self::Duration(*nanoseconds),
            Value::List(list) => Self::Object(Rc::as_ptr(list).cast()),
            Value::Map(map) => Self::Object(Rc::as_ptr(map).cast()),
            Value::Empty => return Ok(None),
            Value::Bytes(_) => return Err(NoKey),
        }))
    }
}

impl Map {
    /// The last value of a key wins.
    pub(super) fn insert(&mut self, key: Value, value: Value) -> Result<(), NoKey> {
        let Some(name) = Key::of(&key)? else {
            self.entries.push((key, value));
            return Ok(());
        };
        match self.index.get(&name) {
            Some(&at) => self.entries[at].1 = value,
            None => {
                self.index.insert(name, self.entries.len());
                self.entries.push((key, value));
            }
        }
        Ok(())
    }

    fn exactly(&self, key: &Value) -> Result<Option<&Value>, NoKey> {
        Ok(Key::of(key)?.and_then(|key| self.index.get(&key)).map(|&at| &self.entries[at].1))
    }

    /// The value of this key, or of the same number as another type (common/types/map.go refValMapAccessor.Find).
    pub(super) fn find(&self, key: &Value) -> Result<Option<&Value>, NoKey> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        if let Some(found) = self.exactly(key)? {
            return Ok(Some(found));
        }
        let others = match *key {
            Value::Double(value) => [double_to_int(value), double_to_uint(value)],
            Value::Int(value) => [u64::try_from(value).ok().map(Value::Uint), None],
            Value::Uint(value) => [i64::try_from(value).ok().map(Value::Int), None],
            _ => [None, None],
        };
        for other in others.into_iter().flatten() {
            if let Some(found) = self.exactly(&other)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The int that is exactly this double.
pub(super) fn double_to_int(value: f64) -> Option<Value> {
    let int = value as i64;
    (value > i64::MIN as f64 && value < i64::MAX as f64 && int as f64 == value).then_some(Value::Int(int))
}

fn double_to_uint(value: f64) -> Option<Value> {
    let uint = value as u64;
    (value >= 0.0 && value < u64::MAX as f64 && uint as f64 == value).then_some(Value::Uint(uint))
}

impl Value {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn list(elements: Vec<Self>) -> Self {
        Self::List(Rc::new(elements))
    }

    pub(super) fn kind(&self) -> ValueKind {
        match self {
            Self::Null => ValueKind::Null,
            Self::Bool(_) => ValueKind::Bool,
            Self::Int(_) => ValueKind::Int,
            Self::Uint(_) => ValueKind::Uint,
            Self::Double(_) => ValueKind::Double,
            Self::Text(_) => ValueKind::Text,
            Self::Bytes(_) => ValueKind::Bytes,
            Self::List(_) => ValueKind::List,
            Self::Map(_) => ValueKind::Map,
            Self::Type(_) => ValueKind::Type,
            Self::Timestamp(_) => ValueKind::Timestamp,
            Self::Duration(_) => ValueKind::Duration,
            Self::Empty => ValueKind::Empty,
        }
    }

    /// The order of two values that have one. `Ok(None)`: they are of kinds that do not compare.
    pub(super) fn compare(&self, other: &Self) -> Result<Option<Ordering>, &'static str> {
        let not_a_number = |value: &Self| matches!(value, Self::Double(value) if value.is_nan());
        Ok(Some(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Duration(a), Self::Duration(b)) => a.cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) => a.instant().cmp(&b.instant()),
            (a, b) => match numbers(a, b) {
                Some(_) if not_a_number(a) || not_a_number(b) => return Err("NaN values cannot be ordered"),
                Some(order) => order,
                None => return Ok(None),
            },
        }))
    }
}

/// The order of two numbers of whatever types (common/types/compare.go); equal if one of them is NaN. Large ints compare
/// with doubles as the doubles nearest to them.
pub(super) fn numbers(a: &Value, b: &Value) -> Option<Ordering> {
    Some(match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Uint(a), Value::Uint(b)) => a.cmp(b),
        (Value::Int(a), Value::Uint(b)) => i128::from(*a).cmp(&i128::from(*b)),
        (Value::Uint(a), Value::Int(b)) => i128::from(*a).cmp(&i128::from(*b)),
        (Value::Double(a), Value::Double(b)) => doubles(*a, *b),
        (Value::Double(a), Value::Int(b)) => doubles(*a, *b as f64),
        (Value::Int(a), Value::Double(b)) => doubles(*a as f64, *b),
        (Value::Double(a), Value::Uint(b)) => doubles(*a, *b as f64),
        (Value::Uint(a), Value::Double(b)) => doubles(*a as f64, *b),
        _ => return None,
    })
}

fn doubles(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or(Ordering::Equal)
}
