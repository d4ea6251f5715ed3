-- No release has these tables in use yet, so nobody waits for their locks.
-- squawk-ignore-file ban-drop-not-null, require-concurrent-index-creation, require-concurrent-index-deletion

-- The keys of blind indexes, by version, wrapped by the tenant's key of an epoch.
CREATE TABLE index_keys (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    version integer NOT NULL CHECK (version > 0),
    tenant_key_epoch integer NOT NULL,
    wrapped bytea NOT NULL,
    create_time timestamptz NOT NULL,
    -- When another took its place for what is new.
    retire_time timestamptz,
    PRIMARY KEY (tenant_id, version),
    FOREIGN KEY (tenant_id, tenant_key_epoch) REFERENCES tenant_keys (tenant_id, epoch)
);

-- Keyed hashes of the values of indexed fields, as of the last version of each record.
CREATE TABLE record_index (
    tenant_id uuid NOT NULL,
    record_id uuid NOT NULL,
    -- The record's type and the index in it.
    kind text NOT NULL,
    name text NOT NULL,
    key_version integer NOT NULL,
    token bytea NOT NULL CHECK (length(token) BETWEEN 1 AND 16),
    -- Which rules of fields it was made by: the first bytes of their hash.
    rules bigint NOT NULL,
    PRIMARY KEY (tenant_id, record_id, name, key_version, token),
    FOREIGN KEY (tenant_id, record_id) REFERENCES records (tenant_id, id),
    -- Nothing is written under a key that has been taken away meanwhile.
    FOREIGN KEY (tenant_id, key_version) REFERENCES index_keys (tenant_id, version)
);
CREATE INDEX record_index_token ON record_index (tenant_id, kind, name, key_version, token, record_id);
CREATE INDEX record_index_key ON record_index (tenant_id, key_version, record_id);

-- Rotations of keys, and how far they are.
CREATE TABLE rotations (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- 1 KEK, 2 TENANT_KEY, 3 INDEX_KEY
    scope smallint NOT NULL CHECK (scope BETWEEN 1 AND 3),
    reseal boolean NOT NULL,
    -- 1 RUNNING, 2 DONE, 3 INCOMPLETE
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
    -- The epoch or version that is in use from it on; 0 for a KEK.
    target integer NOT NULL,
    total bigint NOT NULL,
    done bigint NOT NULL,
    -- How far it is, as JSON: the same after a crash.
    place text NOT NULL,
    -- Names of what does not open.
    broken text[] NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    done_time timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX rotations_running ON rotations (tenant_id, scope) WHERE state = 1;

ALTER TABLE tenant_keys
    -- Destroyed keys have none.
    ALTER COLUMN wrapped DROP NOT NULL,
    -- Every key-encryption key that has wrapped it: each opens it in some backup.
    ADD COLUMN keks text[] NOT NULL DEFAULT '{}',
    ADD COLUMN retire_time timestamptz,
    ADD COLUMN destroy_time timestamptz;
ALTER TABLE subject_keys
    -- The epoch that wrapped the subject's first key: a backup may open what is the person's with
    -- any from that one on.
    ADD COLUMN first_epoch integer,
    -- The epoch that was the current one when this key was made. All keys from before this column
    -- are of the first.
    ADD COLUMN made_epoch integer NOT NULL DEFAULT 1;
-- What a rotation still has to move, and what it has to make anew, in their order.
DROP INDEX subject_keys_epoch;
CREATE INDEX subject_keys_epoch
    ON subject_keys (tenant_id, tenant_key_epoch, subject_id, generation);
CREATE INDEX subject_keys_made ON subject_keys (tenant_id, made_epoch, subject_id, generation);
CREATE INDEX index_keys_epoch ON index_keys (tenant_id, tenant_key_epoch, version);

ALTER TABLE index_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE index_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON index_keys
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE record_index ENABLE ROW LEVEL SECURITY;
ALTER TABLE record_index FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON record_index
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE rotations ENABLE ROW LEVEL SECURITY;
ALTER TABLE rotations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON rotations
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON index_keys TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON record_index TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON rotations TO %I', runtime);
    EXECUTE format('GRANT UPDATE ON tenant_keys TO %I', runtime);
    EXECUTE format('GRANT UPDATE, DELETE ON subject_keys TO %I', runtime);
END $$;
