//! An upload of 64 MiB, that a second stream goes on with.

use std::time::Duration;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use wire::upload_record_request::Frame;

use super::place::Place;
use crate::crash::scale;
use crate::ledger::LOOKS;
use crate::vault::caller::{FRAME, Vault, frames};
use crate::wire::request_id;
use crate::world::run;

const ROUNDS: usize = 2;
const SIZE: usize = 64 << 20;
/// What has to be kept before the kill, at least.
const STEP: usize = 20 << 20;

#[test]
fn an_upload_that_is_killed_goes_on_from_what_was_kept() {
    run(Box::pin(async {
        let mut place = Place::start();
        let subject = place.vault().subject().await;
        // No two frames are alike.
        let content: Vec<u8> = (0..SIZE / 8).flat_map(u64_of).collect();
        for round in 0..ROUNDS * scale() {
            let (id, before) = (request_id(), (1 + round % 3) * STEP - (5 << 20));
            let whole = frames(&subject, &id, &content);
            let sending = tokio::spawn({
                let (vault, frames) = (place.vault(), whole.clone());
                async move { vault.upload(frames).await }
            });
            kept(&place.vault(), &id, before).await;
            place.kill();
            assert!(sending.await.unwrap().is_err());
            place.restart();

            // What was told to be kept is kept.
            let vault = place.vault();
            let upload = kept(&vault, &id, before).await;
            assert_eq!(upload.state(), wire::upload::State::Open);
            let rest = rest_of(&whole, upload.received_bytes.try_into().unwrap());
            let record = finished(&vault, rest).await;
            assert_eq!(upload.record, record.name);
            assert_eq!(usize::try_from(record.size_bytes).unwrap(), SIZE);
            assert!(vault.download(&record.name, 0, 0).await.unwrap() == content);
            // Once more, from the beginning: it is done.
            assert_eq!(vault.upload(whole).await.unwrap().name, record.name);
            place.assert_logged().await;
        }
        place.stop();
    }));
}

fn u64_of(number: usize) -> [u8; 8] {
    // Odd, so that it is a permutation.
    (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()
}

/// An upload that has kept so much.
async fn kept(vault: &Vault, request_id: &str, bytes: usize) -> wire::Upload {
    let request = wire::GetUploadRequest { name: format!("uploads/{request_id}") };
    for _ in 0..LOOKS * 10 {
        match vault.records.clone().get_upload(request.clone()).await {
            Ok(upload) => {
                let upload = upload.into_inner();
                if usize::try_from(upload.received_bytes).unwrap() >= bytes {
                    return upload;
                }
            }
            Err(status) => assert_eq!(refusal(&status).0, Reason::ResourceNotFound),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{bytes} bytes are not kept");
}

/// The frames of a second stream, which goes on from an offset.
fn rest_of(frames: &[Frame], offset: usize) -> Vec<Frame> {
    let [Frame::Header(header), rest @ ..] = frames else { panic!("the first is the header") };
    let mut header = header.clone();
    header.offset = offset.try_into().unwrap();
    let mut rest = rest[offset / FRAME..].to_vec();
    if let Some(Frame::Content(part)) = rest.first_mut() {
        *part = part.slice(offset % FRAME..);
    }
    [vec![Frame::Header(header)], rest].concat()
}

/// Goes on as soon as the stream that was cut counts as ended.
async fn finished(vault: &Vault, frames: Vec<Frame>) -> wire::Record {
    for _ in 0..LOOKS {
        match vault.upload(frames.clone()).await {
            Ok(record) => return record,
            Err(status) => assert_eq!(refusal(&status).0, Reason::RequestInProgress),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the first stream does not end");
}
