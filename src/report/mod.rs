//! The reports of one walk: each `-o FORMAT[=FILE]` gets every run as it is judged, and nothing is kept.
//!
//! A file is written under another name beside its place and renamed at the end: what has the name is whole.

mod causes;
pub(crate) mod colour;
mod dsse;
mod html;
mod json;
mod junit;
mod markdown;
pub(crate) mod origins;
pub(super) mod output;
mod people;
mod pipeline;
pub(crate) mod safe;
mod sarif;
mod summary;
mod tally;
mod text;
mod vsa;

use std::{
    io::{self, Write},
    mem,
    path::PathBuf,
    str::FromStr,
};

use unixtime::UnixSeconds;

pub(crate) use json::place;
use output::Output;
pub(crate) use people::{People, Verbosity};
pub(crate) use tally::count;

use crate::{
    io_error,
    report::origins::Origins,
    sources::{error::SourceError, walk::Place},
    verify::{Finding, PolicyFile, Report, Verdict},
};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Sarif,
    Junit,
    Dsse,
    Vsa,
    Markdown,
    Html,
    Summary,
}

const FORMATS: [(&str, Format); 9] = [
    ("text", Format::Text),
    ("json", Format::Json),
    ("sarif", Format::Sarif),
    ("junit", Format::Junit),
    ("dsse", Format::Dsse),
    ("vsa", Format::Vsa),
    ("markdown", Format::Markdown),
    ("html", Format::Html),
    ("summary", Format::Summary),
];

/// The value of one `-o`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    format: Format,
    /// `None`: standard output.
    pub(super) file: Option<PathBuf>,
}

impl Destination {
    /// Whether each run is told as soon as it is judged: other reports need an end.
    pub(crate) fn is_of_lines(&self) -> bool {
        matches!(self.format, Format::Text | Format::Json)
    }

    /// Text on standard output.
    pub(crate) fn text() -> Self {
        Self { format: Format::Text, file: None }
    }
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) => (name, Some(file)),
            None => (text, None),
        };
        let Some((_, format)) = FORMATS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
            return Err(format!("unknown format; there are {}", known.join(", ")));
        };
        match file {
            Some("") => Err(format!("no file after {name}=")),
            file => Ok(Self { format: *format, file: file.filter(|file| *file != "-").map(PathBuf::from) }),
        }
    }
}

/// What of the walk the reports speak of besides TaskRuns.
pub(crate) struct Walk<'a> {
    /// The trust domain of every TaskRun.
    pub(crate) trust_domain: &'a str,
    /// What is read first, as messages name it.
    pub(crate) source: String,
    /// Now.
    pub(crate) now: UnixSeconds,
    /// Where each authority is from.
    pub(crate) origins: &'a Origins,
    /// The policy file, and its name as given.
    pub(crate) policy_file: Option<(&'a str, &'a PolicyFile)>,
    /// What the command line accepts and demands, as canonical JSON.
    pub(crate) command_line: String,
}

/// The report of a TaskRun or PipelineRun, or why there is none, and where it is.
pub(crate) struct Item<'a> {
    pub(crate) place: Place<'a>,
    pub(crate) outcome: Result<&'a Report, &'a SourceError>,
}

impl Item<'_> {
    /// What it counts as: an accepted weakness is verified, and what cannot be read is unchecked.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.outcome {
            Ok(report) if report.accepted => Verdict::Verified,
            Ok(report) => report.verdict,
            Err(error) => error.verdict(),
        }
    }
}

/// What a failure of the walk is about, where other findings name a TaskRun.
const WHOLE_WALK: &str = "the walk as a whole";

/// One format: a document is its beginning, its items and its end.
trait Writer {
    fn begin(&mut self, _walk: &Walk<'_>, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn item(&mut self, walk: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()>;

    /// What is demanded of the walk as a whole and is missing; after the last item, and only if there is any.
    fn missing(&mut self, walk: &Walk<'_>, findings: &[Finding], out: &mut dyn Write) -> io::Result<()>;

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Whether it speaks of the other reports, and ends after them.
    fn is_last(&self) -> bool {
        false
    }

    /// Another report could not be written; before the end.
    fn other_failed(&mut self) {}
}

fn writer(format: Format) -> Box<dyn Writer> {
    match format {
        Format::Text => Box::new(text::Text),
        Format::Json => Box::new(json::Json),
        Format::Sarif => Box::new(sarif::Sarif::default()),
        Format::Junit => Box::new(junit::Junit),
        Format::Dsse => Box::new(dsse::Dsse),
        Format::Vsa => Box::new(vsa::Vsa),
        Format::Markdown => Box::new(markdown::Markdown::default()),
        Format::Html => Box::new(html::Html::default()),
        Format::Summary => Box::new(summary::Summary::default()),
    }
}

/// Why the reports cannot be written as asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// The arguments contradict each other.
    #[error("{0}")]
    Usage(String),
    /// A file, or standard output, cannot be written.
    #[error("{name} could not be written: {}; {left}", io_error::words(error))]
    Write {
        /// The file, or "standard output".
        name: String,
        /// From the operating system.
        error: io::Error,
        /// What there is of the report.
        left: &'static str,
    },
}

impl ReportError {
    fn write(output: &Output, error: io::Error) -> Self {
        let left = match output.shows_parts() {
            true => "what is there is not the whole report",
            false => "nothing was changed there",
        };
        Self::Write { name: output.name(), error, left }
    }
}

/// All reports of a walk.
pub(crate) struct Reports<'a> {
    walk: Walk<'a>,
    stdout: &'a mut dyn Write,
    outputs: Vec<(Box<dyn Writer>, Output)>,
    failed: Vec<ReportError>,
}

