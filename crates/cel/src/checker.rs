//! Type-checking as cel-go does it (checker/checker.go), in an environment without variables.

use std::rc::Rc;

use crate::{
    ast::{ACCUMULATOR, Ast, Expr, Fold, Id},
    messages::{Message, NULL_VALUE, named_type},
    overloads::{Function, Overload, Seen},
    source::{Issues, Location, Source},
    types::{Type, Unifier},
    value::Value,
};

/// What the checker found out about a node.
#[derive(Debug, Clone, Default)]
pub(super) enum Meaning {
    /// What it looks like.
    #[default]
    Itself,
    /// A name that stands for a value.
    Constant(Value),
    /// A call of this function.
    Function(&'static Function),
    Message(&'static Message),
}

/// Why an expression is not a program.
#[derive(Debug)]
pub(super) enum Refused {
    /// cel-go refuses it, too: the text of all errors.
    Wrong(String),
    /// Its types are too large to compare.
    TypesTooLarge,
}

/// The meanings of all nodes, by node. `steps` grows by what it took to compare types.
pub(super) fn check(source: &Source, ast: &Ast, root: Id, steps: &mut u64) -> Result<Vec<Meaning>, Refused> {
    let mut checker = Checker {
        ast,
        types: vec![None; ast.nodes.len()],
        meanings: vec![Meaning::default(); ast.nodes.len()],
        unifier: Unifier::default(),
        variables: Vec::new(),
        macros_seen: false,
        issues: Issues::default(),
    };
    checker.check(root);
    let is_typed = !checker.unifier.exhausted() && checker.issues.is_empty();
    let planned = if is_typed { checker.plan(root) } else { Ok(()) };
    *steps += checker.unifier.steps();
    if checker.unifier.exhausted() {
        return Err(Refused::TypesTooLarge);
    }
    if !checker.issues.is_empty() {
        return Err(Refused::Wrong(checker.issues.display(source)));
    }
    planned.map_err(Refused::Wrong)?;
    Ok(checker.meanings)
}

struct Checker<'a> {
    ast: &'a Ast,
    types: Vec<Option<Type>>,
    meanings: Vec<Meaning>,
    unifier: Unifier,
    /// The variables of the macros that are open, innermost last.
    variables: Vec<(Rc<str>, Type)>,
    /// From the first macro on, cel-go compares numbers of two types: it loses its list of what it does not
    /// (checker/env.go enterScope).
    macros_seen: bool,
    issues: Issues,
}

impl Checker<'_> {
    fn report(&mut self, at: usize, message: String) {
        self.issues.report(Location::At(at), message);
    }

    fn undeclared(&mut self, at: usize, name: &str) -> Type {
        self.report(at, format!("undeclared reference to '{name}' (in container '')"));
        Type::Error
    }

    fn type_of(&self, id: Id) -> Type {
        self.types[id].clone().unwrap_or(Type::Error)
    }

    fn check(&mut self, id: Id) {
        let ast = self.ast;
        let found = match ast.expr(id) {
            Expr::Literal(value) => literal_type(value),
            Expr::Name(name) => self.name(id, name),
            Expr::Select { operand, field, test } => self.select(id, *operand, field, *test),
            Expr::Call { function, target, arguments } => self.call(id, function, *target, arguments),
            Expr::List(elements) => self.list(elements),
            Expr::Map(entries) => {
                let (mut keys, mut values) = (None, None);
                for entry in entries {
                    self.check(entry.key);
                    keys = Some(self.join(keys, entry.key));
                    self.check(entry.value);
                    values = Some(self.join(values, entry.value));
                }
                let key = keys.unwrap_or_else(|| self.unifier.variable());
                let value = values.unwrap_or_else(|| self.unifier.variable());
                Type::map(key, value)
            }
            Expr::Message { name, fields: _ } => self.message(id, name),
            Expr::Fold(fold) => self.fold(fold),
            Expr::Broken => Type::Error,
        };
        self.types[id] = Some(found);
        if let Expr::Message { fields, .. } = ast.expr(id) {
            self.fields(id, fields);
        }
    }

