//! The lines of an export, as JSON: each an object with one field that says what it is of. Times
//! are as in RFC 3339, and what is absent is left out or null.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::time::Timestamp;
use strongroom_proto::records::v1 as wire;

use crate::domain::break_glass::{Lease, Verdict};
use crate::domain::consent::Consent;
use crate::domain::erasure::Erasure;
use crate::domain::legal_hold::LegalHold;
use crate::domain::record::Record;
use crate::domain::retention::RetentionInterest;
use crate::domain::subject::{Subject, SubjectState};

/// A line.
pub(super) fn line(value: &Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

/// The person.
pub(super) fn subject(subject: &Subject) -> Value {
    let state = match subject.state {
        SubjectState::Active => "ACTIVE",
        SubjectState::Restricted => "RESTRICTED",
        SubjectState::Erased => "ERASED",
    };
    json!({"subject": {
        "name": subject.id.name(),
        "state": state,
        "createTime": subject.create_time.to_string(),
    }})
}

/// A consent.
pub(super) fn consent(consent: &Consent) -> Value {
    json!({"consent": {
        "name": consent.id.name(),
        "grantee": consent.grantee,
        "purposes": consent.purposes,
        "types": consent.kinds,
        "decision": if consent.permits { "PERMIT" } else { "DENY" },
        "startTime": consent.start_time.to_string(),
        "endTime": time(consent.end_time),
        "revokeTime": time(consent.revoke_time),
    }})
}

/// A legal hold.
pub(super) fn legal_hold(hold: &LegalHold) -> Value {
    json!({"legalHold": {
        "name": hold.id.name(),
        "target": hold.target(),
        "authority": hold.authority,
        "state": hold.state.name(),
        "caseReference": hold.case_reference,
        "createTime": hold.create_time.to_string(),
        "releaseTime": time(hold.release_time),
    }})
}

/// A retention interest.
pub(super) fn interest(interest: &RetentionInterest) -> Value {
    json!({"retentionInterest": {
        "name": interest.id.name(),
        "source": interest.source,
        "reference": interest.reference,
        "createTime": interest.create_time.to_string(),
        "endTime": time(interest.end_time),
    }})
}

/// A break-glass lease.
pub(super) fn lease(lease: &Lease) -> Value {
    json!({"breakGlassLease": {
        "name": lease.id.name(),
        "principal": lease.principal,
        "reasonCode": lease.reason_code,
        "reason": lease.reason,
        "createTime": lease.create_time.to_string(),
        "endTime": lease.end_time.to_string(),
        "verdict": lease.verdict.map(Verdict::name),
    }})
}

/// An erasure.
pub(super) fn erasure(erasure: &Erasure) -> Value {
    json!({"erasure": {
        "name": erasure.name.name(),
        "state": erasure.state.name(),
        "legalBasis": erasure.legal_basis.name(),
        "createTime": erasure.create_time.to_string(),
        "dueTime": erasure.due_time.to_string(),
    }})
}

/// A record: its versions follow.
pub(super) fn record(record: &Record) -> Value {
    json!({"record": {
        "name": record.id.name(),
        "type": record.kind,
        "state": record.state.name(),
        "labels": record.labels,
        "eventTime": time(record.event_time),
        "createTime": record.create_time.to_string(),
        "versions": record.version,
    }})
}

/// The begin of the line of a version: the value of "json" or "base64" follows, and `END`.
pub(super) fn version(record: &Record, is_json: bool) -> Vec<u8> {
    let told = json!({
        "record": record.id.name(),
        "version": record.version,
        "contentType": record.content_type.as_str(),
        "sizeBytes": record.size,
        "createTime": record.update_time.to_string(),
    });
    let mut told = told.to_string();
    told.pop();
    let content = if is_json { "\"json\":" } else { "\"base64\":\"" };
    format!("{{\"version\":{told},{content}").into_bytes()
}

/// The end of the line of a version.
pub(super) fn end(is_json: bool) -> &'static [u8] {
    if is_json { b"}}\n" } else { b"\"}}\n" }
}

/// An entry of the access log, with what it takes to verify it.
pub(super) fn access(entry: &wire::AccessEntry) -> Value {
    let decision = entry.decision().as_str_name();
    json!({"access": {
        "name": entry.name,
        "time": time(entry.time.and_then(|time| Timestamp::decode(time).ok())),
        "principal": entry.principal,
        "principalSalt": STANDARD.encode(&entry.principal_salt),
        "action": entry.action,
        "resource": entry.resource,
        "version": entry.version,
        "purpose": entry.purpose,
        "decision": decision.trim_start_matches("DECISION_"),
        "reason": entry.reason,
        "leaf": entry.leaf,
    }})
}

/// JSON without line breaks and other space between its tokens: everything else is as it was.
pub(super) fn minified(json: &[u8]) -> Vec<u8> {
    let (mut within, mut escaped) = (false, false);
    let keep = |byte: &u8| {
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let keep = within || !is_space;
        match (within, escaped, *byte) {
            (true, false, b'\\') => escaped = true,
            (_, false, b'"') => within = !within,
            _ => escaped = false,
        }
        keep
    };
    json.iter().copied().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_goes_only_between_tokens() {
        let json = b"{ \"a \\\" b\" :\r\n [1.50,\t\"\\\\\" , \" \"]\n}";
        assert_eq!(minified(json), br#"{"a \" b":[1.50,"\\"," "]}"#);
    }

    #[test]
    fn a_line_has_no_break_in_it() {
        let written = line(&json!({"a": "b\nc"}));
        let at = written.iter().position(|byte| *byte == b'\n');
        assert_eq!(at, Some(written.len() - 1));
    }
}
