//! What is asked of a registry about one repository. What a digest names is compared with it.

use std::{thread, time::Duration};

use serde::Deserialize;
use ureq::{
    Body,
    http::{HeaderValue, Response, Uri, header},
};

use super::{
    challenge::Challenge,
    connection::{Connection, host_of, retry_after},
    credentials::{Credential, CredentialOrigin, Keychain},
    digest::Digest,
    error::OciError,
    link::next_page,
    manifest::{ACCEPTED, Descriptor, INDEX, Manifest},
    reference::{Image, Repository},
    secret::{Secret, quote},
    token_service::{TokenService, basic},
};
use crate::sources::{error::LARGEST_OBJECT, loopback::is_loopback};

/// Bytes of a manifest, or of a page of a list of them (distribution-spec: registries should take 4 MiB).
const LARGEST_MANIFEST: u64 = 4 << 20;
/// Bytes of an error that are read.
const LARGEST_ERROR: u64 = 64 << 10;
/// Redirects of one request that are followed.
const MOST_REDIRECTS: usize = 5;
/// The most referrers that are looked at, whatever they are.
const MOST_REFERRERS: usize = 10_000;
/// The most referrers that may be attestations.
const MOST_ATTESTATIONS: usize = 1_000;
/// Pages of a list of referrers.
const MOST_PAGES: usize = 1_000;
/// How long to wait before a request is repeated that failed in passing.
const PAUSES: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3)];
/// The longest wait that a registry may ask for, seconds; with more it is not waited for at all.
const LONGEST_PAUSE: u64 = 30;

/// A client for one repository.
pub(super) struct Registry<'a> {
    connection: Connection,
    repository: Repository,
    keychain: &'a Keychain,
    session: Session,
}

/// What a registry is shown, after it has asked for it.
struct Session {
    authorization: Option<HeaderValue>,
    origin: CredentialOrigin,
    /// What a server may repeat.
    secrets: Vec<Secret>,
}

/// An answer, if it is one that says something about what was asked for.
struct Answer {
    status: u16,
    content_type: String,
    /// The headers `Link`.
    links: Vec<HeaderValue>,
    body: Vec<u8>,
}

