-- No release has these tables in use yet, so nobody waits for their locks.
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion
-- squawk-ignore-file constraint-missing-not-valid

-- The account that a refusal is about, which its figures name.
ALTER TABLE outcomes ADD COLUMN account text;
ALTER TABLE outcomes NO FORCE ROW LEVEL SECURITY;
UPDATE outcomes SET account = figures::json ->> 'account' WHERE state = 4;
ALTER TABLE outcomes FORCE ROW LEVEL SECURITY;

-- Lists of what did not simply succeed, the latest first: of all of it, and by account. What
-- succeeds is in neither, and costs nothing.
CREATE INDEX outcomes_by_time ON outcomes (tenant_id, create_time) WHERE state <> 3;
CREATE INDEX outcomes_by_account ON outcomes (tenant_id, account, create_time)
    WHERE account IS NOT NULL;
