//! The functions of CEL's standard library: for each overload its signature and what it does (cel-go
//! common/stdlib/standard.go, in its order).

use crate::{
    machine::{Machine, Outcome},
    operations as op,
    types::{Type, Unifier},
    value::{Value, ValueKind},
};

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) overloads: &'static [Overload],
    pub(super) refusal: Refusal,
}

/// What cel-go says about a call that no overload fits at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// One implementation for all overloads: it names the function only if it cannot do with the first argument at all.
    Operand,
    /// One implementation per overload: the function and the types of its arguments.
    Signature,
    /// Nothing in particular.
    Plain,
}

/// One signature.
#[derive(Debug)]
pub(super) struct Overload {
    /// Called as `x.function()`.
    pub(super) member: bool,
    pub(super) arguments: &'static [Sort],
    pub(super) result: Sort,
    pub(super) seen: Seen,
    pub(super) run: Run,
}

/// When an overload is considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Always,
    /// Numbers of two types: not in type-checking, unless a macro came before (see the checker).
    CrossType,
    /// Not in type-checking at all.
    AtRunTime,
}

/// What an overload does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    /// Evaluates its arguments itself, or not: the evaluator has it.
    Operator,
    Call(fn(&mut Machine<'_>, &[Value]) -> Outcome),
}

/// The type of an argument or a result; `A` and `B` are type parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Bool,
    Bytes,
    Double,
    Duration,
    Int,
    Text,
    Timestamp,
    Uint,
    A,
    B,
    ListOfA,
    MapOfAB,
    TypeOfA,
    Dyn,
}

use Refusal::{Operand, Plain, Signature};
use Sort::{A, B, Bool, Bytes, Double, Duration, Dyn, Int, ListOfA, MapOfAB, Text, Timestamp, TypeOfA, Uint};

type Implementation = fn(&mut Machine<'_>, &[Value]) -> Outcome;

impl Function {
    /// The function of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }

    /// The overload for these arguments.
    pub(super) fn overload(&self, member: bool, arguments: &[Value]) -> Option<&'static Overload> {
        self.overloads.iter().find(|overload| {
            overload.member == member
                && overload.arguments.len() == arguments.len()
                && overload.arguments.iter().zip(arguments).all(|(sort, value)| sort.takes(value.kind()))
        })
    }
}

impl Overload {
    /// Its types with new type variables: arguments and result.
    pub(super) fn instance(&self, unifier: &mut Unifier) -> (Vec<Type>, Type) {
        let mut variables = [None, None];
        let arguments = self.arguments.iter().map(|sort| sort.instance(unifier, &mut variables)).collect();
        let result = self.result.instance(unifier, &mut variables);
        (arguments, result)
    }
}

impl Sort {
    fn instance(self, unifier: &mut Unifier, variables: &mut [Option<Type>; 2]) -> Type {
        let mut variable = |which: usize| variables[which].get_or_insert_with(|| unifier.variable()).clone();
        match self {
            Bool => Type::BOOL,
            Bytes => Type::BYTES,
            Double => Type::DOUBLE,
            Duration => Type::Duration,
            Int => Type::INT,
            Text => Type::TEXT,
            Timestamp => Type::Timestamp,
            Uint => Type::UINT,
            A => variable(0),
            B => variable(1),
            ListOfA => Type::list(variable(0)),
            MapOfAB => Type::map(variable(0), variable(1)),
            TypeOfA => Type::of(variable(0)),
            Dyn => Type::Dyn,
        }
    }

    /// Whether a value of this kind may be passed at run time, where what a list or a map holds does not count.
    pub(super) fn takes(self, kind: ValueKind) -> bool {
        match self {
            Bool => kind == ValueKind::Bool,
            Bytes => kind == ValueKind::Bytes,
            Double => kind == ValueKind::Double,
            Duration => kind == ValueKind::Duration,
            Int => kind == ValueKind::Int,
            Text => kind == ValueKind::Text,
            Timestamp => kind == ValueKind::Timestamp,
            Uint => kind == ValueKind::Uint,
            ListOfA => kind == ValueKind::List,
            MapOfAB => kind == ValueKind::Map,
            TypeOfA => kind == ValueKind::Type,
            A | B | Dyn => true,
        }
    }
}

const fn function(name: &'static str, refusal: Refusal, overloads: &'static [Overload]) -> Function {
    Function { name, overloads, refusal }
}

const fn global(arguments: &'static [Sort], result: Sort, run: Implementation) -> Overload {
    Overload { member: false, arguments, result, seen: Seen::Always, run: Run::Call(run) }
}

const fn member(arguments: &'static [Sort], result: Sort, run: Implementation) -> Overload {
    Overload { member: true, arguments, result, seen: Seen::Always, run: Run::Call(run) }
}

