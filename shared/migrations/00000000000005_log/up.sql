-- The hashes of the changes' leaves, 32 bytes each, made by the writer while it had all in memory;
-- they go to the log with the position. And what happened, as JSON, where no row says it.
ALTER TABLE changes
    ADD COLUMN leaves bytea,
    ADD COLUMN data text[];

-- The tenant's log: how many leaves it has. Whoever gives positions locks the row, so that there is
-- one at a time, and none goes on from what it believed before.
CREATE TABLE logs (
    tenant_id uuid PRIMARY KEY,
    size bigint NOT NULL CHECK (size >= 0)
);

-- The hashes of the log's tree (C2SP tlog-tiles): tile `index` of `level` has up to 256 hashes of
-- 32 bytes, at the height 8 * level.
CREATE TABLE log_tiles (
    tenant_id uuid NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    index bigint NOT NULL CHECK (index >= 0),
    hashes bytea NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
    PRIMARY KEY (tenant_id, level, index)
);
-- Hashes do not compress.
ALTER TABLE log_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- What was signed.
CREATE TABLE checkpoints (
    tenant_id uuid NOT NULL,
    size bigint NOT NULL CHECK (size >= 0),
    root_hash bytea NOT NULL CHECK (length(root_hash) = 32),
    -- The signed note (C2SP tlog-checkpoint).
    note text NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, size)
);

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['logs', 'log_tiles', 'checkpoints'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''strongroom.tenant'', true), '''')::uuid))', name);
    END LOOP;
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON logs, log_tiles TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT ON checkpoints TO %I', runtime);
    EXECUTE format('GRANT UPDATE (leaves) ON changes TO %I', runtime);
END $$;
