//! Time-stamp tokens: RFC 3161 2.4.2 in the CMS of RFC 5652, with the signer named as RFC 5035 (and RFC 5816) say.
//!
//! Every field must be one that the standards put there: a token has one reading. What `openssl ts -verify` accepts is accepted, but
//! for the rules in docs/verify.md ("What makes a token good"), which a test holds against OpenSSL (tests/verify/time_openssl.rs).

use time::{Date, Month, PrimitiveDateTime, Time};
use unixtime::UnixSeconds;

use super::{
    MAX_TOKEN, TST_INFO, TimeStamp,
    ber::definite,
    error::TokenError,
    read_algorithm,
    signer::{Digest, SignerInfo},
    tsa,
};
use crate::{
    certificate::Certificate,
    der::{
        BIT_STRING, BOOLEAN, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, SET,
        fields::{Fields, Malformed},
        tagged, tagged_primitive,
    },
    digest::sha256,
};

/// More certificates than any token in use carries; bounds the work that one can cause.
const MAX_CERTIFICATES: usize = 16;

/// Microseconds.
const CENTURY: i64 = 100 * 365 * 86400 * 1_000_000;

/// id-signedData (RFC 5652 5.1).
const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";

/// A token that was read; [`Token::verify`] says what it proves.
#[derive(Debug, Clone)]
pub struct Token {
    imprint: Imprint,
    /// The nonce of the request: content of an INTEGER.
    pub(super) nonce: Option<Vec<u8>>,
    /// Content of the TSA policy's OBJECT IDENTIFIER.
    pub(super) policy: Vec<u8>,
    gen_time: GenTime,
    signer: SignerInfo,
    /// Those that can be read; none is trusted for being here.
    certificates: Vec<Certificate>,
}

/// The digest of what was time-stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imprint {
    /// Its algorithm.
    pub digest: Digest,
    /// The digest itself.
    pub hash: Vec<u8>,
}

impl Imprint {
    /// Whether this was time-stamped.
    pub fn is_of(&self, stamped: &[u8]) -> bool {
        self.digest.of(stamped).as_ref() == self.hash
    }
}

/// When, with the accuracy put around it and rounded outwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenTime {
    /// The stated time, rounded down.
    pub seconds: UnixSeconds,
    /// The start of what the accuracy allows.
    pub earliest: UnixSeconds,
    /// The end of what the accuracy allows.
    pub latest: UnixSeconds,
}

impl Token {
    /// Reads a TimeStampResp that was granted, or the TimeStampToken alone.
    pub fn parse(ber: &[u8]) -> Result<Self, TokenError> {
        if ber.len() > MAX_TOKEN {
            return Err(TokenError::TooLong { bytes: ber.len() });
        }
        let what = "it is neither a TimeStampResp nor a TimeStampToken";
        let der = definite(ber).ok_or(Malformed(what))?;
        let mut outer = Fields::of(&der, SEQUENCE, what)?;
        if outer.peek() == Some(OID) {
            return Self::from_content_info(&der);
        }
        check_granted(outer.next(SEQUENCE)?)?;
        let token = outer.next_whole(SEQUENCE)?;
        outer.end()?;
        Self::from_content_info(token.whole)
    }

    /// ContentInfo and SignedData (RFC 5652 3 and 5.1).
    fn from_content_info(der: &[u8]) -> Result<Self, TokenError> {
        let mut info = Fields::of(der, SEQUENCE, "ContentInfo")?;
        if info.next(OID)? != SIGNED_DATA {
            return Err(Malformed("its content is not signed").into());
        }
        let content = info.next(tagged(0))?;
        info.end()?;

        let mut signed = Fields::of(content, SEQUENCE, "SignedData")?;
        // It says nothing that the fields do not say.
        signed.integer()?;
        let digests = Fields::new(signed.next(SET)?, "digestAlgorithms").all()?;
        let mut encapsulated = Fields::new(signed.next(SEQUENCE)?, "encapContentInfo");
        if encapsulated.next(OID)? != TST_INFO {
            return Err(Malformed("what is signed is not a TSTInfo").into());
        }
        let octets = encapsulated.next(tagged(0))?;
        encapsulated.end()?;
        let tst_info = Fields::of(octets, OCTET_STRING, "eContent")?;
        let certificates = signed.optional(tagged(0))?.unwrap_or_default();
        signed.optional(tagged(1))?;
        let signers = Fields::new(signed.next(SET)?, "signerInfos").all()?;
        signed.end()?;
        let [signer] = signers.as_slice() else {
            return Err(Malformed("it has not exactly one signer").into());
        };

        let tst_info = tst_info.content();
        let info = TstInfo::parse(&definite(tst_info).ok_or(Malformed("TSTInfo"))?)?;
        let (digest_oid, signer) = SignerInfo::parse(signer.whole, tst_info)?;
        let mut announced = false;
        for digest in digests {
            let content = Fields::of(digest.whole, SEQUENCE, "digestAlgorithms")?.content();
            announced |= read_algorithm(content, "digestAlgorithms")? == digest_oid;
        }
        if !announced {
            return Err(Malformed("its signer's digest is not among the digestAlgorithms").into());
        }
        Ok(Self {
            imprint: info.imprint,
            nonce: info.nonce,
            policy: info.policy,
            gen_time: info.gen_time,
            signer,
            certificates: read_certificates(certificates)?,
        })
    }

