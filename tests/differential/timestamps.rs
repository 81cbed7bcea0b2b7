//! The zone of `StartedAt` (docs/tekton-contract.md 3.12.4).

use crate::case::{Case, shell};

pub(crate) fn cases() -> Vec<Case> {
    let zone = |zone: &str, shows: &str| {
        shell(&format!("TZ={zone:?}"), "true", &[]).env("TZ", zone).shows(&format!("T{shows}\\\""))
    };
    vec![
        zone("", "Z"),
        zone(":", "Z"),
        zone("UTC", "Z"),
        zone("Etc/UTC", "Z"),
        zone("GMT", "Z"),
        zone("Asia/Kolkata", "+05:30"),
        zone(":Asia/Kolkata", "+05:30"),
        zone("Asia/Kathmandu", "+05:45"),
        zone("America/Phoenix", "-07:00"),
        zone("Etc/GMT-14", "+14:00"),
        zone("/usr/share/zoneinfo/Asia/Kolkata", "+05:30"),
        zone(":/usr/share/zoneinfo/Asia/Kolkata", "+05:30"),
        zone("/usr/share/zoneinfo/../zoneinfo/Asia/Kolkata", "+05:30"),
        zone("No/Such", "Z"),
        zone("/no/such/file", "Z"),
        zone("/etc/passwd", "Z"),
        zone("/usr/share/zoneinfo", "Z"),
        zone("../../../etc/passwd", "Z"),
        zone("CET-1CEST", "Z"),
        zone("<+03>-3", "Z"),
        shell("TZ=\"EST5EDT\"", "true", &[]).env("TZ", "EST5EDT"),
        zone("asia/kolkata", "Z"),
        zone(" Asia/Kolkata", "Z"),
        shell("no TZ", "true", &[]),
        shell("ZONEINFO is not looked at", "true", &[])
            .env("TZ", "Kolkata")
            .env("ZONEINFO", "/usr/share/zoneinfo/Asia"),
        shell("the zone beside an exit code", "exit 3", &["-on_error=continue"])
            .env("TZ", "Asia/Kolkata")
            .shows("T+05:30"),
    ]
}
