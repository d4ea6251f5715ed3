-- Entries are leaves of the log: those name who called by a salted commitment.
ALTER TABLE accesses
    ADD COLUMN principal_salt bytea,
    ADD COLUMN principal_commitment bytea,
    -- Any resource that is no record: 'legalHolds/{uuid}'.
    ADD COLUMN resource text,
    -- On what it rests beside the permission: 'consents/{uuid}', 'breakGlassLeases/{uuid}'.
    ADD COLUMN grounds text;

-- Makes the partition of a month, where it is missing. Months are made ahead: one that has rows in
-- the rest already stays there.
CREATE FUNCTION make_access_partition(month timestamp) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    first timestamp := date_trunc('month', month);
    name text := to_char(first, '"accesses_"YYYY_MM');
BEGIN
    IF to_regclass(format('%I', name)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I PARTITION OF accesses FOR VALUES FROM (%L) TO (%L)',
        name, first AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
END $$;
DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE 'REVOKE ALL ON FUNCTION make_access_partition(timestamp) FROM PUBLIC';
    EXECUTE format('GRANT EXECUTE ON FUNCTION make_access_partition(timestamp) TO %I', runtime);
END $$;
