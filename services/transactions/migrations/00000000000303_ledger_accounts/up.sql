-- No release has these tables in use yet, so nobody waits for their locks.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion
-- squawk-ignore-file constraint-missing-not-valid

ALTER TABLE ledger_accounts
    -- Who holds it; NULL for a house account.
    ADD COLUMN customer_id uuid,
    ADD COLUMN parent_id uuid,
    ADD COLUMN close_time timestamptz,
    -- When the first of its open holds expires.
    ADD COLUMN next_expiry timestamptz,
    -- What overrides and lowered bounds let it exceed its bound by.
    ADD COLUMN excess numeric(38, 0) NOT NULL DEFAULT 0 CHECK (excess >= 0),
    -- What was posted with this day as booking and as value date, while it is the latest; then it
    -- goes to day_totals.
    ADD COLUMN day date,
    ADD COLUMN day_debits numeric(38, 0) NOT NULL DEFAULT 0,
    ADD COLUMN day_credits numeric(38, 0) NOT NULL DEFAULT 0,
    -- No account falls below its bound but by what is recorded as excess.
    ADD CONSTRAINT ledger_accounts_bound CHECK (
        overdraft_limit IS NULL
        OR CASE WHEN class IN (1, 5) THEN posted_debits - posted_credits
                ELSE posted_credits - posted_debits END
            - held + overdraft_limit + excess >= 0),
    ADD CONSTRAINT ledger_accounts_closed CHECK (
        close_time IS NULL OR (posted_debits = posted_credits AND held = 0));
CREATE INDEX ledger_accounts_by_customer ON ledger_accounts (tenant_id, customer_id, id)
    WHERE customer_id IS NOT NULL;
CREATE INDEX ledger_accounts_by_parent ON ledger_accounts (tenant_id, parent_id, id)
    WHERE parent_id IS NOT NULL;
CREATE INDEX ledger_accounts_by_gl_code ON ledger_accounts (tenant_id, gl_code, id)
    WHERE gl_code <> '';

-- What was posted to an account on one booking date with one value date. The latest day of an
-- account stands in its own row until another one comes.
CREATE TABLE day_totals (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    booking_date date NOT NULL,
    value_date date NOT NULL,
    debits numeric(38, 0) NOT NULL CHECK (debits >= 0),
    credits numeric(38, 0) NOT NULL CHECK (credits >= 0),
    PRIMARY KEY (tenant_id, account_id, booking_date, value_date)
);

-- What limits have counted, as a JSON array of [time, amount, count] by the begin of the step.
CREATE TABLE limit_usages (
    tenant_id uuid NOT NULL,
    -- 1 an account, 2 a customer in one currency
    scope smallint NOT NULL CHECK (scope IN (1, 2)),
    holder_id uuid NOT NULL,
    -- The source, the id and the window of the limit, and the currency.
    name text NOT NULL,
    steps text NOT NULL,
    PRIMARY KEY (tenant_id, scope, holder_id, name)
);

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['day_totals', 'limit_usages'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''strongroom.tenant'', true), '''')::uuid))', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO %I', name, runtime);
    END LOOP;
END $$;
