//! The step's environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// The environment variables in their order; of duplicates the first one counts, as Go has it (contract 3.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// From variables in their order.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let mut seen = std::collections::HashSet::new();
        Environment(variables.into_iter().filter(|(name, _)| seen.insert(name.clone())).collect())
    }

    /// This process's own.
    pub fn of_process() -> Environment {
        Environment::new(std::env::vars_os())
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// Gives a variable another value; one that no program could be given (it contains NUL) changes nothing, as in Go.
    pub fn set(&mut self, name: &OsStr, value: OsString) {
        if value.as_bytes().contains(&0) {
            return;
        }
        if let Some((_, current)) = self.0.iter_mut().find(|(known, _)| known == name) {
            *current = value;
        }
    }

    /// All variables in order.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_duplicate_counts() {
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let environment = Environment::new([pair("A", "1"), pair("B", "2"), pair("A", "3")]);
        assert_eq!(environment.get("A"), Some(OsStr::new("1")));
        assert_eq!(environment.iter().count(), 2);
    }
}
