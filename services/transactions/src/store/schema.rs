//! The tables, as the migrations make them. A test keeps this file equal to them:
//! `UPDATE_SCHEMA=1 cargo test -p transactions schema` writes it anew.

diesel::table! {
    entries (tenant_id, transaction_id, entry_index) {
        tenant_id -> Uuid,
        transaction_id -> Uuid,
        entry_index -> Integer,
        account_id -> Uuid,
        entry_seq -> BigInt,
        direction -> SmallInt,
        amount -> Numeric,
        currency -> Text,
        posted_after -> Numeric,
        available_after -> Nullable<Numeric>,
        version_after -> BigInt,
    }
}

diesel::table! {
    labels (tenant_id, transaction_id, key) {
        tenant_id -> Uuid,
        key -> Text,
        value -> Text,
        transaction_id -> Uuid,
    }
}

diesel::table! {
    ledger_accounts (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        currency -> Text,
        decimals -> SmallInt,
        class -> SmallInt,
        gl_code -> Text,
        overdraft_limit -> Nullable<Numeric>,
        posted_debits -> Numeric,
        posted_credits -> Numeric,
        held -> Numeric,
        entry_seq -> BigInt,
        version -> BigInt,
        controls -> Nullable<Text>,
        create_time -> Timestamptz,
        record_time -> Timestamptz,
    }
}

diesel::table! {
    texts (tenant_id, transaction_id, entry_index) {
        tenant_id -> Uuid,
        transaction_id -> Uuid,
        entry_index -> Integer,
        text -> Text,
    }
}

diesel::table! {
    transactions (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        entry_count -> Integer,
        effective_time -> Timestamptz,
        record_time -> Timestamptz,
        booking_date -> Date,
        batch_id -> Nullable<Uuid>,
        batch_index -> Nullable<Integer>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(entries, ledger_accounts,);
