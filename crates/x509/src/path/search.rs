//! The search for a certification path, and the answer.

use std::cmp::Reverse;

use super::{
    PathError, PathRule,
    builder::{Obstacle, PathBuilder},
    query::{Search, most_telling},
};
use crate::{
    certificate::{Certificate, check_end_entity, check_issuer},
    class::{Class, Rule},
    text::hex,
    validity::Validity,
};

impl<'a, R: Rule> Search<'a, R> {
    /// The issuers of a valid certification path (RFC 5280 6.1): from the end entity's own up to the trust anchor. Where several fit, those that are valid
    /// longest are tried first.
    ///
    /// What cannot be checked here does not end a branch: above it the branch may yet be contradicted. So where no path is valid, the
    /// answer is what could not be checked on one that is otherwise good, if there is such a path, and else what contradicts the
    /// path that comes farthest.
    pub fn find_path(&self, end_entity: &'a Certificate) -> Result<Vec<&'a Certificate>, PathError<R>> {
        let mut open = Vec::new();
        let rules = [
            self.check_dates(end_entity, []),
            check_end_entity(end_entity, self.purposes).map_err(PathRule::from),
        ];
        match most_telling(rules) {
            Err(rule) if rule.class() == Class::Unchecked => open.push((end_entity, rule)),
            Err(rule) => return Err(PathError::Refused { certificate: end_entity.label(), rule }),
            Ok(()) => {}
        }
        let longest_first = |certificates: &[&'a Certificate]| {
            let mut sorted = certificates.to_vec();
            sorted.sort_by_key(|certificate| Reverse(certificate.validity().not_after));
            sorted
        };
        let candidates: Vec<(&Certificate, bool)> = longest_first(self.trust_anchors)
            .into_iter()
            .map(|anchor| (anchor, true))
            .chain(longest_first(self.intermediates).into_iter().map(|issuer| (issuer, false)))
            .collect();
        let links = self.check_links(end_entity, &candidates)?;
        let mut builder = PathBuilder::new(self, &candidates, &links, end_entity, open);
        if builder.extend_from(None)? {
            return Ok(builder.issuers);
        }
        if let Some((certificate, rule)) = builder.undecided {
            return Err(PathError::Refused { certificate: certificate.label(), rule });
        }
        Err(match builder.farthest {
            Some((_, certificate, Obstacle::Rule(rule))) => {
                PathError::Refused { certificate: certificate.label(), rule }
            }
            Some((_, certificate, Obstacle::TooLong)) => {
                PathError::TooLong { certificate: certificate.label(), limit: self.limits.issuers }
            }
            Some((_, certificate, Obstacle::NoIssuer)) => no_issuer(certificate),
            None => no_issuer(end_entity),
        })
    }

    /// Whether no rule for an issuer by itself contradicts it, whatever is below it.
    pub(super) fn may_be_in_path(&self, issuer: &Certificate) -> bool {
        let rules =
            [self.check_dates(issuer, []), check_issuer(issuer, self.purposes).map_err(PathRule::from)];
        most_telling(rules).err().is_none_or(|rule| rule.class() == Class::Unchecked)
    }

    /// That a certificate is valid at [`Search::at`], or at a moment up to [`Search::slow_by`] later at which those below it are, too.
    pub(super) fn check_dates<'c>(
        &self,
        certificate: &Certificate,
        below: impl IntoIterator<Item = &'c Certificate>,
    ) -> Result<(), PathRule<R>> {
        let all_of_time = Validity::from_on(self.at, self.slow_by);
        let allowed = below.into_iter().fold(all_of_time, |allowed, below| allowed.and(below.validity()));
        let Validity { not_before, not_after } = certificate.validity();
        let at = allowed.not_before;
        if not_before > allowed.not_after {
            return Err(PathRule::NotYetValid { not_before, at });
        }
        if at > not_after {
            return Err(PathRule::Expired { not_after, at });
        }
        Ok(())
    }

    pub(super) fn too_many_signatures(&self) -> PathError<R> {
        PathError::Budget { what: "signatures", limit: self.limits.signatures }
    }
}

fn no_issuer<R: Rule>(certificate: &Certificate) -> PathError<R> {
    PathError::NoIssuer { certificate: certificate.label(), key_id: certificate.authority_key_id().map(hex) }
}
