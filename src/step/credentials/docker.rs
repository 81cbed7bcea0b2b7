//! `-basic-docker`, `-docker-config`, `-docker-cfg`: logins for registries, merged into one `.docker/config.json`
//! (docs/tekton-contract.md 1.4; Tekton pkg/credentials/dockercreds).

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use go::{
    json::{self, Json, TypeError, escape_bytes, is_field},
    mkdir,
};

use super::{
    CredentialError,
    files::{self, CredentialWriteError},
    secret, secret_and_url,
};

/// The address that Tekton gives a login that has none.
const EMAIL: &str = "not@val.id";

/// The file of a Secret of type `kubernetes.io/dockercfg`.
const CFG_FILE: &str = ".dockercfg";

/// The file of a Secret of type `kubernetes.io/dockerconfigjson`.
const CONFIG_FILE: &str = ".dockerconfigjson";

/// Go's name of a map of logins.
const AUTHS_TYPE: &str = "map[string]dockercreds.entry";

/// Logins by registry, in the order in which Go writes them.
type Auths = BTreeMap<Vec<u8>, Login>;

/// The values of the three flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Docker {
    basic: Auths,
    config_secrets: Vec<OsString>,
    cfg_secrets: Vec<OsString>,
}

/// One registry's login. It is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
struct Login {
    username: Vec<u8>,
    password: Vec<u8>,
    auth: Vec<u8>,
    email: Vec<u8>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Login(not shown)")
    }
}

impl Docker {
    /// Takes `secret=url` of `-basic-docker` and reads the Secret's `username` and `password`.
    pub fn set(&mut self, value: &[u8], secrets: &Path) -> Result<(), CredentialError> {
        let (secret, registry) = secret_and_url(value)?;
        if self.basic.contains_key(registry) {
            return Err(CredentialError::Twice { url: OsStr::from_bytes(registry).to_owned() });
        }
        let username = secret::read(secrets, secret, "username")?.bytes().to_vec();
        let password = secret::read(secrets, secret, "password")?.bytes().to_vec();
        let auth = STANDARD.encode([&username[..], b":", &password].concat()).into_bytes();
        let login = Login { username, password, auth, email: EMAIL.into() };
        self.basic.insert(registry.to_vec(), login);
        Ok(())
    }

    /// Takes the Secret of `-docker-config`, which is read when writing.
    pub fn add_config(&mut self, secret: &OsStr) {
        self.config_secrets.push(secret.to_owned());
    }

    /// Takes the Secret of `-docker-cfg`, which is read when writing.
    pub fn add_cfg(&mut self, secret: &OsStr) {
        self.cfg_secrets.push(secret.to_owned());
    }

    /// Writes `.docker/config.json` below `creds`, if there is any login; the later one of a registry counts.
    pub fn write(&self, creds: &Path, secrets: &Path) -> Result<(), CredentialWriteError> {
        let mut auths = Auths::new();
        for secret in &self.cfg_secrets {
            let json = secret::read(secrets, secret.as_bytes(), CFG_FILE)?;
            auths.extend(read_auths(&json::parse(json.bytes())?, &TOP)?);
        }
        for secret in &self.config_secrets {
            let json = secret::read(secrets, secret.as_bytes(), CONFIG_FILE)?;
            auths.extend(read_config(&json::parse(json.bytes())?)?);
        }
        auths.extend(self.basic.clone());
        if auths.is_empty() {
            return Ok(());
        }
        let folder = creds.join(".docker");
        mkdir::make_all(&folder)?;
        files::write(&folder.join("config.json"), to_json(&auths).as_bytes())
    }
}

/// What Go's errors call a map of logins, and the fields of one.
struct GoFieldPath {
    map: &'static str,
    /// What comes before a login's field.
    fields: &'static str,
}

/// The whole of a `.dockercfg`.
const TOP: GoFieldPath = GoFieldPath { map: "", fields: "entry." };

/// `auths` in a `.dockerconfigjson`.
const AUTHS: GoFieldPath = GoFieldPath { map: "configFile.auths", fields: "entry.auths." };

/// `{"auths": {…}}`; everything else in it is ignored. A second `auths` adds to the first, `null` takes all away.
fn read_config(json: &Json) -> Result<Auths, TypeError> {
    let mut auths = Auths::new();
    let members = json.as_members("", "dockercreds.configFile")?;
    for (_, value) in members.iter().filter(|(name, _)| is_field(name, "auths")) {
        match value {
            Json::Null => auths.clear(),
            value => auths.extend(read_auths(value, &AUTHS)?),
        }
    }
    Ok(auths)
}

/// `{"registry": {…}}`.
fn read_auths(json: &Json, place: &GoFieldPath) -> Result<Auths, TypeError> {
    let members = json.as_members(place.map, AUTHS_TYPE)?.iter();
    members.map(|(registry, login)| Ok((registry.clone().into_bytes(), Login::read(login, place)?))).collect()
}

impl Login {
    fn read(json: &Json, place: &GoFieldPath) -> Result<Self, TypeError> {
        let mut login = Self::default();
        for (name, value) in json.as_members(place.map, "dockercreds.entry")? {
            let field = login.fields().into_iter().find(|(field, _)| is_field(name, field));
            match (field, value) {
                (None, _) | (_, Json::Null) => {}
                (Some((field, to)), value) => {
                    *to = value.as_text(&[place.fields, field].concat())?.into_bytes();
                }
            }
        }
        Ok(login)
    }

    fn fields(&mut self) -> [(&'static str, &mut Vec<u8>); 4] {
        [
            ("username", &mut self.username),
            ("password", &mut self.password),
            ("auth", &mut self.auth),
            ("email", &mut self.email),
        ]
    }

    fn to_json(&self) -> String {
        let member = |name: &str, value: &[u8]| format!("\"{name}\":\"{}\"", escape_bytes(value));
        let members = [
            ("username", &self.username),
            ("password", &self.password),
            ("auth", &self.auth),
            ("email", &self.email),
        ];
        let present = members.into_iter().filter(|(name, value)| *name == "auth" || !value.is_empty());
        let members: Vec<_> = present.map(|(name, value)| member(name, value)).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// As Go's json.Marshal writes it.
fn to_json(auths: &Auths) -> String {
    let members: Vec<_> = auths
        .iter()
        .map(|(registry, login)| format!("\"{}\":{}", escape_bytes(registry), login.to_json()))
        .collect();
    format!("{{\"auths\":{{{}}}}}", members.join(","))
}
