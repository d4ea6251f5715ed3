DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ledger_accounts', 'calendars', 'transactions', 'entries'] LOOP
        EXECUTE format(
            'ALTER POLICY tenant ON %I USING (tenant_id = '
            '(SELECT nullif(current_setting(''strongroom.tenant'', true), '''')::uuid))', name);
    END LOOP;
END $$;
