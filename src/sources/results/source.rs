//! From the archive into the walk. One thread asks for pages and another hands records on, so that the server works on the next page
//! while this one is verified.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread,
    time::Duration,
};

use ureq::Proxy;

use super::{
    address::{Protocol, ResultsAddress},
    archive::{Archive, Ended, Record},
    caller::Caller,
    children::Children,
    error::ResultsError,
    grpc::Grpc,
    pages::{PAUSES, Reading},
    question::Question,
    rest::Rest,
};
use crate::sources::{
    authorities::ServerAuthorities,
    budget::{BATCH, Budget, CloseOnDrop},
    error::{LARGEST_OBJECT, Rest as Remainder},
    failure::ReadFailure,
    sink::{FoundDocument, Sink, Stopped},
};

/// Bytes of records that wait to be taken: a whole page is as much if each takes 16 KiB. With less, the next page would not be asked for before
/// most of this one is verified.
const WAITING: usize = 16 << 20;

/// An archive, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Results {
    /// Where.
    pub address: ResultsAddress,
    /// Who vouches for it.
    pub authorities: ServerAuthorities,
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub question: Question,
    /// How long to wait for an answer, in whole seconds.
    pub patience: Duration,
    /// The proxy that leads there, if one does.
    pub proxy: Option<Proxy>,
}

/// What the reading thread hands over.
enum Batch {
    /// With what they take of the budget.
    Records(Vec<Record>, usize),
    Failed(ResultsError),
}

/// Where the reading thread hands it over.
struct Handover<'a> {
    send: Sender<Batch>,
    budget: &'a Budget,
}

impl Handover<'_> {
    /// Waits until there is room for them.
    fn records(&self, records: Vec<Record>) -> Result<(), Stopped> {
        let bytes = records.iter().map(size).sum();
        let taken = self.budget.take(bytes)?;
        self.send.send(Batch::Records(records, taken)).map_err(|_| Stopped)
    }
}

fn size(record: &Record) -> usize {
    record.value.len() + record.name.len()
}

impl Results {
    /// The same question, about PipelineRuns alone.
    pub(crate) fn of_pipeline_runs(self) -> Self {
        Self { question: Question { pipeline_runs_alone: true, ..self.question }, ..self }
    }

    /// Hands every record on, each named by its place in the archive.
    pub(crate) fn read(&self, sink: &mut dyn Sink) -> Result<(), Stopped> {
        let (send, batches) = channel();
        let budget = Budget::of(WAITING);
        thread::scope(|scope| {
            // However this ends, the reading thread must not wait for what nobody will give back.
            let _close = CloseOnDrop(&budget);
            let over = Handover { send, budget: &budget };
            scope.spawn(move || {
                if let Err(Ended::Failed(error)) = self.ask(&over) {
                    // Nobody may be there any more.
                    let _ = over.send.send(Batch::Failed(error));
                }
            });
            self.hand_on(&batches, &budget, sink)
        })
    }

    fn hand_on(
        &self,
        batches: &Receiver<Batch>,
        budget: &Budget,
        sink: &mut dyn Sink,
    ) -> Result<(), Stopped> {
        loop {
            let batch = match batches.try_recv() {
                Ok(batch) => batch,
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {
                    sink.waiting()?;
                    let Ok(batch) = batches.recv() else { return Ok(()) };
                    batch
                }
            };
            match batch {
                Batch::Records(records, taken) => {
                    budget.give_back(taken);
                    records.into_iter().try_for_each(|record| hand_on(record, &self.address, sink))?;
                }
                Batch::Failed(error) => {
                    sink.begin(Arc::from(self.address.to_string()));
                    sink.take(FoundDocument::Failed(ReadFailure::Results(Box::new(error))))?;
                }
            }
        }
    }

    /// Reads all that is asked for, filter by filter, and then what belongs to the PipelineRuns among it.
    fn ask(&self, over: &Handover<'_>) -> Result<(), Ended> {
        let mut archive = self.archive()?;
        let mut children = Children::new(&self.question);
        let mut filters = self.question.filters();
        while !filters.is_empty() {
            for filter in &filters {
                self.ask_by(filter, &mut *archive, &mut children, over)?;
            }
            filters = children.filters();
        }
        Ok(())
    }

    fn ask_by(
        &self,
        filter: &str,
        archive: &mut dyn Archive,
        children: &mut Children<'_>,
        over: &Handover<'_>,
    ) -> Result<(), Ended> {
        let parent = self.question.parent.results();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut each = |record: Record| {
            if !children.note(&record) {
                return Ok(());
            }
            bytes += size(&record);
            batch.push(record);
            if bytes < BATCH {
                return Ok(());
            }
            bytes = 0;
            over.records(std::mem::take(&mut batch))
        };
        let read = Reading { archive, parent: &parent, filter, pauses: &PAUSES }.read(&mut each);
        // Those that came before it failed are judged.
        over.records(batch)?;
        read.map(drop)
    }

    fn archive(&self) -> Result<Box<dyn Archive>, ResultsError> {
        let Self { address, authorities, caller, patience, proxy, .. } = self;
        Ok(match address.protocol {
            Protocol::Grpc => {
                Box::new(Grpc::new(address.clone(), authorities, caller.clone(), *patience, proxy.clone())?)
            }
            Protocol::Rest => {
                Box::new(Rest::new(address, authorities, caller.clone(), *patience, proxy.clone()))
            }
        })
    }
}

/// Whether it is a name of a record (`Name` of `pkg/api/server/v1alpha2/record`), and not something that the server repeats.
fn is_record_name(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let parts: Vec<&str> = name.split('/').collect();
    matches!(parts.as_slice(), [namespace, "results", result, "records", record] if [namespace, result, record].into_iter().all(|part| is_word(part)))
}

fn hand_on(record: Record, address: &ResultsAddress, sink: &mut dyn Sink) -> Result<(), Stopped> {
    if !is_record_name(&record.name) {
        sink.begin(Arc::from(address.to_string()));
        let what = "a record in it is not named as records are".to_owned();
        return sink
            .take(FoundDocument::Failed(ReadFailure::Results(Box::new(ResultsError::NotTheApi { what }))));
    }
    sink.begin(Arc::from(record.name));
    sink.count(record.value.len());
    let failed = match record.value.len() {
        0 => ReadFailure::Empty,
        length if length > LARGEST_OBJECT => ReadFailure::TooLarge(Remainder::Read),
        _ => return sink.take(FoundDocument::Json { bytes: &record.value, line: 1, inherited: None }),
    };
    sink.take(FoundDocument::Failed(failed))
}
