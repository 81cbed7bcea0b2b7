//! Evaluation of a checked expression, as cel-go does it (interpreter/interpretable.go, attributes.go).

use std::rc::Rc;

use go::{number::double_text, zone::Zones};

use crate::{
    ast::{Ast, Expr, Fold, FoldKind, Id},
    checker::Meaning,
    machine::{Fault, Machine, Outcome},
    operations,
    overloads::{Function, Refusal, Run},
    value::{Map, Value, ValueKind},
};

/// An expression under evaluation.
pub(super) struct Evaluator<'a> {
    ast: &'a Ast,
    meanings: &'a [Meaning],
    machine: Machine<'a>,
    /// The variables of the macros that are open, innermost last.
    variables: Vec<(Rc<str>, Value)>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(ast: &'a Ast, meanings: &'a [Meaning], zones: &'a Zones) -> Self {
        Evaluator { ast, meanings, machine: Machine::new(zones), variables: Vec::new() }
    }

    /// How many steps were taken.
    pub(super) fn steps(&self) -> u64 {
        self.machine.steps()
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
