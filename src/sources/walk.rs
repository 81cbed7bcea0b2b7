//! Judging every run of a source on all cores, with the answers in the order of the input.
//!
//! One thread reads and splits, several read and judge runs, and the caller's takes the answers. What is under way is
//! bounded in number and in bytes, so memory does not grow with the input.

use std::{
    fmt,
    num::NonZeroUsize,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread,
};

use crate::{
    sources::{
        budget::{BATCH, Budget, CloseOnDrop, UNDER_WAY},
        error::SourceError,
        failure::{LeftOut, ReadFailure},
        files::Document,
        judge::{EveryRun, Judge},
        sink::{FoundDocument, Sink, Stopped},
        source::Source,
    },
    tekton::{
        chains::Stated,
        run::Run,
        strict::node::Node,
        taskrun::{Inherited, TaskRun},
        unsuitable::Unsuitable,
    },
};

/// Bytes that the answer to a document takes at least.
const ANSWER: usize = 1 << 10;
/// More workers than any machine has use for, and no more threads than it can start.
const MOST_WORKERS: usize = 512;
/// Batches under way for each worker.
const BATCHES_PER_WORKER: usize = 3;

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file, as it was found, or "standard input".
    pub path: &'a str,
    /// Number of the object in it, from 1: in a List, JSON lines, or YAML of several documents.
    pub index: u64,
    /// The line that the object starts in, from 1, if it is known.
    pub line: Option<u64>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { path, index, line } = self;
        match line {
            _ if *index == 1 => f.write_str(path),
            Some(line) if *line > 1 => write!(f, "{path} (object {index}, line {line})"),
            _ => write!(f, "{path} (object {index})"),
        }
    }
}

/// What the walk tells.
#[derive(Debug)]
pub enum Event<'a, R> {
    /// An object, in the order of the input.
    Object {
        /// Where it is.
        place: Place<'a>,
        /// The judgement, or why there was nothing to judge.
        outcome: Result<R, SourceError>,
    },
    /// Nothing more is ready; what was written may be flushed.
    Waiting,
    /// The source waits for something, and somebody should know for what.
    WaitingFor(String),
    /// Nothing of what follows belongs to a PipelineRun that came so far.
    Settled,
}

/// What a walk did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walked {
    /// Runs that were judged.
    pub objects: u64,
    /// Files, and standard input, that were read to their end.
    pub files_read: u64,
    /// Files of which nothing, or not all, was read.
    pub files_not_read: u64,
}

/// How far a walk has come.
#[derive(Debug, Default)]
pub struct WalkProgress {
    bytes: AtomicU64,
}

