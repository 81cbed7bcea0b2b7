//! The container's local time zone, found and printed as Go does (docs/tekton-contract.md 3.12.4; Go time/zoneinfo_unix.go).
//!
//! The time itself is always a parameter.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::Read as _,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::OpenOptionsExt as _,
    },
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use tz::{TimeZone, UtcDateTime};

/// Where Go looks for zone files by name.
const SOURCES: [&str; 4] =
    ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"];

/// The local time zone; UTC if none is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalZone(Option<TimeZone>);

impl LocalZone {
    /// UTC.
    pub fn utc() -> Self {
        Self(None)
    }

    /// The zone that the environment variable `TZ` and the files of the container name.
    pub fn local(tz: Option<&OsStr>) -> Self {
        let Some(tz) = tz else {
            return Self(load(Path::new("/etc/localtime")));
        };
        let bytes = tz.as_bytes();
        let name = OsString::from_vec(bytes.strip_prefix(b":").unwrap_or(bytes).to_vec());
        if name.is_empty() || name == "UTC" {
            return Self::utc();
        }
        if name.as_bytes()[0] == b'/' {
            return Self(load(Path::new(&name)));
        }
        Self(SOURCES.iter().find_map(|source| load(&PathBuf::from(source).join(&name))))
    }

    /// `StartedAt`: RFC 3339 with three digits, cut not rounded, `Z` for an offset of zero.
    pub fn started_at(&self, time: SystemTime) -> String {
        let Parts { date, milliseconds, offset } = self.parts(time);
        let zone = match offset / 60 {
            _ if offset == 0 => "Z".to_owned(),
            minutes => {
                let sign = if minutes < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        };
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{milliseconds:03}{zone}",
            date.year(),
            date.month(),
            date.month_day(),
            date.hour(),
            date.minute(),
            date.second(),
        )
    }

    /// The time as Go's `log` package puts it before a line: `2026/08/01 10:00:00`.
    pub fn log_prefix(&self, time: SystemTime) -> String {
        let Parts { date, .. } = self.parts(time);
        format!(
            "{:04}/{:02}/{:02} {:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.month_day(),
            date.hour(),
            date.minute(),
            date.second(),
        )
    }

    fn parts(&self, time: SystemTime) -> Parts {
        let (seconds, nanoseconds) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
            // No step starts before 1970.
            Err(_) => (0, 0),
        };
        let offset = self.offset_at(seconds);
        // Out of range only beyond the year 2147483647.
        let date = UtcDateTime::from_timespec(seconds + i64::from(offset), 0).unwrap_or(EPOCH);
        Parts { date, milliseconds: nanoseconds / 1_000_000, offset }
    }

    /// Seconds east of UTC at an instant in seconds since 1970.
    pub fn offset_at(&self, seconds: i64) -> i32 {
        let Some(zone) = &self.0 else { return 0 };
        match zone.find_local_time_type(seconds) {
            Ok(local) => local.ut_offset(),
            // A zone file without a rule for the time after its last transition: the last one goes on.
            Err(_) => {
                let zone = zone.as_ref();
                let last = zone.transitions().last().map_or(0, |last| last.local_time_type_index());
                zone.local_time_types().get(last).map_or(0, |local| local.ut_offset())
            }
        }
    }
}

/// The time zones that Go's time.LoadLocation finds by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zones {
    /// Folders of zone files.
    sources: Vec<PathBuf>,
    /// The zone of the name `Local`.
    local: LocalZone,
}

/// There is no such time zone, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownZone {
    /// A name that could leave the folder of zone files.
    #[error("time: invalid location name")]
    InvalidName,
    /// No readable file for this name.
    #[error("unknown time zone {name}")]
    Unknown {
        /// As asked for.
        name: String,
    },
}

impl Zones {
    /// The zone files of the container's image.
    pub fn of_image(local: LocalZone) -> Self {
        Self { sources: SOURCES.iter().map(PathBuf::from).collect(), local }
    }

    /// No zone but UTC, which is the local one, too.
    pub fn none() -> Self {
        Self { sources: Vec::new(), local: LocalZone::utc() }
    }

    /// The zone files in one folder.
    pub fn in_folder(folder: &Path, local: LocalZone) -> Self {
        Self { sources: vec![folder.to_owned()], local }
    }

    /// The zone of this name (Go time/zoneinfo.go LoadLocation). The variable `ZONEINFO` is not looked at.
    pub fn find(&self, name: &str) -> Result<LocalZone, UnknownZone> {
        match name {
            "" | "UTC" => return Ok(LocalZone::utc()),
            "Local" => return Ok(self.local.clone()),
            _ => {}
        }
        if name.contains("..") || name.starts_with(['/', '\\']) {
            return Err(UnknownZone::InvalidName);
        }
        let found = self.sources.iter().find_map(|source| load(&source.join(name)));
        found.map(|zone| LocalZone(Some(zone))).ok_or_else(|| UnknownZone::Unknown { name: name.to_owned() })
    }
}

struct Parts {
    date: UtcDateTime,
    milliseconds: u32,
    offset: i32,
}

const EPOCH: UtcDateTime = match UtcDateTime::new(1970, 1, 1, 0, 0, 0, 0) {
    Ok(epoch) => epoch,
    Err(_) => panic!("1970-01-01 is a date"),
};

/// Go reads up to 10 MiB; the largest zone file there is has some 4 KiB. A FIFO or a device may be named, too.
fn load(file: &Path) -> Option<TimeZone> {
    let file = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(file).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut data = Vec::new();
    file.take(1 << 20).read_to_end(&mut data).ok()?;
    TimeZone::from_tz_data(&data).ok()
}
