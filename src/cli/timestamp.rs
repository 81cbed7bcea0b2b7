//! `svidence timestamp`: has a time-stamp authority witness what the steps of a TaskRun signed, while their certificates last.

use std::{
    fs, io,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use ring::rand::SecureRandom;
use serde_json::{Map, Value, json};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use crate::verify::{
    Finding, Verdict,
    taskrun::{TaskRun, format_time},
    time::{
        ANNOTATION, MAX_TOKEN, Request, TimeStamp, TimeStamps, TokenError, TsaPolicy, annotated, imprints,
    },
    walk::for_each,
};

use super::{USAGE_ERROR, report::safe::Line, verify::time_stamps};

/// Arguments of `svidence timestamp`.
#[derive(Debug, Args)]
pub struct TimestampArgs {
    /// Files or folders with TaskRuns (JSON, JSON lines, YAML, Lists), or - for standard input
    #[arg(required = true, value_name = "TASKRUN")]
    sources: Vec<PathBuf>,
    /// The time-stamp authority: http:// or https://
    #[arg(long, value_name = "URL")]
    tsa: String,
    /// Check each token fully: certificates (PEM) of TSAs that you trust, roots or a TSA's own
    #[arg(long = "tsa-certificate", value_name = "FILE")]
    tsa_certificates: Vec<PathBuf>,
    /// Ask for time stamps under this policy of the TSA
    #[arg(long, value_name = "OID")]
    policy: Option<TsaPolicy>,
    /// Write <namespace>_<taskrun>_<step>.tsr into this folder; without it, a merge patch for one TaskRun goes to stdout
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// How long to wait for each answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
    /// Authorities (PEM) of the web server's certificate, for https
    #[arg(long, value_name = "FILE", default_value = "/etc/ssl/certs/ca-certificates.crt")]
    tls_ca: PathBuf,
}

/// Why a TaskRun was not time-stamped.
#[derive(Debug, thiserror::Error)]
enum StampError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Evidence(Vec<Finding>),
    #[error("the TSA {url} does not answer: {error}")]
    Unreachable { url: String, error: Box<ureq::Error> },
    #[error("the TSA {url} answers with HTTP status {status}")]
    Status { url: String, status: u16 },
    #[error("step {step}: the TSA's answer is of no use: {error}")]
    Answer { step: String, error: TokenError },
    #[error(
        "{path} is there and holds something else than a time stamp of this attestation ({error}); move it away"
    )]
    Occupied { path: String, error: TokenError },
    #[error("{name:?} is no name of Kubernetes, so no file is named after it")]
    Name { name: String },
    #[error("{path}: {error}")]
    File { path: String, error: io::Error },
    #[error("no nonce: the operating system's random generator failed")]
    Random,
}

impl StampError {
    fn verdict(&self) -> Verdict {
        match self {
            StampError::Evidence(findings) => {
                findings.iter().map(Finding::verdict).max().unwrap_or(Verdict::Unchecked)
            }
            _ => Verdict::Unchecked,
        }
    }

    /// The same would befall every other TaskRun.
    fn is_about_all(&self) -> bool {
        matches!(self, StampError::Unreachable { .. } | StampError::Status { .. } | StampError::Random)
    }
}

fn at(path: &Path, error: io::Error) -> StampError {
    StampError::File { path: path.display().to_string(), error }
}

/// Runs `svidence timestamp`; returns the exit code.
pub fn run(
    args: &TimestampArgs,
    random: &dyn SecureRandom,
    stdin: &mut (dyn Read + Send),
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let (trusted, agent) = match prepare(args, err) {
        Ok(prepared) => prepared,
        Err((exit_code, text)) => {
            let _ = writeln!(err, "svidence timestamp: {text}");
            return exit_code;
        }
    };
    let stamping = Stamping { args, trusted, agent, random };
    let (mut worst, mut count, mut stop) = (Verdict::Verified, 0, false);
    let mut patch = None;
    for_each(&args.sources, stdin, &mut |_, object| {
        count += 1;
        // One patch is for one TaskRun.
        stop |= args.output.is_none() && count > 1;
        if stop {
            return;
        }
        let object = match object {
            Ok(object) => object,
            Err(error) => {
                let _ = writeln!(err, "unchecked {}", Line(&error.to_string()));
                worst = worst.max(Verdict::Unchecked);
                return;
            }
        };
        let name = format!("{}/{}", object.metadata.namespace, object.metadata.name);
        let stamped = match &args.output {
            None => stamping.annotate(&object, err).map(|found| patch = Some(found)),
            Some(folder) => stamping.write(&object, folder, err),
        };
        if let Err(error) = stamped {
            stop = error.is_about_all();
            worst = worst.max(error.verdict());
            let _ = writeln!(err, "failed    {}: {}", Line(&name), Line(&error.to_string()));
        }
    });
    if count == 0 {
        let _ = writeln!(err, "svidence timestamp: no TaskRun found");
        return Verdict::Unchecked.exit_code();
    }
    if args.output.is_none() && count > 1 {
        let text = "there are several TaskRuns, and a patch is for one; name a folder with --output";
        let _ = writeln!(err, "svidence timestamp: {text}");
        return USAGE_ERROR;
    }
    if let Some(patch) = patch
        && writeln!(out, "{patch}").and_then(|()| out.flush()).is_err()
    {
        let _ = writeln!(err, "svidence timestamp: standard output could not be written");
        return Verdict::Unchecked.exit_code();
    }
    worst.exit_code()
}

