//! What is sealed, who sees how much of it, and how the person hears of that.

use std::time::Duration;

use strongroom_proto::records::v1 as wire;
use wire::RecordView;

use super::{Person, Privacy};
use crate::demo::narrator::{DemoError, check};
use crate::demo::story::{given, word};
use crate::export::access_report;
use crate::verify::{Trust, verify};

const DOCUMENT: &str =
    r#"{"name":"Ada Lovelace","passport":"X1234567","email":"Ada@Example.com","country":"CH"}"#;
const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["name", "passport"],
  "properties": {
    "name": {"type": "string"}, "passport": {"type": "string", "pattern": "^[A-Z][0-9]{7}$"},
    "email": {"type": "string"}, "country": {"type": "string", "maxLength": 2}
  },
  "additionalProperties": false
}"#;
/// How often, and after which pauses, a checkpoint is waited for.
const ATTEMPTS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(100);

impl Privacy<'_> {
    pub(super) async fn seal(&mut self) -> Result<Person, DemoError> {
        const SUBJECT: &str = "SubjectService.CreateSubject";
        const TYPE: &str = "RecordTypeService.CreateRecordType";
        self.out.chapter(
            "A KYC file is sealed",
            "Its type says what it has to be, what of it is harmless, and by what it is found. The \
             content is encrypted under a key of its own, below a key of the person.",
        )?;
        let rule = |path: &str, sensitivity, index| wire::FieldRule {
            path: path.to_owned(),
            sensitivity: i32::from(sensitivity),
            index,
        };
        let email = wire::FieldIndex {
            name: "email".to_owned(),
            bits: 0,
            normalisation: wire::field_index::Normalisation::Email.into(),
        };
        let kind = wire::RecordType {
            content_type: "application/json".to_owned(),
            json_schema: SCHEMA.to_owned(),
            fields: vec![
                rule("/country", wire::FieldSensitivity::Harmless, None),
                rule("/email", wire::FieldSensitivity::Pii, Some(email)),
            ],
            ..wire::RecordType::default()
        };
        let request = wire::CreateRecordTypeRequest {
            record_type: Some(kind),
            record_type_id: self.kind(),
            request_id: self.request_id("type"),
            validate_only: false,
        };
        let id = self.kind();
        self.out
            .call(TYPE, &[("record_type_id", id), ("json_schema", "4 properties".to_owned())])?;
        let kind = given(TYPE, self.anna.types.create_record_type(request).await)?;
        self.out.answer(&[("name", kind.name)])?;

        let request = wire::CreateSubjectRequest {
            request_id: self.request_id("subject"),
            ..wire::CreateSubjectRequest::default()
        };
        let subject = given(SUBJECT, self.anna.subjects.create_subject(request).await)?.name;
        let record = self.create(&subject).await?;
        Ok(Person { subject, record })
    }

    async fn create(&mut self, subject: &str) -> Result<String, DemoError> {
        const METHOD: &str = "RecordService.CreateRecord";
        self.out.call(
            METHOD,
            &[
                ("subject", subject.to_owned()),
                ("type", self.kind()),
                ("content", DOCUMENT.to_owned()),
            ],
        )?;
        let record = wire::Record {
            subject: subject.to_owned(),
            r#type: self.kind(),
            content_type: "application/json".to_owned(),
            content: DOCUMENT.into(),
            ..wire::Record::default()
        };
        let request = wire::CreateRecordRequest {
            record: Some(record),
            request_id: self.request_id("record"),
            ..wire::CreateRecordRequest::default()
        };
        let record = given(METHOD, self.anna.records.create_record(request).await)?;
        let size = format!("{} bytes", record.size_bytes);
        self.out.answer(&[("name", record.name.clone()), ("size", size)])?;
        Ok(record.name)
    }

    pub(super) async fn show(&mut self, person: &Person) -> Result<(), DemoError> {
        const METHOD: &str = "RecordService.LookupRecords";
        self.out.chapter(
            "It is read",
            "Masked, where that is enough; in full with a permission of its own; found by its \
             e-mail address, of which only a keyed hash is stored. Each needs a purpose, and \
             nothing leaves before the access is in the log.",
        )?;
        let masked = self.read(person, RecordView::Masked, "SUPPORT").await?;
        check(
            "whether MASKED shows the passport",
            masked.contains("X1234567").to_string(),
            "false",
        )?;
        check("whether MASKED shows the country", masked.contains("\"CH\"").to_string(), "true")?;
        let full = self.read(person, RecordView::Full, "KYC").await?;
        check("the content of FULL", full, DOCUMENT)?;

        let value = "ada@example.com".to_owned();
        self.out.call(
            METHOD,
            &[("index", "email".to_owned()), ("value", value.clone()), ("purpose", "KYC".into())],
        )?;
        let request = wire::LookupRecordsRequest {
            r#type: self.kind(),
            index: "email".to_owned(),
            value,
            purpose: "KYC".to_owned(),
        };
        let found = given(METHOD, self.ben.records.lookup_records(request).await)?.records;
        let names: Vec<&str> = found.iter().map(|record| record.name.as_str()).collect();
        self.out.answer(&[("records", names.join(", "))])?;
        check("what is found", names.join(", "), person.record.clone())
    }

    async fn read(
        &mut self,
        person: &Person,
        view: RecordView,
        purpose: &str,
    ) -> Result<String, DemoError> {
        const METHOD: &str = "RecordService.GetRecord";
        let view_name = word(view.as_str_name(), "RECORD_VIEW_");
        self.out.call(
            METHOD,
            &[
                ("name", person.record.clone()),
                ("view", view_name),
                ("purpose", purpose.to_owned()),
            ],
        )?;
        let request = wire::GetRecordRequest {
            name: person.record.clone(),
            view: view.into(),
            purpose: purpose.to_owned(),
            version: 0,
        };
        let record = given(METHOD, self.anna.records.get_record(request).await)?;
        let content = String::from_utf8_lossy(&record.content).into_owned();
        self.out.answer(&[("content", content.clone())])?;
        Ok(content)
    }

    /// Who saw what, with proofs.
    pub(super) async fn report(&mut self, person: &Person, trust: &Trust) -> Result<(), DemoError> {
        const METHOD: &str = "SubjectService.ListAccesses";
        self.out.chapter(
            "The person asks who saw it",
            "Every access, with its purpose, and the proof that it stands in the log as it is.",
        )?;
        self.out.call(METHOD, &[("parent", person.subject.clone()), ("proofs", "true".into())])?;
        let accesses = self.accesses(person).await?;
        let row = |[who, action, view, purpose, decision]: [&str; 5]| {
            format!("{who:<14}{action:<26}{view:<8}{purpose:<9}{decision}\n")
        };
        let mut table = row(["principal", "action", "view", "purpose", "decision"]);
        for one in accesses.iter().rev() {
            let view = word(one.view().as_str_name(), "RECORD_VIEW_");
            let view = if view == "UNSPECIFIED" { String::new() } else { view };
            let decision = word(one.decision().as_str_name(), "DECISION_");
            table += &row([&one.principal, &one.action, &view, &one.purpose, &decision]);
        }
        self.out.document(&table)?;
        let seen = accesses.iter().filter(|one| one.view() == RecordView::Full).count();
        check("who saw all of it", seen.to_string(), "2")?;

        self.out.text("strongroom verify accesses.ndjson --key log.vkey")?;
        let report = verify(access_report(&accesses)?.as_slice(), trust)?;
        self.judged("accesses.ndjson", &report)?;
        check("whether the report holds", report.holds().to_string(), "true")
    }

    /// The accesses, once a signed checkpoint covers them.
    async fn accesses(&mut self, person: &Person) -> Result<Vec<wire::AccessEntry>, DemoError> {
        const METHOD: &str = "SubjectService.ListAccesses";
        for _ in 0..ATTEMPTS {
            let request = wire::ListAccessesRequest {
                parent: person.subject.clone(),
                page_size: 100,
                proofs: true,
                ..wire::ListAccessesRequest::default()
            };
            let listed = given(METHOD, self.ben.subjects.list_accesses(request).await)?.accesses;
            // Asking is an access too: what was there before it is what is waited for.
            let asked = "records.accesses.list";
            let accesses: Vec<_> = listed.into_iter().filter(|one| one.action != asked).collect();
            if !accesses.is_empty() && accesses.iter().all(|one| !one.proof.is_empty()) {
                return Ok(accesses);
            }
            tokio::time::sleep(PAUSE).await;
        }
        check("the checkpoint of the accesses", "none", "one that is signed")?;
        Ok(Vec::new())
    }
}
