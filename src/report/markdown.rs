//! `markdown`: a table for a pull request, in GitHub's flavour.
//!
//! Whatever an object chose itself stands in a code span, in which neither HTML nor a link nor a mention means anything.

use std::{
    fmt,
    io::{self, Write},
};

use crate::{
    report::{
        Item, WHOLE_WALK, Walk, Writer,
        causes::{Cause, alone, causes},
        pipeline,
        safe::Line,
        tally::Tally,
    },
    verify::{Finding, Proof, Report, Verdict},
};

/// Rows of each kind, good and not.
const MOST_ROWS: u64 = 100;
/// Bytes of the rows that are good, and of all others: together with the rest less than the 65,536 characters that GitHub takes.
const MOST_BYTES: [usize; 2] = [15_000, 38_000];
/// Causes and results in one row.
const MOST_LINES: usize = 10;
/// Characters of one value.
const MOST_CHARACTERS: usize = 100;
/// Characters of one cause, name or place: an object may hold a reason of any length.
const MOST_OF_A_CAUSE: usize = 500;

#[derive(Default)]
pub(super) struct Markdown {
    tally: Tally,
    good: Rows,
    others: Rows,
}

/// The rows of one kind.
#[derive(Default)]
struct Rows {
    shown: u64,
    bytes: usize,
    left_out: u64,
}

impl Rows {
    /// Writes a row if there is room for it; none behind one that was left out.
    fn add(&mut self, row: &[u8], most_bytes: usize, out: &mut dyn Write) -> io::Result<()> {
        if self.left_out > 0 || self.shown == MOST_ROWS || self.bytes + row.len() > most_bytes {
            self.left_out += 1;
            return Ok(());
        }
        self.shown += 1;
        self.bytes += row.len();
        out.write_all(row)
    }

    fn is_full(&self) -> bool {
        self.left_out > 0
    }
}

impl Writer for Markdown {
    fn begin(&mut self, walk: &Walk<'_>, out: &mut dyn Write) -> io::Result<()> {
        let trust_domain = Code(walk.trust_domain);
        writeln!(
            out,
            "### svidence verify: {trust_domain}\n\n| Verdict | TaskRun | Results, or what is wrong |\n|---|---|---|"
        )
    }

    fn item(&mut self, _: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        self.tally.count(item);
        let is_good = item.outcome.is_ok_and(|report| report.accepted);
        let (rows, most_bytes) =
            if is_good { (&mut self.good, MOST_BYTES[0]) } else { (&mut self.others, MOST_BYTES[1]) };
        let mut row = Vec::new();
        match item.outcome {
            _ if rows.is_full() => {}
            Ok(report) => task_run(item, report, &mut row)?,
            Err(error) => {
                let rule = format!("{}: {}", error.code(), error.detail().as_str());
                let place = cut(&item.place.to_string(), MOST_OF_A_CAUSE);
                let text = cut(&error.to_string(), MOST_OF_A_CAUSE);
                let (mark, word) = mark(error.verdict(), false);
                writeln!(row, "| {mark} {word} | {} | {} ({}) |", Code(&place), Code(&text), Code(&rule))?;
            }
        }
        rows.add(&row, most_bytes, out)
    }

    /// A row for which there always is room.
    fn missing(&mut self, _: &Walk<'_>, findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
        let Some(verdict) = findings.iter().map(Finding::verdict).max() else { return Ok(()) };
        let (mark, word) = mark(verdict, false);
        write!(out, "| {mark} {word} | {WHOLE_WALK} | ")?;
        cause_lines(&findings.iter().map(alone).collect::<Vec<_>>(), out)?;
        writeln!(out, " |")
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        for (rows, what) in [(&self.good, "that count as verified"), (&self.others, "that do not")] {
            if rows.is_full() {
                writeln!(out, "\n… and {} more {what}.", rows.left_out)?;
            }
        }
        // Numbers and our own words only.
        writeln!(out, "\n**{}**", self.tally)
    }
}

fn task_run(item: &Item<'_>, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let (mark, word) = mark(report.verdict, report.accepted);
    let place = cut(&item.place.to_string(), MOST_OF_A_CAUSE);
    let name = cut(&report.title(), MOST_OF_A_CAUSE);
    write!(out, "| {mark} {word} | {}<br>in {} | ", Code(&name), Code(&place))?;
    let causes = causes(report);
    cause_lines(&causes, out)?;
    if let Some(pipeline) = &report.pipeline {
        tree(&pipeline::lines(pipeline), !causes.is_empty(), out)?;
    }
    if let Some(proof) = &report.proof {
        results(proof, !causes.is_empty(), out)?;
    }
    writeln!(out, " |")
}

