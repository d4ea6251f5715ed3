-- No release has these tables in use yet, so nobody waits for their locks.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion
-- squawk-ignore-file constraint-missing-not-valid

-- How far each tenant's books are closed. Every posting locks the row FOR SHARE and reads it in the
-- same statement; who closes a period changes it, and so waits for them.
CREATE TABLE calendars (
    tenant_id uuid PRIMARY KEY,
    -- The last day of the last month that is closed for good, and of the last one that is closed
    -- at least softly.
    closed_through date,
    soft_closed_through date,
    CHECK (closed_through IS NULL OR soft_closed_through >= closed_through)
);

-- The months that somebody closed or opened, by their first day, as they were left.
CREATE TABLE periods (
    tenant_id uuid NOT NULL,
    month date NOT NULL,
    -- 1 OPEN, 2 SOFT_CLOSED, 3 CLOSED
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
    update_time timestamptz NOT NULL,
    principal text NOT NULL,
    PRIMARY KEY (tenant_id, month)
);

-- The ledger that it was brought from.
ALTER TABLE transactions ADD COLUMN import_source text;

-- The booking date, where it is another day than that of the posting: then the order of the entries
-- does not tell it.
ALTER TABLE entries ADD COLUMN booking_date date;
CREATE INDEX entries_by_booking_date ON entries (tenant_id, account_id, booking_date)
    WHERE booking_date IS NOT NULL;

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['calendars', 'periods'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''strongroom.tenant'', true), '''')::uuid))', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO %I', name, runtime);
    END LOOP;
END $$;
