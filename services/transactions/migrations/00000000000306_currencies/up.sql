-- What a tenant counts in beside ISO 4217. Registered for good.
CREATE TABLE currencies (
    tenant_id uuid NOT NULL,
    code text NOT NULL,
    decimals smallint NOT NULL CHECK (decimals BETWEEN 0 AND 18),
    display_name text NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, code)
);
ALTER TABLE currencies ENABLE ROW LEVEL SECURITY;
ALTER TABLE currencies FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON currencies
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON currencies TO %I', runtime);
END $$;
