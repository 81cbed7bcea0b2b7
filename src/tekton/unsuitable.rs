//! What an input is that holds no TaskRun, and what to give instead.

use std::fmt;

use serde_json::Value;

/// Something that is not a TaskRun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsuitable {
    // --- by the first bytes ---
    /// Compressed in a way that is not read, or an archive of files; its name.
    Packed(&'static str),
    /// Compressed more than once.
    CompressedTwice,
    /// UTF-16, as PowerShell writes what is sent to a file.
    Utf16,
    /// Bytes that no text has.
    Binary,
    /// Text in another encoding than UTF-8.
    NotUtf8,
    /// PEM; what is in it.
    Pem(String),
    /// HTML or XML.
    Markup,
    /// kubectl's table for people.
    Table,
    /// What kubectl says when it fails or finds nothing; its first line.
    KubectlMessage(String),
    /// A message of kubectl's with something behind it; its first line.
    MessageBefore(String),
    /// `-o name`.
    Names,
    /// `kubectl describe` or `tkn … describe`.
    Description,
    /// The value of an attestation.
    Attestation,

    // --- values that are no object ---
    /// Any other text; its beginning.
    Text(String),
    /// A JSON array.
    Array,
    /// `null`.
    Null,
    /// A number, or true or false.
    Scalar,

    // --- objects without a kind ---
    /// An event of `kubectl get --watch --output-watch-events`.
    WatchEvent,
    /// A record of Tekton Results, or several.
    ResultsRecord,
    /// A DSSE envelope; what is in it.
    Envelope(String),
    /// An in-toto statement.
    Statement,
    /// A bundle of keys.
    Bundle,
    /// A policy file.
    PolicyFile,
    /// A report of svidence.
    Report,
    /// The `status` of an object alone.
    StatusAlone,
    /// Nothing says what it is.
    NoKind,

    // --- objects of another kind ---
    /// An answer of the API server; its message.
    ApiStatus(String),
    /// A PipelineRun; its namespace and name, where they are names.
    PipelineRun(Option<String>, Option<String>),
    /// A Pod; its namespace, and the TaskRun that its labels name.
    Pod(Option<String>, Option<String>),
    /// A CustomRun, or a Run, as it was called before.
    CustomRun(String),
    /// What a run is of: a Task, a Pipeline, a StepAction.
    Definition(String),
    /// A TaskRun of a version that is not known; the version.
    TaskRunVersion(String),
    /// Any other; its kind and apiVersion.
    Kind(String, String),
}

/// Characters of somebody else's text that are shown.
const SHOWN: usize = 80;

