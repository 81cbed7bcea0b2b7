//! One step's life, in order (design section 4).
