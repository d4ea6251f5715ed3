//! Calls whose messages are bytes: of any method, and of what is no message at all.

use prost::bytes::{Buf as _, BufMut as _, Bytes};
use suite::Api;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

/// Messages as they are.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let size = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(size)))
    }
}

/// Calls a method, whether it streams or not, and gives the first message of its answer: none where
/// it has none.
pub(super) async fn call(api: Api, path: &str, message: Vec<u8>) -> Result<Bytes, Status> {
    let mut client = Grpc::new(api);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let messages = Request::new(tokio_stream::iter([Bytes::from(message)]));
    let path = PathAndQuery::try_from(path).unwrap();
    let mut answers = client.streaming(messages, path, Raw).await?.into_inner();
    Ok(answers.message().await?.unwrap_or_default())
}
