//! The API over REST, for ingresses and routes that let no gRPC through. Records are handed on while the page still comes.

use std::{
    fmt,
    io::{self, BufReader, Read},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use ureq::{
    Agent, Body, Proxy,
    http::{Response, header},
};

use super::{
    address::ResultsAddress,
    archive::{Archive, Each, Ended, ORDER, Page, Record},
    caller::{Caller, Credential},
    connection::{not_connected, not_trusted},
    error::ResultsError,
};
use crate::{
    http::proxies,
    sources::authorities::{BODY_TAKES, ServerAuthorities},
};

/// Bytes of an answer that is read: the server stops at 100 MiB of records, and base64 lengthens them by a third.
const LARGEST_ANSWER: u64 = 256 << 20;
/// Bytes of an error that are read.
const LARGEST_ERROR: u64 = 64 << 10;

/// A client.
pub(super) struct Rest {
    agent: Agent,
    base: String,
    caller: Caller,
    patience: Duration,
    proxy: Option<Proxy>,
}

impl Rest {
    pub(super) fn new(
        address: &ResultsAddress,
        authorities: &ServerAuthorities,
        caller: Caller,
        patience: Duration,
        proxy: Option<Proxy>,
    ) -> Self {
        let agent = authorities.agent(proxy.clone(), patience);
        Self { agent, base: address.base(), caller, patience, proxy }
    }

    /// The answer to a request for something below a parent, if it is a success.
    fn get(
        &self,
        parent: &str,
        path: &str,
        query: &[(&str, &str)],
        credential: &Credential,
    ) -> Result<Response<Body>, ResultsError> {
        let mut request = self.agent.get(format!("{}/{parent}/{path}", self.base));
        for (name, value) in &credential.headers {
            request = request.header(name, value);
        }
        let request = request.query_pairs(query.iter().copied());
        let mut response = request.call().map_err(|error| self.failed(error))?;
        match response.status().as_u16() {
            200 => Ok(response),
            300..=399 => {
                let to = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
                Err(ResultsError::Elsewhere { to: credential.quote(to.unwrap_or("nowhere")) })
            }
            status => Err(refused(status, &mut response, credential, parent)),
        }
    }

    fn failed(&self, error: ureq::Error) -> ResultsError {
        if let Some(reason) = self.proxy.as_ref().and_then(|proxy| proxies::words(proxy, &error)) {
            return ResultsError::Connect { reason };
        }
        match error {
            ureq::Error::Timeout(_) => ResultsError::Timeout { seconds: self.patience.as_secs() },
            ureq::Error::Rustls(error) => not_trusted(&error),
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    ResultsError::Lost { reason: crate::io_error::words(&error) }
                }
                _ => not_connected(&error),
            },
            ureq::Error::HostNotFound => ResultsError::Connect { reason: "no such host".to_owned() },
            other => ResultsError::Connect { reason: other.to_string() },
        }
    }

    /// What is wrong with a body that is not what it should be.
    fn unread(&self, error: &serde_json::Error) -> ResultsError {
        match error.io_error_kind() {
            Some(io::ErrorKind::TimedOut) => {
                ResultsError::Timeout { seconds: (self.patience * BODY_TAKES).as_secs() }
            }
            Some(kind) => ResultsError::Lost { reason: kind.to_string() },
            None if error.is_eof() => ResultsError::Lost { reason: "the answer is not whole".to_owned() },
            None => ResultsError::NotTheApi { what: "its answer is not a list of records".to_owned() },
        }
    }
}

impl Archive for Rest {
    fn total(&mut self, parent: &str, filter: &str) -> Result<Option<u64>, ResultsError> {
        let query = [("summary", "total"), ("filter", filter)];
        let credential = self.caller.credential()?;
        let mut response = self.get(parent, "records/summary", &query, &credential)?;
        let summary: Summary = serde_json::from_reader(limited(&mut response, LARGEST_ERROR))
            .map_err(|error| self.unread(&error))?;
        Ok(summary.summary.first().and_then(|totals| totals.total))
    }

    fn page(&mut self, page: Page<'_>, each: &mut Each<'_>) -> Result<Option<String>, Ended> {
        let size = page.size.to_string();
        let mut query = vec![("page_size", size.as_str()), ("order_by", ORDER), ("filter", page.filter)];
        if !page.token.is_empty() {
            query.push(("page_token", page.token));
        }
        let credential = self.caller.credential()?;
        let mut response = self.get(page.parent, "records", &query, &credential)?;
        let mut is_stopped = false;
        let mut json = serde_json::Deserializer::from_reader(limited(&mut response, LARGEST_ANSWER));
        let list = List { each, is_stopped: &mut is_stopped };
        let next = list.deserialize(&mut json).and_then(|next| json.end().map(|()| next));
        match next {
            _ if is_stopped => Err(Ended::Stopped),
            Ok(next) => Ok(next.filter(|token| !token.is_empty())),
            Err(error) => Err(self.unread(&error).into()),
        }
    }
}

fn limited(response: &mut Response<Body>, bytes: u64) -> impl Read {
    BufReader::with_capacity(128 << 10, response.body_mut().with_config().limit(bytes).reader())
}

/// What an answer says that is not a success.
fn refused(
    status: u16,
    response: &mut Response<Body>,
    credential: &Credential,
    parent: &str,
) -> ResultsError {
    #[derive(Deserialize)]
    struct Refusal {
        code: i32,
        message: String,
    }
    let mut body = Vec::new();
    // The status is told in any case.
    let _ = limited(response, LARGEST_ERROR).read_to_end(&mut body);
    match (serde_json::from_slice::<Refusal>(&body), status) {
        (Ok(Refusal { code, message }), _) => {
            ResultsError::answered(code, credential.quote(&message), parent)
        }
        (Err(_), 429 | 502 | 503 | 504) => ResultsError::Busy { reason: format!("HTTP status {status}") },
        (Err(_), _) => ResultsError::NotTheApi { what: format!("HTTP status {status}") },
    }
}

#[derive(Deserialize)]
struct Summary {
    #[serde(default)]
    summary: Vec<Totals>,
}

#[derive(Deserialize)]
struct Totals {
    total: Option<u64>,
}

/// A record as it is in a list.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    value: Base64,
}

#[derive(Default)]
struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Base64).map_err(D::Error::custom)
    }
}

/// A list of records that hands them on as they come; gives what the next page begins with.
struct List<'a, 'e> {
    each: &'a mut Each<'e>,
    is_stopped: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
        let mut next = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "records" => {
                    map.next_value_seed(Records(List { each: self.each, is_stopped: self.is_stopped }))?;
                }
                "next_page_token" | "nextPageToken" => next = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(next)
    }
}

struct Records<'a, 'e>(List<'a, 'e>);

impl<'de> DeserializeSeed<'de> for Records<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let List { each, is_stopped } = self.0;
        while let Some(Listed { name, uid, data }) = items.next_element()? {
            if each(Record { name, uid, kind: data.kind, value: data.value.0.into() }).is_err() {
                *is_stopped = true;
                return Err(A::Error::custom("nobody takes any more"));
            }
        }
        Ok(())
    }
}
