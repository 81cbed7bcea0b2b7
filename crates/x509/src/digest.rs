//! SHA-256.

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hashing = Sha256::new();
    hashing.update(bytes);
    hashing.finish()
}

/// SHA-256 of what comes piece by piece.
#[derive(Clone)]
pub struct Sha256(ring::digest::Context);

impl Sha256 {
    /// Of nothing yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Sha256 {
        Sha256(ring::digest::Context::new(&ring::digest::SHA256))
    }

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
