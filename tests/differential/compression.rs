//! Compressed termination messages (docs/tekton-contract.md 3.12, step 4): what counts is what they inflate to, and when they
//! are used.

use crate::case::{Case, shell};

/// Text that cannot be made shorter by more than a quarter, nor then again by base64.
fn noise(length: usize) -> String {
    let mut state: u32 = 12345;
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = std::iter::from_fn(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(char::from(alphabet[(state >> 26) as usize]))
    });
    letters.take(length).collect()
}

pub(crate) fn cases() -> Vec<Case> {
    let flags = ["-compress_termination_message", "-results=foo,bar", "-step_results=baz"];
    let result = |name: &str, value: &str| {
        shell(&format!("compressed: {name}"), "true", &flags).file("results/foo", value)
    };
    let digests: String = (0..40).map(|i| format!("sha256:{i:064}\n")).collect();
    vec![
        result("not worth it", "v").shows("\"[{"),
        result("nothing to compress", ""),
        result("repetition", &"ab".repeat(500)).shows("compressed"),
        result("more than 4096 bytes", &"ab".repeat(5000)).shows("compressed"),
        result("digests", &digests).shows("compressed"),
        result("the alphabet", &"abcdefghijklmnopqrstuvwxyz<>&\"\\\u{2028}\n".repeat(20)).shows("compressed"),
        result("bytes", "x").prepare(|pod| pod.write("results/foo", [0xff; 2000])).shows("compressed"),
        result("noise", &noise(1000)),
        result("noise that is too much", &noise(5000)).shows("above max allowed size"),
        result("100 kilobytes", &"a".repeat(100_000)).shows("compressed"),
        result("more than a reader takes", &"a".repeat(140_000)),
        shell("compressed: switched off", "true", &["-compress_termination_message=false", "-results=foo"])
            .file("results/foo", "ab".repeat(500))
            .shows("\"[{"),
        shell(
            "compressed: switched off, too large",
            "true",
            &["-compress_termination_message=false", "-results=foo"],
        )
        .file("results/foo", "ab".repeat(5000)),
        shell("compressed: all kinds of entries", "exit 3", &[&flags[..], &["-on_error=continue"]].concat())
            .file("results/foo", "ab".repeat(500))
            .file("run/0/status/results/baz", "cd".repeat(500))
            .file("artifacts/provenance.json", "{\"outputs\":[\u{1}<]}")
            .shows("compressed"),
        shell("compressed: a failure", "exit 3", &flags)
            .file("results/foo", "ab".repeat(500))
            .shows("compressed"),
        shell("compressed: a timeout", "exec sleep 10", &[&flags[..], &["-timeout=200ms"]].concat())
            .file("results/foo", "ab".repeat(500))
            .shows("TimeoutExceeded"),
        shell(
            "compressed: an earlier step failed",
            "true",
            &[&flags[..], &["-wait_file=/tekton/run/1/out"]].concat(),
        )
        .file("run/1/out.err", "")
        .file("results/foo", "ab".repeat(500))
        .shows("Skipped"),
        shell("compressed: artifacts alone", "true", &flags)
            .file("artifacts/provenance.json", format!("[\"{}\"]", "ab".repeat(3000)))
            .shows("compressed"),
    ]
}
