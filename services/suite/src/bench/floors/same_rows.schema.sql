-- The floor "same rows": a transfer as the engine writes it, in the engine's own tables, under its
-- policies, constraints and triggers, as the runtime role, but one SQL transaction for each. It
-- follows the engine: after a run `bench` compares what both have written, table by table, and
-- says where rows are missing or of another size. One thing is left out, in favour of the floor: on
-- its first posting of a day an account gives what it has of an earlier one to day_totals.
--
-- Ids come in order, as UUIDv7 do, and a session takes many at once. All of them have 16 digits.
CREATE SEQUENCE floors.same_rows_ids START 8000000000000000 CACHE 64;
CREATE SEQUENCE floors.same_rows_positions MINVALUE 0 CACHE 64;
GRANT USAGE ON SEQUENCE floors.same_rows_ids, floors.same_rows_positions
    TO strongroom_transactions;

-- A transfer in one round trip: a function is faster than one statement after the other. The
-- updates lock the rows, in the order of the ids, and the bound is checked under the locks.
CREATE FUNCTION floors.same_rows(tenant uuid, debit uuid, credit uuid, amount numeric)
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    transfer uuid := ('0190000000007000' || nextval('floors.same_rows_ids'))::uuid;
    moment timestamptz := clock_timestamp();
    today date := (moment AT TIME ZONE 'UTC')::date;
    low uuid := least(debit, credit);
    high uuid := greatest(debit, credit);
    low_debit numeric := CASE WHEN low = debit THEN amount ELSE 0 END;
    high_debit numeric := CASE WHEN low = debit THEN 0 ELSE amount END;
    low_side smallint := CASE WHEN low = debit THEN 1 ELSE 2 END;
    low_currency text; low_posted numeric; low_available numeric; low_seq bigint; low_version bigint;
    high_currency text; high_posted numeric; high_available numeric; high_seq bigint;
    high_version bigint;
BEGIN
    PERFORM set_config('strongroom.tenant', tenant::text, true);
    PERFORM FROM transactions.calendars AS c WHERE c.tenant_id = tenant FOR SHARE;
    IF NOT FOUND THEN
        INSERT INTO transactions.calendars (tenant_id) VALUES (tenant) ON CONFLICT DO NOTHING;
    END IF;
    INSERT INTO transactions.outcomes (tenant_id, operation, request_id, request_hash, state,
        resource, principal, trace_id, create_time, settle_time)
    VALUES (tenant, 'create-transaction', transfer,
        '\x010000000000000000000000000000000000000000000000000000000000000000', 3,
        'transactions/' || transfer, 'bench', '00000000000000000000000000000000', moment, moment);

    UPDATE transactions.ledger_accounts AS a
        SET posted_debits = a.posted_debits + low_debit,
            posted_credits = a.posted_credits + high_debit, held = a.held,
            entry_seq = a.entry_seq + 1, version = a.version + 1, record_time = moment,
            next_expiry = a.next_expiry, excess = a.excess, day = today,
            day_debits = low_debit + CASE WHEN a.day = today THEN a.day_debits ELSE 0 END,
            day_credits = high_debit + CASE WHEN a.day = today THEN a.day_credits ELSE 0 END
        WHERE a.tenant_id = tenant AND a.id = low
        RETURNING a.currency, a.posted_credits - a.posted_debits,
            a.posted_credits - a.posted_debits - a.held + a.overdraft_limit,
            a.entry_seq, a.version
        INTO STRICT low_currency, low_posted, low_available, low_seq, low_version;
    UPDATE transactions.ledger_accounts AS a
        SET posted_debits = a.posted_debits + high_debit,
            posted_credits = a.posted_credits + low_debit, held = a.held,
            entry_seq = a.entry_seq + 1, version = a.version + 1, record_time = moment,
            next_expiry = a.next_expiry, excess = a.excess, day = today,
            day_debits = high_debit + CASE WHEN a.day = today THEN a.day_debits ELSE 0 END,
            day_credits = low_debit + CASE WHEN a.day = today THEN a.day_credits ELSE 0 END
        WHERE a.tenant_id = tenant AND a.id = high
        RETURNING a.currency, a.posted_credits - a.posted_debits,
            a.posted_credits - a.posted_debits - a.held + a.overdraft_limit,
            a.entry_seq, a.version
        INTO STRICT high_currency, high_posted, high_available, high_seq, high_version;
    IF (CASE WHEN low = debit THEN low_available ELSE high_available END) < 0 THEN
        RAISE EXCEPTION 'insufficient funds';
    END IF;

    INSERT INTO transactions.transactions
        (tenant_id, id, kind, entry_count, effective_time, record_time, booking_date)
    VALUES (tenant, transfer, 'TRANSFER', 2, moment, moment, today);
    INSERT INTO transactions.entries (tenant_id, transaction_id, entry_index, account_id,
        entry_seq, direction, amount, currency, posted_after, available_after, version_after)
    VALUES
        (tenant, transfer, low_side - 1, low, low_seq, low_side, amount, low_currency,
            low_posted, low_available, low_version),
        (tenant, transfer, 2 - low_side, high, high_seq, 3 - low_side, amount, high_currency,
            high_posted, high_available, high_version);
    -- With its position at once: the sequencer of the service shall not work for the floor.
    INSERT INTO transactions.changes (tenant_id, id, kind, ids, create_time, position)
    VALUES (tenant, transfer, 'transaction.posted', ARRAY[transfer], moment,
        nextval('floors.same_rows_positions'));
END $$;
