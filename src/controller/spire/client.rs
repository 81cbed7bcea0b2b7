//! Calls of the Entry API (`spire.api.server.entry.v1.Entry`). Each call is about many entries, and has a status for each of them.

use std::{
    cell::RefCell,
    future::Future,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    select,
    time::timeout,
};
use tonic::{Code, Response, Status, transport::Channel};
use unixtime::UnixSeconds;

use super::{
    dial::Dial,
    error::{DialError, SpireError},
    generated::{
        BatchCreateEntryRequest, BatchDeleteEntryRequest, BatchUpdateEntryRequest, EntryResult, Filter,
        IdResult, ListEntriesRequest, RegistrationEntry, entry_client::EntryClient,
    },
};
use crate::{
    controller::{identity::OwnIdentity, leading::Leadership, news::Obstacle, registration::entry::EntryId},
    workload::id::TrustDomain,
};

/// Entries of one call that changes some. A server with thousands of entries of one node takes two seconds for a hundred more.
pub const AT_ONCE: usize = 100;
/// Entries of a page of a list.
const PAGE: usize = 500;
/// Bytes of an answer that are read: far more than a page has.
const LARGEST_ANSWER: usize = 16 << 20;

/// What became of one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryOutcome {
    /// Whether it was done.
    pub code: Code,
    /// The server's words.
    pub message: String,
    /// The entry as the server has it now, if it says so. Of one that there was already, that one.
    pub entry: Option<RegistrationEntry>,
}

impl EntryOutcome {
    fn of(status: Option<super::generated::Status>, entry: Option<RegistrationEntry>) -> Self {
        let status = status.unwrap_or_default();
        Self { code: Code::from(status.code), message: status.message, entry }
    }
}

/// The calls.
pub trait Entries {
    /// Hands on all entries with a hint, one by one: there may be many.
    fn list(&self, hint: &str, each: &mut dyn FnMut(RegistrationEntry)) -> Result<(), SpireError>;
    /// Creates entries; an outcome for each, in their order.
    fn create(&self, entries: &[RegistrationEntry]) -> Result<Vec<EntryOutcome>, SpireError>;
    /// Makes entries what they are here; an outcome for each, in their order.
    fn update(&self, entries: &[RegistrationEntry]) -> Result<Vec<EntryOutcome>, SpireError>;
    /// Deletes entries; an outcome for each, in their order.
    fn delete(&self, ids: &[String]) -> Result<Vec<EntryOutcome>, SpireError>;
    /// Those of the last list that give nobody an identity, as far as that is known, and why.
    fn unserved(&self) -> Vec<(EntryId, Obstacle)> {
        Vec::new()
    }
}

/// A client of the SPIRE server that connects when it must, and calls only while this controller may act.
pub struct EntryApi {
    client: RefCell<EntryClient<Channel>>,
    leadership: Leadership,
    dial: Dial,
    runtime: Runtime,
    patience: Duration,
}

impl std::fmt::Debug for EntryApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntryApi").field("address", &self.dial.address).finish_non_exhaustive()
    }
}

impl EntryApi {
    /// Of the server at `address` (`host:port`), which must be this trust domain's; no answer may take longer than `patience`. Nothing is
    /// sent yet.
    pub fn new(
        address: String,
        trust_domain: TrustDomain,
        identity: OwnIdentity,
        now: fn() -> UnixSeconds,
        patience: Duration,
        leadership: Leadership,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let dial = Dial { address, trust_domain, identity, now, failed: Arc::new(Mutex::new(None)) };
        let client = RefCell::new(client(&dial, &runtime));
        Ok(Self { client, leadership, dial, runtime, patience })
    }

