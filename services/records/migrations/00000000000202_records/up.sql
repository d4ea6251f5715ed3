-- What a record says of itself, without its content.
CREATE TABLE records (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    subject_id uuid NOT NULL,
    -- What it is: 'kyc-file'.
    kind text NOT NULL,
    event_time timestamptz,
    -- The last version.
    version bigint NOT NULL CHECK (version > 0),
    revision bigint NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_id) REFERENCES subjects (tenant_id, id)
);
CREATE INDEX records_subject ON records (tenant_id, subject_id, id);
ALTER TABLE records ENABLE ROW LEVEL SECURITY;
ALTER TABLE records FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON records
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

-- The sealed contents. A version never changes.
CREATE TABLE record_versions (
    tenant_id uuid NOT NULL,
    record_id uuid NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    content_type text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    -- C2SP chunked encryption under the data key.
    body bytea NOT NULL,
    data_key_id uuid NOT NULL,
    -- The data key and the salt of the commitment, wrapped by this generation of the subject's key.
    subject_key_generation integer NOT NULL,
    data_key bytea NOT NULL,
    commitment_salt bytea NOT NULL,
    -- HMAC-SHA-256 of the content under the salt.
    commitment bytea NOT NULL CHECK (length(commitment) = 32),
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, record_id, version),
    FOREIGN KEY (tenant_id, record_id) REFERENCES records (tenant_id, id)
);
-- Sealed bytes do not compress, and ranges of them can be read without the rest.
ALTER TABLE record_versions ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE record_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE record_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON record_versions
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

-- The caller's own keys and values. Text, because jsonb loses its index behind a policy.
CREATE TABLE record_labels (
    tenant_id uuid NOT NULL,
    record_id uuid NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (tenant_id, record_id, key),
    FOREIGN KEY (tenant_id, record_id) REFERENCES records (tenant_id, id)
);
CREATE INDEX record_labels_value ON record_labels (tenant_id, key, value, record_id);
ALTER TABLE record_labels ENABLE ROW LEVEL SECURITY;
ALTER TABLE record_labels FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON record_labels
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON records, record_versions, record_labels TO %I', runtime);
END $$;
