//! `svidence config FILE`: checks the ConfigMap `config-spire` and prints the JSON that goes into the image.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::{
    controller::config::Configuration,
    io_error,
    step::signing::config::{Config, ConfigError},
    tekton::strict::parser_words::plain,
};

/// Name of the ConfigMap that is read.
pub const CONFIG_MAP: &str = "config-spire";

/// Why a configuration file was refused. Each says where: file and line, counted from 1.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file could not be read.
    #[error("{}: cannot read the configuration: {}", file.display(), io_error::words(source))]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not YAML, or YAML of another shape.
    #[error("{}:{line}: {reason}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u64,
        /// What the parser said.
        reason: String,
    },
    /// No document in the file is the ConfigMap.
    #[error("{}: no ConfigMap named {CONFIG_MAP} in it; found {found}", file.display())]
    NotFound {
        /// The file.
        file: PathBuf,
        /// What is there instead, with lines.
        found: String,
    },
    /// Two documents are the ConfigMap.
    #[error("{}:{line}: a second ConfigMap named {CONFIG_MAP}; keep one of them", file.display())]
    Second {
        /// The file.
        file: PathBuf,
        /// The line of the second one's name.
        line: u64,
    },
    /// The ConfigMap has no `data`.
    #[error(
        "{}:{line}: ConfigMap {CONFIG_MAP} has no data; put the spire-* and svidence-* keys under \"data:\"",
        file.display()
    )]
    NoData {
        /// The file.
        file: PathBuf,
        /// The line of the ConfigMap's name, or of its `data`.
        line: u64,
    },
    /// A value that is not text, which Kubernetes refuses too.
    #[error("{}:{line}: {key}: the value must be text; write it in quotes, as in key: \"text\" (found {value})", file.display())]
    NotText {
        /// The file.
        file: PathBuf,
        /// The line of the key.
        line: u64,
        /// The key.
        key: String,
        /// What is there.
        value: String,
    },
    /// A wrong key or value.
    #[error("{}:{line}: {source}", file.display())]
    Entry {
        /// The file.
        file: PathBuf,
        /// The line of the key.
        line: u64,
        /// Which key, which value, and why.
        source: ConfigError,
    },
    /// The output could not be written.
    #[error("cannot write the configuration: {}", io_error::words(.0))]
    Write(#[source] io::Error),
}

/// The trust domain of the file that the project ships.
const EXAMPLE_TRUST_DOMAIN: &str = "example.org";

/// Checks `file`, where `-` is `stdin`, and writes its JSON form to `out`. What is likely a slip is told on `err`.
pub fn run(
    file: &Path,
    stdin: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), ConfigFileError> {
    let config = match file.as_os_str() == "-" {
        true => parse(Path::new("standard input"), &io::read_to_string(stdin).map_err(unreadable(file))?)?,
        false => load(file)?,
    };
    if config.trust_domain.as_str() == EXAMPLE_TRUST_DOMAIN {
        let _ = writeln!(
            err,
            "svidence config: warning: {}: spire-trust-domain is {EXAMPLE_TRUST_DOMAIN}, the example that svidence ships; if \
             your SPIRE server has another one, no step could sign: put that in",
            file.display()
        );
    }
    out.write_all(config.to_json().as_bytes()).and_then(|()| out.flush()).map_err(ConfigFileError::Write)
}

/// Reads `file`: YAML with the ConfigMap among its documents, the same as JSON, or the JSON that [`run`] prints.
pub fn load(file: &Path) -> Result<Config, ConfigFileError> {
    parse(file, &fs::read_to_string(file).map_err(unreadable(file))?)
}

fn unreadable(file: &Path) -> impl Fn(io::Error) -> ConfigFileError {
    |source| ConfigFileError::Read { file: file.to_owned(), source }
}

/// A YAML node with the line of each part.
#[derive(Debug)]
enum Node {
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
    Text(String),
    /// Anything else, as text for messages.
    Other(String),
}

