-- What each commit did, in its order: the sequencer gives every change its position, once it is
-- committed. One row for many changes, so that a posting pays for a few bytes and no look-up.
CREATE TABLE changes (
    tenant_id uuid NOT NULL,
    -- Made by the writer, and later ones sort later.
    id uuid NOT NULL,
    -- What happened to each of them, such as "transaction.posted".
    kind text NOT NULL,
    -- What it happened to: by id, or by name where an id does not say it.
    ids uuid[],
    names text[],
    create_time timestamptz NOT NULL,
    -- The position of the first; the others follow. NULL until the sequencer has come by.
    position bigint,
    PRIMARY KEY (tenant_id, id, kind),
    CHECK ((ids IS NULL) <> (names IS NULL))
);
CREATE INDEX changes_unsequenced ON changes (tenant_id, id) WHERE position IS NULL;
CREATE UNIQUE INDEX changes_by_position ON changes (tenant_id, position)
    WHERE position IS NOT NULL;
ALTER TABLE changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE changes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON changes
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

-- The policy says whose row it is, and every call is checked against the table of tenants before
-- it gets here: the foreign key cost a look-up for each request.
ALTER TABLE outcomes DROP CONSTRAINT outcomes_tenant_id_fkey;

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT ON changes TO %I', runtime);
    EXECUTE format('GRANT UPDATE (position) ON changes TO %I', runtime);
END $$;