/// The beginning of somebody else's text.
pub(crate) fn shown(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

/// The first bytes of formats that pack files, and of archives.
const PACKED: [(&[u8], &str); 7] = [
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x1f\x9d", "compress"),
];
/// Where a tar archive says that it is one (POSIX `ustar`).
const TAR: std::ops::Range<usize> = 257..262;

impl Unsuitable {
    /// By the first bytes of an input, decompressed: what is neither JSON nor YAML for sure.
    pub(crate) fn of_bytes(first: &[u8]) -> Option<Self> {
        if let Some((_, name)) = PACKED.iter().find(|(magic, _)| first.starts_with(magic)) {
            return Some(Self::Packed(name));
        }
        if first.get(TAR) == Some(b"ustar") {
            return Some(Self::Packed("tar"));
        }
        if first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff") {
            return Some(Self::Utf16);
        }
        let is_utf16 = matches!(first, [0, b'{' | b'[', ..] | [b'{' | b'[', 0, ..]);
        match memchr::memchr(0, first) {
            Some(_) if is_utf16 => Some(Self::Utf16),
            Some(_) => Some(Self::Binary),
            None => None,
        }
    }

    /// By the beginning of a text that does not start with a bracket: what is no TaskRun in YAML for sure.
    pub(crate) fn of_text(beginning: &[u8]) -> Option<Self> {
        // The last character may not be there as a whole.
        if std::str::from_utf8(beginning).is_err_and(|error| error.error_len().is_some()) {
            return Some(Self::NotUtf8);
        }
        let text = String::from_utf8_lossy(beginning);
        let mut lines = text.lines();
        let first = lines.next()?;
        let second = lines.next().unwrap_or_default();
        if let Some(label) = first.strip_prefix("-----BEGIN ") {
            return Some(Self::Pem(shown(label.trim_end().trim_end_matches('-'))));
        }
        let is_markup = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || "!?".contains(c));
        if first.strip_prefix('<').is_some_and(is_markup) {
            return Some(Self::Markup);
        }
        if is_table(first) {
            return Some(Self::Table);
        }
        if is_notice(first) {
            let follows = lines.any(|line| line.starts_with(['{', '[']) || line.starts_with("apiVersion:"))
                || second.starts_with(['{', '[']);
            return Some(match follows {
                true => Self::MessageBefore(shown(first)),
                false => Self::KubectlMessage(shown(first)),
            });
        }
        if is_resource_name(first) {
            return Some(Self::Names);
        }
        if first.starts_with("Name:  ") && second.starts_with("Namespace:  ") {
            return Some(Self::Description);
        }
        if first.starts_with("sv1.") {
            return Some(Self::Attestation);
        }
        None
    }

    /// By the same: a text without a key, which is a single value to YAML whatever follows.
    pub(crate) fn of_value_alone(beginning: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(beginning);
        let line = text.lines().next()?.trim();
        let may_be_more = line.is_empty() || line.starts_with(|c| "-?#%!&*{[|>@`".contains(c));
        if may_be_more || line.starts_with("...") || line.contains(':') {
            return None;
        }
        Some(match serde_json::from_str(line) {
            Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => Self::of_value(&value),
            _ => Self::Text(shown(line)),
        })
    }

    /// What a value is that says of itself neither `kind: TaskRun` nor a version that is known.
    pub(crate) fn of_value(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::of_text(text.as_bytes()).unwrap_or(Self::Text(shown(text))),
            Value::Array(_) => Self::Array,
            Value::Null => Self::Null,
            Value::Number(_) | Value::Bool(_) => Self::Scalar,
            Value::Object(_) => of_object(value),
        }
    }
}

/// Whether it is the line of headings of a table: words in capitals, with room between them.
fn is_table(line: &str) -> bool {
    let is_heading =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b"-() ".contains(&b));
    let mut headings = line.split("  ").map(str::trim).filter(|heading| !heading.is_empty()).peekable();
    matches!(headings.peek(), Some(&("NAME" | "NAMESPACE"))) && headings.all(is_heading)
}

