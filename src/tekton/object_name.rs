//! What Kubernetes lets objects and namespaces be called.

/// Whether an object may be called so (Kubernetes, `IsDNS1123Subdomain`).
pub(crate) fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether a namespace may be called so (Kubernetes, `IsDNS1123Label`).
pub(crate) fn is_namespace(name: &str) -> bool {
    name.len() <= 63 && is_label(name)
}

fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}
