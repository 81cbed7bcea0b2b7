//! Verification (design section 7).
