//! Requests to an API server, one at a time, over HTTP/1.1 and TLS.
//!
//! Nothing is asked twice, as a retry would hide what is wrong, but where a busy server says when to ask again.

use std::{
    io::{self, Read as _},
    sync::Arc,
    thread,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use unixtime::UnixSeconds;
use ureq::{
    Agent, Body,
    config::Config,
    http::{
        HeaderMap, Response, Uri,
        header::{AUTHORIZATION, DATE, RETRY_AFTER},
    },
    tls::ClientCert,
    unversioned::{
        resolver::DefaultResolver,
        transport::{
            ConnectProxyConnector, ConnectionDetails, Connector, RustlsConnector, TcpConnector, Transport,
        },
    },
};

use super::{
    access::Access,
    error::{AccessError, KubernetesError, Words},
    identity::{ClientCertificate, Credential},
    request::{Method, Request},
    rule::RbacRule,
};
use crate::{http::proxies, sources::token::quote, tls};

/// The most bytes of an error that are looked at.
const LARGEST_STATUS: u64 = 64 << 10;
/// How often a busy server is asked again, and after how long at most; client-go asks ten times.
const RETRIES: usize = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A credential is replaced so many seconds before it expires.
pub(super) const AHEAD: Duration = Duration::from_secs(10);

/// A cluster that can be asked.
pub(super) struct Client {
    access: Access,
    /// How long to wait for a connection, for the beginning of an answer, and between two pieces of it; not for all of it, as whoever
    /// reads may be slower than the server.
    patience: Duration,
    /// How often a busy server is asked again.
    retries: usize,
    current: Option<(Agent, Credential)>,
    /// What the server's clock said last, and what ours said then.
    pub(super) clocks: Option<(UnixSeconds, UnixSeconds)>,
}

/// What an API server says instead of an answer (`metav1.Status`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    message: String,
    reason: String,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    name: String,
    group: String,
    kind: String,
}

/// An answer that is not a success.
struct Refusal {
    code: u16,
    /// `None`: not an API server's.
    status: Option<Status>,
    words: String,
}

impl Client {
    pub(super) fn new(access: Access, patience: Duration) -> Self {
        Self { access, patience, retries: RETRIES, current: None, clocks: None }
    }

    /// The same that asks a busy server once only: whoever asks may not be the one to ask later.
    pub(super) fn asking_once(self) -> Self {
        Self { retries: 0, ..self }
    }

    /// One object, of which nothing is read yet. `None`: there is none of that name.
    pub(super) fn object(&mut self, request: &Request<'_>) -> Result<Option<Body>, KubernetesError> {
        match self.ask(request)? {
            Ok(body) => Ok(Some(body)),
            Err(Refusal { code: 404, status: Some(status), .. }) if status.reason == "NotFound" => Ok(None),
            Err(refusal) => Err(self.error(request, refusal)),
        }
    }