impl WalkProgress {
    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Judges every run of `source` with `jobs` workers, at most 512. `judge` makes the judge of one worker. A judge that panics has judged
/// nothing: the object is [`SourceError::Panicked`].
pub fn walk<R: Send, J: FnMut(Run) -> R>(
    source: Source<'_>,
    jobs: NonZeroUsize,
    progress: &WalkProgress,
    judge: impl Fn() -> J + Sync,
    each: &mut dyn FnMut(Event<'_, R>),
) -> Walked {
    walk_by(source, jobs, progress, || EveryRun(judge()), each)
}

/// The same by judges that may pass documents over.
pub fn walk_by<R: Send, J: Judge<R>>(
    source: Source<'_>,
    jobs: NonZeroUsize,
    progress: &WalkProgress,
    judge: impl Fn() -> J + Sync,
    each: &mut dyn FnMut(Event<'_, R>),
) -> Walked {
    let budget = Budget::of(UNDER_WAY);
    let stated = source.stated();
    let workers = jobs.get().min(MOST_WORKERS);
    let under_way = workers * BATCHES_PER_WORKER;
    let (work, to_do) = sync_channel::<Work<R>>(under_way);
    let (promise, promised) = sync_channel::<Next<R>>(under_way);
    let to_do = Mutex::new(to_do);
    thread::scope(|scope| {
        // However this ends, the reader must not wait for what nobody will give back.
        let _close = CloseOnDrop(&budget);
        let budget = &budget;
        for _ in 0..workers {
            scope.spawn(|| {
                let mut current = judge();
                loop {
                    let next = to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((batch, answer)) = next else { return };
                    let (answers, bytes) = batch.judged(&stated, &judge, &mut current);
                    budget.keep(bytes);
                    let _ = answer.send(answers);
                }
            });
        }
        let reading = scope.spawn(move || {
            let mut batches = Batches::new(work, promise, budget, progress);
            let read = source.read(&mut batches);
            let _ = read.and_then(|()| batches.send());
            batches.files.end();
            (batches.files.read, batches.files.not_read)
        });
        let objects = collect(&promised, budget, each);
        let (files_read, files_not_read) =
            reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Walked { objects, files_read, files_not_read }
    })
}

/// Hands every TaskRun of `source` to `each`, in the order of the input, with its place. A PipelineRun is refused, and not counted.
pub fn for_each(source: Source<'_>, each: &mut dyn FnMut(Place<'_>, Result<TaskRun, SourceError>)) -> Walked {
    task_runs(source, &mut |event| {
        if let Event::Object { place, outcome } = event {
            each(place, outcome);
        }
    })
}

/// The same, with all else that is told on the way.
pub fn task_runs(source: Source<'_>, each: &mut dyn FnMut(Event<'_, TaskRun>)) -> Walked {
    let unjudged = || |run| run;
    let mut refused = 0;
    let walked = walk(source, NonZeroUsize::MIN, &WalkProgress::default(), unjudged, &mut |event| {
        each(match event {
            // What it holds of TaskRuns has come already.
            Event::Object { outcome: Ok(Run::PipelineRun(object)), .. }
                if object.has_attested_task_runs() =>
            {
                refused += 1;
                return;
            }
            Event::Object { place, outcome } => {
                let outcome = outcome.and_then(|run| match run {
                    Run::TaskRun(object) => Ok(object),
                    Run::PipelineRun(object) => {
                        let (namespace, name) = (object.metadata.namespace, object.metadata.name);
                        let what = Unsuitable::PipelineRun(Some(namespace), Some(name));
                        refused += 1;
                        Err(SourceError::Unsuitable { path: place.to_string(), what })
                    }
                });
                Event::Object { place, outcome }
            }
            Event::Waiting => Event::Waiting,
            Event::WaitingFor(reason) => Event::WaitingFor(reason),
            Event::Settled => Event::Settled,
        });
    });
    Walked { objects: walked.objects - refused, ..walked }
}

/// Hands on what the workers answer, in the order in which it was asked; gives the number of runs.
fn collect<R>(promised: &Receiver<Next<R>>, budget: &Budget, each: &mut dyn FnMut(Event<'_, R>)) -> u64 {
    let mut numbering = Numbering::default();
    let mut objects = 0;
    loop {
        let next = match promised.try_recv() {
            Ok(next) => next,
            Err(TryRecvError::Disconnected) => return objects,
            Err(TryRecvError::Empty) => {
                each(Event::Waiting);
                let Ok(next) = promised.recv() else { return objects };
                next
            }
        };
        let promise = match next {
            Next::Promise(promise) => promise,
            Next::WaitingFor(reason) => {
                each(Event::WaitingFor(reason));
                continue;
            }
            Next::Settled => {
                each(Event::Settled);
                continue;
            }
        };
        let answers = match promise.answers.try_recv() {
            Ok(answers) => Ok(answers),
            Err(TryRecvError::Disconnected) => Err(()),
            Err(TryRecvError::Empty) => {
                each(Event::Waiting);
                promise.answers.recv().map_err(|_| ())
            }
        };
        // A worker that is gone has judged nothing.
        let lost =
            || vec![Answer { path: promise.path.clone(), line: None, outcome: Err(ReadFailure::Panicked) }];
        for Answer { path, line, outcome } in answers.unwrap_or_else(|()| lost()) {
            let place = numbering.place(&path, line);
            objects += u64::from(outcome.is_ok());
            let outcome = outcome.map_err(|failure| failure.at(place.to_string()));
            each(Event::Object { place, outcome });
        }
        budget.give_back(promise.weight);
    }
}

/// Counts the objects of each file.
#[derive(Default)]
struct Numbering {
    path: Option<Arc<str>>,
    count: u64,
}

impl Numbering {
    /// Where the next object is.
    fn place<'a>(&mut self, path: &'a Arc<str>, line: Option<u64>) -> Place<'a> {
        if self.path.as_ref().is_none_or(|last| !Arc::ptr_eq(last, path)) {
            *self = Self { path: Some(path.clone()), count: 0 };
        }
        self.count += 1;
        Place { path, index: self.count, line }
    }
}

/// What a worker found in one document, or the reader instead of one.
struct Answer<R> {
    path: Arc<str>,
    line: Option<u64>,
    outcome: Result<R, ReadFailure>,
}

/// A batch, and where its answers go.
type Work<R> = (Batch, SyncSender<Vec<Answer<R>>>);

/// What comes next, in the order of the input.
enum Next<R> {
    Promise(Promise<R>),
    WaitingFor(String),
    Settled,
}

/// Where the answers to a batch will be.
struct Promise<R> {
    answers: Receiver<Vec<Answer<R>>>,
    path: Arc<str>,
    weight: usize,
}

/// Several documents, so that handing over costs little for each.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    items: Vec<(Arc<str>, Item)>,
    weight: usize,
}

enum Item {
    Json { bytes: Range<usize>, line: u64, inherited: Option<Inherited> },
    Yaml(Node, Option<Inherited>),
    Failed(ReadFailure),
}