const fn operator(arguments: &'static [Sort], result: Sort) -> Overload {
    Overload { member: false, arguments, result, seen: Seen::Always, run: Run::Operator }
}

const fn cross_type(arguments: &'static [Sort], run: Implementation) -> Overload {
    Overload { member: false, arguments, result: Bool, seen: Seen::CrossType, run: Run::Call(run) }
}

const fn at_run_time(arguments: &'static [Sort], result: Sort, run: Implementation) -> Overload {
    Overload { member: false, arguments, result, seen: Seen::AtRunTime, run: Run::Call(run) }
}

/// The overloads of `<`, `<=`, `>` and `>=`.
macro_rules! ordering {
    ($run:expr) => {
        &[
            global(&[Bool, Bool], Bool, $run),
            global(&[Int, Int], Bool, $run),
            cross_type(&[Int, Double], $run),
            cross_type(&[Int, Uint], $run),
            global(&[Uint, Uint], Bool, $run),
            cross_type(&[Uint, Double], $run),
            cross_type(&[Uint, Int], $run),
            global(&[Double, Double], Bool, $run),
            cross_type(&[Double, Int], $run),
            cross_type(&[Double, Uint], $run),
            global(&[Text, Text], Bool, $run),
            global(&[Bytes, Bytes], Bool, $run),
            global(&[Timestamp, Timestamp], Bool, $run),
            global(&[Duration, Duration], Bool, $run),
        ]
    };
}

/// The overloads of a part of a timestamp; the second argument is a time zone.
macro_rules! part_of_timestamp {
    ($run:expr) => {
        &[member(&[Timestamp], Int, $run), member(&[Timestamp, Text], Int, $run)]
    };
}

/// The overloads of a part of a timestamp or of a duration.
macro_rules! part_of_time {
    ($run:expr, $of_duration:expr) => {
        &[
            member(&[Timestamp], Int, $run),
            member(&[Timestamp, Text], Int, $run),
            member(&[Duration], Int, $of_duration),
        ]
    };
}

