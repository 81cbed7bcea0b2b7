//! The grammar of CEL (cel-go parser/gen/CEL.g4) with cel-go's limits (parser/options.go).
//!
//! Written by hand because a limit must hold before any recursion does, and because positions, signs and limits have to
//! be cel-go's. After a syntax error nothing more is read: cel-go tries to, and then may name further errors.

mod primary;

use crate::{
    ast::{Ast, Expr, Id},
    lexer::{Token, TokenKind, tokens},
    macros::{self, Misused},
    source::{Issues, Location, Source},
};

/// Code points (parser/options.go expressionSizeCodePointLimit).
const LONGEST: usize = 100_000;
/// How often one rule of the grammar may be inside itself, and one operation inside another (maxRecursionDepth).
const DEEPEST: u32 = 250;

/// Reads the expression; on errors the text of all of them.
pub(super) fn parse(source: &Source) -> Result<(Ast, Id), String> {
    let mut issues = Issues::default();
    if source.letters.len() > LONGEST {
        let size = source.letters.len();
        issues.report(
            Location::Nowhere,
            format!("expression code point size exceeds limit: size: {size}, limit {LONGEST}"),
        );
        return Err(issues.display(source));
    }
    let tokens = tokens(source, &mut issues);
    let mut parser =
        Parser { source, tokens, next: 0, ast: Ast::default(), issues, exprs: 0, relations: 0, calcs: 0 };
    let root = parser.start();
    let Parser { ast, issues, .. } = parser;
    match root {
        Ok(root) if issues.is_empty() => Ok((ast, root)),
        _ => Err(issues.display(source)),
    }
}

/// A syntax error or a limit, already reported.
struct Stopped;

type Parsed = Result<Node, Stopped>;

/// A node and how many operations are inside one another in it, as cel-go's limit counts them.
#[derive(Clone, Copy)]
struct Node {
    id: Id,
    height: u32,
}

struct Parser<'a> {
    source: &'a Source,
    tokens: Vec<Token>,
    next: usize,
    ast: Ast,
    issues: Issues,
    // How deep inside each rule that can contain itself.
    exprs: u32,
    relations: u32,
    calcs: u32,
}

