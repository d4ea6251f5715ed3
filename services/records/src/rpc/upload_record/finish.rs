//! How an upload ends: its hash is checked, and its last segment or all of it sealed.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use shared::field::invalid;
use shared::grpc::Call;
use shared::problem::Problem;
use shared::time::Timestamp;
use tonic::codegen::Bytes;

use super::begin::Open;
use super::intake::Whole;
use super::writer::kept;
use super::{Stop, write};
use crate::domain::content_type::ContentType;
use crate::domain::record::{CONTENT_MAX, Record, RecordState};
use crate::domain::record_type::CompiledType;
use crate::domain::upload::Upload;
use crate::rpc::{Rpc, content, offload};
use crate::store::record_index::IndexToken;
use crate::store::records::Sealed;
use crate::vault;
use crate::vault::segments::Segment;

/// A version that only has to be written down.
pub(super) struct Version {
    pub(super) sealed: Sealed,
    pub(super) kind: Option<Arc<CompiledType>>,
    pub(super) tokens: Vec<IndexToken>,
}

/// Makes the content a version of its record, if it has this hash.
pub(super) async fn finish(
    rpc: &Rpc,
    call: &Call,
    open: &Open,
    whole: Whole,
    sha256: [u8; 32],
) -> Result<Record, Stop> {
    let sentence = "must not be empty";
    let empty = || Problem::from(invalid(sentence)).in_field("content");
    let size = i64::try_from(whole.size).map_err(|_| Problem::internal())?;
    let draft = draft(&open.upload, size, rpc.clock.now());
    let version = match whole.size {
        0 => return Err(Stop::refused(empty())),
        size if size <= CONTENT_MAX as u64 => small(rpc, call, open, &draft, whole, sha256).await?,
        _ => large(rpc, call, open, &draft, whole, sha256).await?,
    };
    write::write(rpc, call, open, draft, version).await
}

/// What the version's record is, as far as that is known now.
fn draft(upload: &Upload, size: i64, now: Timestamp) -> Record {
    let header = upload.header.clone();
    Record {
        id: upload.record,
        subject: upload.subject,
        kind: header.kind,
        content_type: ContentType::stored(header.content_type),
        labels: header.labels,
        event_time: header.event_time,
        version: upload.version,
        size,
        create_time: now,
        update_time: now,
        revision: 1,
        state: RecordState::Active,
        delete_time: None,
        purge_time: None,
        expire_time: None,
    }
}

/// Content that has room in the database is checked and sealed as CreateRecord does it.
async fn small(
    rpc: &Rpc,
    call: &Call,
    open: &Open,
    draft: &Record,
    whole: Whole,
    sha256: [u8; 32],
) -> Result<Version, Stop> {
    let Whole { tail, mut digests, .. } = whole;
    digests.sha256.update(&tail);
    check_hash(digests.sha256.finish().as_ref(), sha256)?;
    let content = Bytes::copy_from_slice(&tail);
    let checked = content::check(rpc, call, &draft.kind, &draft.content_type, &content).await;
    let checked = checked.map_err(Stop::refused)?;
    let (key, about) = (Arc::clone(&open.key), draft.clone());
    let seal = move || vault::seal(&key, &about, &content);
    let sealed = offload(tail.len(), seal).await??;
    Ok(Version { sealed, kind: checked.kind, tokens: checked.tokens })
}

/// The rest of other content goes where its other segments are.
async fn large(
    rpc: &Rpc,
    call: &Call,
    open: &Open,
    draft: &Record,
    whole: Whole,
    sha256: [u8; 32],
) -> Result<Version, Stop> {
    let kind = rpc.types.get(&rpc.db, call.scope(), open.tenant, &draft.kind).await?;
    let last = Segment::last(whole.size).ok_or_else(Problem::internal)?;
    let tail = Arc::new(whole.tail);
    let digests = whole.digests.update(Arc::clone(&tail)).await?;
    check_hash(digests.sha256.finish().as_ref(), sha256)?;
    kept(whole.segments.put(last, &tail).await?)?;
    let segments = i32::try_from(last.number + 1).map_err(|_| Problem::internal())?;
    let sealed = Sealed {
        body: None,
        data_key_id: open.upload.data_key_id,
        subject_key_generation: open.upload.subject_key_generation,
        data_key: open.upload.data_key.clone(),
        commitment_salt: Some(whole.salt),
        commitment: digests.commitment.finish().to_vec(),
        segments: Some(segments),
    };
    Ok(Version { sealed, kind, tokens: Vec::new() })
}

fn check_hash(actual: &[u8], sha256: [u8; 32]) -> Result<(), Stop> {
    verify_slices_are_equal(actual, &sha256).map_err(|_| {
        let sentence = "must be the hash of the content, which has another one";
        Stop::refused(Problem::from(invalid(sentence)).in_field("sha256"))
    })
}
