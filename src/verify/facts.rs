//! What a finding is about, for programs: the exact rule, step, result, both sides, and the field.

use std::{borrow::Cow, fmt};

use x509::text::hex;

use crate::{evidence::attestation::AttestationError, tekton::result_kind::ResultKind};

/// The exact rule behind a finding, a stable name of lower-case words. Those of certificates and chains are listed in
/// docs/certificates.md, all others in docs/findings.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Detail(&'static str);

impl Detail {
    /// The rule of an error enum, by its own stable name.
    pub(crate) fn of_rule(code: &'static str) -> Self {
        Self(code)
    }

    /// As it is written in reports.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

macro_rules! details {
    ($($(#[$doc:meta])+ $name:ident = $code:literal;)+) => {
        impl Detail {
            $($(#[$doc])+ pub const $name: Detail = Detail($code);)+

            /// Every one that is not a rule of an error enum.
            pub const ALL: &[Detail] = &[$(Detail::$name),+];
        }
    };
}

details! {
    // --- attestation ---
    /// The entry is of a version that is not known.
    VERSION = "version";
    /// The entry begins with no version.
    NO_VERSION = "no-version";
    /// The entry is not base64url.
    BASE64 = "base64";
    /// The entry holds no attestation message.
    PROTOBUF = "protobuf";
    /// The message is not in its one canonical encoding.
    NOT_CANONICAL = "not-canonical";
    /// A field of the message has an impossible value.
    IMPOSSIBLE_FIELD = "impossible-field";
    // --- certificate ---
    /// The compact certificate cannot be read.
    COMPACT_LEAF = "compact-leaf";
    /// Its DNS names that speak of the run contradict each other or are malformed.
    DNS_NAMES = "dns-names";
    /// It attests the UID of the run, which the attestation does not carry.
    UID_NOT_CARRIED = "uid-not-carried";
    /// The UID in the attestation is not the one that the certificate attests.
    UID_NOT_ATTESTED = "uid-not-attested";
    // --- signature ---
    /// A fact in the attestation, the step's name or the trust domain is not what was signed.
    ATTESTATION_ALTERED = "attestation-altered";
    /// A result, the attestation, the step's name or the trust domain is not what was signed.
    RESULTS_ALTERED = "results-altered";
    /// One result is covered twice.
    COVERED_TWICE = "covered-twice";
    // --- differs ---
    /// The namespace.
    NAMESPACE = "namespace";
    /// The name of the TaskRun.
    NAME = "name";
    /// The SPIFFE ID of the certificate.
    IDENTITY = "identity";
    /// The UID of the TaskRun.
    UID = "uid";
    /// The name of the step.
    STEP = "step";
    /// The position of the step.
    POSITION = "position";
    /// The number of steps.
    STEP_COUNT = "step-count";
    /// The name of the pod.
    POD_NAME = "pod-name";
    /// The number of the attempt.
    ATTEMPT = "attempt";
    /// Whether the step ended.
    STATE = "state";
    /// The exit code.
    EXIT_CODE = "exit-code";
    /// The termination reason.
    TERMINATION_REASON = "termination-reason";
    /// The image that the step ran in.
    IMAGE = "image";
    // --- time ---
    /// Before the TaskRun was created.
    BEFORE_CREATION = "before-creation";
    /// Before the TaskRun started.
    BEFORE_START = "before-start";
    /// After the TaskRun was completed.
    AFTER_COMPLETION = "after-completion";
    /// After the time of `--at`.
    AFTER_STATED_TIME = "after-stated-time";
    /// In the future.
    IN_FUTURE = "in-future";
    /// After its time stamp.
    AFTER_TIME_STAMP = "after-time-stamp";
    // --- contradiction ---
    /// The UID of the pod.
    POD_UID = "pod-uid";
    /// The way in which results are handed over.
    RESULTS_FROM = "results-from";
    /// The order in which the steps signed.
    ORDER = "order";
    /// A step signed although an earlier one had signed a failure.
    SIGNED_AFTER_FAILURE = "signed-after-failure";
    /// Two attempts ran in one pod.
    SHARED_POD = "shared-pod";
    /// Two attempts overlap.
    OVERLAPPING_ATTEMPTS = "overlapping-attempts";
    // --- result-changed, result-missing, result-added ---
    /// In the termination message of the step.
    IN_MESSAGE = "in-message";
    /// In `status.results`.
    IN_STATUS_RESULTS = "in-status-results";
    /// In `status.steps[].results`.
    IN_STEP_RESULTS = "in-step-results";
    /// The signed hint of the name fits no result, or several, or one that cannot be carried so.
    HINT = "hint";
    /// A list of artifacts.
    ARTIFACTS = "artifacts";
    /// The entry of an attestation, or of Tekton's own signatures.
    EVIDENCE_ENTRY = "evidence-entry";
    // --- status ---
    /// A step has no name, or that of another one.
    STEP_NAME = "step-name";
    /// The container is not the one of the step.
    CONTAINER = "container";
    /// It says that it succeeded, and a step signed a failure.
    SUCCEEDED = "succeeded";
    /// Not the name of a result.
    RESULT_NAME = "result-name";
    /// A result is declared twice.
    DECLARED_TWICE = "declared-twice";
    /// A signed result is declared as that of another step.
    DECLARED_ELSEWHERE = "declared-elsewhere";
    /// A signed step is not declared in its place.
    STEP_NOT_DECLARED = "step-not-declared";
    /// The declared results are not those that the step was told to collect.
    DECLARED_RESULTS = "declared-results";
    /// The result follows from no signed step.
    UNSIGNED_RESULT = "unsigned-result";
    // --- tep-0089 ---
    /// There are results, and no `SVID`.
    SVID_MISSING = "svid-missing";
    /// `SVID` is not one certificate in PEM, or that of no step.
    SVID = "svid";
    /// The manifest is missing, or does not list what it must.
    MANIFEST = "manifest";
    /// The signature of a result or of the manifest is missing, or does not match.
    TEKTON_SIGNATURE = "tekton-signature";
    /// A value is the text under the signature of an attestation.
    ATTESTATION_TEXT = "attestation-text";
    // --- policy ---
    /// The policy has expired.
    EXPIRED_POLICY = "policy-expired";
    /// No rule speaks of the TaskRun.
    NO_RULE = "no-rule";
    /// The form of evidence.
    EVIDENCE = "evidence";
    /// How the time is known.
    TIME = "time";
    /// A signed result that is not carried.
    NOT_CARRIED = "not-carried";
    /// What the certificates attest.
    ATTESTED_BY = "attested-by";
    /// What a step ran.
    PROGRAM = "program";
    /// The age of the evidence.
    MAX_AGE = "max-age";
    /// A failure that the rule does not let pass.
    FAILURES = "failures";
    /// A demanded result.
    RESULT = "result";
    /// The type of a demanded result.
    TYPE = "type";
    /// The value of a demanded result.
    VALUE = "value";
    /// The step or step result that a demanded result is from.
    FROM = "from";
    /// How many TaskRuns a rule speaks of.
    MIN = "min";
    // --- unknown-issuer ---
    /// Nobody at hand has the key ID that the compact certificate begins with.
    ISSUER_HINT = "issuer-hint";
    // --- undecided ---
    /// `Succeeded` is there more than once.
    REPEATED_CONDITION = "repeated-condition";
    /// The artifacts that were signed are not in the object, or not of Tekton's shape.
    ARTIFACTS_NOT_CARRIED = "artifacts-not-carried";
    /// `status.taskSpec` is missing.
    NO_TASK_SPEC = "no-task-spec";
    /// A fact that one step signed is not known of another one.
    UNKNOWN_FACT = "unknown-fact";
    /// The signature cannot be checked without the message of the step.
    MESSAGE_NOT_CARRIED = "message-not-carried";
    /// The result that a short attestation is completed with is not carried.
    HINT_NOT_CARRIED = "hint-not-carried";
    /// A time of the object is none.
    NOT_A_TIME = "not-a-time";
    /// `metadata.creationTimestamp` is missing.
    NO_CREATION_TIME = "no-creation-time";
    /// The message is still compressed.
    COMPRESSED_MESSAGE = "compressed-message";
    /// The message cannot be read.
    UNREADABLE_MESSAGE = "unreadable-message";
    /// More steps than any pod has.
    TOO_MANY_STEPS = "too-many-steps";
    /// More attempts than are judged.
    TOO_MANY_ATTEMPTS = "too-many-attempts";
    /// An earlier attempt is not of Tekton's shape.
    ATTEMPT_SHAPE = "attempt-shape";
    /// Tekton leaves out such a result of a failed TaskRun.
    LEFT_OUT = "left-out";
    /// There is no TaskRun in what was read.
    NOTHING_FOUND = "nothing-found";
    /// No TaskRun has finished, and those that have not are left out.
    NOTHING_FINISHED = "nothing-finished";
    /// The envelope of Tekton Chains is not what was signed.
    CHAINS_SIGNATURE = "chains-signature";
    /// The envelope of Tekton Chains is signed by a key that is not given.
    CHAINS_KEY = "chains-key";
    /// The attestation in the annotations is of another run or other results, or cannot be read.
    CHAINS_ANNOTATION = "chains-annotation";
    /// Tekton Chains must have signed it.
    CHAINS = "chains";
    /// The source of a shard is not the same as when its families were looked at.
    CHANGED_MEANWHILE = "changed-meanwhile";
    // --- unreadable ---
    /// A file that is not meant to be read, or that the operating system does not let be read.
    NOT_READ = "not-read";
    /// Something else than objects of Kubernetes: packed, another encoding, a table for people, a bundle.
    NO_OBJECT = "no-object";
    /// Neither JSON nor YAML.
    SYNTAX = "syntax";
    /// Another kind of object.
    OTHER_KIND = "other-kind";
    /// An object without kind and version.
    NO_KIND = "no-kind";
    /// Not as Tekton writes it.
    SHAPE = "shape";
    /// An attestation of Tekton Chains in a format that keeps no results.
    HOLDS_NOTHING = "holds-nothing";
    /// An attestation of Tekton Chains that does not say whose results it holds.
    UNNAMED_RUN = "unnamed-run";
    /// A run of which something else is said on the command line.
    OTHER_RUN = "other-run";
    /// A statement or provenance that is not Tekton Chains'.
    OTHER_STATEMENT = "other-statement";
    /// Larger than any object of Kubernetes.
    OBJECT_TOO_LARGE = "object-too-large";
    /// Items of what is not a List.
    LIST = "list";
    /// A run that was asked for, and that the archive does not have.
    NOT_IN_ARCHIVE = "not-in-archive";
    /// A run that was asked for, and that the cluster does not have.
    NOT_IN_CLUSTER = "not-in-cluster";
    /// An image that was asked for, and that the registry has no attestation of.
    NOT_IN_REGISTRY = "not-in-registry";
    /// What a registry hands over is not what its digest names.
    OTHER_CONTENT = "other-content";
    /// An archive that may have more than it hands out.
    ARCHIVE_NOT_WHOLE = "archive-not-whole";
    /// A List that says that there are more items.
    PART_OF_LIST = "part-of-list";
    /// Nothing in it.
    EMPTY = "empty";
    /// A bug.
    PANICKED = "panicked";
    /// There is no credential to ask a cluster with.
    NO_CREDENTIAL = "no-credential";
    /// A server does not answer.
    UNREACHABLE = "unreachable";
    /// A server does not accept the credential (401).
    UNAUTHORIZED = "unauthorized";
    /// A server does not allow it (403).
    FORBIDDEN = "forbidden";
    /// A cluster does not know Tekton's objects.
    NO_TEKTON = "no-tekton";
    /// A list expired before it was read to its end (410).
    LIST_EXPIRED = "list-expired";
    /// A server answers with any other status.
    REFUSED_BY_SERVER = "refused-by-server";
    /// A connection ended in the middle of an answer.
    ANSWER_CUT = "answer-cut";
    /// Something in the place of a server's answer.
    ODD_ANSWER = "odd-answer";
    // --- no-evidence ---
    /// No step signed anything.
    NOTHING_SIGNED = "nothing-signed";
    /// It has not finished.
    UNFINISHED = "unfinished";
    /// The last attempt never ran.
    NEVER_RAN = "never-ran";
    /// There was nothing to check.
    NOTHING_CHECKED = "nothing-checked";
    /// An attestation is there, and the step that it belongs to is not.
    NO_OWNER = "no-owner";
    /// A step was ended before it could sign.
    ENDED_EARLY = "ended-early";
    /// It failed and holds no results.
    FAILED_WITHOUT_RESULTS = "failed-without-results";
    /// Earlier attempts hold attestations, the last one does not.
    ATTESTATIONS_REMOVED = "attestations-removed";
    // --- pipeline ---
    /// `status.pipelineSpec` is missing.
    NO_PIPELINE_SPEC = "no-pipeline-spec";
    /// `status.pipelineSpec` is not what `spec.pipelineSpec` becomes, or names a task twice.
    PIPELINE_SPEC = "pipeline-spec";
    /// The status names a task that the pipeline does not have.
    UNKNOWN_TASK = "unknown-task";
    /// A child is not in what was read, or a task neither ran nor was skipped.
    CHILD_MISSING = "child-missing";
    /// There was no room to keep it until its children were there.
    NOT_KEPT = "not-kept";
    /// A child does not have the name that the controller gives it.
    CHILD_NAME = "child-name";
    /// A child is of another kind than its task.
    CHILD_KIND = "child-kind";
    /// A child belongs to another PipelineRun.
    CHILD_OWNER = "child-owner";
    /// A run of a task that the status leaves out.
    CHILD_LEFT_OUT = "child-left-out";
    /// A child does not count as verified.
    CHILD_VERDICT = "child-verdict";
    /// Objects of one name say different things of a child, or it is not known which of several it is.
    CHILD_DIFFERS = "child-differs";
    /// A parameter is not what the attested results make of it.
    PARAMETER = "parameter";
    /// Something was made of a result that no task produced.
    NO_SUCH_RESULT = "no-such-result";
    /// A matrix has other combinations.
    MATRIX = "matrix";
    /// A task ran although its when expressions are false, or other ones are stated.
    WHEN = "when";
    /// A task is said to be skipped, and that is not so.
    SKIPPED = "skipped";
    /// Tekton Chains' attestations do not carry all of a PipelineRun.
    PARTIAL = "partial";
    /// A task started before one that it depends on had signed.
    TASK_ORDER = "task-order";
    /// A result of the PipelineRun is not what its tasks produced.
    PIPELINE_RESULT = "pipeline-result";
    /// What something must be cannot be derived.
    NOT_DERIVED = "not-derived";
    // --- time-unproven ---
    /// The certificates had expired by the time of the check.
    EXPIRED = "expired";
    /// The certificates were not valid yet at the time of the check.
    NOT_YET_VALID = "not-yet-valid";
}

/// A result by its kind and name; it is written `task/<name>` or `step/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResultName {
    /// Of the task or of the step.
    pub kind: ResultKind,
    /// As the step or the task calls it.
    pub name: String,
}

impl ResultName {
    /// A result of the task.
    pub fn task(name: &str) -> Self {
        Self { kind: ResultKind::Task, name: name.to_owned() }
    }

    /// A result of the step.
    pub fn step(name: &str) -> Self {
        Self { kind: ResultKind::Step, name: name.to_owned() }
    }
}

impl AttestationError {
    /// The exact rule, for a finding.
    pub(crate) fn detail(&self) -> Detail {
        match self {
            Self::Version(_) => Detail::VERSION,
            Self::Prefix => Detail::NO_VERSION,
            Self::Base64 => Detail::BASE64,
            Self::Protobuf => Detail::PROTOBUF,
            Self::NotCanonical => Detail::NOT_CANONICAL,
            Self::Field(_) => Detail::IMPOSSIBLE_FIELD,
        }
    }
}

impl fmt::Display for ResultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.name)
    }
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side<'a> {
    /// SHA-256 of a value.
    Digest([u8; 32]),
    /// The value itself.
    Text(Cow<'a, str>),
}

impl fmt::Display for Side<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Side::Digest(digest) => write!(f, "sha256:{}", hex(digest)),
            Side::Text(text) => f.write_str(text),
        }
    }
}

/// What a finding is about. What is not known, or has no meaning for it, is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingFacts<'a> {
    /// The exact rule.
    pub detail: Option<Detail>,
    /// Of an earlier attempt: its number, from 0. All else is then about that attempt.
    pub attempt: Option<usize>,
    /// The step whose evidence it is about.
    pub step: Option<&'a str>,
    /// The result.
    pub result: Option<Cow<'a, ResultName>>,
    /// What is signed or demanded.
    pub expected: Option<Side<'a>>,
    /// What is there.
    pub found: Option<Side<'a>>,
    /// Path in the object, such as `status.results[3]`.
    pub field: Option<Cow<'a, str>>,
}
