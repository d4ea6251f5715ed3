//! Blocking work off the async threads, without losing the span.

use tokio::task::JoinError;

/// Runs blocking work on a thread of its own, inside the current span.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    let span = tracing::Span::current();
    #[expect(clippy::disallowed_methods, reason = "the one place that keeps the span")]
    tokio::task::spawn_blocking(move || span.in_scope(work)).await
}
