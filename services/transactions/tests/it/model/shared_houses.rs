//! Many callers.
