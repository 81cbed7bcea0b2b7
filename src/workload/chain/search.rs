//! Path building and validation after RFC 5280 6.1, with no rule of SPIFFE in it.
//!
//! Policies are not processed: the initial policy set is any-policy and no explicit policy is asked for, so only a critical
//! policy extension matters, and that is refused as unknown. There is no revocation: SPIRE publishes none.
//!
//! Signatures are checked from the authorities downwards: a key that no authority vouches for, which anybody can have made as
//! large as they like, checks nothing.

use std::{cmp::Reverse, collections::HashMap};

use super::error::{ChainError, PathRule};
use crate::{
    evidence::statement::hex,
    workload::{
        certificate::{Certificate, CertificateError, KeyPurpose, NameError, check_end_entity, check_issuer},
        class::Class,
    },
};

/// How much work a search may take. Hostile certificates can be made to fit on each other in any number of ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Issuers in a path, the authority included.
    pub issuers: usize,
    /// Signatures checked, and steps up from a certificate to one that may have issued it.
    pub signatures: usize,
    /// Names compared with name constraints.
    pub comparisons: usize,
}

impl Default for Limits {
    /// Many times what a real chain takes, and some 10 ms at worst.
    fn default() -> Limits {
        Limits { issuers: 16, signatures: 100, comparisons: 250_000 }
    }
}

/// What a path is looked for in, and under which rules.
pub struct Search<'a> {
    /// Certificates that may stand in the path; not trusted by themselves.
    pub intermediates: &'a [&'a Certificate],
    /// Certificates that end a path. Their own dates and extensions count, too (RFC 5280 6.2 allows it).
    pub authorities: &'a [&'a Certificate],
    /// The time that every certificate must be valid at, Unix seconds.
    pub at: i64,
    /// What the end entity's key must be good for, wherever a certificate of the path says what its key is for.
    pub purposes: &'a [KeyPurpose],
    /// The most work that is done.
    pub limits: Limits,
    /// A further rule for issuers: gets the certificate, and how many issuers stand between it and the end entity.
    pub issuer_rule: &'a dyn Fn(&Certificate, usize) -> Result<(), PathRule>,
}

impl<'a> Search<'a> {
    /// The issuers of a valid path: from the end entity's own up to the authority. Where several fit, those that are valid
    /// longest are tried first.
    ///
    /// What cannot be checked here does not end a branch: above it the branch may yet be contradicted. So where no path is valid, the
    /// answer is what could not be checked on one that is otherwise good, if there is such a path, and else what contradicts the
    /// path that comes farthest.
    pub fn issuers_of(&self, end_entity: &'a Certificate) -> Result<Vec<&'a Certificate>, ChainError> {
        self.issuers_within(0, end_entity)
    }

    /// The same where the clock that [`Search::at`] was read from may have been slow by up to so many seconds: all
    /// certificates of the path are valid at one moment of that time. Others do not matter.
    pub fn issuers_within(
        &self,
        slow_by: i64,
        end_entity: &'a Certificate,
    ) -> Result<Vec<&'a Certificate>, ChainError> {
        self.issuers_under(slow_by, end_entity, &|_| Ok(()))
    }

