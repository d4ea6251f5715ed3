-- No release reads these columns yet.
-- squawk-ignore-file ban-drop-not-null

-- A redacted text is empty and its salt is gone; the commitment stays, and says nothing any more.
ALTER TABLE external_ids
    ALTER COLUMN value DROP NOT NULL,
    ALTER COLUMN salt DROP NOT NULL;
ALTER TABLE hold_texts ALTER COLUMN salt DROP NOT NULL;

-- The runtime role may empty texts, and do nothing else to them.
CREATE FUNCTION only_redacts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    -- All columns as they were, but those that are emptied.
    kept jsonb := to_jsonb(NEW) - ARRAY['text', 'value', 'key', 'salt'];
BEGIN
    IF NEW.salt IS NOT NULL
        OR kept IS DISTINCT FROM to_jsonb(OLD) - ARRAY['text', 'value', 'key', 'salt']
        OR coalesce(to_jsonb(NEW) ->> 'text', '') <> ''
        OR coalesce(to_jsonb(NEW) ->> 'value', '') <> ''
        OR coalesce(to_jsonb(NEW) ->> 'key', 'redacted-') NOT LIKE 'redacted-%'
    THEN
        RAISE EXCEPTION 'texts can only be redacted' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'only_redacts';
    END IF;
    RETURN NEW;
END $$;
DO $$
DECLARE
    runtime text := regexp_replace(current_user, '_owner$', '');
    name text;
BEGIN
    EXECUTE format('ALTER FUNCTION only_redacts() SET search_path = %I, pg_temp',
        current_schema());
    FOREACH name IN ARRAY ARRAY['texts', 'labels', 'external_ids', 'hold_texts'] LOOP
        EXECUTE format(
            'CREATE TRIGGER only_redacts BEFORE UPDATE ON %I '
            'FOR EACH ROW EXECUTE FUNCTION only_redacts()', name);
    END LOOP;
    EXECUTE format('GRANT UPDATE (text, salt) ON texts, hold_texts TO %I', runtime);
    EXECUTE format('GRANT UPDATE (key, value, salt) ON labels TO %I', runtime);
    EXECUTE format('GRANT UPDATE (value, salt) ON external_ids TO %I', runtime);
END $$;