impl Node {
    fn get(&self, key: &str) -> Option<&Spanned<Self>> {
        match self {
            Self::Map(members) => members.iter().find(|(name, _)| name.value == key).map(|(_, node)| node),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Other(text) if text == "null")
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(text.to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Other(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Other(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Other(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Other(value.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Other("null".into()))
            }

            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Other("null".into()))
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
                Node::deserialize(deserializer)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
                while items.next_element::<Node>()?.is_some() {}
                Ok(Node::Other("[...]".into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = members.next_entry()? {
                    all.push(member);
                }
                Ok(Node::Map(all))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// Reads the `text` of `file`.
pub(super) fn parse(file: &Path, text: &str) -> Result<Config, ConfigFileError> {
    let documents: Vec<Spanned<Node>> = serde_saphyr::from_multiple(text).map_err(|error| {
        let error = error.without_snippet();
        ConfigFileError::Syntax {
            file: file.to_owned(),
            line: error.location().map_or(1, |location| location.line()),
            reason: plain(&error.to_string()),
        }
    })?;
    if let [document] = &documents[..]
        && is_plain_json(text, &document.value)
    {
        return entries(file, &document.value);
    }

    let mut config = None;
    let mut others = Vec::new();
    for document in &documents {
        let kind = document.value.get("kind").and_then(|kind| kind.value.text()).unwrap_or("no kind");
        let name = document.value.get("metadata").and_then(|metadata| metadata.value.get("name"));
        match name {
            Some(name) if kind == "ConfigMap" && name.value.text() == Some(CONFIG_MAP) => {
                let line = name.referenced.line();
                if config.is_some() {
                    return Err(ConfigFileError::Second { file: file.to_owned(), line });
                }
                let data = match document.value.get("data") {
                    Some(data) if matches!(data.value, Node::Map(_)) => &data.value,
                    Some(data) if !data.value.is_null() => {
                        return Err(ConfigFileError::NoData {
                            file: file.to_owned(),
                            line: data.referenced.line(),
                        });
                    }
                    _ => return Err(ConfigFileError::NoData { file: file.to_owned(), line }),
                };
                config = Some(entries(file, data)?);
            }
            _ => {
                let name = name.and_then(|name| name.value.text()).unwrap_or("without a name");
                let what = match (kind, name) {
                    ("no kind", "without a name") => "something that is not a Kubernetes object".to_owned(),
                    _ => format!("{kind} {name}"),
                };
                others.push(format!("{what} (line {})", document.referenced.line()));
            }
        }
    }
    config.ok_or_else(|| ConfigFileError::NotFound {
        file: file.to_owned(),
        found: if others.is_empty() { "nothing".into() } else { others.join(", ") },
    })
}

/// Whether this is the JSON that `svidence config` printed and not a Kubernetes object.
fn is_plain_json(text: &str, document: &Node) -> bool {
    text.trim_start().starts_with('{')
        && document.get("kind").is_none()
        && document.get("apiVersion").is_none()
}

fn entries(file: &Path, data: &Node) -> Result<Config, ConfigFileError> {
    let Node::Map(members) = data else { unreachable!("only maps are handed over") };
    let mut lines = BTreeMap::new();
    let mut pairs = Vec::new();
    for (key, node) in members {
        let line = key.referenced.line();
        let key = key.value.clone();
        lines.insert(key.clone(), line);
        let value = match &node.value {
            Node::Text(text) => text.clone(),
            Node::Other(value) => {
                let value = value.clone();
                return Err(ConfigFileError::NotText { file: file.to_owned(), line, key, value });
            }
            Node::Map(_) => {
                let value = "{...}".into();
                return Err(ConfigFileError::NotText { file: file.to_owned(), line, key, value });
            }
        };
        pairs.push((key, value));
    }
    // The controller's keys are checked as well, and are of no use to the steps.
    let configuration = Configuration::from_entries(pairs).map_err(|source| ConfigFileError::Entry {
        file: file.to_owned(),
        line: source.key().and_then(|key| lines.get(key)).copied().unwrap_or(1),
        source,
    })?;
    Ok(configuration.shared)
}
