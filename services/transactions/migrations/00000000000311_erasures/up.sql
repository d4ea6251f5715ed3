-- No release has holds in use yet, so nobody waits for the lock.
-- squawk-ignore-file require-concurrent-index-creation

-- Up to where the erasures in the records service are followed.
CREATE TABLE erasure_cursors (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    cursor text NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id)
);

-- Customers who were erased there, and whose accounts are being walked over here. A row is gone
-- once the walk is over.
CREATE TABLE erasures (
    tenant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    -- Where the walk is: at this account, in the order of their ids, and there in one of the steps
    -- 1 entries, 2 holds of it, 3 holds that pay it.
    account_id uuid NOT NULL,
    step smallint NOT NULL CHECK (step BETWEEN 1 AND 3),
    -- Behind this entry, or behind this hold.
    entry_seq bigint NOT NULL,
    hold_time timestamptz NOT NULL,
    hold_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, customer_id)
);

-- Who is paid by a hold, as holds_by_account has who pays.
CREATE INDEX holds_by_destination ON holds (tenant_id, destination_id, create_time)
    WHERE destination_id IS NOT NULL;

ALTER TABLE erasure_cursors ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasure_cursors FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON erasure_cursors
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasures FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON erasures
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON erasure_cursors TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON erasures TO %I', runtime);
END $$;
