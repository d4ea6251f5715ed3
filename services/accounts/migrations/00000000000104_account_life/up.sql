-- No release has these tables in use yet, so nobody waits for their locks.
-- squawk-ignore-file require-concurrent-index-creation

-- The life of accounts: what they roll up to, what limits them, and how they end.
ALTER TABLE accounts
    ADD COLUMN parent_id uuid,
    -- All limits, as JSON: full state for the ledger, never filtered by.
    ADD COLUMN limits text NOT NULL DEFAULT '[]',
    -- Counts what the ledger has to know, from 1: the registration.
    ADD COLUMN controls_version bigint NOT NULL DEFAULT 1 CHECK (controls_version > 0),
    -- What the ledger has acknowledged; 0 before the registration.
    ADD COLUMN acknowledged_version bigint NOT NULL DEFAULT 0,
    -- Where what is left goes, while it is CLOSING.
    ADD COLUMN disposition_id uuid,
    ADD COLUMN close_time timestamptz;
-- The policies hold for the owner too, and this is for all tenants.
ALTER TABLE accounts NO FORCE ROW LEVEL SECURITY;
UPDATE accounts SET acknowledged_version = 1 WHERE state > 1;
ALTER TABLE account_labels
    -- As in accounts, so that a list by label is in the order of time.
    ADD COLUMN create_time timestamptz NOT NULL DEFAULT now();
ALTER TABLE account_labels NO FORCE ROW LEVEL SECURITY;
UPDATE account_labels l SET create_time = a.create_time FROM accounts a
    WHERE a.tenant_id = l.tenant_id AND a.id = l.account_id;
ALTER TABLE account_labels FORCE ROW LEVEL SECURITY;
CREATE INDEX account_labels_value
    ON account_labels (tenant_id, key, value, create_time, account_id);

-- What a request waits for, and what the ledger does not have yet by age.
CREATE INDEX ledger_intents_request ON ledger_intents (tenant_id, request_id, operation)
    WHERE due_time IS NOT NULL;
CREATE INDEX ledger_intents_age ON ledger_intents (tenant_id, create_time, account_id, version)
    WHERE due_time IS NOT NULL;

-- The callers' own ids of accounts, by kind.
CREATE TABLE account_external_ids (
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    account_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, kind, value),
    UNIQUE (tenant_id, account_id, kind),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id)
);

-- Who holds an account.
CREATE TABLE account_holders (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    -- 1 OWNER, 2 JOINT, 3 VIEWER
    role smallint NOT NULL CHECK (role BETWEEN 1 AND 3),
    start_time timestamptz NOT NULL,
    end_time timestamptz,
    create_time timestamptz NOT NULL,
    -- As in accounts, so that a list by holder is in the order of time.
    account_create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account_id, customer_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
);
CREATE INDEX account_holders_customer
    ON account_holders (tenant_id, customer_id, account_create_time, account_id);
CREATE INDEX account_holders_account
    ON account_holders (tenant_id, account_id, create_time, customer_id);
INSERT INTO account_holders
    SELECT tenant_id, id, customer_id, 1, create_time, NULL, create_time, create_time
    FROM accounts WHERE customer_id IS NOT NULL;
ALTER TABLE accounts FORCE ROW LEVEL SECURITY;

-- Freezes: a set, whose effect is the union.
CREATE TABLE freezes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- One of them.
    account_id uuid,
    customer_id uuid,
    -- 1 DEBIT, 2 CREDIT, 3 ALL
    direction smallint NOT NULL CHECK (direction BETWEEN 1 AND 3),
    -- Minor units of the account's currency; everything where there is none.
    amount numeric(38, 0) CHECK (amount > 0),
    reason_code text NOT NULL,
    authority text NOT NULL,
    -- Gone once the person is erased.
    case_reference text,
    end_time timestamptz,
    honour_holds boolean NOT NULL,
    principal text NOT NULL,
    create_time timestamptz NOT NULL,
    lifter text,
    lift_time timestamptz,
    version bigint NOT NULL CHECK (version > 0),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id),
    CHECK ((account_id IS NULL) <> (customer_id IS NULL)),
    CHECK (amount IS NULL OR (direction = 1 AND account_id IS NOT NULL)),
    CHECK ((lifter IS NULL) = (lift_time IS NULL))
);
CREATE INDEX freezes_account ON freezes (tenant_id, account_id, create_time, id)
    WHERE account_id IS NOT NULL;
CREATE INDEX freezes_customer ON freezes (tenant_id, customer_id, create_time, id)
    WHERE customer_id IS NOT NULL;
-- Those that nobody has lifted: what stops an account is read with every delivery.
CREATE INDEX freezes_account_active ON freezes (tenant_id, account_id)
    WHERE account_id IS NOT NULL AND lift_time IS NULL;
CREATE INDEX freezes_customer_active ON freezes (tenant_id, customer_id)
    WHERE customer_id IS NOT NULL AND lift_time IS NULL;

ALTER TABLE account_external_ids ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_external_ids FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON account_external_ids
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE account_holders ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_holders FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON account_holders
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE freezes ENABLE ROW LEVEL SECURITY;
ALTER TABLE freezes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON freezes
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON account_external_ids TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON account_holders, freezes TO %I', runtime);
    EXECUTE format('GRANT DELETE ON account_labels TO %I', runtime);
END $$;