    /// The digest of what was time-stamped.
    pub fn imprint(&self) -> &Imprint {
        &self.imprint
    }

    /// The time that it states.
    pub fn gen_time(&self) -> GenTime {
        self.gen_time
    }

    /// Checks signature, signer and the signer's chain at the token's own time.
    ///
    /// `given` are the certificates that are trusted: roots, or TSAs' own. Those in the token only help to get there.
    pub fn verify(&self, given: &[Certificate]) -> Result<TimeStamp, TokenError> {
        if given.is_empty() {
            return Err(TokenError::NoAuthority);
        }
        let signer = self.signer.find(self.certificates.iter().chain(given))?;
        tsa::check(signer, &self.certificates, given, self.gen_time.seconds)?;
        Ok(self.by(signer))
    }

    /// Checks no more than that it is whole: the signature, by the certificate it carries. That proves nothing about the time.
    pub fn check_whole(&self) -> Result<TimeStamp, TokenError> {
        self.signer.find(self.certificates.iter()).map(|signer| self.by(signer))
    }

    fn by(&self, signer: &Certificate) -> TimeStamp {
        TimeStamp { gen_time: self.gen_time.seconds, tsa: sha256(signer.der()) }
    }
}

/// PKIStatusInfo (RFC 3161 2.4.2): only granted (0) and granted with modifications (1) come with a token.
fn check_granted(content: &[u8]) -> Result<(), TokenError> {
    let mut fields = Fields::new(content, "PKIStatusInfo");
    let status = fields.number(INTEGER)?;
    let mut words = Vec::new();
    for text in Fields::new(fields.optional(SEQUENCE)?.unwrap_or_default(), "statusString").all()? {
        words.push(String::from_utf8_lossy(text.content).into_owned());
    }
    let failure = fields.optional(BIT_STRING)?;
    fields.end()?;
    if matches!(status, 0 | 1) {
        return Ok(());
    }
    let status = match status {
        2 => "rejection".to_owned(),
        3 => "waiting".to_owned(),
        4 => "revocation warning".to_owned(),
        5 => "revocation notification".to_owned(),
        other => format!("status {other}"),
    };
    let failures = failure.map(read_failures).unwrap_or_default();
    words.insert(0, status);
    words.extend(failures.iter().map(|failure| (*failure).to_owned()));
    Err(TokenError::NotGranted { reason: words.join(", ") })
}

/// Names of the bits of PKIFailureInfo.
fn read_failures(bits: &[u8]) -> Vec<&'static str> {
    let known = [
        (0, "unknown or unsupported digest (badAlg)"),
        (2, "transaction not permitted (badRequest)"),
        (5, "data in a wrong format (badDataFormat)"),
        (14, "its time source is not available (timeNotAvailable)"),
        (15, "policy not supported (unacceptedPolicy)"),
        (16, "extension not supported (unacceptedExtension)"),
        (17, "additional information not available (addInfoNotAvailable)"),
        (25, "system failure (systemFailure)"),
    ];
    let octets = bits.get(1..).unwrap_or_default();
    let is_set = |bit: usize| octets.get(bit / 8).is_some_and(|octet| octet & (0x80 >> (bit % 8)) != 0);
    known.into_iter().filter(|(bit, _)| is_set(*bit)).map(|(_, name)| name).collect()
}

/// CertificateSet (RFC 5652 10.2.3). What is no X.509 certificate of version 3 cannot help, and nothing rests on it.
fn read_certificates(content: &[u8]) -> Result<Vec<Certificate>, TokenError> {
    let found = Fields::new(content, "certificates").all()?;
    if found.len() > MAX_CERTIFICATES {
        return Err(Malformed("it carries more than 16 certificates").into());
    }
    Ok(found.iter().filter_map(|element| Certificate::parse(element.whole).ok()).collect())
}

/// TSTInfo (RFC 3161 2.4.2), as far as it is looked at.
struct TstInfo {
    imprint: Imprint,
    gen_time: GenTime,
    nonce: Option<Vec<u8>>,
    policy: Vec<u8>,
}

