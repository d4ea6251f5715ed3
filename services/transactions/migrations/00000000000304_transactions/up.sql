-- No release has these tables in use yet, so nobody waits for their locks.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion
-- squawk-ignore-file constraint-missing-not-valid

ALTER TABLE transactions
    -- The rules that it overrode: 1 FUNDS, 2 LIMITS, 4 CONTROLS, 8 HOLD_EXPIRED, added up.
    ADD COLUMN overrides smallint CHECK (overrides BETWEEN 1 AND 15),
    -- The transaction that it reverses.
    ADD COLUMN reverses uuid,
    -- The hold that it captures.
    ADD COLUMN hold_id uuid,
    ADD COLUMN group_id text,
    -- Entries are only taken for accounts, and accounts are only there for tenants.
    DROP CONSTRAINT transactions_tenant_id_fkey;
-- Partial, though all rows are in it: only a statement that asks for times can use it. On a table
-- without statistics a look-up by id might else be planned as a walk over the tenant.
CREATE INDEX transactions_by_time ON transactions (tenant_id, record_time)
    WHERE record_time IS NOT NULL;
CREATE INDEX transactions_by_group ON transactions (tenant_id, group_id, record_time)
    WHERE group_id IS NOT NULL;

-- The value date, where it is another day than the booking date.
ALTER TABLE entries ADD COLUMN value_date date;
CREATE INDEX entries_by_value_date ON entries (tenant_id, account_id, value_date)
    WHERE value_date IS NOT NULL;

-- A commitment is HMAC-SHA-256 of what it stands for under its salt. It outlives the text: once text
-- and salt are redacted nobody can guess what it was, and every proof that has it stays valid.
ALTER TABLE texts
    ADD COLUMN salt bytea,
    ADD COLUMN commitment bytea,
    -- -2 is why a forced transaction was forced.
    DROP CONSTRAINT texts_entry_index_check,
    ADD CONSTRAINT texts_entry_index_check CHECK (entry_index >= -2);
ALTER TABLE labels
    ADD COLUMN salt bytea,
    ADD COLUMN commitment bytea,
    -- As in transactions, so that a look-up by label is in the order of time.
    ADD COLUMN record_time timestamptz NOT NULL DEFAULT now();
ALTER TABLE labels NO FORCE ROW LEVEL SECURITY;
ALTER TABLE transactions NO FORCE ROW LEVEL SECURITY;
UPDATE labels l SET record_time = t.record_time FROM transactions t
    WHERE t.tenant_id = l.tenant_id AND t.id = l.transaction_id;
ALTER TABLE labels FORCE ROW LEVEL SECURITY;
ALTER TABLE transactions FORCE ROW LEVEL SECURITY;
CREATE INDEX labels_by_time ON labels (tenant_id, key, value, record_time, transaction_id)
    WHERE record_time IS NOT NULL;
DROP INDEX labels_by_value;

-- The callers' own ids.
CREATE TABLE external_ids (
    tenant_id uuid NOT NULL,
    -- 1 of a transaction, 2 of a hold
    collection smallint NOT NULL CHECK (collection IN (1, 2)),
    kind text NOT NULL,
    value text NOT NULL,
    holder_id uuid NOT NULL,
    salt bytea NOT NULL,
    commitment bytea NOT NULL,
    PRIMARY KEY (tenant_id, collection, holder_id, kind)
);
CREATE UNIQUE INDEX external_ids_by_value ON external_ids (tenant_id, collection, kind, value)
    WHERE value IS NOT NULL;

-- What a transaction is to earlier entries.
CREATE TABLE links (
    tenant_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    link_index integer NOT NULL CHECK (link_index >= 0),
    -- 1 REFUND_OF, 2 CHARGEBACK_OF, 3 CORRECTS, 4 FEE_OF, 5 REVERSAL_OF
    type smallint NOT NULL CHECK (type BETWEEN 1 AND 5),
    to_transaction_id uuid NOT NULL,
    to_entry_index integer NOT NULL,
    amount numeric(38, 0) NOT NULL CHECK (amount > 0),
    PRIMARY KEY (tenant_id, transaction_id, link_index)
);
CREATE INDEX links_by_entry ON links (tenant_id, to_transaction_id, to_entry_index);

