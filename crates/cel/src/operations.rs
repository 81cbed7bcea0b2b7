//! What the overloads do (cel-go common/types, common/stdlib/standard.go). Each is called with arguments of its types
//! only; [`crate::overloads`] sees to that.

use std::cmp::Ordering;

use go::{
    duration,
    flag::parse_bool,
    number::{self, double_text},
};

use crate::{
    machine::{Fault, Machine, Outcome},
    moment::{Moment, NANOSECONDS},
    value::{self, Value, ValueKind},
};

const INT_OVERFLOW: &str = "integer overflow";
const UINT_OVERFLOW: &str = "unsigned integer overflow";
const TIMESTAMP_OVERFLOW: &str = "timestamp overflow";

/// Implements overloads whose arguments match one pattern. The other arm is never taken: see the module's head.
macro_rules! overloads {
    ($($name:ident($machine:pat, $($argument:pat),+) => $result:expr;)+) => {
        $(
            pub(super) fn $name(machine: &mut Machine<'_>, arguments: &[Value]) -> Outcome {
                let $machine = machine;
                match arguments {
                    [$($argument),+] => $result,
                    _ => Err(Fault::error("no such overload")),
                }
            }
        )+
    };
}

fn int(value: Option<i64>) -> Outcome {
    value.map(Value::Int).ok_or_else(|| Fault::error(INT_OVERFLOW))
}

fn uint(value: Option<u64>) -> Outcome {
    value.map(Value::Uint).ok_or_else(|| Fault::error(UINT_OVERFLOW))
}

fn duration(nanoseconds: Option<i64>) -> Outcome {
    nanoseconds.map(Value::Duration).ok_or_else(|| Fault::error(INT_OVERFLOW))
}

fn timestamp(moment: Option<Moment>) -> Outcome {
    moment.map(Value::Timestamp).ok_or_else(|| Fault::error(TIMESTAMP_OVERFLOW))
}

fn text(machine: &mut Machine<'_>, text: String) -> Outcome {
    machine.hold(text.len())?;
    Ok(Value::text(text))
}

/// cel-go's words for a conversion that is none.
pub(super) fn no_conversion(from: ValueKind, to: &str) -> String {
    match from {
        ValueKind::Text => format!("unsupported native conversion from string to '{to}'"),
        ValueKind::Int | ValueKind::Uint => {
            format!("unsupported type conversion from '{}' to {to}", from.name())
        }
        from => format!("type conversion error from '{}' to '{to}'", from.name()),
    }
}

fn unreadable(to: ValueKind) -> Fault {
    Fault::Error(format!("type conversion error from 'string' to '{}'", to.name()))
}

