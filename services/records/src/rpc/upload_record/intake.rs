//! Content as it arrives: cut into segments, each sealed, put and noted while the next one fills.
//!
//! A segment says whether it is the last, so a full one is kept back until more content comes. At
//! most three segments are in memory: the one that fills, the one before it, and that one sealed.

use std::sync::Arc;

use aws_lc_rs::digest;
use shared::field::invalid;
use shared::grpc::Call;
use shared::grpc::call::with_trace_id;
use shared::problem::Problem;
use tokio_util::task::AbortOnDropHandle;
use tonic::codegen::Bytes;
use tracing::Instrument as _;

use super::Stop;
use super::begin::Open;
use super::writer::{Buffer, Digests, Writer, buffer};
use crate::domain::content_type::ContentType;
use crate::domain::record::CONTENT_MAX;
use crate::error::Error;
use crate::rpc::{Rpc, content};
use crate::seal::Committing;
use crate::vault::segments::{SEGMENT_LEN, Segment, Segments, folder};

/// All of the content, but for the segments that are kept.
pub(super) struct Whole {
    /// Bytes of all of it.
    pub(super) size: u64,
    /// What comes after the segments that are kept.
    pub(super) tail: Buffer,
    /// What was made of the segments that are kept.
    pub(super) digests: Digests,
    /// The commitment's salt, wrapped.
    pub(super) salt: Vec<u8>,
    /// Where the tail goes, if it is too large for the database.
    pub(super) segments: Segments,
}

/// Takes in content.
pub(super) struct Intake<'a> {
    rpc: &'a Rpc,
    call: &'a Call,
    open: &'a Open,
    /// What has arrived and was kept before.
    skip: u64,
    size: u64,
    number: u32,
    buffer: Buffer,
    writing: Writing,
    writer: Writer,
    salt: Vec<u8>,
}

/// The segment before the one that fills.
enum Writing {
    /// It is kept, or there is none.
    Idle(Box<Digests>, Option<Buffer>),
    /// It is on its way.
    Busy(AbortOnDropHandle<Result<(Digests, Buffer), Stop>>),
    /// It failed.
    Failed,
}

impl<'a> Intake<'a> {
    /// Goes on after what is kept, which is read back: the content's hash takes it in too.
    pub(super) async fn new(rpc: &'a Rpc, call: &'a Call, open: &'a Open) -> Result<Self, Stop> {
        let upload = &open.upload;
        let (salt, wrapped) =
            open.key.new_salt(upload.record.uuid(), upload.version).map_err(Error::from)?;
        let content_type = ContentType::stored(upload.header.content_type.clone());
        let folder = folder(open.tenant, upload.record, upload.version, upload.data_key_id);
        let segments =
            Segments::new(&rpc.objects, folder, Arc::clone(&open.data_key), content_type);
        let mut digests = Digests {
            sha256: digest::Context::new(&digest::SHA256),
            commitment: Committing::new(&salt),
        };
        for number in 0..upload.segments {
            let kept = segments.read(Segment::full(number), 0..SEGMENT_LEN).await;
            let kept = kept.map_err(|error| {
                let is_broken = error.is_broken();
                let problem = Problem::from(error);
                if is_broken { Stop::Void(problem) } else { problem.into() }
            })?;
            digests = digests.update(Arc::new(kept)).await?;
        }
        let writer = Writer {
            db: rpc.db.clone(),
            clock: rpc.clock.clone(),
            age: rpc.streams.upload_age,
            tenant: open.tenant,
            upload: upload.id,
            lease: open.lease,
            segments,
        };
        Ok(Self {
            rpc,
            call,
            open,
            skip: upload.received - open.offset,
            size: upload.received,
            number: upload.segments,
            buffer: buffer(),
            writing: Writing::Idle(Box::new(digests), None),
            writer,
            salt: wrapped.to_bytes(),
        })
    }

    /// Takes in the next of the content.
    pub(super) async fn add(&mut self, mut content: Bytes) -> Result<(), Stop> {
        let skipped = self.skip.min(content.len() as u64);
        self.skip -= skipped;
        drop(content.split_to(usize::try_from(skipped).unwrap_or(content.len())));
        self.grow(content.len() as u64).await?;
        while !content.is_empty() {
            if self.buffer.len() == SEGMENT_LEN {
                self.write().await?;
            }
            let room = SEGMENT_LEN - self.buffer.len();
            self.buffer.extend_from_slice(&content.split_to(room.min(content.len())));
        }
        Ok(())
    }

    /// Refuses what is too large as soon as it is.
    async fn grow(&mut self, by: u64) -> Result<(), Stop> {
        let (before, max) = (self.size, self.rpc.streams.body_max);
        self.size += by;
        if self.size > max {
            let sentence = format!("must be at most {max} bytes in all");
            return Err(Stop::Void(Problem::from(invalid(sentence)).in_field("content")));
        }
        if before <= CONTENT_MAX as u64 && self.size > CONTENT_MAX as u64 {
            let (kind, media) =
                (&self.open.upload.header.kind, self.writer.segments.content_type());
            let fits = content::check_large(self.rpc, self.call, kind, media).await;
            fits.map_err(Stop::refused)?;
        }
        Ok(())
    }

    /// Sends the full segment on its way, once the one before it is kept.
    async fn write(&mut self) -> Result<(), Stop> {
        let (digests, spare) = self.settle().await?;
        let content = std::mem::replace(&mut self.buffer, spare.unwrap_or_else(buffer));
        let writing = self.writer.clone().write(self.number, digests, content);
        let writing = with_trace_id(self.call.trace_id.clone(), writing);
        let task = tokio::spawn(writing.in_current_span());
        self.writing = Writing::Busy(AbortOnDropHandle::new(task));
        self.number += 1;
        Ok(())
    }

    /// Waits until the segment before is kept.
    async fn settle(&mut self) -> Result<(Digests, Option<Buffer>), Stop> {
        match std::mem::replace(&mut self.writing, Writing::Failed) {
            Writing::Idle(digests, spare) => Ok((*digests, spare)),
            Writing::Busy(task) => {
                let (digests, spare) = task.await.map_err(|_| Problem::internal())??;
                Ok((digests, Some(spare)))
            }
            Writing::Failed => Err(Problem::internal().into()),
        }
    }

    /// The end of the content.
    pub(super) async fn finish(mut self) -> Result<Whole, Stop> {
        let (digests, _) = self.settle().await?;
        let (size, tail, salt) = (self.size, self.buffer, self.salt);
        Ok(Whole { size, tail, digests, salt, segments: self.writer.segments })
    }
}
