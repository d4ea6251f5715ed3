//! Customers and accounts, and what may become of them: pure types and rules, without a wire or a
//! table.

mod account;
mod cascade;
mod codes;
mod country;
mod customer;
mod diagram;
mod freeze;
mod holder;
mod kyc;
mod limit;
mod profile;
mod relationship;
mod transition;

pub(crate) use account::{Account, AccountClass, AccountFilter, AccountId, AccountPosition};
pub(crate) use account::{AccountState, HeldBy, NewAccount, Overdraft};
pub use cascade::effects;
pub(crate) use cascade::{ACCOUNT_FREEZES_MAX, Block, CUSTOMER_FREEZES_MAX, Controls};
pub(crate) use cascade::{Position, Principal, is_reserved};
pub(crate) use country::is_country;
pub(crate) use customer::{
    Customer, CustomerFilter, CustomerId, CustomerKind, CustomerPosition, CustomerState,
};
pub use diagram::diagrams;
pub(crate) use freeze::parse_freeze_name;
pub(crate) use freeze::{Direction, Freeze, FreezeId, FreezePosition, FreezeState, Frozen};
pub(crate) use holder::{HOLDERS_MAX, Holder, HolderPosition, PRINCIPALS_MAX, Role};
pub(crate) use holder::{holder_name, parse_holder_name};
pub(crate) use kyc::{Evidence, Kyc, KycDecision, KycDecisionId, KycState, KycStep};
pub(crate) use limit::{LIMITS_MAX, Limit, TYPES_MAX, Window};
pub(crate) use profile::{Address, Profile, TaxId, Unreadable, is_civil_day, is_email, is_phone};
pub(crate) use relationship::{
    Relationship, RelationshipId, RelationshipKind, RelationshipPosition, Span, WHOLE, most_at_once,
};
pub(crate) use transition::NotAllowed;
