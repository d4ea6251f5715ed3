use std::collections::BTreeMap;

use super::*;
use crate::domain::consent::ConsentId;
use crate::domain::content_type::ContentType;
use crate::domain::record::RecordId;
use crate::domain::subject::SubjectId;

type Change = fn(&mut Consent);

const NOW: Timestamp = Timestamp::from_micros(1_000);

fn reading(view: View, purpose: &str, full: bool) -> Reading {
    let missing = || Problem::new(Reason::PermissionMissing, "no");
    Reading {
        action: Action::GET_RECORD,
        view,
        principal: "ann".to_owned(),
        purpose: Purpose::parse(purpose),
        full: if full { Ok(()) } else { Err(missing()) },
        is_one_answer: true,
    }
}

fn record(content_type: &str, size: i64) -> Record {
    Record {
        id: RecordId::generate(),
        subject: SubjectId::generate(),
        kind: "kyc-file".to_owned(),
        content_type: ContentType::parse(content_type).unwrap(),
        labels: BTreeMap::new(),
        event_time: None,
        version: 1,
        size,
        create_time: NOW,
        update_time: NOW,
        revision: 1,
        state: RecordState::Active,
        delete_time: None,
        purge_time: None,
        expire_time: None,
    }
}

fn facts(record: &Record) -> Facts<'_> {
    Facts {
        record,
        subject_state: SubjectState::Active,
        requires_consent: false,
        consents: &[],
        lease: None,
        now: NOW,
    }
}

fn consent(record: &Record, permits: bool) -> Consent {
    Consent {
        id: ConsentId::generate(),
        subject: record.subject,
        grantee: ANY.to_owned(),
        purposes: vec![ANY.to_owned()],
        kinds: Vec::new(),
        permits,
        start_time: NOW,
        end_time: None,
        revoke_time: None,
        create_time: NOW,
        revision: 1,
    }
}

fn refusal(decision: Result<Option<String>, Problem>) -> Option<Reason> {
    decision.err().map(|problem| problem.reason)
}

#[test]
fn content_needs_a_purpose_and_full_content_a_permission() {
    let record = record("application/json", 1);
    for (view, purpose, full, expected) in [
        (View::Basic, "", false, None),
        (View::Masked, "", false, Some(Reason::PurposeRequired)),
        (View::Masked, "X", false, Some(Reason::PurposeUnknown)),
        (View::Masked, "KYC", false, None),
        (View::Full, "KYC", false, Some(Reason::PermissionMissing)),
        (View::Full, "", true, Some(Reason::PurposeRequired)),
        (View::Full, "KYC", true, None),
    ] {
        let decision = reading(view, purpose, full).decide(&facts(&record));
        assert_eq!(refusal(decision), expected, "{view:?} {purpose} {full}");
    }
}

#[test]
fn states_count_for_content_only() {
    use RecordState::{Active, Deleted, Purged};
    use SubjectState::{Erased, Restricted};
    let mut record = record("text/plain", 1);
    for (subject_state, state, purpose, expected) in [
        (Restricted, Active, "TREAT", Some(Reason::SubjectRestricted)),
        (Restricted, Active, "LEGAL", None),
        (Erased, Active, "LEGAL", Some(Reason::SubjectErased)),
        (Erased, Purged, "LEGAL", Some(Reason::SubjectErased)),
        (SubjectState::Active, Deleted, "LEGAL", Some(Reason::InvalidTransition)),
        (SubjectState::Active, Purged, "LEGAL", Some(Reason::InvalidTransition)),
    ] {
        record.state = state;
        let facts = Facts { subject_state, ..facts(&record) };
        let decision = reading(View::Full, purpose, true).decide(&facts);
        if let Err(problem) = &decision
            && problem.reason == Reason::InvalidTransition
        {
            let figures = ["state", "allowed"].map(|name| problem.figures[name].as_str());
            assert_eq!(figures, [state.name(), "ACTIVE"]);
        }
        assert_eq!(refusal(decision), expected, "{subject_state:?} {state:?}");
        assert_eq!(reading(View::Basic, "", false).decide(&facts), Ok(None));
    }
}

