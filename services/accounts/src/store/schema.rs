//! The tables of the migrations, as diesel has them.

diesel::table! {
    account_external_ids (tenant_id, kind, value) {
        tenant_id -> Uuid,
        kind -> Text,
        value -> Text,
        account_id -> Uuid,
    }
}

diesel::table! {
    account_holders (tenant_id, account_id, customer_id) {
        tenant_id -> Uuid,
        account_id -> Uuid,
        customer_id -> Uuid,
        role -> SmallInt,
        start_time -> Timestamptz,
        end_time -> Nullable<Timestamptz>,
        create_time -> Timestamptz,
        account_create_time -> Timestamptz,
    }
}

diesel::table! {
    account_labels (tenant_id, account_id, key) {
        tenant_id -> Uuid,
        account_id -> Uuid,
        key -> Text,
        value -> Text,
        create_time -> Timestamptz,
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
        parent_id -> Nullable<Uuid>,
        limits -> Text,
        controls_version -> BigInt,
        acknowledged_version -> BigInt,
        disposition_id -> Nullable<Uuid>,
        close_time -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    customer_external_ids (tenant_id, kind, value) {
        tenant_id -> Uuid,
        kind -> Text,
        value -> Text,
        customer_id -> Uuid,
    }
}

diesel::table! {
    customer_labels (tenant_id, customer_id, key) {
        tenant_id -> Uuid,
        customer_id -> Uuid,
        key -> Text,
        value -> Text,
        create_time -> Timestamptz,
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
        kyc_state -> SmallInt,
        kyc_level -> SmallInt,
        kyc_expire_time -> Nullable<Timestamptz>,
        kyc_update_time -> Nullable<Timestamptz>,
        profile_version -> BigInt,
        close_time -> Nullable<Timestamptz>,
        retain_due_time -> Nullable<Timestamptz>,
        erase_time -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    erasure_cursors (tenant_id) {
        tenant_id -> Uuid,
        cursor -> Text,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    freezes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        account_id -> Nullable<Uuid>,
        customer_id -> Nullable<Uuid>,
        direction -> SmallInt,
        amount -> Nullable<Numeric>,
        reason_code -> Text,
        authority -> Text,
        case_reference -> Nullable<Text>,
        end_time -> Nullable<Timestamptz>,
        honour_holds -> Bool,
        principal -> Text,
        create_time -> Timestamptz,
        lifter -> Nullable<Text>,
        lift_time -> Nullable<Timestamptz>,
        version -> BigInt,
    }
}

diesel::table! {
    kyc_decisions (tenant_id, customer_id, id) {
        tenant_id -> Uuid,
        customer_id -> Uuid,
        id -> Uuid,
        state -> SmallInt,
        level -> SmallInt,
        expire_time -> Nullable<Timestamptz>,
        reviewer -> Text,
        reason_code -> Text,
        evidence -> Array<Text>,
        create_time -> Timestamptz,
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

diesel::table! {
    relationship_graphs (tenant_id, kind) {
        tenant_id -> Uuid,
        kind -> SmallInt,
    }
}

diesel::table! {
    relationships (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        customer_id -> Uuid,
        kind -> SmallInt,
        other_id -> Uuid,
        share_basis_points -> Nullable<Integer>,
        start_time -> Timestamptz,
        end_time -> Nullable<Timestamptz>,
        create_time -> Timestamptz,
    }
}
