-- Kinds of records: what their content has to be, how sensitive its fields are, by which of them it
-- is found, and for how long it is kept.
CREATE TABLE record_types (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    -- The records' kind: 'kyc-file'.
    id text NOT NULL,
    content_type text,
    -- JSON Schema 2020-12.
    json_schema text,
    -- The rules of fields, as JSON. Never filtered by.
    fields text NOT NULL,
    retention_days integer CHECK (retention_days BETWEEN 1 AND 36500),
    -- 1 CREATE_TIME, 2 EVENT_TIME
    retention_start smallint CHECK (retention_start BETWEEN 1 AND 2),
    requires_consent boolean NOT NULL,
    revision bigint NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK ((retention_days IS NULL) = (retention_start IS NULL))
);
ALTER TABLE record_types ENABLE ROW LEVEL SECURITY;
ALTER TABLE record_types FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON record_types
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON record_types TO %I', runtime);
END $$;
