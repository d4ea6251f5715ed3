-- The floor "same rows": one transfer as the engine writes it, in the engine's own tables, under
-- its policies, constraints and triggers, as the runtime role, but as one SQL transaction for each
-- transfer. It is kept equal to what the service writes: after a run `bench` compares the rows and
-- their sizes, table by table, and says where they differ.
CREATE SCHEMA IF NOT EXISTS floors;
GRANT USAGE ON SCHEMA floors TO strongroom_transactions;

-- Ids come in order, as UUIDv7 do, and a session takes many at once. All of them have 16 digits.
CREATE SEQUENCE floors.same_rows_ids START 8000000000000000 CACHE 64;
GRANT USAGE ON SEQUENCE floors.same_rows_ids TO strongroom_transactions;

-- One transfer in one round trip: a function is faster than a statement after the other. The rows
-- are locked by their updates, in the order of the ids, and the bound is checked under the locks.
CREATE FUNCTION floors.same_rows(tenant uuid, debit uuid, credit uuid, amount numeric)
RETURNS void LANGUAGE plpgsql SET search_path = transactions AS $$
#variable_conflict use_variable
DECLARE
    transfer uuid := ('0190000000007000' || nextval('floors.same_rows_ids'))::uuid;
    moment timestamptz := clock_timestamp();
    debited record;
    credited record;
BEGIN
    PERFORM set_config('strongroom.tenant', tenant::text, true);
    INSERT INTO outcomes (tenant_id, operation, request_id, request_hash, state, resource,
        principal, trace_id, create_time, settle_time)
    VALUES (tenant, 'create-transaction', transfer,
        '\x010000000000000000000000000000000000000000000000000000000000000000', 3,
        'transactions/' || transfer, 'bench', '00000000000000000000000000000000', moment, moment);
    IF debit < credit THEN
        UPDATE ledger_accounts AS a SET posted_debits = a.posted_debits + amount,
            entry_seq = a.entry_seq + 1, version = a.version + 1, record_time = moment
            WHERE a.tenant_id = tenant AND a.id = debit RETURNING a.* INTO STRICT debited;
        UPDATE ledger_accounts AS a SET posted_credits = a.posted_credits + amount,
            entry_seq = a.entry_seq + 1, version = a.version + 1, record_time = moment
            WHERE a.tenant_id = tenant AND a.id = credit RETURNING a.* INTO STRICT credited;
    ELSE
        UPDATE ledger_accounts AS a SET posted_credits = a.posted_credits + amount,
            entry_seq = a.entry_seq + 1, version = a.version + 1, record_time = moment
            WHERE a.tenant_id = tenant AND a.id = credit RETURNING a.* INTO STRICT credited;
        UPDATE ledger_accounts AS a SET posted_debits = a.posted_debits + amount,
            entry_seq = a.entry_seq + 1, version = a.version + 1, record_time = moment
            WHERE a.tenant_id = tenant AND a.id = debit RETURNING a.* INTO STRICT debited;
    END IF;
    IF debited.posted_credits - debited.posted_debits - debited.held + debited.overdraft_limit < 0
    THEN
        RAISE EXCEPTION 'insufficient funds';
    END IF;
    INSERT INTO transactions
        (tenant_id, id, kind, entry_count, effective_time, record_time, booking_date)
    VALUES (tenant, transfer, 'TRANSFER', 2, moment, moment, (moment AT TIME ZONE 'UTC')::date);
    INSERT INTO entries (tenant_id, transaction_id, entry_index, account_id, entry_seq, direction,
        amount, currency, posted_after, available_after, version_after)
    VALUES
        (tenant, transfer, 0, debit, debited.entry_seq, 1, amount, debited.currency,
            debited.posted_credits - debited.posted_debits,
            debited.posted_credits - debited.posted_debits - debited.held
                + debited.overdraft_limit,
            debited.version),
        (tenant, transfer, 1, credit, credited.entry_seq, 2, amount, credited.currency,
            credited.posted_credits - credited.posted_debits,
            credited.posted_credits - credited.posted_debits - credited.held
                + credited.overdraft_limit,
            credited.version);
END $$;
