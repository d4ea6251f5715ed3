//! Privacy: a KYC file is sealed, shown in part and in full, and asked for by its person; then the
//! person is held by a court, erased once the court lets go, and the erasure is proven.

mod erasure;
mod vault;

use std::io::Write;

use strongroom_proto::records::v1::governance_service_client::GovernanceServiceClient;
use strongroom_proto::records::v1::record_service_client::RecordServiceClient;
use strongroom_proto::records::v1::record_type_service_client::RecordTypeServiceClient;
use strongroom_proto::records::v1::subject_service_client::SubjectServiceClient;
use uuid::Uuid;

use super::narrator::Narrator;
use crate::client::{Api, Clients};
use crate::error::Error;
use crate::options::Addresses;
use crate::verify::Trust;

/// The two who decide: nobody releases a hold or erases somebody alone.
pub(super) const OFFICERS: [&str; 2] = ["officer-anna", "officer-ben"];

/// Plays the story with the tokens of two principals, and prints each call and its answer. An error
/// where anything is not as told.
pub(super) async fn play(
    tokens: &[String; 2],
    at: Addresses,
    trust: &Trust,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let [anna, ben] = tokens;
    let mut story = Privacy {
        anna: Officer::new(at, anna)?,
        ben: Officer::new(at, ben)?,
        run: Uuid::now_v7().simple().to_string().split_off(24),
        out: Narrator::new(out),
    };
    let told = async {
        let person = story.seal().await?;
        story.show(&person).await?;
        story.report(&person, trust).await?;
        let hold = story.hold(&person).await?;
        let erasure = story.ask(&person).await?;
        story.release(&hold).await?;
        story.erase(&erasure).await?;
        story.gone(&person).await?;
        story.certificate(&erasure, trust).await
    };
    Ok(told.await?)
}

/// The clients of one principal.
struct Officer {
    records: RecordServiceClient<Api>,
    types: RecordTypeServiceClient<Api>,
    subjects: SubjectServiceClient<Api>,
    governance: GovernanceServiceClient<Api>,
}

impl Officer {
    fn new(at: Addresses, token: &str) -> Result<Self, Error> {
        let api = Clients::new(at, Some(token))?.api(at.records)?;
        Ok(Self {
            records: RecordServiceClient::new(api.clone()),
            types: RecordTypeServiceClient::new(api.clone()),
            subjects: SubjectServiceClient::new(api.clone()),
            governance: GovernanceServiceClient::new(api),
        })
    }
}

/// The story as it is being told.
struct Privacy<'a> {
    anna: Officer,
    ben: Officer,
    /// Makes the request ids and names of this run its own.
    run: String,
    out: Narrator<'a>,
}

impl Privacy<'_> {
    fn request_id(&self, what: &str) -> String {
        format!("privacy-{}-{what}", self.run)
    }

    /// The type of the documents, one for each run.
    fn kind(&self) -> String {
        format!("kyc-file-{}", self.run)
    }
}

/// Whom the story is about.
struct Person {
    subject: String,
    record: String,
}
