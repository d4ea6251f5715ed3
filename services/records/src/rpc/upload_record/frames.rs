//! The frames of an upload, as they arrive.

use std::time::Duration;

use shared::field::{At as _, Decoded, invalid};
use shared::problem::{Problem, Reason};
use strongroom_proto::records::v1 as wire;
use tonic::codegen::Bytes;
use tonic::{Status, Streaming};
use wire::upload_record_request::Frame as WireFrame;

use crate::domain::upload::FRAME_MAX;

/// Bytes of a SHA-256.
const SHA256_LEN: usize = 32;

/// A part of an upload.
pub(super) enum Frame {
    Header(Box<wire::UploadHeader>),
    Content(Bytes),
    Sha256([u8; SHA256_LEN]),
}

/// The frames of a stream that may not pause for long.
pub(super) struct Frames {
    stream: Streaming<wire::UploadRecordRequest>,
    idle: Duration,
}

impl Frames {
    pub(super) fn new(stream: Streaming<wire::UploadRecordRequest>, idle: Duration) -> Self {
        Self { stream, idle }
    }

    /// The next frame; none at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, Status> {
        let Ok(message) = tokio::time::timeout(self.idle, self.stream.message()).await else {
            let message = "The next frame did not come in time. What came before it is kept.";
            return Err(Problem::new(Reason::Deadline, message).into());
        };
        Ok(message?.map(decode).transpose()?)
    }
}

fn decode(message: wire::UploadRecordRequest) -> Decoded<Frame> {
    match message.frame {
        Some(WireFrame::Header(header)) => Ok(Frame::Header(Box::new(header))),
        Some(WireFrame::Content(content)) if content.is_empty() => {
            Err(invalid("must not be empty")).at("content")
        }
        Some(WireFrame::Content(content)) if content.len() > FRAME_MAX => {
            let size = content.len();
            let sentence = format!("must be at most {FRAME_MAX} bytes in a frame, and has {size}");
            Err(invalid(sentence)).at("content")
        }
        Some(WireFrame::Content(content)) => Ok(Frame::Content(content)),
        Some(WireFrame::Sha256(sha256)) => {
            let sha256 = sha256.as_ref().try_into();
            Ok(Frame::Sha256(sha256.map_err(|_| invalid("must have 32 bytes")).at("sha256")?))
        }
        None => Err(invalid("must be given")).at("frame"),
    }
}

/// A frame that is missing, or comes where it should not.
pub(super) fn out_of_order(frame: &str, sentence: &str) -> Problem {
    Problem::from(invalid(sentence)).in_field(frame)
}
