-- Request ids: claimed once for each tenant and operation, and settled with what became of them.
-- Names, codes and figures only, never content.
CREATE TABLE outcomes (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    operation text NOT NULL,
    request_id text NOT NULL,
    -- A keyed hash of the decoded request, behind its version; empty where the id was fenced.
    request_hash bytea NOT NULL,
    -- 1 UNKNOWN (fenced), 2 IN_PROGRESS, 3 SUCCEEDED, 4 REJECTED
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 4),
    resource text,
    reason text,
    message text,
    -- A JSON object of strings.
    figures text,
    principal text NOT NULL,
    trace_id text NOT NULL,
    create_time timestamptz NOT NULL,
    settle_time timestamptz,
    -- Until when the one that claimed it is believed to work on it.
    lease_time timestamptz,
    PRIMARY KEY (tenant_id, operation, request_id)
);
ALTER TABLE outcomes ENABLE ROW LEVEL SECURITY;
ALTER TABLE outcomes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON outcomes
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON outcomes TO %I', runtime);
END $$;
