CREATE TABLE things (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id integer NOT NULL,
    value integer NOT NULL CONSTRAINT value_is_small CHECK (value < 1000),
    PRIMARY KEY (tenant_id, id)
);
ALTER TABLE things ENABLE ROW LEVEL SECURITY;
ALTER TABLE things FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON things
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

-- Breaks the connection in the middle of COMMIT.
CREATE TABLE broken_commits (id integer PRIMARY KEY);
CREATE FUNCTION break_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_terminate_backend(pg_backend_pid());
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER break_commit AFTER INSERT ON broken_commits
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION break_commit();

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON things, broken_commits TO %I', runtime);
END $$;