    /// Calls; once more if the connection turns out to be lost, as the server ends each after some minutes.
    fn call<A, F>(&self, call: impl Fn(EntryClient<Channel>) -> F) -> Result<A, SpireError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        match self.call_once(&call) {
            Err(SpireError::Lost { .. }) => self.call_once(&call),
            answer => answer,
        }
    }

    fn call_once<A, F>(&self, call: impl Fn(EntryClient<Channel>) -> F) -> Result<A, SpireError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.dial.take_failed();
        let asking = call(self.client.borrow().clone());
        // A timer can be made within the runtime only.
        let answered = self.runtime.block_on(async {
            select! {
                // Asked first: nothing is sent if it may not act.
                biased;
                () = self.leadership.over() => None,
                answer = timeout(self.patience, asking) => Some(answer),
            }
        });
        let error = match answered {
            None => return Err(SpireError::Stopped),
            Some(Ok(Ok(answer))) => return Ok(answer.into_inner()),
            Some(Ok(Err(status))) => SpireError::of(&status),
            Some(Err(_)) => {
                // The other end may be gone without a word: the next call is not to wait for this connection.
                self.client.replace(client(&self.dial, &self.runtime));
                SpireError::TimedOut { seconds: self.patience.as_secs() }
            }
        };
        let dial: Option<DialError> = self.dial.take_failed();
        Err(dial.map_or(error, SpireError::Dial))
    }
}

/// A client with a connection of its own.
fn client(dial: &Dial, runtime: &Runtime) -> EntryClient<Channel> {
    // The channel's own task belongs to the runtime.
    let _guard = runtime.enter();
    EntryClient::new(dial.channel()).max_decoding_message_size(LARGEST_ANSWER)
}

impl Entries for EntryApi {
    fn list(&self, hint: &str, each: &mut dyn FnMut(RegistrationEntry)) -> Result<(), SpireError> {
        let mut page_token = String::new();
        loop {
            let request = ListEntriesRequest {
                filter: Some(Filter { by_hint: Some(hint.to_owned()) }),
                page_size: size(PAGE),
                page_token: page_token.clone(),
            };
            let page = self.call(|mut client| {
                let request = request.clone();
                async move { client.list_entries(request).await }
            })?;
            page.entries.into_iter().for_each(&mut *each);
            match page.next_page_token {
                next if next.is_empty() || next == page_token => return Ok(()),
                next => page_token = next,
            }
        }
    }

    fn create(&self, entries: &[RegistrationEntry]) -> Result<Vec<EntryOutcome>, SpireError> {
        let request = BatchCreateEntryRequest { entries: entries.to_vec() };
        let answer = self.call(|mut client| {
            let request = request.clone();
            async move { client.batch_create_entry(request).await }
        })?;
        outcomes(answer.results, entries.len(), |EntryResult { status, entry }| {
            EntryOutcome::of(status, entry)
        })
    }

    fn update(&self, entries: &[RegistrationEntry]) -> Result<Vec<EntryOutcome>, SpireError> {
        let request = BatchUpdateEntryRequest { entries: entries.to_vec() };
        let answer = self.call(|mut client| {
            let request = request.clone();
            async move { client.batch_update_entry(request).await }
        })?;
        outcomes(answer.results, entries.len(), |EntryResult { status, entry }| {
            EntryOutcome::of(status, entry)
        })
    }

    fn delete(&self, ids: &[String]) -> Result<Vec<EntryOutcome>, SpireError> {
        let request = BatchDeleteEntryRequest { ids: ids.to_vec() };
        let answer = self.call(|mut client| {
            let request = request.clone();
            async move { client.batch_delete_entry(request).await }
        })?;
        outcomes(answer.results, ids.len(), |IdResult { status, .. }| EntryOutcome::of(status, None))
    }
}

fn size(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn outcomes<R>(
    results: Vec<R>,
    expected: usize,
    outcome: impl Fn(R) -> EntryOutcome,
) -> Result<Vec<EntryOutcome>, SpireError> {
    match results.len() {
        found if found == expected => Ok(results.into_iter().map(outcome).collect()),
        found => Err(SpireError::Odd { found, expected }),
    }
}
