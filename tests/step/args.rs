//! The command line, by itself: what each one parses to.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::Path};

use go::duration;
use svidence::{
    step::{
        args::{self, Args, FlagError},
        roots::Roots,
    },
    tekton::termination::Encoding,
};

fn parse(args: &[&str]) -> Result<Args, FlagError> {
    args::parse(args.iter().map(OsString::from).collect(), &Roots::real()).map_err(|refused| refused.error)
}

#[test]
fn durations_are_gos() {
    const S: i64 = 1_000_000_000;
    for (text, nanoseconds) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("+0", Some(0)),
        ("1m30s", Some(90 * S)),
        ("1h0m0s", Some(3600 * S)),
        ("-1.5h", Some(-5400 * S)),
        ("+5s", Some(5 * S)),
        ("1.s", Some(S)),
        (".5s", Some(S / 2)),
        ("3ns", Some(3)),
        ("3us", Some(3_000)),
        ("3µs", Some(3_000)),
        ("3μs", Some(3_000)),
        ("3ms", Some(3_000_000)),
        ("0.3333333333333333333h", Some(1_200_000_000_000)),
        ("0.9223372036854775807s", Some(922_337_203)),
        ("9223372036854775807ns", Some(i64::MAX)),
        ("-9223372036854775808ns", Some(i64::MIN)),
        ("9223372036854775808ns", None),
        ("9223372036854775.808us", None),
        ("2562048h", None),
        ("18446744073709551616ns", None),
        ("", None),
        ("-", None),
        ("3", None),
        ("s", None),
        (".s", None),
        ("3x", None),
        ("3s4", None),
        ("3 s", None),
        ("--3s", None),
        ("1e3s", None),
    ] {
        assert_eq!(duration::parse(text.as_bytes()), nanoseconds, "duration {text:?}");
    }
}

#[test]
fn the_post_file_of_a_refused_command_line_is_known() {
    for (args, post_file) in [
        (&["-post_file", "/p", "-nope"][..], "/p"),
        (&["-nope", "-post_file", "/p"], "/p"),
        (&["-nope", "-post_file"], ""),
        (&["-post_file", "/p", "-post_file=/q", "-timeout=x"], "/q"),
        (&["-post_file", "/p", "-h"], "/p"),
    ] {
        let refused = args::parse(args.iter().map(OsString::from).collect(), &Roots::real()).unwrap_err();
        assert_eq!(refused.post_file, Path::new(post_file), "{args:?}");
    }
}

#[test]
fn how_results_are_handed_over() {
    for (args, in_message, encoding) in [
        (&[][..], true, Encoding::Json),
        (&["-result_from", "termination-message"], true, Encoding::Json),
        (&["-result_from=", "-compress_termination_message"], false, Encoding::Compressed),
        (&["-result_from=sidecar-logs", "-compress_termination_message=false"], false, Encoding::Json),
    ] {
        let args = parse(args).unwrap();
        assert_eq!((args.results_in_message(), args.encoding()), (in_message, encoding), "{args:?}");
    }
}

#[test]
fn signing_is_asked_for() {
    for (args, signs) in [
        (&[][..], false),
        (&["-enable_spire"], true),
        (&["-enable_spire", "-spire_socket_path", "unix:///x"], true),
        (&["-enable_spire", "-spire_socket_path="], false),
        (&["-spire_socket_path", "unix:///x"], false),
    ] {
        assert_eq!(parse(args).unwrap().signs(), signs, "{args:?}");
    }
}

#[test]
fn bytes_survive() {
    let bytes = OsString::from_vec(b"\xff\xfe".to_vec());
    let args = args::parse(
        vec!["-entrypoint".into(), bytes.clone(), "--".into(), bytes.clone(), "--".into()],
        &Roots::real(),
    )
    .unwrap();
    assert_eq!(args.entrypoint, bytes);
    assert_eq!(args.command_args, [bytes, "--".into()]);
}