    fn name(&mut self, id: Id, name: &str) -> Type {
        if let Some(found) = self.variable(name) {
            return found;
        }
        match self.global(id, name.strip_prefix('.').unwrap_or(name)) {
            Some(found) => found,
            None => self.undeclared(self.ast.at(id), name),
        }
    }

    /// A macro's variable. A leading dot asks for anything but one, even where it was declared with it.
    fn variable(&self, name: &str) -> Option<Type> {
        if name.starts_with('.') {
            return None;
        }
        self.variables.iter().rev().find(|(variable, _)| &**variable == name).map(|(_, of)| of.clone())
    }

    /// A name that needs no declaration: a type, a message, an enum value.
    fn global(&mut self, id: Id, name: &str) -> Option<Type> {
        if let Some((name, of)) = named_type(name) {
            self.meanings[id] = Meaning::Constant(Value::Type(name));
            return Some(Type::of(of));
        }
        if let Some(message) = Message::named(name) {
            self.meanings[id] = Meaning::Message(message);
            return Some(Type::of(message.literal_type()));
        }
        if name == NULL_VALUE {
            self.meanings[id] = Meaning::Constant(Value::Int(0));
            return Some(Type::INT);
        }
        None
    }

    fn select(&mut self, id: Id, operand: Id, field: &str, test: bool) -> Type {
        if !test
            && let Some(name) = self.ast.qualified_name(id)
            && name.split('.').next().is_some_and(|first| self.variable(first).is_none())
            && let Some(found) = self.global(id, name.strip_prefix('.').unwrap_or(&name))
        {
            return found;
        }
        self.check(operand);
        let of = self.type_of(operand);
        let of = self.unifier.resolve(&of);
        let found = match &of {
            Type::Map(_, value) => (**value).clone(),
            Type::Message(_) => {
                self.report(self.ast.at(id), format!("undefined field '{field}'"));
                Type::Error
            }
            Type::Variable(_) => {
                self.unifier.assignable(&[Type::Dyn], &[of]);
                Type::Dyn
            }
            _ => {
                if !of.is_dyn_or_error() {
                    let of = self.unifier.show(&of);
                    self.report(self.ast.at(id), format!("type '{of}' does not support field selection"));
                }
                Type::Dyn
            }
        };
        if test { Type::BOOL } else { self.unifier.resolve(&found) }
    }

    fn call(&mut self, id: Id, name: &str, target: Option<Id>, arguments: &[Id]) -> Type {
        for &argument in arguments {
            self.check(argument);
        }
        let at = self.ast.at(id);
        if let Some(target) = target {
            self.check(target);
        }
        let found = match target {
            None => Function::named(name.strip_prefix('.').unwrap_or(name)),
            Some(_) => Function::named(name),
        };
        match found {
            Some(function) => self.resolve(id, function, target, arguments),
            None => self.undeclared(at, name),
        }
    }

    fn considered(&self, overload: &Overload) -> bool {
        match overload.seen {
            Seen::Always => true,
            Seen::CrossType => self.macros_seen,
            Seen::AtRunTime => false,
        }
    }

    fn resolve(&mut self, id: Id, function: &'static Function, target: Option<Id>, arguments: &[Id]) -> Type {
        self.meanings[id] = Meaning::Function(function);
        if matches!(function.name, "_&&_" | "_||_") {
            return self.logic(arguments);
        }
        let given: Vec<Type> =
            target.iter().chain(arguments).map(|&argument| self.type_of(argument)).collect();
        let mut found: Option<Type> = None;
        for overload in function.overloads {
            if overload.member != target.is_some() || !self.considered(overload) {
                continue;
            }
            let (wanted, result) = overload.instance(&mut self.unifier);
            if !self.unifier.assignable(&given, &wanted) {
                continue;
            }
            let result = self.unifier.resolve(&result);
            found = Some(match found {
                None => result,
                Some(before) if before.is_dyn() || self.unifier.is_exact(&result, &before) => before,
                Some(_) => Type::Dyn,
            });
        }
        if let Some(found) = found {
            return found;
        }
        let mut shown: Vec<String> = given.iter().map(|of| self.settled(of)).collect();
        let on = if target.is_some() { shown.remove(0) + "." } else { String::new() };
        let message = format!(
            "found no matching overload for '{}' applied to '{on}({})'",
            function.name,
            shown.join(", ")
        );
        self.report(self.ast.at(id), message);
        Type::Error
    }

