-- Who did or tried what with whose data. Written before content leaves, and only ever appended to.
-- Ids and codes, never content. No reference to subjects and records: the log outlives both.
CREATE TABLE accesses (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    time timestamptz NOT NULL,
    id uuid NOT NULL,
    principal text NOT NULL,
    -- The service that called on the principal's behalf.
    workload text,
    -- The permission that it took: 'records.records.get'.
    action text NOT NULL,
    subject_id uuid,
    record_id uuid,
    version bigint,
    -- 1 BASIC, 2 MASKED, 3 FULL
    view smallint CHECK (view BETWEEN 1 AND 3),
    purpose text,
    -- 1 PERMIT, 2 DENY
    decision smallint NOT NULL CHECK (decision BETWEEN 1 AND 2),
    -- Why nothing was given.
    reason text,
    trace_id text NOT NULL,
    PRIMARY KEY (tenant_id, time, id),
    CHECK ((decision = 2) = (reason IS NOT NULL))
) PARTITION BY RANGE (time);
CREATE INDEX accesses_subject ON accesses (tenant_id, subject_id, time);
-- Partitions are reached through their parent alone, whose policy holds there too.
ALTER TABLE accesses ENABLE ROW LEVEL SECURITY;
ALTER TABLE accesses FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON accesses
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

-- A month can be dropped after its retention. What no month takes goes to the rest, so that an
-- entry never fails for want of a partition.
CREATE TABLE accesses_rest PARTITION OF accesses DEFAULT;
DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
    month timestamp;
BEGIN
    FOR month IN
        SELECT generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'),
                               date_trunc('month', now() AT TIME ZONE 'UTC') + interval '12 months',
                               interval '1 month')
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF accesses FOR VALUES FROM (%L) TO (%L)',
            to_char(month, '"accesses_"YYYY_MM'),
            month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
    END LOOP;
    EXECUTE format('GRANT SELECT, INSERT ON accesses TO %I', runtime);
END $$;
