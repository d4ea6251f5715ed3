//! `UpdateAccount`: what the ledger need not know.

use std::collections::BTreeMap;

use diesel::PgConnection;
use serde::Serialize;
use shared::field::{self, At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::mask::Mask;
use shared::outcome::Once;
use shared::time::Timestamp;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::transactions::v1::Overdraft;
use tonic::{Request, Response, Status};

use super::create_account::{PRODUCT_MAX, overdraft};
use super::{Rpc, check_not_erased, encode, external_ids};
use crate::domain::{Account, AccountClass, AccountId, CustomerId, NewAccount, Position};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{account_external_ids, account_labels, accounts, customers};

const OPERATION: &str = "update-account";
const PRODUCT: &str = "product";
const LABELS: &str = "labels";
const EXTERNAL_IDS: &str = "external_ids";
const FIELDS: [&str; 3] = [PRODUCT, LABELS, EXTERNAL_IDS];
const CANNOT_CHANGE: &str = "cannot be changed";

/// What is asked for. The hash of a request takes in what is serialised.
#[derive(Debug, Clone, Serialize)]
struct UpdateAccount {
    id: AccountId,
    /// The fields that are taken over.
    fields: Vec<&'static str>,
    product: String,
    labels: BTreeMap<String, String>,
    external_ids: BTreeMap<String, String>,
    /// What was sent of that which cannot change, by the name of the field.
    fixed: BTreeMap<&'static str, String>,
    #[serde(skip)]
    overdraft: Option<Overdraft>,
    etag: String,
    #[serde(skip)]
    request_id: String,
    #[serde(skip)]
    validate_only: bool,
}

pub(super) async fn call(
    rpc: &Rpc,
    request: Request<wire::UpdateAccountRequest>,
) -> Result<Response<wire::Account>, Status> {
    let call = Call::of(&request)?;
    let command = decode(request.into_inner())?;
    let updated = handle(rpc, &call, command).await?;
    Ok(updated.respond(|position| encode::account(&position, rpc.clock.now())))
}

fn decode(request: wire::UpdateAccountRequest) -> Decoded<UpdateAccount> {
    let account = field::required(request.account).at("account")?;
    let mask = Mask::decode(&request.update_mask.unwrap_or_default().paths, &FIELDS);
    let fields = mask.at("update_mask")?.fields(|field| match field {
        PRODUCT => !account.product.is_empty(),
        LABELS => !account.labels.is_empty(),
        _ => !account.external_ids.is_empty(),
    });
    let fields = fields.at("update_mask")?;
    let fixed = fixed(&account);
    let product = match fields.contains(&PRODUCT) {
        true => field::kebab(account.product, PRODUCT_MAX).at("account.product")?,
        false => String::new(),
    };
    let external_ids = external_ids::decode(account.external_ids);
    Ok(UpdateAccount {
        id: AccountId::parse_name(&account.name).at("account.name")?,
        fields,
        product,
        labels: field::labels(account.labels).at("account.labels")?,
        external_ids: external_ids.at("account.external_ids")?,
        fixed,
        overdraft: account.overdraft,
        etag: account.etag,
        request_id: field::required_request_id(request.request_id).at("request_id")?,
        validate_only: request.validate_only,
    })
}

/// What is populated of the fields that cannot change.
fn fixed(account: &wire::Account) -> BTreeMap<&'static str, String> {
    let class = AccountClass::from_number(account.class).map_or("", AccountClass::name);
    let fields = [
        ("customer", &*account.customer),
        ("currency", &*account.currency),
        ("class", class),
        ("gl_code", &*account.gl_code),
        ("parent", &*account.parent),
    ];
    let populated = fields.into_iter().filter(|(_, value)| !value.is_empty());
    populated.map(|(field, value)| (field, value.to_owned())).collect()
}

impl UpdateAccount {
    /// The account as it shall be.
    fn apply(&self, account: &mut Account, now: Timestamp) -> Result<(), Error> {
        encode::check_etag(&self.etag, account.version, &self.id.name())?;
        account.allow_change()?;
        self.check_fixed(&account.terms).at("account")?;
        if self.fields.contains(&PRODUCT) {
            account.terms.product.clone_from(&self.product);
        }
        if self.fields.contains(&LABELS) {
            account.terms.labels.clone_from(&self.labels);
        }
        if self.fields.contains(&EXTERNAL_IDS) {
            account.terms.external_ids.clone_from(&self.external_ids);
        }
        account.change(now);
        Ok(())
    }

