//! What is between operators: names, calls, literals, and all that has brackets.

use crate::{
    ast::{Entry, Expr, Field, Id},
    lexer::{Token, TokenKind},
    literal, macros,
    parser::{Node, Parsed, Parser, Stopped, tallest},
    value::Value,
};

/// Names that are kept for later versions of CEL. They are field names nevertheless.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

const OPERAND: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, \
                       STRING, BYTES, IDENTIFIER}";
const OPERAND_OR_CLOSE: &str = "{'[', '{', '(', ')', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, \
                                NUM_UINT, STRING, BYTES, IDENTIFIER}";

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parsed {
        let first = self.token();
        match first.kind {
            TokenKind::Sign(".") if self.peek(1) == TokenKind::Name => self.name(),
            TokenKind::Name => self.name(),
            TokenKind::Sign("(") => {
                self.take();
                let node = self.expr()?;
                if self.accept(")").is_none() {
                    return match self.peek(0) {
                        TokenKind::End => self.stop("missing ')' at '<EOF>'"),
                        _ => self.mismatched("')'"),
                    };
                }
                Ok(node)
            }
            TokenKind::Sign("[") => self.list(),
            TokenKind::Sign("{") => self.map(),
            _ => self.literal(),
        }
    }

    /// A variable, a call or a message.
    fn name(&mut self) -> Parsed {
        let start = self.token().start;
        let dot = if self.accept(".").is_some() { "." } else { "" };
        if let Some(name) = self.message_name() {
            return self.message(format!("{dot}{name}"));
        }
        let token = self.take();
        let name = self.text(token);
        if let Some(open) = self.accept("(") {
            let arguments = self.arguments()?;
            let height = tallest(&arguments);
            let id = if RESERVED.contains(&name.as_str()) {
                self.report(start, format!("reserved identifier: {name}"))
            } else if name == "has" && dot.is_empty() && arguments.len() == 1 {
                let expanded = macros::has(&mut self.ast, open.start, arguments[0].id);
                self.expanded(expanded)
            } else {
                let arguments: Vec<Id> = arguments.iter().map(|node| node.id).collect();
                self.call(open.start, &format!("{dot}{name}"), &arguments)
            };
            return Ok(Node { id, height });
        }
        let id = if RESERVED.contains(&name.as_str()) {
            self.report(start, format!("reserved identifier: {name}"))
        } else {
            self.ast.add(token.start, Expr::Name(format!("{dot}{name}").into()))
        };
        Ok(Node { id, height: 0 })
    }

    /// `a.b.c` if an opening brace follows; consumed then.
    fn message_name(&mut self) -> Option<String> {
        let mut length = 1;
        while self.peek(length) == TokenKind::Sign(".") && self.peek(length + 1) == TokenKind::Name {
            length += 2;
        }
        if self.peek(length) != TokenKind::Sign("{") {
            return None;
        }
        let name = (0..length).map(|_| self.take()).collect::<Vec<_>>();
        Some(name.into_iter().map(|token| self.text(token)).collect())
    }

    fn message(&mut self, name: String) -> Parsed {
        let open = self.take();
        let mut fields = Vec::new();
        let mut parts = Vec::new();
        while matches!(self.token().kind, TokenKind::Name | TokenKind::QuotedName | TokenKind::Sign("?")) {
            let first = self.token();
            let optional = self.accept("?").is_some();
            let token = self.take();
            let field = match token.kind {
                TokenKind::Name => self.text(token),
                TokenKind::QuotedName => self.text(token).trim_matches('`').to_owned(),
                _ => {
                    self.next -= 1;
                    return self.mismatched("{IDENTIFIER, ESC_IDENTIFIER}");
                }
            };
            let colon = self.colon()?;
            let value = self.expr()?;
            if optional {
                self.report(first.start, "unsupported syntax '?'");
            }
            fields.push(Field { name: field.into(), value: value.id, at: colon.start });
            parts.push(value);
            if self.accept(",").is_none() {
                break;
            }
        }
        if fields.is_empty() {
            self.accept(",");
        }
        if self.accept("}").is_none() {
            return self.mismatched("'}'");
        }
        let id = self.ast.add(open.start, Expr::Message { name: name.into(), fields });
        Ok(Node { id, height: tallest(&parts) })
    }

    fn colon(&mut self) -> Result<Token, Stopped> {
        match self.accept(":") {
            Some(colon) => Ok(colon),
            None => self.mismatched("':'"),
        }
    }

    fn list(&mut self) -> Parsed {
        let open = self.take();
        let mut parts = Vec::new();
        while !(self.sees("]") || parts.is_empty() && self.sees(",")) {
            if self.sees("?") {
                let mark = self.take();
                self.report(mark.start, "unsupported syntax '?'");
            }
            parts.push(self.expr()?);
            if self.accept(",").is_none() {
                break;
            }
            if self.sees(",") {
                return self.mismatched("']'");
            }
        }
        if parts.is_empty() {
            self.accept(",");
        }
        if self.accept("]").is_none() {
            return self.unexpected("{']', ','}", |kind| matches!(kind, TokenKind::Sign("]" | ",")));
        }
        let elements = parts.iter().map(|node| node.id).collect();
        let id = self.ast.add(open.start, Expr::List(elements));
        Ok(Node { id, height: tallest(&parts) })
    }

    fn map(&mut self) -> Parsed {
        let open = self.take();
        let mut entries = Vec::new();
        let mut parts = Vec::new();
        while !(self.sees("}") || parts.is_empty() && self.sees(",")) {
            if self.sees("?") {
                let mark = self.take();
                self.report(mark.start, "unsupported syntax '?'");
            }
            let key = self.expr()?;
            self.colon()?;
            let value = self.expr()?;
            entries.push(Entry { key: key.id, value: value.id });
            parts.extend([key, value]);
            if self.accept(",").is_none() {
                break;
            }
        }
        if parts.is_empty() {
            self.accept(",");
        }
        if self.accept("}").is_none() {
            return self.mismatched("{'}', ','}");
        }
        let id = self.ast.add(open.start, Expr::Map(entries));
        Ok(Node { id, height: tallest(&parts) })
    }

    /// What is between the parentheses of a call; the closing one is consumed.
    pub(super) fn arguments(&mut self) -> Result<Vec<Node>, Stopped> {
        let mut arguments = Vec::new();
        if self.accept(")").is_some() {
            return Ok(arguments);
        }
        if self.token().kind == TokenKind::End {
            return self.mismatched(OPERAND_OR_CLOSE);
        }
        loop {
            arguments.push(self.expr()?);
            if self.accept(",").is_none() {
                break;
            }
        }
        match self.accept(")") {
            Some(_) => Ok(arguments),
            None if arguments.len() > 1 => self.mismatched("{')', ','}"),
            None => self.unexpected("')'", |kind| kind == TokenKind::Sign(")")),
        }
    }

    fn literal(&mut self) -> Parsed {
        let first = self.token();
        let negative = matches!(first.kind, TokenKind::Sign("-"))
            && matches!(self.peek(1), TokenKind::Int | TokenKind::Double);
        if negative {
            self.take();
        }
        let token = self.take();
        let text = self.text(token);
        let value = match token.kind {
            TokenKind::Int => literal::int(&text, negative).map(Value::Int).ok_or("invalid int literal"),
            TokenKind::Uint => literal::uint(&text).map(Value::Uint).ok_or("invalid uint literal"),
            TokenKind::Double => {
                literal::double(&text, negative).map(Value::Double).ok_or("invalid double literal")
            }
            TokenKind::Text => literal::unescape(&text, false)
                .map(|bytes| Value::Text(String::from_utf8_lossy(&bytes).into())),
            TokenKind::Bytes => literal::unescape(&text[1..], true).map(|bytes| Value::Bytes(bytes.into())),
            TokenKind::Sign("true") => Ok(Value::Bool(true)),
            TokenKind::Sign("false") => Ok(Value::Bool(false)),
            TokenKind::Sign("null") => Ok(Value::Null),
            _ => {
                self.next -= 1;
                return self.unexpected(OPERAND, begins_operand);
            }
        };
        let id = match value {
            Ok(value) => self.ast.add(first.start, Expr::Literal(value)),
            Err(message) => self.report(first.start, message),
        };
        Ok(Node { id, height: 0 })
    }
}

fn begins_operand(kind: TokenKind) -> bool {
    match kind {
        TokenKind::End | TokenKind::QuotedName => false,
        TokenKind::Sign(sign) => {
            matches!(sign, "[" | "{" | "(" | "." | "-" | "!" | "true" | "false" | "null")
        }
        _ => true,
    }
}
