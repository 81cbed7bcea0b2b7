//! Types as cel-go's checker knows them (common/types/types.go), and when one may stand for another (checker/types.go).

use std::{fmt, rc::Rc};

/// Steps over types after which an expression is refused: types of types can grow exponentially, and cel-go would go on.
const MOST_STEPS: u64 = 1_000_000;

/// The types that protobuf has wrapper messages for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Primitive {
    Bool,
    Bytes,
    Double,
    Int,
    Text,
    Uint,
}

/// A static type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Dyn,
    /// `google.protobuf.Any`
    Any,
    Error,
    Null,
    Primitive(Primitive),
    /// A primitive or null.
    Wrapper(Primitive),
    Timestamp,
    Duration,
    List(Rc<Self>),
    Map(Rc<Self>, Rc<Self>),
    /// The type of types; of which one, if known.
    Of(Option<Rc<Self>>),
    Message(&'static str),
    /// A type variable.
    Variable(usize),
}

impl Type {
    pub(super) const BOOL: Self = Self::Primitive(Primitive::Bool);
    pub(super) const BYTES: Self = Self::Primitive(Primitive::Bytes);
    pub(super) const DOUBLE: Self = Self::Primitive(Primitive::Double);
    pub(super) const INT: Self = Self::Primitive(Primitive::Int);
    pub(super) const TEXT: Self = Self::Primitive(Primitive::Text);
    pub(super) const UINT: Self = Self::Primitive(Primitive::Uint);

    pub(super) fn list(element: Self) -> Self {
        Self::List(Rc::new(element))
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Map(Rc::new(key), Rc::new(value))
    }

    pub(super) fn of(of: Self) -> Self {
        Self::Of(Some(Rc::new(of)))
    }

    pub(super) fn is_dyn(&self) -> bool {
        matches!(self, Self::Dyn | Self::Any)
    }

    pub(super) fn is_dyn_or_error(&self) -> bool {
        self.is_dyn() || matches!(self, Self::Error)
    }

    /// Whether null is a value of it.
    fn nullable(&self) -> bool {
        matches!(
            self,
            Self::Null | Self::Any | Self::Wrapper(_) | Self::Timestamp | Self::Duration | Self::Message(_)
        )
    }
}

impl fmt::Display for Primitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::Double => "double",
            Self::Int => "int",
            Self::Text => "string",
            Self::Uint => "uint",
        })
    }
}

/// As in cel-go's errors (checker/format.go FormatCELType).
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Any => f.write_str("any"),
            Self::Error => f.write_str("!error!"),
            Self::Null => f.write_str("null"),
            Self::Primitive(primitive) => write!(f, "{primitive}"),
            Self::Wrapper(primitive) => write!(f, "wrapper({primitive})"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(element) => write!(f, "list({element})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Of(None) => f.write_str("type"),
            Self::Of(Some(of)) => write!(f, "type({of})"),
            Self::Message(name) => f.write_str(name),
            Self::Variable(number) => write!(f, "_var{number}"),
        }
    }
}

/// What is known of the type variables.
#[derive(Debug, Default)]
pub(super) struct Unifier {
    bound: Vec<Option<Type>>,
    /// What to put back if the attempt under way fails.
    changes: Vec<(usize, Option<Type>)>,
    steps: u64,
}

impl Unifier {
    pub(super) fn variable(&mut self) -> Type {
        self.bound.push(None);
        Type::Variable(self.bound.len() - 1)
    }

    /// Whether more steps were asked for than are given. Answers are worthless then, but come.
    pub(super) fn exhausted(&self) -> bool {
        self.steps > MOST_STEPS
    }