/// What registries say of an error (distribution-spec, "Error Codes").
#[derive(Default, Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl<'a> Registry<'a> {
    pub(super) fn new(connection: Connection, repository: Repository, keychain: &'a Keychain) -> Self {
        let session =
            Session { authorization: None, origin: CredentialOrigin::NotAsked, secrets: Vec::new() };
        Self { connection, repository, keychain, session }
    }

    /// The manifest that a tag names; `None` if there is no such tag.
    pub(super) fn tagged(&mut self, tag: &str) -> Result<Option<Manifest>, OciError> {
        let path = format!("manifests/{tag}");
        let answer = self.get(&path, ACCEPTED, LARGEST_MANIFEST, "a manifest")?;
        match answer.status {
            200 => Manifest::read(&answer.body).map(Some),
            404 => self.is_missing(&answer).map(|()| None),
            _ => Err(self.status(&answer)),
        }
    }

    /// The manifest that a descriptor names.
    pub(super) fn manifest(&mut self, descriptor: &Descriptor) -> Result<Manifest, OciError> {
        let content = self.content("manifests", ACCEPTED, descriptor, LARGEST_MANIFEST)?;
        Manifest::read(&content)
    }

    /// The layer that a descriptor names.
    pub(super) fn layer(&mut self, descriptor: &Descriptor) -> Result<Vec<u8>, OciError> {
        let limit = u64::try_from(LARGEST_OBJECT).unwrap_or(u64::MAX);
        self.content("blobs", "*/*", descriptor, limit)
    }

    /// The referrers of an image that may be attestations: from the API, else from the tag that stands in for it.
    pub(super) fn referrers(&mut self, image: &Image) -> Result<Vec<Descriptor>, OciError> {
        let (mut found, mut listed) = (Vec::new(), 0);
        let mut path = format!("referrers/{}", image.digest);
        for _ in 0..MOST_PAGES {
            let answer = self.get(&path, INDEX, LARGEST_MANIFEST, "a list of referrers")?;
            let is_list =
                answer.status == 200 && (answer.content_type == INDEX || Manifest::is_list(&answer.body));
            if !is_list && listed > 0 {
                return Err(OciError::Pages("breaks off"));
            }
            // Registries say in several ways that they have no such API.
            if !is_list && matches!(answer.status, 200 | 400 | 404 | 406) {
                let tag = self.tagged(&image.referrers_tag())?;
                let all = tag.map_or(Ok(Vec::new()), Manifest::manifests)?;
                keep(all, &mut found, &mut listed)?;
                return Ok(found);
            }
            if !is_list {
                return Err(self.status(&answer));
            }
            let page = Manifest::read(&answer.body)?.manifests()?;
            let is_empty = page.is_empty();
            keep(page, &mut found, &mut listed)?;
            match next_page(&answer.links)? {
                None => return Ok(found),
                Some(_) if is_empty => return Err(OciError::Pages("has an empty page before its end")),
                Some(next) => path = self.page(&next)?,
            }
        }
        Err(OciError::Pages("does not end"))
    }

    /// The path of a page that a link leads to, if it is of this repository: a credential goes with it.
    fn page(&self, link: &str) -> Result<String, OciError> {
        let path = link.strip_prefix(&self.repository.origin()).unwrap_or(link);
        let own = format!("/v2/{}/", self.repository.path());
        let rest =
            path.strip_prefix(&own).filter(|rest| rest.starts_with("referrers/") && !rest.contains(".."));
        rest.map(str::to_owned).ok_or(OciError::Pages("goes on elsewhere"))
    }

    /// What a descriptor names, compared with it.
    fn content(
        &mut self,
        kind: &str,
        accept: &str,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>, OciError> {
        let digest = descriptor.digest()?;
        let what = digest.to_string();
        if descriptor.size > limit {
            return Err(too_large(&what, limit));
        }
        let answer = self.get(&format!("{kind}/{digest}"), accept, limit, &what)?;
        match answer.status {
            200 => {}
            404 => return Err(OciError::Missing { digest: what }),
            _ => return Err(self.status(&answer)),
        }
        let length = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        let came = Digest::of(&answer.body);
        match (length == descriptor.size, came == digest) {
            (true, true) => Ok(answer.body),
            (_, false) => Err(OciError::OtherContent {
                digest: what,
                what: format!("{length} bytes with the digest {came}"),
            }),
            (false, true) => {
                let size = descriptor.size;
                Err(OciError::OtherContent {
                    digest: what,
                    what: format!("{length} bytes where {size} are announced"),
                })
            }
        }
    }

    /// Asks, and asks again where that may help.
    fn get(&mut self, path: &str, accept: &str, limit: u64, what: &str) -> Result<Answer, OciError> {
        let url = format!("{}/v2/{}/{path}", self.repository.origin(), self.repository.path());
        let url: Uri = url.parse().map_err(|_| OciError::Pages("goes on at what is no address"))?;
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.ask(&url, accept, limit, what) {
                Err(error) if error.is_passing() => error,
                other => return other,
            };
            let wanted = match &error {
                OciError::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
                _ => 0,
            };
            match pauses.next() {
                Some(pause) if wanted <= LONGEST_PAUSE => {
                    thread::sleep(Duration::from_secs(wanted).max(*pause))
                }
                _ => return Err(error),
            }
        }
    }

    /// Asks once, logging in if that is wanted.
    fn ask(&mut self, url: &Uri, accept: &str, limit: u64, what: &str) -> Result<Answer, OciError> {
        let mut response = self.send(url, accept)?;
        if response.status() == 401 {
            self.log_in(&response)?;
            response = self.send(url, accept)?;
        }
        let (mut response, host) = self.redirected(response, url, accept)?;
        let status = response.status().as_u16();
        if status == 200 {
            let content_type = text(&response, header::CONTENT_TYPE);
            let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let links = response.headers().get_all(header::LINK).iter().cloned().collect();
            let body = self.connection.body(&mut response, limit, &host)?;
            let body = body.ok_or_else(|| too_large(what, limit))?;
            return Ok(Answer { status, content_type, links, body });
        }
        let body = self.connection.body(&mut response, LARGEST_ERROR, &host)?.unwrap_or_default();
        let is_elsewhere = host != host_of(url);
        let (origin, said) = (self.session.origin.clone(), self.said(&body));
        match status {
            400 | 404 | 406 => Ok(Answer { status, content_type: String::new(), links: Vec::new(), body }),
            // Whom it sends on to was shown nothing.
            401 | 403 if is_elsewhere => Err(OciError::Status { host, status, said }),
            401 => Err(OciError::Unauthorized { host: self.repository.registry().to_owned(), origin, said }),
            403 => Err(OciError::Forbidden { host: self.repository.registry().to_owned(), origin, said }),
            408 | 429 | 500 | 502..=504 => {
                let reason = if said.is_empty() { String::new() } else { format!(": {said}") };
                let reason = format!("HTTP status {status}{reason}");
                Err(OciError::Busy { host, reason, retry_after: retry_after(&response) })
            }
            _ => Err(OciError::Status { host, status, said }),
        }
    }

    fn send(&self, to: &Uri, accept: &str) -> Result<Response<Body>, OciError> {
        let mut request = self.connection.get(to)?.header(header::ACCEPT, accept);
        if let Some(authorization) = &self.session.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request.call().map_err(|error| self.connection.unanswered(error, to, self.repository.registry()))
    }

    /// Follows redirects, as of blobs to a storage, without showing anybody a credential. Gives the host that answers, too.
    fn redirected(
        &self,
        mut response: Response<Body>,
        url: &Uri,
        accept: &str,
    ) -> Result<(Response<Body>, String), OciError> {
        let mut at = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let host = host_of(&at);
            if !matches!(response.status().as_u16(), 301..=303 | 307 | 308) {
                return Ok((response, host));
            }
            let refused = |to: String, reason| OciError::Redirect { host: host.clone(), to, reason };
            let location = text(&response, header::LOCATION);
            let absolute = match location.starts_with('/') && !location.starts_with("//") {
                true => format!("{}://{host}{location}", at.scheme_str().unwrap_or("https")),
                false => location,
            };
            let Ok(to) = absolute.parse::<Uri>() else {
                return Err(refused("nowhere".to_owned(), "which is no address"));
            };
            let next = host_of(&to);
            let name = to.host().unwrap_or_default().trim_matches(['[', ']']);
            match to.scheme_str() {
                _ if next.is_empty() || next.contains('@') => {
                    return Err(refused("nowhere".to_owned(), "which is no address"));
                }
                Some("https") => {}
                Some("http") if !self.repository.is_tls() && is_loopback(name) => {}
                _ => return Err(refused(next, "where nothing is encrypted")),
            }
            let request = self.connection.get(&to)?.header(header::ACCEPT, accept);
            response = request.call().map_err(|error| self.connection.unanswered(error, &to, &next))?;
            at = to;
        }
        let host = self.repository.registry().to_owned();
        Err(OciError::Redirect { host, to: host_of(&at), reason: "again and again" })
    }

    /// Does what the registry wants before it answers.
    fn log_in(&mut self, response: &Response<Body>) -> Result<(), OciError> {
        let host = || self.repository.registry().to_owned();
        let values = response.headers().get_all(header::WWW_AUTHENTICATE);
        let challenge = Challenge::best_of(values.iter().filter_map(|value| value.to_str().ok()));
        let challenge = challenge.ok_or_else(|| OciError::Challenge { host: host() })?;
        let (credential, origin) = self.keychain.find(&self.repository, self.connection.patience())?;
        self.session.secrets = credential.iter().flat_map(secrets_of).collect();
        let (scheme, secret) = match (&challenge, &credential) {
            (_, Some(Credential::Registry(token))) => ("Bearer", token.clone()),
            (Challenge::Bearer { realm, service, scope }, credential) => {
                let service = TokenService {
                    connection: &self.connection,
                    repository: &self.repository,
                    realm,
                    service: service.as_deref(),
                    scope: scope.as_deref(),
                };
                ("Bearer", service.token(credential.as_ref(), &origin, &self.session.secrets)?)
            }
            (Challenge::Basic, Some(Credential::Password { user, password })) => {
                ("Basic", basic(user, password))
            }
            (Challenge::Basic, _) => {
                return Err(OciError::Unauthorized { host: host(), origin, said: String::new() });
            }
        };
        let value = HeaderValue::from_str(&format!("{scheme} {}", secret.text()));
        let mut value = value.map_err(|_| OciError::NoToken {
            host: host(),
            realm: host(),
            what: "what should be one is not a word of ASCII".to_owned(),
        })?;
        value.set_sensitive(true);
        self.session.secrets.push(secret);
        self.session.authorization = Some(value);
        self.session.origin = origin;
        Ok(())
    }

    /// What a registry says of an error, in its own words.
    fn said(&self, body: &[u8]) -> String {
        let Errors { errors } = serde_json::from_slice(body).unwrap_or_default();
        let words = |said: Said| match said.message.is_empty() {
            true => said.code,
            false => said.message,
        };
        quote(&errors.into_iter().map(words).collect::<Vec<_>>().join("; "), &self.session.secrets)
    }

    fn status(&self, answer: &Answer) -> OciError {
        let said = self.said(&answer.body);
        OciError::Status { host: self.repository.registry().to_owned(), status: answer.status, said }
    }

    /// Whether a 404 is a registry's, about what was asked for: a web server of another kind has it for everything.
    fn is_missing(&self, answer: &Answer) -> Result<(), OciError> {
        let host = self.repository.registry().to_owned();
        let Errors { errors } = serde_json::from_slice(&answer.body).unwrap_or_default();
        if errors.is_empty() {
            let what = "HTTP status 404, without the words that a registry has for it".to_owned();
            return Err(OciError::NotARegistry { host, what });
        }
        match errors.iter().any(|said| said.code == "NAME_UNKNOWN") {
            true => Err(OciError::NoRepository { host, repository: self.repository.path().to_owned() }),
            false => Ok(()),
        }
    }
}

/// Keeps those of a page that may be attestations, and counts all.
fn keep(page: Vec<Descriptor>, kept: &mut Vec<Descriptor>, listed: &mut usize) -> Result<(), OciError> {
    *listed += page.len();
    if *listed > MOST_REFERRERS {
        return Err(OciError::TooMany { what: "referrers", limit: MOST_REFERRERS });
    }
    kept.extend(page.into_iter().filter(Descriptor::may_be_attestations));
    match kept.len() > MOST_ATTESTATIONS {
        true => {
            Err(OciError::TooMany { what: "referrers that may be attestations", limit: MOST_ATTESTATIONS })
        }
        false => Ok(()),
    }
}

fn too_large(what: &str, limit: u64) -> OciError {
    OciError::TooLarge { what: what.to_owned(), mib: limit >> 20 }
}

fn text(response: &Response<Body>, name: header::HeaderName) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn secrets_of(credential: &Credential) -> Vec<Secret> {
    match credential {
        Credential::Password { user, password } => vec![basic(user, password), password.clone()],
        Credential::Identity(token) | Credential::Registry(token) => vec![token.clone()],
    }
}
