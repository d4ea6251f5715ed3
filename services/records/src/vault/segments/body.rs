//! The body of a version in segments, for readers.

use std::ops::Range;
use std::sync::Arc;

use shared::ids::TenantId;
use zeroize::Zeroizing;

use super::{SEGMENT_LEN, Segment, Segments, folder};
use crate::domain::record::Record;
use crate::error::Error;
use crate::objects::Objects;
use crate::seal::{SealBroken, SubjectKey, Wrapped};
use crate::store::records::Sealed;

/// Which part of which segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The segment.
    pub(crate) segment: Segment,
    /// Where in its content.
    pub(crate) range: Range<usize>,
}

/// The body of a version that lies in segments, as far as its size is believed.
#[derive(Clone)]
pub(crate) struct Body {
    segments: Segments,
    last: Segment,
    size: u64,
}

impl Body {
    /// The body of a version, under its subject's key.
    pub(crate) fn open(
        objects: &Objects,
        tenant: TenantId,
        record: &Record,
        sealed: &Sealed,
        key: &SubjectKey,
    ) -> Result<Self, SealBroken> {
        let (id, version) = (record.id.uuid(), record.version);
        let wrapped = Wrapped::from_bytes(sealed.data_key.as_deref().ok_or(SealBroken)?)?;
        let data_key = key.open_data_key(id, version, sealed.data_key_id, &wrapped)?;
        let folder = folder(tenant, record.id, version, sealed.data_key_id);
        let segments =
            Segments::new(objects, folder, Arc::new(data_key), record.content_type.clone());
        let size = u64::try_from(record.size).map_err(|_| SealBroken)?;
        let last = Segment::last(size).ok_or(SealBroken)?;
        let count = sealed.segments.and_then(|count| u32::try_from(count).ok());
        if count != last.number.checked_add(1) {
            return Err(SealBroken);
        }
        Ok(Self { segments, last, size })
    }

    /// Bytes of content.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Opens the last chunk of the last segment: with it nothing is missing from the end.
    pub(crate) async fn check_end(&self) -> Result<(), Error> {
        self.segments.read(self.last, self.last.end()).await?;
        Ok(())
    }

    /// The pieces that a range of the content has, in order.
    pub(crate) fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Piece> + Send + use<> {
        let (last, range) = (self.last, range.start..range.end.min(self.size));
        let length = SEGMENT_LEN as u64;
        let segment = move |number| {
            if number == last.number { last } else { Segment::full(number) }
        };
        (0..=last.number).map(segment).filter_map(move |segment| {
            let start = u64::from(segment.number) * length;
            let within = |at: u64| {
                let at = at.clamp(start, start + segment.length as u64) - start;
                usize::try_from(at).unwrap_or(SEGMENT_LEN)
            };
            let range = within(range.start)..within(range.end);
            (!range.is_empty()).then_some(Piece { segment, range })
        })
    }

    /// Reads a piece.
    pub(crate) async fn read(&self, piece: Piece) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.segments.read(piece.segment, piece.range).await
    }
}
