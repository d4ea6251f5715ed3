//! Callers who want what is another tenant's, or what they have no permission for: of every method
//! that the contract has, so that a new one is covered, or fails here.

use std::collections::BTreeMap;

use prost::Message as _;
use prost::bytes::Bytes;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    Value,
};
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1 as wire;
use strongroom_proto::{Audit, METHODS, Method};
use suite::Api;

use super::caller::{Vault, erase, frames};
use super::raw::call;
use crate::wire::request_id;
use crate::world::{claims, run, world};

/// The methods of the vault.
const SERVICES: &str = "/strongroom.records.v1.";
/// `google.api.FieldBehavior` of what a request has to have.
const REQUIRED: i32 = 2;

fn methods() -> impl Iterator<Item = &'static Method> {
    METHODS.iter().filter(|method| method.path.starts_with(SERVICES))
}

#[test]
fn nothing_is_allowed_without_its_permission() {
    run(async {
        let world = world().await;
        let tenant = world.tenant().await;
        let refused = async |method: &Method, permissions: &[&str]| {
            let token = world.token(&claims(tenant, permissions));
            let api = world.caller_with(&token).api(world.at.records).unwrap();
            let status = call(api, method.path, Vec::new()).await.unwrap_err();
            let (reason, _, figures) = refusal(&status);
            assert_eq!(reason, Reason::PermissionMissing, "{}", method.path);
            assert_eq!(figures["permission"], method.permission, "{}", method.path);
        };
        for method in methods() {
            refused(method, &[]).await;
            let all = methods().map(|other| other.permission);
            let others: Vec<&str> = all.filter(|other| *other != method.permission).collect();
            refused(method, &others).await;
        }
    });
}

#[test]
fn what_is_another_tenants_is_not_there_whatever_is_asked() {
    run(Box::pin(async {
        let world = world().await;
        let (owner, stranger) = (world.newcomer().await, world.newcomer().await);
        let [own, strange] = [&owner, &stranger].map(|who| who.api(world.at.records).unwrap());
        let estate = Estate::new(&Vault::of(&owner, world.at.records)).await;
        let before = estate.told(&own).await;
        let mut asked = 0;
        for method in methods() {
            let request = estate.request(method);
            if !request.has_name {
                continue;
            }
            asked += 1;
            match call(strange.clone(), method.path, request.message).await {
                // A list of nothing tells nothing.
                Ok(answer) => assert!(answer.is_empty(), "{} answers", method.path),
                Err(status) => {
                    let (reason, ..) = refusal(&status);
                    assert_eq!(reason, Reason::ResourceNotFound, "{}: {status:?}", method.path);
                }
            }
        }
        assert!(asked > 30, "{asked} methods take a name");
        assert_eq!(before, estate.told(&own).await);
        // The requests were good ones: to whom it belongs the same is there.
        for method in methods() {
            let request = estate.request(method);
            if !request.has_name {
                continue;
            }
            if let Err(status) = call(own.clone(), method.path, request.message).await {
                let (reason, ..) = refusal(&status);
                let is_bad = [Reason::ResourceNotFound, Reason::FieldInvalid].contains(&reason);
                assert!(!is_bad, "{}: {status:?}", method.path);
            }
        }
    }));
}

/// One of everything that has a name.
struct Estate {
    pool: DescriptorPool,
    /// By the patterns of their names.
    names: BTreeMap<&'static str, String>,
}

impl Estate {
    async fn new(vault: &Vault) -> Self {
        let index = wire::FieldIndex { name: "email".to_owned(), ..Default::default() };
        let rule =
            wire::FieldRule { path: "/email".to_owned(), index: Some(index), ..Default::default() };
        let kind = wire::CreateRecordTypeRequest {
            record_type: Some(wire::RecordType {
                content_type: "application/json".to_owned(),
                fields: vec![rule],
                ..Default::default()
            }),
            record_type_id: "contact".to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        let kind = vault.types.clone().create_record_type(kind).await.unwrap().into_inner().name;
        let (subject, upload) = (vault.subject().await, request_id());
        let record = vault.upload(frames(&subject, &upload, b"secret")).await.unwrap().name;
        let rotation = vault.rotate(wire::KeyScope::IndexKey, false).await.name;
        let [consent, lease, hold] = govern(vault, &subject).await;
        // Blocked, so that it stays.
        let erasure = erase(&subject, request_id());
        let erasure = vault.subjects.clone().erase_subject(erasure).await.unwrap().into_inner();
        let names = [
            ("subjects/*", subject),
            ("records/*", record),
            ("uploads/*", format!("uploads/{upload}")),
            ("recordTypes/*", kind),
            ("rotations/*", rotation),
            ("consents/*", consent),
            ("breakGlassLeases/*", lease),
            ("legalHolds/*", hold),
            ("subjects/*/erasures/*", erasure.name),
        ];
        let pool = DescriptorPool::decode(strongroom_proto::FILE_DESCRIPTOR_SET).unwrap();
        Self { pool, names: names.into() }
    }

    fn named(&self, pattern: &str) -> Value {
        let name = self.names.get(pattern);
        Value::String(name.unwrap_or_else(|| panic!("nobody has {pattern}")).clone())
    }

    /// What the reads tell that leave no entry.
    async fn told(&self, api: &Api) -> BTreeMap<&'static str, Bytes> {
        let mut told = BTreeMap::new();
        for method in methods().filter(|one| one.read_only && one.audit == Audit::None) {
            let request = self.request(method).message;
            told.insert(method.path, call(api.clone(), method.path, request).await.unwrap());
        }
        told
    }

