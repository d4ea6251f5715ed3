-- What was booked on an account on some days, as it was when the statement was made. Nothing here
-- is ever updated or deleted.
CREATE TABLE statements (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    start_date date NOT NULL,
    end_date date NOT NULL,
    -- 1, 2, 3 for the statements of the same days.
    version integer NOT NULL CHECK (version > 0),
    supersedes uuid,
    -- On the normal side.
    opening numeric(38, 0) NOT NULL,
    debits numeric(38, 0) NOT NULL CHECK (debits >= 0),
    credits numeric(38, 0) NOT NULL CHECK (credits >= 0),
    closing numeric(38, 0) NOT NULL,
    line_count bigint NOT NULL CHECK (line_count >= 0),
    -- The last entry that could be in it.
    entry_seq bigint NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    -- Whether all of its days were closed for good.
    final boolean NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, account_id, start_date, end_date, version),
    CHECK (start_date <= end_date)
);
CREATE INDEX statements_by_time ON statements (tenant_id, account_id, create_time, id);

-- Which entries they have, in the order of the booking dates. Their texts stay where they are, so
-- that they are redacted in one place.
CREATE TABLE statement_lines (
    tenant_id uuid NOT NULL,
    statement_id uuid NOT NULL,
    -- From 1.
    line bigint NOT NULL CHECK (line > 0),
    transaction_id uuid NOT NULL,
    entry_index integer NOT NULL,
    entry_seq bigint NOT NULL,
    -- After this line, on the normal side.
    balance numeric(38, 0) NOT NULL,
    PRIMARY KEY (tenant_id, statement_id, line)
);

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['statements', 'statement_lines'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''strongroom.tenant'', true), '''')::uuid))', name);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO %I', name, runtime);
    END LOOP;
END $$;
