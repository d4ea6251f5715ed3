//! A response that tells how it ended: gRPC says so in the headers of a refusal, and otherwise in
//! the trailers behind the body. A stream that would go on for ever ends with the server.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status};

/// Calls `ended` once with the code of the answer; with CANCELLED where the caller went away.
pub(super) fn observe(
    response: Response,
    shutdown: CancellationToken,
    ended: impl FnOnce(Code) + Send + 'static,
) -> Response {
    if let Some(status) = Status::from_header_map(response.headers()) {
        ended(status.code());
        return response;
    }
    let shutdown = Box::pin(shutdown.cancelled_owned());
    response.map(|inner| Body::new(Observed { inner, shutdown, ended: Some(Box::new(ended)) }))
}

struct Observed {
    inner: Body,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: Option<Box<dyn FnOnce(Code) + Send>>,
}

impl Observed {
    fn end(&mut self, code: Code) {
        if let Some(ended) = self.ended.take() {
            ended(code);
        }
    }
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    let status = Status::from_header_map(trailers);
                    self.end(status.map_or(Code::Unknown, |status| status.code()));
                }
            }
            Poll::Ready(Some(Err(_))) => self.end(Code::Unknown),
            Poll::Ready(None) => self.end(Code::Ok),
            Poll::Pending if self.ended.is_some() => {
                if self.shutdown.as_mut().poll(context).is_ready() {
                    self.end(Code::Unavailable);
                    return Poll::Ready(Some(Ok(Frame::trailers(unavailable()))));
                }
            }
            // The last frame has gone out.
            Poll::Pending => return Poll::Ready(None),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn unavailable() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let status = Status::unavailable("The server is shutting down.");
    // A status of plain text always makes headers.
    let _ = status.add_header(&mut trailers);
    trailers
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}