    /// A request with all that it has to have, about what is here.
    fn request(&self, method: &Method) -> Request {
        let (service, name) = method.path[1..].split_once('/').unwrap();
        let service = self.pool.get_service_by_name(service).unwrap();
        let method = service.methods().find(|method| method.name() == name).unwrap();
        let mut filler = Filler { estate: self, patterns: self.patterns(&method), has_name: false };
        let message = filler.fill(&method.input(), "").encode_to_vec();
        Request { message, has_name: filler.has_name }
    }

    /// The fields that a method's path has, such as `/v1/{record.name=records/*}:close`, and what
    /// they name. What the caller streams has none.
    fn patterns(&self, method: &MethodDescriptor) -> BTreeMap<String, String> {
        let http = self.pool.get_extension_by_name("google.api.http").unwrap();
        let options = method.options();
        let rule = options.get_extension(&http);
        let texts = rule.as_message().unwrap().fields().filter_map(|(_, value)| value.as_str());
        let variables = texts.flat_map(|text| text.split('{').skip(1));
        let variables = variables.filter_map(|text| text.split_once('}')?.0.split_once('='));
        variables.map(|(field, pattern)| (field.to_owned(), pattern.to_owned())).collect()
    }
}

/// A consent, a lease and a hold.
async fn govern(vault: &Vault, subject: &str) -> [String; 3] {
    let mut governance = vault.governance.clone();
    let consent = wire::Consent {
        subject: subject.to_owned(),
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
    let consent = governance.grant_consent(consent).await.unwrap().into_inner().name;
    let lease = wire::BreakGlassLease {
        subject: subject.to_owned(),
        reason_code: "emergency".to_owned(),
        reason: "Unconscious.".to_owned(),
        ..Default::default()
    };
    let lease = wire::OpenBreakGlassRequest { lease: Some(lease), request_id: request_id() };
    let lease = governance.open_break_glass(lease).await.unwrap().into_inner().name;
    let hold = wire::LegalHold {
        target: subject.to_owned(),
        authority: "court".to_owned(),
        case_reference: "1".to_owned(),
        ..Default::default()
    };
    let hold = wire::PlaceLegalHoldRequest {
        legal_hold: Some(hold),
        request_id: request_id(),
        ..Default::default()
    };
    let hold = governance.place_legal_hold(hold).await.unwrap().into_inner().name;
    [consent, lease, hold]
}

struct Request {
    message: Vec<u8>,
    /// Whether it names something.
    has_name: bool,
}

/// Fills in a request.
struct Filler<'a> {
    estate: &'a Estate,
    /// What is asked for by name: the field, and the kind of resource.
    patterns: BTreeMap<String, String>,
    has_name: bool,
}

impl Filler<'_> {
    fn fill(&mut self, message: &MessageDescriptor, at: &str) -> DynamicMessage {
        let mut filled = DynamicMessage::new(message.clone());
        for field in message.fields() {
            if let Some(value) = self.value(&field, at) {
                let is_list = field.is_list();
                filled.set_field(&field, if is_list { Value::List(vec![value]) } else { value });
            }
        }
        filled
    }

    fn value(&mut self, field: &FieldDescriptor, at: &str) -> Option<Value> {
        let place = format!("{at}{}", field.name());
        let text = |text: &str| Some(Value::String(text.to_owned()));
        let pattern = match (field.kind(), field.name()) {
            (Kind::String, "subject" | "target") => Some("subjects/*"),
            (Kind::String, "names") => Some("records/*"),
            _ => self.patterns.get(&place).map(String::as_str),
        };
        if let Some(pattern) = pattern {
            self.has_name = true;
            return Some(self.estate.named(pattern));
        }
        let is_required = is_required(field);
        match (field.kind(), field.name()) {
            (Kind::Message(inner), name) if is_required || ["header", "record"].contains(&name) => {
                Some(Value::Message(self.fill(&inner, &format!("{place}."))))
            }
            (Kind::String, "index") => {
                // Of a type that the other tenant does not have.
                self.has_name = true;
                text("email")
            }
            (Kind::String, "request_id") => text(&request_id()),
            (Kind::String, "purpose" | "purposes") => text("KYC"),
            (Kind::String, "type") => text("contact"),
            (Kind::String, "value") => text("ada@example.com"),
            (Kind::String, "content_type") => text("application/json"),
            (Kind::String, "authority" | "source" | "reason_code") => text("court"),
            (Kind::String, "case_reference" | "reference" | "reason") => text("1"),
            (Kind::String, "grantee") => text("*"),
            (Kind::String, "record_type_id") => text("other"),
            // It comes in frames of its own.
            (Kind::Bytes, "content") if at.starts_with("header.") => None,
            (Kind::Bytes, "content") if is_required => Some(Value::Bytes("{}".into())),
            // Where nothing changes there is nothing to ask for.
            (Kind::Bool, "requires_consent") => Some(Value::Bool(true)),
            (Kind::Enum(_), _) if is_required => Some(Value::EnumNumber(1)),
            (Kind::Int32, _) if is_required => Some(Value::I32(1)),
            _ => {
                assert!(!is_required, "nobody knows what to give as {place}");
                None
            }
        }
    }
}

fn is_required(field: &FieldDescriptor) -> bool {
    let pool = field.parent_pool();
    let behavior = pool.get_extension_by_name("google.api.field_behavior").unwrap();
    let options = field.options();
    let behaviors = options.get_extension(&behavior);
    behaviors.as_list().unwrap().contains(&Value::EnumNumber(REQUIRED))
}