static FUNCTIONS: [Function; 44] = [
    function("_?_:_", Operand, &[operator(&[Bool, A, A], A)]),
    function("_&&_", Operand, &[operator(&[Bool, Bool], Bool)]),
    function("_||_", Operand, &[operator(&[Bool, Bool], Bool)]),
    function("!_", Plain, &[global(&[Bool], Bool, op::not)]),
    function("@not_strictly_false", Operand, &[operator(&[Bool], Bool)]),
    function("_==_", Operand, &[global(&[A, A], Bool, op::equal)]),
    function("_!=_", Operand, &[global(&[A, A], Bool, op::not_equal)]),
    function(
        "_+_",
        Operand,
        &[
            global(&[Bytes, Bytes], Bytes, op::add_bytes),
            global(&[Double, Double], Double, op::add_double),
            global(&[Duration, Duration], Duration, op::add_duration),
            global(&[Duration, Timestamp], Timestamp, op::add_duration_timestamp),
            global(&[Timestamp, Duration], Timestamp, op::add_timestamp_duration),
            global(&[Int, Int], Int, op::add_int),
            global(&[ListOfA, ListOfA], ListOfA, op::add_list),
            global(&[Text, Text], Text, op::add_text),
            global(&[Uint, Uint], Uint, op::add_uint),
        ],
    ),
    function(
        "_/_",
        Operand,
        &[
            global(&[Double, Double], Double, op::divide_double),
            global(&[Int, Int], Int, op::divide_int),
            global(&[Uint, Uint], Uint, op::divide_uint),
        ],
    ),
    function(
        "_%_",
        Operand,
        &[global(&[Int, Int], Int, op::modulo_int), global(&[Uint, Uint], Uint, op::modulo_uint)],
    ),
    function(
        "_*_",
        Operand,
        &[
            global(&[Double, Double], Double, op::multiply_double),
            global(&[Int, Int], Int, op::multiply_int),
            global(&[Uint, Uint], Uint, op::multiply_uint),
        ],
    ),
    function(
        "-_",
        Operand,
        &[
            global(&[Double], Double, op::negate_double),
            global(&[Int], Int, op::negate_int),
            at_run_time(&[Duration], Duration, op::negate_duration),
            at_run_time(&[Bool], Bool, op::no_such_overload),
        ],
    ),
    function(
        "_-_",
        Operand,
        &[
            global(&[Double, Double], Double, op::subtract_double),
            global(&[Duration, Duration], Duration, op::subtract_duration),
            global(&[Int, Int], Int, op::subtract_int),
            global(&[Timestamp, Duration], Timestamp, op::subtract_timestamp_duration),
            global(&[Timestamp, Timestamp], Duration, op::subtract_timestamp),
            global(&[Uint, Uint], Uint, op::subtract_uint),
        ],
    ),
    function("_<_", Operand, ordering!(op::less)),
    function("_<=_", Operand, ordering!(op::less_or_equal)),
    function("_>_", Operand, ordering!(op::greater)),
    function("_>=_", Operand, ordering!(op::greater_or_equal)),
    function("_[_]", Operand, &[operator(&[ListOfA, Int], A), operator(&[MapOfAB, A], B)]),
    function(
        "@in",
        Operand,
        &[global(&[A, ListOfA], Bool, op::in_list), global(&[A, MapOfAB], Bool, op::in_map)],
    ),
    function(
        "size",
        Operand,
        &[
            global(&[Bytes], Int, op::size),
            member(&[Bytes], Int, op::size),
            global(&[ListOfA], Int, op::size),
            member(&[ListOfA], Int, op::size),
            global(&[MapOfAB], Int, op::size),
            member(&[MapOfAB], Int, op::size),
            global(&[Text], Int, op::size),
            member(&[Text], Int, op::size),
        ],
    ),
    function("type", Operand, &[global(&[A], TypeOfA, op::type_of)]),
    function(
        "bool",
        Signature,
        &[global(&[Bool], Bool, op::identity), global(&[Text], Bool, op::text_to_bool)],
    ),
    function(
        "bytes",
        Signature,
        &[global(&[Bytes], Bytes, op::identity), global(&[Text], Bytes, op::text_to_bytes)],
    ),
    function(
        "double",
        Signature,
        &[
            global(&[Double], Double, op::identity),
            global(&[Int], Double, op::int_to_double),
            global(&[Text], Double, op::text_to_double),
            global(&[Uint], Double, op::uint_to_double),
        ],
    ),
    function(
        "duration",
        Signature,
        &[global(&[Duration], Duration, op::identity), global(&[Text], Duration, op::text_to_duration)],
    ),
    function("dyn", Operand, &[global(&[A], Dyn, op::identity)]),
    function(
        "int",
        Signature,
        &[
            global(&[Int], Int, op::identity),
            global(&[Double], Int, op::double_to_int),
            global(&[Duration], Int, op::duration_to_int),
            global(&[Text], Int, op::text_to_int),
            global(&[Timestamp], Int, op::timestamp_to_int),
            global(&[Uint], Int, op::uint_to_int),
        ],
    ),
    function(
        "string",
        Signature,
        &[
            global(&[Text], Text, op::identity),
            global(&[Bool], Text, op::bool_to_text),
            global(&[Bytes], Text, op::bytes_to_text),
            global(&[Double], Text, op::double_to_text),
            global(&[Duration], Text, op::duration_to_text),
            global(&[Int], Text, op::int_to_text),
            global(&[Timestamp], Text, op::timestamp_to_text),
            global(&[Uint], Text, op::uint_to_text),
        ],
    ),
    function(
        "timestamp",
        Signature,
        &[
            global(&[Timestamp], Timestamp, op::identity),
            global(&[Int], Timestamp, op::int_to_timestamp),
            global(&[Text], Timestamp, op::text_to_timestamp),
        ],
    ),
    function(
        "uint",
        Signature,
        &[
            global(&[Uint], Uint, op::identity),
            global(&[Double], Uint, op::double_to_uint),
            global(&[Int], Uint, op::int_to_uint),
            global(&[Text], Uint, op::text_to_uint),
        ],
    ),
    function("contains", Plain, &[member(&[Text, Text], Bool, op::contains)]),
    function("endsWith", Plain, &[member(&[Text, Text], Bool, op::ends_with)]),
    function("startsWith", Plain, &[member(&[Text, Text], Bool, op::starts_with)]),
    function(
        "matches",
        Operand,
        &[global(&[Text, Text], Bool, op::matches), member(&[Text, Text], Bool, op::matches)],
    ),
    function("getFullYear", Signature, part_of_timestamp!(op::full_year)),
    function("getMonth", Signature, part_of_timestamp!(op::month)),
    function("getDayOfYear", Signature, part_of_timestamp!(op::day_of_year)),
    function("getDayOfMonth", Signature, part_of_timestamp!(op::day_of_month)),
    function("getDate", Signature, part_of_timestamp!(op::date)),
    function("getDayOfWeek", Signature, part_of_timestamp!(op::day_of_week)),
    function("getHours", Signature, part_of_time!(op::hours, op::duration_hours)),
    function("getMinutes", Signature, part_of_time!(op::minutes, op::duration_minutes)),
    function("getSeconds", Signature, part_of_time!(op::seconds, op::duration_seconds)),
    function("getMilliseconds", Signature, part_of_time!(op::milliseconds, op::duration_milliseconds)),
];