    /// A page of a list, of which nothing is read yet.
    pub(super) fn page(&mut self, request: &Request<'_>) -> Result<Body, KubernetesError> {
        self.ask(request)?.map_err(|refusal| self.error(request, refusal))
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Result<Body, Refusal>, KubernetesError> {
        let mut retries = self.retries;
        let (agent, credential) = self.current()?;
        let mut headers = HeaderMap::new();
        headers.extend(credential.token.iter().map(|token| (AUTHORIZATION, token.header())));
        if let Some(impersonation) = &self.access.impersonation {
            impersonation.add_to(&mut headers);
        }
        let url = format!("{}{}", self.access.server, request.path());
        loop {
            let method = request.method();
            let sent = match method {
                Method::Get => {
                    let mut call = agent.get(&url).header("Accept", "application/json");
                    for (name, value) in &headers {
                        call = call.header(name, value);
                    }
                    for (name, value) in request.query() {
                        call = call.query(name, value);
                    }
                    call.call()
                }
                Method::Post(body) | Method::Put(body) | Method::Patch(body) | Method::Delete(body) => {
                    let (call, content) = match method {
                        Method::Delete(_) => (agent.delete(&url).force_send_body(), "application/json"),
                        Method::Patch(_) => (agent.patch(&url), "application/merge-patch+json"),
                        Method::Put(_) => (agent.put(&url), "application/json"),
                        _ => (agent.post(&url), "application/json"),
                    };
                    let mut call = call.content_type(content);
                    for (name, value) in &headers {
                        call = call.header(name, value);
                    }
                    call.send(body)
                }
            };
            let response = sent.map_err(|error| self.unreachable(&error))?;
            self.clocks = date(&response).map(|servers| (servers, (self.access.now)())).or(self.clocks);
            match (response.status().as_u16(), retry_after(&response)) {
                (200 | 201, _) => return Ok(Ok(response.into_body())),
                (429 | 503, Some(pause)) if retries > 0 => {
                    retries -= 1;
                    thread::sleep(pause);
                }
                _ => return Ok(Err(self.refusal(response))),
            }
        }
    }

    /// The credential of now, and what sends it.
    fn current(&mut self) -> Result<(Agent, &Credential), KubernetesError> {
        let now = (self.access.now)();
        let is_good =
            |credential: &Credential| credential.expires.is_none_or(|expires| now < expires - AHEAD);
        let kept = self.current.take().filter(|(_, credential)| is_good(credential));
        let (agent, credential) = match kept {
            Some(kept) => kept,
            None => {
                let credential = self.access.credential()?;
                (agent(&self.access, self.patience, credential.certificate.as_deref())?, credential)
            }
        };
        let (_, credential) = self.current.insert((agent.clone(), credential));
        Ok((agent, credential))
    }

    fn unreachable(&self, error: &ureq::Error) -> KubernetesError {
        if let Some(cause) = self.access.proxy.as_ref().and_then(|proxy| proxies::words(proxy, error)) {
            let advice = "see that the proxy lets it through (HTTPS_PROXY, NO_PROXY, proxy-url)";
            return KubernetesError::Unreachable { server: self.access.server.clone(), cause, advice };
        }
        const ADDRESS: &str = "see that the server in the kubeconfig is right and can be reached from here";
        let of_tls = match error {
            ureq::Error::Rustls(error) => Some(error),
            ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
            _ => None,
        };
        let (cause, advice) = match (error, of_tls) {
            (_, Some(error)) => (
                tls_words(error),
                "see that server and certificate-authority in the kubeconfig belong together",
            ),
            (ureq::Error::HostNotFound, _) => ("its name is not known here".to_owned(), ADDRESS),
            (ureq::Error::Timeout(_), _) => {
                let cause = format!("nothing came within {} s", self.patience.as_secs());
                (cause, "see that it can be reached from here, or wait longer with --request-timeout")
            }
            (ureq::Error::Io(error), _) => (io_words(error), ADDRESS),
            (other, _) => (other.to_string(), ADDRESS),
        };
        KubernetesError::Unreachable { server: self.access.server.clone(), cause, advice }
    }

    fn refusal(&self, mut response: Response<Body>) -> Refusal {
        let body = response.body_mut().with_config().limit(LARGEST_STATUS).read_to_vec().unwrap_or_default();
        let status = serde_json::from_slice::<Status>(&body).ok().filter(|status| status.kind == "Status");
        let words = match &status {
            Some(status) => status.message.clone(),
            // A page is not a message.
            None => String::from_utf8(body).ok().filter(|text| !text.starts_with('<')).unwrap_or_default(),
        };
        Refusal { code: response.status().as_u16(), words: self.quote(&words), status }
    }

    /// What is sent with requests now.
    pub(super) fn credential(&mut self) -> Result<&Credential, KubernetesError> {
        self.current().map(|(_, credential)| credential)
    }

    /// Whose credential that is, and whether it is used to speak for somebody else.
    pub(super) fn owner(&self) -> (String, bool) {
        (self.access.credential_of.clone(), self.access.impersonation.is_some())
    }

    /// What a server says, without the token.
    pub(super) fn quote(&self, text: &str) -> String {
        quote(text, self.current.as_ref().and_then(|(_, credential)| credential.token.as_deref()))
    }

    /// What is wrong, and what to do.
    fn error(&self, request: &Request<'_>, refusal: Refusal) -> KubernetesError {
        let Refusal { code, words, status } = refusal;
        if let Some(error) = request.no_tekton().filter(|_| code == 404) {
            return error;
        }
        match (code, status) {
            (401, _) => KubernetesError::Unauthorized { credential: self.access.credential_of.clone() },
            (403, Some(status)) => {
                let rule = self.impersonation(&status).unwrap_or_else(|| request.rule());
                KubernetesError::Forbidden { words, rule: Box::new(rule) }
            }
            (410, Some(_)) => KubernetesError::Expired,
            _ => {
                let advice = match code {
                    400 => "see that -l is a selector of labels as kubectl takes it",
                    429 | 500..=599 => "ask again later",
                    300..=399 => "a redirect is not followed: see that the server in the kubeconfig is right",
                    _ => request.advice_if_unknown(),
                };
                KubernetesError::Status { status: code, words: Words(words), advice }
            }
        }
    }

    /// The rule that is missing if it is not allowed to speak for somebody else (`impersonation.go` of the API server).
    fn impersonation(&self, status: &Status) -> Option<RbacRule> {
        self.access.impersonation.as_ref()?;
        let details = status.details.as_ref()?;
        status.message.contains("cannot impersonate resource").then(|| RbacRule {
            verb: "impersonate",
            resource: self.quote(&details.kind),
            api_group: self.quote(&details.group),
            namespace: place_in(&status.message).map(|namespace| self.quote(&namespace)),
            name: Some(self.quote(&details.name)).filter(|name| !name.is_empty()),
        })
    }
}

/// The server's time (RFC 9110, 6.6.1).
fn date(response: &Response<Body>) -> Option<UnixSeconds> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    Some(OffsetDateTime::parse(text, &Rfc2822).ok()?.into())
}

