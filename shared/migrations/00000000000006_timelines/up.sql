-- The history that the database is in: the latest is the one in force. A restore to an earlier
-- state begins a new one, so that what was given out on the old one is not taken for its own.
CREATE TABLE timelines (
    -- Made by the application (UUIDv7), so that later ones sort later.
    id uuid PRIMARY KEY,
    create_time timestamptz NOT NULL
);

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT ON timelines TO %I', runtime);
END $$;