fn cause_lines(causes: &[Cause], out: &mut dyn Write) -> io::Result<()> {
    for (i, cause) in causes.iter().take(MOST_LINES).enumerate() {
        let separator = if i == 0 { "" } else { "<br>" };
        write!(out, "{separator}{} ({})", Code(&cut(&cause.text, MOST_OF_A_CAUSE)), Code(&cause.rule))?;
    }
    if causes.len() > MOST_LINES {
        write!(out, "<br>… and {} more", causes.len() - MOST_LINES)?;
    }
    Ok(())
}

fn tree(lines: &[(usize, String)], follows: bool, out: &mut dyn Write) -> io::Result<()> {
    // What tasks were given is in the other reports.
    let lines: Vec<&str> =
        lines.iter().filter(|(indent, _)| *indent < 2).map(|(_, line)| line.as_str()).collect();
    for (i, line) in lines.iter().take(MOST_LINES).enumerate() {
        let separator = if i == 0 && !follows { "" } else { "<br>" };
        write!(out, "{separator}{}", Code(&cut(line, MOST_OF_A_CAUSE)))?;
    }
    match lines.len().checked_sub(MOST_LINES) {
        Some(more @ 1..) => write!(out, "<br>… and {more} more"),
        _ => Ok(()),
    }
}

fn results(proof: &Proof, follows: bool, out: &mut dyn Write) -> io::Result<()> {
    for (i, result) in proof.results.iter().take(MOST_LINES).enumerate() {
        let separator = if i == 0 && !follows { "" } else { "<br>" };
        // A name that nobody signs is not shown as one that was verified.
        let (name, of) = match (&result.step_result, result.name_is_claimed) {
            (Some(step_result), true) => (step_result, format!(" of step {}", Code(&result.step))),
            _ => (&result.name, String::new()),
        };
        let value = cut(&result.value.canonical_json(), MOST_CHARACTERS);
        write!(out, "{separator}{}{of} = {}", Code(name), Code(&value))?;
    }
    match proof.results.len().checked_sub(MOST_LINES) {
        Some(more @ 1..) => write!(out, "<br>… and {more} more"),
        _ => Ok(()),
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn mark(verdict: Verdict, is_accepted: bool) -> (&'static str, &'static str) {
    match (verdict, is_accepted) {
        (Verdict::Weak, true) => ("✅", "weak (accepted)"),
        (Verdict::Verified, _) => ("✅", verdict.as_str()),
        (Verdict::Invalid, _) => ("❌", verdict.as_str()),
        (Verdict::Weak | Verdict::Absent | Verdict::Unchecked, _) => ("⚠️", verdict.as_str()),
    }
}

/// Any text as a code span inside a table (GitHub Flavored Markdown 6.3 and 4.10): fenced by more backticks than it holds in a
/// row, and with each pipe escaped. A backslash before a pipe would undo that, so such a pipe is written by its number.
struct Code<'a>(&'a str);

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Line(self.0).to_string();
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
        let fence = "`".repeat(longest + 1);
        // One space on each side is taken off again; without it a backtick at an end would lengthen the fence.
        write!(f, "{fence} ")?;
        let mut last = ' ';
        for c in text.chars() {
            match (c, last) {
                ('|', '\\') => f.write_str("u{7c}")?,
                ('|', _) => f.write_str("\\|")?,
                (c, _) => write!(f, "{c}")?,
            }
            last = c;
        }
        write!(f, " {fence}")
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn nothing_leaves_its_code_span_or_its_cell() {
        for (text, expected) in [
            ("digest", "` digest `"),
            ("a`b", "`` a`b ``"),
            ("``` <b>@you</b> [x](y)", "```` ``` <b>@you</b> [x](y) ````"),
            ("a|b", "` a\\|b `"),
            ("a\\|b", "` a\\u{7c}b `"),
            ("a\\\\|b", "` a\\\\u{7c}b `"),
            ("a||b", "` a\\|\\|b `"),
            ("two\nlines", "` two\\nlines `"),
            ("", "`  `"),
        ] {
            assert_eq!(Code(text).to_string(), expected, "{text:?}");
        }
    }
}
