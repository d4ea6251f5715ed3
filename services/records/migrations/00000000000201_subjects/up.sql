-- The keys of tenants, one for each epoch, wrapped by the key provider.
CREATE TABLE tenant_keys (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    epoch integer NOT NULL CHECK (epoch > 0),
    wrapped bytea NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, epoch)
);
ALTER TABLE tenant_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant_keys
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

-- Persons, as an opaque id and a state.
CREATE TABLE subjects (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    -- 1 ACTIVE, 2 RESTRICTED, 3 ERASED
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
    revision bigint NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
ALTER TABLE subjects ENABLE ROW LEVEL SECURITY;
ALTER TABLE subjects FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON subjects
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

-- The keys of persons, wrapped by the tenant key of an epoch. Without its row nothing of a person
-- can be read any more.
CREATE TABLE subject_keys (
    tenant_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    generation integer NOT NULL CHECK (generation > 0),
    tenant_key_epoch integer NOT NULL,
    wrapped bytea NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subject_id, generation),
    FOREIGN KEY (tenant_id, subject_id) REFERENCES subjects (tenant_id, id),
    FOREIGN KEY (tenant_id, tenant_key_epoch) REFERENCES tenant_keys (tenant_id, epoch)
);
-- Which keys an epoch still holds.
CREATE INDEX subject_keys_epoch ON subject_keys (tenant_id, tenant_key_epoch);
ALTER TABLE subject_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE subject_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON subject_keys
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON tenant_keys, subject_keys TO %I', runtime);
    -- Locking a row FOR SHARE takes the right to update it.
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON subjects TO %I', runtime);
END $$;
