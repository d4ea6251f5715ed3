//! Documents that are sealed, read, changed, looked for and refused.

use serde_json::json;
use shared::problem::Reason;
use strongroom_proto::records::v1 as wire;
use wire::field_index::Normalisation;
use wire::{FieldSensitivity, RecordView};

use super::Story;
use crate::vault::caller::seal;
use crate::vault::raw::call;
use crate::wire::request_id;

const JSON: &str = "application/json";
/// What a look-up takes at most.
const VALUE_MAX: usize = 1_024;

impl Story {
    pub(super) async fn declare(&mut self) {
        let rule = |path: &str, sensitivity: FieldSensitivity, index| wire::FieldRule {
            path: path.to_owned(),
            sensitivity: sensitivity.into(),
            index,
        };
        let index = |name: &str, bits, normalisation: Normalisation| {
            let (name, normalisation) = (name.to_owned(), normalisation.into());
            Some(wire::FieldIndex { name, bits, normalisation })
        };
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "email": {"type": "string", "maxLength": 100},
                "tax": {"type": "string"},
                "city": {"type": "string"},
                "age": {"type": "integer"},
                "sex": {"enum": ["f", "m", "x"]},
            },
            "required": ["name"],
            "additionalProperties": false,
        });
        let kind = wire::RecordType {
            content_type: JSON.to_owned(),
            json_schema: schema.to_string(),
            fields: vec![
                rule("/name", FieldSensitivity::Pii, None),
                rule("/email", FieldSensitivity::Pii, index("email", 0, Normalisation::Email)),
                rule(
                    "/tax",
                    FieldSensitivity::Secret,
                    index("tax", 8, Normalisation::Alphanumeric),
                ),
                rule("/city", FieldSensitivity::Harmless, None),
            ],
            ..Default::default()
        };
        let request = wire::CreateRecordTypeRequest {
            record_type: Some(kind),
            record_type_id: "profile".to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        self.heard.answer(self.vault.types.clone().create_record_type(request).await);
    }

    fn profile(&mut self) -> serde_json::Value {
        json!({
            "name": self.secrets.text("name"),
            "email": format!("{}@example.com", self.secrets.text("email")),
            "tax": self.secrets.text("tax"),
            "city": self.secrets.text("city"),
        })
    }

    /// Gives the names of a profile and of a note.
    pub(super) async fn keep_documents(&mut self) -> [String; 2] {
        let profile = self.profile().to_string();
        let mut request = seal(&self.subject, "profile", JSON, profile.clone());
        let label = self.texts.text("label");
        request.record.as_mut().unwrap().labels = [("source".to_owned(), label.clone())].into();
        let dry = wire::CreateRecordRequest { validate_only: true, ..request.clone() };
        // The second is a repeat.
        for request in [dry, request.clone(), request.clone()] {
            let mut record = self.vault.create(request).await.unwrap();
            record.labels.clear();
            self.heard.message(&record);
        }
        let sealed = self.vault.create(request.clone()).await.unwrap();
        let other = seal(&self.subject, "note", "text/plain", self.secrets.text("reused"));
        let other = wire::CreateRecordRequest { request_id: request.request_id, ..other };
        self.heard.refusal(self.vault.create(other).await, Reason::RequestIdReused);
        let note = self.secrets.text("note");
        let note =
            self.vault.create(seal(&self.subject, "note", "text/plain", note)).await.unwrap();

        self.change(&sealed.name, &profile).await;
        for request in [&sealed.name, &note.name] {
            let list =
                wire::ListRecordVersionsRequest { parent: request.clone(), ..Default::default() };
            self.heard.answer(self.vault.records.clone().list_record_versions(list).await);
        }
        let filter = format!("labels.source = \"{label}\"");
        let list = wire::ListRecordsRequest { filter, ..Default::default() };
        let listed = self.vault.records.clone().list_records(list).await.unwrap().into_inner();
        assert_eq!(listed.records[0].name, sealed.name);
        [sealed.name, note.name]
    }

    /// Changes a document, in vain with an etag that is not its own, and back to what it was.
    async fn change(&mut self, name: &str, profile: &str) {
        let change = |content: String, etag: &str| wire::UpdateRecordRequest {
            record: Some(wire::Record {
                name: name.to_owned(),
                content_type: JSON.to_owned(),
                content: content.into(),
                etag: etag.to_owned(),
                ..Default::default()
            }),
            request_id: request_id(),
            ..Default::default()
        };
        let mut records = self.vault.records.clone();
        let renamed = json!({"name": self.secrets.text("renamed")}).to_string();
        let stale = json!({"name": self.secrets.text("stale")}).to_string();
        for (content, etag) in [(renamed, ""), (stale, "stale"), (profile.to_owned(), "")] {
            let changed = records.update_record(change(content, etag)).await;
            if etag.is_empty() {
                let mut record = changed.unwrap().into_inner();
                record.labels.clear();
                self.heard.message(&record);
            } else {
                self.heard.refusal(changed, Reason::EtagMismatch);
            }
        }
    }

    pub(super) async fn read_documents(&mut self, [profile, note]: &[String; 2]) {
        // What is asked for is given: the search finds what is there.
        let full = self.vault.content(profile).await.unwrap();
        let full = String::from_utf8(full).unwrap();
        assert_eq!(self.secrets.found(&full), ["city", "email", "name", "tax"]);
        let masked = self.vault.get(profile, RecordView::Masked).await.unwrap().content;
        let masked = String::from_utf8(masked.to_vec()).unwrap();
        assert_eq!(self.secrets.found(&masked), ["city"]);
        for name in [profile, note] {
            // Labels are the caller's own, and part of what every view gives.
            let mut record = self.vault.get(name, RecordView::Basic).await.unwrap();
            record.labels.clear();
            self.heard.message(&record);
        }
        self.heard.message(&self.vault.get(note, RecordView::Masked).await.unwrap());
        let batch = wire::BatchGetRecordsRequest {
            names: vec![profile.clone(), note.clone()],
            view: RecordView::Full.into(),
            purpose: "KYC".to_owned(),
        };
        let batch = self.vault.records.clone().batch_get_records(batch).await.unwrap();
        assert_eq!(batch.into_inner().records.len(), 2);
        let mut get = wire::GetRecordRequest {
            name: profile.clone(),
            view: RecordView::Full.into(),
            version: 1,
            ..Default::default()
        };
        let mut records = self.vault.records.clone();
        self.heard.refusal(records.get_record(get.clone()).await, Reason::PurposeRequired);
        "CURIOSITY".clone_into(&mut get.purpose);
        self.heard.refusal(records.get_record(get.clone()).await, Reason::PurposeUnknown);
        "KYC".clone_into(&mut get.purpose);
        get.version = 99;
        self.heard.refusal(records.get_record(get).await, Reason::ResourceNotFound);
    }

    pub(super) async fn look_up(&mut self, profile: &str) {
        let ask = |index: &str, value: String| wire::LookupRecordsRequest {
            r#type: "profile".to_owned(),
            index: index.to_owned(),
            value,
            purpose: "KYC".to_owned(),
        };
        let email = format!("{}@EXAMPLE.com", self.secrets.text("email").to_uppercase());
        for (index, value) in [("email", email), ("tax", self.secrets.text("tax"))] {
            let found = self.vault.records.clone().lookup_records(ask(index, value)).await.unwrap();
            let [mut found] = <[_; 1]>::try_from(found.into_inner().records).unwrap();
            assert_eq!(found.name, profile);
            found.labels.clear();
            self.heard.message(&found);
        }
        let unknown = self.secrets.text("unknown");
        for (index, value) in
            [("email", format!("{unknown}@example.com")), ("tax", unknown.clone())]
        {
            let found = self.vault.records.clone().lookup_records(ask(index, value)).await;
            assert_eq!(self.heard.answer(found).records, []);
        }
        let bad = ask("email", unknown.clone());
        let refused = self.vault.records.clone().lookup_records(bad).await;
        self.heard.refusal(refused, Reason::FieldInvalid);
        let mut missing = ask("phone", unknown.clone());
        let refused = self.vault.records.clone().lookup_records(missing.clone()).await;
        self.heard.refusal(refused, Reason::ResourceNotFound);
        "unknown".clone_into(&mut missing.r#type);
        let refused = self.vault.records.clone().lookup_records(missing).await;
        self.heard.refusal(refused, Reason::ResourceNotFound);
        let long = unknown.repeat(VALUE_MAX / unknown.len() + 1);
        for bad in [long, format!("{unknown}\u{0}")] {
            let refused = self.vault.records.clone().lookup_records(ask("tax", bad)).await;
            self.heard.refusal(refused, Reason::FieldInvalid);
        }
        let mut aimless = ask("tax", unknown);
        aimless.purpose.clear();
        let refused = self.vault.records.clone().lookup_records(aimless).await;
        self.heard.refusal(refused, Reason::PurposeRequired);
    }

    /// Documents that are refused for what is in them: the place is told, and nothing of it.
    pub(super) async fn refuse_documents(&mut self, taken: &str) {
        let text = self.secrets.text("violation");
        let member = self.secrets.text("member");
        let good = json!({"name": text}).to_string();
        for bad in [
            json!({"name": [text]}).to_string(),
            json!({"name": {"first": text}}).to_string(),
            json!({"name": text, "age": text}).to_string(),
            json!({"name": text, "sex": text}).to_string(),
            json!({"name": text, "email": text.repeat(10)}).to_string(),
            json!({"name": text, &member: text}).to_string(),
            json!({&member: {&member: text}}).to_string(),
            json!([text]).to_string(),
            format!("{{\"name\": \"{text}"),
            format!("{{\"name\": \"{text}\", \"name\": \"{text}\"}}"),
            format!("{{\"{member}\": 1, \"{member}\": 2}}"),
            format!("{{\"name\": \"{text}\"}} {text}"),
            format!("{{\"name\": {text}}}"),
            format!("{{\"name\": \"{text}\", \"age\": 1e999}}"),
        ] {
            for content in [bad.clone(), bad.replace(&text, &text.to_uppercase())] {
                let request = seal(&self.subject, "profile", JSON, content);
                self.heard.refusal(self.vault.create(request).await, Reason::FieldInvalid);
            }
        }
        let broken = [good.as_bytes(), &[0xff, 0xfe], text.as_bytes()].concat();
        for (kind, content_type, content) in [
            ("profile", JSON, broken.clone()),
            // Not declared: it has to be JSON all the same.
            ("free", JSON, broken),
            ("profile", "text/plain", good.clone().into_bytes()),
            ("profile", "no media type", good.clone().into_bytes()),
            ("Not A Type", JSON, good.clone().into_bytes()),
            ("note", "text/plain", text.repeat((1 << 20) / text.len() + 1).into_bytes()),
        ] {
            let request = seal(&self.subject, kind, content_type, content);
            self.heard.refusal(self.vault.create(request).await, Reason::FieldInvalid);
        }
        let mut again = seal(&self.subject, "profile", JSON, good.clone());
        again.record_id = taken.strip_prefix("records/").unwrap().to_owned();
        self.heard.refusal(self.vault.create(again).await, Reason::IdTaken);
        let nobody = format!("subjects/{}", request_id());
        let request = seal(&nobody, "profile", JSON, good);
        self.heard.refusal(self.vault.create(request).await, Reason::ResourceNotFound);
        self.break_messages(&text).await;
    }

    /// What is no message: lengths that lie, and fields of another kind.
    async fn break_messages(&mut self, text: &str) {
        let long = [&[0x0a, 0x7f, 0x2a, 0x7f], text.as_bytes()].concat();
        let other = [&[0x0a, 34, 0x08, 0x01][..], &[0x2a, 32], &text.as_bytes()[..30]].concat();
        let wide = [&[0x2a, 0xff, 0xff, 0xff, 0xff, 0x0f], text.as_bytes()].concat();
        for method in ["CreateRecord", "UpdateRecord", "LookupRecords", "UploadRecord"] {
            let path = format!("/strongroom.records.v1.RecordService/{method}");
            for message in [&long, &other, &wide] {
                let refused = call(self.api.clone(), &path, message.clone()).await;
                self.heard.status(&refused.unwrap_err());
            }
        }
    }
}