/// When to ask again, in whole seconds (RFC 9110, 10.2.3); an API server names no date.
fn retry_after(response: &Response<Body>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|pause| *pause <= LONGEST_PAUSE)
}

/// The namespace that a refusal speaks of.
fn place_in(message: &str) -> Option<String> {
    let (_, rest) = message.rsplit_once(" in the namespace \"")?;
    Some(rest.strip_suffix('"')?.to_owned())
}

fn tls_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(reason) => {
            format!("its certificate is not accepted: {}", tls::words(reason))
        }
        other => other.to_string(),
    }
}

/// An answer, of which at most so many bytes are read.
pub(super) fn bytes(body: &mut Body, limit: u64) -> Result<Vec<u8>, KubernetesError> {
    let mut bytes = Vec::new();
    let read = body.as_reader().take(limit).read_to_end(&mut bytes);
    read.map_err(|error| KubernetesError::Cut { cause: io_words(&error) })?;
    Ok(bytes)
}

/// An error of the system, or of TLS within it, in words.
pub(super) fn io_words(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    match inner {
        Some(ureq::Error::Timeout(_)) => "nothing more came in time".to_owned(),
        Some(inner) => inner.to_string(),
        None => crate::io_error::words(error),
    }
}

fn agent(
    access: &Access,
    patience: Duration,
    certificate: Option<&ClientCertificate>,
) -> Result<Agent, AccessError> {
    let mut tls = tls::trusting(&access.authorities);
    if let Some(certificate) = certificate {
        check(certificate).map_err(|error| AccessError::Value {
            field: "client-certificate",
            of: access.credential_of.clone(),
            reason: format!("{error}; see that certificate and key belong together"),
        })?;
        tls =
            tls.client_cert(Some(ClientCert::new_with_certs(&certificate.chain, certificate.key.to_owned())));
    }
    let config: Config = Agent::config_builder()
        .tls_config(tls.build())
        .https_only(true)
        .proxy(access.proxy.clone())
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("svidence/", env!("CARGO_PKG_VERSION")))
        .build();
    let host = access.server.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    let named = access.tls_server_name.clone();
    let tls = NamedTls { host: host.unwrap_or_default(), named, inner: RustlsConnector::default() };
    let connector = ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default()).chain(tls);
    Ok(Agent::with_parts(config, connector, DefaultResolver::default()))
}

/// Whether a certificate and its key can be used: the client takes that for granted.
fn check(certificate: &ClientCertificate) -> Result<(), rustls::Error> {
    let chain = certificate.chain.iter().map(|link| CertificateDer::from(link.der().to_vec())).collect();
    let key = PrivateKeyDer::try_from(certificate.key.der().to_vec())
        .map_err(|reason| rustls::Error::General(reason.to_owned()))?;
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_client_auth_cert(chain, key)
        .map(|_| ())
}

/// TLS with the API server under the name that `tls-server-name` of the kubeconfig gives it.
#[derive(Debug)]
struct NamedTls {
    host: String,
    named: Option<Uri>,
    inner: RustlsConnector,
}

impl<In: Transport> Connector<In> for NamedTls {
    type Out = <RustlsConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        match &self.named {
            // Not a proxy's.
            Some(named) if details.uri.host() == Some(&self.host) => {
                let details = ConnectionDetails {
                    uri: named,
                    addrs: details.addrs.clone(),
                    config: details.config,
                    request_level: details.request_level,
                    resolver: details.resolver,
                    now: details.now,
                    timeout: details.timeout,
                    current_time: details.current_time.clone(),
                    run_connector: details.run_connector.clone(),
                    register_shutdown: details.register_shutdown.clone(),
                };
                self.inner.connect(&details, chained)
            }
            _ => self.inner.connect(details, chained),
        }
    }
}
