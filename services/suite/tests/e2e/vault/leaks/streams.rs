//! Content that streams: in and out, whole and in parts, and badly.

use serde_json::json;
use shared::problem::Reason;
use strongroom_proto::records::v1 as wire;
use wire::upload_record_request::Frame;

use super::Story;
use crate::vault::caller::{FRAME, frames};
use crate::wire::request_id;

/// Three segments.
const LARGE: usize = 9 << 20;

impl Story {
    /// A body with a text of its own from its beginning to its end.
    fn body(&mut self, place: &'static str, size: usize) -> Vec<u8> {
        let line = self.secrets.text(place) + "\n";
        let mut body = line.repeat(size / line.len() + 1).into_bytes();
        body.truncate(size);
        body
    }

    pub(super) async fn stream(&mut self) -> String {
        let body = self.body("streamed", LARGE);
        let mut whole = frames(&self.subject, &request_id(), &body);
        label(&mut whole, self.texts.text("stream-label"));
        let record = self.vault.upload(whole.clone()).await.unwrap();
        assert_eq!(self.vault.upload(whole).await.unwrap().name, record.name);
        // The search finds what is there.
        let content = self.vault.download(&record.name, 0, 0).await.unwrap();
        assert!(content == body);
        assert_eq!(self.secrets.found(&String::from_utf8_lossy(&content)), ["streamed"]);
        let part = self.vault.download(&record.name, 4 << 20, 70_000).await.unwrap();
        assert!(part == body[4 << 20..][..70_000]);
        let beyond = self.vault.download(&record.name, LARGE, 0).await;
        self.heard.refusal(beyond, Reason::FieldInvalid);
        let unary = self.vault.content(&record.name).await;
        self.heard.refusal(unary, Reason::FieldInvalid);
        record.name
    }

    pub(super) async fn stream_badly(&mut self) {
        let body = self.body("refused-stream", 5 << 20);
        let subject = self.subject.clone();
        let good = |size: usize| frames(&subject, &request_id(), &body[..size]);
        let mut wrong = good(5 << 20);
        *wrong.last_mut().unwrap() = Frame::Sha256(vec![0; 32].into());
        let mut large = good(FRAME);
        large[1] = Frame::Content(body[..=FRAME].to_vec().into());
        let mut headless = good(FRAME);
        headless.swap(0, 1);
        let mut twice = good(2 * FRAME);
        twice.insert(2, twice[0].clone());
        let mut early = good(2 * FRAME);
        early.swap(1, 3);
        let mut beyond = good(FRAME);
        if let Frame::Header(header) = &mut beyond[0] {
            header.offset = 1;
        }
        for bad in [wrong, large, headless, twice, early, beyond] {
            self.heard.refusal(self.vault.upload(bad).await, Reason::FieldInvalid);
        }
        // It ends before its end: two segments are kept, and nobody goes on.
        let mut cut = good(5 << 20);
        cut.truncate(19);
        label(&mut cut, self.texts.text("cut-label"));
        self.heard.status(&self.vault.upload(cut).await.unwrap_err());
        for size in [100, 2 << 20] {
            let text = self.body("refused-json", size);
            let content = json!({"name": [String::from_utf8(text).unwrap()]}).to_string();
            let mut json = frames(&subject, &request_id(), content.as_bytes());
            let Frame::Header(wire::UploadHeader { record: Some(record), .. }) = &mut json[0]
            else {
                panic!("the first frame is the header")
            };
            (record.r#type, record.content_type) =
                ("profile".to_owned(), "application/json".to_owned());
            self.heard.refusal(self.vault.upload(json).await, Reason::FieldInvalid);
        }
    }
}

fn record_of(frames: &mut [Frame]) -> &mut wire::Record {
    match &mut frames[0] {
        Frame::Header(wire::UploadHeader { record: Some(record), .. }) => record,
        _ => panic!("the first frame is the header"),
    }
}

fn label(frames: &mut [Frame], value: String) {
    record_of(frames).labels = [("source".to_owned(), value)].into();
}
