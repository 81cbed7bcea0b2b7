//! The syntax tree.

use std::rc::Rc;

use crate::value::Value;

/// A node's index in [`Ast::nodes`].
pub(super) type Id = usize;

/// The variable in which a macro gathers its result; no expression can name it.
pub(super) const ACCUMULATOR: &str = "@result";

/// All nodes of one expression.
#[derive(Debug, Default)]
pub(super) struct Ast {
    pub(super) nodes: Vec<Node>,
}

/// One node and the offset that its errors point at.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) expr: Expr,
    pub(super) at: usize,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Expr {
    Literal(Value),
    /// A name, with its leading dot if it has one.
    Name(Rc<str>),
    /// `operand.field`, or `has(operand.field)` if `test`.
    Select {
        operand: Id,
        field: Rc<str>,
        test: bool,
    },
    Call {
        function: Rc<str>,
        target: Option<Id>,
        arguments: Vec<Id>,
    },
    List(Vec<Id>),
    Map(Vec<Entry>),
    Message {
        name: Rc<str>,
        fields: Vec<Field>,
    },
    Fold(Box<Fold>),
    /// What a reported error left.
    Broken,
}

/// `key: value`
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: Id,
    pub(super) value: Id,
}

/// `name: value`, and where its colon is.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: Rc<str>,
    pub(super) value: Id,
    pub(super) at: usize,
}

/// A macro over a list or a map, and the comprehension that cel-go makes of it (parser/macro.go): the checker reads the
/// latter, the evaluator the former.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) kind: FoldKind,
    pub(super) range: Id,
    pub(super) variable: Rc<str>,
    pub(super) initial: Id,
    pub(super) condition: Id,
    pub(super) step: Id,
    pub(super) result: Id,
}

/// Which macro.
#[derive(Debug, Clone, Copy)]
pub(super) enum FoldKind {
    All {
        predicate: Id,
    },
    Exists {
        predicate: Id,
    },
    ExistsOne {
        predicate: Id,
    },
    /// `map` of three or four arguments, and `filter`.
    Map {
        predicate: Option<Id>,
        transform: Id,
    },
}

impl Ast {
    pub(super) fn add(&mut self, at: usize, expr: Expr) -> Id {
        self.nodes.push(Node { expr, at });
        self.nodes.len() - 1
    }

    /// A call of a function that is not a method.
    pub(super) fn call(&mut self, at: usize, function: &str, arguments: &[Id]) -> Id {
        self.add(at, Expr::Call { function: function.into(), target: None, arguments: arguments.to_vec() })
    }

    pub(super) fn expr(&self, id: Id) -> &Expr {
        &self.nodes[id].expr
    }

    pub(super) fn at(&self, id: Id) -> usize {
        self.nodes[id].at
    }

    /// `a.b.c` if the node is nothing but names.
    pub(super) fn qualified_name(&self, id: Id) -> Option<String> {
        let mut fields: Vec<&str> = Vec::new();
        let mut id = id;
        loop {
            match self.expr(id) {
                Expr::Name(name) => {
                    let mut out = name.to_string();
                    for field in fields.iter().rev() {
                        out.push('.');
                        out.push_str(field);
                    }
                    return Some(out);
                }
                Expr::Select { operand, field, test: false } => {
                    fields.push(field);
                    id = *operand;
                }
                _ => return None,
            }
        }
    }
}
