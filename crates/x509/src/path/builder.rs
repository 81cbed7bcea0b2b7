//! Builds a certification path from the end entity upwards (RFC 4158 2.3), and validates each step with it (RFC 5280 6.1).

use super::{
    PathError, PathRule,
    links::Links,
    query::{Search, may_have_issued, most_telling},
};
use crate::{
    certificate::{Certificate, NameError, check_issuer},
    class::{Class, Rule},
};

/// What ends one branch of the search.
pub(super) enum Obstacle<R: Rule> {
    Rule(PathRule<R>),
    NoIssuer,
    TooLong,
}

/// Extends a prospective certification path, depth first.
pub(super) struct PathBuilder<'a, 's, R: Rule> {
    search: &'s Search<'a, R>,
    /// Trust anchors, then intermediates, and which of both.
    candidates: &'s [(&'a Certificate, bool)],
    links: &'s Links,
    end_entity: &'a Certificate,
    /// Those of the prospective path, from the end entity's own up; complete, it ends at a trust anchor.
    pub(super) issuers: Vec<&'a Certificate>,
    /// What cannot be checked about the end entity and `issuers`.
    open: Vec<(&'a Certificate, PathRule<R>)>,
    /// The first of those on the first path against which nothing else stands.
    pub(super) undecided: Option<(&'a Certificate, PathRule<R>)>,
    /// Steps up that may still be made.
    steps: usize,
    comparisons: usize,
    /// The first obstacle of those farthest from the end entity, with its distance: 0 for an issuer that is in the path already.
    pub(super) farthest: Option<(usize, &'a Certificate, Obstacle<R>)>,
}

impl<'a, 's, R: Rule> PathBuilder<'a, 's, R> {
    pub(super) fn new(
        search: &'s Search<'a, R>,
        candidates: &'s [(&'a Certificate, bool)],
        links: &'s Links,
        end_entity: &'a Certificate,
        open: Vec<(&'a Certificate, PathRule<R>)>,
    ) -> Self {
        PathBuilder {
            search,
            candidates,
            links,
            end_entity,
            issuers: Vec::new(),
            open,
            undecided: None,
            steps: search.limits.signatures,
            comparisons: search.limits.comparisons,
            farthest: None,
        }
    }

    /// Whether the prospective path becomes a valid one above the end entity, or above the candidate at this place, the last one of
    /// `issuers`. An error ends the search.
    pub(super) fn extend_from(&mut self, place: Option<usize>) -> Result<bool, PathError<R>> {
        let certificate = place.map_or(self.end_entity, |place| self.candidates[place].0);
        if self.issuers.len() == self.search.limits.issuers {
            self.note_obstacle(certificate, Obstacle::TooLong);
            return Ok(false);
        }
        let mut issuer_known = false;
        for index in 0..self.candidates.len() {
            let (issuer, is_anchor) = self.candidates[index];
            if !may_have_issued(issuer, certificate) {
                continue;
            }
            issuer_known = true;
            if self.issuers.iter().any(|known| is_same_ca(known, issuer)) {
                self.note_obstacle_at(0, certificate, Obstacle::NoIssuer);
                continue;
            }
            let open = self.open.len();
            if self.is_refused(issuer, self.check_issuer(issuer)) {
                continue;
            }
            self.steps = self.steps.checked_sub(1).ok_or_else(|| self.search.too_many_signatures())?;
            // Nobody vouches for an issuer whose link is not among those that were checked, so no path leads up from it: at its
            // end a trust anchor would have to be, and all links down from there were checked. What stands in the way up there is told.
            let signed = self.links.get(&(index, place)).cloned().unwrap_or(Ok(())).map_err(PathRule::from);
            if self.is_refused(certificate, signed) {
                self.open.truncate(open);
                continue;
            }
            let (named, names) = self.check_name_constraints(issuer);
            if names == Err(NameError::TooMany) {
                return Err(PathError::Budget {
                    what: "comparisons of names",
                    limit: self.search.limits.comparisons,
                });
            }
            if self.is_refused(named, names.map_err(PathRule::from)) {
                self.open.truncate(open);
                continue;
            }
            self.issuers.push(issuer);
            if is_anchor && self.is_valid() || !is_anchor && self.extend_from(Some(index))? {
                return match self.links.get(&(index, place)) {
                    Some(Ok(())) => Ok(true),
                    _ => Err(self.search.too_many_signatures()),
                };
            }
            self.issuers.pop();
            self.open.truncate(open);
        }
        if !issuer_known {
            self.note_obstacle(certificate, Obstacle::NoIssuer);
        }
        Ok(false)
    }

    /// Whether a broken rule ends this branch. One that could not be checked is noted, and does not.
    fn is_refused(&mut self, at: &'a Certificate, rule: Result<(), PathRule<R>>) -> bool {
        match rule {
            Ok(()) => false,
            Err(rule) if rule.class() == Class::Unchecked => {
                self.open.push((at, rule));
                false
            }
            Err(rule) => {
                self.note_obstacle(at, Obstacle::Rule(rule));
                true
            }
        }
    }

    /// Whether nothing stands against the prospective path, which ends at a trust anchor.
    fn is_valid(&mut self) -> bool {
        let first = self.issuers.first().copied().unwrap_or(self.end_entity);
        let rule = (self.search.path_rule)(&self.issuers).map_err(PathRule::Caller);
        if self.is_refused(first, rule) {
            return false;
        }
        self.undecided = self.undecided.take().or_else(|| self.open.first().cloned());
        self.open.is_empty()
    }

    /// The rules for a certificate as the next one of `issuers`, without signature and names.
    fn check_issuer(&self, issuer: &Certificate) -> Result<(), PathRule<R>> {
        let below = std::iter::once(self.end_entity).chain(self.issuers.iter().copied());
        let found = self.issuers.iter().filter(|below| !below.is_self_issued()).count();
        let length = match issuer.path_len() {
            Some(allowed) if u32::try_from(found).map_or(true, |found| found > allowed) => {
                Err(PathRule::PathLength { allowed, found })
            }
            _ => Ok(()),
        };
        most_telling([
            self.search.check_dates(issuer, below),
            check_issuer(issuer, self.search.purposes).map_err(PathRule::from),
            length,
            (self.search.issuer_rule)(issuer, self.issuers.len()).map_err(PathRule::Caller),
        ])
    }

    /// Holds every certificate below `issuer` against its name constraints; self-issued CAs are exempt (RFC 5280 6.1.3 b). Says
    /// which one breaks them.
    fn check_name_constraints(&mut self, issuer: &Certificate) -> (&'a Certificate, Result<(), NameError>) {
        let mut answer = (self.end_entity, Ok(()));
        let Some(constraints) = issuer.name_constraints() else { return answer };
        let below = self.issuers.iter().filter(|below| !below.is_self_issued());
        for certificate in std::iter::once(&self.end_entity).chain(below) {
            match constraints.check(certificate, &mut self.comparisons) {
                Ok(()) => {}
                Err(error @ NameError::NotEvaluated { .. }) if answer.1.is_ok() => {
                    answer = (certificate, Err(error));
                }
                Err(NameError::NotEvaluated { .. }) => {}
                Err(error) => return (certificate, Err(error)),
            }
        }
        answer
    }

    fn note_obstacle(&mut self, at: &'a Certificate, obstacle: Obstacle<R>) {
        self.note_obstacle_at(self.issuers.len() + 1, at, obstacle);
    }

    fn note_obstacle_at(&mut self, distance: usize, at: &'a Certificate, obstacle: Obstacle<R>) {
        if self.farthest.as_ref().is_none_or(|(farthest, ..)| distance > *farthest) {
            self.farthest = Some((distance, at, obstacle));
        }
    }
}

/// RFC 4158 5.2: a CA does not occur twice in a path, whatever its other certificates say.
fn is_same_ca(one: &Certificate, other: &Certificate) -> bool {
    one.subject_der() == other.subject_der() && one.spki_der() == other.spki_der()
}
