//! How fast a body is sealed and opened in memory, on one core.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ::records::seal::{DataKey, SealBroken, SealFailed};
use serde::Serialize;
use uuid::Uuid;

use crate::bench::error::BenchError;

/// A body, and for how long.
const BODY: usize = 8 << 20;
const LENGTH: Duration = Duration::from_secs(2);
const CONTENT_TYPE: &str = "application/octet-stream";

/// Bytes a second.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Cipher {
    pub(super) seal_bytes_per_second: f64,
    pub(super) open_bytes_per_second: f64,
}

/// Seals and opens bodies in turn. Blocks.
pub(super) fn measure() -> Result<Cipher, BenchError> {
    let broken = |_: SealBroken| BenchError::Service("what was sealed does not open".to_owned());
    let failed = |_: SealFailed| BenchError::Service("nothing can be sealed".to_owned());
    let ids = [(); 4].map(|()| Uuid::now_v7());
    let key = DataKey::random(ids[0], ids[1], ids[2], 1, ids[3]).map_err(failed)?;
    let body: Vec<u8> = (0..BODY).map(|_| rand::random()).collect();
    let (mut sealing, mut opening, mut rounds) = (Duration::ZERO, Duration::ZERO, 0);
    while sealing + opening < LENGTH {
        let began = Instant::now();
        let sealed = key.seal(CONTENT_TYPE, black_box(&body)).map_err(failed)?;
        sealing += began.elapsed();
        let began = Instant::now();
        let opened = key.open(CONTENT_TYPE, black_box(&sealed)).map_err(broken)?;
        opening += began.elapsed();
        black_box(opened);
        rounds += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "figures have a few digits")]
    let rate = |took: Duration| f64::from(rounds) * BODY as f64 / took.as_secs_f64();
    Ok(Cipher { seal_bytes_per_second: rate(sealing), open_bytes_per_second: rate(opening) })
}