impl TstInfo {
    fn parse(der: &[u8]) -> Result<Self, TokenError> {
        let mut fields = Fields::of(der, SEQUENCE, "TSTInfo")?;
        if fields.number(INTEGER)? != 1 {
            return Err(Malformed("its TSTInfo is not of version 1").into());
        }
        let policy = fields.next(OID)?.to_vec();
        let mut imprint = Fields::new(fields.next(SEQUENCE)?, "messageImprint");
        let oid = read_algorithm(imprint.next(SEQUENCE)?, "messageImprint")?;
        let hash = imprint.next(OCTET_STRING)?;
        imprint.end()?;
        let digest = Digest::from_oid(oid).ok_or(TokenError::OtherDigest)?;
        let imprint = Imprint { digest, hash: hash.to_vec() };
        fields.integer()?;
        let time = fields.next(GENERALIZED_TIME)?;
        let accuracy = match fields.optional(SEQUENCE)? {
            Some(accuracy) => read_accuracy_micros(accuracy)?,
            None => 0,
        };
        // FALSE is left out in DER, and written by some.
        if fields.optional(BOOLEAN)?.is_some_and(|ordering| ordering.len() != 1) {
            return Err(Malformed("ordering").into());
        }
        let nonce = match fields.peek() {
            Some(INTEGER) => Some(fields.integer()?.to_vec()),
            _ => None,
        };
        fields.optional(tagged(0))?;
        if let Some(extensions) = fields.optional(tagged(1))? {
            check_extensions(extensions)?;
        }
        fields.end()?;
        Ok(Self { imprint, gen_time: GenTime::parse(time, accuracy)?, nonce, policy })
    }
}

fn check_extensions(content: &[u8]) -> Result<(), TokenError> {
    for extension in Fields::new(content, "extensions").all()? {
        let mut fields = Fields::of(extension.whole, SEQUENCE, "extensions")?;
        fields.next(OID)?;
        if fields.optional(BOOLEAN)?.is_some_and(|critical| critical != [0]) {
            return Err(TokenError::CriticalExtension);
        }
        fields.next(OCTET_STRING)?;
        fields.end()?;
    }
    Ok(())
}

/// Accuracy: seconds, millis and micros, each of which may be left out. More than a century is as good as a century.
fn read_accuracy_micros(content: &[u8]) -> Result<i64, TokenError> {
    let mut fields = Fields::new(content, "accuracy");
    let mut micros: i64 = 0;
    for (tag, unit) in [(INTEGER, 1_000_000), (tagged_primitive(0), 1000), (tagged_primitive(1), 1)] {
        if fields.peek() == Some(tag) {
            micros = micros.saturating_add(fields.number(tag)?.saturating_mul(unit));
        }
    }
    fields.end()?;
    Ok(micros.min(CENTURY))
}

impl GenTime {
    /// `YYYYMMDDhhmmss[.s…]Z` (RFC 3161 2.4.2). Zeros at the end of the fraction, which DER leaves out, and a comma before it, which BER
    /// admits, change nothing. A token that states no accuracy is taken at its word.
    fn parse(text: &[u8], accuracy_micros: i64) -> Result<Self, Malformed> {
        let bad = Malformed("genTime");
        let text = std::str::from_utf8(text).ok().and_then(|text| text.strip_suffix('Z')).ok_or(bad)?;
        let (whole, fraction) = match text.split_once(['.', ',']) {
            None => (text, ""),
            Some((_, "")) => return Err(bad),
            Some((whole, fraction)) => (whole, fraction.trim_end_matches('0')),
        };
        if whole.len() != 14 || !whole.bytes().chain(fraction.bytes()).all(|c| c.is_ascii_digit()) {
            return Err(bad);
        }
        let number = |range: std::ops::Range<usize>| whole[range].parse::<u16>().ok();
        let two = |start: usize| number(start..start + 2).and_then(|number| u8::try_from(number).ok());
        let seconds = (|| {
            let month = Month::try_from(two(4)?).ok()?;
            let date = Date::from_calendar_date(i32::from(number(0..4)?), month, two(6)?).ok()?;
            // A leap second is the first one of the next minute.
            let second = two(12)?;
            let time = Time::from_hms(two(8)?, two(10)?, second.min(59)).ok()?;
            let leap = if second == 60 { 1 } else { 0 };
            (second <= 60).then(|| PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp() + leap)
        })()
        .ok_or(bad)?;
        // Digits beyond the sixth round the end up.
        let micros = format!("{fraction:0<6.6}").parse::<i64>().unwrap_or(0);
        let more = i64::from(fraction.len() > 6);
        let (earliest, latest) = (micros - accuracy_micros, micros + more + accuracy_micros);
        Ok(Self {
            seconds: UnixSeconds::new(seconds),
            earliest: UnixSeconds::new(seconds + earliest.div_euclid(1_000_000)),
            latest: UnixSeconds::new(seconds + (latest + 999_999).div_euclid(1_000_000)),
        })
    }
}
