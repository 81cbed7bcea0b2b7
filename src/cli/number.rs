//! Whole numbers on the command line.

use std::{num::NonZeroUsize, ops::RangeInclusive};

/// Reads a whole number in `range`.
pub(super) fn within<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + Clone + Send + Sync + 'static,
{
    move |text: &str| {
        let number = text.parse::<T>().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("it is a whole number from {} to {}", range.start(), range.end()))
    }
}

/// Reads a whole number above zero.
pub(super) fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "it is a whole number above zero".to_owned())
}
