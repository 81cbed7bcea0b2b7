//! The standard macros, as the comprehensions that cel-go makes of them (parser/macro.go). All nodes of one are where the
//! call's parenthesis is.

use std::rc::Rc;

use crate::{
    ast::{ACCUMULATOR, Ast, Expr, Fold, FoldKind, Id},
    value::Value,
};

/// A macro's arguments are not of its form.
pub(super) struct Misused {
    pub(super) at: usize,
    pub(super) message: &'static str,
}

/// `has(operand.field)`
pub(super) fn has(ast: &mut Ast, at: usize, argument: Id) -> Result<Id, Misused> {
    let Expr::Select { operand, field, .. } = ast.expr(argument) else {
        return Err(Misused { at: ast.at(argument), message: "invalid argument to has() macro" });
    };
    let expr = Expr::Select { operand: *operand, field: Rc::clone(field), test: true };
    Ok(ast.add(at, expr))
}

/// `range.function(variable, ...)`; `None` if there is no such macro.
pub(super) fn expand(
    ast: &mut Ast,
    at: usize,
    function: &str,
    range: Id,
    arguments: &[Id],
) -> Option<Result<Id, Misused>> {
    let (variable, kind) = match (function, arguments) {
        ("all", &[variable, predicate]) => (variable, FoldKind::All { predicate }),
        ("exists", &[variable, predicate]) => (variable, FoldKind::Exists { predicate }),
        ("exists_one", &[variable, predicate]) => (variable, FoldKind::ExistsOne { predicate }),
        ("map", &[variable, transform]) => (variable, FoldKind::Map { predicate: None, transform }),
        ("map", &[variable, predicate, transform]) => {
            (variable, FoldKind::Map { predicate: Some(predicate), transform })
        }
        ("filter", &[variable, predicate]) => {
            (variable, FoldKind::Map { predicate: Some(predicate), transform: variable })
        }
        _ => return None,
    };
    Some(fold(ast, at, range, variable, kind))
}

fn fold(ast: &mut Ast, at: usize, range: Id, variable: Id, kind: FoldKind) -> Result<Id, Misused> {
    let misused = |message| Misused { at: ast.at(variable), message };
    let name = match (ast.expr(variable), kind) {
        (Expr::Name(name), _) => Rc::clone(name),
        (_, FoldKind::Map { .. }) => return Err(misused("argument is not an identifier")),
        _ => return Err(misused("argument must be a simple name")),
    };
    if &*name == "__result__" {
        return Err(misused("iteration variable overwrites accumulator variable"));
    }
    let literal = |ast: &mut Ast, value| ast.add(at, Expr::Literal(value));
    let gathered = |ast: &mut Ast| ast.add(at, Expr::Name(ACCUMULATOR.into()));
    let so_far = gathered(ast);
    let (initial, condition, step, result) = match kind {
        FoldKind::All { predicate } => {
            let initial = literal(ast, Value::Bool(true));
            let tested = gathered(ast);
            let condition = ast.call(at, "@not_strictly_false", &[tested]);
            let step = ast.call(at, "_&&_", &[so_far, predicate]);
            (initial, condition, step, gathered(ast))
        }
        FoldKind::Exists { predicate } => {
            let initial = literal(ast, Value::Bool(false));
            let tested = gathered(ast);
            let negated = ast.call(at, "!_", &[tested]);
            let condition = ast.call(at, "@not_strictly_false", &[negated]);
            let step = ast.call(at, "_||_", &[so_far, predicate]);
            (initial, condition, step, gathered(ast))
        }
        FoldKind::ExistsOne { predicate } => {
            let initial = literal(ast, Value::Int(0));
            let condition = literal(ast, Value::Bool(true));
            let one = literal(ast, Value::Int(1));
            let more = ast.call(at, "_+_", &[so_far, one]);
            let as_before = gathered(ast);
            let step = ast.call(at, "_?_:_", &[predicate, more, as_before]);
            let count = gathered(ast);
            let one = literal(ast, Value::Int(1));
            (initial, condition, step, ast.call(at, "_==_", &[count, one]))
        }
        FoldKind::Map { predicate, transform } => {
            let initial = ast.add(at, Expr::List(Vec::new()));
            let condition = literal(ast, Value::Bool(true));
            let element = ast.add(at, Expr::List(vec![transform]));
            let mut step = ast.call(at, "_+_", &[so_far, element]);
            if let Some(predicate) = predicate {
                let as_before = gathered(ast);
                step = ast.call(at, "_?_:_", &[predicate, step, as_before]);
            }
            (initial, condition, step, gathered(ast))
        }
    };
    let fold = Fold { kind, range, variable: name, initial, condition, step, result };
    Ok(ast.add(at, Expr::Fold(Box::new(fold))))
}
