//! The steps of verifications: all decide alike. Evidence is checked with records, and kept there
//! by a retention interest, before a decision is stored.

use diesel::PgConnection;
use futures_util::future::try_join_all;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::records::v1::record::State as RecordState;
use tonic::Response;

use super::activate_customer::check_complete;
use super::control::Begin;
use super::{Rpc, encode};
use crate::clients::subject_name;
use crate::domain::{Customer, CustomerId, Evidence, KycDecision, KycDecisionId, KycStep};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{account_holders, customers, kyc_decisions};

const EVIDENCE_MAX: usize = 32;

/// What is decided. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Decide {
    pub(super) id: CustomerId,
    pub(super) step: KycStep,
    pub(super) reason_code: String,
    pub(super) evidence: Vec<Evidence>,
    pub(super) etag: String,
    #[serde(skip)]
    pub(super) request_id: String,
}

/// Reads the names of evidence: at least so many, each named once.
pub(super) fn evidence(names: &[String], min: usize) -> Decoded<Vec<Evidence>> {
    let count = names.len();
    if count < min || count > EVIDENCE_MAX {
        let sentence = format!("must be {min} to {EVIDENCE_MAX}, and are {count}");
        return Err(invalid(sentence)).at("evidence");
    }
    let mut evidence = Vec::with_capacity(count);
    for (index, name) in names.iter().enumerate() {
        let one = Evidence::parse(name).at_index("evidence", index)?;
        if evidence.contains(&one) {
            return Err(invalid("is named before")).at_index("evidence", index);
        }
        evidence.push(one);
    }
    Ok(evidence)
}

/// Reads a reason, which has to be given.
pub(super) fn reason_code(code: String) -> Decoded<String> {
    field::code(code).at("reason_code")
}

impl Decide {
    /// The customer as it is decided, and the decision.
    fn apply(
        &self,
        customer: &mut Customer,
        reviewer: &str,
        now: Timestamp,
    ) -> Result<KycDecision, Error> {
        encode::check_etag(&self.etag, customer.version, &self.id.name())?;
        if let KycStep::Approve { expire_time: Some(end), .. } = self.step
            && end <= now
        {
            return Err(invalid("must be in the future").in_field("expire_time").into());
        }
        customer.verify(self.step, now)?;
        check_complete(customer)?;
        Ok(KycDecision {
            id: KycDecisionId::generate(),
            customer: self.id,
            kyc: customer.kyc,
            reviewer: reviewer.to_owned(),
            reason_code: self.reason_code.clone(),
            evidence: self.evidence.clone(),
            create_time: now,
        })
    }

    /// Decides about the customer, under its lock. What an approval ends by is judged by the
    /// ledger, which has to know of every change of it.
    fn write(&self, conn: &mut PgConnection, begin: &Begin<'_>) -> Result<(), Error> {
        let (tenant, now) = (begin.tenant, begin.now());
        let customer = customers::lock(conn, tenant, self.id)?;
        let mut customer = customer.ok_or_else(|| self.id.not_found())?;
        let until = customer.kyc.expire_time;
        let decision = self.apply(&mut customer, begin.principal(), now)?;
        if customer.kyc.expire_time != until {
            let accounts = account_holders::stopped_by(conn, tenant, self.id, now)?;
            begin.change(conn, &accounts)?;
        }
        customers::update(conn, tenant, &customer)?;
        kyc_decisions::insert(conn, tenant, &decision)?;
        let event = Event::of_customer(tenant, self.event(), &customer)
            .with("decision", decision.name())
            .with("kycState", customer.kyc.state.name())
            .with("level", customer.kyc.level);
        Ok(events::record(conn, tenant, &event)?)
    }

    fn event(&self) -> &'static str {
        match self.step {
            KycStep::Submit => "customer.kycSubmitted",
            KycStep::Approve { .. } => "customer.kycApproved",
            KycStep::Reject => "customer.kycRejected",
            KycStep::Expire => "customer.kycExpired",
        }
    }
}

/// Decides, and answers.
pub(super) async fn decide(
    rpc: &Rpc,
    call: &Call,
    operation: &str,
    decide: Decide,
) -> Result<Response<wire::Customer>, Error> {
    let decided = handle(rpc, call, operation, decide).await?;
    Ok(decided.respond(|customer| encode::customer(customer, None, rpc.clock.now())))
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    operation: &str,
    decide: Decide,
) -> Result<Created<Customer>, Error> {
    let id = decide.id;
    let request = call.request(operation, decide.request_id.clone(), &decide, &rpc.clock)?;
    let reviewer = call.principal.subject.clone();
    let is_checked = match decide.evidence.is_empty() {
        true => true,
        // A repeat gets the first answer, and what is refused anyway needs no evidence.
        false if rpc.is_known(call, &request).await? => false,
        false => {
            let mut customer = rpc.customer(call, id).await?;
            match decide.apply(&mut customer, &reviewer, rpc.clock.now()) {
                Err(_) => false,
                Ok(_) => match keep(rpc, call, &customer, &decide.evidence).await {
                    Ok(()) => true,
                    Err(problem) => return Err(rpc.refuse(call, request, problem.into()).await),
                },
            }
        }
    };
    let has_evidence = !decide.evidence.is_empty();
    let act = move |conn: &mut PgConnection, begin: &Begin<'_>| {
        decide.write(conn, begin)?;
        if !is_checked {
            let message = "The customer changed at the same time.";
            return Err(Problem::new(Reason::Contention, message).into());
        }
        Ok(())
    };
    match rpc.control(call, "decide_kyc", request, id.name(), act).await {
        Ok(decided) => Ok(decided.with(rpc.customer(call, id).await?)),
        Err(error) => {
            if is_checked && has_evidence {
                undo(rpc, call, id).await?;
            }
            Err(error)
        }
    }
}

/// Gives the interest of a customer that was closed at the same time its end back.
async fn undo(rpc: &Rpc, call: &Call, id: CustomerId) -> Result<(), Error> {
    let customer = rpc.customer(call, id).await?;
    if customer.close_time.is_some() {
        rpc.records.retain(call, id, customer.close_time).await?;
    }
    Ok(())
}

/// Checks evidence and has it kept until the customer is closed and its years are over. It is
/// looked at once more after that: from then on nobody can purge it.
async fn keep(
    rpc: &Rpc,
    call: &Call,
    customer: &Customer,
    evidence: &[Evidence],
) -> Result<(), Problem> {
    check(rpc, call, customer, evidence).await?;
    rpc.records.retain(call, customer.id, None).await?;
    check(rpc, call, customer, evidence).await
}

/// Whether each piece of evidence is there, and is about the customer.
async fn check(
    rpc: &Rpc,
    call: &Call,
    customer: &Customer,
    evidence: &[Evidence],
) -> Result<(), Problem> {
    let subject = subject_name(customer);
    let look = async |(index, evidence): (usize, &Evidence)| {
        let refused = |sentence| invalid(sentence).in_field(format!("evidence[{index}]"));
        let record = match rpc.records.get_evidence(call, *evidence).await {
            Ok(record) => record,
            Err(problem) if problem.reason == Reason::ResourceNotFound => {
                return Err(refused("must be a version of a record that there is"));
            }
            Err(problem) => return Err(problem),
        };
        if record.subject != subject {
            return Err(refused("must be about the customer"));
        }
        if record.state() == RecordState::Purged {
            return Err(refused("must not be purged"));
        }
        Ok(())
    };
    try_join_all(evidence.iter().enumerate().map(look)).await.map(drop)
}
