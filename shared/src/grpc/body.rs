//! A response that tells how it ended: gRPC says so in the headers of a refusal, and otherwise in
//! the trailers behind the body.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Code, Status};

/// Calls `ended` once with the code of the answer; with CANCELLED where the caller went away.
pub(super) fn observe(response: Response, ended: impl FnOnce(Code) + Send + 'static) -> Response {
    if let Some(status) = Status::from_header_map(response.headers()) {
        ended(status.code());
        return response;
    }
    response.map(|inner| Body::new(Observed { inner, ended: Some(Box::new(ended)) }))
}

struct Observed {
    inner: Body,
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
            Poll::Pending => {}
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

impl Drop for Observed {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}
