//! Holds and leases, whose references and reasons are texts of people: kept in columns of their own
//! until the person is erased, and nowhere else.

use shared::problem::Reason;
use strongroom_proto::records::v1 as wire;
use wire::break_glass_lease::Verdict;

use super::Story;
use crate::vault::caller::{erase, reason, seal};
use crate::wire::request_id;

/// What a reference and a reason take at most.
const REFERENCE_MAX: usize = 256;
const REASON_MAX: usize = 500;

impl Story {
    /// Gives the name of a hold, and that of a blocked erasure.
    pub(super) async fn hold(&mut self, record: &str) -> [String; 2] {
        let mut governance = self.vault.governance.clone();
        let case = self.texts.text("case");
        let place = |target: &str, case_reference: String| wire::PlaceLegalHoldRequest {
            legal_hold: Some(wire::LegalHold {
                target: target.to_owned(),
                authority: "court".to_owned(),
                case_reference,
                ..Default::default()
            }),
            request_id: request_id(),
            ..Default::default()
        };
        let request = place(&self.subject, case.clone());
        let held = governance.place_legal_hold(request.clone()).await.unwrap().into_inner();
        assert_eq!(held.case_reference, case);
        governance.place_legal_hold(request.clone()).await.unwrap();
        let other = place(&self.subject, self.texts.text("other-case"));
        let changed = wire::PlaceLegalHoldRequest { request_id: request.request_id, ..other };
        self.heard.refusal(governance.place_legal_hold(changed).await, Reason::RequestIdReused);
        let unknown = place(&format!("records/{}", request_id()), case.clone());
        self.heard.refusal(governance.place_legal_hold(unknown).await, Reason::ResourceNotFound);
        for bad in [case.repeat(1 + REFERENCE_MAX / case.len()), format!("{case}\u{7}")] {
            let refused = governance.place_legal_hold(place(&self.subject, bad)).await;
            self.heard.refusal(refused, Reason::FieldInvalid);
        }

        let delete = wire::DeleteRecordRequest {
            name: record.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        for _ in 0..2 {
            let refused = self.vault.records.clone().delete_record(delete.clone()).await;
            self.heard.refusal(refused, Reason::LegalHold);
        }
        let dry =
            wire::EraseSubjectRequest { dry_run: true, ..erase(&self.subject, String::new()) };
        self.heard.answer(self.vault.subjects.clone().erase_subject(dry).await);
        let asked = erase(&self.subject, request_id());
        let blocked = self.heard.answer(self.vault.subjects.clone().erase_subject(asked).await);
        assert_eq!(blocked.state(), wire::erasure::State::Blocked);
        [held.name, blocked.name]
    }

    /// By one principal, in vain, and then by the other.
    pub(super) async fn release(&mut self, hold: &str) {
        let release =
            || wire::ReleaseLegalHoldRequest { name: hold.to_owned(), request_id: request_id() };
        self.vault.governance.clone().release_legal_hold(release()).await.unwrap();
        let alone = self.vault.governance.clone().release_legal_hold(release()).await;
        self.heard.refusal(alone, Reason::ApprovalRequired);
        let released = self.other.governance.clone().release_legal_hold(release()).await.unwrap();
        assert_eq!(released.into_inner().state(), wire::legal_hold::State::Released);
    }

    pub(super) async fn break_glass(&mut self) {
        let why = self.texts.text("why");
        let mut governance = self.vault.governance.clone();
        let open = |reason: String| wire::OpenBreakGlassRequest {
            lease: Some(wire::BreakGlassLease {
                subject: self.subject.clone(),
                reason_code: "emergency".to_owned(),
                reason,
                ..Default::default()
            }),
            request_id: request_id(),
        };
        let request = open(why.clone());
        let lease = governance.open_break_glass(request.clone()).await.unwrap().into_inner();
        governance.open_break_glass(request).await.unwrap();
        for bad in [why.repeat(1 + REASON_MAX / why.len()), format!("{why}\u{7}")] {
            let refused = governance.open_break_glass(open(bad)).await;
            self.heard.refusal(refused, Reason::FieldInvalid);
        }
        let review = |verdict: Verdict| wire::ReviewBreakGlassRequest {
            name: lease.name.clone(),
            verdict: verdict.into(),
            request_id: request_id(),
        };
        let own = governance.review_break_glass(review(Verdict::Justified)).await;
        self.heard.refusal(own, Reason::ApprovalRequired);
        let mut reviewer = self.other.governance.clone();
        reviewer.review_break_glass(review(Verdict::Justified)).await.unwrap();
        let closing = wire::CloseBreakGlassRequest { name: lease.name, request_id: request_id() };
        governance.close_break_glass(closing).await.unwrap();
        let consent = wire::Consent {
            subject: self.subject.clone(),
            grantee: "*".to_owned(),
            purposes: vec!["KYC".to_owned()],
            decision: wire::consent::Decision::Permit.into(),
            ..Default::default()
        };
        let consent = wire::GrantConsentRequest {
            consent: Some(consent),
            request_id: request_id(),
            ..Default::default()
        };
        self.heard.answer(governance.grant_consent(consent).await);
    }

    /// Nobody reads what is about an erased person, nor writes it.
    pub(super) async fn assert_erased(&mut self, names: &[String]) {
        for name in names {
            assert_eq!(reason(self.vault.content(name).await), Reason::SubjectErased);
        }
        let late = self.secrets.text("late");
        let late = seal(&self.subject, "note", "text/plain", late);
        self.heard.refusal(self.vault.create(late).await, Reason::SubjectErased);
    }
}
