-- A statement may be about several tenants, where a commit is: `strongroom.tenants` names them. The
-- list comes first: `strongroom.tenant` is no UUID then, upon which every policy that knows of one
-- tenant only fails, instead of hiding rows.
--
-- IS NOT NULL, because the planner takes that to hold for all rows. The statements name their
-- tenants; if it believed the policy to choose among their rows once more, it would plan for too few.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['outcomes', 'changes'] LOOP
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
