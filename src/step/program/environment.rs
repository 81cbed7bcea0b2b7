//! The step's environment.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use crate::surroundings;

/// The environment variables in their order; of duplicates the first one counts, as Go has it (docs/tekton-contract.md 3.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// From variables in their order.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut variables: Vec<_> = variables.into_iter().collect();
        let mut seen = HashSet::with_capacity(variables.len());
        let mut first =
            variables.iter().map(|(name, _)| seen.insert(name.as_os_str())).collect::<Vec<_>>().into_iter();
        variables.retain(|_| first.next() == Some(true));
        Self(variables)
    }

    /// This process's own.
    pub fn of_process() -> Self {
        Self::new(surroundings::variables())
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// Gives each variable, in order, the value that `replace` makes of its own, up to the first failure. `None` leaves it, as
    /// does one that no program could be given (it contains NUL), as in Go.
    pub fn replace<E>(&mut self, replace: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, E>) -> Result<(), E> {
        for (_, value) in &mut self.0 {
            if let Some(replaced) = replace(value.as_bytes())?.filter(|replaced| !replaced.contains(&0)) {
                *value = OsString::from_vec(replaced);
            }
        }
        Ok(())
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
