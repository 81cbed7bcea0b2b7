//! Which of the offered X509-SVIDs is this step's. An agent hands out every identity whose entry matches the process,
//! in the order of the entries' random IDs, so the first one says nothing.

use unixtime::UnixSeconds;

use super::{
    id::{Attested, SpiffeId, TaskRunId},
    svid::X509Svid,
};
use crate::tekton::names::pod_names_match;

/// What is known about this step from the pod itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// The host name. It is the pod's name, except where the pod uses the host's network.
    pub pod_name: Option<String>,
    /// The namespace, from the mounted service account.
    pub namespace: Option<String>,
    /// The step's name.
    pub step: Option<String>,
}

/// One offered identity, as far as the choice depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its SPIFFE ID.
    pub id: SpiffeId,
    /// The leaf's DNS names.
    pub dns_names: Vec<String>,
    /// The operator's hint.
    pub hint: String,
    /// End of the leaf's validity.
    pub not_after: UnixSeconds,
}

impl From<&X509Svid> for Offer {
    fn from(svid: &X509Svid) -> Self {
        Self {
            id: svid.id().clone(),
            dns_names: svid.leaf().dns_sans().to_vec(),
            hint: svid.hint().to_owned(),
            not_after: svid.validity().not_after,
        }
    }
}

/// What was offered and why it was passed over, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered(pub Vec<(Offer, &'static str)>);

impl std::fmt::Display for Offered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (offer, why)) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { " " } else { ", " })?;
            write!(f, "{}", offer.id)?;
            for name in &offer.dns_names {
                write!(f, " DNS:{name}")?;
            }
            if !offer.hint.is_empty() {
                write!(f, " hint {:?}", offer.hint)?;
            }
            if !why.is_empty() {
                write!(f, " ({why})")?;
            }
        }
        Ok(())
    }
}

/// Why no identity could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Nothing was offered.
    #[error("the SPIRE agent offers no identity: check that a registration entry matches this pod")]
    Nothing,
    /// Nothing fits.
    #[error(
        "none of the identities that the SPIRE agent offers is this step's: check the registration entries that select \
         this pod; offered:{offered}"
    )]
    NoneFits {
        /// What was offered.
        offered: Offered,
    },
    /// Several fit and nothing decides between them.
    #[error(
        "several identities that the SPIRE agent offers could be this step's: narrow the registration entries' selectors, \
         or let them name the step in a DNS name; they are:{offered}"
    )]
    Undecidable {
        /// Those that fit.
        offered: Offered,
    },
}

impl std::fmt::Display for Expectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let namespace = self.namespace.as_deref().unwrap_or("<any namespace>");
        write!(f, "spiffe://<trust domain>/ns/{namespace}/taskrun/<TaskRun")?;
        if let Some(pod) = &self.pod_name {
            write!(f, " of pod {pod}")?;
        }
        f.write_str(">")?;
        if let Some(step) = &self.step {
            write!(f, ", step {step}")?;
        }
        Ok(())
    }
}

/// Chooses this step's identity; see [`choose_offer`].
pub fn choose(svids: &[X509Svid], expectation: &Expectation) -> Result<usize, SelectError> {
    let offers: Vec<Offer> = svids.iter().map(Offer::from).collect();
    choose_offer(&offers, expectation)
}

/// Chooses this step's identity and drops the others with their keys.
pub fn take(mut svids: Vec<X509Svid>, expectation: &Expectation) -> Result<X509Svid, SelectError> {
    let index = choose(&svids, expectation)?;
    Ok(svids.swap_remove(index))
}

/// Chooses this step's identity: the index of the one that
///
/// 1. has the form of a TaskRun's ID ([`TaskRunId`]),
/// 2. is of the service account's namespace, where that is known,
/// 3. belongs to the pod's name, unless no identity at all does: then the host name is not the pod's (host network),
/// 4. does not name another step in its DNS name.
///
/// Of several such, the one whose DNS name names this step wins (with a pin over without, and then with an image over
/// without), then one that names the run. Those that still say the same are one identity with several certificates, of which the last to expire is
/// taken. Anything else is undecidable.
pub fn choose_offer(offers: &[Offer], expectation: &Expectation) -> Result<usize, SelectError> {
    if offers.is_empty() {
        return Err(SelectError::Nothing);
    }
    let pod_is_known = offers.iter().any(|offer| {
        matches!((TaskRunId::from_spiffe_id(&offer.id), &expectation.pod_name), (Some(id), Some(pod))
            if pod_names_match(id.name(), pod).is_some())
    });
    let judged: Vec<Result<Candidate, &'static str>> =
        offers.iter().map(|offer| judge(offer, expectation, pod_is_known)).collect();
    let fit = || judged.iter().enumerate().filter_map(|(index, judged)| Some((index, judged.as_ref().ok()?)));

    let Some(best) = fit().map(|(_, candidate)| candidate.rank()).max() else {
        let why = judged.iter().map(|judged| judged.as_ref().err().copied().unwrap_or_default());
        let offered = Offered(offers.iter().cloned().zip(why).collect());
        return Err(SelectError::NoneFits { offered });
    };
    let best: Vec<(usize, &Candidate)> = fit().filter(|(_, candidate)| candidate.rank() == best).collect();
    let alike = best.windows(2).all(|pair| pair[0].1 == pair[1].1);
    match best.iter().max_by_key(|(index, _)| offers[*index].not_after) {
        Some((index, _)) if alike => Ok(*index),
        _ => {
            let offered = best.iter().map(|(index, _)| (offers[*index].clone(), "")).collect();
            Err(SelectError::Undecidable { offered: Offered(offered) })
        }
    }
}

/// All that is signed about an identity.
#[derive(PartialEq, Eq)]
struct Candidate {
    id: TaskRunId,
    attested: Option<Attested>,
}

impl Candidate {
    /// How much the certificate attests.
    fn rank(&self) -> u8 {
        match &self.attested {
            None => 0,
            Some(Attested { step: None, .. }) => 1,
            Some(Attested { pin: None, .. }) => 2,
            Some(Attested { image: None, .. }) => 3,
            Some(_) => 4,
        }
    }
}

fn judge(offer: &Offer, expectation: &Expectation, pod_is_known: bool) -> Result<Candidate, &'static str> {
    let id = TaskRunId::from_spiffe_id(&offer.id).ok_or("not the ID of a TaskRun")?;
    if expectation.namespace.as_deref().is_some_and(|namespace| namespace != id.namespace()) {
        return Err("another namespace");
    }
    if let (true, Some(pod)) = (pod_is_known, &expectation.pod_name)
        && pod_names_match(id.name(), pod).is_none()
    {
        return Err("another pod");
    }
    let attested = Attested::from_dns_names(&offer.dns_names)
        .map_err(|_| "its DNS names that should attest the run are malformed")?;
    if let (Some(step), Some(named)) =
        (&expectation.step, attested.as_ref().and_then(|attested| attested.step.as_ref()))
        && step != named
    {
        return Err("another step");
    }
    Ok(Candidate { id, attested })
}
