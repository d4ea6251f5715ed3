-- No release has these tables in use yet, so nobody waits for their locks.
-- squawk-ignore-file ban-drop-not-null, require-concurrent-index-creation

-- Records are deleted, brought back and purged.
ALTER TABLE records
    -- 1 ACTIVE, 2 DELETED, 3 PURGED
    ADD COLUMN state smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),
    ADD COLUMN delete_time timestamptz,
    ADD COLUMN purge_time timestamptz,
    -- From when on the retention of its type lets it be purged.
    ADD COLUMN expire_time timestamptz;
CREATE INDEX records_kind ON records (tenant_id, kind, id);
CREATE INDEX records_expire ON records (tenant_id, expire_time)
    WHERE expire_time IS NOT NULL AND state <> 3;

-- What is purged or erased loses its body and whatever opens it; what is large lies outside, in
-- segments of one size.
ALTER TABLE record_versions
    ALTER COLUMN body DROP NOT NULL,
    ALTER COLUMN data_key DROP NOT NULL,
    ALTER COLUMN commitment_salt DROP NOT NULL,
    -- How many segments lie in the object store, under the id of the data key; NULL where the body
    -- is here.
    ADD COLUMN segments integer CHECK (segments > 0);

-- Objects that nothing needs any more: deleted from the object store after the commit that says so.
CREATE TABLE object_deletes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- All objects below it go.
    path text NOT NULL,
    -- Not before: somebody may still read what has been replaced.
    due_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- Content that is on its way: what it takes to seal the rest, and to answer when it is there. No
-- object is put before its upload is here, so that none is forgotten.
CREATE TABLE uploads (
    tenant_id uuid NOT NULL,
    -- The request id.
    id uuid NOT NULL,
    request_hash bytea NOT NULL,
    record_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    -- What is asked for, as JSON, without content.
    header text NOT NULL,
    data_key_id uuid NOT NULL,
    subject_key_generation integer NOT NULL,
    -- NULL once it is done: the version has it.
    data_key bytea,
    -- Segments in the object store, without the last.
    segments integer NOT NULL CHECK (segments >= 0),
    received_bytes bigint NOT NULL CHECK (received_bytes >= 0),
    -- Who streams into it now: a stream that was cut off loses it after a while.
    lease_id uuid,
    lease_time timestamptz,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    done_time timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((done_time IS NULL) = (data_key IS NOT NULL))
);
CREATE INDEX uploads_subject ON uploads (tenant_id, subject_id);
CREATE INDEX uploads_expire ON uploads (tenant_id, expire_time);

ALTER TABLE object_deletes ENABLE ROW LEVEL SECURITY;
ALTER TABLE object_deletes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON object_deletes
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE uploads ENABLE ROW LEVEL SECURITY;
ALTER TABLE uploads FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON uploads
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT UPDATE (event_time, version, revision, update_time, state, delete_time, purge_time, '
        'expire_time) ON records TO %I', runtime);
    EXECUTE format('GRANT UPDATE (body, data_key_id, subject_key_generation, data_key, commitment_salt, segments) ON record_versions TO %I', runtime);
    EXECUTE format('GRANT DELETE ON record_labels TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON object_deletes TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON uploads TO %I', runtime);
END $$;
