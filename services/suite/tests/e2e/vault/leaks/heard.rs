//! What the services answer that is not the content that was asked for.

use std::fmt::Write as _;

use prost::Message;
use shared::problem::Reason;
use shared::testing::refusal;
use tonic::{Response, Status};

#[derive(Default)]
pub(super) struct Heard(String);

impl Heard {
    /// An answer, field by field: its `Debug` would hide what is sensitive.
    pub(super) fn answer<M: Message>(&mut self, answer: Result<Response<M>, Status>) -> M {
        let answer = answer.unwrap().into_inner();
        self.message(&answer);
        answer
    }

    pub(super) fn message(&mut self, message: &impl Message) {
        self.0 += &String::from_utf8_lossy(&message.encode_to_vec());
    }

    /// A refusal, with all its details, and that it has this reason.
    #[track_caller]
    pub(super) fn refusal<T>(&mut self, answer: Result<T, Status>, expected: Reason) {
        let Err(status) = answer else { panic!("it is not refused with {expected:?}") };
        self.status(&status);
        assert_eq!(refusal(&status).0, expected, "{status:?}");
    }

    pub(super) fn status(&mut self, status: &Status) {
        write!(self.0, "{status} {status:?} {:?}", status.metadata()).unwrap();
        self.0 += &String::from_utf8_lossy(status.details());
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}
