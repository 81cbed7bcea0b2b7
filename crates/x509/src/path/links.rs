//! Which certificate signed which: checked from the trust anchors downwards, before any path is built.

use std::collections::HashMap;

use super::{
    PathError,
    query::{Search, may_have_issued},
};
use crate::{
    certificate::{Certificate, CertificateError},
    class::Rule,
};

/// From an issuer, by its place among the candidates, down to another one or to the end entity.
type Link = (usize, Option<usize>);

/// Links whose signature was checked: all from trust anchors and from those that these vouch for.
pub(super) type Links = HashMap<Link, Result<(), CertificateError>>;

impl<R: Rule> Search<'_, R> {
    /// Checks the signature of every link down from a trust anchor, or from an issuer that trust anchors vouch for, that may lead to
    /// the end entity.
    pub(super) fn check_links(
        &self,
        end_entity: &Certificate,
        candidates: &[(&Certificate, bool)],
    ) -> Result<Links, PathError<R>> {
        let certificate = |place: Option<usize>| place.map_or(end_entity, |place| candidates[place].0);
        // Upwards, by names alone, past those that can be in no path.
        let mut known = vec![false; candidates.len()];
        let mut may_be_below: Vec<Link> = Vec::new();
        let mut unseen = vec![None];
        while let Some(subject) = unseen.pop() {
            for (place, (issuer, _)) in candidates.iter().enumerate() {
                // No path has a certificate above itself, so nobody asks for the signature of a root by its own key.
                if subject == Some(place)
                    || !may_have_issued(issuer, certificate(subject))
                    || !self.may_be_in_path(issuer)
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
        let mut vouched: Vec<bool> = candidates.iter().map(|(_, is_anchor)| *is_anchor).collect();
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
}
