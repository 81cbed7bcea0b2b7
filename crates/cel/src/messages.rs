//! The protobuf messages that cel-go knows without being told: the well-known types (common/types/pb/pb.go).

use std::rc::Rc;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    machine::{Fault, Machine, Outcome},
    moment::Moment,
    operations,
    types::{Primitive, Type},
    value::{Map, Value, ValueKind},
};

/// A message type.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) name: &'static str,
    /// What CEL takes a value of it for.
    pub(super) is: Is,
    fields: &'static [(&'static str, Is)],
}

/// The types around messages, as constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Any,
    Dyn,
    Empty,
    Timestamp,
    Duration,
    Wrapper(Primitive),
    Primitive(Primitive),
    ListOfDyn,
    MapToDyn,
}

impl Is {
    fn to_type(self) -> Type {
        match self {
            Self::Any => Type::Any,
            Self::Dyn => Type::Dyn,
            Self::Empty => Type::Message("google.protobuf.Empty"),
            Self::Timestamp => Type::Timestamp,
            Self::Duration => Type::Duration,
            Self::Wrapper(primitive) => Type::Wrapper(primitive),
            Self::Primitive(primitive) => Type::Primitive(primitive),
            Self::ListOfDyn => Type::list(Type::Dyn),
            Self::MapToDyn => Type::map(Type::TEXT, Type::Dyn),
        }
    }
}

const INT: Is = Is::Primitive(Primitive::Int);

