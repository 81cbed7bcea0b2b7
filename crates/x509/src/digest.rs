//! SHA-256.

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hashing = Sha256::default();
    hashing.update(bytes);
    hashing.finish()
}

/// SHA-256 of what comes piece by piece.
#[derive(Clone)]
pub struct Sha256(ring::digest::Context);

impl Default for Sha256 {
    /// Of nothing yet.
    fn default() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }
}

impl Sha256 {
    /// And of this piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest.
    pub fn finish(self) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finish().as_ref());
        digest
    }
}
