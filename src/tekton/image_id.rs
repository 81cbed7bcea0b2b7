//! `imageID`: the image that a container runs in, as the container runtime told the kubelet (Kubernetes, `ContainerStatus.imageID`), and
//! as Tekton's controller copies it into `status.steps[].imageID`.
//!
//! `registry.example.org/app@sha256:…` for an image that was pulled, whose digest is that of its manifest or index; `sha256:…` for one that
//! was brought to the node otherwise, whose digest is that of its configuration. Docker's shim wrote `docker-pullable://` before it.

/// An `imageID` that says which content it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageId {
    /// SHA-256 of the manifest, index or configuration.
    pub digest: [u8; 32],
}

impl ImageId {
    /// Reads one. `None`: it has no digest, as a tag alone has none, one of another algorithm, or one that is not 64 lower-case hexadecimal
    /// digits (OCI image-spec `descriptor.md`, "SHA-256").
    pub fn parse(text: &str) -> Option<Self> {
        let reference = text.split_once("://").map_or(text, |(_, reference)| reference);
        let digest = match reference.split_once('@') {
            Some((name, digest)) if is_name(name) => digest,
            Some(_) => return None,
            None => reference,
        };
        let digits = digest.strip_prefix("sha256:")?.as_bytes();
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self { digest: bytes })
    }

    /// The first 8 bytes of the digest, which a certificate may attest (docs/evidence.md 8).
    pub fn start(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.digest;
        [a, b, c, d, e, f, g, h]
    }
}

/// Whether a text is that of a registry, repository and perhaps a tag: visible ASCII without the `@` that ends it.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
}
