//! What requests may count in: ISO 4217, and what their tenants have registered.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use shared::db::Db;
use shared::field::{Decoded, invalid};
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::money::{self, Currency};
use shared::problem::{Problem, Reason};
use strongroom_proto::transactions::v1 as wire;

use crate::store;
use crate::store::currencies::Registered;

/// The most currencies that a tenant may register.
pub(super) const REGISTERED_MAX: i64 = 1_000;
/// More currencies than this at once, of all tenants, are read again rather than kept.
const CACHED_MAX: usize = 50_000;

/// What was read of the tenants' currencies. They are registered for good, so what is here stays
/// true; a currency that it lacks may have been registered since, here or on another replica.
#[derive(Debug, Clone)]
pub(crate) struct Currencies {
    db: Db,
    cache: Arc<RwLock<Cache>>,
}

#[derive(Debug, Default)]
struct Cache {
    /// The currencies of each tenant that has any, and how many those are.
    tenants: HashMap<TenantId, (money::Currencies, usize)>,
    count: usize,
}

impl Currencies {
    /// Those in a database.
    pub(crate) fn new(db: Db) -> Self {
        Self { db, cache: Arc::default() }
    }

    /// Decodes what names currencies. The database is asked only for a currency that is unknown so
    /// far: where there is one, `decode` is called again with all that the tenant has.
    pub(crate) async fn decode<T>(
        &self,
        call: &Call,
        decode: impl Fn(&money::Currencies) -> Decoded<T>,
    ) -> Result<T, Problem> {
        let known = self.known(call.tenant_id()?);
        match decode(&known) {
            Err(problem) if problem.reason == Reason::CurrencyUnknown => {}
            decoded => return Ok(decoded?),
        }
        let known = self.read(call).await?;
        Ok(decode(&known)?)
    }

    fn known(&self, tenant: TenantId) -> money::Currencies {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        cache.tenants.get(&tenant).map(|(known, _)| known.clone()).unwrap_or_default()
    }

    async fn read(&self, call: &Call) -> Result<money::Currencies, Problem> {
        let tenant = call.tenant_id()?;
        let all = move |conn: &mut diesel::PgConnection| {
            store::currencies::list(conn, tenant, "", REGISTERED_MAX)
        };
        let all = self.db.read("read_currencies", call.scope(), all).await?;
        let count = all.len();
        let known = money::Currencies::with(all.into_iter().map(|one| one.currency));
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.keep(tenant, known.clone(), count);
        Ok(known)
    }
}

impl Cache {
    fn keep(&mut self, tenant: TenantId, known: money::Currencies, count: usize) {
        if let Some((_, before)) = self.tenants.remove(&tenant) {
            self.count -= before;
        }
        if self.count + count > CACHED_MAX {
            *self = Self::default();
        }
        // A tenant without any is as one that was never read.
        if count > 0 {
            self.tenants.insert(tenant, (known, count));
            self.count += count;
        }
    }
}

/// The resource name of a currency.
pub(super) fn name(code: &str) -> String {
    format!("currencies/{code}")
}

/// The code in a resource name.
pub(super) fn parse_name(name: &str) -> Decoded<&str> {
    let code = name.strip_prefix("currencies/").filter(|code| Currency::new(code, 0).is_some());
    code.ok_or_else(|| invalid("must be currencies/{code}, with a code such as \"BTC\""))
}

/// The wire form of a tenant's own currency.
pub(super) fn encode(registered: Registered) -> wire::Currency {
    let create_time = Some(registered.create_time.encode());
    wire::Currency {
        display_name: registered.display_name,
        create_time,
        ..encode_iso(registered.currency)
    }
}

/// The wire form of a currency of ISO 4217.
pub(super) fn encode_iso(currency: Currency) -> wire::Currency {
    wire::Currency {
        name: name(currency.code()),
        code: currency.code().to_owned(),
        decimals: currency.decimals().into(),
        display_name: Currency::iso_name(currency.code()).unwrap_or_default(),
        create_time: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::TimeZone;
    use shared::tenants::{TenantInfo, TenantKey, TenantState};

    use super::*;

    fn call() -> Call {
        let tenant = TenantInfo {
            id: TenantId::generate(),
            zone: TimeZone::UTC,
            state: TenantState::Active,
            key: TenantKey::new([7; 32]),
        };
        Call::of_worker("test", Arc::new(tenant), Duration::from_millis(500))
    }

    /// Behind a port on which nobody answers.
    fn unreachable() -> Currencies {
        let url = "postgres://nobody@127.0.0.1:1/nothing";
        Currencies::new(Db::new(url, "nothing", shared::testing::config(&[])).unwrap())
    }

    #[tokio::test]
    async fn what_is_known_is_decoded_without_the_database() {
        let (currencies, call) = (unreachable(), call());
        let decode = |code: &'static str| {
            currencies.decode(&call, move |known| Currency::decode(code, known))
        };
        assert_eq!(decode("EUR").await.unwrap().decimals(), 2);
        let away = decode("BTC").await.unwrap_err().reason;
        assert!(matches!(away, Reason::DatabaseUnavailable | Reason::Deadline), "{away:?}");
        let known = money::Currencies::with(Currency::new("BTC", 8));
        currencies.cache.write().unwrap().keep(call.tenant_id().unwrap(), known, 1);
        assert_eq!(decode("BTC").await.unwrap().decimals(), 8);
        let refused = currencies.decode(&call, |_| Err::<(), _>(invalid("must fit"))).await;
        assert_eq!(refused.unwrap_err().reason, Reason::FieldInvalid);
    }

    #[test]
    fn the_cache_is_bounded() {
        let (mut cache, known) = (Cache::default(), money::Currencies::default);
        let again = TenantId::generate();
        for count in [3, 0, 5] {
            cache.keep(again, known(), count);
            assert_eq!((cache.count, cache.tenants.len()), (count, usize::from(count > 0)));
        }
        for _ in 0..1_000 {
            cache.keep(TenantId::generate(), known(), 999);
            assert!(cache.count <= CACHED_MAX);
            assert_eq!(cache.count, cache.tenants.values().map(|(_, count)| count).sum::<usize>());
        }
    }
}
