-- Accounts as their holders know them. What they hold is in the ledger of the transactions service.
CREATE TABLE accounts (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    -- None for a house account.
    customer_id uuid,
    product text NOT NULL,
    currency text NOT NULL,
    -- 1 ASSET, 2 LIABILITY, 3 EQUITY, 4 INCOME, 5 EXPENSE
    class smallint NOT NULL CHECK (class BETWEEN 1 AND 5),
    gl_code text NOT NULL,
    -- Minor units; none where there is no bound.
    overdraft_limit numeric(38, 0) CHECK (overdraft_limit >= 0),
    -- 1 PENDING, 2 OPEN, 3 DORMANT, 4 CLOSING, 5 CLOSED
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 5),
    -- Counts the changes, from 1.
    version bigint NOT NULL CHECK (version > 0),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
);
-- Lists, oldest first: of everything, and for each field that a filter can name.
CREATE INDEX accounts_time ON accounts (tenant_id, create_time, id);
CREATE INDEX accounts_customer ON accounts (tenant_id, customer_id, create_time, id);
CREATE INDEX accounts_currency ON accounts (tenant_id, currency, create_time, id);
CREATE INDEX accounts_state ON accounts (tenant_id, state, create_time, id);
CREATE INDEX accounts_product ON accounts (tenant_id, product, create_time, id);
ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON accounts
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

-- Texts that callers wrote, in a table of their own so that they can be redacted.
CREATE TABLE account_labels (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (tenant_id, account_id, key),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id)
);
ALTER TABLE account_labels ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_labels FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON account_labels
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

-- What the ledger shall know of an account, by version: stored before the ledger is asked, and
-- delivered until the ledger has it.
CREATE TABLE ledger_intents (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    -- The version of the controls, from 1: the registration.
    version bigint NOT NULL CHECK (version > 0),
    -- 1 PENDING, 2 ACKNOWLEDGED
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 2),
    -- The request whose outcome the acknowledgement settles.
    operation text NOT NULL,
    request_id text NOT NULL,
    -- How often the reconciler has tried.
    attempts integer NOT NULL,
    -- When the reconciler tries next; not at all once the ledger has it.
    due_time timestamptz CHECK ((state = 1) = (due_time IS NOT NULL)),
    create_time timestamptz NOT NULL,
    acknowledge_time timestamptz,
    PRIMARY KEY (tenant_id, account_id, version),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id)
);
-- What is undelivered, the longest due first. Any comparison with due_time proves the condition,
-- which a comparison of state with a parameter would not.
CREATE INDEX ledger_intents_due ON ledger_intents (tenant_id, due_time) WHERE due_time IS NOT NULL;
ALTER TABLE ledger_intents ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger_intents FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ledger_intents
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON accounts TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT ON account_labels TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON ledger_intents TO %I', runtime);
END $$;
