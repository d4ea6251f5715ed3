-- Persons and organisations, as ids and states. Who they are lies sealed in the records service.
CREATE TABLE customers (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    -- 1 PERSON, 2 ORGANISATION
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 2),
    -- 1 PENDING, 2 ACTIVE, 3 SUSPENDED, 4 CLOSED
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 4),
    -- Counts the changes, from 1.
    version bigint NOT NULL CHECK (version > 0),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE customers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON customers
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

-- Texts that callers wrote, in a table of their own so that they can be redacted.
CREATE TABLE customer_labels (
    tenant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (tenant_id, customer_id, key),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
);
ALTER TABLE customer_labels ENABLE ROW LEVEL SECURITY;
ALTER TABLE customer_labels FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON customer_labels
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON customers TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT ON customer_labels TO %I', runtime);
END $$;
