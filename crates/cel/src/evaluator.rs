//! Evaluation of a checked expression, as cel-go does it (interpreter/interpretable.go, attributes.go).

use std::rc::Rc;

use go::{number::double_text, zone::Zones};

use crate::{
    CelError, Limit,
    ast::{Ast, Expr, Fold, FoldKind, Id},
    checker::Meaning,
    operations,
    overloads::{Function, Refusal, Run},
    pattern::{self, Regex},
    value::{Map, NoKey, Value, ValueKind, numbers},
};

/// Steps of evaluation: each visited node is one. Nested macros multiply, and cel-go would go on for hours.
const MOST_STEPS: u64 = 10_000_000;
/// Bytes of texts and lists made during an evaluation, freed ones included: they can double with each operation.
const MOST_BYTES: usize = 64 << 20;

/// The outcome of an operation.
pub(super) type Outcome = Result<Value, Fault>;

/// Why there is no value.
#[derive(Debug)]
pub(super) enum Fault {
    /// An error that `&&`, `||` and some macros may get over.
    Error(String),
    /// The end.
    Stop(CelError),
}

impl Fault {
    pub(super) fn error(reason: &str) -> Fault {
        Fault::Error(reason.to_owned())
    }

    fn no_such_overload() -> Fault {
        Fault::error("no such overload")
    }
}