    fn settled(&mut self, of: &Type) -> String {
        let of = self.unifier.settle(of);
        self.unifier.show(&of)
    }

    fn logic(&mut self, arguments: &[Id]) -> Type {
        let mut result = Type::BOOL;
        for &argument in arguments {
            let of = self.type_of(argument);
            if !self.unifier.assignable(std::slice::from_ref(&of), &[Type::BOOL]) {
                let of = self.unifier.show(&of);
                self.report(self.ast.at(argument), format!("expected type 'bool' but found '{of}'"));
                result = Type::Error;
            }
        }
        result
    }

    fn list(&mut self, elements: &[Id]) -> Type {
        let mut of = None;
        for &element in elements {
            self.check(element);
            of = Some(self.join(of, element));
        }
        Type::list(of.unwrap_or_else(|| self.unifier.variable()))
    }

    /// The type of what may hold both: dyn if they differ.
    fn join(&mut self, before: Option<Type>, id: Id) -> Type {
        let of = self.type_of(id);
        match before {
            None => of,
            Some(before) => {
                let (before, of) = ([before], [of]);
                if self.unifier.assignable(&before, &of) {
                    self.unifier.most_general(&before[0], &of[0])
                } else {
                    Type::Dyn
                }
            }
        }
    }

    fn message(&mut self, id: Id, whole: &str) -> Type {
        let name = whole.strip_prefix('.').unwrap_or(whole);
        let at = self.ast.at(id);
        if let Some(message) = Message::named(name) {
            self.meanings[id] = Meaning::Message(message);
            return message.literal_type();
        }
        match named_type(name) {
            None => self.undeclared(at, whole),
            // Types with a message behind them, which the planner does not find under this name.
            Some((_, of @ (Type::List(_) | Type::Null))) => of,
            Some((name, _)) => {
                self.report(at, format!("'{name}' is not a message type"));
                Type::Error
            }
        }
    }

    fn fields(&mut self, id: Id, fields: &[crate::ast::Field]) {
        let Meaning::Message(message) = self.meanings[id] else {
            // cel-go looks at them only below a type it knows.
            if self.types[id] != Some(Type::Error) {
                for field in fields {
                    self.check(field.value);
                    self.report(field.at, format!("undefined field '{}'", field.name));
                }
            }
            return;
        };
        for field in fields {
            self.check(field.value);
            let Some(wanted) = message.field(&field.name) else {
                self.report(field.at, format!("undefined field '{}'", field.name));
                continue;
            };
            let (wanted, given) = ([wanted], [self.type_of(field.value)]);
            if !self.unifier.assignable(&wanted, &given) {
                let (name, wanted, given) = (&field.name, &wanted[0], self.unifier.show(&given[0]));
                let message =
                    format!("expected type of field '{name}' is '{wanted}' but provided type is '{given}'");
                self.report(field.at, message);
            }
        }
    }