fn prepare(args: &TimestampArgs, err: &mut dyn Write) -> Result<(TimeStamps, ureq::Agent), (u8, String)> {
    let unchecked = |text: String| (Verdict::Unchecked.exit_code(), text);
    let trusted = time_stamps(&args.tsa_certificates, &[], err).map_err(unchecked)?;
    let mut tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    if args.tsa.starts_with("https://") {
        let file = &args.tls_ca;
        let pem = fs::read(file).map_err(|error| {
            unchecked(format!("{}: {error}; name another file with --tls-ca", file.display()))
        })?;
        let roots: Vec<_> = ureq::tls::parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&roots));
    } else if !args.tsa.starts_with("http://") {
        return Err((
            USAGE_ERROR,
            format!("--tsa {}: it begins with neither http:// nor https://", args.tsa),
        ));
    }
    let agent = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .timeout_global(Some(Duration::from_secs(args.timeout)))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .into();
    Ok((trusted, agent))
}

struct Stamping<'a> {
    args: &'a TimestampArgs,
    trusted: TimeStamps,
    agent: ureq::Agent,
    random: &'a dyn SecureRandom,
}

impl Stamping<'_> {
    /// The merge patch with a token for every step. A good token that is there is kept: it is of an earlier time.
    fn annotate(&self, object: &TaskRun, err: &mut dyn Write) -> Result<Value, StampError> {
        let there = object.metadata.annotations.timestamps.as_ref().and_then(annotated).unwrap_or_default();
        let mut tokens = Map::new();
        for (step, imprint) in imprints(object).map_err(StampError::Evidence)? {
            let old = there.get(&step).and_then(|text| STANDARD.decode(text).ok());
            let old = old.and_then(|token| Some((self.trusted.check(&token, &imprint).ok()?, token)));
            let token = match old {
                Some((stamp, token)) => {
                    say(err, "kept", object, &step, stamp);
                    token
                }
                None => {
                    let (stamp, token) = self.ask(&step, imprint)?;
                    say(err, "stamped", object, &step, stamp);
                    token
                }
            };
            tokens.insert(step, json!(STANDARD.encode(token)));
        }
        Ok(json!({"metadata": {"annotations": {ANNOTATION: Value::Object(tokens).to_string()}}}))
    }

    /// One file for every step. A good one that is there is kept: it is of an earlier time.
    fn write(&self, object: &TaskRun, folder: &Path, err: &mut dyn Write) -> Result<(), StampError> {
        let imprints = imprints(object).map_err(StampError::Evidence)?;
        fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
        for (step, imprint) in imprints {
            let path = folder.join(file_name(object, &step)?);
            if path.exists() {
                let token = fs::read(&path).map_err(|error| at(&path, error))?;
                let stamp = self
                    .trusted
                    .check(&token, &imprint)
                    .map_err(|error| StampError::Occupied { path: path.display().to_string(), error })?;
                say(err, "kept", object, &step, stamp);
                continue;
            }
            let (stamp, token) = self.ask(&step, imprint)?;
            // Never half a file under the name that counts.
            let part = path.with_extension("tsr.part");
            fs::write(&part, token).map_err(|error| at(&part, error))?;
            fs::rename(&part, &path).map_err(|error| at(&path, error))?;
            say(err, "stamped", object, &step, stamp);
        }
        Ok(())
    }

    /// A token from the TSA, checked.
    fn ask(&self, step: &str, imprint: [u8; 32]) -> Result<(TimeStamp, Vec<u8>), StampError> {
        let mut nonce = [0; 16];
        self.random.fill(&mut nonce).map_err(|_| StampError::Random)?;
        let request = Request::new(imprint, nonce, self.args.policy.clone());
        let url = || self.args.tsa.clone();
        let unreachable = |error: ureq::Error| StampError::Unreachable { url: url(), error: Box::new(error) };
        let mut response = self
            .agent
            .post(&self.args.tsa)
            .content_type("application/timestamp-query")
            .send(&request.to_der()[..])
            .map_err(unreachable)?;
        if response.status() != 200 {
            return Err(StampError::Status { url: url(), status: response.status().as_u16() });
        }
        let limit = MAX_TOKEN as u64;
        let answer = response.body_mut().with_config().limit(limit).read_to_vec().map_err(unreachable)?;
        match request.check(&answer, &self.trusted) {
            Ok(stamp) => Ok((stamp, answer)),
            Err(error) => Err(StampError::Answer { step: step.to_owned(), error }),
        }
    }
}

fn say(err: &mut dyn Write, what: &str, object: &TaskRun, step: &str, stamp: TimeStamp) {
    let metadata = &object.metadata;
    let place = format!("{}/{}, step {step}", metadata.namespace, metadata.name);
    let _ = writeln!(err, "{what:<9} {}: {}", Line(&place), format_time(stamp.gen_time));
}

/// `<namespace>_<taskrun>_<step>.tsr`. No name of Kubernetes has an underscore or a slash in it.
fn file_name(object: &TaskRun, step: &str) -> Result<String, StampError> {
    let names = [object.metadata.namespace.as_str(), object.metadata.name.as_str(), step];
    let is_allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'.';
    match names.iter().find(|name| name.is_empty() || !name.bytes().all(is_allowed)) {
        None => Ok(format!("{}.tsr", names.join("_"))),
        Some(name) => Err(StampError::Name { name: (*name).to_owned() }),
    }
}