impl Parser<'_> {
    fn token(&self) -> Token {
        self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn peek(&self, ahead: usize) -> TokenKind {
        self.tokens.get(self.next + ahead).map_or(TokenKind::End, |token| token.kind)
    }

    fn take(&mut self) -> Token {
        let token = self.token();
        self.next += 1;
        token
    }

    fn sees(&self, sign: &'static str) -> bool {
        self.token().kind == TokenKind::Sign(sign)
    }

    /// The token, if it is this sign.
    fn accept(&mut self, sign: &'static str) -> Option<Token> {
        self.sees(sign).then(|| self.take())
    }

    /// The one of these signs that comes next.
    fn accept_any(&mut self, signs: &[&'static str]) -> Option<(&'static str, Token)> {
        let sign = signs.iter().copied().find(|&sign| self.sees(sign))?;
        Some((sign, self.take()))
    }

    fn text(&self, token: Token) -> String {
        if token.kind == TokenKind::End {
            "<EOF>".to_owned()
        } else {
            self.source.slice(token.start, token.end)
        }
    }

    fn report(&mut self, at: usize, message: impl Into<String>) -> Id {
        self.issues.report(Location::At(at), message.into());
        self.ast.add(at, Expr::Broken)
    }

    fn stop<T>(&mut self, message: &str) -> Result<T, Stopped> {
        let at = self.token().start;
        self.issues.report(Location::At(at), format!("Syntax error: {message}"));
        Err(Stopped)
    }

    fn mismatched<T>(&mut self, expected: &str) -> Result<T, Stopped> {
        let found = self.text(self.token());
        self.stop(&format!("mismatched input '{found}' expecting {expected}"))
    }

    /// The next token is not expected; cel-go says it another way if the one after it is.
    fn unexpected<T>(&mut self, expected: &str, fits: fn(TokenKind) -> bool) -> Result<T, Stopped> {
        if self.token().kind == TokenKind::End || !fits(self.peek(1)) {
            return self.mismatched(expected);
        }
        let found = self.text(self.token());
        self.stop(&format!("extraneous input '{found}' expecting {expected}"))
    }

    /// The limit of the grammar's rules.
    fn enter(&mut self, depth: u32) -> Result<(), Stopped> {
        if depth > DEEPEST {
            self.issues.report(Location::Nowhere, format!("expression recursion limit exceeded: {DEEPEST}"));
            return Err(Stopped);
        }
        Ok(())
    }

    /// An operation over other ones, within the limit of those.
    fn operation(&mut self, id: Id, parts: &[Node]) -> Parsed {
        let height = 1 + tallest(parts);
        if height > DEEPEST {
            self.issues.report(Location::Nowhere, "max recursion depth exceeded".to_owned());
            return Err(Stopped);
        }
        Ok(Node { id, height })
    }

    fn start(&mut self) -> Result<Id, Stopped> {
        let root = self.expr()?;
        if self.token().kind == TokenKind::End {
            return Ok(root.id);
        }
        self.unexpected("<EOF>", |kind| kind == TokenKind::End)
    }

    fn expr(&mut self) -> Parsed {
        self.exprs += 1;
        self.enter(self.exprs)?;
        let condition = self.or()?;
        let node = match self.accept("?") {
            None => condition,
            Some(op) => {
                let yes = self.or()?;
                if self.accept(":").is_none() {
                    return self.mismatched("':'");
                }
                let no = self.expr()?;
                let id = self.call(op.start, "_?_:_", &[condition.id, yes.id, no.id]);
                self.operation(id, &[condition, yes, no])?
            }
        };
        self.exprs -= 1;
        Ok(node)
    }

    fn or(&mut self) -> Parsed {
        self.chain("||", "_||_", Parser::and)
    }

    fn and(&mut self) -> Parsed {
        self.chain("&&", "_&&_", Parser::relation)
    }

    fn chain(&mut self, sign: &'static str, function: &str, term: fn(&mut Self) -> Parsed) -> Parsed {
        let mut terms = vec![term(self)?];
        let mut ops = Vec::new();
        while let Some(op) = self.accept(sign) {
            ops.push(op.start);
            terms.push(term(self)?);
        }
        let height = tallest(&terms);
        Ok(Node { id: self.balanced(function, &terms, &ops), height })
    }

    /// A tree as flat as can be (parser/helper.go balancedTree).
    fn balanced(&mut self, function: &str, terms: &[Node], ops: &[usize]) -> Id {
        if ops.is_empty() {
            return terms[0].id;
        }
        let middle = ops.len() / 2;
        let left = self.balanced(function, &terms[..=middle], &ops[..middle]);
        let right = self.balanced(function, &terms[middle + 1..], &ops[middle + 1..]);
        self.call(ops[middle], function, &[left, right])
    }

    fn relation(&mut self) -> Parsed {
        self.relations += 1;
        self.enter(self.relations)?;
        let mut left = self.calc(0)?;
        while let Some((sign, op)) = self.accept_any(&["<", "<=", ">=", ">", "==", "!=", "in"]) {
            self.relations += 1;
            self.enter(self.relations)?;
            let right = self.calc(0)?;
            self.relations -= 1;
            let function = if sign == "in" { "@in".to_owned() } else { format!("_{sign}_") };
            let id = self.call(op.start, &function, &[left.id, right.id]);
            left = self.operation(id, &[left, right])?;
        }
        self.relations -= 1;
        Ok(left)
    }

    /// `binding` 0: sums and products; 1: products alone; 2: neither.
    fn calc(&mut self, binding: u32) -> Parsed {
        self.calcs += 1;
        self.enter(self.calcs)?;
        let mut left = self.unary()?;
        loop {
            let (sign, op, right) = if binding < 2
                && let Some((sign, op)) = self.accept_any(&["*", "/", "%"])
            {
                (sign, op, self.calc(2)?)
            } else if binding == 0
                && let Some((sign, op)) = self.accept_any(&["+", "-"])
            {
                (sign, op, self.calc(1)?)
            } else {
                break;
            };
            let id = self.call(op.start, &format!("_{sign}_"), &[left.id, right.id]);
            left = self.operation(id, &[left, right])?;
        }
        self.calcs -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        let first = self.token();
        let sign = match first.kind {
            TokenKind::Sign("!") => "!",
            // One minus before a number is part of it.
            TokenKind::Sign("-") if !matches!(self.peek(1), TokenKind::Int | TokenKind::Double) => "-",
            _ => return self.member(),
        };
        let mut count = 0;
        while self.accept(sign).is_some() {
            count += 1;
        }
        let member = self.member()?;
        if count % 2 == 0 {
            return Ok(member);
        }
        let id = self.call(first.start, &format!("{sign}_"), &[member.id]);
        Ok(Node { id, height: member.height })
    }

    fn member(&mut self) -> Parsed {
        let mut node = self.primary()?;
        loop {
            node = if let Some(dot) = self.accept(".") {
                let optional = self.accept("?").is_some();
                let name = self.take();
                let field = match name.kind {
                    TokenKind::Name => self.text(name),
                    TokenKind::QuotedName => self.text(name).trim_matches('`').to_owned(),
                    _ => {
                        self.next -= 1;
                        let found = self.text(name);
                        return self.stop(&format!("no viable alternative at input '.{found}'"));
                    }
                };
                if name.kind == TokenKind::Name
                    && !optional
                    && let Some(open) = self.accept("(")
                {
                    let arguments = self.arguments()?;
                    let id = self.member_call(open.start, &field, node.id, &arguments);
                    let mut parts = arguments;
                    parts.push(node);
                    self.operation(id, &parts)?
                } else {
                    let id = if optional {
                        self.report(dot.start, "unsupported syntax '.?'")
                    } else {
                        let expr = Expr::Select { operand: node.id, field: field.into(), test: false };
                        self.ast.add(dot.start, expr)
                    };
                    self.operation(id, &[node])?
                }
            } else if let Some(open) = self.accept("[") {
                let optional = self.accept("?").is_some();
                let index = self.expr()?;
                if self.accept("]").is_none() {
                    return self.mismatched("']'");
                }
                let id = if optional {
                    self.report(open.start, "unsupported syntax '[?'")
                } else {
                    self.call(open.start, "_[_]", &[node.id, index.id])
                };
                self.operation(id, &[node, index])?
            } else {
                return Ok(node);
            };
        }
    }

    fn call(&mut self, at: usize, function: &str, arguments: &[Id]) -> Id {
        self.ast
            .add(at, Expr::Call { function: function.into(), target: None, arguments: arguments.to_vec() })
    }

    /// The outcome of a macro.
    fn expanded(&mut self, outcome: Result<Id, Misused>) -> Id {
        match outcome {
            Ok(id) => id,
            Err(Misused { at, message }) => self.report(at, message),
        }
    }

    /// A call upon a value, or a macro.
    fn member_call(&mut self, at: usize, function: &str, target: Id, arguments: &[Node]) -> Id {
        let arguments: Vec<Id> = arguments.iter().map(|node| node.id).collect();
        match macros::expand(&mut self.ast, at, function, target, &arguments) {
            Some(outcome) => self.expanded(outcome),
            None => {
                self.ast.add(at, Expr::Call { function: function.into(), target: Some(target), arguments })
            }
        }
    }
}

fn tallest(parts: &[Node]) -> u32 {
    parts.iter().map(|part| part.height).max().unwrap_or(0)
}
