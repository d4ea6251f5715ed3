DROP TRIGGER only_redacts ON hold_texts;
DROP TRIGGER only_redacts ON external_ids;
DROP TRIGGER only_redacts ON labels;
DROP TRIGGER only_redacts ON texts;
DROP FUNCTION only_redacts();
ALTER TABLE external_ids NO FORCE ROW LEVEL SECURITY;
ALTER TABLE hold_texts NO FORCE ROW LEVEL SECURITY;
DELETE FROM external_ids WHERE value IS NULL OR salt IS NULL;
DELETE FROM hold_texts WHERE salt IS NULL;
ALTER TABLE external_ids FORCE ROW LEVEL SECURITY;
ALTER TABLE hold_texts FORCE ROW LEVEL SECURITY;
ALTER TABLE hold_texts ALTER COLUMN salt SET NOT NULL;
ALTER TABLE external_ids
    ALTER COLUMN salt SET NOT NULL,
    ALTER COLUMN value SET NOT NULL;
DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
BEGIN
    EXECUTE format('REVOKE UPDATE (text, salt) ON texts, hold_texts FROM %I', runtime);
    EXECUTE format('REVOKE UPDATE (key, value, salt) ON labels FROM %I', runtime);
    EXECUTE format('REVOKE UPDATE (value, salt) ON external_ids FROM %I', runtime);
END $$;
