//! Bodies that are too large for the database: segments in the object store.
//!
//! All segments of a body hold [`SEGMENT_LEN`] bytes of content but the last, which may hold fewer.
//! Each is sealed on its own, in its place, under the data key of the version; the last one says
//! that it is the last. Ranges are read without the rest, chunk by chunk.

mod body;

use std::ops::Range;
use std::sync::Arc;

use shared::ids::TenantId;
use shared::task;
use tonic::codegen::Bytes;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::domain::content_type::ContentType;
use crate::domain::record::RecordId;
use crate::error::Error;
use crate::objects::{ObjectError, Objects};
use crate::seal::body::{CHUNK_LEN, HEADER_LEN, Layout};
use crate::seal::{DataKey, SealBroken, SealFailed};

pub(crate) use body::{Body, Piece};

/// Bytes of content in every segment but the last.
pub(crate) const SEGMENT_LEN: usize = 4 * 1024 * 1024;

/// Where the segments of a version lie. It names nobody.
pub(crate) fn folder(
    tenant: TenantId,
    record: RecordId,
    version: i64,
    data_key_id: Uuid,
) -> String {
    format!("bodies/{}/{}/{version}/{data_key_id}", tenant.uuid(), record.uuid())
}

/// One segment of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its place: 0, 1, 2.
    pub(crate) number: u32,
    /// Whether none comes after it.
    pub(crate) is_last: bool,
    /// Bytes of content.
    pub(crate) length: usize,
}

impl Segment {
    /// A segment of content that goes on after it.
    pub(crate) fn full(number: u32) -> Self {
        Self { number, is_last: false, length: SEGMENT_LEN }
    }

    /// The last segment of content of `size` bytes; none where there is no content, or too much.
    pub(crate) fn last(size: u64) -> Option<Self> {
        let before = size.checked_sub(1)? / SEGMENT_LEN as u64;
        let length = size - before * SEGMENT_LEN as u64;
        let (number, length) = (u32::try_from(before).ok()?, usize::try_from(length).ok()?);
        Some(Self { number, is_last: true, length })
    }

    fn layout(self) -> Layout {
        Layout::of_plaintext(self.length)
    }

    /// The chunk that vouches for its length.
    fn end(self) -> Range<usize> {
        self.length - self.length % CHUNK_LEN..self.length
    }
}

/// What a segment that was to be put has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there, now or since an earlier attempt.
    Done,
    /// Another one is in its place, or what does not open.
    Differs,
}

/// The key and the place of a version's segments.
#[derive(Clone)]
pub(crate) struct Segments {
    objects: Objects,
    folder: String,
    key: Arc<DataKey>,
    content_type: ContentType,
}

impl Segments {
    /// The segments that this data key seals, in its folder.
    pub(crate) fn new(
        objects: &Objects,
        folder: String,
        key: Arc<DataKey>,
        content_type: ContentType,
    ) -> Self {
        Self { objects: objects.clone(), folder, key, content_type }
    }

    /// The media type of the content, which it is bound to.
    pub(crate) fn content_type(&self) -> &ContentType {
        &self.content_type
    }

    /// Seals a segment and puts it. The content comes back, whatever happens.
    pub(crate) async fn put(
        &self,
        segment: Segment,
        content: &Arc<Zeroizing<Vec<u8>>>,
    ) -> Result<Put, Error> {
        let (segments, plain) = (self.clone(), Arc::clone(content));
        let seal = move || segments.seal(segment, &plain);
        let sealed = Bytes::from(blocking(seal).await??);
        let path = self.path(segment.number);
        match self.objects.create(&path, sealed).await {
            Ok(()) => Ok(Put::Done),
            // An earlier attempt has put it and told nobody. Sealed anew it would be another one,
            // and whoever reads the first meanwhile would fail.
            Err(ObjectError::Exists) => match self.read(segment, 0..segment.length).await {
                Ok(kept) if *kept == ***content => Ok(Put::Done),
                Ok(_) => Ok(Put::Differs),
                Err(error) if error.is_broken() => Ok(Put::Differs),
                Err(error) => Err(error),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn seal(&self, segment: Segment, content: &[u8]) -> Result<Vec<u8>, SealFailed> {
        let Segment { number, is_last, .. } = segment;
        self.key.seal_segment(self.content_type.as_str(), number, is_last, content)
    }

    /// Reads a range of a segment's content: the chunks that hold it, and no others.
    pub(crate) async fn read(
        &self,
        segment: Segment,
        range: Range<usize>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let layout = segment.layout();
        let mut chunks = layout.chunks_of(range.start as u64..range.end as u64);
        if chunks.is_empty() {
            // A last chunk without content still says that nothing comes after it.
            chunks = layout.last_chunk()..layout.last_chunk() + 1;
        }
        let place = |number| layout.chunk(number).ok_or(SealBroken);
        let (first, last) = (place(chunks.start)?, place(chunks.end - 1)?);
        let (path, size) = (self.path(segment.number), layout.ciphertext_len());
        let get = |range| self.objects.get_range(&path, size, range);
        // What begins at the first chunk has the header before it.
        let (header, sealed) = if chunks.start == 0 {
            let mut sealed = get(0..last.end).await?;
            (sealed.split_to(HEADER_LEN), sealed)
        } else {
            (get(0..HEADER_LEN as u64).await?, get(first.start..last.end).await?)
        };
        let segments = self.clone();
        let open = move || segments.open(segment, &header, chunks, &sealed, range);
        Ok(blocking(open).await??)
    }

    fn open(
        &self,
        segment: Segment,
        header: &[u8],
        chunks: Range<u64>,
        sealed: &[u8],
        range: Range<usize>,
    ) -> Result<Zeroizing<Vec<u8>>, SealBroken> {
        let (layout, header) = (segment.layout(), header.try_into().map_err(|_| SealBroken)?);
        let (number, is_last) = (segment.number, segment.is_last);
        let opener = self.key.segment_opener(
            self.content_type.as_str(),
            number,
            is_last,
            header,
            layout.ciphertext_len(),
        )?;
        let mut content = Zeroizing::new(Vec::with_capacity(sealed.len()));
        let mut rest = sealed;
        for number in chunks.clone() {
            let place = layout.chunk(number).ok_or(SealBroken)?;
            let length = usize::try_from(place.end - place.start).map_err(|_| SealBroken)?;
            let (chunk, after) = rest.split_at_checked(length).ok_or(SealBroken)?;
            opener.open_chunk(number, chunk, &mut content)?;
            rest = after;
        }
        let before = usize::try_from(chunks.start).map_err(|_| SealBroken)? * CHUNK_LEN;
        let skipped = range.start.checked_sub(before).ok_or(SealBroken)?;
        content.truncate(range.end - before);
        content.drain(..skipped);
        Ok(content)
    }

    fn path(&self, number: u32) -> String {
        format!("{}/{number:06}", self.folder)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    task::blocking(work).await.map_err(|error| {
        // The text of a panic may quote what was worked on.
        tracing::error!(panicked = error.is_panic(), "work on a segment did not end");
        shared::problem::Problem::internal().into()
    })
}
