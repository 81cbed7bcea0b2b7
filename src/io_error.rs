//! The operating system's errors in its own words.

use std::io;

/// `No such file or directory`, without Rust's ` (os error 2)` behind it.
pub fn words(error: &io::Error) -> String {
    let text = error.to_string();
    // What reading to a string says.
    if error.kind() == io::ErrorKind::InvalidData && text.contains("valid UTF-8") {
        return "it is not text in UTF-8".to_owned();
    }
    match (error.raw_os_error(), text.rsplit_once(" (os error ")) {
        (Some(_), Some((words, _))) => words.to_owned(),
        _ => text,
    }
}