/// Whether it is something that kubectl, tkn or a client library says to people.
fn is_notice(line: &str) -> bool {
    const BEGINNINGS: [&str; 8] = [
        "Error from server",
        "Error: ",
        "Warning: ",
        "error: ",
        "No resources found",
        "No TaskRuns found",
        "The connection to the server",
        "Unable to connect to the server",
    ];
    // klog: severity, month and day, time.
    let is_klog = matches!(line.as_bytes(), [b'I' | b'W' | b'E' | b'F', digits @ ..]
        if digits.len() > 5 && digits[..4].iter().all(u8::is_ascii_digit) && digits[4] == b' ');
    is_klog || BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

/// Whether it is `taskrun.tekton.dev/build`, or the like of a core kind.
fn is_resource_name(line: &str) -> bool {
    line.trim_end().split_once('/').is_some_and(|(resource, name)| is_name(resource) && is_name(name))
}

fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

fn of_object(object: &Value) -> Unsuitable {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let owned = |pointer: &str| text(pointer).unwrap_or_default().to_owned();
    // It becomes part of a command that somebody may paste.
    let name = |pointer: &str| text(pointer).filter(|text| is_name(text)).map(str::to_owned);
    let has = |name: &str| object.get(name).is_some();
    let (kind, api_version) = (text("/kind").unwrap_or_default(), text("/apiVersion").unwrap_or_default());
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (kind, group) {
        ("", "") if api_version.is_empty() => {}
        ("Status", "") => return Unsuitable::ApiStatus(shown(&owned("/message"))),
        ("Pod", "") => {
            return Unsuitable::Pod(
                name("/metadata/namespace"),
                name("/metadata/labels/tekton.dev~1taskRun"),
            );
        }
        ("PipelineRun", "tekton.dev") => {
            return Unsuitable::PipelineRun(name("/metadata/namespace"), name("/metadata/name"));
        }
        ("CustomRun" | "Run", "tekton.dev") => return Unsuitable::CustomRun(kind.to_owned()),
        ("Task" | "ClusterTask" | "Pipeline" | "StepAction", "tekton.dev") => {
            return Unsuitable::Definition(kind.to_owned());
        }
        ("TaskRun", "tekton.dev") => return Unsuitable::TaskRunVersion(shown(api_version)),
        _ => return Unsuitable::Kind(shown(kind), shown(api_version)),
    }
    let is_record =
        |value: &Value| value.pointer("/data/type").is_some() && value.pointer("/data/value").is_some();
    if has("type") && object.get("object").is_some_and(Value::is_object) {
        return Unsuitable::WatchEvent;
    }
    if is_record(object) || object.get("records").is_some_and(Value::is_array) {
        return Unsuitable::ResultsRecord;
    }
    if has("payloadType") && has("payload") {
        return Unsuitable::Envelope(shown(&owned("/payloadType")));
    }
    if has("dsseEnvelope") {
        return Unsuitable::Envelope(shown(&owned("/dsseEnvelope/payloadType")));
    }
    if text("/_type").is_some_and(|kind| kind.starts_with("https://in-toto.io/Statement/")) {
        return Unsuitable::Statement;
    }
    if object.get("keys").is_some_and(Value::is_array) {
        return Unsuitable::Bundle;
    }
    if object.get("rules").is_some_and(Value::is_array) && has("version") {
        return Unsuitable::PolicyFile;
    }
    if has("version") && has("source") && (has("verdict") || has("checked")) {
        return Unsuitable::Report;
    }
    let of_status = ["podName", "steps", "taskResults", "conditions", "startTime"];
    if !has("metadata") && !has("status") && of_status.iter().filter(|name| has(name)).count() >= 2 {
        return Unsuitable::StatusAlone;
    }
    Unsuitable::NoKind
}

impl fmt::Display for Unsuitable {
    #[expect(clippy::too_many_lines, reason = "one arm for each message")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_namespace = |namespace: &Option<String>| {
            namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default()
        };
        match self {
            Self::Packed("tar") => {
                f.write_str("this is a tar archive; unpack it and give the folder")
            }
            Self::Packed(name) => {
                write!(f, "this is packed ({name}), which is not read; unpack it, or pack it with gzip or zstd")
            }
            Self::CompressedTwice => f.write_str("this is compressed twice; decompress it once"),
            Self::Utf16 => f.write_str(
                "this is UTF-16, as PowerShell's > writes it; save it as UTF-8: kubectl … | Out-File -Encoding utf8 FILE",
            ),
            Self::Binary => f.write_str("this is not text: it holds zero bytes, which neither JSON nor YAML has"),
            Self::NotUtf8 => f.write_str("this is not UTF-8, as JSON and YAML are; save it as UTF-8, or look at what it is"),
            Self::Pem(label) => match label.as_str() {
                "CERTIFICATE" => {
                    f.write_str("this is PEM (CERTIFICATE), not a TaskRun; certificates belong to --bundle or --intermediates")
                }
                label => write!(f, "this is PEM ({label}), not a TaskRun"),
            },
            Self::Markup => {
                f.write_str("this is HTML or XML, probably a page that asks to log in; look at where it came from")
            }
            Self::Table => f.write_str("this is kubectl's table for people; add -o json to the command"),
            Self::KubectlMessage(line) => write!(f, "this is a message instead of TaskRuns: {line}"),
            Self::MessageBefore(line) => write!(
                f,
                "a message comes before the objects: {line}; leave 2>&1 out of the command, so that messages stay apart"
            ),
            Self::Names => f.write_str("this is a list of names (-o name); take -o json instead"),
            Self::Description => {
                f.write_str("this is a description for people; take kubectl get taskrun NAME -o json instead")
            }
            Self::Attestation => f.write_str(
                "this is an attestation's value alone; it is verified with its TaskRun: kubectl get taskrun NAME -o json",
            ),
            Self::Text(text) => {
                write!(f, "this is text, not a TaskRun; if it comes from kubectl, add -o json; it begins with: {text}")
            }
            Self::Array => f.write_str("this is an array, not a List; give its objects one by one, of JSON with jq -c '.[]'"),
            Self::Null => f.write_str("there is no object in it: it says null"),
            Self::Scalar => f.write_str("this is a single value, not an object"),
            Self::WatchEvent => {
                f.write_str("this is a watch event; give the object in it: jq -c .object, or leave out --output-watch-events")
            }
            Self::ResultsRecord => f.write_str(
                "this is a record of Tekton Results; give the TaskRun in it: jq -r '(.records[]?, .) | .data.value? // empty | @base64d'",
            ),
            Self::Envelope(payload) => write!(
                f,
                "this is a DSSE envelope ({payload}), not a TaskRun; the TaskRun that it speaks of is what is verified here"
            ),
            Self::Statement => {
                f.write_str("this is an in-toto statement, not a TaskRun; the TaskRun that it speaks of is what is verified here")
            }
            Self::Bundle => f.write_str("this is a bundle of keys, not a TaskRun; it belongs to --bundle"),
            Self::PolicyFile => f.write_str("this is a policy, not a TaskRun; it belongs to --policy"),
            Self::Report => f.write_str("this is a report of svidence, not a TaskRun"),
            Self::StatusAlone => f.write_str(
                "this looks like the status of a TaskRun alone; give the whole object, with apiVersion, kind and metadata",
            ),
            Self::NoKind => f.write_str(
                "it has no kind and no apiVersion, so nothing says that it is a TaskRun; kubectl get taskrun NAME -o json has both",
            ),
            Self::ApiStatus(message) => write!(f, "this is an answer of the API server, not a TaskRun: {message}"),
            Self::PipelineRun(namespace, name) => {
                let name = name.as_deref().unwrap_or("NAME");
                write!(
                    f,
                    "it is a PipelineRun, whose results nobody signs; give its TaskRuns: kubectl get taskruns{} \
                     -l tekton.dev/pipelineRun={name} -o json",
                    in_namespace(namespace)
                )
            }
            Self::Pod(namespace, Some(task_run)) => write!(
                f,
                "it is the Pod of a TaskRun; give the TaskRun: kubectl get taskrun{} {task_run} -o json",
                in_namespace(namespace)
            ),
            Self::Pod(_, None) => f.write_str("it is a Pod, not a TaskRun"),
            Self::CustomRun(kind) => {
                write!(f, "it is a {kind}, not a TaskRun: it has no steps, so nothing in it is signed")
            }
            Self::Definition(kind) => {
                write!(f, "it is a {kind}: what is to be run, not a run of it; give TaskRuns")
            }
            Self::TaskRunVersion(version) => {
                write!(f, "it is a TaskRun of {version}; tekton.dev/v1 and tekton.dev/v1beta1 are read")
            }
            Self::Kind(kind, version) if kind.is_empty() => {
                write!(f, "it has no kind (its apiVersion is {version}), so nothing says that it is a TaskRun")
            }
            Self::Kind(kind, version) if version.is_empty() => {
                write!(f, "it is a {kind} without apiVersion, not a TaskRun of tekton.dev/v1 or v1beta1")
            }
            Self::Kind(kind, version) => {
                write!(f, "it is a {kind} ({version}), not a TaskRun of tekton.dev/v1 or v1beta1")
            }
        }
    }
}
