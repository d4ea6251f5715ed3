-- No release has these tables in use yet, so nobody waits for their locks.
-- squawk-ignore-file require-concurrent-index-creation

-- What is known about who a customer is, and when it was closed.
ALTER TABLE customers
    -- 1 NONE, 2 IN_REVIEW, 3 APPROVED, 4 REJECTED, 5 EXPIRED; an approval also expires by the clock
    ADD COLUMN kyc_state smallint NOT NULL DEFAULT 1 CHECK (kyc_state BETWEEN 1 AND 5),
    ADD COLUMN kyc_level smallint NOT NULL DEFAULT 0 CHECK (kyc_level BETWEEN 0 AND 9),
    ADD COLUMN kyc_expire_time timestamptz,
    ADD COLUMN kyc_update_time timestamptz,
    -- The version of the profile's record that was sealed last; 0 before the first.
    ADD COLUMN profile_version bigint NOT NULL DEFAULT 0 CHECK (profile_version >= 0),
    ADD COLUMN close_time timestamptz,
    -- When the records service is told next for how long the closed customer's data is needed; not at
    -- all once it knows.
    ADD COLUMN retain_due_time timestamptz,
    -- Once the subject is erased: what was written by people is gone.
    ADD COLUMN erase_time timestamptz;
ALTER TABLE customer_labels
    -- As in customers, so that a list by label is in the order of time.
    ADD COLUMN create_time timestamptz NOT NULL DEFAULT now();
-- The policies hide all rows from a migration, which has no tenant.
ALTER TABLE customers NO FORCE ROW LEVEL SECURITY;
ALTER TABLE customer_labels NO FORCE ROW LEVEL SECURITY;
UPDATE customers SET profile_version = 1 WHERE state > 1;
UPDATE customer_labels l SET create_time = c.create_time FROM customers c
    WHERE c.tenant_id = l.tenant_id AND c.id = l.customer_id;
ALTER TABLE customers FORCE ROW LEVEL SECURITY;
ALTER TABLE customer_labels FORCE ROW LEVEL SECURITY;

-- Lists, oldest first: of everything, and for each field that a filter can name.
CREATE INDEX customers_time ON customers (tenant_id, create_time, id);
CREATE INDEX customers_kind ON customers (tenant_id, kind, create_time, id);
CREATE INDEX customers_state ON customers (tenant_id, state, create_time, id);
CREATE INDEX customers_kyc ON customers (tenant_id, kyc_state, create_time, id);
CREATE INDEX customer_labels_value
    ON customer_labels (tenant_id, key, value, create_time, customer_id);
-- Approvals, the next to expire first.
CREATE INDEX customers_kyc_expire ON customers (tenant_id, kyc_expire_time)
    WHERE kyc_state = 3 AND kyc_expire_time IS NOT NULL;

CREATE INDEX customers_retain ON customers (tenant_id, retain_due_time)
    WHERE retain_due_time IS NOT NULL;

-- The callers' own ids of customers, by kind.
CREATE TABLE customer_external_ids (
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    customer_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, kind, value),
    UNIQUE (tenant_id, customer_id, kind),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
);

-- The steps of verifications. Only ever appended to.
CREATE TABLE kyc_decisions (
    tenant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    state smallint NOT NULL CHECK (state BETWEEN 2 AND 5),
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 9),
    expire_time timestamptz,
    reviewer text NOT NULL,
    reason_code text NOT NULL,
    -- 'records/{uuid}/versions/{n}'
    evidence text[] NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, customer_id, id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
);

-- What one customer is to another.
CREATE TABLE relationships (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    -- What the other is to the customer: 1 BENEFICIAL_OWNER, 2 GUARDIAN, 3 REPRESENTATIVE
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 3),
    other_id uuid NOT NULL,
    share_basis_points integer CHECK (share_basis_points BETWEEN 1 AND 10000),
    start_time timestamptz NOT NULL,
    end_time timestamptz CHECK (end_time >= start_time),
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id),
    FOREIGN KEY (tenant_id, other_id) REFERENCES customers (tenant_id, id),
    CHECK (customer_id <> other_id),
    CHECK ((kind = 1) = (share_basis_points IS NOT NULL))
);
CREATE INDEX relationships_customer ON relationships (tenant_id, customer_id, create_time, id);
CREATE INDEX relationships_other ON relationships (tenant_id, other_id, create_time, id);

-- One row for each kind of relationship in which there are no circles: whoever adds one has its
-- lock, because a circle may close anywhere.
CREATE TABLE relationship_graphs (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 2),
    PRIMARY KEY (tenant_id, kind)
);

-- Up to where the erasures in the records service are followed.
CREATE TABLE erasure_cursors (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    cursor text NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id)
);

ALTER TABLE customer_external_ids ENABLE ROW LEVEL SECURITY;
ALTER TABLE customer_external_ids FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON customer_external_ids
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE kyc_decisions ENABLE ROW LEVEL SECURITY;
ALTER TABLE kyc_decisions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON kyc_decisions
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE relationships ENABLE ROW LEVEL SECURITY;
ALTER TABLE relationships FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON relationships
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE relationship_graphs ENABLE ROW LEVEL SECURITY;
ALTER TABLE relationship_graphs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON relationship_graphs
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE erasure_cursors ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasure_cursors FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON erasure_cursors
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON customer_external_ids TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT ON kyc_decisions TO %I', runtime);
    EXECUTE format(
        'GRANT SELECT, INSERT, UPDATE ON relationships, relationship_graphs, erasure_cursors TO %I',
        runtime
    );
    EXECUTE format('GRANT DELETE ON customer_labels TO %I', runtime);
END $$;
