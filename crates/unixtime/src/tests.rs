use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{UnixMillis, UnixSeconds, whole_milliseconds};

/// 2026-11-28T09:05:00Z.
const SIGNED: i64 = 1_795_856_700;

#[test]
fn rfc_3339_is_read_in_whole_seconds() {
    let long = |digits: usize| format!("2026-11-28T09:05:00.{}Z", "0".repeat(digits));
    for (text, expected) in [
        ("2026-11-28T09:05:00Z", Some(SIGNED)),
        ("2026-11-28T09:05:00.999999999Z", Some(SIGNED)),
        ("2026-11-28T10:05:00+01:00", Some(SIGNED)),
        ("1970-01-01T00:00:00Z", Some(0)),
        ("1969-12-31T23:59:59Z", Some(-1)),
        ("2026-11-28 25:05:00Z", None),
        ("2026-11-28T09:05:00", None),
        ("1795856700", None),
        ("", None),
        (long(43).as_str(), Some(SIGNED)),
        (long(44).as_str(), None),
    ] {
        assert_eq!(UnixSeconds::parse(text).map(UnixSeconds::get), expected, "{text}");
    }
}

#[test]
fn seconds_are_displayed_as_a_date_or_as_their_number() {
    for (seconds, expected) in [
        (SIGNED, "2026-11-28T09:05:00Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (253_402_300_800, "253402300800 s since 1970"),
        (i64::MIN, "-9223372036854775808 s since 1970"),
    ] {
        assert_eq!(UnixSeconds::new(seconds).to_string(), expected, "{seconds}");
    }
}

#[test]
fn seconds_stay_between_the_first_and_the_last() {
    let (min, max, one) = (UnixSeconds::MIN, UnixSeconds::MAX, Duration::from_secs(1));
    let at = UnixSeconds::new;
    for (case, found, expected) in [
        ("plus", at(5) + Duration::from_secs(3), at(8)),
        ("minus", at(5) - Duration::from_secs(8), at(-3)),
        ("a fraction is cut off", at(5) + Duration::from_millis(1999), at(6)),
        ("after the last", max + one, max),
        ("before the first", min - one, min),
        ("the longest duration", min + Duration::MAX, max),
    ] {
        assert_eq!(found, expected, "{case}");
    }
    for (case, later, earlier, expected) in [
        ("after", at(8), at(5), 3),
        ("the same", at(5), at(5), 0),
        ("before", at(5), at(8), 0),
        ("all of time", max, min, u64::MAX),
    ] {
        assert_eq!(later.since(earlier), Duration::from_secs(expected), "{case}");
    }
}

#[test]
fn milliseconds_stay_between_1970_and_the_last() {
    let at = UnixMillis::new;
    for (case, found, expected) in [
        ("plus", at(5) + Duration::from_millis(3), at(8)),
        ("a fraction is cut off", at(5) + Duration::from_micros(1999), at(6)),
        ("after the last", at(u64::MAX) + Duration::from_millis(1), at(u64::MAX)),
        ("the longest duration", at(0) + Duration::MAX, at(u64::MAX)),
    ] {
        assert_eq!(found, expected, "{case}");
    }
    assert_eq!(at(8).since(at(5)), Duration::from_millis(3));
    assert_eq!(at(5).since(at(8)), Duration::ZERO, "before");
    for (milliseconds, seconds) in [(0, 0), (999, 0), (1000, 1), (u64::MAX, 18_446_744_073_709_551)] {
        assert_eq!(at(milliseconds).seconds(), UnixSeconds::new(seconds), "{milliseconds}");
    }
    assert_eq!(whole_milliseconds(Duration::MAX), u64::MAX);
}

#[test]
fn the_clock_is_cut_off_and_never_before_1970() {
    let after = Duration::from_micros(1_999_999);
    for (case, time, seconds, milliseconds) in [
        ("after", UNIX_EPOCH + after, 1, 1999),
        ("1970", UNIX_EPOCH, 0, 0),
        ("before", UNIX_EPOCH - after, 0, 0),
    ] {
        let time: SystemTime = time;
        assert_eq!(UnixSeconds::from(time).get(), seconds, "{case}");
        assert_eq!(UnixMillis::from(time).get(), milliseconds, "{case}");
    }
}