-- What links have taken of an entry. The row is what two takers wait for each other at.
CREATE TABLE link_totals (
    tenant_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    entry_index integer NOT NULL,
    -- The entry's own amount.
    amount numeric(38, 0) NOT NULL,
    -- What refunds, chargebacks, corrections and reversals take; and what fees do.
    taken numeric(38, 0) NOT NULL CHECK (taken BETWEEN 0 AND amount),
    fees numeric(38, 0) NOT NULL CHECK (fees BETWEEN 0 AND amount),
    PRIMARY KEY (tenant_id, transaction_id, entry_index)
);

-- What proves a transaction: versions of records.
CREATE TABLE evidence (
    tenant_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    evidence_index integer NOT NULL CHECK (evidence_index >= 0),
    record_id uuid NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    PRIMARY KEY (tenant_id, transaction_id, evidence_index)
);

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['external_ids', 'links', 'link_totals', 'evidence'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''strongroom.tenant'', true), '''')::uuid))', name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', name, runtime);
    END LOOP;
    EXECUTE format('GRANT UPDATE (taken, fees) ON link_totals TO %I', runtime);
END $$;

-- What is linked to an entry never exceeds it, and is what the totals say: whoever links has written
-- them before, so that two who link to one entry wait for each other at their row.
CREATE FUNCTION links_within() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT tenant_id, to_transaction_id, to_entry_index FROM added) a
        LEFT JOIN entries e ON e.tenant_id = a.tenant_id
            AND e.transaction_id = a.to_transaction_id AND e.entry_index = a.to_entry_index,
        LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE type <> 4), 0) AS taken,
                coalesce(sum(amount) FILTER (WHERE type = 4), 0) AS fees
            FROM links l WHERE l.tenant_id = a.tenant_id
                AND l.to_transaction_id = a.to_transaction_id
                AND l.to_entry_index = a.to_entry_index) l
        WHERE e.amount IS NULL OR l.taken > e.amount OR l.fees > e.amount
            OR NOT EXISTS (
                SELECT FROM link_totals t
                WHERE t.tenant_id = a.tenant_id AND t.transaction_id = a.to_transaction_id
                    AND t.entry_index = a.to_entry_index
                    AND t.taken = l.taken AND t.fees = l.fees)
    ) THEN
        RAISE EXCEPTION 'links exceed their entry' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'links_within';
    END IF;
    RETURN NULL;
END $$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION links_within() SET search_path = %I, pg_temp', current_schema());
END $$;
CREATE TRIGGER links_within AFTER INSERT ON links
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION links_within();

-- As before, but with a look-up for each row where there was a join: on a table without statistics
-- that may be planned as a walk over the tenant.
CREATE OR REPLACE FUNCTION entries_balance() RETURNS trigger LANGUAGE plpgsql AS $$
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
        -- All places at once, so none is left for what comes later.
        WHERE a.last >= a.count OR a.count IS DISTINCT FROM (
            SELECT entry_count FROM transactions t
            WHERE t.tenant_id = a.tenant_id AND t.id = a.transaction_id)
    ) THEN
        RAISE EXCEPTION 'entries are not complete' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'entries_complete';
    END IF;
    IF EXISTS (
        SELECT FROM added e WHERE e.currency IS DISTINCT FROM (
            SELECT a.currency FROM ledger_accounts a
            WHERE a.tenant_id = e.tenant_id AND a.id = e.account_id)
    ) THEN
        RAISE EXCEPTION 'entries name an unknown account' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'entries_account';
    END IF;
    RETURN NULL;
END $$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION entries_balance() SET search_path = %I, pg_temp',
        current_schema());
END $$;
