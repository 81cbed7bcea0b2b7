//! `dsse`: one line a verified step, the DSSE envelope of what it signed.

use std::io::{self, Write};

use crate::{
    report::{Item, Walk, Writer},
    verify::Finding,
};

pub(super) struct Dsse;

impl Writer for Dsse {
    fn item(&mut self, _: &Walk<'_>, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        let proof = item.outcome.ok().and_then(|report| report.proof.as_ref());
        for step in proof.into_iter().flat_map(|proof| proof.basis.steps()) {
            writeln!(out, "{}", step.envelope().to_json())?;
        }
        Ok(())
    }

    /// Each envelope speaks of its own step only, whatever is missing of the walk.
    fn missing(&mut self, _: &Walk<'_>, _: &[Finding], _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