impl<'a> Reports<'a> {
    /// Opens every destination and writes the beginnings.
    pub(crate) fn open(
        destinations: &[Destination],
        walk: Walk<'a>,
        stdout: &'a mut dyn Write,
    ) -> Result<Self, ReportError> {
        // Spelled in two ways it is still one file.
        let files: Vec<_> = destinations
            .iter()
            .map(|destination| destination.file.as_deref().map(output::resolved))
            .collect();
        for (i, file) in files.iter().enumerate() {
            if files[..i].contains(file) {
                return Err(ReportError::Usage(match file {
                    None => {
                        "two reports cannot share standard output; give one a file: -o FORMAT=FILE".to_owned()
                    }
                    Some(file) => format!("two reports cannot share the file {}", file.display()),
                }));
            }
        }
        let mut reports = Reports { walk, stdout, outputs: Vec::new(), failed: Vec::new() };
        for (destination, file) in destinations.iter().zip(&files) {
            let output = match file {
                None => Output::Stdout,
                Some(file) => Output::create(file).map_err(|error| ReportError::Write {
                    name: file.display().to_string(),
                    error,
                    left: "nothing was checked, and nothing was changed there",
                })?,
            };
            reports.outputs.push((writer(destination.format), output));
        }
        reports.each(|writer, walk, out| writer.begin(walk, out));
        match reports.failed.pop() {
            None => Ok(reports),
            Some(error) => Err(error),
        }
    }

    /// Writes one item to every report that has not failed yet.
    pub(crate) fn item(&mut self, item: &Item<'_>) {
        self.each(|writer, walk, out| writer.item(walk, item, out));
    }

    /// Writes what is demanded of the walk as a whole and is missing, after all items.
    pub(crate) fn missing(&mut self, findings: &[Finding]) {
        if !findings.is_empty() {
            self.each(|writer, walk, out| writer.missing(walk, findings, out));
        }
    }

    /// Lets whoever reads standard output see what was judged so far.
    pub(crate) fn flush(&mut self) {
        let Reports { stdout, outputs, failed, .. } = self;
        outputs.retain(|(_, output)| {
            let result = if matches!(output, Output::Stdout) { stdout.flush() } else { Ok(()) };
            result.map_err(|error| failed.push(ReportError::write(output, error))).is_ok()
        });
    }

    /// Ends every report and gives the files their names. Whatever could not be written during the walk is told here.
    pub(crate) fn finish(mut self) -> Result<(), Vec<ReportError>> {
        let (last, others) =
            mem::take(&mut self.outputs).into_iter().partition(|(writer, _)| writer.is_last());
        for outputs in [others, last] {
            self.outputs = outputs;
            self.end();
        }
        if self.failed.is_empty() { Ok(()) } else { Err(self.failed) }
    }

    fn end(&mut self) {
        if !self.failed.is_empty() {
            self.outputs.iter_mut().for_each(|(writer, _)| writer.other_failed());
        }
        self.each(|writer, _, out| writer.end(out));
        self.flush();
        for (_, output) in &mut self.outputs {
            if let Err(error) = output.commit() {
                self.failed.push(ReportError::write(output, error));
            }
        }
    }

    fn each(&mut self, mut write: impl FnMut(&mut dyn Writer, &Walk<'_>, &mut dyn Write) -> io::Result<()>) {
        let Reports { walk, stdout, outputs, failed } = self;
        outputs.retain_mut(|(writer, output)| {
            let result = match output {
                Output::Stdout => write(writer.as_mut(), walk, *stdout),
                Output::File(file) => write(writer.as_mut(), walk, file),
            };
            match result {
                Ok(()) => true,
                Err(error) => {
                    failed.push(ReportError::write(output, error));
                    false
                }
            }
        });
    }
}
