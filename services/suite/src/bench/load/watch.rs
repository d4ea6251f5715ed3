//! Somebody who watches what happens, and how long after it happened that is seen.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use shared::clock::Clock;
use shared::time::Timestamp;
use strongroom_proto::events::v1 as wire;
use tokio::time::timeout;
use tonic::codegen::http::Uri;
use wire::event_service_client::EventServiceClient;
use wire::watch_events_response::Message;

use super::caller::Bearer;
use super::connection::Connection;
use super::plan::{Latency, Summary};
use super::tally::{DIGITS, LONGEST, Window};

/// How often is looked whether the measurement is over, where nothing happens.
const LOOK: Duration = Duration::from_millis(200);

/// Watches until the measurement ends. The lag of an event is from when it was committed, by the
/// clock of the service, to when it is here: both are on one machine.
pub(super) async fn watch(
    (connection, origin): (Connection, Uri),
    bearer: &Bearer,
    window: &Window,
) -> Result<Summary, String> {
    let failed = |status: tonic::Status| format!("nobody can watch: {status}");
    let mut client = EventServiceClient::with_origin(connection, origin);
    let latest = wire::ListEventsRequest { latest: true, ..Default::default() };
    let listed = client.list_events(bearer.request(latest)).await.map_err(failed)?;
    let cursor = listed.into_inner().next_cursor;
    let asked = wire::WatchEventsRequest { cursor, types: Vec::new() };
    let watched = client.watch_events(bearer.endless(asked)).await.map_err(failed)?;
    let mut events = watched.into_inner();
    let mut lags = Histogram::new_with_bounds(1, LONGEST, DIGITS).map_err(|e| e.to_string())?;
    let (clock, mut seen) = (Clock::system(), 0);
    while !window.is_over(Instant::now()) {
        let Ok(message) = timeout(LOOK, events.message()).await else { continue };
        let message = message.map_err(failed)?.ok_or("the watch ended by itself")?;
        let Some(Message::Event(event)) = message.message else { continue };
        let time = event.time.and_then(|time| Timestamp::decode(time).ok());
        let time = time.ok_or("an event has no time")?;
        if window.has(Instant::now()) {
            let lag = clock.now().micros() - time.micros();
            lags.saturating_record(u64::try_from(lag).unwrap_or(0).max(1));
            seen += 1;
        }
    }
    let lag = (seen > 0).then(|| Latency::of(&lags));
    Ok(Summary { lag, events: seen, ..Summary::default() })
}
