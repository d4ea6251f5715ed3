//! The tables, as the migrations make them. A test keeps this file equal to them:
//! `UPDATE_SCHEMA=1 cargo test -p transactions schema` writes it anew.

diesel::table! {
    audits (tenant_id) {
        tenant_id -> Uuid,
        due_time -> Timestamptz,
        place -> Text,
        start_time -> Timestamptz,
        round_time -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    calendars (tenant_id) {
        tenant_id -> Uuid,
        closed_through -> Nullable<Date>,
        soft_closed_through -> Nullable<Date>,
    }
}

diesel::table! {
    currencies (tenant_id, code) {
        tenant_id -> Uuid,
        code -> Text,
        decimals -> SmallInt,
        display_name -> Text,
        create_time -> Timestamptz,
    }
}

diesel::table! {
    day_totals (tenant_id, account_id, booking_date, value_date) {
        tenant_id -> Uuid,
        account_id -> Uuid,
        booking_date -> Date,
        value_date -> Date,
        debits -> Numeric,
        credits -> Numeric,
    }
}

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
        value_date -> Nullable<Date>,
        booking_date -> Nullable<Date>,
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
    erasures (tenant_id, customer_id) {
        tenant_id -> Uuid,
        customer_id -> Uuid,
        account_id -> Uuid,
        step -> SmallInt,
        entry_seq -> BigInt,
        hold_time -> Timestamptz,
        hold_id -> Uuid,
    }
}

diesel::table! {
    evidence (tenant_id, transaction_id, evidence_index) {
        tenant_id -> Uuid,
        transaction_id -> Uuid,
        evidence_index -> Integer,
        record_id -> Uuid,
        version -> BigInt,
    }
}

diesel::table! {
    external_ids (tenant_id, collection, holder_id, kind) {
        tenant_id -> Uuid,
        collection -> SmallInt,
        kind -> Text,
        value -> Nullable<Text>,
        holder_id -> Uuid,
        salt -> Nullable<Binary>,
        commitment -> Binary,
    }
}

diesel::table! {
    hold_events (tenant_id, hold_id, seq) {
        tenant_id -> Uuid,
        hold_id -> Uuid,
        seq -> Integer,
        #[sql_name = "type"]
        type_ -> SmallInt,
        amount -> Numeric,
        remaining_after -> Numeric,
        transaction_id -> Nullable<Uuid>,
        expire_time -> Nullable<Timestamptz>,
        overrides -> Nullable<SmallInt>,
        record_time -> Timestamptz,
        batch_id -> Nullable<Uuid>,
        batch_index -> Nullable<Integer>,
    }
}

diesel::table! {
    hold_texts (tenant_id, hold_id, event_seq) {
        tenant_id -> Uuid,
        hold_id -> Uuid,
        event_seq -> Integer,
        text -> Text,
        salt -> Nullable<Binary>,
        commitment -> Binary,
    }
}

diesel::table! {
    holds (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        account_id -> Uuid,
        destination_id -> Nullable<Uuid>,
        kind -> Text,
        amount -> Numeric,
        over_capture -> Numeric,
        remaining -> Numeric,
        captured -> Numeric,
        released -> Numeric,
        state -> SmallInt,
        overrides -> Nullable<SmallInt>,
        expire_time -> Nullable<Timestamptz>,
        counted -> Nullable<Text>,
        event_seq -> Integer,
        create_time -> Timestamptz,
        record_time -> Timestamptz,
    }
}

diesel::table! {
    labels (tenant_id, transaction_id, key) {
        tenant_id -> Uuid,
        key -> Text,
        value -> Text,
        transaction_id -> Uuid,
        salt -> Nullable<Binary>,
        commitment -> Nullable<Binary>,
        record_time -> Timestamptz,
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
        customer_id -> Nullable<Uuid>,
        parent_id -> Nullable<Uuid>,
        close_time -> Nullable<Timestamptz>,
        next_expiry -> Nullable<Timestamptz>,
        excess -> Numeric,
        day -> Nullable<Date>,
        day_debits -> Numeric,
        day_credits -> Numeric,
    }
}

diesel::table! {
    limit_usages (tenant_id, scope, holder_id, name) {
        tenant_id -> Uuid,
        scope -> SmallInt,
        holder_id -> Uuid,
        name -> Text,
        steps -> Text,
    }
}

diesel::table! {
    link_totals (tenant_id, transaction_id, entry_index) {
        tenant_id -> Uuid,
        transaction_id -> Uuid,
        entry_index -> Integer,
        amount -> Numeric,
        taken -> Numeric,
        fees -> Numeric,
    }
}

diesel::table! {
    links (tenant_id, transaction_id, link_index) {
        tenant_id -> Uuid,
        transaction_id -> Uuid,
        link_index -> Integer,
        #[sql_name = "type"]
        type_ -> SmallInt,
        to_transaction_id -> Uuid,
        to_entry_index -> Integer,
        amount -> Numeric,
    }
}

diesel::table! {
    mismatches (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        kind -> SmallInt,
        resource -> Text,
        found -> Text,
        expected -> Text,
        accounts -> Array<Uuid>,
        create_time -> Timestamptz,
        resolve_time -> Nullable<Timestamptz>,
        resolution_code -> Nullable<Text>,
        resolver -> Nullable<Text>,
    }
}

diesel::table! {
    periods (tenant_id, month) {
        tenant_id -> Uuid,
        month -> Date,
        state -> SmallInt,
        update_time -> Timestamptz,
        principal -> Text,
    }
}

diesel::table! {
    statement_lines (tenant_id, statement_id, line) {
        tenant_id -> Uuid,
        statement_id -> Uuid,
        line -> BigInt,
        transaction_id -> Uuid,
        entry_index -> Integer,
        entry_seq -> BigInt,
        balance -> Numeric,
    }
}

diesel::table! {
    statements (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        account_id -> Uuid,
        start_date -> Date,
        end_date -> Date,
        version -> Integer,
        supersedes -> Nullable<Uuid>,
        opening -> Numeric,
        debits -> Numeric,
        credits -> Numeric,
        closing -> Numeric,
        line_count -> BigInt,
        entry_seq -> BigInt,
        hash -> Binary,
        #[sql_name = "final"]
        final_ -> Bool,
        create_time -> Timestamptz,
    }
}

diesel::table! {
    texts (tenant_id, transaction_id, entry_index) {
        tenant_id -> Uuid,
        transaction_id -> Uuid,
        entry_index -> Integer,
        text -> Text,
        salt -> Nullable<Binary>,
        commitment -> Nullable<Binary>,
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
        overrides -> Nullable<SmallInt>,
        reverses -> Nullable<Uuid>,
        hold_id -> Nullable<Uuid>,
        group_id -> Nullable<Text>,
        import_source -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(entries, holds, ledger_accounts, transactions,);
