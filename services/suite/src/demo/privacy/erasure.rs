//! A legal hold, an erasure that waits for its end, and the certificate.

use std::time::Duration;

use strongroom_proto::records::v1 as wire;
use wire::erasure::{LegalBasis, State};

use super::{Person, Privacy};
use crate::demo::narrator::{DemoError, check};
use crate::demo::story::{given, word};
use crate::export::erasure_file;
use crate::refusal::Refusal;
use crate::verify::{Report, Trust, verify};

/// How often, and after which pauses, an erasure is looked at.
const ATTEMPTS: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

impl Privacy<'_> {
    pub(super) async fn hold(&mut self, person: &Person) -> Result<String, DemoError> {
        const METHOD: &str = "GovernanceService.PlaceLegalHold";
        self.out.chapter(
            "A court holds the file",
            "From now on nothing of the person is deleted, purged or erased, whoever asks for it.",
        )?;
        let authority = "court-of-zurich".to_owned();
        self.out.call(
            METHOD,
            &[("target", person.subject.clone()), ("authority", authority.clone())],
        )?;
        let hold = wire::LegalHold {
            target: person.subject.clone(),
            authority,
            case_reference: "HG 2026/117".to_owned(),
            ..wire::LegalHold::default()
        };
        let request = wire::PlaceLegalHoldRequest {
            legal_hold: Some(hold),
            request_id: self.request_id("hold"),
            ..wire::PlaceLegalHoldRequest::default()
        };
        let hold = given(METHOD, self.anna.governance.place_legal_hold(request).await)?;
        let state = word(hold.state().as_str_name(), "STATE_");
        self.out.answer(&[("name", hold.name.clone()), ("state", state)])?;
        Ok(hold.name)
    }

    pub(super) async fn ask(&mut self, person: &Person) -> Result<String, DemoError> {
        const METHOD: &str = "SubjectService.EraseSubject";
        self.out.chapter(
            "The person asks to be erased",
            "It waits for the court. Until then the file is there for legal purposes only.",
        )?;
        let basis = LegalBasis::SubjectRequest;
        let basis_name = word(basis.as_str_name(), "LEGAL_BASIS_");
        self.out.call(METHOD, &[("name", person.subject.clone()), ("legal_basis", basis_name)])?;
        let request = wire::EraseSubjectRequest {
            name: person.subject.clone(),
            legal_basis: basis.into(),
            dry_run: false,
            request_id: self.request_id("erase"),
        };
        let erasure = given(METHOD, self.anna.subjects.erase_subject(request).await)?;
        let blockers: Vec<&str> = erasure.blockers.iter().map(|one| one.name.as_str()).collect();
        let state = word(erasure.state().as_str_name(), "STATE_");
        self.out.answer(&[
            ("name", erasure.name.clone()),
            ("state", state.clone()),
            ("blockers", blockers.join(", ")),
        ])?;
        check("the erasure", state, "BLOCKED")?;
        self.refused(person, "SUPPORT", "SUBJECT_RESTRICTED").await?;
        Ok(erasure.name)
    }

    async fn refused(
        &mut self,
        person: &Person,
        purpose: &str,
        reason: &str,
    ) -> Result<(), DemoError> {
        let rows = [("name", person.record.clone()), ("purpose", purpose.to_owned())];
        self.out.call("RecordService.GetRecord", &rows)?;
        let request = wire::GetRecordRequest {
            name: person.record.clone(),
            view: wire::RecordView::Full.into(),
            purpose: purpose.to_owned(),
            version: 0,
        };
        match self.anna.records.get_record(request).await {
            Ok(_) => check("the read", "answered", reason),
            Err(status) => {
                let refusal = Refusal::from(&status);
                self.out.refusal(&refusal)?;
                check("the read", refusal.reason, reason)
            }
        }
    }

    pub(super) async fn release(&mut self, hold: &str) -> Result<(), DemoError> {
        const METHOD: &str = "GovernanceService.ReleaseLegalHold";
        self.out.chapter(
            "The court lets go",
            "Nobody releases alone: one asks for it, and another one does it.",
        )?;
        let steps = [("anna", "RELEASE_REQUESTED"), ("ben", "RELEASED")];
        for (who, expected) in steps {
            self.out.call(
                METHOD,
                &[("name", hold.to_owned()), ("principal", format!("officer-{who}"))],
            )?;
            let request = wire::ReleaseLegalHoldRequest {
                name: hold.to_owned(),
                request_id: self.request_id(&format!("release-{who}")),
            };
            let officer = if who == "anna" { &mut self.anna } else { &mut self.ben };
            let released = given(METHOD, officer.governance.release_legal_hold(request).await)?;
            let state = word(released.state().as_str_name(), "STATE_");
            self.out.answer(&[("state", state.clone())])?;
            check("the hold", state, expected)?;
        }
        Ok(())
    }

    pub(super) async fn erase(&mut self, name: &str) -> Result<(), DemoError> {
        const METHOD: &str = "SubjectService.GetErasure";
        self.out.chapter(
            "The person is erased",
            "Nothing blocks it any more, so it happens: first a tombstone outside the database, \
             then the key, then every body, index and label.",
        )?;
        self.out.call(METHOD, &[("name", name.to_owned())])?;
        let erasure = self.settled(name, |erasure| erasure.state() == State::Done).await?;
        let destroyed = erasure.destroyed.unwrap_or_default();
        let state = word(erasure.state().as_str_name(), "STATE_");
        self.out.answer(&[
            ("state", state.clone()),
            ("keys", destroyed.keys.to_string()),
            ("versions", destroyed.versions.to_string()),
            ("index_rows", destroyed.index_rows.to_string()),
        ])?;
        check("the erasure", state, "DONE")
    }

    pub(super) async fn gone(&mut self, person: &Person) -> Result<(), DemoError> {
        self.out.chapter(
            "Nobody reads it any more",
            "Not for legal purposes either: there is no key that opens it.",
        )?;
        self.refused(person, "LEGAL", "SUBJECT_ERASED").await
    }

    pub(super) async fn certificate(&mut self, name: &str, trust: &Trust) -> Result<(), DemoError> {
        self.out.chapter(
            "The certificate",
            "What was destroyed, and until when a backup could still open it: signed, and proven \
             to be in the log. Whoever has the key of the log verifies it without the house.",
        )?;
        let proven = |erasure: &wire::Erasure| !erasure.proof.is_empty();
        let erasure = self.settled(name, proven).await?;
        self.out.document(&erasure.certificate)?;
        let file = String::from_utf8_lossy(&erasure_file(&erasure)?).into_owned();
        self.out.text("strongroom verify erasure.ndjson --key log.vkey")?;
        let report = verify(file.as_bytes(), trust)?;
        self.judged("erasure.ndjson", &report)?;
        check("whether the certificate holds", report.holds().to_string(), "true")?;

        self.out.text("One letter is changed: another person's certificate.")?;
        let (before, after) = name.split_at("subjects/".len());
        let digit = if after.starts_with('0') { "1" } else { "0" };
        let other = format!("{before}{digit}{}", &after[1..]);
        let report = verify(file.replace(name, &other).as_bytes(), trust)?;
        self.judged("erasure.ndjson", &report)?;
        check("whether the changed one holds", report.holds().to_string(), "false")
    }

    /// The erasure, once it is as it should be.
    async fn settled(
        &mut self,
        name: &str,
        fits: impl Fn(&wire::Erasure) -> bool,
    ) -> Result<wire::Erasure, DemoError> {
        const METHOD: &str = "SubjectService.GetErasure";
        for _ in 0..ATTEMPTS {
            let request = wire::GetErasureRequest { name: name.to_owned() };
            let erasure = given(METHOD, self.anna.subjects.get_erasure(request).await)?;
            if fits(&erasure) {
                return Ok(erasure);
            }
            tokio::time::sleep(PAUSE).await;
        }
        check("the erasure", "still under way", "done")?;
        Ok(wire::Erasure::default())
    }

    /// What a verification says.
    pub(super) fn judged(&mut self, file: &str, report: &Report) -> Result<(), DemoError> {
        let mut text = Vec::new();
        report.print(&file, &mut text)?;
        Ok(self.out.text(&String::from_utf8_lossy(&text))?)
    }
}