#[test]
fn what_is_denied_beats_what_is_permitted_and_a_lease_beats_both() {
    let record = record("application/json", 1);
    let (permit, deny) = (consent(&record, true), consent(&record, false));
    let lease = LeaseId::generate();
    let (by_consent, by_lease) = (Ok(Some(permit.id.name())), Ok(Some(lease.name())));
    let missing = || Err(Reason::ConsentMissing);
    let nothing = || Ok(None);
    let (p, d) = (|| vec![permit.clone()], || vec![deny.clone()]);
    let both = || vec![permit.clone(), deny.clone()];
    for (consents, requires_consent, has_lease, expected) in [
        (vec![], false, false, nothing()),
        (vec![], true, false, missing()),
        (vec![], true, true, by_lease.clone()),
        (vec![], false, true, by_lease.clone()),
        (p(), true, false, by_consent.clone()),
        (p(), true, true, by_consent.clone()),
        (p(), false, false, by_consent.clone()),
        (d(), false, false, missing()),
        (d(), true, true, by_lease.clone()),
        (both(), true, false, missing()),
        (both(), false, false, missing()),
        (both(), true, true, by_lease.clone()),
    ] {
        let facts = Facts {
            consents: &consents,
            requires_consent,
            lease: has_lease.then_some(lease),
            ..facts(&record)
        };
        for view in [View::Masked, View::Full] {
            let decision = reading(view, "TREAT", true).decide(&facts);
            if let Err(problem) = &decision {
                assert_eq!(problem.figures["break_glass"], "available");
            }
            assert_eq!(decision.map_err(|problem| problem.reason), expected, "{facts:?}");
        }
        assert_eq!(reading(View::Full, "LEGAL", true).decide(&facts), Ok(None));
    }
}

#[test]
fn a_consent_is_for_its_grantee_its_purposes_its_types_and_its_time() {
    let record = record("application/json", 1);
    let changes: [(Change, bool); 12] = [
        (|_| {}, true),
        (|c| c.grantee = "ann".to_owned(), true),
        (|c| c.grantee = "bob".to_owned(), false),
        (|c| c.purposes = vec!["KYC".to_owned(), "TREAT".to_owned()], true),
        (|c| c.purposes = vec!["KYC".to_owned()], false),
        (|c| c.kinds = vec!["lab-report".to_owned(), "kyc-file".to_owned()], true),
        (|c| c.kinds = vec!["lab-report".to_owned()], false),
        (|c| c.start_time = NOW.next(), false),
        (|c| c.end_time = Some(NOW.next()), true),
        (|c| c.end_time = Some(NOW), false),
        (|c| c.revoke_time = Some(NOW), false),
        (|c| c.subject = SubjectId::generate(), false),
    ];
    for (index, (change, fits)) in changes.into_iter().enumerate() {
        for permits in [true, false] {
            let mut consent = consent(&record, permits);
            change(&mut consent);
            let consents = [consent];
            // Only what fits makes a difference to a type that does or does not ask for it.
            let facts = Facts { consents: &consents, requires_consent: permits, ..facts(&record) };
            let decision = reading(View::Masked, "TREAT", false).decide(&facts);
            assert_eq!(decision.is_ok(), permits == fits, "{index} {permits}");
        }
    }
}

#[test]
fn the_persons_own_request_needs_no_consent() {
    let record = record("application/json", 1);
    let facts = Facts { requires_consent: true, ..facts(&record) };
    let mut export = reading(View::Full, "SUBJECT_REQUEST", true);
    assert_eq!(refusal(export.decide(&facts)), Some(Reason::ConsentMissing));
    export.action = Action::EXPORT_SUBJECT;
    assert_eq!(export.decide(&facts), Ok(None));
    export.purpose = Purpose::parse("SUPPORT");
    assert_eq!(refusal(export.decide(&facts)), Some(Reason::ConsentMissing));
}

#[test]
fn one_answer_has_room_for_a_mebibyte_of_each_and_two_of_all() {
    let (max, more) = (1 << 20, (1 << 20) + 1);
    for (content_type, size, view, is_one_answer, allowed) in [
        ("application/json", max, View::Full, true, true),
        ("application/json", more, View::Full, true, false),
        ("application/json", more, View::Masked, true, false),
        ("application/json", more, View::Full, false, true),
        ("application/pdf", more, View::Full, true, false),
        ("application/pdf", more, View::Masked, true, true),
        ("application/pdf", more, View::Basic, true, true),
    ] {
        let record = record(content_type, size);
        let reading = Reading { is_one_answer, ..reading(view, "KYC", true) };
        let decision = reading.decide(&facts(&record));
        assert_eq!(decision.is_ok(), allowed, "{content_type} {size} {view:?}");
        if let Err(problem) = decision {
            assert_eq!(problem.field.as_deref(), Some("view"));
        }
    }
    assert!(allow_together(ANSWER_MAX).is_ok());
    assert_eq!(allow_together(ANSWER_MAX + 1).unwrap_err().field.as_deref(), Some("names"));
}
