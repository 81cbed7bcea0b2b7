//! The image that each step ran in, as the status says it, against what its certificate attests.
//!
//! The agent that gave the certificate had the name from its kubelet (`k8s:container-image`), and Tekton's controller has `imageID` from
//! the status of the same container.

use x509::text::hex;

use crate::{
    tekton::image_id::ImageId,
    verify::{
        bind::attempt::Attempt,
        facts::Detail,
        finding::{Finding, differs},
        findings::Findings,
        prove::step::ProvenStep,
    },
};

/// Whether the image that a step ran in is attested, and in the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttestedImage {
    /// The certificate attests the image that the status names.
    Attested {
        /// Its SHA-256 in the status, of which the certificate attests the first 8 bytes.
        digest: [u8; 32],
    },
    /// The certificate attests an image, and the object does not say in which one the step ran.
    NotStated,
    /// The certificate attests none.
    NotAttested,
}

impl AttestedImage {
    /// As it is written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attested { .. } => "attested",
            Self::NotStated => "not stated",
            Self::NotAttested => "not attested",
        }
    }

    /// Its SHA-256, if it is attested.
    pub fn digest(self) -> Option<[u8; 32]> {
        match self {
            Self::Attested { digest } => Some(digest),
            Self::NotStated | Self::NotAttested => None,
        }
    }
}

/// For each of the proven steps what is attested of its image; and what contradicts their certificates.
pub(crate) fn compare(attempt: &Attempt<'_>) -> (Vec<AttestedImage>, Findings) {
    let mut findings = Findings::default();
    let images = attempt.proven.iter().map(|step| {
        compare_step(attempt, step).unwrap_or_else(|finding| {
            findings.push(finding);
            AttestedImage::NotStated
        })
    });
    (images.collect(), findings)
}

fn compare_step(attempt: &Attempt<'_>, step: &ProvenStep) -> Result<AttestedImage, Finding> {
    let Some(attested) = step.attested.as_ref().and_then(|attested| attested.image) else {
        return Ok(AttestedImage::NotAttested);
    };
    let state = attempt.state(attempt.evidence(step));
    let said = state.map(|(_, state)| state.image_id.as_str()).unwrap_or_default();
    match ImageId::parse(said) {
        Some(image) if image.start() == attested => Ok(AttestedImage::Attested { digest: image.digest }),
        Some(_) => {
            let attested = format!("sha256:{}…", hex(&attested));
            Err(differs(&step.name, ("the image that it ran in", Detail::IMAGE), said, &attested))
        }
        None => Ok(AttestedImage::NotStated),
    }
}
