//! The facts of evidence, in the shape of `docs/schemas/inspect-v2.json`.

use serde::Serialize;
use x509::Certificate;

use crate::evidence::envelope::Envelope;

/// What one TaskRun holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// `<namespace>/<name>`.
    pub task_run: String,
    /// UID of the object.
    pub uid: String,
    /// When it was created, as it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The condition `Succeeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<String>,
    /// The pod's name.
    pub pod_name: String,
    /// How many earlier attempts the status holds; those are not looked at.
    pub earlier_attempts: usize,
    /// `attestation`, `tep-0089`, `unsigned` (there are only reasons why steps could not sign) or `none`.
    pub evidence: &'static str,
    /// What cannot be read.
    pub problems: Vec<String>,
    /// Steps that can be told apart.
    pub steps: Vec<InspectedStep>,
}

/// One step of the status.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectedStep {
    /// Its name.
    pub name: String,
    /// Bytes of its termination message; 0 if the object holds none.
    pub message_bytes: usize,
    /// The entries of its message.
    pub entries: Vec<EntrySize>,
    /// Where the attestation was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_in: Option<&'static str>,
    /// The reason that is in an attestation's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsigned: Option<String>,
    /// Why its attestation, or a part of it, cannot be read.
    pub problems: Vec<String>,
    /// Its attestation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation: Option<AttestationFacts>,
    /// Entries of Tekton's own form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tep0089: Option<Tep0089Facts>,
    #[serde(skip)]
    pub(crate) signed: Option<SignedStatement>,
}

/// The statement, if it could be rebuilt, and what signs it.
#[derive(Debug)]
pub(crate) struct SignedStatement {
    pub(crate) statement: String,
    pub(crate) signature: Vec<u8>,
    pub(crate) leaf: Certificate,
    pub(crate) intermediates: Vec<Certificate>,
}

/// One entry of a message.
#[derive(Debug, Serialize)]
pub struct EntrySize {
    /// Its key.
    pub key: String,
    /// Its type: 1 task result, 4 step result, 5 and 6 artifacts.
    #[serde(rename = "type")]
    pub kind: i64,
    /// Bytes of its value.
    pub bytes: usize,
}

/// What an attestation says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttestationFacts {
    /// Bytes of the entry's value.
    pub bytes: usize,
    /// `digests` or `hints`.
    pub form: &'static str,
    /// `<namespace>/<name>` of the run.
    pub task_run: String,
    /// UID of the run, where the certificate is said to attest it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_run_uid: Option<String>,
    /// Name of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// UID of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Place of the step, from 0.
    pub step_index: u32,
    /// Number of steps.
    pub step_count: u32,
    /// Start of the command.
    pub started: String,
    /// How long it ran.
    pub duration_ms: u64,
    /// From its end until it was signed.
    pub delay_ms: u64,
    /// When it was signed.
    pub signed: String,
    /// How it ended.
    pub outcome: String,
    /// Digest of what it was given to run, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_sha256: Option<String>,
    /// SHA-256 of its script, as the task in the status says it; whether that is what it signed is not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script_sha256: Option<String>,
    /// Whether TEP-0089 entries are said to be beside.
    pub tep0089_beside: bool,
    /// The results that it covers.
    pub results: Vec<ResultFacts>,
    /// SHA-256 of the lists of artifacts, `task` and `step`.
    pub artifacts: Vec<ArtifactFacts>,
    /// The certificate that signs.
    pub leaf: LeafFacts,
    /// Certificates between it and a bundle.
    pub intermediates: Vec<CertificateFacts>,
    /// Bytes of the signature.
    pub signature_bytes: usize,
}

/// A list of artifacts.
#[derive(Debug, Serialize)]
pub struct ArtifactFacts {
    /// `task` or `step`.
    pub kind: &'static str,
    /// SHA-256 of the entry.
    pub sha256: String,
}

/// A covered result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultFacts {
    /// `task` or `step`.
    pub kind: &'static str,
    /// Its name; of one that is carried as a hint, the names found that have this hint.
    pub names: Vec<String>,
    /// The hint, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// SHA-256 of the raw value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether the step set it, or found it so.
    pub set: bool,
}

/// The leaf.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeafFacts {
    /// `compact` or `der`.
    pub carried: &'static str,
    /// Bytes of what is carried.
    pub bytes: usize,
    /// What it says of itself without an issuer's help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compact: Option<CompactFacts>,
    /// The certificate, where it is carried or could be rebuilt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateFacts>,
    /// The same in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pem: Option<String>,
}

/// What a compact leaf says by itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompactFacts {
    /// First bytes of the issuer's key ID, hexadecimal.
    pub issuer_key_id: String,
    /// Hexadecimal.
    pub serial: String,
    /// RFC 3339.
    pub not_before: String,
    /// RFC 3339.
    pub not_after: String,
    /// What its DNS name is said to attest: `none`, `run`, `step`, `executable` or `image`.
    pub dns_name: &'static str,
}

/// A certificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    /// URI names: the SPIFFE ID.
    pub uris: Vec<String>,
    /// DNS names.
    pub dns_names: Vec<String>,
    /// Hexadecimal.
    pub serial: String,
    /// RFC 3339.
    pub not_before: String,
    /// RFC 3339.
    pub not_after: String,
    /// Algorithm of its key.
    pub key: String,
    /// Hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Key ID of its issuer, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_key_id: Option<String>,
    /// Bytes of its DER.
    pub bytes: usize,
    /// SHA-256 of its DER, hexadecimal.
    pub sha256: String,
}

/// Entries of Tekton's own form.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tep0089Facts {
    /// The certificate in `SVID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateFacts>,
    /// The names that `RESULT_MANIFEST` lists.
    pub manifest: Vec<String>,
    /// Names that have a signature.
    pub signatures: Vec<String>,
}

impl InspectedStep {
    /// What it signed, where the statement could be rebuilt so that the signature fits it.
    pub fn envelope(&self) -> Option<Envelope<'_>> {
        self.signed.as_ref().map(|signed| Envelope {
            statement: &signed.statement,
            signature: &signed.signature,
            leaf: &signed.leaf,
            intermediates: signed.intermediates.iter().map(Certificate::der).collect(),
        })
    }
}