/// What operations work with and may use up.
pub(super) struct Machine<'a> {
    zones: &'a Zones,
    steps: u64,
    bytes: usize,
    /// The last pattern: a macro tends to use the same one each time.
    pattern: Option<(Rc<str>, Regex, u64)>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(zones: &'a Zones) -> Machine<'a> {
        Machine { zones, steps: 0, bytes: 0, pattern: None }
    }

    pub(super) fn step(&mut self, count: u64) -> Result<(), Fault> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > MOST_STEPS {
            return Err(Fault::Stop(CelError::TooLarge { limit: Limit::Steps(MOST_STEPS) }));
        }
        Ok(())
    }

    /// Makes sure that this many bytes may be allocated.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MOST_BYTES {
            return Err(Fault::Stop(CelError::TooLarge { limit: Limit::Bytes(MOST_BYTES) }));
        }
        Ok(())
    }

    /// Steps for reading a value as a whole: texts may be long.
    fn read(&mut self, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Text(text) => self.step(text.len() as u64 / 64),
            Value::Bytes(bytes) => self.step(bytes.len() as u64 / 64),
            _ => Ok(()),
        }
    }

    /// Whether two values of whatever types are equal (cel-go common/types Equal).
    pub(super) fn equal(&mut self, a: &Value, b: &Value) -> Result<bool, Fault> {
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

    pub(super) fn find(&mut self, map: &Map, key: &Value) -> Result<Option<Value>, Fault> {
        self.read(key)?;
        map.find(key).map(|found| found.cloned()).map_err(Machine::no_key)
    }

    pub(super) fn insert(&mut self, map: &mut Map, key: Value, value: Value) -> Result<(), Fault> {
        self.read(&key)?;
        map.insert(key, value).map_err(Machine::no_key)
    }

    /// The offset in seconds of the named time zone at an instant in seconds.
    pub(super) fn zone_offset(&mut self, zone: &str, at: i64) -> Result<i64, Fault> {
        // A file is read.
        self.step(1_000)?;
        let zone = self.zones.find(zone).map_err(|unknown| Fault::Error(unknown.to_string()))?;
        Ok(zone.offset_at(at).into())
    }

    /// Whether the RE2 pattern matches somewhere in the text.
    pub(super) fn matches(&mut self, text: &str, pattern: &Rc<str>) -> Result<bool, Fault> {
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

/// An expression under evaluation.
pub(super) struct Evaluator<'a> {
    ast: &'a Ast,
    meanings: &'a [Meaning],
    machine: Machine<'a>,
    /// The variables of the macros that are open, innermost last.
    variables: Vec<(Rc<str>, Value)>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(ast: &'a Ast, meanings: &'a [Meaning], zones: &'a Zones) -> Evaluator<'a> {
        Evaluator { ast, meanings, machine: Machine::new(zones), variables: Vec::new() }
    }

    pub(super) fn evaluate(&mut self, id: Id) -> Outcome {
        self.machine.step(1)?;
        let ast = self.ast;
        if let Meaning::Constant(value) = &self.meanings[id] {
            return Ok(value.clone());
        }
        match ast.expr(id) {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Name(name) => {
                let found = self.variables.iter().rev().find(|(variable, _)| variable == name);
                match found {
                    Some((_, value)) => Ok(value.clone()),
                    None => Err(Fault::Error(format!("no such attribute(s): {name}"))),
                }
            }
            Expr::Select { operand, field, test } => {
                let of = self.evaluate(*operand)?;
                let key = Value::Text(Rc::clone(field));
                let found = operations::index(&mut self.machine, &of, &key)?;
                match found {
                    _ if *test => Ok(Value::Bool(found.is_some())),
                    Some(value) => Ok(value),
                    None => Err(Fault::Error(format!("no such key: {field}"))),
                }
            }
            Expr::Call { target, arguments, .. } => self.call(id, *target, arguments),
            Expr::List(elements) => {
                self.machine.hold(elements.len() * size_of::<Value>())?;
                let elements = elements.iter().map(|&element| self.evaluate(element));
                Ok(Value::list(elements.collect::<Result<_, _>>()?))
            }
            Expr::Map(entries) => {
                self.machine.hold(entries.len() * 4 * size_of::<Value>())?;
                let mut map = Map::default();
                for entry in entries {
                    let key = self.evaluate(entry.key)?;
                    let value = self.evaluate(entry.value)?;
                    self.machine.insert(&mut map, key, value)?;
                }
                Ok(Value::Map(Rc::new(map)))
            }
            Expr::Message { name, fields } => {
                let mut values = Vec::with_capacity(fields.len());
                for field in fields {
                    values.push((Rc::clone(&field.name), self.evaluate(field.value)?));
                }
                match self.meanings[id] {
                    Meaning::Message(message) => message.build(&mut self.machine, &values),
                    _ => Err(Fault::Error(format!("unknown type: {name}"))),
                }
            }
            Expr::Fold(fold) => self.fold(fold),
            Expr::Broken => Err(Fault::no_such_overload()),
        }
    }

    fn call(&mut self, id: Id, target: Option<Id>, arguments: &[Id]) -> Outcome {
        let Meaning::Function(function) = self.meanings[id] else {
            return Err(Fault::no_such_overload());
        };
        match (function.name, arguments) {
            ("_&&_", &[left, right]) => self.logic(left, right, false),
            ("_||_", &[left, right]) => self.logic(left, right, true),
            ("_?_:_", &[condition, yes, no]) => match self.evaluate(condition)? {
                Value::Bool(true) => self.evaluate(yes),
                Value::Bool(false) => self.evaluate(no),
                _ => Err(Fault::no_such_overload()),
            },
            ("_[_]", &[of, index]) => self.index(of, index),
            _ => {
                let mut values = Vec::with_capacity(arguments.len() + 1);
                let mut failed = None;
                for &argument in target.iter().chain(arguments) {
                    match self.evaluate(argument) {
                        Ok(value) => values.push(value),
                        Err(Fault::Error(reason)) => failed = failed.or(Some(reason)),
                        Err(stop) => return Err(stop),
                    }
                }
                match failed {
                    Some(reason) => Err(Fault::Error(reason)),
                    None => self.apply(function, target.is_some(), &values),
                }
            }
        }
    }

    fn apply(&mut self, function: &'static Function, member: bool, values: &[Value]) -> Outcome {
        if let Some(overload) = function.overload(member, values)
            && let Run::Call(run) = overload.run
        {
            values.iter().try_for_each(|value| self.machine.read(value))?;
            return run(&mut self.machine, values);
        }
        let first = values.first().map_or(ValueKind::Null, Value::kind);
        let refused = match function.refusal {
            Refusal::Plain => "no such overload".to_owned(),
            Refusal::Signature => {
                let kinds: Vec<&str> = values.iter().map(|value| value.kind().name()).collect();
                format!("no such overload: {}({})", function.name, kinds.join(", "))
            }
            Refusal::Operand => {
                let operand = function.overloads.iter().any(|overload| overload.arguments[0].takes(first));
                // Values with methods of their own are asked for one, and say that they have none.
                let with_methods =
                    matches!(first, ValueKind::Text | ValueKind::Timestamp | ValueKind::Duration);
                if operand || with_methods {
                    "no such overload".to_owned()
                } else {
                    format!("no such overload: {}", function.name)
                }
            }
        };
        Err(Fault::Error(refused))
    }

    /// `||` if `decisive` is true, `&&` if it is false: the decisive value wins over an error on the other side.
    fn logic(&mut self, left: Id, right: Id, decisive: bool) -> Outcome {
        let left = self.term(left, decisive)?;
        if matches!(left, Ok(true)) {
            return Ok(Value::Bool(decisive));
        }
        let right = self.term(right, decisive)?;
        match (left, right) {
            (_, Ok(true)) => Ok(Value::Bool(decisive)),
            (Err(reason), _) | (_, Err(reason)) => Err(Fault::Error(reason)),
            (Ok(_), Ok(_)) => Ok(Value::Bool(!decisive)),
        }
    }

    /// Whether the term has the decisive value, or why it has none.
    fn term(&mut self, id: Id, decisive: bool) -> Result<Result<bool, String>, Fault> {
        match self.evaluate(id) {
            Ok(Value::Bool(value)) => Ok(Ok(value == decisive)),
            Ok(_) => Ok(Err("no such overload".to_owned())),
            Err(Fault::Error(reason)) => Ok(Err(reason)),
            Err(stop) => Err(stop),
        }
    }

    fn index(&mut self, of: Id, index: Id) -> Outcome {
        let of = self.evaluate(of)?;
        let index = self.evaluate(index)?;
        let shown = match &index {
            Value::Text(text) => text.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Uint(value) => value.to_string(),
            Value::Double(value) => double_text(*value),
            other => return Err(Fault::Error(format!("invalid qualifier type: {}", other.kind().go_name()))),
        };
        match (operations::index(&mut self.machine, &of, &index)?, of) {
            (Some(value), _) => Ok(value),
            (None, Value::List(_)) => Err(Fault::Error(format!("index out of bounds: {shown}"))),
            (None, _) => Err(Fault::Error(format!("no such key: {shown}"))),
        }
    }

    fn fold(&mut self, fold: &Fold) -> Outcome {
        let range = self.evaluate(fold.range)?;
        let elements = match &range {
            Value::List(list) => Rc::clone(list),
            Value::Map(map) => {
                self.machine.hold(map.entries.len() * size_of::<Value>())?;
                Rc::new(map.entries.iter().map(|(key, _)| key.clone()).collect())
            }
            other => {
                let kind = other.kind().go_name();
                return Err(Fault::Error(format!("got '{kind}', expected iterable type")));
            }
        };
        self.variables.push((Rc::clone(&fold.variable), Value::Null));
        let outcome = match fold.kind {
            FoldKind::All { predicate } => self.quantify(&elements, predicate, false),
            FoldKind::Exists { predicate } => self.quantify(&elements, predicate, true),
            FoldKind::ExistsOne { predicate } => self.count(&elements, predicate),
            FoldKind::Map { predicate, transform } => self.gather(&elements, predicate, transform),
        };
        self.variables.pop();
        outcome
    }

    fn assign(&mut self, element: &Value) -> Result<(), Fault> {
        self.machine.step(1)?;
        if let Some((_, value)) = self.variables.last_mut() {
            *value = element.clone();
        }
        Ok(())
    }

    /// `exists` if `decisive` is true, `all` if it is false.
    fn quantify(&mut self, elements: &[Value], predicate: Id, decisive: bool) -> Outcome {
        let mut failed = None;
        for element in elements {
            self.assign(element)?;
            match self.term(predicate, decisive)? {
                Ok(true) => return Ok(Value::Bool(decisive)),
                Ok(false) => {}
                Err(reason) => failed = failed.or(Some(reason)),
            }
        }
        match failed {
            Some(reason) => Err(Fault::Error(reason)),
            None => Ok(Value::Bool(!decisive)),
        }
    }

    /// The value of a predicate; of errors the last one stays, as every element is looked at.
    fn holds(&mut self, predicate: Id, failed: &mut Option<String>) -> Result<bool, Fault> {
        match self.evaluate(predicate) {
            Ok(Value::Bool(value)) => return Ok(value),
            Ok(_) => *failed = Some("no such overload".to_owned()),
            Err(Fault::Error(reason)) => *failed = Some(reason),
            Err(stop) => return Err(stop),
        }
        Ok(false)
    }

    fn count(&mut self, elements: &[Value], predicate: Id) -> Outcome {
        let mut failed = None;
        let mut count = 0;
        for element in elements {
            self.assign(element)?;
            count += u32::from(self.holds(predicate, &mut failed)?);
        }
        match failed {
            Some(reason) => Err(Fault::Error(reason)),
            None => Ok(Value::Bool(count == 1)),
        }
    }

    fn gather(&mut self, elements: &[Value], predicate: Option<Id>, transform: Id) -> Outcome {
        let mut failed = None;
        let mut gathered = Vec::new();
        for element in elements {
            self.assign(element)?;
            if let Some(predicate) = predicate
                && !self.holds(predicate, &mut failed)?
            {
                continue;
            }
            match self.evaluate(transform) {
                Ok(value) => {
                    self.machine.hold(size_of::<Value>())?;
                    gathered.push(value);
                }
                Err(Fault::Error(reason)) => failed = failed.or(Some(reason)),
                Err(stop) => return Err(stop),
            }
        }
        match failed {
            Some(reason) => Err(Fault::Error(reason)),
            None => Ok(Value::list(gathered)),
        }
    }
}
