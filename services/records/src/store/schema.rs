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
        principal_salt -> Nullable<Binary>,
        principal_commitment -> Nullable<Binary>,
        resource -> Nullable<Text>,
        grounds -> Nullable<Text>,
    }
}

diesel::table! {
    break_glass_leases (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        subject_id -> Uuid,
        principal -> Text,
        reason_code -> Text,
        reason -> Nullable<Text>,
        create_time -> Timestamptz,
        end_time -> Timestamptz,
        review_due_time -> Timestamptz,
        is_overdue_told -> Bool,
        verdict -> Nullable<SmallInt>,
        reviewer -> Nullable<Text>,
        review_time -> Nullable<Timestamptz>,
        revision -> BigInt,
    }
}

diesel::table! {
    consents (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        subject_id -> Uuid,
        grantee -> Text,
        purposes -> Array<Text>,
        kinds -> Array<Text>,
        decision -> SmallInt,
        start_time -> Timestamptz,
        end_time -> Nullable<Timestamptz>,
        revoke_time -> Nullable<Timestamptz>,
        revision -> BigInt,
        create_time -> Timestamptz,
    }
}

diesel::table! {
    erasures (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        subject_id -> Uuid,
        state -> SmallInt,
        legal_basis -> SmallInt,
        requester -> Text,
        approver -> Nullable<Text>,
        create_time -> Timestamptz,
        due_time -> Timestamptz,
        next_time -> Timestamptz,
        shred_time -> Nullable<Timestamptz>,
        done_time -> Nullable<Timestamptz>,
        first_epoch -> Nullable<Integer>,
        last_epoch -> Nullable<Integer>,
        keys -> BigInt,
        records -> BigInt,
        versions -> BigInt,
        index_rows -> BigInt,
        objects -> BigInt,
        uploads -> BigInt,
        revision -> BigInt,
    }
}

diesel::table! {
    index_keys (tenant_id, version) {
        tenant_id -> Uuid,
        version -> Integer,
        tenant_key_epoch -> Integer,
        wrapped -> Binary,
        create_time -> Timestamptz,
        retire_time -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    legal_holds (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        subject_id -> Uuid,
        record_id -> Nullable<Uuid>,
        authority -> Text,
        case_reference -> Nullable<Text>,
        state -> SmallInt,
        placer -> Text,
        release_requester -> Nullable<Text>,
        releaser -> Nullable<Text>,
        revision -> BigInt,
        create_time -> Timestamptz,
        release_time -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    object_deletes (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        path -> Text,
        due_time -> Timestamptz,
    }
}

diesel::table! {
    policies (tenant_id) {
        tenant_id -> Uuid,
        erasure_delay_seconds -> BigInt,
        backup_retention_seconds -> BigInt,
        break_glass_blocks -> Bool,
        revision -> BigInt,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    record_index (tenant_id, record_id, name, key_version, token) {
        tenant_id -> Uuid,
        record_id -> Uuid,
        kind -> Text,
        name -> Text,
        key_version -> Integer,
        token -> Binary,
        rules -> BigInt,
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
    record_types (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Text,
        content_type -> Nullable<Text>,
        json_schema -> Nullable<Text>,
        fields -> Text,
        retention_days -> Nullable<Integer>,
        retention_start -> Nullable<SmallInt>,
        requires_consent -> Bool,
        revision -> BigInt,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    record_versions (tenant_id, record_id, version) {
        tenant_id -> Uuid,
        record_id -> Uuid,
        version -> BigInt,
        content_type -> Text,
        size_bytes -> BigInt,
        body -> Nullable<Binary>,
        data_key_id -> Uuid,
        subject_key_generation -> Integer,
        data_key -> Nullable<Binary>,
        commitment_salt -> Nullable<Binary>,
        commitment -> Binary,
        create_time -> Timestamptz,
        segments -> Nullable<Integer>,
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
        state -> SmallInt,
        delete_time -> Nullable<Timestamptz>,
        purge_time -> Nullable<Timestamptz>,
        expire_time -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    retention_interests (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        subject_id -> Uuid,
        source -> Text,
        reference -> Text,
        end_time -> Nullable<Timestamptz>,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
    }
}

diesel::table! {
    rotations (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        scope -> SmallInt,
        reseal -> Bool,
        state -> SmallInt,
        target -> Integer,
        total -> BigInt,
        done -> BigInt,
        place -> Text,
        broken -> Array<Text>,
        create_time -> Timestamptz,
        update_time -> Timestamptz,
        done_time -> Nullable<Timestamptz>,
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
        first_epoch -> Nullable<Integer>,
        made_epoch -> Integer,
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
    sweeps (tenant_id) {
        tenant_id -> Uuid,
        lease_time -> Timestamptz,
    }
}

diesel::table! {
    tenant_keys (tenant_id, epoch) {
        tenant_id -> Uuid,
        epoch -> Integer,
        wrapped -> Nullable<Binary>,
        create_time -> Timestamptz,
        keks -> Array<Text>,
        retire_time -> Nullable<Timestamptz>,
        destroy_time -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    uploads (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        request_hash -> Binary,
        record_id -> Uuid,
        subject_id -> Uuid,
        version -> BigInt,
        header -> Text,
        data_key_id -> Uuid,
        subject_key_generation -> Integer,
        data_key -> Nullable<Binary>,
        segments -> Integer,
        received_bytes -> BigInt,
        lease_id -> Nullable<Uuid>,
        lease_time -> Nullable<Timestamptz>,
        create_time -> Timestamptz,
        expire_time -> Timestamptz,
        done_time -> Nullable<Timestamptz>,
    }
}