    /// As [`Search::issuers_within`], with a further rule for whole paths: gets the issuers, from the end entity's own up.
    pub fn issuers_under(
        &self,
        slow_by: i64,
        end_entity: &'a Certificate,
        path_rule: &dyn Fn(&[&'a Certificate]) -> Result<(), PathRule>,
    ) -> Result<Vec<&'a Certificate>, ChainError> {
        let mut open = Vec::new();
        let rules = [
            self.check_dates(end_entity, [], slow_by),
            check_end_entity(end_entity, self.purposes).map_err(PathRule::from),
        ];
        match most_telling(rules) {
            Err(rule) if rule.class() == Class::Unchecked => open.push((end_entity, rule)),
            Err(rule) => return Err(ChainError::Refused { certificate: end_entity.label(), rule }),
            Ok(()) => {}
        }
        let longest_first = |certificates: &[&'a Certificate]| {
            let mut sorted = certificates.to_vec();
            sorted.sort_by_key(|certificate| Reverse(certificate.not_after()));
            sorted
        };
        let candidates: Vec<(&Certificate, bool)> = longest_first(self.authorities)
            .into_iter()
            .map(|authority| (authority, true))
            .chain(longest_first(self.intermediates).into_iter().map(|issuer| (issuer, false)))
            .collect();
        let links = self.links(end_entity, slow_by, &candidates)?;
        let mut climb = Climb {
            search: self,
            candidates: &candidates,
            links: &links,
            end_entity,
            slow_by,
            path_rule,
            issuers: Vec::new(),
            open,
            undecided: None,
            steps: self.limits.signatures,
            comparisons: self.limits.comparisons,
            farthest: None,
        };
        if climb.from(None)? {
            return Ok(climb.issuers);
        }
        if let Some((certificate, rule)) = climb.undecided {
            return Err(ChainError::Refused { certificate: certificate.label(), rule });
        }
        Err(match climb.farthest {
            Some((_, certificate, Obstacle::Rule(rule))) => {
                ChainError::Refused { certificate: certificate.label(), rule }
            }
            Some((_, certificate, Obstacle::TooLong)) => {
                ChainError::TooLong { certificate: certificate.label(), limit: self.limits.issuers }
            }
            Some((_, certificate, Obstacle::NoIssuer)) => no_issuer(certificate),
            None => no_issuer(end_entity),
        })
    }

    /// Checks the signature of every link down from an authority, or from an issuer that authorities vouch for, that may lead to
    /// the end entity.
    fn links(
        &self,
        end_entity: &Certificate,
        slow_by: i64,
        candidates: &[(&Certificate, bool)],
    ) -> Result<Links, ChainError> {
        let certificate = |place: Option<usize>| place.map_or(end_entity, |place| candidates[place].0);
        // Upwards, by names alone, past those that stand in no path.
        let mut known = vec![false; candidates.len()];
        let mut may_be_below: Vec<Link> = Vec::new();
        let mut unseen = vec![None];
        while let Some(subject) = unseen.pop() {
            for (place, (issuer, _)) in candidates.iter().enumerate() {
                // No path has a certificate above itself, so nobody asks for the signature of a root by its own key.
                if subject == Some(place)
                    || !may_have_issued(issuer, certificate(subject))
                    || !self.may_be_in_path(issuer, slow_by)
                {
                    continue;
                }
                may_be_below.push((place, subject));
                if !known[place] {
                    known[place] = true;
                    unseen.push(Some(place));
                }
            }
        }
        // Downwards, by signatures.
        may_be_below.sort_unstable();
        let mut links = Links::new();
        let mut vouched: Vec<bool> = candidates.iter().map(|(_, is_authority)| *is_authority).collect();
        let mut unseen: Vec<usize> =
            (0..candidates.len()).filter(|&place| vouched[place] && known[place]).collect();
        while let Some(issuer) = unseen.pop() {
            let first = may_be_below.partition_point(|(place, _)| *place < issuer);
            for &(_, subject) in may_be_below[first..].iter().take_while(|(place, _)| *place == issuer) {
                if links.len() == self.limits.signatures {
                    return Err(self.too_many_signatures());
                }
                let signed = certificate(subject).verify_signed_by(candidates[issuer].0);
                if let Some(place) = subject.filter(|_| signed.is_ok())
                    && !vouched[place]
                {
                    vouched[place] = true;
                    unseen.push(place);
                }
                links.insert((issuer, subject), signed);
            }
        }
        Ok(links)
    }

    /// Whether no rule for an issuer by itself contradicts it, whatever is below it.
    fn may_be_in_path(&self, issuer: &Certificate, slow_by: i64) -> bool {
        let rules = [
            self.check_dates(issuer, [], slow_by),
            check_issuer(issuer, self.purposes).map_err(PathRule::from),
        ];
        most_telling(rules).err().is_none_or(|rule| rule.class() == Class::Unchecked)
    }

    fn too_many_signatures(&self) -> ChainError {
        ChainError::Budget { what: "signatures", limit: self.limits.signatures }
    }

    /// That a certificate is valid at [`Search::at`], or at a moment up to `slow_by` later at which those below it are, too.
    fn check_dates<'c>(
        &self,
        certificate: &Certificate,
        below: impl IntoIterator<Item = &'c Certificate>,
        slow_by: i64,
    ) -> Result<(), PathRule> {
        let (mut at, mut until) = (self.at, self.at.saturating_add(slow_by));
        for below in below {
            (at, until) = (at.max(below.not_before()), until.min(below.not_after()));
        }
        let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
        if not_before > until {
            return Err(PathRule::NotYetValid { not_before, at });
        }
        if at > not_after {
            return Err(PathRule::Expired { not_after, at });
        }
        Ok(())
    }
}

