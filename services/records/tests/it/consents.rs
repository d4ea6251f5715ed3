//! What a person permits and denies, and what opens it all the same.

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::records::v1::RecordView as View;
use uuid::Uuid;

use crate::world::{Caller, World, get, id_of};

/// A world with a record whose type may ask for a consent.
struct Ward {
    world: World,
    caller: Caller,
    subject: String,
    record: String,
}

impl Ward {
    async fn new(requires_consent: bool) -> Self {
        let world = World::new().await;
        let caller = world.caller();
        let subject = caller.subject().await;
        let record = caller.record(&subject, "application/json", b"{}").await.name;
        let ward = Self { world, caller, subject, record };
        ward.sql(&format!(
            "INSERT INTO record_types (tenant_id, id, fields, requires_consent, revision, \
                 create_time, update_time) \
             VALUES (tenant(), 'kyc-file', '[]', {requires_consent}, 1, now(), now())"
        ));
        ward
    }

    fn sql(&self, sql: &str) {
        let tenant = format!("'{}'::uuid", self.world.tenant.uuid());
        self.world.owner_sql(&sql.replace("tenant()", &tenant));
    }

    /// A consent for everything since an hour ago, and its name.
    fn consent(&self, decision: i16, grantee: &str, purpose: &str) -> String {
        let (id, subject) = (Uuid::now_v7(), id_of(&self.subject));
        self.sql(&format!(
            "INSERT INTO consents (tenant_id, id, subject_id, grantee, purposes, kinds, decision, \
                 start_time, revision, create_time) \
             VALUES (tenant(), '{id}', '{subject}', '{grantee}', '{{{purpose}}}', '{{}}', \
                 {decision}, now() - interval '1 hour', 1, now())"
        ));
        format!("consents/{id}")
    }

    /// A lease for the one who reads, and its name.
    fn lease(&self, minutes: i32) -> String {
        let (id, subject) = (Uuid::now_v7(), id_of(&self.subject));
        let principal = self.world.accesses().pop().unwrap().principal;
        self.sql(&format!(
            "INSERT INTO break_glass_leases (tenant_id, id, subject_id, principal, reason_code, \
                 create_time, end_time, review_due_time, is_overdue_told, revision) \
             VALUES (tenant(), '{id}', '{subject}', '{principal}', 'emergency', \
                 now() - interval '1 hour', now() + interval '{minutes} minutes', now(), false, 1)"
        ));
        format!("breakGlassLeases/{id}")
    }

    /// Reads for a purpose: the grounds that are logged, or the reason that is answered and logged.
    async fn read(&self, purpose: &str) -> Result<Option<String>, Reason> {
        #[derive(QueryableByName)]
        struct Entry {
            #[diesel(sql_type = Nullable<Text>)]
            grounds: Option<String>,
            #[diesel(sql_type = Nullable<Text>)]
            reason: Option<String>,
        }
        let answer = self.caller.get_record(get(&self.record, View::Full, purpose)).await;
        let query = "SELECT grounds, reason FROM accesses ORDER BY time DESC, id DESC LIMIT 1";
        let query = diesel::sql_query(query);
        let entry: Entry = query.get_result(&mut self.world.database.admin()).unwrap();
        match answer {
            Ok(_) => {
                assert_eq!(entry.reason, None);
                Ok(entry.grounds)
            }
            Err(status) => {
                let (reason, _, figures) = refusal(&status);
                assert_eq!(entry.reason, Some(shared::problem::reason_name(reason).to_owned()));
                assert_eq!(figures["break_glass"], "available");
                Err(reason)
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_its_type_asks_for_it_content_needs_a_consent() {
    let ward = Ward::new(true).await;
    assert_eq!(ward.read("TREAT").await, Err(Reason::ConsentMissing));
    assert_eq!(ward.read("LEGAL").await, Ok(None));
    let basic = ward.caller.get_record(get(&ward.record, View::Basic, "")).await;
    assert!(basic.is_ok());
    ward.consent(1, "somebody-else", "*");
    ward.consent(1, "*", "KYC");
    assert_eq!(ward.read("TREAT").await, Err(Reason::ConsentMissing));
    let consent = ward.consent(1, "*", "TREAT");
    assert_eq!(ward.read("TREAT").await, Ok(Some(consent)));
    ward.sql("UPDATE consents SET revoke_time = now()");
    assert_eq!(ward.read("TREAT").await, Err(Reason::ConsentMissing));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_denied_whatever_is_permitted_beside_it() {
    let ward = Ward::new(false).await;
    assert_eq!(ward.read("TREAT").await, Ok(None));
    ward.consent(1, "*", "*");
    ward.consent(2, "*", "TREAT");
    assert_eq!(ward.read("TREAT").await, Err(Reason::ConsentMissing));
    assert!(ward.read("KYC").await.unwrap().unwrap().starts_with("consents/"));
    assert_eq!(ward.read("LEGAL").await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_opens_until_its_end_and_for_its_holder() {
    let ward = Ward::new(true).await;
    ward.consent(2, "*", "*");
    ward.lease(-1);
    assert_eq!(ward.read("TREAT").await, Err(Reason::ConsentMissing));
    let lease = ward.lease(60);
    assert_eq!(ward.read("TREAT").await, Ok(Some(lease)));
    let colleague = ward.world.caller();
    let answer = colleague.get_record(get(&ward.record, View::Full, "TREAT")).await;
    assert_eq!(refusal(&answer.unwrap_err()).0, Reason::ConsentMissing);
}
