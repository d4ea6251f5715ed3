//! A posting to an account that the ledger does not know asks accounts, once, and comes back: an
//! account that was created never refuses money.

use std::collections::BTreeSet;

use shared::grpc::Call;
use shared::problem::Problem;

use super::Rpc;
use crate::domain::{AccountId, REGISTERED};
use crate::error::Error;
use crate::store::ledger_accounts;

/// Registers those of the accounts that the ledger does not know, as accounts has them; false where
/// accounts does not have all of them either.
pub(super) async fn introduce(
    rpc: &Rpc,
    call: &Call,
    ids: BTreeSet<AccountId>,
) -> Result<bool, Problem> {
    let Some(peer) = &rpc.accounts else {
        return Ok(false);
    };
    let tenant = call.tenant_id()?;
    let wanted = ids.clone();
    let known = rpc
        .db
        .read("find_ledger_accounts", call.scope(), move |conn| {
            ledger_accounts::select_all(conn, tenant, &wanted)
        })
        .await?;
    let mut accounts = Vec::new();
    for id in ids.into_iter().filter(|id| !known.contains_key(id)) {
        match peer.find(call, id).await? {
            Some(account) => accounts.push(account.open(rpc.clock.now())),
            None => return Ok(false),
        }
    }
    rpc.db
        .write("introduce_ledger_accounts", call.scope(), move |conn| {
            for account in &accounts {
                if ledger_accounts::insert(conn, tenant, account)? {
                    ledger_accounts::record(conn, tenant, REGISTERED, account, None)?;
                }
            }
            Ok::<_, Error>(())
        })
        .await?;
    Ok(true)
}