impl Batch {
    /// Its answers, and its room for the bytes of another one.
    fn judged<R, J: Judge<R>>(
        self,
        stated: &Stated,
        judge: &impl Fn() -> J,
        current: &mut J,
    ) -> (Vec<Answer<R>>, Vec<u8>) {
        let mut answers = Vec::with_capacity(self.items.len());
        for (path, item) in self.items {
            let (document, line) = match item {
                Item::Failed(failure) => {
                    answers.push(Answer { path, line: failure.line(), outcome: Err(failure) });
                    continue;
                }
                Item::Yaml(node, ref inherited) => {
                    let line = Some(node.line);
                    (Document::Yaml(node, inherited.as_ref()), line)
                }
                Item::Json { ref bytes, line, ref inherited } => {
                    (Document::Json(&self.bytes[bytes.clone()], line, inherited.as_ref()), Some(line))
                }
            };
            let before = answers.len();
            let judged = catch_unwind(AssertUnwindSafe(|| {
                let seen = document.json().and_then(|json| current.glance(json));
                if let Some(seen) = seen {
                    return answers.push(Answer { path: path.clone(), line, outcome: Ok(seen) });
                }
                document.runs(stated, &mut |object| {
                    let outcome = object.map(|run| current.judge(run));
                    answers.push(Answer { path: path.clone(), line, outcome });
                });
            }));
            if judged.is_err() {
                // Whatever it had remembered may be half of something.
                *current = judge();
                answers.truncate(before);
                answers.push(Answer { path, line, outcome: Err(ReadFailure::Panicked) });
            }
        }
        (answers, self.bytes)
    }
}

/// How many inputs were read to their end, and how many were not.
#[derive(Default)]
struct Files {
    read: u64,
    not_read: u64,
    /// Whether all of the current one is read, as far as it is known.
    current: Option<bool>,
}

impl Files {
    fn end(&mut self) {
        match self.current.take() {
            Some(true) => self.read += 1,
            Some(false) => self.not_read += 1,
            None => {}
        }
    }

    fn begin(&mut self) {
        self.end();
        self.current = Some(true);
    }

    fn note(&mut self, failure: &ReadFailure) {
        match failure.left_out() {
            LeftOut::Nothing => {}
            LeftOut::Rest => self.current = Some(false),
            LeftOut::Others(count) => {
                self.current = None;
                self.not_read += count;
            }
        }
    }
}

/// Makes batches of what the reader finds.
struct Batches<'a, R> {
    batch: Batch,
    path: Option<Arc<str>>,
    files: Files,
    work: SyncSender<Work<R>>,
    next: SyncSender<Next<R>>,
    budget: &'a Budget,
    progress: &'a WalkProgress,
}

impl<'a, R> Batches<'a, R> {
    fn new(
        work: SyncSender<Work<R>>,
        next: SyncSender<Next<R>>,
        budget: &'a Budget,
        progress: &'a WalkProgress,
    ) -> Self {
        let (batch, files) = (Batch::default(), Files::default());
        Batches { batch, path: None, files, work, next, budget, progress }
    }

    fn send(&mut self) -> Result<(), Stopped> {
        let batch = std::mem::take(&mut self.batch);
        let Some((path, _)) = batch.items.first() else { return Ok(()) };
        let weight = self.budget.take(batch.weight)?;
        let (answer, answers) = sync_channel(1);
        let promise = Promise { answers, path: path.clone(), weight };
        self.next.send(Next::Promise(promise)).map_err(|_| Stopped)?;
        self.work.send((batch, answer)).map_err(|_| Stopped)
    }
}

impl<R> Sink for Batches<'_, R> {
    fn begin(&mut self, path: Arc<str>) {
        self.files.begin();
        self.path = Some(path);
    }

    fn take(&mut self, found: FoundDocument<'_>) -> Result<(), Stopped> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let new = match &found {
            FoundDocument::Json { bytes, .. } => bytes.len(),
            FoundDocument::Yaml { weight, .. } => *weight,
            FoundDocument::Failed(_) => 0,
        };
        // An object of two bytes takes as much room as its answer does.
        let new = new + ANSWER;
        if self.batch.weight + new > BATCH {
            self.send()?;
        }
        let batch = &mut self.batch;
        let item = match found {
            FoundDocument::Json { bytes, line, inherited } => {
                let start = batch.bytes.len();
                if start == 0 {
                    batch.bytes = self.budget.room();
                    // At once, since what grows is copied again and again.
                    batch.bytes.reserve(BATCH.max(bytes.len()));
                }
                batch.bytes.extend(bytes);
                Item::Json { bytes: start..batch.bytes.len(), line, inherited: inherited.cloned() }
            }
            FoundDocument::Yaml { node, inherited, .. } => Item::Yaml(node, inherited.cloned()),
            FoundDocument::Failed(failure) => {
                self.files.note(&failure);
                Item::Failed(failure)
            }
        };
        batch.weight += new;
        batch.items.push((path, item));
        Ok(())
    }

    fn waiting(&mut self) -> Result<(), Stopped> {
        self.send()
    }

    fn wait_for(&mut self, reason: String) -> Result<(), Stopped> {
        self.send()?;
        self.next.send(Next::WaitingFor(reason)).map_err(|_| Stopped)
    }

    fn settle(&mut self) -> Result<(), Stopped> {
        self.send()?;
        self.next.send(Next::Settled).map_err(|_| Stopped)
    }

    fn count(&mut self, bytes: usize) {
        self.progress.bytes.fetch_add(u64::try_from(bytes).unwrap_or_default(), Ordering::Relaxed);
    }
}