    /// Whether all is as it is that cannot change.
    fn check_fixed(&self, terms: &NewAccount) -> Decoded<()> {
        let customer = terms.customer.map(CustomerId::name).unwrap_or_default();
        let parent = terms.parent.map(AccountId::name).unwrap_or_default();
        for (field, found) in [
            ("customer", &*customer),
            ("currency", terms.currency.code()),
            ("class", terms.class.name()),
            ("gl_code", &*terms.gl_code),
            ("parent", &*parent),
        ] {
            if self.fixed.get(field).is_some_and(|sent| sent != found) {
                return Err(invalid(CANNOT_CHANGE)).at(field);
            }
        }
        if let Some(sent) = &self.overdraft
            && overdraft(Some(sent.clone()), terms.currency).at("overdraft")? != terms.overdraft
        {
            return Err(invalid(CANNOT_CHANGE)).at("overdraft");
        }
        Ok(())
    }

    /// Applies it to the account, under its lock. Its customer is kept as it is meanwhile, so that
    /// nothing is written of somebody who is erased at the same time.
    fn write(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Account, Error> {
        let found = accounts::select(conn, tenant, self.id)?.ok_or_else(|| self.id.not_found())?;
        if let Some(customer) = found.terms.customer {
            self.check_customer(conn, tenant, customer)?;
        }
        let account = accounts::lock(conn, tenant, self.id)?;
        let mut account = account.ok_or_else(|| self.id.not_found())?;
        self.apply(&mut account, now)?;
        if self.fields.contains(&LABELS) {
            account_labels::replace(conn, tenant, &account)?;
        }
        if self.fields.contains(&EXTERNAL_IDS) {
            account_external_ids::replace(conn, tenant, &account)?;
        }
        accounts::update(conn, tenant, &account)?;
        let event = Event::of_account(tenant, "account.updated", &account);
        events::record(conn, tenant, &event.with("fields", self.fields.clone()))?;
        Ok(account)
    }

    /// Of an erased customer's account nobody writes texts any more.
    fn check_customer(
        &self,
        conn: &mut PgConnection,
        tenant: TenantId,
        id: CustomerId,
    ) -> Result<(), Error> {
        let customer = customers::hold(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        match self.fields.iter().any(|field| *field != PRODUCT) {
            true => Ok(check_not_erased(&customer)?),
            false => Ok(()),
        }
    }
}

async fn handle(
    rpc: &Rpc,
    call: &Call,
    command: UpdateAccount,
) -> Result<Created<Position>, Error> {
    let (tenant, id, now) = (call.tenant_id()?, command.id, rpc.clock.now());
    if command.validate_only {
        return check(rpc, call, command).await.map(Created::Now);
    }
    let request = call.request(OPERATION, command.request_id.clone(), &command, &rpc.clock)?;
    let act = move |conn: &mut PgConnection| command.write(conn, tenant, now).map(drop);
    let done = rpc.once(call, "update_account", request, id.name(), act).await?;
    let position = rpc.position(call, id).await?;
    Ok(match done {
        Once::Done(()) => Created::Now(position),
        Once::Replayed(_) => Created::Before(position),
    })
}

/// Whether it could be done, and what it would give: a write that is rolled back, because it takes
/// the same locks.
async fn check(rpc: &Rpc, call: &Call, command: UpdateAccount) -> Result<Position, Error> {
    let (tenant, now) = (call.tenant_id()?, rpc.clock.now());
    let writing = command.clone();
    let check = move |conn: &mut PgConnection| {
        writing.write(conn, tenant, now)?;
        Err::<(), _>(Error::Checked)
    };
    match rpc.db.write("check_account", call.scope(), check).await {
        Ok(()) | Err(Error::Checked) => {}
        Err(error) => return Err(error),
    }
    let mut position = rpc.position(call, command.id).await?;
    command.apply(&mut position.account, now)?;
    Ok(position)
}
