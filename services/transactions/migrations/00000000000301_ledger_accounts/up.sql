-- The accounts as the ledger knows them. The balances change with every posting and no index has
-- them, so an update stays on its page (HOT) where the page has room.
CREATE TABLE ledger_accounts (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    currency text NOT NULL,
    -- How many decimals the currency has; amounts are in minor units.
    decimals smallint NOT NULL CHECK (decimals BETWEEN 0 AND 18),
    -- 1 ASSET, 2 LIABILITY, 3 EQUITY, 4 INCOME, 5 EXPENSE
    class smallint NOT NULL CHECK (class BETWEEN 1 AND 5),
    gl_code text NOT NULL,
    -- How far the account may fall below zero on its normal side; NULL is without a bound.
    overdraft_limit numeric(38, 0) CHECK (overdraft_limit >= 0),
    posted_debits numeric(38, 0) NOT NULL CHECK (posted_debits >= 0),
    posted_credits numeric(38, 0) NOT NULL CHECK (posted_credits >= 0),
    held numeric(38, 0) NOT NULL CHECK (held >= 0),
    -- How many entries the account has.
    entry_seq bigint NOT NULL,
    -- Grows with every change.
    version bigint NOT NULL,
    -- What each source forbids, as a JSON array; NULL where nobody forbids anything.
    controls text,
    create_time timestamptz NOT NULL,
    -- When it last changed: every posting is later than the one before.
    record_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 70);
ALTER TABLE ledger_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger_accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ledger_accounts
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON ledger_accounts TO %I', runtime);
END $$;
