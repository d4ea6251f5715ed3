-- What the auditor found, and what became of it.
CREATE TABLE mismatches (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- 1 BALANCE, 2 RUNNING_BALANCE, 3 ENTRY_SEQ, 4 DAY_TOTALS, 5 HELD, 6 ZERO_SUM, 7 LEAF, 8 LOG
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 8),
    -- What it is about, such as accounts/{uuid}.
    resource text NOT NULL,
    found text NOT NULL,
    expected text NOT NULL,
    -- The accounts that it casts doubt on, which are blocked until it is resolved.
    accounts uuid[] NOT NULL,
    create_time timestamptz NOT NULL,
    resolve_time timestamptz,
    resolution_code text,
    resolver text,
    PRIMARY KEY (tenant_id, id),
    CHECK ((resolve_time IS NULL) = (resolution_code IS NULL)),
    CHECK ((resolve_time IS NULL) = (resolver IS NULL))
);
-- Partial, though all rows are in it: only a statement that asks for times can use it.
CREATE INDEX mismatches_by_time ON mismatches (tenant_id, create_time)
    WHERE create_time IS NOT NULL;
CREATE INDEX mismatches_by_resource ON mismatches (tenant_id, resource, create_time);
-- One open mismatch for each thing that does not match.
CREATE UNIQUE INDEX mismatches_open ON mismatches (tenant_id, resource, kind)
    WHERE resolve_time IS NULL;

-- How far the auditor is in each tenant.
CREATE TABLE audits (
    tenant_id uuid PRIMARY KEY,
    -- When the next slice may be looked at. While a replica looks at one, it is when the others
    -- give it up.
    due_time timestamptz NOT NULL,
    -- Where the next slice begins, as JSON.
    place text NOT NULL,
    -- When this round began, and when the last whole one had begun.
    start_time timestamptz NOT NULL,
    round_time timestamptz
);

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['mismatches', 'audits'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''strongroom.tenant'', true), '''')::uuid))', name);
    END LOOP;
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON audits TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT ON mismatches TO %I', runtime);
    EXECUTE format(
        'GRANT UPDATE (resolve_time, resolution_code, resolver) ON mismatches TO %I', runtime);
END $$;
