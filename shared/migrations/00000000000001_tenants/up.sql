-- What the schema asks of a binary: one that is older than min_binary refuses to serve.
CREATE TABLE schema_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    min_binary integer NOT NULL
);
INSERT INTO schema_state (min_binary) VALUES (1);

-- One row for each legal entity. No policy: workers that serve all tenants loop over it.
CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    display_name text NOT NULL,
    time_zone text NOT NULL,
    -- 1 ACTIVE, 2 READ_ONLY, 3 SUSPENDED
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
    -- Keys the hashes of requests and the page tokens.
    key bytea NOT NULL CHECK (length(key) = 32),
    version bigint NOT NULL,
    create_time timestamptz NOT NULL
);

-- The runtime role is named like the owner, without "_owner". It owns nothing.
DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT ON __diesel_schema_migrations, schema_state TO %I', runtime);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON tenants TO %I', runtime);
END $$;
