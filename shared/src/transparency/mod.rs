//! The log.

/// The hash of a leaf (RFC 6962 2.1): SHA-256 of a zero byte and the data.
pub fn leaf_hash(data: &str) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(&[0]);
    context.update(data.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