    fn fold(&mut self, fold: &Fold) -> Type {
        self.check(fold.range);
        self.check(fold.initial);
        let range = self.type_of(fold.range);
        let range = self.unifier.resolve(&range);
        let gathered = self.type_of(fold.initial);
        self.macros_seen = true;
        self.variables.push((ACCUMULATOR.into(), gathered.clone()));
        let element = match &range {
            Type::List(element) => (**element).clone(),
            Type::Map(key, _) => (**key).clone(),
            Type::Dyn | Type::Error | Type::Variable(_) => {
                self.unifier.assignable(&[Type::Dyn], &[range]);
                Type::Dyn
            }
            _ => {
                let range = self.unifier.show(&range);
                let message = format!(
                    "expression of type '{range}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.report(self.ast.at(fold.range), message);
                Type::Error
            }
        };
        self.variables.push((Rc::clone(&fold.variable), element));
        self.check(fold.condition);
        self.expect(fold.condition, Type::BOOL);
        self.check(fold.step);
        self.expect(fold.step, gathered);
        self.variables.pop();
        self.check(fold.result);
        self.variables.pop();
        let found = self.type_of(fold.result);
        self.unifier.resolve(&found)
    }

    fn expect(&mut self, id: Id, wanted: Type) {
        let (wanted, given) = ([wanted], [self.type_of(id)]);
        if !self.unifier.assignable(&wanted, &given) {
            let [wanted, given] = [&wanted[0], &given[0]].map(|of| self.unifier.show(of));
            self.report(self.ast.at(id), format!("expected type '{wanted}' but found '{given}'"));
        }
    }

    /// What cel-go refuses when it makes a program of the checked expression (interpreter/planner.go).
    fn plan(&mut self, id: Id) -> Result<(), String> {
        let ast = self.ast;
        match ast.expr(id) {
            Expr::Literal(_) | Expr::Broken => Ok(()),
            Expr::Name(name) => self.plan_name(id, name.strip_prefix('.').unwrap_or(name)),
            Expr::Select { operand, .. } => {
                if !matches!(self.meanings[id], Meaning::Itself) {
                    let name = ast.qualified_name(id).unwrap_or_default();
                    return self.plan_name(id, name.strip_prefix('.').unwrap_or(&name));
                }
                self.plan(*operand)
            }
            Expr::Call { function, target, arguments } => {
                for &part in target.iter().chain(arguments) {
                    self.plan(part)?;
                }
                match (&**function, self.constant(arguments.last().copied())) {
                    ("_[_]", Some(Value::Null | Value::Bytes(_) | Value::Type(_))) => {
                        let index = self.constant(arguments.last().copied());
                        let kind = index.map_or("", |value| value.kind().go_name());
                        Err(format!("invalid qualifier type: {kind}"))
                    }
                    _ => Ok(()),
                }
            }
            Expr::List(elements) => elements.iter().try_for_each(|&element| self.plan(element)),
            Expr::Map(entries) => entries.iter().try_for_each(|entry| {
                self.plan(entry.key)?;
                self.plan(entry.value)
            }),
            Expr::Message { name, fields } => {
                if !matches!(self.meanings[id], Meaning::Message(_)) {
                    return Err(format!("unknown type: {}", name.strip_prefix('.').unwrap_or(name)));
                }
                fields.iter().try_for_each(|field| self.plan(field.value))
            }
            Expr::Fold(fold) => [fold.initial, fold.range, fold.condition, fold.step, fold.result]
                .into_iter()
                .try_for_each(|part| self.plan(part)),
        }
    }

    /// Of the names with the type of a type, only those that are one are known at run time.
    fn plan_name(&mut self, id: Id, name: &str) -> Result<(), String> {
        if matches!(self.meanings[id], Meaning::Constant(_)) {
            return Ok(());
        }
        let of = self.type_of(id);
        if !matches!(self.unifier.settle(&of), Type::Of(_)) {
            return Ok(());
        }
        let Some((name, _)) = named_type(name) else {
            return Err(format!("reference to undefined type: {name}"));
        };
        self.meanings[id] = Meaning::Constant(Value::Type(name));
        Ok(())
    }

    fn constant(&self, id: Option<Id>) -> Option<&Value> {
        let id = id?;
        match (self.ast.expr(id), &self.meanings[id]) {
            (Expr::Literal(value), _) | (_, Meaning::Constant(value)) => Some(value),
            _ => None,
        }
    }
}

fn literal_type(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::BOOL,
        Value::Int(_) => Type::INT,
        Value::Uint(_) => Type::UINT,
        Value::Double(_) => Type::DOUBLE,
        Value::Text(_) => Type::TEXT,
        Value::Bytes(_) => Type::BYTES,
        // The parser makes no others.
        _ => Type::Error,
    }
}