overloads! {
    add_int(_, Value::Int(a), Value::Int(b)) => int(a.checked_add(*b));
    subtract_int(_, Value::Int(a), Value::Int(b)) => int(a.checked_sub(*b));
    multiply_int(_, Value::Int(a), Value::Int(b)) => int(a.checked_mul(*b));
    divide_int(_, Value::Int(a), Value::Int(b)) => match b {
        0 => Err(Fault::error("division by zero")),
        _ => int(a.checked_div(*b)),
    };
    modulo_int(_, Value::Int(a), Value::Int(b)) => match b {
        0 => Err(Fault::error("modulus by zero")),
        _ => int(a.checked_rem(*b)),
    };
    negate_int(_, Value::Int(a)) => int(a.checked_neg());

    add_uint(_, Value::Uint(a), Value::Uint(b)) => uint(a.checked_add(*b));
    subtract_uint(_, Value::Uint(a), Value::Uint(b)) => uint(a.checked_sub(*b));
    multiply_uint(_, Value::Uint(a), Value::Uint(b)) => uint(a.checked_mul(*b));
    divide_uint(_, Value::Uint(a), Value::Uint(b)) => match b {
        0 => Err(Fault::error("division by zero")),
        _ => uint(a.checked_div(*b)),
    };
    modulo_uint(_, Value::Uint(a), Value::Uint(b)) => match b {
        0 => Err(Fault::error("modulus by zero")),
        _ => uint(a.checked_rem(*b)),
    };

    add_double(_, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b));
    subtract_double(_, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b));
    multiply_double(_, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b));
    divide_double(_, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b));
    negate_double(_, Value::Double(a)) => Ok(Value::Double(-a));

    add_text(machine, Value::Text(a), Value::Text(b)) => {
        machine.hold(a.len() + b.len())?;
        Ok(Value::text([&**a, &**b].concat()))
    };
    add_bytes(machine, Value::Bytes(a), Value::Bytes(b)) => {
        machine.hold(a.len() + b.len())?;
        Ok(Value::Bytes([&**a, &**b].concat().into()))
    };
    add_list(machine, Value::List(a), Value::List(b)) => {
        // An empty list adds nothing: the other one stays itself.
        if a.is_empty() {
            return Ok(Value::List(b.clone()));
        }
        if b.is_empty() {
            return Ok(Value::List(a.clone()));
        }
        machine.hold((a.len() + b.len()) * size_of::<Value>())?;
        Ok(Value::list([&a[..], &b[..]].concat()))
    };

    add_duration(_, Value::Duration(a), Value::Duration(b)) => duration(a.checked_add(*b));
    subtract_duration(_, Value::Duration(a), Value::Duration(b)) => duration(a.checked_sub(*b));
    negate_duration(_, Value::Duration(a)) => duration(a.checked_neg());
    add_duration_timestamp(_, Value::Duration(a), Value::Timestamp(b)) => timestamp(b.plus(*a));
    add_timestamp_duration(_, Value::Timestamp(a), Value::Duration(b)) => timestamp(a.plus(*b));
    subtract_timestamp_duration(_, Value::Timestamp(a), Value::Duration(b)) => {
        let negated = b.checked_neg().ok_or_else(|| Fault::error(INT_OVERFLOW))?;
        timestamp(a.plus(negated))
    };
    subtract_timestamp(_, Value::Timestamp(a), Value::Timestamp(b)) => duration(a.since(*b));

    no_such_overload(_, _) => Err(Fault::error("no such overload"));

    not(_, Value::Bool(a)) => Ok(Value::Bool(!a));
    equal(machine, a, b) => Ok(Value::Bool(machine.equal(a, b)?));
    not_equal(machine, a, b) => Ok(Value::Bool(!machine.equal(a, b)?));
    less(_, a, b) => ordered(a, b, Ordering::is_lt);
    less_or_equal(_, a, b) => ordered(a, b, Ordering::is_le);
    greater(_, a, b) => ordered(a, b, Ordering::is_gt);
    greater_or_equal(_, a, b) => ordered(a, b, Ordering::is_ge);

    in_list(machine, element, Value::List(list)) => {
        for other in list.iter() {
            if machine.equal(element, other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    };
    in_map(machine, key, Value::Map(map)) => Ok(Value::Bool(machine.find(map, key)?.is_some()));
    size(_, value) => {
        let size = match value {
            Value::Text(text) => text.chars().count(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(list) => list.len(),
            Value::Map(map) => map.entries.len(),
            _ => return Err(Fault::error("no such overload")),
        };
        Ok(Value::Int(size as i64))
    };
    type_of(_, value) => Ok(Value::Type(value.kind().name()));
    identity(_, value) => Ok(value.clone());

    text_to_bool(_, Value::Text(text)) => {
        parse_bool(text.as_bytes()).map(Value::Bool).ok_or_else(|| unreadable(ValueKind::Bool))
    };
    text_to_bytes(machine, Value::Text(text)) => {
        machine.hold(text.len())?;
        Ok(Value::Bytes(text.as_bytes().into()))
    };
    int_to_double(_, Value::Int(a)) => Ok(Value::Double(*a as f64));
    uint_to_double(_, Value::Uint(a)) => Ok(Value::Double(*a as f64));
    text_to_double(_, Value::Text(text)) => {
        number::parse_double(text).map(Value::Double).ok_or_else(|| unreadable(ValueKind::Double))
    };
    text_to_duration(_, Value::Text(text)) => {
        duration::parse(text.as_bytes()).map(Value::Duration).ok_or_else(|| unreadable(ValueKind::Duration))
    };
    double_to_int(_, Value::Double(a)) => {
        int((*a > i64::MIN as f64 && *a < i64::MAX as f64).then_some(*a as i64))
    };
    duration_to_int(_, Value::Duration(a)) => Ok(Value::Int(*a));
    text_to_int(_, Value::Text(text)) => {
        text.parse().map(Value::Int).map_err(|_| unreadable(ValueKind::Int))
    };
    timestamp_to_int(_, Value::Timestamp(a)) => Ok(Value::Int(a.instant().0));
    uint_to_int(_, Value::Uint(a)) => int(i64::try_from(*a).ok());
    double_to_uint(_, Value::Double(a)) => uint((*a >= 0.0 && *a < u64::MAX as f64).then_some(*a as u64));
    int_to_uint(_, Value::Int(a)) => uint(u64::try_from(*a).ok());
    text_to_uint(_, Value::Text(text)) => {
        // Go takes no sign here.
        let digits = Some(text).filter(|text| !text.starts_with('+'));
        digits.and_then(|text| text.parse().ok()).map(Value::Uint).ok_or_else(|| unreadable(ValueKind::Uint))
    };
    int_to_timestamp(_, Value::Int(a)) => {
        timestamp(Some(Moment::utc(*a, 0)).filter(|moment| moment.is_in_range()))
    };
    text_to_timestamp(_, Value::Text(text)) => {
        let moment = Moment::parse(text).ok_or_else(|| unreadable(ValueKind::Timestamp))?;
        timestamp(Some(moment).filter(|moment| moment.is_in_range()))
    };
    bool_to_text(machine, Value::Bool(a)) => text(machine, a.to_string());
    bytes_to_text(machine, Value::Bytes(a)) => match std::str::from_utf8(a) {
        Ok(valid) => text(machine, valid.to_owned()),
        Err(_) => Err(Fault::error("invalid UTF-8 in bytes, cannot convert to string")),
    };
    double_to_text(machine, Value::Double(a)) => text(machine, double_text(*a));
    duration_to_text(machine, Value::Duration(a)) => text(machine, duration_text(*a));
    int_to_text(machine, Value::Int(a)) => text(machine, a.to_string());
    timestamp_to_text(machine, Value::Timestamp(a)) => text(machine, a.to_string());
    uint_to_text(machine, Value::Uint(a)) => text(machine, a.to_string());

    contains(_, Value::Text(a), Value::Text(b)) => Ok(Value::Bool(a.contains(&**b)));
    ends_with(_, Value::Text(a), Value::Text(b)) => Ok(Value::Bool(a.ends_with(&**b)));
    starts_with(_, Value::Text(a), Value::Text(b)) => Ok(Value::Bool(a.starts_with(&**b)));
    matches(machine, Value::Text(text), Value::Text(pattern)) => {
        machine.matches(text, pattern).map(Value::Bool)
    };

    duration_hours(_, Value::Duration(a)) => Ok(Value::Int(whole(*a, 3_600 * NANOSECONDS)));
    duration_minutes(_, Value::Duration(a)) => Ok(Value::Int(whole(*a, 60 * NANOSECONDS)));
    duration_seconds(_, Value::Duration(a)) => Ok(Value::Int(whole(*a, NANOSECONDS)));
    duration_milliseconds(_, Value::Duration(a)) => Ok(Value::Int(a / 1_000_000));
}

/// Implements the parts of a timestamp, in UTC or in the time zone given.
macro_rules! parts {
    ($($name:ident($parts:ident) => $result:expr;)+) => {
        $(
            pub(super) fn $name(machine: &mut Machine<'_>, arguments: &[Value]) -> Outcome {
                let (moment, offset) = placed(machine, arguments)?;
                let $parts = moment.parts(offset);
                Ok(Value::Int($result))
            }
        )+
    };
}

parts! {
    full_year(parts) => parts.year;
    month(parts) => parts.month - 1;
    day_of_year(parts) => parts.day_of_year;
    day_of_month(parts) => parts.day - 1;
    date(parts) => parts.day;
    day_of_week(parts) => parts.day_of_week;
    hours(parts) => parts.hour;
    minutes(parts) => parts.minute;
    seconds(parts) => parts.second;
}

pub(super) fn milliseconds(machine: &mut Machine<'_>, arguments: &[Value]) -> Outcome {
    let (moment, _) = placed(machine, arguments)?;
    Ok(Value::Int(moment.milliseconds()))
}

/// The moment and the offset of its zone in seconds (common/stdlib/standard.go inTimeZone).
fn placed(machine: &mut Machine<'_>, arguments: &[Value]) -> Result<(Moment, i64), Fault> {
    let (moment, zone) = match arguments {
        [Value::Timestamp(moment)] => return Ok((*moment, 0)),
        [Value::Timestamp(moment), Value::Text(zone)] => (*moment, zone),
        _ => return Err(Fault::error("no such overload")),
    };
    let Some((hours, minutes)) = zone.split_once(':') else {
        return Ok((moment, machine.zone_offset(zone, moment.instant().0)?));
    };
    let number = |text: &str| match text.parse::<i64>() {
        Ok(number) => Ok(number),
        Err(error) => {
            use std::num::IntErrorKind::{NegOverflow, PosOverflow};
            let reason = match error.kind() {
                PosOverflow | NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            Err(Fault::Error(format!("strconv.Atoi: parsing {text:?}: {reason}")))
        }
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minutes = if zone.starts_with('-') { minutes.wrapping_neg() } else { minutes };
    let offset = hours.wrapping_mul(60).wrapping_add(minutes);
    Ok((moment, offset.wrapping_mul(60 * NANOSECONDS) / NANOSECONDS))
}

fn ordered(a: &Value, b: &Value, test: fn(Ordering) -> bool) -> Outcome {
    match a.compare(b) {
        Ok(Some(order)) => Ok(Value::Bool(test(order))),
        Ok(None) => Err(Fault::error("no such overload")),
        Err(reason) => Err(Fault::error(reason)),
    }
}

/// How many whole units, as Go counts them: with doubles, which round (Go time.Duration.Hours).
fn whole(nanoseconds: i64, unit: i64) -> i64 {
    ((nanoseconds / unit) as f64 + (nanoseconds % unit) as f64 / unit as f64) as i64
}

/// Seconds with as many decimals as a double needs, and an `s`.
pub(super) fn duration_text(nanoseconds: i64) -> String {
    let seconds = (nanoseconds / NANOSECONDS) as f64 + (nanoseconds % NANOSECONDS) as f64 / 1e9;
    format!("{seconds}s")
}

/// The value under a key or an index, or why there is none (cel-go interpreter/attributes.go refQualify).
pub(super) fn index(machine: &mut Machine<'_>, of: &Value, index: &Value) -> Result<Option<Value>, Fault> {
    match of {
        Value::Map(map) => machine.find(map, index),
        Value::List(list) => {
            let at = position(index)?;
            Ok(usize::try_from(at).ok().and_then(|at| list.get(at)).cloned())
        }
        Value::Empty => match index {
            Value::Text(field) => Err(Fault::Error(format!("no such field '{field}'"))),
            _ => Err(Fault::error("no such overload")),
        },
        _ => Ok(None),
    }
}

fn position(index: &Value) -> Result<i64, Fault> {
    match index {
        Value::Int(at) => Ok(*at),
        Value::Double(at) => match value::double_to_int(*at) {
            Some(Value::Int(at)) => Ok(at),
            _ => Err(Fault::Error(format!("unsupported index value {} in list", double_text(*at)))),
        },
        Value::Uint(at) => {
            i64::try_from(*at).map_err(|_| Fault::Error(format!("unsupported index value {at} in list")))
        }
        other => Err(Fault::Error(format!("unsupported index type '{}' in list", other.kind().name()))),
    }
}
