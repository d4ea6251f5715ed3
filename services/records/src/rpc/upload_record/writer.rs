//! Segments on their way: sealed, put, noted.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use diesel::PgConnection;
use shared::clock::Clock;
use shared::db::{Db, Scope};
use shared::deadline::Deadline;
use shared::field::invalid;
use shared::ids::TenantId;
use shared::problem::Problem;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Stop, lost};
use crate::domain::upload::UploadId;
use crate::error::Error;
use crate::rpc::offload;
use crate::seal::Committing;
use crate::store::uploads;
use crate::vault::segments::{Put, SEGMENT_LEN, Segment, Segments};

/// How long it may take to note that a segment is kept.
const NOTE_TIMEOUT: Duration = Duration::from_secs(10);

/// Content of at most one segment. It is wiped when dropped.
pub(super) type Buffer = Zeroizing<Vec<u8>>;

/// The SHA-256 of the content so far, and the commitment to it.
pub(super) struct Digests {
    pub(super) sha256: digest::Context,
    pub(super) commitment: Committing,
}

impl Digests {
    /// Takes in the next of the content, where it does not hold up other calls.
    pub(super) async fn update(mut self, content: Arc<Buffer>) -> Result<Self, Problem> {
        let update = move || {
            self.sha256.update(&content);
            self.commitment.update(&content);
            self
        };
        offload(SEGMENT_LEN, update).await
    }
}

/// What a segment needs on its way.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) db: Db,
    pub(super) clock: Clock,
    pub(super) age: Duration,
    pub(super) tenant: TenantId,
    pub(super) upload: UploadId,
    pub(super) lease: Uuid,
    pub(super) segments: Segments,
}

impl Writer {
    /// Seals, puts and notes a segment that is not the last. Its buffer comes back.
    pub(super) async fn write(
        self,
        number: u32,
        digests: Digests,
        content: Buffer,
    ) -> Result<(Digests, Buffer), Stop> {
        let content = Arc::new(content);
        let put = self.segments.put(Segment::full(number), &content);
        let digest = digests.update(Arc::clone(&content));
        let (put, digests) = tokio::join!(put, digest);
        let digests = digests?;
        kept(put?)?;
        self.note(number + 1).await?;
        // Both who worked on it have let it go.
        let mut spare = Arc::into_inner(content).unwrap_or_else(buffer);
        spare.clear();
        Ok((digests, spare))
    }

    async fn note(&self, segments: u32) -> Result<(), Stop> {
        let (tenant, upload, lease) = (self.tenant, self.upload, self.lease);
        let received = u64::from(segments) * SEGMENT_LEN as u64;
        let expire_time = self.clock.now().plus(self.age);
        let note = move |conn: &mut PgConnection| {
            let progress = (segments, received);
            Ok::<_, Error>(uploads::advance(conn, tenant, upload, lease, progress, expire_time)?)
        };
        let scope = Scope::tenant(tenant, Deadline::after(NOTE_TIMEOUT));
        match self.db.write("advance_upload", scope, note).await? {
            true => Ok(()),
            false => Err(lost().into()),
        }
    }
}

/// What is kept in the place of a segment has to be that segment.
pub(super) fn kept(put: Put) -> Result<(), Stop> {
    match put {
        Put::Done => Ok(()),
        Put::Differs => {
            let sentence = "must be what was sent before under this request_id";
            Err(Stop::refused(Problem::from(invalid(sentence)).in_field("content")))
        }
    }
}

/// Room for a whole segment at once: a buffer that grows would leave copies behind.
pub(super) fn buffer() -> Buffer {
    Zeroizing::new(Vec::with_capacity(SEGMENT_LEN))
}