const fn message(name: &'static str, is: Is, fields: &'static [(&'static str, Is)]) -> Message {
    Message { name, is, fields }
}

const fn wrapper(name: &'static str, of: Primitive, fields: &'static [(&'static str, Is)]) -> Message {
    Message { name, is: Is::Wrapper(of), fields }
}

static MESSAGES: [Message; 16] = [
    message(
        "google.protobuf.Any",
        Is::Any,
        &[("type_url", Is::Primitive(Primitive::Text)), ("value", Is::Primitive(Primitive::Bytes))],
    ),
    message("google.protobuf.Duration", Is::Duration, &[("seconds", INT), ("nanos", INT)]),
    message("google.protobuf.Empty", Is::Empty, &[]),
    message("google.protobuf.Timestamp", Is::Timestamp, &[("seconds", INT), ("nanos", INT)]),
    message("google.protobuf.Struct", Is::MapToDyn, &[("fields", Is::MapToDyn)]),
    message("google.protobuf.ListValue", Is::ListOfDyn, &[("values", Is::ListOfDyn)]),
    message(
        "google.protobuf.Value",
        Is::Dyn,
        &[
            ("null_value", INT),
            ("number_value", Is::Primitive(Primitive::Double)),
            ("string_value", Is::Primitive(Primitive::Text)),
            ("bool_value", Is::Primitive(Primitive::Bool)),
            ("struct_value", Is::MapToDyn),
            ("list_value", Is::ListOfDyn),
        ],
    ),
    wrapper("google.protobuf.BoolValue", Primitive::Bool, &[("value", Is::Primitive(Primitive::Bool))]),
    wrapper("google.protobuf.BytesValue", Primitive::Bytes, &[("value", Is::Primitive(Primitive::Bytes))]),
    wrapper("google.protobuf.DoubleValue", Primitive::Double, &[("value", Is::Primitive(Primitive::Double))]),
    wrapper("google.protobuf.FloatValue", Primitive::Double, &[("value", Is::Primitive(Primitive::Double))]),
    wrapper("google.protobuf.Int32Value", Primitive::Int, &[("value", INT)]),
    wrapper("google.protobuf.Int64Value", Primitive::Int, &[("value", INT)]),
    wrapper("google.protobuf.StringValue", Primitive::Text, &[("value", Is::Primitive(Primitive::Text))]),
    wrapper("google.protobuf.UInt32Value", Primitive::Uint, &[("value", Is::Primitive(Primitive::Uint))]),
    wrapper("google.protobuf.UInt64Value", Primitive::Uint, &[("value", Is::Primitive(Primitive::Uint))]),
];

/// Names that stand for a type also at run time, with that type.
pub(super) fn named_type(name: &str) -> Option<(&'static str, Type)> {
    let (name, of) = match name {
        "bool" => ("bool", Type::BOOL),
        "bytes" => ("bytes", Type::BYTES),
        "double" => ("double", Type::DOUBLE),
        "int" => ("int", Type::INT),
        "uint" => ("uint", Type::UINT),
        "string" => ("string", Type::TEXT),
        "list" => ("list", Type::list(Type::Dyn)),
        "map" => ("map", Type::map(Type::Dyn, Type::Dyn)),
        "null_type" => ("null_type", Type::Null),
        "type" => ("type", Type::Of(None)),
        "google.protobuf.Timestamp" => ("google.protobuf.Timestamp", Type::Timestamp),
        "google.protobuf.Duration" => ("google.protobuf.Duration", Type::Duration),
        "google.protobuf.Empty" => ("google.protobuf.Empty", Type::Message("google.protobuf.Empty")),
        _ => return None,
    };
    Some((name, of))
}

/// The only value of an enum there is.
pub(super) const NULL_VALUE: &str = "google.protobuf.NullValue.NULL_VALUE";

impl Message {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        MESSAGES.iter().find(|message| message.name == name)
    }

    /// The type of a literal of it.
    pub(super) fn literal_type(&self) -> Type {
        self.is.to_type()
    }

    pub(super) fn field(&self, name: &str) -> Option<Type> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, is)| is.to_type())
    }

    /// The value that a literal with these fields stands for. Of a field given twice the last one counts.
    pub(super) fn build(&self, machine: &mut Machine<'_>, fields: &[(Rc<str>, Value)]) -> Outcome {
        let field =
            |name: &str| fields.iter().rev().find(|(field, _)| &**field == name).map(|(_, value)| value);
        let number = |name: &str, bits: u32| match field(name) {
            Some(value) => self.int(name, value, bits),
            None => Ok(0),
        };
        match self.is {
            Is::Empty => Ok(Value::Empty),
            Is::Timestamp => {
                let (seconds, nanos) = (number("seconds", 64)?, number("nanos", 32)?);
                Ok(Value::Timestamp(Moment::utc(seconds, nanos)))
            }
            Is::Duration => {
                let nanoseconds =
                    i128::from(number("seconds", 64)?) * 1_000_000_000 + i128::from(number("nanos", 32)?);
                Ok(Value::Duration(nanoseconds.clamp(i64::MIN.into(), i64::MAX.into()) as i64))
            }
            Is::Wrapper(primitive) => self.unwrap(primitive, field("value")),
            Is::ListOfDyn => match field("values") {
                None => Ok(Value::list(Vec::new())),
                Some(value @ Value::List(_)) => json(machine, value),
                Some(other) => Err(self.unsupported("values", other)),
            },
            Is::MapToDyn => match field("fields") {
                None => Ok(Value::Map(Rc::default())),
                Some(value @ Value::Map(_)) => json(machine, value),
                Some(other) => Err(self.unsupported("fields", other)),
            },
            Is::Dyn => match fields.last() {
                None => Ok(Value::Null),
                // A number that stands for null.
                Some((name, value)) if &**name == "null_value" => {
                    self.int(name, value, 32)?;
                    Ok(Value::Null)
                }
                Some((name, value)) => match (&**name, value) {
                    ("number_value", Value::Double(_))
                    | ("string_value", Value::Text(_))
                    | ("bool_value", Value::Bool(_)) => Ok(value.clone()),
                    ("struct_value", Value::Map(_)) | ("list_value", Value::List(_)) => json(machine, value),
                    ("number_value", _) => {
                        Err(self.conversion(name, operations::no_conversion(value.kind(), "float64")))
                    }
                    (_, _) => {
                        let to = name.trim_end_matches("_value");
                        Err(self.conversion(name, operations::no_conversion(value.kind(), to)))
                    }
                },
            },
            Is::Any | Is::Primitive(_) => {
                Err(Fault::error("unsupported conversion to ref.Val: (*dynamicpb.Message)"))
            }
        }
    }

    fn unwrap(&self, primitive: Primitive, value: Option<&Value>) -> Outcome {
        let narrow = self.name.contains("32");
        let Some(value) = value else {
            return Ok(match primitive {
                Primitive::Bool => Value::Bool(false),
                Primitive::Bytes => Value::Bytes(Rc::default()),
                Primitive::Double => Value::Double(0.0),
                Primitive::Int => Value::Int(0),
                Primitive::Text => Value::text(""),
                Primitive::Uint => Value::Uint(0),
            });
        };
        match (primitive, value) {
            (Primitive::Int, _) => self.int("value", value, if narrow { 32 } else { 64 }).map(Value::Int),
            (Primitive::Uint, Value::Uint(number)) if narrow && *number > u32::MAX.into() => {
                Err(self.conversion("value", "unsigned integer overflow".to_owned()))
            }
            (Primitive::Double, Value::Double(number)) if self.name == "google.protobuf.FloatValue" => {
                Ok(Value::Double(f64::from(*number as f32)))
            }
            (Primitive::Bool, Value::Bool(_))
            | (Primitive::Bytes, Value::Bytes(_))
            | (Primitive::Double, Value::Double(_))
            | (Primitive::Text, Value::Text(_))
            | (Primitive::Uint, Value::Uint(_)) => Ok(value.clone()),
            _ => {
                Err(self.conversion("value", operations::no_conversion(value.kind(), &primitive.to_string())))
            }
        }
    }

    fn int(&self, field: &str, value: &Value, bits: u32) -> Result<i64, Fault> {
        match value {
            Value::Int(number) if bits == 64 || i32::try_from(*number).is_ok() => Ok(*number),
            Value::Int(_) => Err(self.conversion(field, "integer overflow".to_owned())),
            other => {
                Err(self.conversion(field, operations::no_conversion(other.kind(), &format!("int{bits}"))))
            }
        }
    }

    fn conversion(&self, field: &str, reason: String) -> Fault {
        Fault::Error(format!("field type conversion error for {}.{field} value type: {reason}", self.name))
    }

    fn unsupported(&self, field: &str, value: &Value) -> Fault {
        Fault::Error(format!("unsupported field type for {}.{field}: {}", self.name, value.kind().name()))
    }
}

