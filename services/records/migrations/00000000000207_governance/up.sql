-- What a tenant has decided about its data. Without a row the defaults hold.
CREATE TABLE policies (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
    erasure_delay_seconds bigint NOT NULL CHECK (erasure_delay_seconds >= 0),
    backup_retention_seconds bigint NOT NULL CHECK (backup_retention_seconds >= 0),
    break_glass_blocks boolean NOT NULL,
    revision bigint NOT NULL,
    update_time timestamptz NOT NULL
);

-- What forbids to delete, purge or erase.
CREATE TABLE legal_holds (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- Whose data; of one record alone where that is named.
    subject_id uuid NOT NULL,
    record_id uuid,
    authority text NOT NULL,
    -- In words of people; gone once the subject is erased.
    case_reference text,
    -- 1 ACTIVE, 2 RELEASE_REQUESTED, 3 RELEASED
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 3),
    placer text NOT NULL,
    release_requester text,
    releaser text,
    revision bigint NOT NULL,
    create_time timestamptz NOT NULL,
    release_time timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_id) REFERENCES subjects (tenant_id, id),
    -- Nobody releases alone.
    CHECK (state <> 3 OR releaser <> release_requester)
);
-- What holds now.
CREATE INDEX legal_holds_active ON legal_holds (tenant_id, subject_id, record_id) WHERE state <> 3;
CREATE INDEX legal_holds_time ON legal_holds (tenant_id, create_time, id);
CREATE INDEX legal_holds_subject ON legal_holds (tenant_id, subject_id, create_time, id);
CREATE INDEX legal_holds_record ON legal_holds (tenant_id, record_id, create_time, id);

-- That somebody needs what is about a person until some time.
CREATE TABLE retention_interests (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_id uuid NOT NULL,
    source text NOT NULL,
    reference text NOT NULL,
    end_time timestamptz,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_id) REFERENCES subjects (tenant_id, id)
);
CREATE UNIQUE INDEX retention_interests_of
    ON retention_interests (tenant_id, subject_id, source, reference);
CREATE INDEX retention_interests_time ON retention_interests (tenant_id, create_time, id);
CREATE INDEX retention_interests_subject
    ON retention_interests (tenant_id, subject_id, create_time, id);

-- What persons permit and deny.
CREATE TABLE consents (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_id uuid NOT NULL,
    -- '*' is everybody.
    grantee text NOT NULL,
    -- '*' is everything.
    purposes text[] NOT NULL,
    -- Types of records; none is all.
    kinds text[] NOT NULL,
    -- 1 PERMIT, 2 DENY
    decision smallint NOT NULL CHECK (decision BETWEEN 1 AND 2),
    start_time timestamptz NOT NULL,
    end_time timestamptz,
    revoke_time timestamptz,
    revision bigint NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_id) REFERENCES subjects (tenant_id, id)
);
CREATE INDEX consents_time ON consents (tenant_id, create_time, id);
CREATE INDEX consents_subject ON consents (tenant_id, subject_id, create_time, id);

-- What opens the data of one person to one principal in an emergency.
CREATE TABLE break_glass_leases (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_id uuid NOT NULL,
    principal text NOT NULL,
    reason_code text NOT NULL,
    -- In words of people; gone once the subject is erased.
    reason text,
    create_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    review_due_time timestamptz NOT NULL,
    -- Whether somebody was told that the review is late.
    is_overdue_told boolean NOT NULL,
    -- 1 JUSTIFIED, 2 UNJUSTIFIED
    verdict smallint CHECK (verdict BETWEEN 1 AND 2),
    reviewer text,
    review_time timestamptz,
    revision bigint NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subject_id) REFERENCES subjects (tenant_id, id),
    CHECK (reviewer <> principal)
);
CREATE INDEX break_glass_leases_time ON break_glass_leases (tenant_id, create_time, id);
CREATE INDEX break_glass_leases_subject
    ON break_glass_leases (tenant_id, subject_id, create_time, id);
-- Of whom a lease opens a subject's data now.
CREATE INDEX break_glass_leases_principal
    ON break_glass_leases (tenant_id, subject_id, principal, end_time);
-- What waits for its review: of all, of one principal, and what nobody was told of.
CREATE INDEX break_glass_leases_open ON break_glass_leases (tenant_id, review_due_time)
    WHERE verdict IS NULL;
CREATE INDEX break_glass_leases_holder
    ON break_glass_leases (tenant_id, principal, review_due_time) WHERE verdict IS NULL;
CREATE INDEX break_glass_leases_untold ON break_glass_leases (tenant_id, review_due_time)
    WHERE verdict IS NULL AND NOT is_overdue_told;

ALTER TABLE policies ENABLE ROW LEVEL SECURITY;
ALTER TABLE policies FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON policies
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE legal_holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE legal_holds FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON legal_holds
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE retention_interests ENABLE ROW LEVEL SECURITY;
ALTER TABLE retention_interests FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON retention_interests
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE consents ENABLE ROW LEVEL SECURITY;
ALTER TABLE consents FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON consents
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));
ALTER TABLE break_glass_leases ENABLE ROW LEVEL SECURITY;
ALTER TABLE break_glass_leases FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON break_glass_leases
    USING (tenant_id = (SELECT nullif(current_setting('strongroom.tenant', true), '')::uuid));

DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON policies, legal_holds, retention_interests, consents, break_glass_leases TO %I', runtime);
END $$;
