//! What is signed and how it is carried (design section 5). Pure: no I/O, time and randomness are parameters.

#[allow(missing_docs, unreachable_pub, clippy::all)]
#[rustfmt::skip]
mod generated;

pub mod key;
