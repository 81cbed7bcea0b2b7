//! Base64 as Go's `encoding/base64` reads it.

/// Go's base64.StdEncoding, not strict: CR and LF anywhere, padding demanded, trailing bits ignored. The error is the
/// position Go names (encoding/base64 decodeQuantum).
pub fn decode(encoded: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(encoded.len() / 4 * 3);
    let mut at = 0;
    let skip_newlines = |mut at: usize| {
        while matches!(encoded.get(at), Some(b'\n' | b'\r')) {
            at += 1;
        }
        at
    };
    loop {
        let mut quantum = [0u8; 4];
        let mut filled = 0;
        while filled < 4 {
            let Some(&byte) = encoded.get(at) else {
                return if filled == 0 { Ok(out) } else { Err(at - filled) };
            };
            at += 1;
            match byte {
                b'\n' | b'\r' => continue,
                b'=' => break,
                _ => quantum[filled] = sextet(byte).ok_or(at - 1)?,
            }
            filled += 1;
        }
        if filled < 4 {
            // A padding character was read.
            if filled < 2 {
                return Err(at - 1);
            }
            if filled == 2 {
                at = skip_newlines(at);
                match encoded.get(at) {
                    None => return Err(encoded.len()),
                    Some(b'=') => at += 1,
                    Some(_) => return Err(at - 1),
                }
            }
            at = skip_newlines(at);
            if at < encoded.len() {
                return Err(at);
            }
        }
        let [a, b, c, d] = quantum;
        let bytes = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
        out.extend(&bytes[..filled - 1]);
        if filled < 4 {
            return Ok(out);
        }
    }
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_as_go_reads_it() {
        for (encoded, decoded) in [
            (&b""[..], Ok(&b""[..])),
            (b"aGVsbG8=", Ok(b"hello")),
            (b"aGVsbG9=", Ok(b"hello")),
            (b"aGV\nsbG8\r\n=\n", Ok(b"hello")),
            (b"aA=\n=\n", Ok(b"h")),
            (b"aGVsbG8", Err(4)),
            (b"aGVsbG8=x", Err(8)),
            (b"aA=", Err(3)),
            (b"aA=x", Err(2)),
            (b"a===", Err(1)),
            (b"aGVs bG8=", Err(4)),
            (b"aGVs\n", Ok(b"hel")),
        ] {
            assert_eq!(super::decode(encoded), decoded.map(<[u8]>::to_vec), "decoding {encoded:?}");
        }
    }
}
