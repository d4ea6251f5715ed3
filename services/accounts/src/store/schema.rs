//! The tables of the migrations, as diesel has them.

diesel::table! {
    account_labels (tenant_id, account_id, key) {
        tenant_id -> Uuid,
        account_id -> Uuid,
        key -> Text,
        value -> Text,
    }
}

diesel::table! {
    accounts (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        customer_id -> Nullable<Uuid>,
        product -> Text,
        currency -> Text,
        class -> SmallInt,
        gl_code -> Text,
        overdraft_limit -> Nullable<Numeric>,
        state -> SmallInt,
        version -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    customer_labels (tenant_id, customer_id, key) {
        tenant_id -> Uuid,
        customer_id -> Uuid,
        key -> Text,
        value -> Text,
    }
}

diesel::table! {
    customers (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> SmallInt,
        state -> SmallInt,
        version -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    ledger_intents (tenant_id, account_id, version) {
        tenant_id -> Uuid,
        account_id -> Uuid,
        version -> BigInt,
        state -> SmallInt,
        operation -> Text,
        request_id -> Text,
        attempts -> Integer,
        due_time -> Nullable<Timestamptz>,
        create_time -> Timestamptz,
        acknowledge_time -> Nullable<Timestamptz>,
    }
}
