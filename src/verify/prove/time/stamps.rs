//! Time-stamp tokens that the operator gave, and the TSAs that the operator trusts.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use x509::{
    Certificate, CertificateError,
    pem::{self, PemError},
    time_stamp::{self, Digest, MAX_TOKEN, Request, TimeStamp, Token},
};

use crate::verify::prove::time::error::TimeStampTokenError;

/// Why a file with a TSA's certificate is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TsaFileError {
    /// Not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// No certificate.
    #[error("certificate {number}: {error}")]
    Certificate {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// Nothing in it.
    #[error("it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    Empty,
}

/// TSAs that count, and tokens from files.
#[derive(Debug, Clone, Default)]
pub struct TimeStamps {
    tsas: Vec<Certificate>,
    /// By digest of the attestation.
    tokens: HashMap<Vec<u8>, Vec<Token>>,
    /// The digests that these are.
    digests: Vec<Digest>,
}

impl TimeStamps {
    /// Trusts the certificates in this PEM: roots of TSAs, or TSAs' own. Tokens that lead to none of them prove nothing. Returns those
    /// that cannot be used, with the reason: nothing leads to them. It is an error if that leaves none.
    pub fn trust_pem(&mut self, text: &str) -> Result<Vec<TsaFileError>, TsaFileError> {
        let ders = pem::certificates(text).collect::<Result<Vec<_>, _>>()?;
        let mut refused = Vec::new();
        let mut good = Vec::new();
        for (index, der) in ders.iter().enumerate() {
            match Certificate::parse(der) {
                Ok(certificate) => good.push(certificate),
                Err(error) => refused.push(TsaFileError::Certificate { number: index + 1, error }),
            }
        }
        if good.is_empty() {
            return Err(refused.into_iter().next().unwrap_or(TsaFileError::Empty));
        }
        self.tsas.extend(good);
        Ok(refused)
    }

    /// Adds a token (TimeStampResp or TimeStampToken, DER). It belongs to the attestation that it is of.
    pub fn add(&mut self, der: &[u8]) -> Result<(), TimeStampTokenError> {
        let token = Token::parse(der)?;
        if !self.digests.contains(&token.imprint().digest) {
            self.digests.push(token.imprint().digest);
        }
        self.tokens.entry(token.imprint().hash.clone()).or_default().push(token);
        Ok(())
    }

    /// Adds the token in a file, or in every `.tsr` file of a folder (not of folders in it). Returns files that hold no
    /// token, with the reason: they prove nothing, and nothing is lost but that.
    pub fn add_path(&mut self, path: &Path) -> io::Result<Vec<(PathBuf, TimeStampTokenError)>> {
        let mut files = vec![path.to_owned()];
        if path.is_dir() {
            let entries =
                fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
            let is_token = |file: &PathBuf| {
                file.extension().is_some_and(|extension| extension == "tsr") && file.is_file()
            };
            files = entries.into_iter().filter(is_token).collect();
            files.sort();
        }
        let mut refused = Vec::new();
        for file in files {
            let der = read_bounded(&file)?;
            if let Err(error) = self.add(&der) {
                refused.push((file, error));
            }
        }
        Ok(refused)
    }

    /// Checks a token that is to be kept: that it is of this attestation (decoded), and fully if there are TSAs that count, else only
    /// that it is whole and carries its signer's certificate.
    pub fn check(&self, der: &[u8], attestation: &[u8]) -> Result<TimeStamp, TimeStampTokenError> {
        self.check_token(&Token::parse(der)?, attestation)
    }

    /// The same for a TSA's answer to a request about this attestation.
    pub fn check_answer(
        &self,
        request: &Request,
        answer: &[u8],
        attestation: &[u8],
    ) -> Result<TimeStamp, TimeStampTokenError> {
        let token = Token::parse(answer)?;
        request.check_answer(&token)?;
        self.check_token(&token, attestation)
    }

    fn check_token(&self, token: &Token, attestation: &[u8]) -> Result<TimeStamp, TimeStampTokenError> {
        if !token.imprint().is_of(attestation) {
            return Err(time_stamp::TokenError::OtherData.into());
        }
        let checked = if self.tsas.is_empty() { token.check_whole() } else { token.verify(&self.tsas) };
        Ok(checked?)
    }

    /// The TSAs that count.
    pub(crate) fn tsas(&self) -> &[Certificate] {
        &self.tsas
    }

    /// Tokens of this attestation.
    pub(crate) fn of(&self, attestation: &[u8]) -> impl Iterator<Item = &Token> {
        let hashes = self.digests.iter().map(|digest| digest.of(attestation));
        hashes.filter_map(|hash| self.tokens.get(hash.as_ref())).flatten()
    }
}

/// One byte more than a token may have, at most: enough to refuse it.
fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    let mut der = Vec::new();
    let limit = u64::try_from(MAX_TOKEN + 1).unwrap_or(u64::MAX);
    io::Read::read_to_end(&mut io::Read::take(fs::File::open(file)?, limit), &mut der)?;
    Ok(der)
}

/// The annotation's tokens by step, each in base64; `None` if it is not a JSON object from step names to text.
pub fn read_annotation(annotation: &Value) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(annotation.as_str()?).ok()
}

/// The token in the annotation's text for one step.
pub(crate) fn from_base64(text: &str) -> Result<Token, TimeStampTokenError> {
    // Four characters for three bytes.
    if text.len() > MAX_TOKEN.div_ceil(3) * 4 {
        return Err(time_stamp::TokenError::TooLong { bytes: text.len() / 4 * 3 }.into());
    }
    Ok(Token::parse(&STANDARD.decode(text).map_err(|_| TimeStampTokenError::Base64)?)?)
}
