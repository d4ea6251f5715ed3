-- What was posted. Nothing here is ever updated or deleted: the runtime role may only add.
CREATE TABLE transactions (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    kind text NOT NULL,
    entry_count integer NOT NULL CHECK (entry_count BETWEEN 2 AND 1000),
    effective_time timestamptz NOT NULL,
    record_time timestamptz NOT NULL,
    booking_date date NOT NULL,
    -- The batch that it was posted with, all or nothing, and its place there, from 0.
    batch_id uuid,
    batch_index integer,
    PRIMARY KEY (tenant_id, id),
    CHECK ((batch_id IS NULL) = (batch_index IS NULL))
);
CREATE UNIQUE INDEX transactions_by_batch ON transactions (tenant_id, batch_id, batch_index)
    WHERE batch_id IS NOT NULL;

CREATE TABLE entries (
    tenant_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    -- The place in the transaction, from 0.
    entry_index integer NOT NULL CHECK (entry_index >= 0),
    account_id uuid NOT NULL,
    -- The place in the account, from 1, without gaps.
    entry_seq bigint NOT NULL,
    -- 1 DEBIT, 2 CREDIT
    direction smallint NOT NULL CHECK (direction IN (1, 2)),
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    -- The account as this entry left it, in record order.
    posted_after numeric(38, 0) NOT NULL,
    available_after numeric(38, 0),
    version_after bigint NOT NULL,
    PRIMARY KEY (tenant_id, transaction_id, entry_index),
    UNIQUE (tenant_id, account_id, entry_seq)
    -- The trigger below checks both references, a set at a time: foreign keys check row by row,
    -- which costs more than everything else about an entry.
);

-- Texts by people, apart from what is immutable, so that they can be redacted while every proof
-- stays valid. An entry_index of -1 is the transaction's own description.
CREATE TABLE texts (
    tenant_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    entry_index integer NOT NULL CHECK (entry_index >= -1),
    text text NOT NULL,
    PRIMARY KEY (tenant_id, transaction_id, entry_index),
    FOREIGN KEY (tenant_id, transaction_id) REFERENCES transactions (tenant_id, id)
);

-- Text comparison is leakproof, so look-ups by label keep their index behind the policy.
CREATE TABLE labels (
    tenant_id uuid NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    transaction_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, transaction_id, key),
    FOREIGN KEY (tenant_id, transaction_id) REFERENCES transactions (tenant_id, id)
);
CREATE INDEX labels_by_value ON labels (tenant_id, key, value, transaction_id);

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['transactions', 'entries', 'texts', 'labels'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''strongroom.tenant'', true), '''')::uuid))', name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', name, runtime);
    END LOOP;
END $$;

-- Entries that do not sum to zero for each transaction and currency, that are not exactly as many
-- as the transaction says, or that name an account which is not there or has another currency, are
-- refused: no bug and no SQL can add to what is posted. A statement must therefore bring all
-- entries of a transaction.
CREATE FUNCTION entries_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added
        GROUP BY tenant_id, transaction_id, currency
        HAVING sum(CASE direction WHEN 1 THEN amount ELSE -amount END) <> 0
    ) THEN
        RAISE EXCEPTION 'entries do not balance' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'entries_balance';
    END IF;
    IF EXISTS (
        SELECT FROM (SELECT tenant_id, transaction_id, count(*) AS count, max(entry_index) AS last
                     FROM added GROUP BY tenant_id, transaction_id) a
        LEFT JOIN transactions t ON t.tenant_id = a.tenant_id AND t.id = a.transaction_id
        -- All places at once, so none is left for what comes later.
        WHERE t.entry_count IS DISTINCT FROM a.count OR a.last >= t.entry_count
    ) THEN
        RAISE EXCEPTION 'entries are not complete' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'entries_complete';
    END IF;
    IF EXISTS (
        SELECT FROM added e
        LEFT JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.account_id
        WHERE a.currency IS DISTINCT FROM e.currency
    ) THEN
        RAISE EXCEPTION 'entries name an unknown account' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'entries_account';
    END IF;
    RETURN NULL;
END $$;
-- A session's temporary tables come first unless they are named last, and could stand in for these.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION entries_balance() SET search_path = %I, pg_temp',
        current_schema());
END $$;
CREATE TRIGGER entries_balance AFTER INSERT ON entries
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION entries_balance();
