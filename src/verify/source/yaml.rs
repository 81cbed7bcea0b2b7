//! Reading YAML into its documents.

use super::{Failure, Found, Input, Sink, Stopped};
use crate::verify::json::Unambiguous;

/// Hands on every document of an input that is not JSON.
pub(super) fn split(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), Stopped> {
    let mut rest = input.rest();
    let mut counted = 0;
    let mut found = 0;
    let bytes_read = rest.counter();
    for document in serde_saphyr::read::<_, Unambiguous>(&mut rest) {
        found += 1;
        let weight = bytes_read.get() - counted;
        counted += weight;
        sink.count(weight);
        match document {
            Ok(Unambiguous(value)) => sink.take(Found::Yaml(value, weight))?,
            Err(error) => sink.take(Found::Failed(Failure::Yaml(error.to_string())))?,
        }
    }
    if found == 0 { sink.take(Found::Failed(Failure::Empty)) } else { Ok(()) }
}
