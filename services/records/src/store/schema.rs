//! The tables of the migrations, as diesel has them.

diesel::table! {
    accesses (tenant_id, time, id) {
        tenant_id -> Uuid,
        time -> Timestamptz,
        id -> Uuid,
        principal -> Text,
        workload -> Nullable<Text>,
        action -> Text,
        subject_id -> Nullable<Uuid>,
        record_id -> Nullable<Uuid>,
        version -> Nullable<BigInt>,
        view -> Nullable<SmallInt>,
        purpose -> Nullable<Text>,
        decision -> SmallInt,
        reason -> Nullable<Text>,
        trace_id -> Text,
    }
}

diesel::table! {
    record_labels (tenant_id, record_id, key) {
        tenant_id -> Uuid,
        record_id -> Uuid,
        key -> Text,
        value -> Text,
    }
}

diesel::table! {
    record_versions (tenant_id, record_id, version) {
        tenant_id -> Uuid,
        record_id -> Uuid,
        version -> BigInt,
        content_type -> Text,
        size_bytes -> BigInt,
        body -> Binary,
        data_key_id -> Uuid,
        subject_key_generation -> Integer,
        data_key -> Binary,
        commitment_salt -> Binary,
        commitment -> Binary,
        create_time -> Timestamptz,
    }
}

diesel::table! {
    records (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        subject_id -> Uuid,
        kind -> Text,
        event_time -> Nullable<Timestamptz>,
        version -> BigInt,
        revision -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    subject_keys (tenant_id, subject_id, generation) {
        tenant_id -> Uuid,
        subject_id -> Uuid,
        generation -> Integer,
        tenant_key_epoch -> Integer,
        wrapped -> Binary,
        create_time -> Timestamptz,
    }
}

diesel::table! {
    subjects (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        state -> SmallInt,
        revision -> BigInt,
        create_time -> Timestamptz,
    }
}

diesel::table! {
    tenant_keys (tenant_id, epoch) {
        tenant_id -> Uuid,
        epoch -> Integer,
        wrapped -> Binary,
        create_time -> Timestamptz,
    }
}