/// Ints and uints beyond this are strings in JSON.
const LARGEST_SAFE: u64 = (1 << 53) - 1;

/// The value as protobuf's JSON has it, which is what the fields of Struct, ListValue and Value hold.
fn json(machine: &mut Machine<'_>, value: &Value) -> Outcome {
    machine.step(1)?;
    Ok(match value {
        Value::Int(number) if number.unsigned_abs() <= LARGEST_SAFE => Value::Double(*number as f64),
        Value::Uint(number) if *number <= LARGEST_SAFE => Value::Double(*number as f64),
        Value::Int(number) => Value::text(number.to_string()),
        Value::Uint(number) => Value::text(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Double(_) | Value::Text(_) => value.clone(),
        Value::Bytes(bytes) => Value::text(STANDARD.encode(bytes)),
        Value::Timestamp(moment) => Value::text(moment.to_string()),
        Value::Duration(nanoseconds) => Value::text(operations::duration_text(*nanoseconds)),
        Value::List(list) => {
            machine.hold(list.len() * size_of::<Value>())?;
            Value::list(list.iter().map(|element| json(machine, element)).collect::<Result<_, _>>()?)
        }
        Value::Map(map) => {
            let mut out = Map::default();
            machine.hold(map.entries.len() * 2 * size_of::<Value>())?;
            for (key, value) in &map.entries {
                if key.kind() != ValueKind::Text {
                    return Err(Fault::Error(operations::no_conversion(key.kind(), "string")));
                }
                let value = json(machine, value)?;
                machine.insert(&mut out, key.clone(), value)?;
            }
            Value::Map(Rc::new(out))
        }
        Value::Empty => Value::Map(Rc::default()),
        Value::Type(_) => return Err(Fault::error("type conversion not supported for 'type'")),
    })
}
