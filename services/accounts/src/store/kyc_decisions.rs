//! `kyc_decisions`: only ever appended to.

use diesel::prelude::*;
use shared::db::DbError;
use shared::field::Decoded;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::kyc_decisions;
use crate::domain::{CustomerId, Evidence, Kyc, KycDecision, KycDecisionId, KycState};

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = kyc_decisions)]
struct Row {
    tenant_id: TenantId,
    customer_id: CustomerId,
    id: KycDecisionId,
    state: i16,
    level: i16,
    expire_time: Option<Timestamp>,
    reviewer: String,
    reason_code: String,
    evidence: Vec<String>,
    create_time: Timestamp,
}

impl Row {
    fn new(tenant: TenantId, decision: &KycDecision) -> Self {
        let evidence = decision.evidence.iter().map(|evidence| evidence.name());
        Self {
            tenant_id: tenant,
            customer_id: decision.customer,
            id: decision.id,
            state: decision.kyc.state.number(),
            level: decision.kyc.level,
            expire_time: decision.kyc.expire_time,
            reviewer: decision.reviewer.clone(),
            reason_code: decision.reason_code.clone(),
            evidence: evidence.collect(),
            create_time: decision.create_time,
        }
    }

    fn decision(self) -> Result<KycDecision, DbError> {
        let fault = |what: &str| DbError::Fault(format!("{} has no usable {what}", self.id));
        let evidence = self.evidence.iter().map(|name| Evidence::parse(name));
        let evidence = evidence.collect::<Decoded<_>>().map_err(|_| fault("evidence"))?;
        let kyc = Kyc {
            state: KycState::from_number(self.state).ok_or_else(|| fault("state"))?,
            level: self.level,
            expire_time: self.expire_time,
            update_time: Some(self.create_time),
        };
        Ok(KycDecision {
            id: self.id,
            customer: self.customer_id,
            kyc,
            reviewer: self.reviewer,
            reason_code: self.reason_code,
            evidence,
            create_time: self.create_time,
        })
    }
}

/// Appends a decision.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    decision: &KycDecision,
) -> QueryResult<()> {
    let row = Row::new(tenant, decision);
    diesel::insert_into(kyc_decisions::table).values(row).execute(conn)?;
    Ok(())
}

/// Reads the decisions about a customer, the latest first, from behind one.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: CustomerId,
    after: Option<KycDecisionId>,
    limit: i64,
) -> Result<Vec<KycDecision>, DbError> {
    let mut query = kyc_decisions::table
        .filter(kyc_decisions::tenant_id.eq(tenant))
        .filter(kyc_decisions::customer_id.eq(customer))
        .order(kyc_decisions::id.desc())
        .limit(limit)
        .select(Row::as_select())
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(kyc_decisions::id.lt(after));
    }
    query.load(conn)?.into_iter().map(Row::decision).collect()
}
