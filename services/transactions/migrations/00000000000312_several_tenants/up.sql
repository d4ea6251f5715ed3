-- What a plain posting reads and writes, so that one statement does it for several tenants: as it is
-- with outcomes and changes. All other tables show one tenant at a time.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ledger_accounts', 'calendars', 'transactions', 'entries'] LOOP
        EXECUTE format($policy$
            ALTER POLICY tenant ON %I USING ((CASE
                WHEN tenant_id = ANY ((SELECT string_to_array(nullif(
                    current_setting('strongroom.tenants', true), ''), ',')::uuid[])::uuid[]) THEN 1
                WHEN tenant_id = (SELECT nullif(
                    current_setting('strongroom.tenant', true), '')::uuid) THEN 1
            END) IS NOT NULL)
        $policy$, name);
    END LOOP;
END $$;