    /// How many steps were taken.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    fn step(&mut self) -> bool {
        self.steps += 1;
        !self.exhausted()
    }

    fn bind(&mut self, variable: usize, to: Type) {
        let before = self.bound[variable].replace(to);
        self.changes.push((variable, before));
    }

    /// Whether each type may stand where its counterpart is asked for; type variables are bound only if all may.
    pub(super) fn assignable(&mut self, given: &[Type], wanted: &[Type]) -> bool {
        self.changes.clear();
        let fits = given.len() == wanted.len()
            && given.iter().zip(wanted).all(|(given, wanted)| self.assign(given, wanted));
        if !fits {
            for (variable, before) in self.changes.drain(..).rev() {
                self.bound[variable] = before;
            }
        }
        fits
    }

    fn assign(&mut self, given: &Type, wanted: &Type) -> bool {
        if !self.step() {
            return true;
        }
        if let &Type::Variable(variable) = wanted {
            match self.substitution(given, variable) {
                (true, _) => return true,
                (false, true) => return false,
                (false, false) => {}
            }
        }
        if let &Type::Variable(variable) = given {
            return self.substitution(wanted, variable).0;
        }
        if given.is_dyn_or_error() || wanted.is_dyn_or_error() {
            return true;
        }
        match (given, wanted) {
            (Type::Null, other) | (other, Type::Null) => other.nullable(),
            (Type::Primitive(a) | Type::Wrapper(a), Type::Primitive(b) | Type::Wrapper(b)) => a == b,
            (Type::List(a), Type::List(b)) => self.assign(a, b),
            (Type::Map(a, x), Type::Map(b, y)) => self.assign(a, b) && self.assign(x, y),
            (Type::Of(_), Type::Of(_)) => true,
            (a, b) => a == b,
        }
    }

    /// Whether the variable may be this type, and whether something was known of it.
    fn substitution(&mut self, given: &Type, variable: usize) -> (bool, bool) {
        if matches!(given, Type::Variable(other) if *other == variable) {
            return (true, true);
        }
        if let Some(known) = self.bound[variable].clone() {
            if self.exact(given, &known) {
                return (true, true);
            }
            if !self.assign(given, &known) {
                return (false, true);
            }
            let general = self.most_general(given, &known);
            if self.free_of(variable, &general) {
                self.bind(variable, general);
            }
            return (true, true);
        }
        if self.free_of(variable, given) {
            self.bind(variable, given.clone());
            return (true, false);
        }
        (false, false)
    }

    /// cel-go takes a wrapper for the same as what it wraps.
    fn exact(&mut self, a: &Type, b: &Type) -> bool {
        if !self.step() {
            return true;
        }
        match (a, b) {
            (Type::Primitive(a) | Type::Wrapper(a), Type::Primitive(b) | Type::Wrapper(b)) => a == b,
            (Type::List(a), Type::List(b)) => self.exact(a, b),
            (Type::Map(a, x), Type::Map(b, y)) => self.exact(a, b) && self.exact(x, y),
            (Type::Of(Some(a)), Type::Of(Some(b))) => self.exact(a, b),
            (Type::List(_) | Type::Map(..) | Type::Of(Some(_)), _) => false,
            (a, b) => a == b,
        }
    }

    /// The type in words; nothing if it is too large for that.
    pub(super) fn show(&mut self, of: &Type) -> String {
        self.walk(of);
        if self.exhausted() { String::new() } else { of.to_string() }
    }

    fn walk(&mut self, of: &Type) {
        if !self.step() {
            return;
        }
        match of {
            Type::List(a) | Type::Of(Some(a)) => self.walk(a),
            Type::Map(a, b) => {
                self.walk(a);
                self.walk(b);
            }
            _ => {}
        }
    }

    pub(super) fn is_exact(&mut self, a: &Type, b: &Type) -> bool {
        self.exact(a, b)
    }

    /// Of two types that fit, the one that says less.
    pub(super) fn most_general(&mut self, a: &Type, b: &Type) -> Type {
        if self.less_specific(a, b) { a.clone() } else { b.clone() }
    }

    fn less_specific(&mut self, a: &Type, b: &Type) -> bool {
        if !self.step() {
            return true;
        }
        if a.is_dyn() || matches!(a, Type::Variable(_)) {
            return true;
        }
        if b.is_dyn() || matches!(b, Type::Variable(_)) {
            return false;
        }
        match (a, b) {
            (Type::List(a), Type::List(b)) => self.less_specific(a, b),
            (Type::Map(a, x), Type::Map(b, y)) => self.less_specific(a, b) && self.less_specific(x, y),
            (Type::Of(_), Type::Of(_)) => true,
            (a, b) => self.exact(a, b),
        }
    }

    /// Whether the variable does not occur in the type.
    fn free_of(&mut self, variable: usize, within: &Type) -> bool {
        if !self.step() {
            return true;
        }
        match within {
            Type::Variable(other) if *other == variable => false,
            Type::Variable(other) => match self.bound[*other].clone() {
                Some(known) => self.free_of(variable, &known),
                None => true,
            },
            Type::List(a) | Type::Of(Some(a)) => self.free_of(variable, a),
            Type::Map(a, b) => self.free_of(variable, a) && self.free_of(variable, b),
            _ => true,
        }
    }

    /// The type with its variables replaced by what is known of them.
    pub(super) fn resolve(&mut self, of: &Type) -> Type {
        self.replace(of, false)
    }

    /// As [`Unifier::resolve`], and dyn for what is not known.
    pub(super) fn settle(&mut self, of: &Type) -> Type {
        self.replace(of, true)
    }

    fn replace(&mut self, of: &Type, unknown_is_dyn: bool) -> Type {
        if !self.step() {
            return Type::Dyn;
        }
        match of {
            Type::Variable(variable) => match self.bound[*variable].clone() {
                Some(known) => self.replace(&known, unknown_is_dyn),
                None if unknown_is_dyn => Type::Dyn,
                None => of.clone(),
            },
            Type::List(a) => Type::list(self.replace(a, unknown_is_dyn)),
            Type::Map(a, b) => Type::map(self.replace(a, unknown_is_dyn), self.replace(b, unknown_is_dyn)),
            Type::Of(Some(a)) => Type::of(self.replace(a, unknown_is_dyn)),
            other => other.clone(),
        }
    }
}
