//! Times as Kubernetes writes them.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Longer than a time with nanoseconds and an offset.
const LONGEST_TIME: usize = 64;

/// Unix seconds of an RFC 3339 time as Kubernetes writes it.
pub fn parse_time(text: &str) -> Option<i64> {
    // Each step looks at the times of its run, and as many digits of a second as one likes would do.
    let text = Some(text).filter(|text| text.len() <= LONGEST_TIME)?;
    OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}