/// Of the rules that are broken the first that contradicts, else the first.
fn most_telling(rules: impl IntoIterator<Item = Result<(), PathRule>>) -> Result<(), PathRule> {
    let mut answer = Ok(());
    for rule in rules.into_iter().filter_map(Result::err) {
        if rule.class() == Class::Contradicts {
            return Err(rule);
        }
        answer = answer.and(Err(rule));
    }
    answer
}

fn no_issuer(certificate: &Certificate) -> ChainError {
    ChainError::NoIssuer { certificate: certificate.label(), key_id: certificate.authority_key_id().map(hex) }
}

/// What ends one branch of the search.
enum Obstacle {
    Rule(PathRule),
    NoIssuer,
    TooLong,
}

/// From an issuer, by its place among the candidates, down to another one or to the end entity.
type Link = (usize, Option<usize>);

/// Links whose signature was checked: all from authorities and from those that these vouch for.
type Links = HashMap<Link, Result<(), CertificateError>>;

/// A depth-first search.
struct Climb<'a, 's> {
    search: &'s Search<'a>,
    /// Authorities, then intermediates, and which of both.
    candidates: &'s [(&'a Certificate, bool)],
    links: &'s Links,
    end_entity: &'a Certificate,
    slow_by: i64,
    path_rule: &'s dyn Fn(&[&'a Certificate]) -> Result<(), PathRule>,
    issuers: Vec<&'a Certificate>,
    /// What cannot be checked about the end entity and `issuers`.
    open: Vec<(&'a Certificate, PathRule)>,
    /// The first of those on the first path against which nothing else stands.
    undecided: Option<(&'a Certificate, PathRule)>,
    /// Steps up that may still be made.
    steps: usize,
    comparisons: usize,
    /// The first obstacle of those farthest from the end entity, with its distance: 0 for an issuer that is in the path already.
    farthest: Option<(usize, &'a Certificate, Obstacle)>,
}

impl<'a> Climb<'a, '_> {
    /// Whether a path was found from the end entity, or from the candidate at this place, the last one of `issuers`. An error
    /// ends the search.
    fn from(&mut self, place: Option<usize>) -> Result<bool, ChainError> {
        let certificate = place.map_or(self.end_entity, |place| self.candidates[place].0);
        if self.issuers.len() == self.search.limits.issuers {
            self.stopped(certificate, Obstacle::TooLong);
            return Ok(false);
        }
        let mut issuer_known = false;
        for index in 0..self.candidates.len() {
            let (issuer, is_authority) = self.candidates[index];
            if !may_have_issued(issuer, certificate) {
                continue;
            }
            issuer_known = true;
            if self.issuers.iter().any(|known| is_same_ca(known, issuer)) {
                self.stopped_at(0, certificate, Obstacle::NoIssuer);
                continue;
            }
            let open = self.open.len();
            if self.is_refused(issuer, self.check_issuer(issuer)) {
                continue;
            }
            self.steps = self.steps.checked_sub(1).ok_or_else(|| self.search.too_many_signatures())?;
            // Nobody vouches for an issuer whose link is not among those that were checked, so no path leads up from it: at its
            // end an authority would have to be, and all links down from there were checked. What stands in the way up there is told.
            let signed = self.links.get(&(index, place)).cloned().unwrap_or(Ok(())).map_err(PathRule::from);
            if self.is_refused(certificate, signed) {
                self.open.truncate(open);
                continue;
            }
            let (named, names) = self.check_names(issuer);
            if names == Err(NameError::TooMany) {
                return Err(ChainError::Budget {
                    what: "comparisons of names",
                    limit: self.search.limits.comparisons,
                });
            }
            if self.is_refused(named, names.map_err(PathRule::from)) {
                self.open.truncate(open);
                continue;
            }
            self.issuers.push(issuer);
            if is_authority && self.is_whole() || !is_authority && self.from(Some(index))? {
                return match self.links.get(&(index, place)) {
                    Some(Ok(())) => Ok(true),
                    _ => Err(self.search.too_many_signatures()),
                };
            }
            self.issuers.pop();
            self.open.truncate(open);
        }
        if !issuer_known {
            self.stopped(certificate, Obstacle::NoIssuer);
        }
        Ok(false)
    }

    /// Whether a broken rule ends this branch. One that could not be checked is noted, and does not.
    fn is_refused(&mut self, at: &'a Certificate, rule: Result<(), PathRule>) -> bool {
        match rule {
            Ok(()) => false,
            Err(rule) if rule.class() == Class::Unchecked => {
                self.open.push((at, rule));
                false
            }
            Err(rule) => {
                self.stopped(at, Obstacle::Rule(rule));
                true
            }
        }
    }

    /// Whether nothing stands against `issuers`, which end at an authority.
    fn is_whole(&mut self) -> bool {
        let first = self.issuers.first().copied().unwrap_or(self.end_entity);
        let rule = (self.path_rule)(&self.issuers);
        if self.is_refused(first, rule) {
            return false;
        }
        self.undecided = self.undecided.take().or_else(|| self.open.first().cloned());
        self.open.is_empty()
    }

    /// The rules for a certificate as the next one of `issuers`, without signature and names.
    fn check_issuer(&self, issuer: &Certificate) -> Result<(), PathRule> {
        let below = std::iter::once(self.end_entity).chain(self.issuers.iter().copied());
        let found = self.issuers.iter().filter(|below| !below.is_self_issued()).count();
        let length = match issuer.path_len() {
            Some(allowed) if found > allowed as usize => Err(PathRule::PathLength { allowed, found }),
            _ => Ok(()),
        };
        most_telling([
            self.search.check_dates(issuer, below, self.slow_by),
            check_issuer(issuer, self.search.purposes).map_err(PathRule::from),
            length,
            (self.search.issuer_rule)(issuer, self.issuers.len()),
        ])
    }

    /// Holds every certificate below `issuer` against its name constraints; self-issued CAs are exempt (RFC 5280 6.1.3 b). Says
    /// which one breaks them.
    fn check_names(&mut self, issuer: &Certificate) -> (&'a Certificate, Result<(), NameError>) {
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

    fn stopped(&mut self, at: &'a Certificate, obstacle: Obstacle) {
        self.stopped_at(self.issuers.len() + 1, at, obstacle);
    }

    fn stopped_at(&mut self, distance: usize, at: &'a Certificate, obstacle: Obstacle) {
        if self.farthest.as_ref().is_none_or(|(farthest, ..)| distance > *farthest) {
            self.farthest = Some((distance, at, obstacle));
        }
    }
}

/// By name, and by key ID where both state one (RFC 5280 6.1.3 a 4, 4.2.1.1).
fn may_have_issued(issuer: &Certificate, certificate: &Certificate) -> bool {
    certificate.issuer_der() == issuer.subject_der()
        && match (certificate.authority_key_id(), issuer.subject_key_id()) {
            (Some(stated), Some(own)) => stated == own,
            _ => true,
        }
}

/// RFC 4158 5.2: a CA does not occur twice in a path, whatever its other certificates say.
fn is_same_ca(one: &Certificate, other: &Certificate) -> bool {
    one.subject_der() == other.subject_der() && one.spki_der() == other.spki_der()
}
