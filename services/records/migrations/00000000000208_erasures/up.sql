-- Erasures of persons.
CREATE TABLE erasures (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_id uuid NOT NULL,
    -- 1 REQUESTED, 2 BLOCKED, 3 RUNNING, 4 DONE, 5 CANCELLED
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 5),
    -- 1 SUBJECT_REQUEST, 2 PURPOSE_ENDED, 3 UNLAWFUL_PROCESSING, 4 LEGAL_OBLIGATION
    legal_basis smallint NOT NULL CHECK (legal_basis BETWEEN 1 AND 4),
    requester text NOT NULL,
    approver text,
    create_time timestamptz NOT NULL,
    due_time timestamptz NOT NULL,
    -- When the worker looks at it next.
    next_time timestamptz NOT NULL,
    -- When the key was destroyed.
    shred_time timestamptz,
    done_time timestamptz,
    -- The epochs whose keys may have wrapped the subject's key: a backup needs one of them.
    first_epoch integer,
    last_epoch integer,
    keys bigint NOT NULL,
    records bigint NOT NULL,
    versions bigint NOT NULL,
    index_rows bigint NOT NULL,
    objects bigint NOT NULL,
    uploads bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_id) REFERENCES subjects (tenant_id, id),
    CHECK (approver <> requester)
);
CREATE INDEX erasures_time ON erasures (tenant_id, create_time, id);
CREATE INDEX erasures_subject ON erasures (tenant_id, subject_id, create_time, id);
-- One at a time.
CREATE UNIQUE INDEX erasures_open ON erasures (tenant_id, subject_id) WHERE state < 4;
CREATE INDEX erasures_next ON erasures (tenant_id, next_time) WHERE state < 4;
CREATE INDEX erasures_blocked ON erasures (tenant_id) WHERE state = 2;
-- The newest of which this database knows that its key is destroyed.
CREATE INDEX erasures_shred ON erasures (tenant_id, shred_time) WHERE shred_time IS NOT NULL;

-- What the background worker does for each tenant, and who of the replicas does it now.
CREATE TABLE sweeps (
    tenant_id uuid PRIMARY KEY,
    lease_time timestamptz NOT NULL
);

ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;
ALTER TABLE erasures FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON erasures
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE sweeps ENABLE ROW LEVEL SECURITY;
ALTER TABLE sweeps FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sweeps
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON erasures, sweeps TO %I', runtime);
END $$;
